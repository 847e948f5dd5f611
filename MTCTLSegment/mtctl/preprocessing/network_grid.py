"""What happens to a scan between the file and the network.

The network always sees a grid along the patient's LPS axes with the voxels that its card names: an atrium that lies
turned in an oblique scan is turned back, and a flipped or permuted file gives the very same input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Triple
from mtctl.preprocessing.resampling import SAME_VOXEL

#: Voxels (x, y, z) in mm that networks are trained at unless said otherwise. The site of the training data acquires
#: 1.25 x 1.25 x 2.5 mm and interpolates twofold along each axis, so nothing that was measured is lost at that size.
GRID_MM: Triple = (1.25, 1.25, 2.5)

# Below this relative difference a scan's own spacing is taken as it is: 1.25 in float32 or rounded to four digits.
_SAME_SPACING = 1e-4

# A left atrium is at least 42 mm across along every axis; less than half of it cannot be told from other vessels.
_SMALLEST_REGION_MM = 20.0

# What lies outside these percentiles counts as much as the percentile itself. Six columns of 190 or three slices of 88
# that hold nonsense are 3.5 %; a few wild voxels are far less.
_STATISTICS_PERCENTILES = (5.0, 95.0)

# How far beyond those percentiles values may lie, as a multiple of the distance between them; the rest is cut off. In
# the 80 training scans 0.02 % of the voxels are.
_KEPT_BEYOND = 1.5

# A flat patch of 3 x 3 x 3 voxels is no tissue: even air has noise. From this share of a scan on it is padding.
_PADDING_SHARE = 0.001

# A network that halves four times sees nothing in less.
_FEWEST_VOXELS = 16

# Standard deviation of a normal distribution winsorised at its 5th and 95th percentile.
_WINSORISED_DEVIATION = 0.9118

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

    def expanded(self, margin: float | Triple) -> Box:
        """The box with `margin` mm more on every side; three numbers for x, y and z."""
        margins = (margin,) * 3 if isinstance(margin, int | float) else margin
        x0, y0, z0 = (value - more for value, more in zip(self.low, margins, strict=True))
        x1, y1, z1 = (value + more for value, more in zip(self.high, margins, strict=True))
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


def canonical_geometry(geometry: Geometry, spacing: Triple = GRID_MM, box: Box | None = None) -> Geometry:
    """The grid along the LPS axes on which the network sees a scan, or the part of the scan in `box`.

    For a scan whose axes are LPS axes in any order and direction, axes that have `spacing` already (to 1e-4) keep their
    voxel centres and their own spacing; the others get a grid of `spacing`, centred, whose voxels cover the scan's
    voxel centres. For an oblique scan the grid fills the LPS box of its voxel centres.

    Args:
        geometry: Of the scan.
        spacing: Of the grid's voxels along LPS x, y, z, in mm.
        box: The part to take; None: all.

    Raises:
        RegionError: `box` lies outside the scan or leaves less than 20 mm of it.
    """
    axes = _lps_axes(geometry)
    if axes is None:
        low, high = np.array(geometry.extent()).T
        counts = [_count(span, wanted) for span, wanted in zip(high - low, spacing, strict=True)]
        steps = list(spacing)
        origin = (low + high - (np.array(counts) - 1) * spacing) / 2
    else:
        counts, steps, lead = [], [], []
        for source, wanted in zip(axes.order, spacing, strict=True):
            have, step = geometry.size[source], geometry.spacing[source]
            own = abs(step / wanted - 1) <= _SAME_SPACING
            counts.append(have if own else _count((have - 1) * step, wanted))
            steps.append(step if own else wanted)
            lead.append(0.0 if own else ((have - 1) * step - (counts[-1] - 1) * wanted) / 2)
        origin = geometry.index_to_physical(axes.first) + lead
    x, y, z = origin.tolist()
    grid = Geometry((counts[0], counts[1], counts[2]), (steps[0], steps[1], steps[2]), (x, y, z))
    return grid if box is None else _part_in(grid, box.clipped(geometry))


def normalise(array: NDArray[np.float32], inside: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Robust z-score over what the network sees: (value - mean) / standard deviation, both winsorised.

    The benchmark's z-score takes all values as they are; five wild voxels or a strip of padding then decide the scale.
    Here padding is left out, values beyond the 5th and 95th percentile count as those percentiles, and what lies far
    beyond them is cut off. For a normal distribution the result is the plain z-score.

    Args:
        array: (z, y, x).
        inside: The voxels that count for mean and deviation; None for all. The others are scaled alike.

    Returns:
        A new array, float32 (z, y, x).

    Raises:
        RegionError: All voxels that count have one value.
    """
    counted = array[_counted(array, inside)]
    low, high = _limits(counted)
    if low < high:
        # Once more without what lies far outside: then it does not shift the percentiles either.
        counted = counted[(counted >= low) & (counted <= high)]
        low, high = _limits(counted)
    mean, deviation = _moments(counted)
    if not deviation > 0:
        raise RegionError("all voxels in the region have the same value; choose another region")
    result = np.clip(array, np.float32(low), np.float32(high))
    result -= np.float32(mean)
    result /= np.float32(deviation)
    return result


