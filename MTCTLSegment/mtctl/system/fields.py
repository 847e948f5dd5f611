"""JSON documents as frozen dataclasses: every field is what the dataclass says, whatever a document holds.

Every field has the type that the dataclass says, numbers are finite, and what stands in `Annotated` (`Within`,
`Matching`, `Longest`, `ANY_NUMBER`) holds. What is wrong is said with the file and the field.

Fields that the dataclass does not have are ignored: a later version may have added them. A document whose unknown
fields would change what it means asks for `refuse_unknown`, too, or has a "format".
"""

from __future__ import annotations

import functools
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from mtctl.errors import MtctlError
from mtctl.system.documents import LARGEST_INTEGER, DocumentError, read_any, shortened

_LONGEST_TEXT = 100_000

Document = TypeVar("Document")


@dataclass(frozen=True)
class Within:
    """Bounds of a number, themselves allowed."""

    low: float
    high: float


@dataclass(frozen=True)
class Longest:
    """The largest number of characters of a text, or of items of a list or object."""

    count: int


@dataclass(frozen=True)
class Matching:
    """A regular expression that the whole of a text fits, and what that is in words ("a SHA-256")."""

    pattern: str
    words: str


class _AnyNumber:
    """That a number need not be finite."""


#: In `Annotated`: the number may be NaN or infinite.
ANY_NUMBER = _AnyNumber()

#: A name of a file in the document's own folder: no path leads elsewhere, on any system.
FileName = Annotated[str, Matching(r"(?!\.{1,2}$)[^/\\:\x00-\x1f]{1,255}", "the name of a file, without a folder")]

Checksum = Annotated[str, Matching(r"[0-9a-f]{64}", "a SHA-256")]

#: Of a process, on any system.
ProcessId = Annotated[int, Within(1, 2**32 - 1)]

#: From 0 to 1.
Share = Annotated[float, Within(0.0, 1.0)]


def read_as(kind: type[Document], values: Any, source: str, at: str = "") -> Document:
    """Return a dataclass made of the fields of a JSON object.

    Args:
        kind: The dataclass. Its fields may be bool, int, float, str, Any, enumerations, literal texts, dataclasses,
            classes with a `from_json`, typed dictionaries, tuples, lists and mappings of these, each or None, and
            `Annotated` with bounds.
        values: The object.
        source: Where it is from, for messages.
        at: Which part of the document it is, for messages; "": the whole.

    Raises:
        DocumentError: A field is missing, or not what it has to be.
    """
    try:
        return typing.cast(Document, _made(kind, values, at))
    except _WrongFieldError as error:
        raise DocumentError(f"{source}: {error}") from error


def read_texts(path: Path) -> list[str]:
    """Read a JSON file that holds a list of texts.

    Raises:
        FileNotFoundError, DocumentError: As `read_object`.
    """
    try:
        return list(_made(tuple[str, ...], read_any(path), ""))
    except _WrongFieldError as error:
        raise DocumentError(f"{path}: {error}") from error


def refuse_unknown(kind: type, values: Mapping[str, Any], source: str) -> None:
    """Refuse fields that a dataclass does not have: of them nobody knows what they mean.

    Raises:
        DocumentError: There are some.
    """
    unknown = sorted(values.keys() - {field.name for field in fields(kind)})
    if unknown:
        raise DocumentError(
            f"{source}: was made by a later version of this program (it says '{shortened(unknown[0])}', which this one "
            "does not know); update this one"
        )


class _WrongFieldError(Exception):
    """A field is not what it has to be."""


