"""What a scan must be like to be segmented, whatever it was read from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.errors import counted
from mtctl.geometry import Geometry, VolumeError
from mtctl.preprocessing.network_grid import GRID_MM

#: The encoder halves the volume four times; below 16 voxels nothing is left at its bottom.
SMALLEST_SIZE = 16

# Finer than a microscope or coarser than a heart: metres or micrometres written where millimetres belong.
_PLAUSIBLE_SPACING_MM = (0.02, 50.0)

# More than a whole body: what is larger is in another unit than it says, and would take all memory when it is
# resampled for the network. Whole-body scans, 550 x 550 x 1900 mm, pass.
_LARGEST_MM = 2000.0
_MOST_VOXELS = 150_000_000


def check_grid(geometry: Geometry) -> None:
    """Raise where the grid cannot be a heart scan's.

    Raises:
        VolumeError: It has fewer than `SMALLEST_SIZE` voxels along an axis, its spacing cannot be in millimetres, or it
            is larger than a patient.
    """
    for axis, count, spacing in zip("xyz", geometry.size, geometry.spacing, strict=True):
        if count < SMALLEST_SIZE:
            raise VolumeError(
                f"only {counted(count, 'voxel')} along {axis}; the network needs at least {SMALLEST_SIZE} along every "
                "axis"
            )
        if not _PLAUSIBLE_SPACING_MM[0] <= spacing <= _PLAUSIBLE_SPACING_MM[1]:
            raise VolumeError(
                f"a voxel spacing of {spacing:g} mm along {axis} cannot be right; is the file in mm?"
                " If not, say what is true (--spacing x,y,z)"
            )
    lengths = [count * spacing for count, spacing in zip(geometry.size, geometry.spacing, strict=True)]
    if max(lengths) > _LARGEST_MM or math.prod(lengths) / math.prod(GRID_MM) > _MOST_VOXELS:
        listed = " x ".join(f"{length:.0f}" for length in lengths)
        raise VolumeError(
            f"a scan of {listed} mm is larger than a patient; is the file in mm? If not, say what is true"
            " (--spacing x,y,z)"
        )


def check_finite(array: NDArray[Any]) -> None:
    """Raise where voxels are no numbers.

    Raises:
        VolumeError: Some are NaN or infinite.
    """
    # The sum of finite float32 voxels is finite in double, and far quicker to get than a mask of all voxels.
    with np.errstate(invalid="ignore"):  # inf - inf
        total = array.sum(dtype=np.float64)
    if not np.isfinite(total):
        count = array.size - int(np.isfinite(array).sum())
        raise VolumeError(
            f"{counted(count, 'voxel is', 'voxels are')} NaN or infinite; replace {'it' if count == 1 else 'them'}, "
            "for example by 0, and try again"
        )


def check_contrast(array: NDArray[Any]) -> None:
    """Raise where there is nothing to see.

    Raises:
        VolumeError: All voxels have one value.
    """
    if array.min() == array.max():
        raise VolumeError(f"all voxels have the same value ({array.flat[0]:g}); the scan is empty")
