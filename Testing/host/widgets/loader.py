"""Loading .ui files: the stand-ins are made where a file names CTK's and Slicer's widgets."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

from ..pythonqt import connections

REGISTERED: dict[str, type[QtWidgets.QWidget]] = {}


class QUiLoader(QtUiTools.QUiLoader):
    """``qt.QUiLoader``."""

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._made: list[QtWidgets.QWidget] = []

    def load(self, file: QtCore.QIODevice, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
        """The file's widget, with its connections made.

        The scene reaches a node selector through a connection of the file, as in the application: a file without it
        leaves the selector empty here, too. Qt cannot make those connections, since it does not know the signals of
        the stand-ins; so they are made one by one.
        """
        source = ElementTree.fromstring(bytes(file.readAll().data()))
        section = source.find("connections")
        if section is not None:
            source.remove(section)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(source))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        for connection in section if section is not None else ():
            _connect(widget, connection)
        return widget

    def createWidget(self, name: str, parent: QtWidgets.QWidget | None = None, title: str = "") -> QtWidgets.QWidget:
        """One widget of the file.

        Raises:
            RuntimeError: for a class of CTK or Slicer without a stand-in.
        """
        if name in REGISTERED:
            widget = REGISTERED[name](parent)
            widget.setObjectName(title)
            self._made.append(widget)  # until the file is loaded nobody else holds it
            return widget
        if name.startswith(("ctk", "qMRML", "qSlicer")):
            raise RuntimeError(f"the test host has no stand-in for {name}")
        return super().createWidget(name, parent, title)


def _connect(widget: QtWidgets.QWidget, connection: ElementTree.Element) -> None:
    names = {part: connection.findtext(part, "") for part in ("sender", "signal", "receiver", "slot")}
    sender, receiver = (_find(widget, names[part]) for part in ("sender", "receiver"))
    slot: Any = getattr(receiver, names["slot"].partition("(")[0], None)
    if sender is None or slot is None or not connections.connect(sender, names["signal"], slot):
        print(f"the .ui file connects what does not exist: {names}", file=sys.stderr)


def _find(widget: QtWidgets.QWidget, name: str) -> QtWidgets.QWidget | None:
    return widget if widget.objectName() == name else widget.findChild(QtWidgets.QWidget, name)
