"""Properties of the stand-ins: real Qt properties, so that .ui files set them, with the setters that C++ has."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore


def stored(kind: Any, name: str, default: Any, then: str = "") -> Any:
    """A property that keeps its value; after a change the method named ``then`` is called."""

    def read(self: Any) -> Any:
        return self.__dict__.get(f"_{name}", default)

    def write(self: Any, value: Any) -> None:
        if value == read(self):
            return
        self.__dict__[f"_{name}"] = value
        if then:
            getattr(self, then)()

    return QtCore.Property(kind, read, write)


class Setters:
    """Adds ``setName(value)`` for every property of a derived class that has none."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name, value in list(vars(cls).items()):
            setter = f"set{name[:1].upper()}{name[1:]}"
            if isinstance(value, QtCore.Property) and not hasattr(cls, setter):
                setattr(cls, setter, _setter(name))


def _setter(name: str) -> Any:
    def set_property(self: Any, value: Any) -> None:
        setattr(self, name, value)

    return set_property
