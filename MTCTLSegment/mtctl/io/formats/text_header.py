"""Headers that are lines of text, of NRRD and MetaImage files: read no further than a header can reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mtctl.geometry import VolumeError
from mtctl.io.formats.volume_file import DAMAGED_HEADER

_LIMIT = 1 << 20  # a header of text is some hundred bytes; DWI tables reach 100 kB


def text_lines(path: Path, last: Callable[[str], bool]) -> list[str]:
    """Return the lines up to the one for which `last` is true, that one included."""
    lines: list[str] = []
    with open(path, "rb") as stream:
        while raw := stream.readline(_LIMIT):
            lines.append(raw.decode("utf-8", "replace").strip("\r\n"))
            if last(lines[-1]) or stream.tell() > _LIMIT:
                break
    return lines


def check_beside(path: Path, data_file: str | None) -> None:
    """Raise where the second file that a header names is missing.

    Raises:
        VolumeError: It is.
    """
    if data_file is None or data_file.split()[0] == "LIST" or "%" in data_file:
        return
    if not (path.parent / data_file).is_file():
        raise VolumeError(f"its voxels are in a second file, {data_file}, which is missing; put it beside this one")


def numbers(text: str) -> list[float]:
    """Return the numbers in a text, parted by spaces.

    Raises:
        VolumeError: Something else stands there.
    """
    try:
        return [float(number) for number in text.split()]
    except ValueError as error:
        raise VolumeError(DAMAGED_HEADER) from error
