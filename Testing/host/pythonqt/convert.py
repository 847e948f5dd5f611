"""Values on their way between Python as the application offers it and PySide6."""

from __future__ import annotations

import enum
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

import shiboken6
from PySide6 import QtCore

from .enums import QtEnum
from .slots import call_slot


@dataclass
class Wrapping:
    """How objects of Qt get their wrapper and lose it; set by wrapper.py, which needs this module in turn."""

    wrap: Callable[[Any], Any]
    unwrap: Callable[[Any], Any]


wrapping = Wrapping(wrap=lambda qt: qt, unwrap=lambda value: value)


def to_python(value: Any) -> Any:
    """What PythonQt would return for a value of PySide: enums are integers, lists are tuples, objects are wrapped."""
    if isinstance(value, enum.Enum) and type(value).__module__.startswith("PySide6"):
        return QtEnum(value)
    if isinstance(value, shiboken6.Object):
        return wrapping.wrap(value)
    if isinstance(value, list | tuple):
        return tuple(map(to_python, value))
    if isinstance(value, dict):
        return {key: to_python(item) for key, item in value.items()}
    return value


def to_qt(value: Any) -> Any:
    """What PySide wants for a value handed in by a module.

    Raises:
        ValueError: for a ``pathlib.Path``, which PythonQt cannot convert to a QString.
    """
    if isinstance(value, QtEnum):
        return value.member
    if isinstance(value, pathlib.PurePath):
        raise ValueError(f"PythonQt does not take a pathlib.Path where Qt wants a string: use str({value!r})")
    if isinstance(value, list | tuple):
        return [to_qt(item) for item in value]
    if isinstance(value, FunctionType | MethodType | BuiltinMethodType):
        return _as_slot(value)
    return wrapping.unwrap(value)


def _as_slot(function: Callable[..., Any]) -> Callable[..., None]:
    """A callable handed to Qt itself (``QTimer.singleShot``): fails like any other slot."""

    def slot(*arguments: Any) -> None:
        call_slot(function, tuple(map(to_python, arguments)))

    return slot


def normalized(signature: str) -> str:
    """``"valueChanged( double )"`` as the meta-object writes it."""
    return bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
