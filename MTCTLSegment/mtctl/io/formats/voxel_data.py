"""Voxels as they lie in files: raw, deflated or as text, taken only where every byte is there and its checksum right.

The header says how many bytes there must be: no more is unpacked, whatever a file holds, and no less is taken.
"""

from __future__ import annotations

import bz2
import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import VolumeError
from mtctl.io.formats.volume_file import CUT_OFF
from mtctl.system.regular_files import open_regular

RAW, DEFLATED, BZIP2, TEXT, HEX = "raw", "deflated", "bzip2", "text", "hex"

_BLOCK = 1 << 22
# Small, since what follows a packed stream in it is copied: a file may be many streams.
_PACKED_BLOCK = 1 << 18
#: What some programs leave after the last voxel: an end of line, a few zeros. No change of a scan's size is as small.
PADDING_BYTES = 16
_PADDING = b"\0\r\n "
# Packed streams of no byte, one after the other: some programs write one as a sign of the end.
_MOST_EMPTY = 16
_MOST_SKIPPED = 1 << 24
_PARTING = (b"", b" ", b"\n", b"\r", b"\t", b",")
_LONGEST_NUMBER = 400
_NO_NUMBERS = "its voxels are written as text that is no numbers; export it again"
_AUTOMATIC = 47  # of zlib: a zlib or a gzip stream, whichever it is


@dataclass(frozen=True)
class DataFile:
    """A file with voxels, or a part of it.

    Attributes:
        path: The file.
        start: Byte at which the voxels begin, or the packed stream with them.
        skip: Bytes to leave out after that, counted in the unpacked stream; -1: the voxels are the file's last bytes.
        lines: Lines of text to leave out before the bytes.
    """

    path: Path
    start: int = 0
    skip: int = 0
    lines: int = 0


@dataclass(frozen=True)
class VoxelData:
    """Where the voxels of a volume are and how they are written.

    Attributes:
        files: One, or several that each hold an equal part, in their order.
        encoding: RAW, DEFLATED (gzip or zlib), BZIP2, TEXT or HEX.
        dtype: Type of a number, with its byte order.
        count: How many numbers there are.
    """

    files: tuple[DataFile, ...]
    encoding: str
    dtype: np.dtype[Any]
    count: int

    def read(self) -> NDArray[Any]:
        """Return the numbers in their order, in this machine's byte order.

        Raises:
            VolumeError: There are fewer or more than there should be, or a checksum is wrong.
            MemoryError: There is too little memory for them.
        """
        part, odd = divmod(self.count, len(self.files))
        if odd:
            raise VolumeError(
                f"its {len(self.files)} files cannot each hold an equal part of the voxels; export it again"
            )
        values = np.empty(self.count, self.dtype)
        for number, file in enumerate(self.files):
            own = values[number * part : (number + 1) * part]
            if self.encoding == TEXT:
                _read_text(own, file)
            else:
                _fill(own.view(np.uint8).data, file, self.encoding)
        return values.astype(self.dtype.newbyteorder("="), copy=False)


def _fill(out: memoryview, file: DataFile, encoding: str) -> None:
    """Fill `out`, bytes, with what a file holds of voxels."""
    with open_regular(file.path) as stream:
        stream.seek(file.start)
        for _ in range(file.lines):
            stream.readline(_BLOCK)
        if encoding == RAW:
            _read_raw(out, stream, file.skip)
            return
        if not 0 <= file.skip <= _MOST_SKIPPED:
            raise VolumeError("its header says that packed voxels begin at a place that cannot be; export it again")
        unpackers: dict[str, Callable[[BinaryIO], Iterable[bytes]]]
        unpackers = {DEFLATED: Inflated, BZIP2: _unpacked_bzip2, HEX: _from_hex}
        pieces = unpackers[encoding](stream)
        skipped, place = file.skip, 0
        for whole in pieces:
            piece = whole[skipped:]
            skipped -= min(skipped, len(whole))
            room = len(out) - place
            if len(piece) > room and (len(piece) - room > PADDING_BYTES or piece[room:].strip(_PADDING)):
                raise VolumeError(_too_many())
            out[place : place + len(piece)] = piece[:room]
            place += min(len(piece), room)
    if place < len(out):
        raise VolumeError(CUT_OFF)


def _read_raw(out: memoryview, stream: BinaryIO, skip: int) -> None:
    size = os.fstat(stream.fileno()).st_size
    start = size - len(out) if skip < 0 else stream.tell() + skip
    if start < 0 or start + len(out) > size:
        raise VolumeError(CUT_OFF)
    stream.seek(start)
    place = 0
    while place < len(out):
        taken = stream.readinto(out[place : place + _BLOCK])  # type: ignore[attr-defined]
        if not taken:
            raise VolumeError(CUT_OFF)
        place += taken
    rest = stream.read(PADDING_BYTES + 1)
    if len(rest) > PADDING_BYTES or rest.strip(_PADDING):
        raise VolumeError(_too_many())


