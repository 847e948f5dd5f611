"""DICOM files read element by element, without a library.

GDCM leaves out files that it cannot read without a word, and ends with an exception of C++ at values of an unexpected
kind; pydicom may be absent in Slicer, and warns with the values that it does not like, names of patients among them.
Source: DICOM PS3.5 (2024), chapters 6, 7 and annex A; PS3.10, chapter 7.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from mtctl.geometry import VolumeError
from mtctl.io.dicom.elements import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, DicomHeader, Elements, PixelData
from mtctl.system.regular_files import open_regular

_TRANSFER_SYNTAX = 0x00020010
_PIXEL_DATA = 0x7FE00010

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
# Their length has four bytes (PS3.5, table 7.1-1).
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
# What old scanners write where they do not know it, before a length of two bytes.
_NO_KINDS = (b"??", b"  ", b"\0\0")

_KEPT = 1 << 10  # bytes; what is longer is text, a table or a picture
_DEEPEST = 16  # sequences in each other; enhanced MR has 4
_MOST_ELEMENTS = 1 << 22  # enhanced MR of 10,000 frames has 1.5 million
_MOST_INFLATED = 1 << 29  # bytes


class CutOffError(VolumeError):
    """A DICOM file ends before it should, or its elements make no sense."""


def read_elements(path: Path) -> DicomHeader | None:
    """Return the header of a DICOM file; None where it is no such file.

    Raises:
        CutOffError: It ends too early, or is damaged.
        OSError: It cannot be read.
    """
    with open_regular(path) as file:
        return _read(file)


def open_data(path: Path, header: DicomHeader) -> BinaryIO:
    """Open the file for its voxels, so that the offsets in `header.pixels` hold.

    Raises: As `read_elements`.
    """
    file = open_regular(path)
    if header.syntax != DEFLATED:
        return file
    with file:
        _meta(file)
        return _inflated(file)


def _read(file: BinaryIO) -> DicomHeader | None:
    try:
        meta = _meta(file)
        if meta is None:
            return None
        syntax = meta.text(_TRANSFER_SYNTAX)
        data = _inflated(file) if syntax == DEFLATED else file
        head = data.read(6)
        data.seek(-len(head), os.SEEK_CUR)
        explicit = re.fullmatch(rb"[A-Z]{2}", head[4:6]) is not None
        if syntax in ("", IMPLICIT, EXPLICIT):  # some say one of the two and are written in the other
            syntax = EXPLICIT if explicit else IMPLICIT
        reader = _Reader(data, ">" if syntax == BIG_ENDIAN else "<")
        elements = Elements(reader.order)
        pixels = reader.data_set(elements, explicit, None, 0)
        return DicomHeader(syntax, elements, pixels)
    except (struct.error, RecursionError, OverflowError) as error:
        raise CutOffError("is damaged; copy or export it again") from error


def _meta(file: BinaryIO) -> Elements | None:
    """Read the file meta information, and leave `file` at the data set; None where this is no DICOM file."""
    head = file.read(136)
    meta = Elements()
    if head[128:132] != b"DICM":
        # Without preamble: it begins with the group 0002 or 0008.
        known = re.match(rb"(\x02\x00|\x08\x00)[\x00-\x20]\x00", head)
        if not known or len(head) < 12:
            return None
        file.seek(0)
    else:
        file.seek(132)
    reader = _Reader(file, "<")
    while (start := file.tell()) >= 0 and file.read(2) == b"\x02\x00":
        file.seek(start)
        tag, kind, length = reader.header(explicit=True)
        meta.values[tag] = kind, reader.take(length)
    file.seek(start)
    return meta


def _inflated(file: BinaryIO) -> BinaryIO:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = unpacker.decompress(file.read(), _MOST_INFLATED)
    except zlib.error as error:
        raise CutOffError("is cut off or damaged; copy or export it again") from error
    if not unpacker.eof or unpacker.unused_data.strip(b"\0"):
        raise CutOffError("is cut off, damaged or larger than a slice can be; copy or export it again")
    return io.BytesIO(data)


class _Reader:
    """Reads elements from a stream, each byte once."""

    def __init__(self, stream: BinaryIO, order: str) -> None:
        self.order = order
        self._stream = stream
        here = stream.tell()
        self._end = stream.seek(0, os.SEEK_END)
        stream.seek(here)
        self._left = _MOST_ELEMENTS

    def take(self, length: int) -> bytes:
        """Return the next bytes; b"" where they are too many to be of use here."""
        if length > self._end - self._stream.tell():
            raise CutOffError("is cut off; copy or export it again")
        if length > _KEPT:
            self._stream.seek(length, os.SEEK_CUR)
            return b""
        return self._stream.read(length)

    def header(self, explicit: bool) -> tuple[int, bytes, int]:
        """Return tag, kind and length of the next element."""
        self._left -= 1
        if self._left < 0:
            raise CutOffError("has more elements than any scan; copy or export it again")
        group, element, rest = struct.unpack(f"{self.order}HH4s", self.take(8))
        tag = group << 16 | element
        kind = rest[:2]
        no_kind = kind in _NO_KINDS and rest[2:] != b"\0\0"
        if not explicit or group == 0xFFFE or not (no_kind or re.fullmatch(rb"[A-Z]{2}", kind)):
            return tag, b"", struct.unpack(f"{self.order}I", rest)[0]
        if kind in _LONG:
            return tag, kind, struct.unpack(f"{self.order}I", self.take(4))[0]
        return tag, kind, struct.unpack(f"{self.order}H", rest[2:])[0]

    def data_set(self, into: Elements, explicit: bool, end: int | None, depth: int) -> PixelData | None:
        """Read elements up to `end`, to the end of an item (None in an item), or to the voxels of the file."""
        while self._stream.tell() < (self._end if end is None else end):
            tag, kind, length = self.header(explicit)
            if tag == _ITEM_END and depth:
                return None
            if tag == _PIXEL_DATA and not depth:
                return self._pixels(length)
            if tag == _PIXEL_DATA and length == _UNDEFINED:
                self._fragments()  # of an icon
            elif kind == b"SQ" or length == _UNDEFINED or (not kind and self._begins_item(length)):
                # Unknown kinds of undefined length are written as implicit (PS3.5, 6.2.2).
                into.sequences[tag] = self._sequence(explicit and kind != b"UN", length, depth + 1)
            else:
                into.values[tag] = kind, self.take(length)
        if depth and end is None:
            raise CutOffError("is cut off; copy or export it again")
        return None

    def _begins_item(self, length: int) -> bool:
        if length < 8:
            return False
        begin = self._stream.read(4)
        self._stream.seek(-len(begin), os.SEEK_CUR)
        return begin == struct.pack(f"{self.order}HH", 0xFFFE, 0xE000)

    def _sequence(self, explicit: bool, length: int, depth: int) -> list[Elements]:
        if depth > _DEEPEST:
            raise CutOffError("is damaged: sequences in sequences without end; copy or export it again")
        items: list[Elements] = []
        end = None if length == _UNDEFINED else self._stream.tell() + length
        while end is None or self._stream.tell() < end:
            tag, _, size = self.header(explicit)
            if tag == _SEQUENCE_END:
                break
            if tag != _ITEM:
                raise CutOffError("is damaged: a sequence without items; copy or export it again")
            items.append(Elements(self.order))
            last = None if size == _UNDEFINED else self._stream.tell() + size
            if last is not None and last > self._end:
                raise CutOffError("is cut off; copy or export it again")
            self.data_set(items[-1], explicit, last, depth)
        return items

    def _pixels(self, length: int) -> PixelData:
        offset = self._stream.tell()
        if length != _UNDEFINED:
            return PixelData(offset, min(length, self._end - offset), length)
        fragments = self._fragments()[1:]  # the first is the table of offsets
        if not fragments:
            raise CutOffError("has no voxels; copy or export it again")
        length = sum(size for _, size in fragments)
        return PixelData(offset, length, length, fragments)

    def _fragments(self) -> tuple[tuple[int, int], ...]:
        fragments: list[tuple[int, int]] = []
        while True:
            tag, _, size = self.header(explicit=False)
            if tag == _SEQUENCE_END:
                return tuple(fragments)
            if tag != _ITEM:
                raise CutOffError("is damaged: its compressed voxels have no end; copy or export it again")
            fragments.append((self._stream.tell(), size))
            if size > self._end - self._stream.tell():
                raise CutOffError("is cut off; copy or export it again")
            self._stream.seek(size, os.SEEK_CUR)