@dataclass(frozen=True)
class IntensityRemark:
    """What `normalise` left out of a scan, as shares of its voxels (0..1).

    Attributes:
        padding: Flat voxels that no scanner measures.
        cut_off: Voxels so far from the others that they were cut off.
    """

    padding: float
    cut_off: float


def intensity_remark(array: NDArray[np.float32], inside: NDArray[np.bool_] | None = None) -> IntensityRemark:
    """What `normalise` does with the values of a scan; arguments as there."""
    whole = int(inside.sum()) if inside is not None else array.size
    counted = array[_counted(array, inside)]
    low, high = _limits(counted)
    wild = int(np.count_nonzero((counted < low) | (counted > high))) if low < high else 0
    return IntensityRemark(1 - counted.size / whole, wild / counted.size)


def measured_window(array: NDArray[np.float32], inside: NDArray[np.bool_] | None) -> tuple[slice, slice, slice]:
    """The part (z, y, x) of a grid in which a scan holds more than padding: an oblique scan fills its box by half.

    Arguments as for `normalise`; all of it where less than 16 voxels would be left along an axis.
    """
    counted = _counted(array, inside)
    spans = [np.flatnonzero(counted.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    z, y, x = (slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    if min(part.stop - part.start for part in (z, y, x)) < _FEWEST_VOXELS:
        return slice(None), slice(None), slice(None)
    return z, y, x


def _limits(counted: NDArray[np.float32]) -> tuple[float, float]:
    """Beyond what values are cut off."""
    low, high = np.percentile(counted, _STATISTICS_PERCENTILES)
    if low == high:  # Nine tenths of it are one value: what there is to see lies in the rest.
        return float(counted.min()), float(counted.max())
    reach = _KEPT_BEYOND * (high - low)
    return float(low - reach), float(high + reach)


def _counted(array: NDArray[np.float32], inside: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """The voxels that tell the scan's grey levels: inside, and no padding.

    Raises:
        RegionError: There are none.
    """
    counted = np.ones(array.shape, bool) if inside is None else inside
    if not counted.any():
        raise RegionError("the region holds nothing of the scan; choose another region")
    flat = ndimage.maximum_filter(array, 3) == ndimage.minimum_filter(array, 3)
    if _PADDING_SHARE * array.size < flat.sum() < 0.95 * array.size:
        # The flat voxels' neighbours have the same value and are padding, too.
        measured = counted & ~ndimage.binary_dilation(flat, np.ones((3, 3, 3)))
        return measured if measured.any() else counted
    return counted


def _moments(counted: NDArray[np.float32]) -> tuple[float, float]:
    """Winsorised mean and deviation; the deviation as a normal distribution would have it without that."""
    low, high = np.percentile(counted, _STATISTICS_PERCENTILES)
    if low == high:
        return float(counted.mean(dtype=np.float64)), float(counted.std(dtype=np.float64))
    kept = np.clip(counted, low, high)
    return float(kept.mean(dtype=np.float64)), float(kept.std(dtype=np.float64)) / _WINSORISED_DEVIATION


def window_of(box: Box, geometry: Geometry) -> tuple[slice, slice, slice]:
    """The voxels (z, y, x) of a grid whose centres lie in a box; at least one along each axis."""
    corners = [(x, y, z) for x in (box.x0, box.x1) for y in (box.y0, box.y1) for z in (box.z0, box.z1)]
    index = geometry.physical_to_index(corners)
    spans = []
    for low, high, count in zip(index.min(axis=0).tolist(), index.max(axis=0).tolist(), geometry.size, strict=True):
        first = min(max(math.ceil(low - 1e-6), 0), count - 1)
        spans.append(slice(first, min(max(math.floor(high + 1e-6) + 1, first + 1), count)))
    x, y, z = spans
    return z, y, x


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
