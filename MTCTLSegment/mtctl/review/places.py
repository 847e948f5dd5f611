"""The voxels around places that a reader points at. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtctl.geometry import Geometry, Mask, Triple
from mtctl.review.answers import KEPT_MM, OBEYED_MM, Said


def near(places: Sequence[Triple], mm: float, geometry: Geometry) -> Mask:
    """Return the voxels (z, y, x) of a grid whose centre lies within `mm` of one of the places (LPS mm).

    The voxel of each place is among them, where the grid has one.
    """
    found = np.zeros(geometry.shape, bool)
    for place in places:
        x, y, z = geometry.physical_to_index(place).tolist()
        box = []
        for at, n, step in zip((z, y, x), geometry.shape, reversed(geometry.spacing), strict=True):
            reach = mm / step + 1
            box.append(slice(max(0, int(at - reach)), max(0, min(n, int(at + reach) + 2))))
        part = found[tuple(box)]
        if not part.size:
            continue
        indices = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), axis=-1)
        offset = (indices - (z, y, x)) * tuple(reversed(geometry.spacing))
        part |= (offset**2).sum(axis=-1) <= (mm + 1e-3) ** 2
        nearest = tuple(round(at) for at in (z, y, x))
        if all(0 <= at < n for at, n in zip(nearest, geometry.shape, strict=True)):
            found[nearest] = True
    return found


def settled_by(said: Said, geometry: Geometry) -> Mask:
    """Return the voxels (z, y, x) of a grid whose side a reader has said, or that they are right."""
    clicks = [click for answer in said.answers for click in answer.clicks]
    return near(clicks, OBEYED_MM, geometry) | near(said.kept, KEPT_MM, geometry)
