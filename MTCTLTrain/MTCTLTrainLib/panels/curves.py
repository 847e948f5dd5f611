"""The curves of a run in Slicer's plot views: losses above, validation Dice below."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

from mtctl.scene.types import Node
from MTCTLTrainLib.runs.run_progress import RunProgress, thinned

# Free in Slicer's own numbering of layouts, and in those of the extensions that are known. The first is for the time
# before a validation: a plot view without points would be an empty rectangle.
LOSSES, LAYOUT = 5718, 5717

_TAGS = ("MTCTLLoss", "MTCTLDice")

# Distinguishable by the colour-blind, on white (Okabe and Ito).
_COLORS = (
    (0.0, 0.45, 0.70),
    (0.90, 0.62, 0.0),
    (0.0, 0.62, 0.45),
    (0.80, 0.47, 0.65),
    (0.34, 0.71, 0.91),
    (0.84, 0.37, 0.0),
    (0.2, 0.2, 0.2),
)

_VIEW = (
    '<item><view class="vtkMRMLPlotViewNode" singletontag="{tag}">'
    '<property name="viewlabel" action="default">{label}</property></view></item>'
)

Values = list[tuple[int, float]]

# Empty room above and below the curves, as a fraction of their height.
_ROOM = 0.05


class PlottedCurve:
    """One line in a chart: a plot series and its table, which are not saved with the scene."""

    def __init__(self, chart: Any, name: str, color: tuple[float, float, float], points: bool) -> None:
        self._shown: Values = []
        self.name = name
        self._table = _hidden("vtkMRMLTableNode", f"MT-CTL {name}")
        for title in (_("Iteration"), name):
            column = vtk.vtkFloatArray()
            column.SetName(title)
            self._table.AddColumn(column)
        self._series = _hidden("vtkMRMLPlotSeriesNode", name)
        self._series.SetAndObserveTableNodeID(self._table.GetID())
        self._series.SetXColumnName(_("Iteration"))
        self._series.SetYColumnName(name)
        self._series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        self._series.SetMarkerStyle(
            slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle if points else slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone
        )
        self._series.SetColor(*color)
        chart.AddAndObservePlotSeriesNodeID(self._series.GetID())

    def show(self, values: Values) -> None:
        """Append new values; draw all again if earlier ones have changed."""
        if not values or values == self._shown:
            return
        if self._shown != values[: len(self._shown)]:
            self._table.GetTable().SetNumberOfRows(0)
            self._shown = []
        # A chart wants two rows from the start: the first point twice, until there is a second one.
        rows = values * 2 if len(values) == 1 else values
        first = max(len(self._shown) - 1, 0) if len(self._shown) == 1 else len(self._shown)
        for number in range(first, len(rows)):
            if number >= self._table.GetNumberOfRows():
                self._table.AddEmptyRow()
            for column, value in enumerate(rows[number]):
                self._table.GetTable().GetColumn(column).SetValue(number, value)
        self._shown = list(values)
        self._table.GetTable().Modified()
        self._table.Modified()

    @property
    def whole(self) -> bool:
        """Whether all of its nodes are in the scene."""
        return all(slicer.mrmlScene.IsNodePresent(node) for node in (self._table, self._series))

    def remove(self) -> None:
        """Remove it from the scene."""
        for node in (self._series, self._table):
            if slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)


class Chart:
    """The chart of one plot view."""

    def __init__(self, title: str, y_title: str, points: bool) -> None:
        self._points = points
        self.node = _hidden("vtkMRMLPlotChartNode", f"MT-CTL {title}")
        self.node.SetTitle(title)
        self.node.SetXAxisTitle(_("Iteration"))
        self.node.SetYAxisTitle(y_title)
        self.node.SetTitleFontSize(14)
        self._curves: dict[str, PlottedCurve] = {}

    def show(self, curves: dict[str, Values]) -> None:
        """Show these values by name."""
        for name in [name for name, curve in self._curves.items() if name not in curves or not curve.whole]:
            self._curves.pop(name).remove()
        for name, values in curves.items():
            if name not in self._curves and values:
                color = _COLORS[len(self._curves) % len(_COLORS)]
                self._curves[name] = PlottedCurve(self.node, name, color, self._points)
            if values:
                self._curves[name].show(values)
        self.node.SetLegendVisibility(len(self._curves) > 1)
        self._fit([point for values in curves.values() for point in values])

    def _fit(self, points: Values) -> None:
        """Fit the axes to the curves: left to themselves they stay as they were when the view first drew something."""
        if not points:
            return
        places, values = zip(*points, strict=True)
        room = _ROOM * (max(values) - min(values)) or 0.5
        self.node.SetXAxisRangeAuto(False)
        self.node.SetXAxisRange(min(places), max(max(places), min(places) + 1))
        self.node.SetYAxisRangeAuto(False)
        self.node.SetYAxisRange(min(values) - room, max(values) + room)

    @property
    def whole(self) -> bool:
        """Whether it is in the scene."""
        return bool(slicer.mrmlScene.IsNodePresent(self.node))

    def remove(self) -> None:
        """Remove it from the scene."""
        for curve in self._curves.values():
            curve.remove()
        self._curves.clear()
        if self.whole:
            slicer.mrmlScene.RemoveNode(self.node)


class Plots:
    """Both charts, and the layout in which they are shown."""

    def __init__(self) -> None:
        self._charts: tuple[Chart, Chart] | None = None
        self._layout_before: int | None = None

    def show(self, progress: RunProgress) -> None:
        """Update the charts, and show them if they are not shown yet."""
        losses = {_title(name): progress.curve(thinned(points)) for name, points in progress.present_losses.items()}
        if not any(losses.values()):  # A new run: what is drawn is of the one before.
            if not progress.losses:
                self.hide()
                self.forget()
            return
        if self._charts is not None and not all(chart.whole for chart in self._charts):
            self.forget()
        if self._charts is None:
            self._charts = (
                Chart(_("Losses on the training cases"), _("Loss"), points=False),
                Chart(_("Agreement with held-out cases"), _("Mean Dice, %"), points=True),
            )
        number = (
            _(", training {fold} of {folds}").format(fold=progress.fold, folds=progress.folds)
            if progress.folds > 1
            else ""
        )
        self._charts[0].node.SetTitle(_("Losses on the training cases") + number)
        self._charts[0].show(losses)
        self._charts[1].show(_by_fold(progress))
        self._enter_layout(LAYOUT if progress.dice else LOSSES)

    def hide(self) -> None:
        """Restore the user's layout, unless the user has chosen another one meanwhile."""
        before, self._layout_before = self._layout_before, None
        manager = slicer.app.layoutManager()
        if before is not None and manager is not None and manager.layout in (LOSSES, LAYOUT):
            manager.setLayout(before)

    def forget(self) -> None:
        """Remove all charts from the scene."""
        charts, self._charts = self._charts, None
        for chart in charts or ():
            chart.remove()

    def _enter_layout(self, layout: int) -> None:
        manager = slicer.app.layoutManager()
        if manager is None or self._charts is None:  # Slicer without a main window.
            return
        if self._layout_before is None:
            self._layout_before = manager.layout
            _describe(manager.layoutLogic().GetLayoutNode())
            manager.setLayout(layout)
        elif manager.layout in (LOSSES, LAYOUT) and manager.layout != layout:
            manager.setLayout(layout)
        for tag, chart in zip(_TAGS, self._charts, strict=True):
            view = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLPlotViewNode")
            if view is not None and view.GetPlotChartNodeID() != chart.node.GetID():
                view.SetDoPropagatePlotChartSelection(False)
                view.SetPlotChartNodeID(chart.node.GetID())


