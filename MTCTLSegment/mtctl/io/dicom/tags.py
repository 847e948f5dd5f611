"""What a slice or frame must say of itself, and how it is called where it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtctl.geometry import VolumeError
from mtctl.io.dicom.elements import DicomHeader, Elements

FRAMES = 0x00280008
ROWS = 0x00280010
COLUMNS = 0x00280011
PIXEL_SPACING = 0x00280030
POSITION = 0x00200032
ORIENTATION = 0x00200037
SLOPE = 0x00281053
INTERCEPT = 0x00281052

#: Name in messages, keyword of the standard, and how many numbers belong there.
_NAMES = {
    PIXEL_SPACING: ("voxel spacing", "PixelSpacing", 2),
    POSITION: ("position", "ImagePositionPatient", 3),
    ORIENTATION: ("orientation", "ImageOrientationPatient", 6),
    SLOPE: ("scale", "RescaleSlope", 1),
    INTERCEPT: ("offset of its values", "RescaleIntercept", 1),
}


def required(elements: Elements, tag: int, file: Path) -> list[float]:
    """Return the numbers that `elements` must have.

    Raises:
        VolumeError: They are missing, too few or too many, no numbers, or not finite; or a spacing is not positive.
    """
    name, keyword, count = _NAMES[tag]
    said = f"{keyword}, {tag >> 16:04x},{tag & 0xFFFF:04x}"
    values = elements.numbers(tag)
    if len(values) != count or not np.isfinite(values).all():
        raise VolumeError(f"{file.name} has no {name} that can be used ({said}); export the series again")
    if tag == PIXEL_SPACING and min(values) <= 0:
        raise VolumeError(f"{file.name} has a voxel spacing of 0 or less ({said}); export the series again")
    return values


def scale_of(elements: Elements, file: Path) -> tuple[float, float]:
    """Return slope and intercept from stored values to the scanner's own; 1 and 0 where they are not said.

    A slope of 0 says nothing: it is taken as 1, as GDCM and others do.

    Raises:
        VolumeError: They are no finite numbers.
    """
    slope, intercept = (
        required(elements, tag, file)[0] if elements.text(tag) else otherwise
        for tag, otherwise in ((SLOPE, 1.0), (INTERCEPT, 0.0))
    )
    return slope or 1.0, intercept


def size_of(header: DicomHeader) -> tuple[int, int]:
    """Return columns and rows."""
    return header.elements.integer(COLUMNS, 0), header.elements.integer(ROWS, 0)
