"""Masks and their surfaces: components, holes, bands around a surface, and the borders that a mask touches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.geometry import Geometry, Map, Mask, Triple

#: Added to a distance that is asked for: headers round their spacing, and a tie shall not hang on that.
TIE_MM = 1e-3

#: Names of the ends of the LPS axes: x from the patient's right to left, y from front to back, z upwards.
SIDES = (("right", "left"), ("front", "back"), ("lower", "upper"))


def surface_band(mask: Mask, spacing: Triple, mm: float = 3.0) -> Mask:
    """Return the voxels whose centre lies within `mm` of the mask's surface: the band of all our figures.

    Distances are those of `surface_distance`. A mask without a surface (empty, or the whole volume) has an empty band.

    Args:
        mask: (z, y, x).
        spacing: Voxel size (z, y, x) in mm.
        mm: Half the band's width.
    """
    return np.isfinite(surface_distance(mask, spacing, mm))


def surface_distance(mask: Mask, spacing: Triple, most: float) -> Map:
    """Return the distance in mm from each voxel's centre (z, y, x) to the mask's surface, infinite beyond `most`.

    The surface is taken as the centres of the faces between mask and background, half a voxel from the centres beside
    them; exact for these points. A band of 3 mm around a ball then has 0.97 to 1.08 times its true volume on voxels of
    0.6 to 2.5 mm, where distances to the centres of the other side give 0.86 to 0.94 and leave slices of 4 mm none.

    Args:
        mask: (z, y, x).
        spacing: Voxel size (z, y, x) in mm.
        most: mm. Meant for a few voxels: the time grows with it.
    """
    mask = np.asarray(mask, dtype=bool)
    found = np.full(mask.shape, np.inf, dtype=np.float32)
    if not mask.any():
        return found
    most += TIE_MM
    steps = [(np.arange(int(most / step) + 1) * step).astype(np.float32) ** 2 for step in spacing]
    halves = [((np.arange(int(most / step + 0.5)) + 0.5) * step).astype(np.float32) ** 2 for step in spacing]
    box = bounding_box(mask, [len(half) for half in halves])
    inside, far = mask[box], np.float32(4 * most**2)
    squared = np.full(inside.shape, far)
    for across in range(3):
        faces = np.moveaxis(np.diff(inside, axis=across), across, 0)
        part = np.full_like(squared, far)
        goal = np.moveaxis(part, across, 0)
        for apart, half in enumerate(halves[across][: len(faces)]):
            after, before = goal[apart + 1 :], goal[: len(faces) - apart]
            after[faces[: len(faces) - apart] & (after > half)] = half
            before[faces[apart:] & (before > half)] = half
        for axis in {0, 1, 2} - {across}:
            part = _spread(part, axis, steps[axis])
        np.minimum(squared, part, out=squared)
    found[box] = np.where(squared <= most**2, np.sqrt(squared), np.inf)
    return found


def voxel_band(mask: Mask, voxels: int = 5) -> Mask:
    """Return the voxels within `voxels` either side of the mask's surface: the literature's "5-voxel band".

    Counted in voxels whatever their size, between centres: a voxel inside belongs to it when some outside voxel is that
    near (Euclidean), and the other way round. A mask without a surface has an empty band.
    """
    mask = np.asarray(mask, dtype=bool)
    band = np.zeros_like(mask)
    if mask.any():
        box = bounding_box(mask, (voxels,) * 3)
        inside = mask[box]
        band[box] = np.where(inside, _near(~inside, voxels), _near(inside, voxels))
    return band


def same_shape(prediction: Mask, truth: Mask) -> tuple[Mask, Mask]:
    """Return both masks as boolean arrays.

    Raises:
        ValueError: The shapes differ or are not 3-D.
    """
    prediction, truth = np.asarray(prediction, dtype=bool), np.asarray(truth, dtype=bool)
    if prediction.shape != truth.shape or prediction.ndim != 3:
        raise ValueError(f"two 3-D masks of one shape are needed, not {prediction.shape} and {truth.shape}")
    return prediction, truth


def bounding_box(mask: Mask, margin: Sequence[int] = (0, 0, 0)) -> tuple[slice, ...]:
    box = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(max(int(used[0]) - margin[axis], 0), int(used[-1]) + margin[axis] + 1))
    return tuple(box)


def touched_sides(mask: Mask, geometry: Geometry) -> dict[str, float]:
    """Return the sides of its array that a mask (z, y, x) reaches, named by where they lie in the patient.

    Returns:
        For each, the area of the contact as a share of the mask's largest section parallel to it.
    """
    sides = {}
    for axis in range(3):
        direction = geometry.matrix[:, axis]
        lps = int(np.abs(direction).argmax())
        areas = mask.sum(axis=tuple({0, 1, 2} - {2 - axis}))
        for end in (0, -1):
            if areas[end]:
                sides[SIDES[lps][int((end == -1) == (direction[lps] > 0))]] = float(areas[end] / areas.max())
    return sides


def largest_component(mask: Mask) -> Mask:
    """Return the largest face-connected component; an empty mask stays empty."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.reshape(-1))
    sizes[0] = 0
    return np.asarray(labels == int(sizes.argmax()))


def solid(mask: Mask) -> Mask:
    """Return the largest face-connected component with the holes that it encloses filled; an empty mask stays empty."""
    component = largest_component(mask)
    if not component.any():
        return component
    box = ndimage.find_objects(component.astype(np.uint8))[0]
    filled = component.copy()
    filled[box] = ndimage.binary_fill_holes(component[box])
    return filled


def _near(target: Mask, voxels: int) -> Mask:
    """Return what lies within `voxels` of a voxel of `target`."""
    squared = np.where(target, 0, voxels * voxels + 1).astype(np.uint16)
    for axis in range(3):
        squared = _spread(squared, axis, np.arange(voxels + 1, dtype=np.uint16) ** 2)
    return squared <= voxels * voxels


def _spread(squared: NDArray[Any], axis: int, steps: NDArray[Any]) -> NDArray[Any]:
    """Add one more axis to squared distances (z, y, x); `steps` are those of 0, 1, ... voxels along it, squared."""
    source, result = np.moveaxis(squared, axis, 0), squared.copy()
    goal = np.moveaxis(result, axis, 0)
    for apart in range(1, min(len(steps), len(goal))):
        np.minimum(goal[apart:], source[:-apart] + steps[apart], out=goal[apart:])
        np.minimum(goal[:-apart], source[apart:] + steps[apart], out=goal[:-apart])
    return result
