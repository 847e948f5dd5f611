"""Qt's enums as PythonQt hands them out: integers, found unscoped on their class (``qt.QProcess.Running``)."""

from __future__ import annotations

import enum
from functools import cache
from typing import Any


class QtEnum(int):
    """An enum value: equal to its integer; remembers PySide's own value, which PySide's methods insist on."""

    member: enum.Enum

    def __new__(cls, member: enum.Enum) -> QtEnum:
        value = super().__new__(cls, int(member.value))
        value.member = member
        return value

    def __or__(self, other: int) -> int:
        return self._combined(other, "__or__")

    def __and__(self, other: int) -> int:
        return self._combined(other, "__and__")

    __ror__ = __or__
    __rand__ = __and__

    def _combined(self, other: int, operation: str) -> int:
        if isinstance(other, QtEnum) and type(other.member) is type(self.member) and isinstance(self.member, enum.Flag):
            return QtEnum(getattr(self.member, operation)(other.member))
        return getattr(int, operation)(int(self), int(other))


@cache
def enum_values(qt_class: type) -> dict[str, QtEnum]:
    """All enum values of a PySide class and its bases, by their unscoped name."""
    values: dict[str, QtEnum] = {}
    for name in dir(qt_class):
        nested: Any = getattr(qt_class, name, None)
        if isinstance(nested, enum.EnumMeta):
            values |= {key: QtEnum(member) for key, member in nested.__members__.items()}
    return values
