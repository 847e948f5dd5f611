"""The elements of a DICOM file: what its header says, where its voxels are, and what a slice must say of itself."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mtctl.geometry import VolumeError

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

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
GE_BIG_ENDIAN = "1.2.840.113619.5.2"  # a private one: header in little endian, voxels in big endian
#: Voxels as they are, one after the other.
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, GE_BIG_ENDIAN)

_BINARY = {b"FD": "d", b"FL": "f", b"SL": "i", b"SS": "h", b"UL": "I", b"US": "H"}


@dataclass
class Elements:
    """A data set, or an item of a sequence.

    Attributes:
        values: Kind of value (VR; b"" where the file does not say it) and bytes of each element, by its tag.
        sequences: Items of each sequence, by its tag.
        order: "<" or ">", of numbers in the bytes.
    """

    order: str = "<"
    values: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    sequences: dict[int, list[Elements]] = field(default_factory=dict)

    def __contains__(self, tag: int) -> bool:
        return tag in self.values

    def raw(self, tag: int) -> bytes:
        """Return the value as it is in the file; b"" where there is none."""
        return self.values.get(tag, (b"", b""))[1]

    def text(self, tag: int) -> str:
        """Return the value as text; "" where there is none. Only for what is ASCII by the standard."""
        return self.raw(tag).decode("latin-1").strip(" \0")

    def numbers(self, tag: int) -> list[float]:
        """Return the numbers in an element, whatever kind it says it is; [] where there are none that can be read."""
        kind, value = self.values.get(tag, (b"", b""))
        if code := _BINARY.get(kind):
            count = len(value) // struct.calcsize(code)
            return list(struct.unpack(f"{self.order}{count}{code}", value[: count * struct.calcsize(code)]))
        try:
            return [float(part) for part in self.text(tag).split("\\") if part.strip()]
        except ValueError:
            return []

    def integer(self, tag: int, otherwise: int) -> int:
        """Return the one whole number in an element of kind US; `otherwise` where there is none."""
        kind, value = self.values.get(tag, (b"", b""))
        if kind in (b"", b"UN") and len(value) in (2, 4):  # implicit, or from an archive that does not know it
            return int(struct.unpack(self.order + ("H" if len(value) == 2 else "I"), value)[0])
        return self.count(tag, otherwise)

    def count(self, tag: int, otherwise: int) -> int:
        """Return the one whole number in an element that is written as text (IS); `otherwise` where there is none."""
        numbers = self.numbers(tag)
        return int(numbers[0]) if numbers and math.isfinite(numbers[0]) else otherwise

    def items(self, tag: int) -> list[Elements]:
        """Return the items of a sequence; [] where there is none."""
        return self.sequences.get(tag, [])


@dataclass(frozen=True)
class PixelData:
    """Where the voxels of a file are.

    Attributes:
        offset: Of the first byte, in the file (in what it inflates to, where it is deflated).
        length: Number of bytes that are there; of the fragments together, where they are compressed.
        said: Number of bytes that should be there.
        fragments: (offset, length) of each, without the table of offsets; empty where the voxels are not compressed.
    """

    offset: int
    length: int
    said: int
    fragments: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class DicomHeader:
    """What a DICOM file says before its voxels.

    Attributes:
        syntax: UID of the transfer syntax.
        elements: Its data set.
        pixels: Where the voxels are; None where there are none.
    """

    syntax: str
    elements: Elements
    pixels: PixelData | None

    @property
    def order(self) -> str:
        """ "<" or ">", of the voxels."""
        return ">" if self.syntax in (BIG_ENDIAN, GE_BIG_ENDIAN) else "<"


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
