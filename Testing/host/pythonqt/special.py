"""Methods of Qt that behave differently through PythonQt, or that must not do in a test what they do for a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtWidgets

from ..dialogs import dialogs


def _find_children(self: QtCore.QObject, kind: Any = None, name: str | None = None) -> list[QtCore.QObject]:
    """``findChildren("QToolBar")``, ``findChildren(qt.QWidget)``, and either with a name."""
    children = self.findChildren(QtCore.QObject)
    if isinstance(kind, str):
        children = [child for child in children if any(cls.__name__ == kind for cls in type(child).__mro__)]
    elif kind is not None:
        children = [child for child in children if isinstance(child, kind._qt_class)]
    return [child for child in children if name is None or child.objectName() == name]


def _find_child(self: QtCore.QObject, kind: Any, name: str | None = None) -> QtCore.QObject | None:
    return next(iter(_find_children(self, kind, name)), None)


def _exec_dialog(self: QtWidgets.QDialog) -> int:
    """A modal dialog: nobody sits there to close it."""
    return dialogs.asked_by_dialog(self)


SPECIAL_METHODS: dict[str, tuple[type, Callable[..., Any]]] = {
    "findChildren": (QtCore.QObject, _find_children),
    "findChild": (QtCore.QObject, _find_child),
    "exec_": (QtWidgets.QDialog, _exec_dialog),
    "exec": (QtWidgets.QDialog, _exec_dialog),
}
