"""Headers that are lines of text, of NRRD and MetaImage files: read no further than a header can reach.

A header may name a second file with the voxels. Only files of the header's own folder are taken: a header that somebody
else wrote shall not be able to show any other file of this machine.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mtctl.geometry import VolumeError
from mtctl.io.formats.volume_file import DAMAGED_HEADER
from mtctl.system.regular_files import open_regular

# A header of text is some hundred bytes; tables of diffusion gradients and segmentations of a hundred organs reach
# 100 kB and a thousand lines.
_MOST_BYTES, _MOST_LINES = 1 << 20, 20_000


@dataclass(frozen=True)
class TextHeader:
    """The lines of a header.

    Attributes:
        lines: Without their ends.
        complete: Whether the last of them is the one that ends the header.
        length: Bytes of the header, its end included: where voxels of the same file begin.
    """

    lines: tuple[str, ...]
    complete: bool
    length: int


def read_text_header(path: Path, last: Callable[[str], bool]) -> TextHeader:
    """Return the lines up to the one for which `last` is true, that one included.

    Raises:
        VolumeError: They are more than a header has.
    """
    lines: list[str] = []
    with open_regular(path) as stream:
        while raw := stream.readline(_MOST_BYTES):
            lines.append(raw.decode("utf-8", "replace").rstrip("\r\n"))
            if last(lines[-1]):
                return TextHeader(tuple(lines), True, stream.tell())
            if stream.tell() > _MOST_BYTES or len(lines) > _MOST_LINES:
                raise VolumeError(f"its header is longer than any header is ({len(lines)} lines); export it again")
        return TextHeader(tuple(lines), False, stream.tell())


def put_once(fields: dict[str, str], key: str, value: str) -> None:
    """Add a field.

    Raises:
        VolumeError: It was there with another value: programs do not agree which of the two counts.
    """
    if fields.setdefault(key, value) != value:
        raise VolumeError(f"its header gives '{key[:40]}' twice; export it again, or remove the wrong line")


def numbers(text: str) -> list[float]:
    """Return the numbers in a text, parted by spaces.

    Raises:
        VolumeError: Something else stands there.
    """
    try:
        return [_number(word) for word in text.split()]
    except ValueError as error:
        raise VolumeError(DAMAGED_HEADER) from error


def finite_numbers(text: str, count: int, what: str) -> list[float]:
    """Return the numbers in a text, where there are as many as there should be.

    Raises:
        VolumeError: There are more or fewer, or some are not finite; the message says of `what`.
    """
    values = numbers(text)
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise VolumeError(f"its header has no usable {what} ({text[:60]}); export it again")
    return values


def whole_numbers(text: str) -> list[int]:
    """Return the whole numbers in a text, parted by spaces.

    Raises:
        VolumeError: Something else stands there.
    """
    words = text.split()
    if not all(word.lstrip("+-").isascii() and word.lstrip("+-").isdigit() and len(word) < 16 for word in words):
        raise VolumeError(DAMAGED_HEADER)
    try:
        return [int(word) for word in words]
    except ValueError as error:  # +-3
        raise VolumeError(DAMAGED_HEADER) from error


def beside(path: Path, name: str) -> Path:
    """Return the second file that a header names; errors tell its name, and no folder, which may name a patient.

    Raises:
        VolumeError: It lies in another folder, is no file, or is missing.
    """
    plain = name.removeprefix("./").removeprefix(".\\")
    shown = re.split(r"[/\\]", name)[-1][:80]
    if (
        not plain
        or plain in (".", "..")
        or any(sign in plain for sign in "/\\\0")
        or (os.name == "nt" and ":" in plain)
    ):
        raise VolumeError(
            f"its voxels are in a second file, {shown}, in another folder; put that beside this one and name it alone"
        )
    file = path.parent / plain
    try:
        there = file.is_file()
    except (OSError, ValueError):  # a name that is too long
        there = False
    if not there:
        raise VolumeError(f"its voxels are in a second file, {shown}, which is missing; put it beside this one")
    # A folder of links is a person's own doing; a link beside a real header may have come with it.
    if file.is_symlink() and not path.is_symlink() and file.resolve().parent != path.parent.resolve():
        raise VolumeError(f"its second file, {shown}, is a link into another folder; put a copy beside this one")
    return file


def numbered_names(pattern: str, first: int, last: int, step: int) -> list[str]:
    """Return the names that a pattern such as "slice%03d.raw" stands for, from `first` to `last`.

    Raises:
        VolumeError: It is no such pattern, or stands for none or for more names than any scan has slices.
    """
    before, percent, rest = pattern.partition("%")
    width, letter, after = rest.partition("d")
    count = (last - first) // step + 1 if step else 0
    if not percent or not letter or "%" in after or not (width.isdigit() or not width) or not 0 < count <= _MOST_LINES:
        raise VolumeError(
            "its header names its slices by a pattern that is not understood; export it again, as one file"
        )
    fill = int(width or "0") if len(width) < 3 else 0
    return [
        f"{before}{number:0{fill}d}{after}" if width.startswith("0") else f"{before}{number:{fill or ''}d}{after}"
        for number in range(first, first + count * step, step)
    ]


def _number(word: str) -> float:
    if (
        "_" in word or not word.isascii()
    ):  # Python takes 1_000 and other scripts' digits for numbers, a header does not.
        raise ValueError(word)
    return float(word)
