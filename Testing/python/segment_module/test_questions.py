"""A person answers the questions about a case in the module: by keys, buttons and clicks; and what can go wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.asked_module import CORNERS, FLOOR, PATIENCE, ROOF, VEIN, crosshair, questions_at, quiet, strip
from support.question_child import QuestionChild
from support.segment_module import arrive, choose_store, current, load_scan, mask, settle

from mtctl.cases.store import CaseStore
from mtctl.review.answers import Answer, Said
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


class TestAnswers:
    def test_k_keeps_the_place_and_goes_on(self, host: Any, module: Any, asked: Any, child: QuestionChild) -> None:
        place = module.questionPanel._dialogue.current.place
        host.press("K")
        assert strip(module).startswith("Question 1 of 2: roof")
        assert asked.session.said.kept == (place,) and not asked.session.state.edits
        quiet(host, module)
        assert child.requests[-1][1].kept == (place,) and strip(module).startswith("Question 1 of 2: roof")

    def test_c_changes_what_was_shown_as_one_step_and_asks_anew(
        self, host: Any, module: Any, asked: Any, child: QuestionChild
    ) -> None:
        question = module.questionPanel._dialogue.current
        before = mask(asked)
        host.press("C")
        quiet(host, module)
        assert np.array_equal(np.flatnonzero(mask(asked) != before), question.voxels) and len(question.voxels)
        assert asked.session.said.answers == (question.answer,)
        reply = asked.session.state.replies[0]
        assert (reply.name, reply.reply) == (VEIN, "changed") and reply.added_ml == pytest.approx(question.change_ml)
        assert [edit.kind for edit in asked.session.state.edits] == ["answer"]
        assert strip(module).startswith("Question 1 of 2: roof") and asked.asked is not None
        assert [answer for _, _, answer in child.requests] == [None, question.answer]  # The list came with the answer.

    def test_z_takes_one_answer_back_and_its_record(self, host: Any, module: Any, asked: Any) -> None:
        states = [mask(asked)]
        for _ in range(2):
            host.press("C")
            quiet(host, module)
            states.append(mask(asked))
        first = asked.session.said.answers[:1]
        host.press("Z")
        quiet(host, module)
        assert np.array_equal(mask(asked), states[1]) and asked.session.said.answers == first
        host.press("Z")
        quiet(host, module)
        assert np.array_equal(mask(asked), states[0]) and asked.session.said.answers == ()
        assert strip(module).startswith("Question 3 of 3: floor")  # It is still looked at.
        host.press("Y")
        quiet(host, module)
        assert np.array_equal(mask(asked), states[1]) and asked.session.said.answers == first

    def test_z_goes_back_through_strokes_kept_places_and_answers_in_the_order_in_which_they_were_made(
        self, host: Any, module: Any, asked: Any
    ) -> None:
        states = []

        def act(do: Callable[[], object]) -> None:
            do()
            quiet(host, module)
            states.append((mask(asked), asked.session.said))

        keep, change = partial(host.press, "K"), partial(host.press, "C")
        for do in (lambda: None, partial(paint, module, asked, 3.0), keep, change, keep, partial(erase, module, asked)):
            act(do)
        assert [len(said.kept) for _, said in states] == [0, 0, 1, 1, 2, 2]
        for before, said in reversed(states[:-1]):
            host.press("Z")
            quiet(host, module)
            assert np.array_equal(mask(asked), before) and asked.session.said == said
        assert [reply.undone for reply in asked.session.state.replies] == [True, True, True]
        assert not module.ui.takeBackButton.enabled and not host.failures
        for after, said in states[1:]:
            host.press("Y")
            quiet(host, module)
            assert np.array_equal(mask(asked), after) and asked.session.said == said
        for _ in states[1:]:
            host.press("Z")  # Faster than strokes are noted.
        quiet(host, module)
        assert np.array_equal(mask(asked), states[0][0]) and asked.session.said.kept == ()

    def test_z_after_k_withdraws_the_kept_place_in_the_draft_and_shows_its_question_again(
        self, host: Any, module: Any, asked: Any, child: QuestionChild
    ) -> None:
        from mtctl import scene

        before = mask(asked)
        host.press("K")
        quiet(host, module)
        assert module.ui.takeBackButton.enabled and strip(module).startswith("Question 1 of 2: roof")
        host.press("Z")
        quiet(host, module)
        assert asked.session.said.kept == () and np.array_equal(mask(asked), before)
        assert [reply.undone for reply in asked.session.state.replies] == [True]
        assert scene.load_document(asked.nodes, "review LeftAtrium")["questions"][0]["undone"] is True
        assert child.requests[-1][1].kept == () and strip(module).startswith(f"Question 1 of 3: {VEIN}")
        assert asked.asked is module.questionPanel._dialogue.current and not asked.session.state.edits

    @pytest.mark.parametrize("how", ["key", "button"])
    def test_z_while_an_answer_is_worked_out_takes_that_answer_back_and_no_more(
        self, host: Any, module: Any, asked: Any, child: QuestionChild, how: str
    ) -> None:
        host.press("K")
        paint(module, asked, 3.0)
        quiet(host, module)
        painted, said = mask(asked), asked.session.said
        child.held = True
        host.press("C")
        host.press("Z") if how == "key" else module.ui.takeBackButton.click()
        settle(host, module)
        assert not module.questionPanel._dialogue.answering
        child.held = False
        quiet(host, module)
        assert np.array_equal(mask(asked), painted) and asked.session.said == said
        assert strip(module).startswith("Question 1 of 2: roof") and not module.ui.redoButton.enabled
        host.press("Z")
        quiet(host, module)
        assert np.array_equal(mask(asked), asked.session.maps.segmentation) and asked.session.said == said

    def test_an_answer_that_changes_no_voxel_is_taken_back_by_itself(self, host: Any, module: Any, asked: Any) -> None:
        deep = asked.session.maps.geometry.index_to_physical((28, 24, 20)).tolist()
        host.press("C")
        quiet(host, module)
        after = mask(asked)
        module.questionPanel._dialogue.give(Answer((tuple(deep),), "inside"))
        quiet(host, module)
        assert len(asked.session.said.answers) == 2 and np.array_equal(mask(asked), after)
        host.press("Z")
        quiet(host, module)
        assert len(asked.session.said.answers) == 1 and np.array_equal(mask(asked), after)

    def test_the_buttons_do_what_the_keys_do(self, host: Any, module: Any, asked: Any) -> None:
        module.ui.nextQuestionButton.click()
        module.ui.previousQuestionButton.click()
        module.ui.keepButton.click()
        quiet(host, module)
        module.ui.changeButton.click()
        quiet(host, module)
        assert [reply.reply for reply in asked.session.state.replies] == ["kept", "changed"]
        module.ui.takeBackButton.click()
        quiet(host, module)
        assert asked.session.said.answers == () and len(asked.session.said.kept) == 1
        module.ui.takeBackButton.click()
        quiet(host, module)
        assert asked.session.said.kept == ()

    @pytest.mark.parametrize("side", ["inside", "outside"])
    def test_a_click_in_a_slice_is_an_answer(self, host: Any, module: Any, asked: Any, side: str) -> None:
        import slicer

        place = module.questionPanel._dialogue.questions[0 if side == "inside" else 1].place
        before, count = mask(asked), slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")
        (module.ui.insideButton if side == "inside" else module.ui.outsideButton).click()
        assert "Click a place" in strip(module) and side in strip(module)
        from mtctl import scene

        scene.jump(asked.nodes.scene, place)
        host.process_events()
        host.click_at("Red", (-place[0], -place[1], place[2]))
        assert host.wait_until(lambda: asked.session.state.replies, PATIENCE)
        quiet(host, module)
        changed = mask(asked) != before
        reply = asked.session.state.replies[0]
        assert (reply.name, reply.reply, reply.side) == ("", "clicked", side)
        assert reply.place == pytest.approx(place, abs=1.5)
        assert changed.any() and (mask(asked)[changed] == (side == "inside")).all()
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == count
        assert not module.ui.insideButton.checked and not module.ui.outsideButton.checked

    def test_a_click_can_be_thought_better_of(self, host: Any, module: Any, asked: Any) -> None:
        import slicer

        module.ui.insideButton.click()
        module.ui.insideButton.click()
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        assert interaction.GetCurrentInteractionMode() != interaction.Place and not module.ui.insideButton.checked
        module.ui.outsideButton.click()
        interaction.SetCurrentInteractionMode(interaction.ViewTransform)  # As the Esc key does.
        host.process_events()
        assert not module.ui.outsideButton.checked and strip(module).startswith("Question 1 of 3")


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


class TestTheRecord:
    def test_a_place_that_was_looked_at_is_in_the_scene_at_once(self, host: Any, module: Any, asked: Any) -> None:
        from mtctl import scene

        host.press("N")
        visited = scene.load_document(asked.nodes, "review LeftAtrium")["visited"]
        assert [tuple(place) for place in visited] == [
            pytest.approx(question.place) for question in module.questionPanel._dialogue.questions[:2]
        ]

    def test_z_takes_back_what_was_answered_since_the_scene_was_loaded_and_nothing_of_before(
        self, host: Any, module: Any, asked: Any, tmp_path: Path
    ) -> None:
        import slicer

        host.press("C")
        quiet(host, module)
        assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(tmp_path / "scene.mrb"))
        host.process_events()
        quiet(host, module)
        review = module.currentReview.review
        loaded, said = mask(review), review.session.said
        assert len(said.answers) == 1 and not module.ui.takeBackButton.enabled
        host.press("C")
        quiet(host, module)
        assert len(review.session.said.answers) == 2 and module.ui.takeBackButton.enabled
        host.press("Z")
        quiet(host, module)
        assert np.array_equal(mask(review), loaded) and review.session.said == said
        assert not module.ui.takeBackButton.enabled

    def test_a_saved_scene_goes_on_with_what_was_said(
        self, host: Any, module: Any, asked: Any, child: QuestionChild, tmp_path: Path
    ) -> None:
        import slicer

        host.press("K")
        quiet(host, module)
        host.press("C")
        quiet(host, module)
        said, replies = asked.session.said, asked.session.state.replies
        assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(tmp_path / "scene.mrb"))
        host.process_events()
        reopened = current(host).currentReview.review
        assert reopened is not None and reopened is not asked
        assert (reopened.session.said, reopened.session.state.replies) == (said, replies)
        quiet(host, module)
        assert child.requests[-1][1] == said and strip(module).startswith("Question 1 of 1: floor")

    def test_what_was_said_moves_with_a_scan_that_is_moved(
        self, host: Any, module: Any, asked: Any, child: QuestionChild
    ) -> None:
        from mtctl import scene
        from MTCTLSegmentLib.review.case_review import open_review

        host.press("K")
        quiet(host, module)
        place = asked.session.said.kept[0]
        x, y, z = asked.nodes.scan.GetOrigin()
        asked.nodes.scan.SetOrigin(x + 5, y, z)  # RAS: 5 mm to the right
        host.press("N")
        question = module.questionPanel._dialogue.current
        assert crosshair() == pytest.approx((question.place[0] - 5, *question.place[1:]), abs=0.01)
        again = open_review(scene.find_case(asked.nodes.scene, asked.nodes.scan))
        assert again.session.said.kept[0] == pytest.approx((place[0] - 5, place[1], place[2]), abs=0.01)


def paint(module: Any, review: Any, radius_mm: float, effect: str = "Paint") -> None:
    """A stroke of the brush in the middle of the scan's upper part, where no question is."""
    geometry = review.session.maps.geometry
    x, y, z = geometry.index_to_physical((10, 10, 36)).tolist()
    editor = module.ui.segmentEditor
    editor.setActiveEffectByName(effect)
    editor.activeEffect().paint_at((-x, -y, z), radius_mm)


def erase(module: Any, review: Any) -> None:
    """A smaller stroke at the same place that takes away again."""
    paint(module, review, 2.0, "Erase")
