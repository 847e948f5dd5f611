"""The region of interest: the box of a scan, in the patient's LPS space, at which the network looks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Mask, Triple


class RegionError(MtctlError):
    """A region of interest that cannot be used."""


@dataclass(frozen=True)
class Box:
    """A region of interest: planes in LPS mm, along the outer edges (not the centres) of the voxels inside."""

    x0: float
    x1: float
    y0: float
    y1: float
    z0: float
    z1: float

    def __post_init__(self) -> None:
        for axis, low, high in zip("xyz", self.low, self.high, strict=True):
            if not low < high:
                raise RegionError(f"region {self}: {axis}0 = {low:g} must be below {axis}1 = {high:g}")

    def __str__(self) -> str:
        return ",".join(f"{value:g}" for pair in zip(self.low, self.high, strict=True) for value in pair)

    @property
    def low(self) -> Triple:
        return self.x0, self.y0, self.z0

    @property
    def high(self) -> Triple:
        return self.x1, self.y1, self.z1

    @classmethod
    def parse(cls, text: str) -> Box:
        """Return the box from "x0,x1,y0,y1,z0,z1".

        Raises:
            RegionError: Not six finite numbers, or a lower bound that is not below its upper one.
        """
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != 6 or not all(math.isfinite(number) for number in numbers):
            raise RegionError(f'region "{text}": expected six numbers x0,x1,y0,y1,z0,z1 in mm (LPS)')
        return cls(*numbers)

    @classmethod
    def parse_region(cls, text: str) -> Box | str:
        """Return which region a person or a request asks for.

        Args:
            text: "auto" to search it, "none" for the whole scan, or six numbers as for `parse`.

        Returns:
            The first two as they are, six numbers as a box.

        Raises:
            RegionError: As `parse`.
        """
        return text if text in ("auto", "none") else cls.parse(text)

    @classmethod
    def of(cls, geometry: Geometry) -> Box:
        """Return the smallest box that holds all voxels of a grid to their outer edges."""
        corners = geometry.index_to_physical(list(product(*[(-0.5, count - 0.5) for count in geometry.size])))
        (x0, y0, z0), (x1, y1, z1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return cls(x0, x1, y0, y1, z0, z1)

    @classmethod
    def around(cls, mask: Mask, geometry: Geometry) -> Box:
        """Return the box of the voxels that are set in `mask` (z, y, x) on `geometry`.

        Raises:
            RegionError: No voxel is set.
        """
        spans = [np.flatnonzero(mask.any(axis=axes)) for axes in ((0, 1), (0, 2), (1, 2))]
        if not all(len(span) for span in spans):
            raise RegionError("no voxel to put a region around")
        x, y, z = ((int(span[0]), int(span[-1]) - int(span[0]) + 1) for span in spans)
        return cls.of(geometry.window((x[0], y[0], z[0]), (x[1], y[1], z[1])))

    def expanded(self, margin: float | Triple) -> Box:
        """Return the box with `margin` mm more on every side; three numbers for x, y and z."""
        margins = (margin,) * 3 if isinstance(margin, int | float) else margin
        x0, y0, z0 = (value - more for value, more in zip(self.low, margins, strict=True))
        x1, y1, z1 = (value + more for value, more in zip(self.high, margins, strict=True))
        return Box(x0, x1, y0, y1, z0, z1)

    def clipped(self, geometry: Geometry) -> Box:
        """Return the part of the box that lies in a scan.

        Raises:
            RegionError: They do not overlap.
        """
        whole = Box.of(geometry)
        x0, y0, z0 = (max(a, b) for a, b in zip(self.low, whole.low, strict=True))
        x1, y1, z1 = (min(a, b) for a, b in zip(self.high, whole.high, strict=True))
        if not (x0 < x1 and y0 < y1 and z0 < z1):
            raise RegionError(f"region {self} lies outside the scan, which spans {whole} (mm, LPS)")
        return Box(x0, x1, y0, y1, z0, z1)


def window_of(box: Box, geometry: Geometry) -> tuple[slice, slice, slice]:
    """Return the voxels (z, y, x) of a grid whose centres lie in a box; at least one along each axis."""
    corners = [(x, y, z) for x in (box.x0, box.x1) for y in (box.y0, box.y1) for z in (box.z0, box.z1)]
    index = geometry.physical_to_index(corners)
    spans = []
    for low, high, count in zip(index.min(axis=0).tolist(), index.max(axis=0).tolist(), geometry.size, strict=True):
        first = min(max(math.ceil(low - 1e-6), 0), count - 1)
        spans.append(slice(first, min(max(math.floor(high + 1e-6) + 1, first + 1), count)))
    x, y, z = spans
    return z, y, x
