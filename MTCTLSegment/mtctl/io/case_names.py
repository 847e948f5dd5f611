"""Case names: as they are given on the command line, one by one or in lists, and as the names of files begin with."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from mtctl.errors import MtctlError

#: What is named so is meant as a list even where there is no such file.
_LIST_SUFFIXES = (".txt", ".list", ".lst", ".csv", ".tsv")


# Bytes. A name has 255 at most, of which ours begin with up to 32 (of a part that is being written) and end with 24.
_LONGEST_STEM = 199

# What Windows takes for a device, whatever follows after a point.
_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{sign}" for port in ("com", "lpt") for sign in "0123456789\u00b9\u00b2\u00b3"),
}


class CaseListError(MtctlError):
    """A list of cases is not there, or is not text."""


def safe_stem(stem: str) -> str:
    """Return what the names of results of an input can begin with on every system: nearly always `stem` itself.

    One that is too long is cut, and ends with a code of the whole of it, so that two that begin alike stay apart.
    """
    content = os.fsencode(stem)
    if len(content) > _LONGEST_STEM:
        code = hashlib.sha256(content).hexdigest()[:8]
        stem = f"{content[: _LONGEST_STEM - len(code) - 1].decode('utf-8', 'ignore')}-{code}"
    return f"scan-{stem}" if stem.partition(".")[0].strip().lower() in _DEVICES else stem


def case_names(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return case names from names and from lists, each once, in order.

    Args:
        arguments: Each is a list where there is a file of that name, else the name of a case. Names may hold blanks;
            those around them are dropped, as are empty lines.

    Raises:
        CaseListError: A list cannot be read, or what can only be meant as a list is no file: a mistyped list would be
            looked for as a case.
    """
    names: list[str] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_file():
            names += _listed(path)
        elif path.name != argument and path.is_dir():
            raise CaseListError(f"{argument}: is a folder; name a text file with one case name a line")
        elif path.name != argument or path.suffix.lower() in _LIST_SUFFIXES:
            raise CaseListError(
                f"{argument}: there is no such list of cases; check its name and folder (a list is not looked for in "
                "the folder of the cases)"
            )
        else:
            names.append(argument)
    return tuple(dict.fromkeys(names))


def _listed(path: Path) -> list[str]:
    """Return the names in a list.

    Raises:
        CaseListError: It cannot be read, or is not UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows' Notepad begins a file with a byte-order mark.
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise CaseListError(f"{path}: cannot be read: {error.strerror or error}") from error
    if "\0" in text:  # UTF-16 without its mark, and most of what is no text at all.
        raise CaseListError(f"{path}: is no list of cases in UTF-8; save it as UTF-8 text with one case name a line")
    return [name for line in text.splitlines() if (name := line.strip())]
