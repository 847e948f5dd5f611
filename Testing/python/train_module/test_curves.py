"""The curves of a run in the plot views, which find their axes once and then keep them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("modules_loaded")]


@pytest.fixture
def plots(host: Any, modules_loaded: None) -> Iterator[Any]:
    import slicer

    from MTCTLTrainLib.panels.curves import Plots

    before, shown = slicer.app.layoutManager().layout, Plots()
    yield shown
    shown.hide()
    shown.forget()
    assert slicer.app.layoutManager().layout == before


def told(first: int, last: int | None) -> Any:
    """The progress of a run with two trainings of 200 iterations, after a part of its events."""
    from MTCTLTrainLib.runs.run_progress import RunProgress
    from MTCTLTrainLib.self_test import made_up_events

    progress = RunProgress()
    progress.add(made_up_events(200)[first:last])
    return progress


def shown_views() -> list[Any]:
    """The plot views of the present layout."""
    import slicer

    manager = slicer.app.layoutManager()
    views = [manager.plotWidget(index) for index in range(manager.plotViewCount)]
    return [view.plotView() for view in views if view.isVisible()]


def fitting(view: Any) -> bool:
    """Whether the axes hold all points, and the points fill half of each axis or more."""
    axes, points = view.axes(), [point for line in view.lines() for point in line.points]
    for (low, high), values in zip(axes, zip(*points, strict=True), strict=True):
        height = max(values) - min(values)  # 0: a single point
        if not low <= min(values) <= max(values) <= high or (height and height < (high - low) / 2):
            return False
    return True


def test_the_axes_follow_the_curves(host: Any, plots: Any) -> None:
    for last in (3, 10, 20, None):
        plots.show(told(0, last))
        host.process_events()
        assert all(map(fitting, shown_views())), f"after {last} events"
    assert len(shown_views()) == 2


def test_a_later_run_has_axes_of_its_own_and_shows_nothing_of_the_one_before(host: Any, plots: Any) -> None:
    import slicer

    plots.show(told(0, None))
    plots.show(told(0, 1))
    assert not slicer.util.getNodesByClass("vtkMRMLPlotSeriesNode"), "it has no loss yet"
    plots.show(told(0, 4))
    host.process_events()
    (view,) = shown_views()
    assert fitting(view) and view.axes()[0][1] <= 20


def test_agreement_with_held_out_cases_has_a_view_from_the_first_validation_on(host: Any, plots: Any) -> None:
    import slicer

    plots.show(told(0, 5))
    host.process_events()
    assert [len(view.lines()) for view in shown_views()] == [2]
    plots.show(told(0, 10))
    host.process_events()
    assert [len(view.lines()) for view in shown_views()] == [2, 1]
    slicer.app.layoutManager().setLayout(6)
    plots.show(told(0, None))
    assert slicer.app.layoutManager().layout == 6, "a layout that the user chose meanwhile is kept"
    slicer.app.layoutManager().setLayout(3)


def test_one_validation_alone_is_drawn(host: Any, plots: Any) -> None:
    plots.show(told(0, 8))
    host.process_events()
    low, high = shown_views()[-1].axes()[1]
    assert low < shown_views()[-1].lines()[0].points[0][1] < high
