"""Widgets that know the scene: qMRMLWidget and its kin."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from ..pythonqt.connections import Alias


class qMRMLWidget(QtWidgets.QWidget):
    """Signals the scene; the widgets inside get it where the .ui file connects them, and nowhere else."""

    mrmlSceneChanged = QtCore.Signal(object)
    SIGNATURES = {"mrmlSceneChanged(vtkMRMLScene*)": Alias("mrmlSceneChanged(PyObject)")}  # noqa: RUF012

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        """The scene."""
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        """Sets the scene and signals it."""
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qSlicerWidget(qMRMLWidget):
    """The usual top widget of a module's .ui file."""