def _made(kind: Any, value: Any, at: str) -> Any:
    """Return a value as one of that kind; every branch is a kind of type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin is Annotated:
        return _bounded(arguments[0], arguments[1:], value, at)
    if origin is Literal:
        _expect(isinstance(value, str) and value in arguments, value, f"one of {', '.join(arguments)}", at)
        return value
    if origin in (typing.Union, types.UnionType):
        return _one_of(arguments, value, at)
    if origin in (tuple, list):
        return _sequence(origin, arguments, value, at)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        _expect(isinstance(value, dict), value, "an object", at)
        return {_made(arguments[0], name, at): _made(arguments[1], one, _join(at, name)) for name, one in value.items()}
    if hasattr(kind, "from_json"):
        return _constructed(kind.from_json, [value], {}, at)
    if typing.is_typeddict(kind):
        return _typed(kind, value, at)
    if is_dataclass(kind):
        return _constructed(kind, [], _fields(kind, value, at), at)
    if issubclass(kind, Enum):
        words = ", ".join(str(one.value) for one in kind)
        _expect(isinstance(value, str) and any(one.value == value for one in kind), value, f"one of {words}", at)
        return kind(value)
    return _plain(kind, value, at)


def _plain(kind: type, value: Any, at: str) -> Any:
    if kind is bool:
        _expect(isinstance(value, bool), value, "true or false", at)
        return value
    if kind is str:
        _expect(isinstance(value, str) and len(value) <= _LONGEST_TEXT, value, "a text", at)
        return value
    if kind is int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        usable = whole and not isinstance(value, bool) and abs(value) <= LARGEST_INTEGER
        _expect(usable, value, "a whole number", at)
        return int(value)
    if kind is float:
        number = _number(value, at)
        _expect(math.isfinite(number), value, "a finite number", at)
        return number
    raise TypeError(f"{kind} is no type of a document's field")


def _number(value: Any, at: str) -> float:
    _expect(isinstance(value, int | float) and not isinstance(value, bool), value, "a number", at)
    try:
        return float(value)
    except OverflowError:
        raise _WrongFieldError(f"'{at}' is {shortened(value)}; a number of ordinary size is needed") from None


def _bounded(kind: Any, bounds: Sequence[Any], value: Any, at: str) -> Any:
    made: Any = _number(value, at) if ANY_NUMBER in bounds else _made(kind, value, at)
    for bound in bounds:
        if isinstance(bound, Within):
            _expect(bound.low <= made <= bound.high, value, f"a number from {bound.low:g} to {bound.high:g}", at)
        elif isinstance(bound, Longest):
            _expect(len(made) <= bound.count, value, f"{bound.count} of its kind at most", at)
        elif isinstance(bound, Matching):
            _expect(re.fullmatch(bound.pattern, made) is not None, value, bound.words, at)
    return made


def _one_of(kinds: Sequence[Any], value: Any, at: str) -> Any:
    """Return None, or the value as the first of the other kinds."""
    if value is None and types.NoneType in kinds:
        return None
    return _made(next(kind for kind in kinds if kind is not types.NoneType), value, at)


def _sequence(kind: type, items: Sequence[Any], value: Any, at: str) -> Any:
    _expect(isinstance(value, list | tuple), value, "a list", at)
    if kind is list or items[-1] is Ellipsis:
        kinds = [items[0]] * len(value)
    else:
        _expect(len(value) == len(items), value, f"a list of {len(items)}", at)
        kinds = list(items)
    return kind(_made(one, item, f"{at}[{place}]") for place, (one, item) in enumerate(zip(kinds, value, strict=True)))


def _fields(kind: Any, value: Any, at: str) -> dict[str, Any]:
    _expect(isinstance(value, Mapping), value, "an object", at)
    hints, found = _hints(kind), {}
    for field in fields(kind):
        where = _join(at, field.name)
        if field.name in value:
            found[field.name] = _made(hints[field.name], value[field.name], where)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise _WrongFieldError(f"'{where}' is missing")
    return found


def _typed(kind: Any, value: Any, at: str) -> dict[str, Any]:
    """Return the fields of a typed dictionary, all of which are needed."""
    _expect(isinstance(value, Mapping), value, "an object", at)
    hints, found = _hints(kind), {}
    for name, hint in hints.items():
        if name not in value:
            raise _WrongFieldError(f"'{_join(at, name)}' is missing")
        found[name] = _made(hint, value[name], _join(at, name))
    return found


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _constructed(make: Any, arguments: Sequence[Any], named: Mapping[str, Any], at: str) -> Any:
    try:
        return make(*arguments, **named)
    except MtctlError as error:
        raise _WrongFieldError(f"'{at}': {error}" if at else str(error)) from error


def _expect(right: bool, value: Any, wanted: str, at: str) -> None:
    if not right:
        raise _WrongFieldError(f"'{at}' is {shortened(value)}; {wanted} is needed" if at else f"{wanted} is needed")


def _join(at: str, name: str) -> str:
    return f"{at}.{shortened(name)}" if at else shortened(name)
