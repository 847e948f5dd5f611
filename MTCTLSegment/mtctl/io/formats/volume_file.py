"""What a file of any format tells of its volume before its voxels are read, and the checks that all formats share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mtctl.geometry import Geometry, VolumeError

CUT_OFF = "the file is cut off or damaged; copy or export it again"
DAMAGED_HEADER = "its header is damaged; copy or export it again"

# 1024 x 1024 x 512: more than any scan of a heart has. What claims to be larger is no such scan, or damaged; reading it
# would take all memory and end the process.
_MOST_VOXELS = 1 << 29


@dataclass(frozen=True)
class VolumeFile:
    """A volume file whose header was read and found good.

    Attributes:
        geometry: The grid, LPS mm.
        oriented: Whether the file says how the patient lies. Exports from plain arrays do not.
        remarks: What a person should know of the header, in sentences; none where nothing is odd.
        read_voxels: Reads the voxels, (z, y, x), in the file's own type and this machine's byte order. It raises
            VolumeError where they are not all there or not what was written, MemoryError where they do not fit.
    """

    geometry: Geometry
    oriented: bool
    remarks: tuple[str, ...]
    read_voxels: Callable[[], NDArray[Any]]


def check_count(sizes: Sequence[float]) -> None:
    """Raise where there are more voxels than a scan of a heart can have.

    Raises:
        VolumeError: There are.
    """
    if math.prod(sizes) > _MOST_VOXELS:
        raise VolumeError(f"{listed(sizes)} voxels cannot be a scan of a heart; crop it, or export it again")


def check_spacing(spacing: Sequence[float]) -> None:
    """Raise where a header gives no usable spacing.

    Raises:
        VolumeError: There are not three numbers, or one is not finite or 0.
    """
    if len(spacing) != 3 or not all(math.isfinite(number) for number in spacing):
        raise VolumeError("the voxel spacing is missing from the file; export the scan again with its spacing in mm")
    if not all(spacing):
        raise VolumeError(f"the voxel spacing is 0 ({listed(spacing)}); export the scan again with its spacing in mm")


def listed(numbers: Sequence[float]) -> str:
    """Return numbers as people write sizes: 20 x 18 x 16."""
    return " x ".join(f"{number:g}" for number in numbers)
