"""Plot views: the real chart, series and table nodes, drawn as lines with their axes; no mouse interaction.

As in the application, axes that find their range themselves do so once, when something is first drawn: what comes
later, be it another chart, is drawn outside of them until `fitToContent` is called. A view without a chart is black.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from .view_bar import ViewBar

_MARGIN = QtCore.QMarginsF(64, 34, 20, 46)  # room for the title and the axes
_TICKS = 5

Range = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A series as it is drawn."""

    name: str
    color: QtGui.QColor
    points: Sequence[tuple[float, float]]
    markers: bool


class qMRMLPlotView(QtWidgets.QWidget):
    """Draws a chart; changes of the chart, its series and their tables are drawn once the event loop is back."""

    def __init__(self, node: Any, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.setMinimumSize(100, 100)
        self.node = node
        self._observed: list[tuple[Any, int]] = []
        self._found: tuple[Range, Range] | None = None
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._follow())

    def mrmlPlotViewNode(self) -> Any:
        """The view's node."""
        return self.node

    def lines(self) -> list[Line]:
        """For tests: what is drawn."""
        return [_line(each) for each in _series_of(self._chart()) if each.GetTableNode() is not None]

    def fitToContent(self) -> None:
        """Fits the axes that find their range themselves to what is drawn now."""
        self._found = None
        self.update()

    def axes(self) -> tuple[Range, Range] | None:
        """For tests: the ranges of the x and y axes; None where nothing is drawn."""
        chart, points = self._chart(), [point for line in self.lines() for point in line.points]
        if chart is None or not points:
            return None
        if self._found is None:
            xs, ys = zip(*points, strict=True)
            self._found = _wide(min(xs), max(xs)), _wide(min(ys), max(ys))
        x, y = self._found
        x = x if chart.GetXAxisRangeAuto() else tuple(chart.GetXAxisRange())
        y = y if chart.GetYAxisRangeAuto() else tuple(chart.GetYAxisRange())
        return x, y

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        chart, axes = self._chart(), self.axes()
        painter.fillRect(self.rect(), QtGui.QColor("black" if chart is None else "white"))
        if chart is not None and axes is not None:
            lines = [line for line in self.lines() if line.points]
            _Drawing(painter, QtCore.QRectF(self.rect()) - _MARGIN, lines, axes).draw(chart)
        painter.end()

    def _chart(self) -> Any:
        return slicer.mrmlScene.GetNodeByID(self.node.GetPlotChartNodeID() or "")

    def _follow(self) -> None:
        """Observe what the view shows now."""
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        chart = self._chart()
        self.axes()
        nodes = [] if chart is None else [chart]
        if chart is not None:
            nodes += [node for each in _series_of(chart) for node in (each, each.GetTableNode()) if node]
        self._observed = [
            (node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._follow())) for node in nodes
        ]
        self.update()


class qMRMLPlotWidget(QtWidgets.QWidget):
    """A plot view with its bar."""

    def __init__(self, node: Any, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"PlotWidget{node.GetLayoutName()}")
        self._view = qMRMLPlotView(node, self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(ViewBar(node, self))
        layout.addWidget(self._view, 1)

    def plotView(self) -> qMRMLPlotView:
        """The view without its bar."""
        return self._view

    def mrmlPlotViewNode(self) -> Any:
        """The view's node."""
        return self._view.node


class _Drawing:
    """One picture of a chart."""

    def __init__(
        self, painter: QtGui.QPainter, area: QtCore.QRectF, lines: list[Line], axes: tuple[Range, Range]
    ) -> None:
        self._painter, self._area, self._lines = painter, area, lines
        self._x, self._y = axes

    def draw(self, chart: Any) -> None:
        painter, area = self._painter, self._area
        centre = QtCore.Qt.AlignmentFlag.AlignCenter
        title = QtCore.QRectF(area.left(), 4, area.width(), 26)
        painter.drawText(title, centre, chart.GetTitle() or "")
        self._axes(chart)
        for number, line in enumerate(self._lines):
            painter.setPen(QtGui.QPen(line.color, 2))
            painter.setClipRect(area)
            places = [self._place(*point) for point in line.points]
            painter.drawPolyline(QtGui.QPolygonF(places))
            for place in places if line.markers else ():
                painter.drawEllipse(place, 3, 3)
            painter.setClipping(False)
            if chart.GetLegendVisibility():
                top = area.top() + 6 + 18 * number
                right = area.right()
                painter.drawLine(QtCore.QPointF(right - 190, top + 9), QtCore.QPointF(right - 168, top + 9))
                painter.drawText(QtCore.QRectF(right - 162, top, 160, 18), 0, line.name)

    def _axes(self, chart: Any) -> None:
        painter, area = self._painter, self._area
        centre = QtCore.Qt.AlignmentFlag.AlignCenter
        painter.setPen(QtGui.QColor("#404040"))
        below = QtCore.QRectF(area.left(), area.bottom() + 22, area.width(), 20)
        painter.drawText(below, centre, chart.GetXAxisTitle())
        painter.save()
        painter.translate(14, area.center().y())
        painter.rotate(-90)
        painter.drawText(QtCore.QRectF(-200, -10, 400, 20), centre, chart.GetYAxisTitle())
        painter.restore()
        painter.drawRect(area)
        for step in range(_TICKS + 1):
            x, y = (low + (high - low) * step / _TICKS for low, high in (self._x, self._y))
            at = self._place(x, y)
            painter.drawText(QtCore.QRectF(at.x() - 40, area.bottom() + 4, 80, 16), centre, f"{x:.4g}")
            painter.drawText(QtCore.QRectF(24, at.y() - 8, 38, 16), centre, f"{y:.3g}")

    def _place(self, x: float, y: float) -> QtCore.QPointF:
        (left, right), (low, high) = self._x, self._y
        across, up = (x - left) / (right - left), (y - low) / (high - low)
        return QtCore.QPointF(
            self._area.left() + across * self._area.width(), self._area.bottom() - up * self._area.height()
        )


def _series_of(chart: Any) -> list[Any]:
    if chart is None:
        return []
    series = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    return [each for each in series if each is not None]


def _line(series: Any) -> Line:
    table = series.GetTableNode().GetTable()
    columns = [table.GetColumnByName(name) for name in (series.GetXColumnName(), series.GetYColumnName())]
    rows = table.GetNumberOfRows() if all(column is not None for column in columns) else 0
    points = [tuple(column.GetValue(row) for column in columns) for row in range(rows)]
    markers = series.GetMarkerStyle() != slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone
    return Line(series.GetName(), QtGui.QColor.fromRgbF(*series.GetColor()), points, markers)


def _wide(low: float, high: float) -> tuple[float, float]:
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin
