"""Multi-frame DICOM, such as enhanced MR: all slices in one file, each with its own place and scale.

GDCM reads such files too, but takes the places of all frames from the first two and one scale for all: wrong where
frames are in another order than in space, or scaled one by one.
"""

from __future__ import annotations

from pathlib import Path

from mtctl.errors import counted
from mtctl.geometry import VolumeError
from mtctl.io.dicom.elements import (
    FRAMES,
    ORIENTATION,
    PIXEL_SPACING,
    POSITION,
    SLOPE,
    DicomHeader,
    Elements,
    required,
    scale_of,
    size_of,
)
from mtctl.io.dicom.slices import Slice

_PER_FRAME = 0x52009230
_SHARED = 0x52009229
_PLANE_POSITION = 0x00209113
_PLANE_ORIENTATION = 0x00209116
_MEASURES = 0x00289110
_TRANSFORMATION = 0x00289145
_CONTENT = 0x00209111

# What tells several frames of one place apart, as it is called in messages: group and element.
_MARKS = (
    ("stacks", _CONTENT, 0x00209056),
    ("time points", _CONTENT, 0x00209128),
    ("cardiac phases", 0x00189118, 0x00209241),
    ("echo times", 0x00189114, 0x00189082),
    ("kinds of image", 0x00189226, 0x00089007),
)


def is_multiframe(header: DicomHeader) -> bool:
    """Return whether what each slice says is in a list of frames; a file of enhanced MR may have only one."""
    return header.elements.count(FRAMES, 1) > 1 or bool(header.elements.items(_PER_FRAME))


def frame_places(header: DicomHeader, file: Path) -> list[Slice]:
    """Return where the frames of a file lie, in the order of the file.

    Raises:
        VolumeError: They do not say it.
    """
    count = max(1, header.elements.count(FRAMES, 1))
    own = header.elements.items(_PER_FRAME)
    if own and len(own) != count:
        raise VolumeError(
            f"{file.name} describes {len(own)} of its {counted(count, 'frame')} and is damaged; copy or export it again"
        )
    shared = header.elements.items(_SHARED)[:1]
    return [_place(header, file, number, own[number : number + 1] + shared) for number in range(count)]


def _place(header: DicomHeader, file: Path, number: int, groups: list[Elements]) -> Slice:
    position, orientation = _group(groups, _PLANE_POSITION), _group(groups, _PLANE_ORIENTATION)
    measures = _group(groups, _MEASURES)
    if position is None or orientation is None or measures is None:
        raise VolumeError(
            f"the frames of {file.name} have no place in space (a film or a screenshot); export the scan itself"
        )
    spacing = required(measures, PIXEL_SPACING, file)
    x, y, z = required(position, POSITION, file)
    a, b, c, d, e, f = required(orientation, ORIENTATION, file)
    scale = _group(groups, _TRANSFORMATION)
    if scale is not None and SLOPE not in scale:
        raise VolumeError(f"{file.name} has a frame without its scale (0028,1053) and is damaged; export it again")
    slope, intercept = scale_of(header.elements if scale is None else scale, file)
    return Slice(
        file=file,
        frame=number,
        size=size_of(header),
        spacing=(spacing[1], spacing[0]),
        position=(x, y, z),
        orientation=(a, b, c, d, e, f),
        slope=slope,
        intercept=intercept,
        marks={name: mark for name, kind, tag in _MARKS if (mark := _mark(_group(groups, kind), tag))},
    )


def _group(groups: list[Elements], name: int) -> Elements | None:
    """Return a functional group of a frame, its own or the one that all share; None where there is neither."""
    return next((items[0] for group in groups if (items := group.items(name))), None)


def _mark(group: Elements | None, tag: int) -> bytes:
    return b"" if group is None else group.raw(tag)
