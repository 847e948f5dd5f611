"""Random sequences of what a person may do in the module: strokes, answers, undo, and all that happens around a review.

The scene stays consistent, each step is taken back alone and in order, and undo leads back to the start.

    MTCTL_SEQUENCES=100 pytest Testing/python/segment_module/test_random_walks.py

runs as many sequences as are promised; without it a few run. Each has at most 20 edits, as the editor's history has.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
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
from support.asked_module import CORNERS, PATIENCE, crosshair, questions_at, quiet, strip
from support.question_child import QuestionChild, obeyed
from support.segment_module import add_scan, arrive, ball, choose_store, current, mask

from mtctl.cases.store import CaseStore
from mtctl.geometry import Geometry, Mask
from mtctl.review.answers import Answer, Said, ShownQuestion, with_changed
from mtctl.review.document import knowledge_in
from mtctl.review.knowledge import Knowledge
from mtctl.review.places import settled_by

pytestmark = pytest.mark.host

SEQUENCES = int(os.environ.get("MTCTL_SEQUENCES", "4"))
STEPS = 30
MOST_EDITS = 20  # the history of the embedded editor is as long
SCANS = {"scan": (40, 48, 56), "other": (36, 52, 50)}


@dataclass(frozen=True)
class Step:
    """Where the history of the editor stands: the segmentation, and what was said of it."""

    mask: Mask
    said: Said

    def is_as(self, other: Step) -> bool:
        return self.said == other.said and np.array_equal(self.mask, other.mask)


class Person(RuleBasedStateMachine):
    """Works in the module, and knows what segmentation and answers should be after each undo and redo."""

    host: Any
    child: QuestionChild
    folder: Path
    sequences = 0

    @initialize(seed=st.integers(0, 3))
    def begin(self, seed: int) -> None:
        import qt

        type(self).sequences += 1
        self.child.held = False
        self.host.clear()
        qt.QSettings().remove("MTCTLSegment")
        self.host.enter("MTCTLSegment")
        self.module.ui.storeEdit.currentPath = ""
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

    @property
    def dialogue(self) -> Any:
        return self.module.questionPanel._dialogue

    @property
    def geometry(self) -> Geometry:
        found: Geometry = self.review.session.maps.geometry
        return found

    @property
    def step(self) -> Step:
        return self.past[self.at]

    def new_case(self, name: str, seed: int) -> None:
        add_scan(ball(SCANS[name]), name)
        self.host.process_events()
        self.ui.scanSelector.choose(name)
        arrive(self.host, self.module, self.review_scan(name), seed)
        self.history_begins(Said())
        self.accepted = False

    def review_scan(self, name: str) -> Any:
        import slicer

        return slicer.util.getNode(name)

    def history_begins(self, said: Said) -> None:
        """The editor has another segmentation: it can undo nothing of the one before."""
        self.past = [Step(mask(self.review), said)]
        self.at = 0
        self.pending: Answer | None = None

    def did(self, now: Mask, said: Said) -> None:
        """A step of the history is made."""
        self.edits += 1
        self.past = [*self.past[: self.at + 1], Step(now, said)]
        self.at += 1
        self.accepted = False

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
        lps = self.geometry.index_to_physical(np.array(self.geometry.size) / 2)
        ras = np.array((-lps[0], -lps[1], lps[2]))
        before, allowed = mask(self.review), self.allowed()
        self.host.stroke(view, [tuple(ras + step * np.array(aside)) for step in (0.0, 0.5, 1.0)])
        now = mask(self.review)
        assert not ((now != before) & ~allowed).any(), "painted where it is not allowed"
        opened = not np.array_equal(now, before)
        accepted = self.accepted
        self.did(now, self.step.said)
        self.accepted = accepted and not opened

    def allowed(self) -> np.ndarray:
        """Where the chosen restriction lets the brush work now."""
        import slicer

        parameters, session = self.module._parameterNode, self.review.session
        if parameters.painting.name == "anywhere":
            return np.ones(session.maps.geometry.shape, bool)
        return slicer.util.arrayFromVolume(self.review.nodes.heatmap) >= parameters.threshold

    @rule(times=st.integers(1, 3), key=st.booleans())
    def undo(self, times: int, key: bool) -> None:
        for _ in range(times):
            to = max(self.at - 1, 0)
            # The editor's own key tells nobody where there is no step before, or one that changed nothing.
            if self.pending is None or (key and self.past[to].is_as(self.step)):
                self.turn(to, "Z" if key else "", self.ui.undoButton)
            else:
                self.take_back(key)

    def take_back(self, key: bool) -> None:
        """Undoes an answer that has not come yet, and no more than that."""
        self.host.press("Z") if key else self.ui.takeBackButton.click()
        self.pending = None
        self.settle()
        assert np.array_equal(mask(self.review), self.step.mask) and not self.dialogue.answering

    @precondition(lambda self: self.pending is None)
    @rule(key=st.booleans())
    def redo(self, key: bool) -> None:
        self.turn(min(self.at + 1, len(self.past) - 1), "Y" if key else "", self.ui.redoButton)

    def turn(self, to: int, key: str, button: Any) -> None:
        """Goes to another step of the history."""
        before, self.at = self.step, to
        if key:
            self.host.press(key)
        else:
            button.click()
        assert np.array_equal(mask(self.review), self.step.mask)
        if not self.step.is_as(before):
            self.accepted = False

    # --- questions ----------------------------------------------------------------------------------------------------

    @rule(slow=st.booleans())
    def child_is_slow(self, slow: bool) -> None:
        self.child.held = slow
        self.hear()

    def hear(self) -> None:
        """The answer on its way has come, if the child is not slow."""
        if self.child.held:
            return
        quiet(self.host, self.module)
        if self.pending is not None:
            answer, self.pending, before = self.pending, None, self.step
            changed = obeyed(before.mask, answer, self.geometry)
            said = Said((*before.said.answers, answer), before.said.kept)
            self.did(with_changed(before.mask, changed), said)

    @rule(key=st.sampled_from("NP"))
    def go_on(self, key: str) -> None:
        self.host.press(key)
        if self.dialogue.current is not None:
            assert crosshair() == pytest.approx(self.dialogue.current.place, abs=0.01)

    @precondition(lambda self: self.edits < MOST_EDITS)
    @rule(button=st.booleans())
    def keep(self, button: bool) -> None:
        question, said = self.dialogue.current, self.step.said
        taken = question is not None and not self.dialogue.answering
        self.ui.keepButton.click() if button else self.host.press("K")
        if taken:
            self.did(self.step.mask, Said(said.answers, (*said.kept, question.place)))

    @precondition(lambda self: self.edits < MOST_EDITS)
    @rule(button=st.booleans())
    def change(self, button: bool) -> None:
        question = self.dialogue.current
        taken = question is not None and not self.dialogue.answering
        self.ui.changeButton.click() if button else self.host.press("C")
        if taken:
            self.pending = question.answer
        self.hear()

    @precondition(lambda self: self.edits < MOST_EDITS and self.pending is None)
    @rule(
        side=st.sampled_from(("inside", "outside")),
        view=st.sampled_from(("Red", "Green", "Yellow")),
        aside=st.tuples(*[st.integers(-14, 14)] * 3),
    )
    def click(self, side: str, view: str, aside: tuple[int, int, int]) -> None:
        """Looks at the middle of the scan, and clicks beside it."""
        import slicer

        from mtctl import scene

        middle = self.geometry.index_to_physical(np.array(self.geometry.size) / 2)
        scene.jump(slicer.mrmlScene, middle.tolist())
        self.host.process_events()
        lps = middle + np.array(aside)
        (self.ui.insideButton if side == "inside" else self.ui.outsideButton).click()
        assert side in strip(self.module)
        self.host.click_at(view, (-lps[0], -lps[1], lps[2]))
        assert self.host.wait_until(lambda: not self.module.questionPanel._click.waiting, PATIENCE)
        given = self.dialogue._given
        reply = self.review.session.state.replies[-1:]
        self.pending = given[0] if given else Answer(reply[0].clicks, reply[0].side)
        assert self.pending.side == side
        off = np.abs(np.array(self.pending.clicks[0]) - lps)
        assert np.sort(off)[1] < 1.5, "two axes lie in the view; the third is the slice's"
        self.hear()

    # --- how things are shown -----------------------------------------------------------------------------------------

    @rule(
        what=st.sampled_from(("threshold", "opacity", "kindSelector", "surfaceSelector", "paintingSelector")),
        percent=st.integers(5, 100),
        second=st.booleans(),
    )
    def show(self, what: str, percent: int, second: bool) -> None:
        if what == "threshold":
            self.ui.thresholdSlider.value = percent / 100
        elif what == "opacity":
            self.ui.opacitySlider.value = percent / 100
            self.ui.heatmapBox.checked = second
        else:
            getattr(self.ui, what).currentIndex = int(second)
        self.host.process_events()

    # --- what happens to a case ---------------------------------------------------------------------------------------

    @rule(
        what=st.sampled_from(
            ("leave", "accept", "other case", "save and load", "reload", "segment again", "close", "leave", "accept")
        ),
        seed=st.integers(0, 3),
    )
    def happen(self, what: str, seed: int) -> None:
        if what == "other case":
            self.go_to_the_other_case(seed)
        elif what == "segment again":
            self.segment_again(seed + 4)
        elif what == "close":
            self.close_the_scene(seed)
        else:
            {
                "leave": self.leave_and_come_back,
                "accept": self.accept,
                "save and load": self.save_and_load,
                "reload": self.reload,
            }[what]()

    def leave_and_come_back(self) -> None:
        before = mask(self.review)
        self.host.leave()
        self.host.enter("MTCTLSegment")
        self.pending = None
        assert np.array_equal(mask(self.review), before)

    def go_to_the_other_case(self, seed: int) -> None:
        import slicer

        here = self.review.nodes.scan.GetName()
        there = "other" if here == "scan" else "scan"
        before, scan = self.step, self.review.nodes.scan
        if slicer.mrmlScene.GetFirstNodeByName(there) is None:
            if not self.once("another case"):
                return
            self.aside = before, self.accepted
            self.new_case(there, seed)
        else:
            (waiting, accepted), self.aside = self.aside, (before, self.accepted)
            self.ui.scanSelector.choose(there)
            self.host.process_events()
            self.history_begins(waiting.said)
            self.accepted = accepted
            assert np.array_equal(self.step.mask, waiting.mask)
        suspended = self.module.currentReview._suspended[scan.GetID()]
        assert np.array_equal(mask(suspended), before.mask), "the case put aside is untouched"
        assert suspended.session.said == before.said

    def segment_again(self, seed: int) -> None:
        if self.edits < MOST_EDITS and self.once("segment again"):
            self.settle()
            before = mask(self.review)
            arrive(self.host, self.module, self.review.nodes.scan, seed)
            self.pending, self.accepted = None, False
            if not np.array_equal(mask(self.review), before):
                self.did(mask(self.review), Said())
            self.past = [*(Step(step.mask, Said()) for step in self.past[:-1]), Step(self.past[-1].mask, Said())]

    def accept(self) -> None:
        store = self.folder / f"store-{self.sequences}"
        choose_store(self.host, self.module.finishPanel.storeEdit, store)
        self.ui.acceptCaseButton.click()
        assert self.host.wait_until(lambda: not self.module.storeJob.running, PATIENCE)
        self.accepted, self.pending = True, None
        (case,) = [case for case in CaseStore(store).cases() if case.geometry.size == self.geometry.size]
        assert np.array_equal(case.corrected_mask(), self.step.mask)

    def save_and_load(self) -> None:
        import slicer

        if self.once("save and load"):
            before, path = self.step, self.folder / f"{self.sequences}.mrb"
            self.settle()
            known = self.memory()
            assert slicer.util.saveScene(str(path))
            slicer.mrmlScene.Clear(0)
            self.host.process_events()
            slicer.util.loadScene(str(path))
            self.host.process_events()
            assert np.array_equal(mask(self.review), before.mask) and self.memory() == known
            self.history_begins(before.said)

    def memory(self) -> Any:
        """What a review remembers, without its times."""
        state = self.review.session.state
        edits = [(edit.kind, edit.added_ml) for edit in state.edits]
        return state.threshold, state.visited, state.status, state.replies, edits

    def close_the_scene(self, seed: int) -> None:
        import slicer

        if self.once("close"):
            slicer.mrmlScene.Clear(0)
            self.host.process_events()
            assert self.review is None
            self.new_case("scan", seed)

    def reload(self) -> None:
        if self.once("reload"):
            before = self.step
            self.host.reload("MTCTLSegment")
            assert np.array_equal(mask(self.review), before.mask)
            self.history_begins(before.said)

    # --- what must hold -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """A moment's rest: strokes are noted, the threshold is kept, questions are there."""
        timers = (self.module.editorPanel._stroke, self.module.heatmapPanel._rest)
        assert self.host.wait_until(lambda: not any(timer.isActive() for timer in timers), 10)
        self.hear()

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
        assert np.array_equal(now, self.step.mask)
        assert np.array_equal(now, review._mask), "the review believes in another segmentation"
        assert np.array_equal(session._changed, np.flatnonzero(now != before))
        balance = sum(edit.added_ml - edit.removed_ml for edit in session.state.edits) / session.maps.geometry.voxel_ml
        assert round(balance) == int(now.sum()) - int(before.sum())
        nodes = scene.find_case(slicer.mrmlScene, review.nodes.scan)
        assert nodes is not None and scene.missing(nodes) is None
        assert nodes.heatmap is review.nodes.heatmap and nodes.segmentation is review.nodes.segmentation
        assert review.nodes.scan is parameters.scan and review.nodes.kind == parameters.kind.value
        assert scene.threshold_of(nodes) == parameters.threshold
        if nodes.kind == "entropy":
            assert session.state.threshold == parameters.threshold
        red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
        assert red.GetBackgroundVolumeID() == nodes.scan.GetID()
        self.replies_fit(nodes)
        self.questions_fit(nodes)

    def replies_fit(self, nodes: Any) -> None:
        """What was said is what the person said, in the session, in the draft in the scene, and voxel by voxel."""
        from mtctl import scene

        session, said, now = self.review.session, self.step.said, self.step.mask
        assert session.said == said
        assert (session.state.status.value == "accepted") == self.accepted
        kept, draft = scene.load_document(nodes, "review LeftAtrium"), self.review.draft()
        for name in ("threshold", "edits", "status"):
            assert not kept or kept[name] == draft[name], name
        if kept:
            assert [reply["undone"] for reply in kept["questions"]] == [one["undone"] for one in draft["questions"]]
            start = session.maps.segmentation
            settled = knowledge_in(kept, start, now, self.geometry) >= Knowledge.CONFIRMED
            assert np.array_equal(settled, settled_by(said, self.geometry) | (now != start))
        else:
            assert said == Said()

    def questions_fit(self, nodes: Any) -> None:
        """The list is of what is there now, and what is drawn is what the present question would change."""
        from mtctl.scene.segments import segment_mask

        dialogue, question, asked = self.dialogue, self.dialogue.current, self.review.asked
        assert (nodes.preview is not None) == (asked is not None) and asked in (None, question)
        if asked is not None:
            drawn = [segment_mask(nodes.preview, name, nodes.scan) for name in ("added", "removed")]
            changed = obeyed(self.step.mask, question.answer, self.geometry)
            assert np.array_equal(np.flatnonzero(drawn[0] | drawn[1]), changed) and len(changed)
            assert not drawn[question.side == "inside"].any(), "drawn in the colour of the other side"
        if question is not None and not dialogue.answering:
            count = len(dialogue.questions)
            assert strip(self.module).startswith(f"Question {dialogue.at + 1} of {count}: {question.name}: ")
        if self.pending is not None:
            assert strip(self.module).startswith("Working out") and not self.ui.keepButton.enabled
        elif not self.child.held:
            assert [one.name for one in dialogue.questions] == [one.name for one in self.asked_now()]
            mask_asked, said_asked, answered = self.child.requests[-1]
            if answered is not None:
                mask_asked = with_changed(mask_asked, obeyed(mask_asked, answered, self.geometry))
                said_asked = Said((*said_asked.answers, answered), said_asked.kept)
            assert np.array_equal(mask_asked, self.step.mask) and said_asked == self.step.said
            assert self.ui.keepButton.enabled == (question is not None)

    def asked_now(self) -> list[ShownQuestion]:
        return self.child.asks(self.step.mask, self.step.said)

    def teardown(self) -> None:
        """In the end: undo back to where the history begins, and that is what was there then, bit by bit."""
        if not hasattr(self, "past") or self.host.failures:
            return
        self.child.held = False
        self.hear()
        for _ in range(self.at):
            self.ui.undoButton.click()
        self.settle()
        assert np.array_equal(mask(self.review), self.past[0].mask)
        assert np.array_equal(self.review._mask, self.past[0].mask)
        assert self.review.session.said == self.past[0].said


def asks_everywhere() -> Callable[[Mask, Said], list[ShownQuestion]]:
    """Return what asks about all places of either scan."""
    by_shape = {shape: questions_at(CORNERS, ball(shape).geometry) for shape in SCANS.values()}
    return lambda mask, said: by_shape[mask.shape](mask, said)


@pytest.mark.usefixtures("stored_here")
def test_random_sequences_leave_a_consistent_scene(
    host: Any, module: Any, child: QuestionChild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("MTCTLSegmentLib.jobs.warm_worker._LOOK_MS", 2)  # The walk waits for each list.
    child.asks = asks_everywhere()
    made = type("PersonInHost", (Person,), {"host": host, "child": child, "folder": tmp_path})
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
