"""The one base of all errors that are meant for the person at the screen, and what is said of any other."""

from __future__ import annotations

import os
import re

# What C++ libraries put before the cause: "Exception thrown in ...: /build/itkX.cxx:123:" and "ITK ERROR: Class(0x1):".
_CPP_PLACE = re.compile(r"\S*\.(?:cxx|cpp|cc|hxx|hpp|txx|h|c)(?::|\()\d+\)?:?")
_CPP_OBJECT = re.compile(r"(?:ITK|sitk::|gdcm::)?\s*ERROR:\s*|\w+\(0x[0-9a-f]+\):\s*|Exception thrown in [\w: ]+?:\s")

# What moves a cursor, begins a line, ends a message or turns the direction of writing, were it shown as it is.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

#: What parts the lines of a message that has several.
NEXT_LINE = "\n  "

# Of a message that may hold pages.
_MOST_CHARACTERS = 300


class MtctlError(Exception):
    """Something the user can understand and act on.

    The message is one line: what is wrong, with which file or value, and what to do about it.
    """


def printable(text: object) -> str:
    r"""Return a name or a message for one line of a terminal or log: control characters are written out, as in \x1b."""
    return _CONTROLS.sub(lambda sign: sign[0].encode("unicode_escape").decode("ascii"), str(text))


def counted(count: int, noun: str, nouns: str = "") -> str:
    """Return a count with what is counted, as "1 case" and "3 cases".

    Args:
        count: How many; or of how many, as in "2 of 3 cases".
        noun: Of one, with its verb where that follows: "voxel is".
        nouns: Of several, and of none; "": with an s.
    """
    return f"{count} {noun}" if count == 1 else f"{count} {nouns or f'{noun}s'}"


def shown(error: MtctlError) -> str:
    """Return the message of an error as it may be printed."""
    return NEXT_LINE.join(map(printable, str(error).split(NEXT_LINE)))


def cause_of(error: Exception, path: str | os.PathLike[str] = "") -> str:
    """Return in one line why one of many inputs could not be done, whatever went wrong.

    Args:
        error: What was raised.
        path: The input, which is named beside the cause and not in it.
    """
    return printable(_cause_of(error, os.fspath(path)))


def _cause_of(error: Exception, name: str) -> str:
    if isinstance(error, MtctlError):
        return str(error).removeprefix(f"{name}: ")
    if isinstance(error, MemoryError):
        return "not enough memory; end other programs, or choose less at once"
    if isinstance(error, OSError) and error.strerror:
        of = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else name
        return error.strerror if of == name else f"{of}: {error.strerror}"
    text = _CPP_OBJECT.sub("", _CPP_PLACE.sub("", str(error)))
    text = " ".join(text.split())[:_MOST_CHARACTERS]
    return f"unexpected {type(error).__name__}: {text}" if text else f"unexpected {type(error).__name__}"


def failure_of(error: Exception, path: str | os.PathLike[str]) -> str:
    """Return the input's name and, in one line, why it could not be done, whatever went wrong."""
    if isinstance(error, MtctlError):
        return shown(error)  # It names the file that is at fault, which need not be the input itself.
    return f"{printable(os.fspath(path))}: {cause_of(error, path)}"
