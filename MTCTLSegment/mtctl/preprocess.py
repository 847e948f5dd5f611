"""What happens to a scan between the file and the network, and the way back.

The network always sees a grid along the patient's LPS axes with 0.625 mm, the grid of the training data: an atrium that
lies turned in an oblique scan is turned back, and a flipped or permuted file gives the very same input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Triple
from mtctl.resample import SAME_VOXEL

#: Isotropic spacing of the training data and of the network's input, mm.
NETWORK_SPACING = 0.625

# Below this relative difference a scan's own spacing is taken as it is: 0.625 in float32 or rounded to four digits.
_SAME_SPACING = 1e-4

# 16 voxels at 0.625 mm, the least that the network takes; an atrium is 40 to 60 mm across.
_SMALLEST_REGION_MM = 10.0

_PIECE = 1 << 20

_Scalar = TypeVar("_Scalar", bound=np.generic)


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
        """Box from "x0,x1,y0,y1,z0,z1".

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
    def of(cls, geometry: Geometry) -> Box:
        """The smallest box that holds all voxels of a grid to their outer edges."""
        corners = geometry.index_to_physical(list(product(*[(-0.5, count - 0.5) for count in geometry.size])))
        (x0, y0, z0), (x1, y1, z1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return cls(x0, x1, y0, y1, z0, z1)

    @classmethod
    def around(cls, mask: NDArray[np.bool_], geometry: Geometry) -> Box:
        """The box of the voxels that are set in `mask` (z, y, x) on `geometry`.

        Raises:
            RegionError: No voxel is set.
        """
        spans = [np.flatnonzero(mask.any(axis=axes)) for axes in ((0, 1), (0, 2), (1, 2))]
        if not all(len(span) for span in spans):
            raise RegionError("no voxel to put a region around")
        x, y, z = ((int(span[0]), int(span[-1]) - int(span[0]) + 1) for span in spans)
        return cls.of(geometry.window((x[0], y[0], z[0]), (x[1], y[1], z[1])))

    def expanded(self, margin: float) -> Box:
        """The box with `margin` mm more on every side."""
        low, high = (value - margin for value in self.low), (value + margin for value in self.high)
        (x0, y0, z0), (x1, y1, z1) = low, high
        return Box(x0, x1, y0, y1, z0, z1)

    def clipped(self, geometry: Geometry) -> Box:
        """The part of the box that lies in a scan.

        Raises:
            RegionError: They do not overlap.
        """
        whole = Box.of(geometry)
        x0, y0, z0 = (max(a, b) for a, b in zip(self.low, whole.low, strict=True))
        x1, y1, z1 = (min(a, b) for a, b in zip(self.high, whole.high, strict=True))
        if not (x0 < x1 and y0 < y1 and z0 < z1):
            raise RegionError(f"region {self} lies outside the scan, which spans {whole} (mm, LPS)")
        return Box(x0, x1, y0, y1, z0, z1)


def canonical_geometry(geometry: Geometry, spacing: float = NETWORK_SPACING, box: Box | None = None) -> Geometry:
    """The grid along the LPS axes on which the network sees a scan, or the part of the scan in `box`.

    For a scan whose axes are LPS axes in any order and direction, axes that have `spacing` already (to 1e-4) keep their
    voxel centres and their own spacing; the others get a grid of `spacing`, centred, whose voxels cover the scan's
    voxel centres. For an oblique scan the grid fills the LPS box of its voxel centres.

    Raises:
        RegionError: `box` lies outside the scan or leaves less than 10 mm of it.
    """
    axes = _lps_axes(geometry)
    if axes is None:
        low, high = np.array(geometry.extent()).T
        counts = [_count(span, spacing) for span in high - low]
        steps = [spacing] * 3
        origin = (low + high - (np.array(counts) - 1) * spacing) / 2
    else:
        counts, steps, lead = [], [], []
        for source in axes.order:
            have, step = geometry.size[source], geometry.spacing[source]
            own = abs(step / spacing - 1) <= _SAME_SPACING
            counts.append(have if own else _count((have - 1) * step, spacing))
            steps.append(step if own else spacing)
            lead.append(0.0 if own else ((have - 1) * step - (counts[-1] - 1) * spacing) / 2)
        origin = geometry.index_to_physical(axes.first) + lead
    x, y, z = origin.tolist()
    grid = Geometry((counts[0], counts[1], counts[2]), (steps[0], steps[1], steps[2]), (x, y, z))
    return grid if box is None else _part_in(grid, box.clipped(geometry))


def normalise(array: NDArray[np.float32], inside: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """z-score over what the network sees, the benchmark's convention: (value - mean) / population standard deviation.

    Args:
        array: (z, y, x).
        inside: The voxels that count for mean and deviation; None for all. The others are scaled alike.

    Returns:
        A new array, float32 (z, y, x).

    Raises:
        RegionError: All voxels that count have one value.
    """
    counted = array.reshape(-1) if inside is None else array[inside]
    if not counted.size:
        raise RegionError("the region holds nothing of the scan; choose another region")
    # Piece by piece in double: as exact as a double copy of all 36 million voxels of a thorax, without making one.
    pieces = [counted[start : start + _PIECE] for start in range(0, counted.size, _PIECE)]
    mean = sum(float(piece.sum(dtype=np.float64)) for piece in pieces) / counted.size
    variance = sum(float(np.square(piece - mean, dtype=np.float64).sum()) for piece in pieces) / counted.size
    if not variance > 0:
        raise RegionError("all voxels in the region have the same value; choose another region")
    result = array - np.float32(mean)
    result /= np.float32(math.sqrt(variance))
    return result


def halve(array: NDArray[np.floating]) -> NDArray[np.float32]:
    """The array at twice the spacing: means of blocks of 2x2x2 voxels; odd sizes repeat their last voxel first.

    Args:
        array: (..., z, y, x).

    Returns:
        float32 (..., ceil(z/2), ceil(y/2), ceil(x/2)), on the grid `halved`.
    """
    odd = [(0, 0)] * (array.ndim - 3) + [(0, count % 2) for count in array.shape[-3:]]
    even = np.pad(array, odd, mode="edge") if any(after for _, after in odd) else array
    total = sum(even[..., z::2, y::2, x::2].astype(np.float32) for z, y, x in product((0, 1), repeat=3))
    return np.asarray(total * np.float32(0.125), dtype=np.float32)


def coarsened(array: NDArray[np.floating], spacing: float) -> NDArray[np.float32]:
    """A volume on the `NETWORK_SPACING` grid, halved until its voxels are `spacing` mm large."""
    coarse = np.asarray(array, dtype=np.float32)
    for _ in range(round(math.log2(spacing / NETWORK_SPACING))):
        coarse = halve(coarse)
    return coarse


def refined(coarse: NDArray[np.float32], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Linear interpolation back to the grid of `shape` that was halved once into `coarse`; none where it was not."""
    if coarse.shape == shape:
        return coarse
    fine = functional.interpolate(torch.from_numpy(coarse)[None, None], scale_factor=2, mode="trilinear")[0, 0].numpy()
    return fine[: shape[0], : shape[1], : shape[2]]


def halved(geometry: Geometry) -> Geometry:
    """The grid of `halve`: twice the spacing, its first centre half a fine voxel further in along each axis."""
    x, y, z = geometry.index_to_physical((0.5, 0.5, 0.5)).tolist()
    nx, ny, nz = ((count + 1) // 2 for count in geometry.size)
    sx, sy, sz = (2 * step for step in geometry.spacing)
    return Geometry((nx, ny, nz), (sx, sy, sz), (x, y, z), geometry.direction)


def pad_to_multiple(array: NDArray[_Scalar], multiple: int = 16) -> tuple[NDArray[_Scalar], tuple[slice, slice, slice]]:
    """Repeat the outer voxels until every axis is a multiple of `multiple`, split evenly between both sides.

    Args:
        array: (z, y, x).
        multiple: 16, since the encoder halves four times.

    Returns:
        The padded array and the slices that take the original out of it (or out of anything of its shape).
    """
    missing = [-count % multiple for count in array.shape]
    padded = np.pad(array, [(m // 2, m - m // 2) for m in missing], mode="edge")
    z, y, x = (slice(m // 2, m // 2 + count) for m, count in zip(missing, array.shape, strict=True))
    return padded, (z, y, x)


@dataclass(frozen=True)
class _LpsAxes:
    """For each LPS axis the axis of the scan along it, and the scan's voxel at the low end of all three."""

    order: tuple[int, ...]
    first: tuple[int, ...]


def _lps_axes(geometry: Geometry) -> _LpsAxes | None:
    """None for an oblique scan."""
    reach = geometry.matrix * (np.array(geometry.size) - 1) * geometry.spacing  # columns: mm along each LPS axis
    order = np.abs(geometry.matrix).argmax(axis=1)
    for lps, source in enumerate(order):
        drift = np.abs(reach[lps]).sum() - abs(reach[lps, source])
        if drift > SAME_VOXEL * min(geometry.spacing):
            return None
    first = [0, 0, 0]
    for lps, source in enumerate(order):
        if geometry.matrix[lps, source] < 0:
            first[source] = geometry.size[source] - 1
    return _LpsAxes(tuple(order.tolist()), tuple(first))


def _count(span: float, spacing: float) -> int:
    """How many voxels of `spacing` fit with their centres into `span` mm; the rest lies under the outer half voxels."""
    return math.floor(span / spacing + 1e-6) + 1


def _part_in(grid: Geometry, box: Box) -> Geometry:
    """The voxels of an LPS grid whose centres lie in the box."""
    start: list[int] = []
    size: list[int] = []
    for axis in range(3):
        low = math.ceil((box.low[axis] - grid.origin[axis]) / grid.spacing[axis] - 1e-6)
        high = math.floor((box.high[axis] - grid.origin[axis]) / grid.spacing[axis] + 1e-6)
        low, high = max(low, 0), min(high, grid.size[axis] - 1)
        count = high - low + 1
        if count < grid.size[axis] and count * grid.spacing[axis] < _SMALLEST_REGION_MM:
            raise RegionError(
                f"region {box} leaves less than {_SMALLEST_REGION_MM:g} mm of the scan along {'xyz'[axis]}; enlarge it"
            )
        start.append(low)
        size.append(count)
    return grid.window((start[0], start[1], start[2]), (size[0], size[1], size[2]))
