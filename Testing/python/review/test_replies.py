"""What a person replies to questions is recorded, taken back by an undo, and there again when a draft is reopened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtctl.geometry import Geometry, Mask
from mtctl.measures.case import settled_voxels
from mtctl.review.answers import Answer, Said, ShownQuestion, with_changed
from mtctl.review.case_maps import CaseMaps, ReviewError
from mtctl.review.document import read_review, review_document, write_review
from mtctl.review.session import ReviewSession
from mtctl.review.state import ReviewState, Status

GEOMETRY = Geometry((12, 10, 8), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))


def made_up_maps() -> CaseMaps:
    """A box of an atrium, unsure at two of its faces."""
    mask = np.zeros((8, 10, 12), bool)
    mask[2:6, 2:8, 2:10] = True
    probability = np.where(mask, np.float32(0.99), np.float32(0.01))
    probability[2:6, 2:8, 9:11] = 0.5
    uncertainty = np.where(probability == 0.5, np.float32(1), np.float32(0.05))
    return CaseMaps(mask, uncertainty, probability, GEOMETRY)


MAPS = made_up_maps()
UNSURE = np.flatnonzero(MAPS.uncertainty == 1)
VEIN = ShownQuestion("left inferior vein", (20.0, 10.0, 8.0), (20.0, 10.0, 8.0), "inside", 0.2, 0.7, UNSURE)
ROOF = ShownQuestion("roof", (4.0, 4.0, 4.0), (4.0, 4.0, 4.0), "outside", -0.1, 0.3, np.array([0]))
FLOOR = ShownQuestion("floor", (4.0, 4.0, 10.0), (4.0, 4.0, 10.0), "outside", -0.1, 0.2, np.array([0]))


class StoppedClock:
    def __init__(self) -> None:
        self.now = 10.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def session(clock: StoppedClock) -> ReviewSession:
    return ReviewSession(MAPS, ReviewState(0.5), clock=clock)


def change(session: ReviewSession, question: ShownQuestion, mask: Mask) -> Mask:
    """The person says that the opposite is right."""
    after = with_changed(mask, question.voxels)
    session.answer(question.answer, after, question)
    return after


def test_a_kept_place_and_a_changed_one_are_said_with_time_and_volume(
    session: ReviewSession, clock: StoppedClock
) -> None:
    session.keep(ROOF)
    clock.now += 4
    mask = change(session, VEIN, MAPS.segmentation)
    kept, changed = session.state.replies
    assert (kept.name, kept.reply, kept.clicks, kept.side, kept.seconds) == ("roof", "kept", (), None, 0)
    assert (changed.name, changed.reply, changed.side, changed.seconds) == (
        "left inferior vein",
        "changed",
        "inside",
        4,
    )
    added = np.count_nonzero(mask & ~MAPS.segmentation) * GEOMETRY.voxel_ml
    removed = np.count_nonzero(MAPS.segmentation & ~mask) * GEOMETRY.voxel_ml
    assert (changed.added_ml, changed.removed_ml) == pytest.approx((added, removed))
    assert session.said == Said((VEIN.answer,), (ROOF.place,))
    assert [edit.kind for edit in session.state.edits] == ["answer"]


def test_a_click_that_nobody_asked_for_is_said_even_where_it_changes_nothing(session: ReviewSession) -> None:
    answer = Answer(((8.0, 8.0, 8.0),), "inside")
    assert session.answer(answer, MAPS.segmentation) is None
    assert session.said == Said((answer,))
    reply = session.state.replies[0]
    assert (reply.name, reply.reply, reply.place) == ("", "clicked", (8.0, 8.0, 8.0))


def test_an_undo_takes_replies_back_one_by_one_and_a_redo_brings_them(session: ReviewSession) -> None:
    after = change(session, VEIN, MAPS.segmentation)
    session.keep(ROOF)
    assert session.replies_given == 2
    session.accept_case()
    assert session.record("undo", after, 1) is None, "a kept place changes no voxel"
    assert session.said == Said((VEIN.answer,)) and session.state.status is Status.DRAFT
    session.record("undo", MAPS.segmentation, 0)
    assert session.said == Said()
    assert [reply.undone for reply in session.state.replies] == [True, True]
    session.record("redo", after, 1)
    session.record("redo", after, 2)
    assert session.said == Said((VEIN.answer,), (ROOF.place,))
    assert [reply.undone for reply in session.state.replies] == [False, False]


@pytest.mark.parametrize("reply", ["kept", "clicked where nothing changes"])
def test_a_reply_to_a_case_that_was_decided_on_opens_it_again(session: ReviewSession, reply: str) -> None:
    for decide in (session.accept_case, lambda: session.reject_case("motion")):
        decide()
        if reply == "kept":
            session.keep(ROOF)
        else:
            session.answer(Answer(((8.0, 8.0, 8.0),), "inside"), MAPS.segmentation)
        assert session.state.status is Status.DRAFT and session.state.reason == ""


def test_a_reply_after_an_undo_leaves_what_was_taken_back_as_it_is(session: ReviewSession) -> None:
    session.keep(ROOF)
    session.record("undo", MAPS.segmentation, 0)
    session.keep(FLOOR)
    assert session.said == Said((), (FLOOR.place,)) and session.replies_given == 2
    session.record("undo", MAPS.segmentation, 0)
    assert session.said == Said()
    session.record("redo", MAPS.segmentation, 2)
    assert session.said == Said((), (FLOOR.place,))
    assert [reply.undone for reply in session.state.replies] == [True, False]


def test_several_steps_that_are_undone_at_once_take_back_all_their_replies(session: ReviewSession) -> None:
    session.keep(ROOF)
    change(session, VEIN, MAPS.segmentation)
    session.keep(FLOOR)
    session.record("undo", MAPS.segmentation, 0)
    assert session.said == Said()


def test_a_stroke_and_its_undo_leave_the_answers_as_they_are(session: ReviewSession) -> None:
    after = change(session, VEIN, MAPS.segmentation)
    painted = after.copy()
    painted[0, 0, :3] = True
    session.record("paint", painted)
    assert session.said.answers == (VEIN.answer,)
    session.record("undo", after, 1)
    assert session.said.answers == (VEIN.answer,)
    session.record("undo", MAPS.segmentation, 0)
    assert session.said.answers == ()


def test_a_step_that_nobody_knows_leaves_the_replies_as_they_are(session: ReviewSession) -> None:
    session.keep(ROOF)
    painted = MAPS.segmentation.copy()
    painted[0, 0, :3] = True
    session.record("elsewhere", painted, 0)
    assert session.said == Said((), (ROOF.place,))


def test_a_draft_says_which_kept_places_were_taken_back(session: ReviewSession, tmp_path: Path) -> None:
    session.keep(ROOF)
    session.keep(FLOOR)
    session.record("undo", MAPS.segmentation, 1)
    write_review(tmp_path / "review.json", session)
    written = json.loads((tmp_path / "review.json").read_text(encoding="utf-8"))
    assert [(one["reply"], one["undone"]) for one in written["questions"]] == [("kept", False), ("kept", True)]
    assert written["said"]["kept"] == [list(ROOF.place)]
    assert read_review(tmp_path / "review.json", MAPS).said == session.said


def test_an_answer_given_again_after_its_undo_is_said_once(session: ReviewSession) -> None:
    change(session, VEIN, MAPS.segmentation)
    session.record("undo", MAPS.segmentation, 0)
    change(session, VEIN, MAPS.segmentation)
    assert session.said == Said((VEIN.answer,))
    assert [reply.undone for reply in session.state.replies] == [True, False]


def test_a_reopened_draft_goes_on_with_what_was_said(
    session: ReviewSession, clock: StoppedClock, tmp_path: Path
) -> None:
    session.keep(ROOF)
    mask = change(session, VEIN, MAPS.segmentation)
    write_review(tmp_path / "review.json", session)
    resumed = read_review(tmp_path / "review.json", MAPS, mask, clock)
    assert (resumed.said, resumed.state) == (session.said, session.state)
    assert json.loads((tmp_path / "review.json").read_text(encoding="utf-8"))["said"] == {
        "answers": [{"clicks": [[20.0, 10.0, 8.0]], "side": "inside"}], "kept": [[4.0, 4.0, 4.0]],
    }  # fmt: skip


def test_in_a_draft_of_an_earlier_version_nothing_is_said(session: ReviewSession, tmp_path: Path) -> None:
    document = review_document(session)
    del document["questions"], document["said"]
    (tmp_path / "review.json").write_text(json.dumps(document), encoding="utf-8")
    assert read_review(tmp_path / "review.json", MAPS).said == Said()


@pytest.mark.parametrize(
    "reply",
    [
        {"reply": "perhaps"},
        {"side": "beside"},
        {"side": None},
        {"clicks": []},
        {"clicks": [[1, 2]]},
        {"clicks": [[1, 2, 1e300]]},
        {"place": [1, 2, None]},
        {"seconds": -1},
        {"added_ml": "much"},
        {"undone": 1},
        {"name": "a" * 201},
        {"reply": "kept"},
    ],
)
def test_a_reply_that_is_none_is_refused_by_its_name(
    session: ReviewSession, tmp_path: Path, reply: dict[str, Any]
) -> None:
    change(session, VEIN, MAPS.segmentation)
    document = review_document(session)
    document["questions"] = [document["questions"][0] | reply]
    (tmp_path / "review.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ReviewError, match=r"not a readable review.*questions\[0\]"):
        read_review(tmp_path / "review.json", MAPS)


def test_what_was_answered_or_kept_is_settled_where_it_was(session: ReviewSession) -> None:
    assert not settled_voxels(session, MAPS.segmentation).any()
    session.keep(ROOF)
    session.answer(Answer(((20.0, 16.0, 12.0),), "outside"), MAPS.segmentation)
    settled = settled_voxels(session, MAPS.segmentation)
    assert settled[2, 2, 2] and settled[2, 2, 4] and settled[6, 8, 10] and settled[6, 8, 11]
    assert not settled[4, 5, 6] and not settled[6, 8, 8]
