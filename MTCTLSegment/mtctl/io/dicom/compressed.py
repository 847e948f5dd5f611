"""Compressed voxels of DICOM files, decoded by GDCM in a child process.

A damaged stream can end the process that decodes it (an empty JPEG stream divides by 0 in GDCM 3.2), hold it, or be
filled with noise after a complaint that only the error stream hears. The child is given nothing but the voxels, so that
no other element can stop it, and no patient's name comes near a message.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import VolumeError
from mtctl.io.dicom.decoder import ARRAY, COMPLAINTS, COPY, NO_MEMORY
from mtctl.io.dicom.elements import COLUMNS, FRAMES, ROWS, DicomHeader
from mtctl.io.dicom.parser import CutOffError, open_data
from mtctl.io.dicom.pixels import PixelFormat
from mtctl.processes.launcher import child_environment

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# Their streams end with FF D9 (ISO 10918-1, 14495-1, 15444-1); GDCM fills with noise what is missing before.
_JPEG = ("1.2.840.10008.1.2.4.", b"\xff\xd9")

# Seconds; decoding takes 0.02 for a slice of 512 x 512 voxels.
_PATIENCE, _PATIENCE_A_FRAME = 120.0, 1.0


def decoded(files: Mapping[Path, tuple[DicomHeader, PixelFormat]]) -> Iterator[tuple[Path, NDArray[Any]]]:
    """Yield each file and its stored values (frames, rows, columns).

    Raises:
        VolumeError: They are damaged, or compressed in a way that GDCM cannot decode.
        OSError: A file cannot be read, or the temporary folder not written.
        MemoryError: There is too little memory for the child.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, (file, (header, format_)) in enumerate(files.items()):
            copy = _voxels_alone(header.syntax, format_, _fragments(file, header, format_))
            (folder / COPY.format(number)).write_bytes(copy)
        _run(folder, sum(format_.frames for _, format_ in files.values()))
        for number, (file, (_, format_)) in enumerate(files.items()):
            yield file, _result(folder, number, file, format_)


def _run(folder: Path, frames: int) -> None:
    """Let the child decode all copies in `folder`; what it has not done when it ends, it leaves."""
    try:
        subprocess.run(
            [sys.executable, "-m", "mtctl.io.dicom.decoder", str(folder)],
            env=child_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE + _PATIENCE_A_FRAME * frames,
            check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # of Windows alone
        )
    except subprocess.TimeoutExpired:
        return


def _result(folder: Path, number: int, file: Path, format_: PixelFormat) -> NDArray[Any]:
    if (folder / NO_MEMORY).exists():
        raise MemoryError("the voxels cannot be decoded")
    path = folder / ARRAY.format(number)
    complaints = folder / COMPLAINTS.format(number)
    if not path.exists() or not complaints.exists() or complaints.stat().st_size:
        raise VolumeError(
            f"{file.name} holds voxels that are damaged, or compressed in a way that cannot be decoded here; export it "
            "again, best uncompressed"
        )
    array: NDArray[Any] = np.load(path, allow_pickle=False)
    shape = format_.frames, format_.rows, format_.columns
    if array.size != shape[0] * shape[1] * shape[2] or array.shape[-2:] != shape[1:]:
        raise VolumeError(
            f"{file.name} holds compressed voxels of another size than its header says; copy or export it again"
        )
    path.unlink()
    return array.reshape(shape).astype(np.int32 if format_.allocated < 32 else np.int64)


def _fragments(file: Path, header: DicomHeader, format_: PixelFormat) -> list[bytes]:
    assert header.pixels is not None
    fragments: list[bytes] = []
    with open_data(file, header) as stream:
        for offset, size in header.pixels.fragments:
            stream.seek(offset)
            fragments.append(stream.read(size))
    begin, end = _JPEG
    whole = fragments if len(fragments) == format_.frames else fragments[-1:]
    if header.syntax.startswith(begin) and any(end not in one[-16:] for one in whole):
        raise CutOffError(f"{file.name} holds compressed voxels that are cut off; copy or export it again")
    return fragments


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
            number(0x00280002, 1),
            text(0x00280004, b"CS", "MONOCHROME2"),
            text(FRAMES, b"IS", str(format_.frames)),
            number(ROWS, format_.rows),
            number(COLUMNS, format_.columns),
            number(0x00280100, format_.allocated),
            number(0x00280101, format_.stored),
            number(0x00280102, format_.high_bit),
            number(0x00280103, int(format_.signed)),
            struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF), items,
            struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
        )
    )  # fmt: skip
