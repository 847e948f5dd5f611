"""qMRMLSegmentsTableView: the segments of a segmentation with their visibility and colour."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtGui, QtWidgets


class qMRMLSegmentsTableView(QtWidgets.QTableWidget):
    """One row a segment: shown or not, colour, name."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(0, 3, parent)
        self.setHorizontalHeaderLabels(["", "", "Name"])
        self.horizontalHeader().setStretchLastSection(True)
        self.verticalHeader().hide()
        self.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        for column in (0, 1):
            self.setColumnWidth(column, 28)
        self._node: Any = None
        self._tags: list[int] = []

    def setMRMLScene(self, scene: Any) -> None:
        """The scene of the segmentation."""

    def segmentationNode(self) -> Any:
        """What is listed."""
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        """Lists the segments of a node."""
        if self._node is not None:
            for tag in self._tags:
                self._node.RemoveObserver(tag)
        self._node = node
        events = (
            vtk.vtkCommand.ModifiedEvent,
            slicer.vtkSegmentation.SegmentAdded,
            slicer.vtkSegmentation.SegmentRemoved,
        )
        self._tags = [node.AddObserver(event, lambda *_: self._fill()) for event in events] if node is not None else []
        self._fill()

    def selectedSegmentIDs(self) -> list[str]:
        """IDs of the chosen rows."""
        rows = sorted({index.row() for index in self.selectedIndexes()})
        return [self._node.GetSegmentation().GetNthSegmentID(row) for row in rows]

    def setSelectedSegmentIDs(self, identifiers: list[str]) -> None:
        """Chooses rows."""
        self.clearSelection()
        for identifier in identifiers:
            self.selectRow(self._node.GetSegmentation().GetSegmentIndex(identifier))

    def _fill(self) -> None:
        segmentation = None if self._node is None else self._node.GetSegmentation()
        display = None if self._node is None else self._node.GetDisplayNode()
        self.setRowCount(0 if segmentation is None else segmentation.GetNumberOfSegments())
        for row in range(self.rowCount()):
            identifier = segmentation.GetNthSegmentID(row)
            segment = segmentation.GetSegment(identifier)
            shown = display is not None and display.GetSegmentVisibility(identifier)
            color = QtWidgets.QTableWidgetItem()
            color.setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
            self.setItem(row, 0, QtWidgets.QTableWidgetItem("●" if shown else "○"))
            self.setItem(row, 1, color)
            self.setItem(row, 2, QtWidgets.QTableWidgetItem(segment.GetName()))
