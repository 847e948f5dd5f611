"""Random sequences of what a person may do in the module: the scene stays consistent, and undo leads back to the start.

    MTCTL_SEQUENCES=100 pytest Testing/python/segment_module/test_random_walks.py

runs as many sequences as are promised; without it a few run. Each has at most 20 edits, as the editor's history has.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.segment_module import add_scan, arrive, ball, current, mask

pytestmark = pytest.mark.host

SEQUENCES = int(os.environ.get("MTCTL_SEQUENCES", "4"))
STEPS = 30
MOST_EDITS = 20  # the history of the embedded editor is as long
SCANS = {"scan": (40, 48, 56), "other": (36, 52, 50)}


class Person(RuleBasedStateMachine):
    """Works in the module, and knows what the segmentation should be after each undo and redo."""

    host: Any
    folder: Path
    sequences = 0

    @initialize(seed=st.integers(0, 3))
    def begin(self, seed: int) -> None:
        import qt

        type(self).sequences += 1
        self.host.clear()
        qt.QSettings().remove("MTCTLSegment")
        self.host.enter("MTCTLSegment")
        self.edits, self.seen = 0, set()
        self.hurried = False
        self.new_case("scan", seed)

    # --- what is looked at --------------------------------------------------------------------------------------------

    @property
    def module(self) -> Any:
        return current(self.host)

    @property
    def ui(self) -> Any:
        return self.module.ui

    @property
    def review(self) -> Any:
        return self.module.currentReview.review

    def new_case(self, name: str, seed: int) -> None:
        add_scan(ball(SCANS[name]), name)
        self.host.process_events()
        self.ui.scanSelector.choose(name)
        arrive(self.host, self.module, self.review_scan(name), seed)
        self.history_begins()

    def review_scan(self, name: str) -> Any:
        import slicer

        return slicer.util.getNode(name)

    def history_begins(self) -> None:
        """The editor has another segmentation: it can undo nothing of the one before."""
        self.past = [mask(self.review)]
        self.at = 0

    def edited(self) -> None:
        self.edits += 1
        self.past = [*self.past[: self.at + 1], mask(self.review)]
        self.at += 1

    def once(self, what: str) -> bool:
        """Whether this is the first time in this sequence: what takes long is done no second time."""
        first = what not in self.seen
        self.seen.add(what)
        return first

    # --- what a person does -------------------------------------------------------------------------------------------

    @rule()
    def hurry(self) -> None:
        """The next action comes before the module has noted this one."""
        self.hurried = True

    @rule(percent=st.integers(5, 100))
    def slide(self, percent: int) -> None:
        self.ui.thresholdSlider.value = percent / 100
        self.host.process_events()

    @rule(key=st.sampled_from("NKCP"))
    def press(self, key: str) -> None:
        self.host.press(key)

    @precondition(lambda self: self.edits < MOST_EDITS)
    @rule(
        effect=st.sampled_from(("Paint", "Erase")),
        view=st.sampled_from(("Red", "Green", "Yellow")),
        aside=st.tuples(*[st.integers(-8, 8)] * 3),
        millimetres=st.integers(2, 14),
    )
    def stroke(self, effect: str, view: str, aside: tuple[int, int, int], millimetres: int) -> None:
        self.ui.segmentEditor.setActiveEffectByName(effect)
        self.ui.segmentEditor.activeEffect().setCommonParameter("BrushAbsoluteDiameter", str(millimetres))
        geometry = self.review.session.maps.geometry
        lps = geometry.index_to_physical(np.array(geometry.size) / 2)
        ras = np.array((-lps[0], -lps[1], lps[2]))
        before, allowed = mask(self.review), self.allowed()
        self.host.stroke(view, [tuple(ras + step * np.array(aside)) for step in (0.0, 0.5, 1.0)])
        assert not ((mask(self.review) != before) & ~allowed).any(), "painted where it is not allowed"
        self.edited()

    def allowed(self) -> np.ndarray:
        """Where the chosen restriction lets the brush work now."""
        import slicer

        parameters, session = self.module._parameterNode, self.review.session
        if parameters.painting.name == "anywhere":
            return np.ones(session.maps.geometry.shape, bool)
        return slicer.util.arrayFromVolume(self.review.nodes.heatmap) >= parameters.threshold

    @rule(times=st.integers(1, 3))
    def undo(self, times: int) -> None:
        for _ in range(times):
            self.ui.undoButton.click()
            self.at = max(self.at - 1, 0)
            assert np.array_equal(mask(self.review), self.past[self.at])

    @rule()
    def redo(self) -> None:
        self.ui.redoButton.click()
        self.at = min(self.at + 1, len(self.past) - 1)
        assert np.array_equal(mask(self.review), self.past[self.at])

    @rule(
        what=st.sampled_from(("kindSelector", "surfaceSelector", "paintingSelector")),
        index=st.integers(0, 1),
    )
    def choose(self, what: str, index: int) -> None:
        getattr(self.ui, what).currentIndex = index
        self.host.process_events()

    @rule(percent=st.integers(0, 100), show=st.booleans())
    def look(self, percent: int, show: bool) -> None:
        self.ui.opacitySlider.value = percent / 100
        self.ui.heatmapBox.checked = show
        self.host.process_events()

    @rule()
    def leave_and_come_back(self) -> None:
        before = mask(self.review)
        self.host.leave()
        self.host.enter("MTCTLSegment")
        assert np.array_equal(mask(self.review), before)

    @rule(seed=st.integers(0, 3))
    def go_to_the_other_case(self, seed: int) -> None:
        import slicer

        here = self.review.nodes.scan.GetName()
        there = "other" if here == "scan" else "scan"
        before, scan = mask(self.review), self.review.nodes.scan
        if slicer.mrmlScene.GetFirstNodeByName(there) is None:
            if not self.once("another case"):
                return
            self.new_case(there, seed)
        else:
            self.ui.scanSelector.choose(there)
            self.host.process_events()
            self.history_begins()
        assert np.array_equal(mask(self.module.currentReview._suspended[scan.GetID()]), before), (
            "the case put aside is untouched"
        )

    @precondition(lambda self: self.edits < MOST_EDITS)
    @rule(seed=st.integers(4, 7))
    def segment_again(self, seed: int) -> None:
        if self.once("segment again"):
            before = mask(self.review)
            arrive(self.host, self.module, self.review.nodes.scan, seed)
            if not np.array_equal(mask(self.review), before):
                self.edited()

    @rule()
    def save_and_load(self) -> None:
        import slicer

        if self.once("save and load"):
            before, path = mask(self.review), self.folder / f"{self.sequences}.mrb"
            self.settle()
            known = self.memory()
            assert slicer.util.saveScene(str(path))
            slicer.mrmlScene.Clear(0)
            self.host.process_events()
            slicer.util.loadScene(str(path))
            self.host.process_events()
            assert np.array_equal(mask(self.review), before) and self.memory() == known
            self.history_begins()

    def memory(self) -> Any:
        """What a review remembers, without its times."""
        state = self.review.session.state
        return state.threshold, state.visited, [(edit.kind, edit.added_ml) for edit in state.edits]

    @rule(seed=st.integers(0, 3))
    def close_the_scene(self, seed: int) -> None:
        import slicer

        if self.once("close"):
            slicer.mrmlScene.Clear(0)
            self.host.process_events()
            assert self.review is None
            self.new_case("scan", seed)

    @rule()
    def reload(self) -> None:
        if self.once("reload"):
            before = mask(self.review)
            self.host.reload("MTCTLSegment")
            assert np.array_equal(mask(self.review), before)
            self.history_begins()

    # --- what must hold -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """A moment's rest: strokes are noted, the threshold is kept."""
        timers = (self.module.editorPanel._stroke, self.module.heatmapPanel._rest)
        assert self.host.wait_until(lambda: not any(timer.isActive() for timer in timers), 10)

    @invariant()
    def nothing_failed(self) -> None:
        assert not self.host.failures, [str(failure) for failure in self.host.failures]
        errors = [message.text for message in self.host.messages if message.kind == "error"]
        assert not errors, errors

    @invariant()
    def everything_fits(self) -> None:
        if self.hurried:
            self.hurried = False
            return
        import slicer

        from mtctl import scene

        self.settle()
        review, session, parameters = self.review, self.review.session, self.module._parameterNode
        now, before = mask(review), session.maps.segmentation
        assert np.array_equal(now, self.past[self.at])
        assert np.array_equal(now, review._mask), "the review believes in another segmentation"
        assert np.array_equal(session._changed, np.flatnonzero(now != before))
        balance = sum(edit.added_ml - edit.removed_ml for edit in session.state.edits) / session.maps.geometry.voxel_ml
        assert round(balance) == int(now.sum()) - int(before.sum())
        nodes = scene.find_case(slicer.mrmlScene, review.nodes.scan)
        assert nodes is not None and scene.missing(nodes) is None
        assert nodes.heatmap is review.nodes.heatmap and nodes.segmentation is review.nodes.segmentation
        assert review.nodes.scan is parameters.scan and review.nodes.kind == parameters.kind.value
        assert (nodes.preview is not None) == (review.asked is not None)
        assert scene.threshold_of(nodes) == parameters.threshold
        if nodes.kind == "entropy":
            assert session.state.threshold == parameters.threshold
        red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
        assert red.GetBackgroundVolumeID() == nodes.scan.GetID()
        kept, draft = scene.load_document(nodes, "review LeftAtrium"), review.draft()
        for name in ("threshold", "edits"):
            assert not kept or kept[name] == draft[name], name

    def teardown(self) -> None:
        """In the end: undo back to where the history begins, and that is what was there then, bit by bit."""
        if not hasattr(self, "past") or self.host.failures:
            return
        for _ in range(self.at):
            self.ui.undoButton.click()
        self.settle()
        assert np.array_equal(mask(self.review), self.past[0])
        assert np.array_equal(self.review._mask, self.past[0])


def test_random_sequences_leave_a_consistent_scene(host: Any, module: Any, tmp_path: Path) -> None:
    made = type("PersonInHost", (Person,), {"host": host, "folder": tmp_path})
    run_state_machine_as_test(
        made,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize="MTCTL_SEQUENCES" not in os.environ,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),  # making a failure smaller would take many minutes
        ),
    )
    assert made.sequences >= SEQUENCES


def test_twenty_edits_can_all_be_taken_back_and_made_again(host: Any, module: Any, case: Any) -> None:
    module.ui.segmentEditor.setActiveEffectByName("Paint")
    past = [mask(case)]
    for number in range(MOST_EDITS):
        x, y, z = case.session.maps.geometry.index_to_physical((2 * number + 4, 4, 4))  # out of the atrium
        module.ui.segmentEditor.activeEffect().paint_at((-x, -y, z), 2.0)
        past.append(mask(case))
        assert past[-1].sum() > past[-2].sum()
    assert host.wait_until(lambda: module.ui.undoButton.enabled)
    for number, step in enumerate((*reversed(past[:-1]), past[0])):
        module.ui.undoButton.click()
        assert np.array_equal(mask(case), step), number
    assert host.wait_until(lambda: module.ui.redoButton.enabled)
    for number, step in enumerate(past[1:]):
        module.ui.redoButton.click()
        assert np.array_equal(mask(case), step), number