def _describe(layout: Any) -> None:
    items = [_VIEW.format(tag=tag, label=label) for tag, label in zip(_TAGS, ("L", "D"), strict=True)]
    for number, shown in ((LOSSES, items[:1]), (LAYOUT, items)):
        description = f'<layout type="vertical" split="true">{"".join(shown)}</layout>'
        if layout.IsLayoutDescription(number):
            layout.SetLayoutDescription(number, description)
        else:
            layout.AddLayoutDescription(number, description)


def _by_fold(progress: RunProgress) -> dict[str, Values]:
    """Return a line for each fold, as each has its own held-out cases."""
    curves: dict[str, Values] = {}
    shown = thinned(progress.dice)
    for point, (place, value) in zip(shown, progress.curve(shown), strict=True):
        name = _("Training {fold}").format(fold=point.fold) if progress.folds > 1 else _("Dice")
        curves.setdefault(name, []).append((place, 100 * value))
    return curves


def _title(loss: str) -> str:
    return {
        "dice": _("Overlap (Dice)"),
        "cross_entropy": _("Cross-entropy"),
        "uncertainty": _("Sample: overlap and cross-entropy"),
        "distance": _("Distance map"),
        "cross_task": _("Mask and distance"),
        "copy_paste": _("Unlabelled cases"),
        "guidance": _("Guided by uncertainty"),
    }.get(loss, loss.replace("_", " ").capitalize())


def _hidden(kind: str, name: str) -> Node:
    node = getattr(slicer, kind)()
    node.SetName(name)
    node.SetHideFromEditors(True)  # Before it is in the scene: the subject hierarchy looks at it once.
    node.SetSaveWithScene(False)
    return slicer.mrmlScene.AddNode(node)
