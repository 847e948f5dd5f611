"""The voxels of a DICOM file: how they are stored, whether all are there, and their values if not compressed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.errors import counted
from mtctl.geometry import VolumeError
from mtctl.io.dicom.elements import COLUMNS, FRAMES, NATIVE, ROWS, DicomHeader
from mtctl.io.dicom.parser import CutOffError, open_data

_SAMPLES = 0x00280002
_PHOTOMETRIC = 0x00280004
_ALLOCATED, _STORED, _HIGH_BIT, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103

# 1024 x 1024 x 512 voxels of 16 bits: more than any scan of a heart has.
_MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class PixelFormat:
    """How the voxels of a file are stored.

    Attributes:
        frames: Number of pictures.
        rows: Of each.
        columns: Of each.
        allocated: Bits a voxel takes.
        stored: Bits of these that count.
        high_bit: Number of the highest of these, from 0.
        signed: Whether they hold a sign.
        inverted: Whether low values are bright.
    """

    frames: int
    rows: int
    columns: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    inverted: bool

    @property
    def low_bits(self) -> int:
        """Number of bits below those that count: old scanners shifted their values to the top of a word."""
        return self.high_bit + 1 - self.stored

    @property
    def length(self) -> int:
        """Number of bytes, where they are not compressed."""
        return self.frames * self.rows * self.columns * self.allocated // 8


def pixel_format(header: DicomHeader) -> PixelFormat:
    """Return how the voxels are stored, where all are there.

    Raises:
        VolumeError: There are none, or too few bytes; or they are in colour, or of a kind that no scan has.
    """
    elements, pixels = header.elements, header.pixels
    if pixels is None:
        raise CutOffError("has no voxels; copy or export it again")
    samples = elements.integer(_SAMPLES, 1)
    kind = elements.text(_PHOTOMETRIC).upper() or "MONOCHROME2"
    if samples != 1 or not kind.startswith("MONOCHROME"):
        raise VolumeError(f"is in colour ({counted(samples, 'value')} a voxel, {kind[:16]}); a scan has one grey value")
    allocated = elements.integer(_ALLOCATED, 16)
    stored = elements.integer(_STORED, allocated)
    high_bit = elements.integer(_HIGH_BIT, stored - 1)
    if stored == allocated > high_bit:  # All of them count, whatever number some exporters give the highest.
        high_bit = stored - 1
    inside = 0 < stored <= high_bit + 1 <= allocated
    # Where compressed values are to stand in upper bits, decoders differ.
    if allocated not in (8, 16, 32) or not inside or (high_bit + 1 > stored and header.syntax not in NATIVE):
        raise VolumeError(
            f"says that {stored} of {allocated} bits a voxel count, the highest number {high_bit} (0028,0100 to 0102): "
            "no scan has such voxels; export it again"
        )
    format_ = PixelFormat(
        max(1, elements.count(FRAMES, 1)),
        elements.integer(ROWS, 0),
        elements.integer(COLUMNS, 0),
        allocated,
        stored,
        high_bit,
        elements.integer(_SIGNED, 0) == 1,
        kind == "MONOCHROME1",
    )
    if format_.length > _MOST_BYTES:
        raise VolumeError(
            f"says that it holds {format_.frames} pictures of {format_.rows} x {format_.columns}: no scan of a heart; "
            "copy or export it again"
        )
    if not format_.length:
        raise VolumeError("has no rows or columns (0028,0010 and 0011); copy or export it again")
    _check_length(header, format_)
    return format_


def _check_length(header: DicomHeader, format_: PixelFormat) -> None:
    assert header.pixels is not None
    if header.syntax in NATIVE:
        if header.pixels.fragments or header.pixels.length < format_.length:
            raise CutOffError(
                f"holds {counted(header.pixels.length, 'byte')} of voxels where {format_.length} belong; copy or "
                "export it again"
            )
        # Some writers forget the last byte of an odd number.
        if header.pixels.said > header.pixels.length + 1:
            raise CutOffError(
                f"says that it holds {header.pixels.said} bytes of voxels and holds {header.pixels.length}; copy or "
                "export it again"
            )
    elif len(header.pixels.fragments) < (1 if format_.frames == 1 else format_.frames):
        raise CutOffError(
            f"holds {counted(len(header.pixels.fragments), 'compressed frame')} where {format_.frames} belong; "
            "copy or export it again"
        )


def native_values(path: Path, header: DicomHeader, format_: PixelFormat) -> NDArray[Any]:
    """Return the stored values (frames, rows, columns) of voxels that are not compressed.

    Raises:
        CutOffError: They are not all there; the message begins with the file's name.
        VolumeError: They contradict the header; likewise.
        OSError: The file cannot be read.
    """
    assert header.pixels is not None
    with open_data(path, header) as file:
        file.seek(header.pixels.offset)
        content = file.read(format_.length)
    if len(content) < format_.length:
        raise CutOffError(f"{path.name} is cut off; copy or export it again")
    stored = np.frombuffer(content, f"{header.order}u{format_.allocated // 8}")
    raw: NDArray[Any] = stored.astype(np.int32 if format_.allocated < 32 else np.int64)
    if format_.low_bits and (raw & ((1 << format_.low_bits) - 1)).any():
        raise VolumeError(
            f"{path.name} says that its values stand in the upper {format_.stored} bits of {format_.allocated} "
            "(0028,0101 and 0102), but the lower ones hold something, too: export it again"
        )
    raw >>= format_.low_bits
    raw &= (1 << format_.stored) - 1  # an overlay may lie in the others
    if format_.signed:
        raw -= (raw >> (format_.stored - 1)) << format_.stored
    return raw.reshape(format_.frames, format_.rows, format_.columns)