class Inflated:
    """What the gzip or zlib streams in a file hold, one after the other, piece by piece.

    Attributes:
        padding: Bytes behind the last stream, of no meaning; known when all was taken.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.padding = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces.

        Raises:
            VolumeError: The file is cut off, a checksum is wrong, or what follows is neither a stream nor padding.
        """
        packed, empty = self._stream.read(_PACKED_BLOCK), 0
        while packed and empty < _MOST_EMPTY:
            unpacker, full = zlib.decompressobj(_AUTOMATIC), False
            try:
                while not unpacker.eof:
                    if not packed:
                        raise VolumeError(CUT_OFF)
                    piece = unpacker.decompress(packed, _BLOCK)
                    full = full or bool(piece)
                    yield piece
                    packed = unpacker.unconsumed_tail or (b"" if unpacker.eof else self._stream.read(_PACKED_BLOCK))
            except zlib.error as error:
                raise VolumeError(CUT_OFF) from error
            empty = 0 if full else empty + 1
            end = self._stream.tell() - len(unpacker.unused_data)
            packed = _next_stream(unpacker.unused_data, self._stream)
            self.padding = self._stream.tell() - len(packed) - end
        if packed:
            raise VolumeError(CUT_OFF)


def _unpacked_bzip2(stream: BinaryIO) -> Iterator[bytes]:
    packed, empty = stream.read(_PACKED_BLOCK), 0
    while packed and empty < _MOST_EMPTY:
        unpacker, full = bz2.BZ2Decompressor(), False
        try:
            while not unpacker.eof:
                if unpacker.needs_input and not packed:
                    raise VolumeError(CUT_OFF)
                piece = unpacker.decompress(packed, _BLOCK)
                full = full or bool(piece)
                yield piece
                packed = stream.read(_PACKED_BLOCK) if unpacker.needs_input else b""
        except (OSError, ValueError) as error:
            raise VolumeError(CUT_OFF) from error
        empty = 0 if full else empty + 1
        packed = _next_stream(unpacker.unused_data + packed, stream)
    if packed:
        raise VolumeError(CUT_OFF)


def _next_stream(rest: bytes, stream: BinaryIO) -> bytes:
    """Return the beginning of the next packed stream of a file, b"" where only padding follows."""
    while not (rest := rest.lstrip(_PADDING)):
        if not (rest := stream.read(_PACKED_BLOCK)):
            return b""
    return rest


def _from_hex(stream: BinaryIO) -> Iterator[bytes]:
    left = b""
    while block := stream.read(_BLOCK):
        digits = left + b"".join(block.split())
        even = len(digits) & ~1
        left = digits[even:]
        try:
            yield bytes.fromhex(digits[:even].decode("ascii"))
        except ValueError as error:
            raise VolumeError(CUT_OFF) from error
    if left:
        raise VolumeError(CUT_OFF)


def _read_text(out: NDArray[Any], file: DataFile) -> None:
    """Fill `out` with the numbers of a text, parted by spaces, commas or ends of lines."""
    place, left = 0, b""
    with open_regular(file.path) as stream:
        stream.seek(file.start)
        for _ in range(file.lines):
            stream.readline(_BLOCK)
        stream.seek(max(file.skip, 0), io.SEEK_CUR)
        while True:
            block = stream.read(_BLOCK)
            words = (left + block).replace(b",", b" ").split()
            # The last word may go on in the next block.
            left = words.pop() if words and block[-1:] not in _PARTING else b""
            if len(left) > _LONGEST_NUMBER:
                raise VolumeError(_NO_NUMBERS)
            if len(words) > len(out) - place:
                raise VolumeError(_too_many())
            out[place : place + len(words)] = _parsed(words, out.dtype)
            place += len(words)
            if not block:
                break
    if place < len(out):
        raise VolumeError(CUT_OFF)


def _parsed(words: list[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        values = np.array([int(word) for word in words] if dtype.kind in "iu" else [float(word) for word in words])
    except (ValueError, OverflowError) as error:
        raise VolumeError(_NO_NUMBERS) from error
    if dtype.kind in "iu" and len(values):
        bounds = np.iinfo(dtype)
        if int(values.min()) < bounds.min or int(values.max()) > bounds.max:
            raise VolumeError("a voxel is written that its type cannot hold; export it again")
    with np.errstate(over="ignore"):  # What is too large becomes infinite, and is refused as that.
        return values.astype(dtype)


def _too_many() -> str:
    return "the file holds more voxels than its header says; copy or export it again"
