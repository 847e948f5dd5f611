"""A person answers the questions about a case in the module: by keys, buttons and clicks; and takes answers back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.asked_module import (
    PATIENCE,
    VEIN,
    crosshair,
    erase,
    paint,
    quiet,
    strip,
)
from support.question_child import QuestionChild
from support.segment_module import current, mask, settle

from mtctl.review.answers import Answer

pytestmark = pytest.mark.host


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
