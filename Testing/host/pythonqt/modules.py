"""The Python modules ``qt`` and ``ctk`` of the application: everything in one flat namespace each."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from ..dialogs import dialogs
from .wrapper import Wrapper, wrapper_class


class QtModule(types.ModuleType):
    """``qt``: Qt's classes are wrapped when they are first asked for."""

    def __init__(self) -> None:
        super().__init__("qt", "Qt as PythonQt offers it")

    def __getattr__(self, name: str) -> Any:
        if name in ("Signal", "Slot", "Property"):
            raise AttributeError(f"qt.{name} does not work in the application: use a pure-Python observer")
        for module in (QtCore, QtGui, QtWidgets):
            value = getattr(module, name, None)
            if value is not None and not name.startswith("_"):
                wrapped = wrapper_class(value) if isinstance(value, type) else value
                setattr(self, name, wrapped)
                return wrapped
        raise AttributeError(f"module 'qt' has no attribute '{name}'")

    def publish(self, *classes: type) -> None:
        """Offers stand-ins under their own names."""
        for cls in classes:
            setattr(self, cls.__name__, wrapper_class(cls))


def qt_module() -> QtModule:
    """``qt``, with its modal dialogs answered by the test."""
    qt = QtModule()
    box, files = wrapper_class(QtWidgets.QMessageBox), wrapper_class(QtWidgets.QFileDialog)
    for kind, default in (("question", box.No), ("warning", box.Ok), ("critical", box.Ok), ("information", box.Ok)):
        setattr(box, kind, staticmethod(_asking(kind, default)))
    for kind, nothing in (("getOpenFileName", ""), ("getSaveFileName", ""), ("getExistingDirectory", "")):
        setattr(files, kind, staticmethod(_asking(kind, nothing)))
    files.getOpenFileNames = staticmethod(_asking("getOpenFileNames", ()))
    return qt


def _asking(kind: str, default: Any) -> Any:
    def ask(parent: Wrapper | None, title: str = "", text: str = "", *_: Any) -> Any:
        return dialogs.asked(kind, f"{title}: {text}", default)

    return ask


class WidgetModule(types.ModuleType):
    """A module that holds nothing but stand-ins: ``ctk``."""

    def publish(self, *classes: type) -> None:
        """Offers stand-ins under their own names."""
        for cls in classes:
            setattr(self, cls.__name__, wrapper_class(cls))
