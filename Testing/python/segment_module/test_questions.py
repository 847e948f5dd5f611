"""A person is asked about a case in the module: what is shown, what changes meanwhile, and what can go wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.asked_module import (
    CORNERS,
    FLOOR,
    PATIENCE,
    ROOF,
    VEIN,
    crosshair,
    paint,
    questions_at,
    quiet,
    strip,
)
from support.question_child import QuestionChild
from support.segment_module import arrive, choose_store, current, load_scan, mask, settle

from mtctl.cases.store import CaseStore
from mtctl.review.answers import Said
from mtctl.review.state import Status

pytestmark = pytest.mark.host


class TestTheQuestions:
    def test_the_first_is_shown_where_it_is_with_what_it_would_become(self, module: Any, asked: Any) -> None:
        from mtctl.scene.nodes import part_of

        assert strip(module).startswith("Question 1 of 3: left inferior vein: does it go on? (+ ")
        question = module.questionPanel._dialogue.current
        assert crosshair() == pytest.approx(question.place, abs=0.01)
        preview = part_of(asked.nodes.scene, asked.nodes.scan, "preview")
        assert preview is not None and asked.asked is question
        assert np.array_equal(mask(asked), asked.session.maps.segmentation)

    def test_what_is_drawn_is_what_the_present_question_would_change_and_goes_with_the_last(
        self, host: Any, module: Any, asked: Any
    ) -> None:
        from mtctl.scene.nodes import part_of
        from mtctl.scene.segments import segment_mask

        for key in "NP":
            host.press(key)
            preview = part_of(asked.nodes.scene, asked.nodes.scan, "preview")
            assert preview is not None, module.ui.questionLabel.text
            drawn = [segment_mask(preview, name, asked.nodes.scan) for name in ("added", "removed")]
            assert np.array_equal(np.flatnonzero(drawn[0] | drawn[1]), module.questionPanel._dialogue.current.voxels)
        for _ in range(3):
            host.press("K")
        assert part_of(asked.nodes.scene, asked.nodes.scan, "preview") is None and asked.asked is None

    def test_the_colour_beside_the_question_is_that_of_the_views_in_a_frame_that_is_seen_on_any_window(
        self, host: Any, module: Any, asked: Any
    ) -> None:
        from mtctl.scene.nodes import part_of

        sides = set()
        for _ in range(2):
            side = module.questionPanel._dialogue.current.side
            preview = part_of(asked.nodes.scene, asked.nodes.scan, "preview")
            drawn = preview.GetSegmentation().GetSegment("added" if side == "inside" else "removed").GetColor()
            picture = module.ui.questionColor._qt.grab().toImage()
            inner, frame = (picture.pixelColor(x, picture.height() // 2) for x in (picture.width() // 2, 0))
            assert inner.getRgbF()[:3] == pytest.approx(drawn, abs=0.01)
            assert 0.3 < frame.lightnessF() < 0.7, "neither as a light window nor as a dark one"
            assert module.ui.questionColor.isVisible()
            sides.add(side)
            host.press("N")
        assert sides == {"inside", "outside"}
        for _ in range(3):
            host.press("K")
        assert not module.ui.questionColor.isVisible()

    def test_the_strip_says_what_is_to_be_expected(self, module: Any, asked: Any) -> None:
        volume = asked.session.maps.segmentation.sum() * asked.session.maps.geometry.voxel_ml
        expected = f"Likely Dice 0.94-0.97, volume {volume - 4:.0f}-{volume + 4:.0f} mL"
        assert module.ui.outlookLabel.text == expected

    def test_the_keys_n_and_p_go_round(self, host: Any, module: Any, asked: Any) -> None:
        seen = []
        for key in "NNNP":
            host.press(key)
            seen.append(strip(module).split(":")[1].strip())
        assert seen == [ROOF, FLOOR, VEIN, FLOOR]
        assert crosshair() == pytest.approx(module.questionPanel._dialogue.current.place, abs=0.01)
        assert len(asked.session.state.visited) == 3

    def test_nothing_to_ask_is_said_with_what_is_expected(
        self, host: Any, module: Any, child: QuestionChild, scan_node: Any
    ) -> None:
        arrive(host, module, scan_node)
        assert host.wait_until(lambda: strip(module) == "Nothing to ask.", PATIENCE)
        assert module.ui.outlookLabel.text.startswith("Likely Dice 0.94-0.97, volume ")
        assert not module.ui.keepButton.enabled and not module.ui.nextQuestionButton.enabled
        for key in "KCNP":
            host.press(key)
        assert not host.failures and module.currentReview.review.session.state.replies == ()


class TestAPerson:
    @pytest.mark.usefixtures("stored_here")
    def test_answers_five_questions_by_keys_paints_undoes_accepts_and_reopens(
        self, host: Any, module: Any, asked: Any, child: QuestionChild, tmp_path: Path
    ) -> None:
        import slicer

        child.asks = questions_at(CORNERS, asked.session.maps.geometry)
        module.questionPanel._dialogue.ask()
        quiet(host, module)
        assert strip(module).startswith("Question 1 of 5: left inferior vein")
        for key in "KCKCC":
            host.press(key)
            quiet(host, module)
        assert strip(module) == "Nothing to ask."
        answered, said = mask(asked), asked.session.said
        assert (len(said.kept), len(said.answers)) == (2, 3)

        paint(module, asked, 3.0)
        settle(host, module)
        assert not np.array_equal(mask(asked), answered)
        for key, expected in (("Z", said), ("Z", Said(said.answers[:2], said.kept)), ("Y", said)):
            host.press(key)
            quiet(host, module)
            assert asked.session.said == expected
        assert np.array_equal(mask(asked), answered)

        choose_store(host, module.finishPanel.storeEdit, tmp_path / "store")
        module.ui.acceptCaseButton.click()
        assert host.wait_until(lambda: not module.storeJob.running, PATIENCE)
        (case,) = CaseStore(tmp_path / "store").cases()
        assert np.array_equal(case.corrected_mask(), answered)
        assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(tmp_path / "scene.mrb"))
        host.process_events()
        again = current(host).currentReview.review
        assert again.session.state.status is Status.ACCEPTED and again.session.said == said
        kinds = [reply.reply for reply in again.session.state.replies]
        assert kinds == ["kept", "changed", "kept", "changed", "changed"]
        assert np.array_equal(mask(again), answered) and not host.failures


class TestWhatChangesMeanwhile:
    def test_a_stroke_asks_anew_and_leaves_the_views_where_they_are(
        self, host: Any, module: Any, asked: Any, child: QuestionChild
    ) -> None:
        from mtctl import scene

        host.press("N")
        scene.jump(asked.nodes.scene, (0.0, 40.0, 50.0))
        paint(module, asked, 3.0)
        quiet(host, module)
        assert crosshair() == pytest.approx((0.0, 40.0, 50.0))
        assert np.array_equal(child.requests[-1][0], mask(asked)) and child.requests[-1][2] is None
        assert strip(module).startswith("Question 2 of 3: roof")

    def test_an_answer_for_a_mask_that_has_changed_is_asked_again(
        self, host: Any, module: Any, asked: Any, child: QuestionChild
    ) -> None:
        question = module.questionPanel._dialogue.current
        child.held = True
        host.press("C")
        assert strip(module) == "Working out what the answer changes ..." and not module.ui.changeButton.enabled
        paint(module, asked, 3.0)
        settle(host, module)
        painted = mask(asked)
        child.held = False
        quiet(host, module)
        assert [edit.kind for edit in asked.session.state.edits] == ["paint", "answer"]
        assert asked.session.said.answers == (question.answer,)
        assert np.array_equal(child.requests[-1][0], painted) and child.requests[-1][2] == question.answer
        assert (mask(asked) | ~painted).all()  # The stroke is there.

    def test_another_scan_has_questions_of_its_own_and_the_first_goes_on_with_its_record(
        self, host: Any, module: Any, asked: Any, child: QuestionChild
    ) -> None:
        host.press("K")
        child.held = True
        host.press("C")
        load_scan(host, module, "other", shape=(36, 52, 50))
        assert strip(module) == "" and not module.ui.keepButton.enabled
        child.held = False
        module.ui.scanSelector.choose("scan")
        host.process_events()
        quiet(host, module)
        assert module.currentReview.review is asked and len(asked.session.said.kept) == 1
        assert asked.session.said.answers == () and not asked.session.state.edits
        assert strip(module).startswith("Question 1 of 2: roof")

    def test_a_scene_that_is_closed_while_it_is_asked_takes_the_questions_along(
        self, host: Any, module: Any, asked: Any, child: QuestionChild
    ) -> None:
        import slicer

        child.held = True
        host.press("C")
        module.ui.insideButton.click()
        slicer.mrmlScene.Clear(0)
        child.held = False
        host.wait(0.3)
        assert strip(module) == "" and not host.failures
        assert module.questionPanel._dialogue.questions == []

    def test_the_module_left_while_an_answer_is_worked_out_changes_nothing_behind_ones_back(
        self, host: Any, module: Any, asked: Any, child: QuestionChild
    ) -> None:
        before = mask(asked)
        child.held = True
        host.press("C")
        host.leave()
        child.held = False
        host.wait(0.3)
        assert np.array_equal(mask(asked), before)
        host.enter("MTCTLSegment")
        quiet(host, module)
        assert len(module.questionPanel._dialogue.questions) == 3 and asked.session.state.replies == ()

    @pytest.mark.usefixtures("stored_here")
    @pytest.mark.parametrize("button", ["acceptCaseButton", "rejectCaseButton"])
    def test_a_decision_counts_the_stroke_of_this_moment_and_takes_no_answer_in_afterwards(
        self, host: Any, module: Any, asked: Any, child: QuestionChild, tmp_path: Path, button: str
    ) -> None:
        choose_store(host, module.finishPanel.storeEdit, tmp_path / "store")
        module.ui.reasonEdit.text = "motion"
        child.held = True
        host.press("C")
        paint(module, asked, 3.0)
        painted = mask(asked)
        getattr(module.ui, button).click()
        child.held = False
        assert host.wait_until(lambda: not module.storeJob.running, PATIENCE)
        quiet(host, module)
        assert np.array_equal(mask(asked), painted) and asked.session.said == Said()
        assert [edit.kind for edit in asked.session.state.edits] == ["paint"]
        assert asked.session.state.status is (Status.ACCEPTED if button == "acceptCaseButton" else Status.REJECTED)
        assert strip(module).startswith("Question 1 of 3"), "there are questions all the same"
        host.press("K")
        assert asked.session.state.status is Status.DRAFT and module.ui.finishLabel.text == ""

    def test_a_rejection_without_a_reason_is_none_and_leaves_the_answer_on_its_way(
        self, host: Any, module: Any, asked: Any, child: QuestionChild, tmp_path: Path
    ) -> None:
        choose_store(host, module.finishPanel.storeEdit, tmp_path / "store")
        child.held = True
        host.press("C")
        module.ui.rejectCaseButton.click()
        assert "why" in host.messages[-1].text and asked.session.state.status is Status.DRAFT
        child.held = False
        quiet(host, module)
        assert len(asked.session.said.answers) == 1 and not (tmp_path / "store").exists()

    def test_keys_are_dead_out_of_the_module(self, host: Any, module: Any, asked: Any) -> None:
        before, state = mask(asked), asked.session.state
        host.leave()
        for key in "NPKCZ":
            host.press(key)
        host.wait(0.3)
        assert np.array_equal(mask(asked), before) and not host.failures
        assert (asked.session.state.replies, asked.session.state.visited) == (state.replies, state.visited)

    def test_the_segmentation_deleted_while_it_is_asked_is_no_failure(
        self, host: Any, module: Any, asked: Any, child: QuestionChild
    ) -> None:
        import slicer

        child.held = True
        host.press("C")
        slicer.mrmlScene.RemoveNode(asked.nodes.segmentation)
        child.held = False
        host.wait(0.3)
        assert module.currentReview.review is None and strip(module) == "" and not host.failures


class TestWithoutTheNetwork:
    def test_the_reason_is_said_and_all_else_works(
        self, host: Any, module: Any, child: QuestionChild, scan_node: Any
    ) -> None:
        child.failure = "guidance: holds no guidance network; install the program again"
        review = arrive(host, module, scan_node)
        assert host.wait_until(lambda: "install the program again" in strip(module), PATIENCE)
        assert strip(module).startswith("No questions can be asked: guidance: holds no") and not host.messages
        assert module.ui.outlookLabel.text == "Likely Dice 0.88-0.94"
        paint(module, review, 3.0)
        settle(host, module)
        assert len(review.session.state.edits) == 1
        host.wait(0.2)
        assert module.ui.askAgainButton.isVisible() and child.started == 1  # It is not asked again by itself.
        child.failure = ""
        module.ui.askAgainButton.click()
        assert host.wait_until(lambda: strip(module) == "Nothing to ask.", PATIENCE)
        assert not module.ui.askAgainButton.isVisible()

    def test_a_child_that_dies_is_told_in_words_and_the_mask_stays(
        self, host: Any, module: Any, asked: Any, child: QuestionChild
    ) -> None:
        before = mask(asked)
        child.ending = "exit status 9"
        host.press("C")
        assert host.wait_until(lambda: "exit status 9" in strip(module), PATIENCE)
        assert np.array_equal(mask(asked), before) and asked.session.state.replies == ()
        child.ending = ""
        module.ui.askAgainButton.click()
        quiet(host, module)
        assert len(module.questionPanel._dialogue.questions) == 3 and child.started == 2

    def test_missing_packages_are_said_and_no_child_is_started(
        self, host: Any, module: Any, child: QuestionChild, scan_node: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("MTCTLSegmentLib.python_packages.missing", lambda *_: ["torch>=2.6"])
        arrive(host, module, scan_node)
        assert host.wait_until(lambda: "not installed yet" in strip(module), PATIENCE)
        assert child.started == 0
