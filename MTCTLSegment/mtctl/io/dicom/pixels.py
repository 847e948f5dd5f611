"""The voxels of a DICOM file: whether all are there, and what they are worth.

What is not compressed is read here; the rest GDCM decodes from a copy that holds nothing but the voxels, so that no
other element can end it with an exception, and no patient's name comes near a message.
"""

from __future__ import annotations

import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from mtctl.geometry import VolumeError
from mtctl.io.dicom.elements import NATIVE, DicomHeader
from mtctl.io.dicom.parser import CutOffError, open_data
from mtctl.io.itk import quiet, short_name
from mtctl.system.memory import lacks_memory

_SAMPLES = 0x00280002
_PHOTOMETRIC = 0x00280004
_FRAMES = 0x00280008
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_ALLOCATED, _STORED, _HIGH_BIT, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103

# 1024 x 1024 x 512 voxels of 16 bits: more than any scan of a heart has.
_MOST_BYTES = 1 << 30

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# Their streams end with FF D9 (ISO 10918-1, 14495-1, 15444-1); GDCM fills with noise what is missing before.
_JPEG = ("1.2.840.10008.1.2.4.", b"\xff\xd9")


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
    kind = elements.text(_PHOTOMETRIC) or "MONOCHROME2"
    if samples != 1 or not kind.startswith("MONOCHROME"):
        raise VolumeError(f"is in colour ({samples} values a voxel, {kind[:16]}); a scan has one grey value")
    allocated = elements.integer(_ALLOCATED, 16)
    stored = elements.integer(_STORED, allocated)
    high_bit = elements.integer(_HIGH_BIT, stored - 1)
    if allocated not in (8, 16, 32) or not 0 < stored <= high_bit + 1 <= allocated:
        raise VolumeError(
            f"says that {stored} of {allocated} bits a voxel count, the highest number {high_bit} (0028,0100 to 0102): "
            "no scan has such voxels; export it again"
        )
    format_ = PixelFormat(
        max(1, elements.integer(_FRAMES, 1)),
        elements.integer(_ROWS, 0),
        elements.integer(_COLUMNS, 0),
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
                f"holds {header.pixels.length} bytes of voxels where {format_.length} belong; copy or export it again"
            )
    elif len(header.pixels.fragments) < (1 if format_.frames == 1 else format_.frames):
        raise CutOffError(
            f"holds {len(header.pixels.fragments)} compressed frames where {format_.frames} belong; "
            "copy or export it again"
        )


def read_stored(path: Path, header: DicomHeader) -> NDArray[Any]:
    """Return the stored values, (frames, rows, columns); inverted where low ones are bright, as GDCM does.

    Raises:
        VolumeError: As `pixel_format`, or they cannot be decoded.
        OSError: The file cannot be read.
    """
    format_ = pixel_format(header)
    array = _native(path, header, format_) if header.syntax in NATIVE else _decoded(path, header, format_)
    if format_.inverted:
        array = (-1 if format_.signed else (1 << format_.stored) - 1) - array
    return array


def _native(path: Path, header: DicomHeader, format_: PixelFormat) -> NDArray[Any]:
    assert header.pixels is not None
    with open_data(path, header) as file:
        file.seek(header.pixels.offset)
        content = file.read(format_.length)
    if len(content) < format_.length:
        raise CutOffError("is cut off; copy or export it again")
    stored = np.frombuffer(content, f"{header.order}u{format_.allocated // 8}")
    raw: NDArray[Any] = stored.astype(np.int32 if format_.allocated < 32 else np.int64)
    raw = (raw >> (format_.high_bit + 1 - format_.stored)) & ((1 << format_.stored) - 1)
    if format_.signed:
        raw -= (raw >> (format_.stored - 1)) << format_.stored
    return raw.reshape(format_.frames, format_.rows, format_.columns)


def _decoded(path: Path, header: DicomHeader, format_: PixelFormat) -> NDArray[Any]:
    assert header.pixels is not None
    with open_data(path, header) as file:
        fragments: list[bytes] = []
        for offset, size in header.pixels.fragments:
            file.seek(offset)
            fragments.append(file.read(size))
    begin, end = _JPEG
    whole = fragments if len(fragments) == format_.frames else fragments[-1:]
    if header.syntax.startswith(begin) and any(end not in one[-16:] for one in whole):
        raise CutOffError("holds compressed voxels that are cut off; copy or export it again")
    with tempfile.TemporaryDirectory() as folder, quiet():
        copy = Path(short_name(Path(folder))) / "voxels.dcm"
        copy.write_bytes(_voxels_alone(header.syntax, format_, fragments))
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(copy))
        try:
            array: NDArray[Any] = sitk.GetArrayFromImage(reader.Execute()).astype(np.int64, copy=False)
        except RuntimeError as error:
            if lacks_memory(error):
                raise MemoryError(str(error)) from error
            raise VolumeError(
                "holds voxels that are damaged, or compressed in a way that cannot be decoded here; export it "
                "uncompressed"
            ) from error
    shape = format_.frames, format_.rows, format_.columns
    if array.size != shape[0] * shape[1] * shape[2] or array.shape[-2:] != shape[1:]:
        raise VolumeError("holds compressed voxels of another size than its header says; copy or export it again")
    return array.reshape(shape)


def _voxels_alone(syntax: str, format_: PixelFormat, fragments: list[bytes]) -> bytes:
    """Return a DICOM file with the same compressed voxels and nothing else."""

    def text(tag: int, kind: bytes, value: str) -> bytes:
        raw = value.encode() + (b"\0" if kind == b"UI" else b" ") * (len(value) % 2)
        return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, kind, len(raw)) + raw

    def number(tag: int, value: int) -> bytes:
        return struct.pack("<HH2sHH", tag >> 16, tag & 0xFFFF, b"US", 2, value)

    identity = "2.25.1"
    meta = (
        text(0x00020002, b"UI", _SECONDARY_CAPTURE)
        + text(0x00020003, b"UI", identity)
        + text(0x00020010, b"UI", syntax)
    )
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(one)) + one for one in [b"", *fragments])
    return b"".join(
        (
            bytes(128), b"DICM", struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)), meta,
            text(0x00080016, b"UI", _SECONDARY_CAPTURE),
            text(0x00080018, b"UI", identity),
            text(0x00080060, b"CS", "OT"),
            number(_SAMPLES, 1),
            text(_PHOTOMETRIC, b"CS", "MONOCHROME2"),
            text(_FRAMES, b"IS", str(format_.frames)),
            number(_ROWS, format_.rows),
            number(_COLUMNS, format_.columns),
            number(_ALLOCATED, format_.allocated),
            number(_STORED, format_.stored),
            number(_HIGH_BIT, format_.high_bit),
            number(_SIGNED, int(format_.signed)),
            struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF), items,
            struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
        )
    )  # fmt: skip
