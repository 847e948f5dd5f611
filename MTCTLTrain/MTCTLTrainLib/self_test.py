"""The module's own test, which needs no training and no internet."""

from __future__ import annotations

from typing import Any

import slicer

from MTCTLTrainLib.panels.curves import LAYOUT, Plots
from MTCTLTrainLib.runs.run_progress import RunProgress


def made_up_events(count: int) -> list[dict[str, Any]]:
    """Return the events of a run with two trainings of `count` iterations each."""
    events: list[dict[str, Any]] = []
    for fold in (1, 2):
        of = {"fold": fold, "folds": 2, "of": count}
        events.append({"event": "start", "iteration": 0, "device": "cpu (float32)", **of})
        for iteration in [1, *range(10, count + 1, 10)]:
            losses = {"dice": 0.2 + 0.5 / (1 + iteration / 20), "distance": 0.1 + 0.2 / (1 + iteration / 40)}
            share, left = (fold - 1 + iteration / count) / 2, 2.0 * (count * (3 - fold) - iteration)
            told = {"losses": losses, "share": share, "seconds_left": left}
            events.append({"event": "progress", "iteration": iteration, **told, **of})
            if iteration % 50 == 0:
                dice = 0.9 - 0.1 / (1 + iteration / 50)
                events.append({"event": "validation", "iteration": iteration, "dice": dice, "cases": {}, **of})
        events.append({"event": "end", "iteration": count, **of})
    return events


def draw_curves(test: Any) -> None:
    """Draw the progress of a run, and check what is in the scene and in the views."""
    manager = slicer.app.layoutManager()
    before = manager.layout if manager is not None else None
    plots, progress = Plots(), RunProgress()
    for event in made_up_events(200):
        progress.add([event])
        plots.show(progress)
    charts = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    test.assertEqual(len(charts), 2)
    rows = {table.GetName(): table.GetNumberOfRows() for table in slicer.util.getNodesByClass("vtkMRMLTableNode")}
    test.assertEqual(sorted(rows.values()), [4, 4, 21, 21])
    if manager is not None:
        test.assertEqual(manager.layout, LAYOUT)
    plots.hide()
    plots.forget()
    test.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLPlotChartNode")), 0)
    if manager is not None:
        test.assertEqual(manager.layout, before)
