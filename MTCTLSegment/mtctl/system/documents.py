"""JSON documents that are read back: a person, another version or a failing disk may have made anything of them.

No more is taken than a document may hold, in bytes and in depth. What its fields have to be says `fields`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError
from mtctl.system.regular_files import open_regular

#: The largest documents, lists of ten thousand cases with their checksums, have one or two megabytes.
MOST_BYTES = 16 << 20

#: How deep objects and lists may lie within each other; ours do ten times at most.
MOST_DEPTH = 64

#: Larger whole numbers are in no document of ours.
LARGEST_INTEGER = 2**63 - 1

_SHOWN = 40  # characters of a wrong value in a message


class DocumentError(MtctlError):
    """A document cannot be used; the message names its file and the field."""


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        FileNotFoundError: There is none.
        DocumentError: It cannot be read, is no regular file, too large or too deep, or holds no JSON object.
    """
    return parse_object(_read(path), str(path))


def read_any(path: Path) -> Any:
    """Read a JSON file that may hold anything.

    Raises:
        FileNotFoundError, DocumentError: As `read_object`.
    """
    return _parsed(_read(path), str(path))


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as stream:
            return stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a character that no file can have.
        raise DocumentError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def read_optional(path: Path) -> dict[str, Any]:
    """Read a JSON object that need not be there; empty where it is missing or cannot be used."""
    try:
        return read_object(path)
    except (OSError, DocumentError):
        return {}


def parse_object(content: bytes | str, source: str) -> dict[str, Any]:
    """Return the JSON object in a text, UTF-8 with or without a byte order mark.

    Args:
        content: The text.
        source: Where it is from, for messages.

    Raises:
        DocumentError: It is too large or too deep, or holds no JSON object.
    """
    document = _parsed(content, source)
    if not isinstance(document, dict):
        raise DocumentError(f"{source}: is not what the name says: it holds no JSON object")
    return document


def _parsed(content: bytes | str, source: str) -> Any:
    if len(content) > MOST_BYTES:
        raise DocumentError(f"{source}: has more than {MOST_BYTES >> 20} MB, which no such file has")
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        document = json.loads(text, object_pairs_hook=_without_twins)
    except RecursionError as error:
        raise DocumentError(f"{source}: is nested too deep") from error
    except ValueError as error:
        raise DocumentError(f"{source}: is cut off or damaged ({error})") from error
    if isinstance(document, dict | list) and _is_deep(document):
        raise DocumentError(f"{source}: is nested too deep")
    return document


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{shortened(twin)}' stands there twice")
    return document


def _is_deep(document: Any) -> bool:
    waiting = [(document, 1)]
    while waiting:
        part, depth = waiting.pop()
        if depth > MOST_DEPTH:
            return True
        inner = part.values() if isinstance(part, dict) else part
        waiting += [(one, depth + 1) for one in inner if isinstance(one, dict | list)]
    return False


def shortened(value: Any) -> str:
    """Return a wrong value for a message, on one line; a list or object by its kind alone, as it may be endless."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return "a number of too many digits"
    text = value if isinstance(value, str) else json.dumps(value)
    text = "".join(letter if letter.isprintable() else "?" for letter in text[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
