"""The coloured bar above a view: its letter, and for slices the slider with the offset."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

STEPS = 2000


class ViewBar(QtWidgets.QFrame):
    """qMRMLSliceControllerWidget and qMRMLThreeDViewControllerWidget, as far as one sees them."""

    moved = QtCore.Signal(float)

    def __init__(self, node: Any, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        red, green, blue = (round(255 * part) for part in node.GetLayoutColor())
        name = QtWidgets.QLabel(node.GetLayoutLabel())
        name.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        name.setMinimumWidth(24)
        name.setStyleSheet("font-weight: bold; color: black;")
        self.setStyleSheet(f"ViewBar {{ background: rgb({red}, {green}, {blue}); }}")
        self.setFixedHeight(24)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(4, 1, 4, 1)
        layout.addWidget(name)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.setRange(0, STEPS)
        self._offset = QtWidgets.QLabel()
        self._offset.setMinimumWidth(86)
        self._offset.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter)
        self._offset.setStyleSheet("color: black;")
        if node.IsA("vtkMRMLSliceNode"):
            layout.addWidget(self._slider, 1)
            layout.addWidget(self._offset)
        else:
            layout.addStretch(1)
        self._lowest, self._highest = 0.0, 1.0
        self._slider.valueChanged.connect(self._slider_moved)

    def show_offset(self, place: str, offset: float, lowest: float, highest: float) -> None:
        """Shows where the slice is, without moving it."""
        self._lowest, self._highest = lowest, highest
        self._offset.setText(place)
        self._slider.blockSignals(True)
        self._slider.setValue(round(STEPS * (offset - lowest) / max(highest - lowest, 1e-6)))
        self._slider.blockSignals(False)

    def _slider_moved(self, step: int) -> None:
        self.moved.emit(self._lowest + (self._highest - self._lowest) * step / STEPS)
