"""What happens to a scan between the file and the network.

The network always sees a grid along the patient's LPS axes with the voxels that its card names: an atrium that lies
turned in an oblique scan is turned back, and a flipped or permuted file gives the very same input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry, Triple
from mtctl.preprocessing.region_of_interest import Box, RegionError

#: Voxels (x, y, z) in mm that networks are trained at unless said otherwise. The site of the training data acquires
#: 1.25 x 1.25 x 2.5 mm and interpolates twofold along each axis, so nothing that was measured is lost at that size.
GRID_MM: Triple = (1.25, 1.25, 2.5)

#: Maps that differ by less anywhere in the volume are one map: 0.006 mm at 0.625 mm, and a hundred times the rounding
#: of float32 headers (NIfTI) over 640 voxels.
SAME_VOXEL = 0.01

# Below this relative difference a scan's own spacing is taken as it is: 1.25 in float32 or rounded to four digits.
_SAME_SPACING = 1e-4

# A left atrium is at least 42 mm across along every axis; less than half of it cannot be told from other vessels.
_SMALLEST_REGION_MM = 20.0

_Scalar = TypeVar("_Scalar", bound=np.generic)


def canonical_geometry(geometry: Geometry, spacing: Triple = GRID_MM, box: Box | None = None) -> Geometry:
    """Return the grid along the LPS axes on which the network sees a scan, or the part of the scan in `box`.

    For a scan whose axes are LPS axes in any order and direction, axes that have `spacing` already (to 1e-4) keep their
    voxel centres and their own spacing; the others get a grid of `spacing`, centred, whose voxels cover the scan's
    voxel centres. For an oblique scan the grid fills the LPS box of its voxel centres.

    Args:
        geometry: Grid of the scan.
        spacing: Voxel size of the grid along LPS x, y, z, mm.
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
    """Return which axes of the scan lie along LPS; None for an oblique scan."""
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
    """Return how many voxels of `spacing` fit with their centres into `span` mm.

    The rest lies under the outer half voxels.
    """
    return math.floor(span / spacing + 1e-6) + 1


def _part_in(grid: Geometry, box: Box) -> Geometry:
    """Return the voxels of an LPS grid whose centres lie in the box."""
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
