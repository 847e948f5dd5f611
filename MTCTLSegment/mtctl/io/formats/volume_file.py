"""What a file of any format tells of its volume before its voxels are read, and the checks that all formats share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from mtctl.geometry import Geometry, VolumeError

CUT_OFF = "the file is cut off or damaged; copy or export it again"
DAMAGED_HEADER = "its header is damaged; copy or export it again"
#: A remark.
NO_ORIGIN = "the header does not say where the scan lies (its origin); its first voxel was taken to lie at 0, 0, 0"

# 1024 x 1024 x 512: more than any scan of a heart has. What claims to be larger is no such scan, or damaged; reading it
# would take all memory and end the process.
_MOST_VOXELS = 1 << 29

_FARTHEST_MM = 1e5

_UNITS_MM = dict.fromkeys(("", "?", "???", "none", "unknown", "mm", "millimeter", "millimeters", "millimetre"), 1.0)
_UNITS_MM |= {"millimetres": 1.0, "cm": 10.0, "centimeter": 10.0, "centimeters": 10.0, "centimetre": 10.0}
_UNITS_MM |= {"centimetres": 10.0, "m": 1e3, "meter": 1e3, "meters": 1e3, "metre": 1e3, "metres": 1e3}
_UNITS_MM |= dict.fromkeys(("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometers"), 1e-3)
_UNITS_MM |= {"in": 25.4, "inch": 25.4, "inches": 25.4}


@dataclass(frozen=True)
class VolumeFile:
    """A volume file whose header was read and found good.

    Attributes:
        geometry: The grid, LPS mm.
        oriented: Whether the file says how the patient lies. Exports from plain arrays do not.
        remarks: What a person should know of the header, in sentences; none where nothing is odd.
        read_voxels: Reads the voxels in the file's own type and this machine's byte order: (z, y, x), or
            (z, y, x, component) where there are several values a voxel. It raises VolumeError where they are not all
            there or not what was written, MemoryError where they do not fit.
        components: Number of values a voxel.
        metadata: What else the header says, by its own keys: of a segmentation that Slicer wrote, the segments.
    """

    geometry: Geometry
    oriented: bool
    remarks: tuple[str, ...]
    read_voxels: Callable[[], NDArray[Any]]
    components: int = 1
    metadata: Mapping[str, str] = field(default_factory=dict)


def check_count(sizes: Sequence[float]) -> None:
    """Raise where there are more voxels than a scan of a heart can have, or none.

    Raises:
        VolumeError: There are.
    """
    if any(size < 1 for size in sizes):
        raise VolumeError(f"{listed(sizes)} voxels are none; export the scan again from its source")
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


def check_position(origin: Sequence[float]) -> None:
    """Raise where no patient can be.

    Raises:
        VolumeError: A coordinate of the first voxel is not finite or more than 100 m.
    """
    if not all(abs(value) <= _FARTHEST_MM for value in origin):
        raise VolumeError(f"an origin of {listed(origin)} mm is impossible; export the scan again from its source")


def millimetres(unit: str) -> float:
    """Return how many millimetres a unit of length has; a header's empty or unknown unit is a millimetre.

    Raises:
        VolumeError: It is no unit of length that is known.
    """
    name = unit.strip().strip('"').strip().lower()
    if name not in _UNITS_MM:
        raise VolumeError(f"its distances are in '{unit[:40]}', which is no unit known here; save it in mm")
    return _UNITS_MM[name]


def listed(numbers: Sequence[float]) -> str:
    """Return numbers as people write sizes: 20 x 18 x 16."""
    return " x ".join(f"{number:g}" for number in numbers)
