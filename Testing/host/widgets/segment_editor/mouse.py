"""The mouse in the slice views while Paint or Erase is active."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from .base import SegmentEditor


class BrushMouse(QtCore.QObject):
    """Turns a drag with the left button in a slice view into a stroke, applied when the button is released."""

    def __init__(self, editor: SegmentEditor) -> None:
        super().__init__(editor)
        self._editor = editor
        self._views: list[QtWidgets.QWidget] = []
        self._places: list[tuple[float, float, float]] = []

    def watch(self) -> None:
        """Follows the mouse in every slice view that there is."""
        self.leave()
        every = QtWidgets.QApplication.allWidgets()
        self._views = [view for view in every if type(view).__name__ == "qMRMLSliceView"]
        for view in self._views:
            view.installEventFilter(self)

    def leave(self) -> None:
        """Follows it no more."""
        for view in self._views:
            view.removeEventFilter(self)
        self._views = []

    def eventFilter(self, view: Any, event: QtCore.QEvent) -> bool:
        kinds = QtCore.QEvent.Type
        if event.type() not in (kinds.MouseButtonPress, kinds.MouseMove, kinds.MouseButtonRelease):
            return False
        if not isinstance(event, QtGui.QMouseEvent) or not self._editor.brush_is_live():
            return False
        pressed = event.type() == kinds.MouseButtonPress and event.button() == QtCore.Qt.MouseButton.LeftButton
        if pressed or (self._places and event.type() == kinds.MouseMove):
            self._places.append(_ras(view, event.position()))
            return True
        if self._places and event.type() == kinds.MouseButtonRelease:
            places, self._places = self._places, []
            self._editor.brush_effect().paint_stroke(places)
            return True
        return False


def _ras(view: Any, position: QtCore.QPointF) -> tuple[float, float, float]:
    place = view.node.GetXYToRAS().MultiplyPoint((position.x(), view.height() - 1 - position.y(), 0.0, 1.0))
    return place[0], place[1], place[2]
