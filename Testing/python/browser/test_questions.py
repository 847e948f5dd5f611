"""The questions on the page: asked of the child process when a case opens and after each change, answered by keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.question_worker import QuestionWorker
from support.questioned_page import KEY, Session

from mtctl.browser.ui import questions as on_the_page
from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.browser.ui.questions import NO_QUESTIONS, PageQuestions
from mtctl.browser.ui.tabs import CLIENT
from mtctl.errors import MtctlError
from mtctl.review.answers import Answer
from mtctl.review.document import review_document


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(on_the_page, "_AFTER", 0.0)
    monkeypatch.setattr(on_the_page, "_PERIOD", 0.0)
    return Session(tmp_path)


def test_a_case_that_opens_is_asked_about_and_the_views_go_to_the_first_question(session: Session) -> None:
    async def work(asking: PageQuestions) -> None:
        assert session.text.startswith("Question 1 of 2: left inferior vein: does it go on? (+ ")
        assert session.page.questions["outlook"].startswith("Volume ")
        assert session.page.places == [session.places["left inferior vein"][0]]
        assert session.page.preview is not None and len(session.page.preview)
        asking.next()
        assert session.text.startswith("Question 2 of 2: mitral plane: does it end here? (- ")
        asking.next()
        asking.previous()
        assert session.text.startswith("Question 2 of 2"), "after the last comes the first, and before it the last"

    session.run(work)
    assert len(session.worker.requests) == 1 and session.page.saved == 0


def test_while_the_child_looks_for_questions_the_strip_says_so(session: Session) -> None:
    session.worker.held = True

    async def work(asking: PageQuestions) -> None:
        assert session.text == "Looking for questions …"

    session.run(work)


def test_a_kept_place_is_recorded_and_the_next_question_comes(session: Session) -> None:
    before = session.case.mask

    async def work(asking: PageQuestions) -> None:
        asking.keep_place()
        await session.settled()
        assert session.text.startswith("Question 1 of 1: mitral plane")
        asking.keep_place()

    session.run(work)
    assert session.text == "Nothing to ask." and session.page.preview is None
    assert session.case.mask is before and session.page.saved == 2
    assert session.replies() == [("kept", False), ("kept", False)]
    assert session.worker.requests[-1][1].kept == tuple(place for place, _ in session.places.values())


def test_an_answer_is_one_step_of_the_history_and_an_undo_takes_it_back_from_the_record(session: Session) -> None:
    case, before = session.case, session.case.mask

    async def work(asking: PageQuestions) -> None:
        CLIENT.set("the tab that asked")
        asking.change_place()
        assert session.text == "Working out what the answer changes …" and session.page.questions["busy"]
        asking.change_place()  # A key that is pressed twice answers once.
        await session.settled()
        assert case.mask.sum() > before.sum() and case.history.can_undo == "answer"
        assert session.page.tabs == ["the tab that asked"]
        assert session.replies() == [("changed", False)]
        assert session.text.startswith("Question 1 of 1: mitral plane")
        assert case.undo()
        session.page.review_changed()
        await session.settled()
        np.testing.assert_array_equal(case.mask, before)
        assert session.replies() == [("changed", True)]
        assert case.redo()
        session.page.review_changed()

    session.run(work)
    assert session.replies() == [("changed", False)] and not case.history.can_redo
    assert case.mask.sum() > before.sum()


def test_undo_goes_back_through_strokes_kept_places_and_answers_in_the_order_in_which_they_were_made(
    session: Session,
) -> None:
    case = session.case
    stops = []

    def stop() -> None:
        stops.append((case.mask, case.session.said, case.history.can_undo))

    def stroke(voxel: int) -> None:
        mask = case.mask.copy()
        mask.flat[voxel] ^= True
        case.edited("paint", mask)
        session.page.review_changed()

    async def work(asking: PageQuestions) -> None:
        stop()
        for act in (lambda: stroke(5), asking.keep_place, asking.change_place, lambda: stroke(9)):
            act()
            await session.settled()
            stop()
        assert [kind for *_, kind in stops] == ["", "paint", "keep", "answer", "paint"]
        for mask, said, kind in reversed(stops[:-1]):
            assert case.undo()
            session.page.review_changed()
            await session.settled()
            np.testing.assert_array_equal(case.mask, mask)
            assert (case.session.said, case.history.can_undo) == (said, kind)
        assert not case.undo() and session.replies() == [("kept", True), ("changed", True)]
        for mask, said, kind in stops[1:]:
            assert case.redo()
            np.testing.assert_array_equal(case.mask, mask)
            assert (case.session.said, case.history.can_undo) == (said, kind)

    session.run(work)
    assert session.replies() == [("kept", False), ("changed", False)]


def test_an_answer_that_changes_no_voxel_is_taken_back_by_itself(session: Session) -> None:
    case, geometry = session.case, session.case.session.maps.geometry
    deep = Answer((tuple(geometry.index_to_physical(np.argwhere(case.mask).mean(0)[::-1]).tolist()),), "inside")
    mask = case.mask
    case.answer(np.array([], np.int64), deep, None)
    assert case.session.said.answers == (deep,) and case.mask is mask and case.undo()
    assert case.session.said.answers == () and not case.undo()


def test_the_review_that_is_saved_holds_the_replies_and_goes_on_with_them(session: Session, tmp_path: Path) -> None:
    async def work(asking: PageQuestions) -> None:
        asking.change_place()
        await session.settled()
        asking.keep_place()

    session.run(work)
    source = session.source
    source.save(KEY, *session.case.snapshot())
    again = source.open(KEY)
    assert again.session is not None and again.session.said == session.case.session.said
    assert [one["reply"] for one in review_document(again.session)["questions"]] == ["changed", "kept"]


def test_what_is_painted_while_an_answer_is_worked_out_stays_and_the_answer_is_added(session: Session) -> None:
    case = session.case
    painted = np.argwhere(case.mask)[0]

    async def work(asking: PageQuestions) -> None:
        session.worker.held = True
        asking.change_place()
        mask = case.mask.copy()
        mask[tuple(painted)] = False
        case.edited("erase", mask)
        session.page.review_changed()
        session.worker.held = False
        await session.settled()

    session.run(work)
    assert not case.mask[tuple(painted)], "the stroke is lost"
    assert session.replies() == [("changed", False)] and case.history.can_undo == "answer"


def test_after_a_stroke_the_views_stay_and_the_preview_of_another_segmentation_goes(session: Session) -> None:
    async def work(asking: PageQuestions) -> None:
        mask = session.case.mask.copy()
        mask[tuple(np.argwhere(mask)[0])] = False
        session.case.edited("erase", mask)
        session.page.review_changed()
        assert session.page.preview is None
        await session.settled()
        assert session.text.startswith("Question 1 of 2"), "the person is at that question still"

    session.run(work)
    assert len(session.page.places) == 1 and len(session.worker.requests) == 2


def test_who_looks_at_something_else_meanwhile_is_not_taken_away(session: Session) -> None:
    session.worker.held = True

    async def work(asking: PageQuestions) -> None:
        asking.stay()
        session.worker.held = False

    session.run(work)
    assert session.page.places == [] and session.text == "2 to answer: N goes to the first."


def test_the_answers_about_a_case_are_dropped_when_it_is_left(session: Session) -> None:
    before = session.case.mask

    async def work(asking: PageQuestions) -> None:
        session.worker.held = True
        asking.change_place()
        asking.follow(None)
        assert session.page.questions == NO_QUESTIONS
        session.worker.held = False

    session.run(work)
    assert session.case.mask is before and session.replies() == []


def test_another_case_is_named_by_another_key(session: Session) -> None:
    async def work(asking: PageQuestions) -> None:
        session.page.case = CaseUnderReview(KEY, "ball", session.source.open(KEY))
        asking.follow(session.page.case)

    session.run(work)
    assert len({key for key, _, _ in session.worker.requests}) == 2


def _refuses(worker: QuestionWorker) -> None:
    worker.failure = "the guidance network is missing: install it again."


def _ends(worker: QuestionWorker) -> None:
    worker.fault = MtctlError("the guidance network is missing: install it again.")


@pytest.mark.parametrize("fail", [_refuses, _ends])
def test_where_the_child_fails_the_strip_says_so_the_work_goes_on_and_it_can_be_asked_again(
    session: Session, fail: Callable[[QuestionWorker], None]
) -> None:
    fail(session.worker)

    async def work(asking: PageQuestions) -> None:
        assert session.text == (
            "No questions can be asked: the guidance network is missing: install it again. All else works as before."
        )
        assert session.page.questions["failed"] and session.page.questions["at"] is None
        asking.keep_place()
        asking.change_place()
        asking.next()
        mask: NDArray[np.bool_] = session.case.mask.copy()
        mask[tuple(np.argwhere(mask)[0])] = False
        session.case.edited("erase", mask)
        session.page.review_changed()
        assert session.page.questions["failed"], "it is not tried again at every stroke"
        session.worker.failure, session.worker.fault = "", None
        asking.again()

    session.run(work)
    assert session.text.startswith("2 to answer")


def test_an_answer_that_fails_changes_nothing(session: Session) -> None:
    before = session.case.mask

    async def work(asking: PageQuestions) -> None:
        session.worker.failure = "out of memory"
        asking.change_place()

    session.run(work)
    assert session.case.mask is before and session.replies() == []
    assert session.text.startswith("No questions can be asked: out of memory.")


def test_an_answer_on_its_way_is_taken_back_alone(session: Session) -> None:
    async def work(asking: PageQuestions) -> None:
        asking.keep_place()
        session.worker.held = True
        asking.change_place()
        assert asking.take_back() and not session.page.questions["busy"]
        session.worker.held = False
        await session.settled()
        assert not asking.take_back(), "what was done before is the history's"

    before = session.case.mask
    session.run(work)
    assert session.case.mask is before and session.replies() == [("kept", False)]
    assert session.text.startswith("Question 1 of 1") and session.case.history.can_undo == "keep"


def test_a_decision_on_the_case_takes_no_answer_in_afterwards(session: Session) -> None:
    before = session.case.mask

    async def work(asking: PageQuestions) -> None:
        session.worker.held = True
        asking.change_place()
        asking.leave()
        session.case.session.accept_case()
        asking.follow(session.case)
        session.worker.held = False

    session.run(work)
    assert session.case.mask is before and session.case.session.state.status.value == "accepted"
    assert session.text.startswith("Question 1 of 2")


def test_a_click_is_an_answer_once_it_was_asked_for(session: Session) -> None:
    place = session.places["mitral plane"][0]

    async def work(asking: PageQuestions) -> None:
        asking.click(place)
        assert session.text.startswith("Question 1 of 2"), "nobody asked for a click"
        asking.wait_for_click("outside")
        assert session.page.questions["click"] == "outside"
        assert session.text == "Click a place in a slice that is outside the atrium (Esc: none)."
        asking.wait_for_click(None)
        assert session.page.questions["click"] == "" and session.text.startswith("Question 1 of 2")
        asking.wait_for_click("outside")
        asking.click(place)
        assert session.page.questions["click"] == "" and session.page.questions["busy"]
        asking.wait_for_click("inside")
        assert session.page.questions["click"] == "", "one answer at a time"
        await session.settled()
        assert session.text.startswith("Question 1 of 1: left inferior vein")

    session.run(work)
    assert session.replies() == [("clicked", False)]
    assert session.case.session.said.answers == (Answer((place,), "outside"),)


def test_a_click_out_of_the_scan_is_refused_and_another_case_waits_for_none(session: Session) -> None:
    async def work(asking: PageQuestions) -> None:
        asking.wait_for_click("inside")
        with pytest.raises(MtctlError, match="out of the scan"):
            asking.click((1e4, 0.0, 0.0))
        assert session.page.questions["click"] == "" and not session.page.questions["busy"]
        asking.wait_for_click("inside")
        asking.follow(None)
        asking.wait_for_click("inside")
        assert session.page.questions == NO_QUESTIONS

    session.run(work)
    assert session.replies() == []
