"""A person fine-tunes in the module: Start, curves, Stop, Resume, a crash, another Slicer; and what is seen of it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.train_module import current, finished_run, forget, phase, quick, verdict_on

from mtctl.cases.store import CaseStore
from mtctl.models.model import Model
from mtctl.models.store import ModelStore
from mtctl.system.process_tree import kill_tree
from mtctl_train.finetuning.run_folder import read_status

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("answered_here")]

#: Seconds, for machines that are busy with other things.
PATIENCE = 300


def lines(host: Any) -> list[Any]:
    """What the plot views draw."""
    import slicer

    manager = slicer.app.layoutManager()
    drawn = [line for index in range(manager.plotViewCount) for line in manager.plotWidget(index).plotView().lines()]
    return [line for line in drawn if line.points]


def test_a_run_is_started_watched_stopped_resumed_and_judged(
    host: Any, module: Any, store: CaseStore, site: ModelStore
) -> None:
    import slicer

    ui, page, before = module.ui, module.page, slicer.app.layoutManager().layout
    quick(module, 20)
    assert (ui.startButton.enabled, ui.stopButton.enabled, ui.resumeButton.enabled) == (True, False, False)
    ui.startButton.click()
    assert (ui.startButton.enabled, ui.stopButton.enabled) == (False, True)
    assert host.wait_until(lambda: lines(host), PATIENCE), phase(module)
    assert slicer.app.layoutManager().layout != before
    assert "left" in ui.timeLabel.text and "iteration" in ui.timeLabel.text
    assert host.wait_until(lambda: ui.pictureLabel.isVisible(), PATIENCE), "the prediction on a held-out case"
    ui.stopButton.click()
    assert host.wait_until(lambda: phase(module) == "stopped", PATIENCE)
    assert ui.stateLabel.text == "Stopped" and not ui.noteLabel.isVisible()
    assert (ui.startButton.enabled, ui.stopButton.enabled, ui.resumeButton.enabled) == (True, False, True)

    reached, folder = page.progress.iteration, page.run.folder
    ui.resumeButton.click()
    assert host.wait_until(lambda: page.progress.fold > 1 or page.progress.iteration > reached, PATIENCE), page.status
    for line in lines(host):
        places = [place for place, _ in line.points]
        assert len(places) == 2 or places == sorted(set(places)), "what came again after the checkpoint is drawn once"
    host.leave()
    assert slicer.app.layoutManager().layout == before, "the user's views are back"
    assert host.wait_until(lambda: phase(module) == "finished", PATIENCE), "it is watched from other modules, too"
    host.enter("MTCTLTrain")
    assert page.run.folder == folder and page.verdict is not None and page.progress.fraction == 1
    assert ui.verdictTable.rowCount == len(page.verdict.cases) + 1 == 5
    assert not store.verify()


def test_a_trainer_that_was_killed_is_told_and_found_again_by_another_slicer(host: Any, module: Any) -> None:
    ui, page = module.ui, module.page
    quick(module, 4000)
    ui.startButton.click()
    assert host.wait_until(lambda: page.progress.iteration >= 10, PATIENCE)
    status = read_status(page.run.folder)
    assert status is not None

    widget = host.reload("MTCTLTrain")  # As if Slicer were closed and opened: nothing of the old page lives on.
    assert widget is not module and widget.page.run is not None and widget.page.run.folder == page.run.folder
    assert phase(widget) == "running" and widget.page.progress.iteration >= 10 and lines(host)

    os.kill(status.pid, signal.SIGKILL)
    assert host.wait_until(lambda: phase(widget) == "stopped", PATIENCE)
    assert widget.ui.stateLabel.text == "Ended before it was finished"
    assert "ended from outside" in widget.ui.noteLabel.text and "Resume goes on" in widget.ui.noteLabel.text
    assert widget.ui.resumeButton.enabled and widget.ui.startButton.enabled


def test_a_training_that_slept_with_its_computer_is_found_awake(host: Any, module: Any, tmp_path: Path) -> None:
    from MTCTLTrainLib.runs.training_run import Phase, RunSettings, TrainingRun

    folder, now = tmp_path / "runs" / "2026-11-28-010203", time.time()
    folder.mkdir(parents=True)
    trainer = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])

    def heard(ago: float) -> None:
        status = {"pid": trainer.pid, "started": now - 9000, "heard": time.time() - ago, "state": "running"}
        (folder / "status.json").write_text(json.dumps(status), "utf-8")

    page = module.page
    heard(1)
    page.show(TrainingRun(folder, RunSettings("", "", (), "cpu")))
    assert page.active
    heard(8 * 3600)
    page.poll()
    assert page.status.phase is Phase.STOPPED
    heard(0)
    assert host.wait_until(lambda: page.active, 10), "nobody looked again"
    heard(8 * 3600)
    page.poll()
    page._seen_active -= 20
    page.poll()
    assert not page._timer.isActive()
    kill_tree(trainer.pid)
    trainer.wait()


def test_stop_on_a_full_disk_stops_and_says_that_it_could_not_be_noted(
    host: Any, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    quick(module, 4000)
    module.ui.startButton.click()
    assert host.wait_until(lambda: phase(module) == "running", 60)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        module.ui.stopButton.click()
    assert host.wait_until(lambda: phase(module) == "stopped", 10) and module.ui.resumeButton.enabled
    assert "stopped, but this could not be noted" in host.messages[-1].text


def test_closing_the_scene_and_deleting_the_curves_disturbs_neither_run_nor_page(
    host: Any, module: Any, site: ModelStore, store: CaseStore, tiny_model: Model, tmp_path: Path
) -> None:
    import slicer

    at_first = slicer.app.layoutManager().layout
    finished_run(tmp_path / "runs", verdict_on(site.version(1).model, 0.01), tiny_model, store)
    module.page.find_run()
    assert len(lines(host)) == 4  # Two losses of the second training, the Dice of both.
    for node in slicer.util.getNodesByClass("vtkMRMLPlotChartNode")[:1]:
        slicer.mrmlScene.RemoveNode(node)
    module.page.poll()
    assert len(lines(host)) == 4
    users = []
    end = slicer.vtkMRMLScene.EndCloseEvent
    tag = slicer.mrmlScene.AddObserver(end, lambda *_: users.append(slicer.app.layoutManager().layout), 1.0)
    slicer.mrmlScene.Clear(0)  # MRML itself resets the layout then.
    slicer.mrmlScene.RemoveObserver(tag)
    host.process_events()
    assert len(lines(host)) == 4 and module.ui.minutesBox.value == 30
    curves, before = slicer.app.layoutManager().layout, users[0]
    slicer.mrmlScene.StartState(slicer.vtkMRMLScene.SaveState)
    assert slicer.app.layoutManager().layout == before, "the scene is saved with the user's layout"
    slicer.mrmlScene.EndState(slicer.vtkMRMLScene.SaveState)
    assert slicer.app.layoutManager().layout == curves != before
    slicer.util.saveScene(str(tmp_path / "scene.mrml"))
    assert "PlotSeries" not in (tmp_path / "scene.mrml").read_text("utf-8")
    module.ui.curvesBox.click()
    host.process_events()
    assert slicer.app.layoutManager().layout == before
    module.ui.curvesBox.click()
    slicer.app.layoutManager().setLayout(6)
    host.leave()
    assert slicer.app.layoutManager().layout == 6, "a layout that the user chose meanwhile is kept"
    slicer.app.layoutManager().setLayout(at_first)


def test_every_term_of_the_training_has_a_line_of_its_own_colour_and_a_name_in_words(host: Any, module: Any) -> None:
    import slicer

    from MTCTLTrainLib.panels.curves import Plots
    from MTCTLTrainLib.runs.run_progress import RunProgress

    terms = ["dice", "uncertainty", "distance", "cross_entropy", "cross_task", "guidance"]
    told, plots = RunProgress(), Plots()
    for iteration in (1, 10):
        losses = {name: 1 / (number + iteration) for number, name in enumerate(terms)}
        event = {"event": "progress", "iteration": iteration, "of": 10, "losses": losses, "fold": 1, "folds": 1}
        told.add([event | {"share": 0.0, "seconds_left": 1.0}])
        plots.show(told)
    series = slicer.util.getNodesByClass("vtkMRMLPlotSeriesNode")
    assert len(series) == len({node.GetColor() for node in series}) == len(terms)
    assert not [node.GetName() for node in series if "ncertainty" in node.GetName() and "Guided" not in node.GetName()]
    plots.hide()
    plots.forget()


def test_packages_are_asked_for_at_start_and_nothing_starts_without_them(
    host: Any, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MTCTLTrainLib.panels import training as training_panel

    needs = training_panel.NEEDS
    task = type(needs)(needs.name, needs.refused, {"no_such_package": "no-such-package>=1"})
    monkeypatch.setattr(training_panel, "NEEDS", task)
    host.answer(False)
    module.ui.startButton.click()
    assert "no-such-package>=1" in host.messages[0].text and "The fine-tuning needs" in host.messages[0].text
    assert host.messages[-1].text == needs.refused
    assert module.page.run is None and not host.installed


def test_a_run_that_ended_without_a_model_says_why(
    host: Any, module: Any, store: CaseStore, tiny_model: Model, tmp_path: Path
) -> None:
    folder = finished_run(tmp_path / "runs", None, tiny_model, store)
    module.page.find_run()
    assert "its model is not in" in module.ui.noteLabel.text and str(folder) in module.ui.noteLabel.text
    message = f"{folder}/fold-1/checkpoint: cannot be written: the disk is full; free some space and run again"
    status = json.loads((folder / "status.json").read_text("utf-8")) | {"state": "failed", "message": message}
    (folder / "status.json").write_text(json.dumps(status), "utf-8")
    forget(module)
    module.page.find_run()
    assert module.ui.stateLabel.text == "It could not go on" and "the disk is full" in module.ui.noteLabel.text
    assert module.ui.resumeButton.enabled


def test_the_estimate_comes_from_the_last_measured_pace(host: Any, module: Any) -> None:
    from MTCTLTrainLib import settings

    assert "known after the first one" in module.ui.estimateLabel.text
    settings.remember_seconds_per_iteration("auto", 2.0)
    module.ui.iterationsBox.value = 300
    assert module.ui.estimateLabel.text == "It takes about 10 minutes, by the pace of the last run."
    module.ui.lengthSelector.currentIndex = 0
    assert module.ui.minutesBox.isVisible() and not module.ui.iterationsBox.isVisible()
    assert module.ui.estimateLabel.text == "About 810 iterations, by the pace of the last run."


def test_the_module_tests_itself(host: Any, module: Any) -> None:
    import MTCTLTrain

    host.leave()
    test = MTCTLTrain.MTCTLTrainTest()
    test.messageDelay = 0
    host.warnings.clear()
    test.runTest()
    assert current() is module
    assert not host.warnings and not host.vtk_errors, "each lights the icon in the application's status bar"
