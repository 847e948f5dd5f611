"""A person fine-tunes in the module: cases, Start, curves, Stop, Resume, verdict, Publish, Roll back."""

from __future__ import annotations

import time
from typing import Any

from train_module import *  # noqa: F403
from train_module import phase, quick

from mtctl.cases import CaseStore
from mtctl.model_store import ModelStore


def points(host: Any) -> list[Any]:
    """The lines that the two plot views draw."""
    import slicer

    manager = slicer.app.layoutManager()
    return [line for index in range(manager.plotViewCount) for line in manager.plotWidget(index).plotView().lines()]


def test_from_start_to_rollback(host: Any, module: Any, store: CaseStore, site: ModelStore) -> None:
    import slicer

    ui, bench, before = module.ui, module.bench, slicer.app.layoutManager().layout
    quick(module, 600)
    assert ui.startButton.enabled and not ui.stopButton.enabled and not ui.resumeButton.enabled
    began = time.monotonic()
    with host.heartbeat() as beat:
        ui.startButton.click()
        assert ui.stopButton.enabled and not ui.startButton.enabled
        assert host.wait_until(lambda: any(line.points for line in points(host)), 90), phase(module)
        print(f"first loss on the screen after {time.monotonic() - began:.1f} s")
        assert slicer.app.layoutManager().layout != before
        assert host.wait_until(lambda: bench.story.iteration >= 20, 60)
        assert "left" in ui.timeLabel.text and "iteration" in ui.timeLabel.text
        ui.stopButton.click()
        assert host.wait_until(lambda: phase(module) == "stopped", 10)
    print(f"heartbeat late by {beat.worst_ms:.0f} ms at most")
    assert ui.stateLabel.text == "Stopped" and ui.resumeButton.enabled and not ui.noteLabel.isVisible()

    reached = bench.story.iteration
    ui.resumeButton.click()
    assert host.wait_until(lambda: bench.story.iteration > reached, 60), bench.standing
    iterations = [point[0] for point in next(line for line in points(host) if line.points).points]
    assert iterations == sorted(iterations), "what came after the checkpoint is drawn once"
    host.leave()
    assert slicer.app.layoutManager().layout == before
    assert not CaseStore(store.folder).verify()
