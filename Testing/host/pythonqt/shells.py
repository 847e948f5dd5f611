"""Python classes derived from Qt's, as in ``class Filter(qt.QObject)`` with its own ``eventFilter``.

PythonQt gives such an object a C++ shell that calls the Python functions; here a PySide class made on the spot does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from .convert import to_python, to_qt

SHELL_OF: dict[type, type] = {}


@cache
def shell_class(python_class: type) -> type:
    """The PySide class whose virtual functions call those that ``python_class`` overrides."""
    raw = next(cls for cls in python_class.__mro__ if "_qt_class" in cls.__dict__)
    qt_class: type = raw.__dict__["_qt_class"]
    derived = python_class.__mro__[: python_class.__mro__.index(raw)]
    names = {
        name
        for cls in derived
        for name, value in cls.__dict__.items()
        if not name.startswith("_") and callable(value) and callable(getattr(qt_class, name, None))
    }
    for name in names:
        setattr(raw, name, _inherited(qt_class, name))  # what super().<name>(...) finds
    shell = type(python_class.__name__, (qt_class,), {name: _forwarded(name) for name in names})
    SHELL_OF[shell] = python_class
    return shell


def _forwarded(name: str) -> Callable[..., Any]:
    def virtual(self: Any, *arguments: Any) -> Any:
        if not hasattr(self, "owner"):  # Qt calls while the object is being made
            return getattr(super(type(self), self), name)(*arguments)
        return to_qt(getattr(self.owner, name)(*map(to_python, arguments)))

    return virtual


def _inherited(qt_class: type, name: str) -> Callable[..., Any]:
    def inherited(self: Any, *arguments: Any) -> Any:
        return to_python(getattr(qt_class, name)(to_qt(self), *map(to_qt, arguments)))

    return inherited
