"""The questions about a review, whatever shows them: when they are asked for, which is looked at, what answers do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from support.question_child import made_up_questions
from support.question_window import FLOOR, GEOMETRY, PLACES, ROOF, VEIN, OpenReview, QuestionWindow

from mtctl.geometry import Triple
from mtctl.review.answers import Answer, Said
from mtctl.review.case_maps import ReviewError


@pytest.fixture
def window() -> QuestionWindow:
    return QuestionWindow()


def test_the_views_go_to_the_first_question_of_an_opened_review_and_show_its_opposite(window: QuestionWindow) -> None:
    assert window.names() == [VEIN, ROOF, FLOOR] and window.name() == VEIN
    assert window.host.looked_at == [VEIN] and window.host.previewed == VEIN
    assert window.dialogue.outlook is not None and not window.dialogue.asking


def test_stepping_goes_round_in_both_directions_and_asks_nothing(window: QuestionWindow) -> None:
    seen = []
    for by in (1, 1, 1, -1):
        window.dialogue.step(by)
        seen.append(window.name())
    assert seen == [ROOF, FLOOR, VEIN, FLOOR] and window.host.previewed == FLOOR
    assert window.review.session.state.visited == tuple(place for place, _ in PLACES.values()), "each was seen"
    assert len(window.worker.requests) == 1 and not window.dialogue.due


def test_from_no_question_a_step_forward_is_to_the_first_and_one_back_to_the_last(window: QuestionWindow) -> None:
    for by, name in ((1, VEIN), (-1, FLOOR)):
        window.dialogue.at = None
        window.dialogue.step(by)
        assert window.name() == name


def test_a_kept_place_is_said_and_the_next_question_is_shown_before_the_list_is_worked_out_anew(
    window: QuestionWindow,
) -> None:
    window.dialogue.keep()
    assert window.said.kept == (PLACES[VEIN][0],) and window.names() == [ROOF, FLOOR]
    assert window.host.looked_at == [VEIN, ROOF] and window.host.previewed == ROOF and window.dialogue.due
    window.come()
    assert window.names() == [ROOF, FLOOR] and window.name() == ROOF and window.host.looked_at == [VEIN, ROOF]


def test_after_the_last_kept_place_nothing_is_shown(window: QuestionWindow) -> None:
    for _ in PLACES:
        window.dialogue.keep()
    assert window.name() is None and window.host.previewed is None
    window.dialogue.keep()
    window.come()
    assert window.names() == [] and len(window.said.kept) == 3


def test_the_opposite_answer_changes_the_mask_and_the_views_go_to_what_comes_first_then(window: QuestionWindow) -> None:
    before, question = window.review.mask, window.dialogue.current
    assert question is not None
    window.dialogue.change()
    assert window.dialogue.answering and window.review.mask is before
    window.dialogue.change()  # A key that is pressed twice answers once.
    window.come()
    np.testing.assert_array_equal(np.flatnonzero(window.review.mask != before), question.voxels)
    assert window.said.answers == (question.answer,) and not window.dialogue.answering
    assert window.host.looked_at == [VEIN, ROOF] and window.host.previewed == ROOF
    assert [answer for _, _, answer in window.worker.requests] == [None, question.answer], "asked in one request"


def test_a_click_that_nobody_asked_for_leaves_the_question_that_is_looked_at(window: QuestionWindow) -> None:
    window.dialogue.step(1)
    window.dialogue.give(Answer(((14.0, 14.0, 10.0),), "outside"))
    window.come()
    assert not window.review.mask[5, 7, 7] and window.review.session.state.replies[0].reply == "clicked"
    assert window.name() == ROOF and window.host.looked_at == [VEIN, ROOF]


@pytest.mark.parametrize("place", [(-2.0, 4.0, 4.0), (4.0, 4.0, 16.0), (23.1, 4.0, 4.0)])
def test_a_click_out_of_the_scan_is_refused_in_words(window: QuestionWindow, place: Triple) -> None:
    with pytest.raises(ReviewError, match="out of the scan"):
        window.dialogue.give(Answer((place,), "inside"))
    assert not window.dialogue.answering and len(window.worker.requests) == 1


def test_while_an_answer_is_worked_out_no_other_is_taken(window: QuestionWindow) -> None:
    window.worker.held = True
    window.dialogue.change()
    window.dialogue.keep()
    window.dialogue.give(Answer(((8.0, 8.0, 8.0),), "inside"))
    assert window.said == Said() and len(window.worker.requests) == 2


def test_a_stroke_asks_anew_keeps_the_question_and_moves_no_view(window: QuestionWindow) -> None:
    window.dialogue.step(1)
    window.review.paint((7, 9, 11))
    window.dialogue.follow()
    assert window.dialogue.due and window.host.previewed is None, "the preview was of another segmentation"
    window.dialogue.step(1)
    assert window.host.previewed is None, "what it would change is not known yet"
    window.come()
    assert window.name() == FLOOR and window.host.looked_at == [VEIN, ROOF, FLOOR] and window.host.previewed is None


def test_the_preview_of_the_question_that_is_looked_at_follows_the_list(window: QuestionWindow) -> None:
    window.dialogue.keep()
    window.worker.asks = made_up_questions({ROOF: PLACES[ROOF]}, GEOMETRY)
    window.come()
    assert window.names() == [ROOF] and window.host.previewed == ROOF
    window.worker.asks = lambda mask, said: []
    window.dialogue.ask()
    window.come()
    assert window.names() == [] and window.host.previewed is None


def test_an_answer_about_a_mask_that_was_painted_meanwhile_is_asked_again_for_the_present_one(
    window: QuestionWindow,
) -> None:
    window.worker.held = True
    window.dialogue.change()
    window.review.paint((7, 9, 11))
    window.dialogue.follow()
    window.worker.held = False
    window.come()
    assert window.review.mask[7, 9, 11] and len(window.said.answers) == 1
    assert [edit.kind for edit in window.review.session.state.edits] == ["paint", "answer"]


def test_a_stroke_of_the_very_moment_in_which_the_answer_comes_counts_first(window: QuestionWindow) -> None:
    window.dialogue.change()
    window.host.unsettled = (7, 9, 11)
    window.worker.poll()
    assert window.review.mask[7, 9, 11] and window.said.answers == () and window.dialogue.answering
    window.come()
    assert window.review.mask[7, 9, 11] and len(window.said.answers) == 1


def test_who_looks_at_something_else_is_not_taken_to_the_questions_that_come(window: QuestionWindow) -> None:
    window.dialogue.change()
    window.dialogue.stay()
    window.come()
    assert window.name() is None and window.names() == [ROOF, FLOOR] and window.host.looked_at == [VEIN]


def test_another_review_begins_without_what_was_asked_of_the_one_before(window: QuestionWindow) -> None:
    first = window.review
    window.worker.held = True
    window.dialogue.change()
    window.host.review = OpenReview()
    window.dialogue.follow()
    window.worker.held = False
    window.come()
    assert first.session.said == Said() == window.said and window.names() == [VEIN, ROOF, FLOOR]


def test_without_a_review_nothing_is_asked(window: QuestionWindow) -> None:
    window.host.review = None
    window.dialogue.follow()
    for act in (window.dialogue.keep, window.dialogue.change, window.dialogue.ask, window.dialogue.leave):
        act()
    window.dialogue.step(1)
    window.dialogue.give(Answer(((8.0, 8.0, 8.0),), "inside"))
    assert window.names() == [] and not window.dialogue.asking and len(window.worker.requests) == 1


def test_after_leaving_the_answer_on_its_way_is_dropped_and_the_list_asked_for_again(window: QuestionWindow) -> None:
    window.worker.held = True
    window.dialogue.change()
    window.dialogue.leave()
    window.worker.held = False
    window.come()
    assert window.said == Said() and window.names() == [VEIN, ROOF, FLOOR]
    requests = len(window.worker.requests)
    window.dialogue.leave()
    assert not window.dialogue.due and len(window.worker.requests) == requests, "what is there stays"


def test_a_failure_is_said_and_not_tried_again_until_told(window: QuestionWindow) -> None:
    window.worker.failure = "out of memory"
    window.dialogue.change()
    window.come()
    assert window.dialogue.problem == "out of memory" and not window.dialogue.answering
    assert window.names() == [] and window.host.previewed is None and window.said == Said()
    window.review.paint((7, 9, 11))
    window.dialogue.follow()
    assert not window.dialogue.due
    window.worker.failure = ""
    window.dialogue.ask_again()
    window.come()
    assert window.dialogue.problem == "" and len(window.names()) == 3


def test_a_client_that_breaks_fails_what_was_asked(window: QuestionWindow) -> None:
    window.worker.held = True
    window.dialogue.change()
    window.dialogue.fail("no room for temporary files")
    window.worker.held = False
    window.worker.poll()
    assert window.dialogue.problem == "no room for temporary files" and window.said == Said()


def test_a_case_that_cannot_be_read_takes_no_answer_and_the_next_one_is_taken(window: QuestionWindow) -> None:
    window.host.unreadable = ReviewError("the scan was deleted")
    with pytest.raises(ReviewError):
        window.dialogue.change()
    assert not window.dialogue.answering
    window.host.unreadable = None
    window.dialogue.change()
    window.come()
    assert len(window.said.answers) == 1


def test_what_was_asked_before_an_undo_is_not_believed_afterwards(window: QuestionWindow) -> None:
    start = window.review.mask
    window.dialogue.change()
    window.come()
    window.dialogue.keep()
    window.worker.held = True
    window.dialogue.ask()
    window.review.undo(start, 0)
    window.dialogue.follow()
    window.worker.held = False
    window.worker.poll()
    assert window.dialogue.due, "the list that came was of the answered mask"
    window.come()
    assert VEIN in window.names()


def test_after_the_undo_of_a_kept_place_the_views_go_back_to_it(window: QuestionWindow) -> None:
    start = window.review.mask
    window.dialogue.keep()
    window.come()
    window.dialogue.step(1)
    assert window.name() == FLOOR
    window.review.undo(start, 0)
    window.dialogue.follow()
    window.come()
    assert window.said == Said() and window.name() == VEIN == window.host.previewed
    window.dialogue.keep()
    window.come()
    assert window.name() == ROOF and window.said.kept == (PLACES[VEIN][0],)


def test_a_kept_place_that_is_taken_back_before_the_list_came_is_asked_again(window: QuestionWindow) -> None:
    start = window.review.mask
    window.dialogue.keep()
    window.review.undo(start, 0)
    window.dialogue.follow()
    assert not window.dialogue.due and window.names() == [VEIN, ROOF, FLOOR]
    assert window.name() == VEIN == window.host.previewed


def test_of_two_places_that_were_kept_in_one_go_the_second_is_taken_back(window: QuestionWindow) -> None:
    start = window.review.mask
    window.dialogue.keep()
    window.dialogue.keep()
    assert window.name() == FLOOR
    window.review.undo(start, 1)
    window.dialogue.follow()
    window.come()
    assert window.names() == [ROOF, FLOOR] and window.name() == ROOF


def test_until_the_new_list_comes_nothing_of_the_old_one_is_drawn(window: QuestionWindow) -> None:
    window.review.paint((0, 0, 0))
    window.host.followed()
    window.worker.held = True
    window.dialogue.ask()
    window.dialogue.step(1)
    assert window.host.looked_at[-1] == ROOF and not window.host.previews
    window.worker.held = False
    window.come()
    window.dialogue.step(1)
    assert window.host.previews


@pytest.mark.parametrize("act", ["stroke", "slice", "next question", "keep", "click"])
def test_who_does_something_else_after_an_undo_is_not_taken_back_to_the_place_when_the_list_comes(
    window: QuestionWindow, act: str
) -> None:
    start = window.review.mask
    window.dialogue.keep()
    window.come()
    window.review.undo(start, 0)
    window.dialogue.follow()
    assert window.dialogue.due and window.name() == ROOF
    do: dict[str, Callable[[], None]] = {
        "stroke": lambda: window.review.paint((7, 9, 11)),
        "slice": window.dialogue.stay,
        "next question": lambda: window.dialogue.step(1),
        "keep": window.dialogue.keep,
        "click": lambda: window.dialogue.give(Answer(((14.0, 14.0, 10.0),), "outside")),
    }
    do[act]()
    window.dialogue.follow()
    looked_at = list(window.host.looked_at)
    window.come()
    assert VEIN in window.names() and window.host.looked_at == looked_at


def test_an_answer_on_its_way_is_taken_back_alone(window: QuestionWindow) -> None:
    window.dialogue.keep()
    window.come()
    before = window.review.mask
    window.worker.held = True
    window.dialogue.change()
    assert window.dialogue.take_back() and not window.dialogue.answering
    window.worker.held = False
    window.come()
    assert window.review.mask is before and window.said == Said((), (PLACES[VEIN][0],))
    assert window.name() == ROOF == window.host.previewed and window.names() == [ROOF, FLOOR]
    assert not window.dialogue.take_back(), "the rest is the editor's to undo"
