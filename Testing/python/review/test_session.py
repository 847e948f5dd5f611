"""A review of a made-up atrium: looking, editing, deciding, leaving and coming back."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.reviewed_atria import GEOMETRY, PLANTED, doubtful_atrium

from mtctl.review.active_time import IDLE_SECONDS
from mtctl.review.case_maps import CaseMaps, ReviewError
from mtctl.review.document import read_review, review_document, with_geometry, write_review
from mtctl.review.replies import Reply
from mtctl.review.session import UNCERTAIN_ML, ReviewSession
from mtctl.review.state import ReviewState, Status, summary
from mtctl.system.files import WriteError

MAPS = doubtful_atrium()


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def session(clock: Clock) -> ReviewSession:
    return ReviewSession(MAPS, ReviewState(0.5), clock=clock)


#: Places of which the person looks at some, LPS mm.
PLACES = [tuple(GEOMETRY.index_to_physical(middle).tolist()) for middle in PLANTED]


def painted(size: int = 5) -> np.ndarray:
    """The segmentation with a stroke."""
    mask = MAPS.segmentation.copy()
    mask[13, 18 : 18 + size, 3:8] = True
    assert (mask != MAPS.segmentation).any()
    return mask


# Looking


def test_a_place_that_was_looked_at_is_remembered_once_and_in_order(session: ReviewSession) -> None:
    for place in (PLACES[1], PLACES[0], PLACES[1]):
        session.look_at(place)
    assert session.state.visited == (PLACES[1], PLACES[0])


def test_a_new_review_shows_as_uncertain_about_as_much_as_a_person_will_look_at() -> None:
    large = dataclasses.replace(MAPS, geometry=dataclasses.replace(GEOMETRY, spacing=(3.0, 3.0, 5.0)))

    def shown_ml(threshold: float) -> float:
        return float((MAPS.uncertainty >= threshold).sum()) * large.geometry.voxel_ml

    threshold = ReviewSession(large).state.threshold
    assert 0.5 * UNCERTAIN_ML < shown_ml(threshold) <= UNCERTAIN_ML < shown_ml(threshold - 0.01)


@pytest.mark.parametrize("mask", [False, True])
def test_a_case_that_is_sure_or_unsure_everywhere_can_be_reviewed(mask: bool, tmp_path: Path) -> None:
    for uncertainty in (0.0, 1.0):
        session = ReviewSession(flat(uncertainty, mask))
        assert 0 < session.state.threshold <= 1
        session.accept_case()
        write_review(tmp_path / "review.json", session)
        assert read_review(tmp_path / "review.json", flat(uncertainty, mask)).state == session.state


@pytest.mark.parametrize("threshold", [-0.01, 1.5, float("nan")])
def test_an_impossible_threshold_is_refused(session: ReviewSession, threshold: float) -> None:
    with pytest.raises(ReviewError, match="between 0 and 1"):
        session.set_threshold(threshold)
    assert session.state.threshold == 0.5


# Edits and decisions


def test_an_edit_is_recorded_with_its_volume_and_so_is_its_undo(session: ReviewSession) -> None:
    mask = painted()
    edit = session.record("paint", mask)
    assert edit and (edit.kind, edit.removed_ml) == ("paint", 0.0)
    assert edit.added_ml == pytest.approx((mask.sum() - MAPS.segmentation.sum()) * GEOMETRY.voxel_ml)
    undo = session.record("undo", MAPS.segmentation)
    assert undo and (undo.added_ml, undo.removed_ml) == (0.0, edit.added_ml)
    assert session.state.edits == (edit, undo)


def test_an_edit_that_changes_nothing_is_not_recorded(session: ReviewSession) -> None:
    assert session.record("paint", MAPS.segmentation.copy()) is None
    assert session.state.edits == ()


def test_a_case_that_changes_after_it_was_accepted_is_open_again(session: ReviewSession) -> None:
    session.record("paint", painted())
    session.accept_case()
    session.record("undo", MAPS.segmentation)
    assert session.state.status is Status.DRAFT


def test_the_segmentation_handed_in_is_never_kept_or_changed(session: ReviewSession) -> None:
    mask = painted()
    copy = mask.copy()
    session.record("paint", mask)
    assert np.array_equal(mask, copy)
    mask[:] = False
    assert session.record("redo", copy) is None  # nothing changed since the copy was recorded


def test_a_mask_of_another_shape_is_refused(session: ReviewSession) -> None:
    with pytest.raises(ReviewError, match="voxels, the scan"):
        session.record("paint", MAPS.segmentation[1:])


def test_a_case_is_accepted_or_rejected_with_a_reason(session: ReviewSession) -> None:
    session.accept_case()
    assert session.state.status is Status.ACCEPTED
    with pytest.raises(ReviewError, match="why"):
        session.reject_case("  ")
    session.reject_case(" motion ")
    assert (session.state.status, session.state.reason) == (Status.REJECTED, "motion")
    session.reopen_case()
    assert (session.state.status, session.state.reason) == (Status.DRAFT, "")


# Time


def test_time_counts_between_actions(session: ReviewSession, clock: Clock) -> None:
    clock.now += 50  # before the first action
    session.look_at(PLACES[0])
    clock.now += 7
    session.look_at(PLACES[1])
    clock.now += 5
    session.record("paint", painted())
    assert session.state.seconds == 12 and session.state.edits[0].seconds == 12


def test_a_pause_does_not_count_and_a_long_silence_only_in_part(session: ReviewSession, clock: Clock) -> None:
    session.look_at(PLACES[0])
    clock.now += 3
    session.pause()
    clock.now += 1000
    session.look_at(PLACES[1])
    assert session.state.seconds == 3
    clock.now += 5000
    session.look_at(PLACES[0])
    assert session.state.seconds == 3 + IDLE_SECONDS


# Leaving and coming back


def test_a_draft_resumes_where_it_was(session: ReviewSession, clock: Clock, tmp_path: Path) -> None:
    session.look_at(PLACES[0])
    mask = painted()
    session.record("paint", mask)
    clock.now += 4
    session.set_threshold(0.8)
    write_review(tmp_path / "case.review.json", session)
    resumed = read_review(tmp_path / "case.review.json", MAPS, mask, clock)
    assert resumed.state == session.state and resumed.state.visited == (PLACES[0],)
    assert resumed.record("paint", mask) is None  # what was edited before is no edit now


def test_a_grid_that_differs_in_the_last_digits_is_the_same_one(session: ReviewSession, tmp_path: Path) -> None:
    session.look_at(PLACES[0])
    write_review(tmp_path / "review.json", session)
    x, y, z = GEOMETRY.spacing
    near = dataclasses.replace(GEOMETRY, spacing=(x * (1 + 1e-9), y * (1 - 1e-9), z))
    assert read_review(tmp_path / "review.json", dataclasses.replace(MAPS, geometry=near)).state == session.state


def test_the_file_says_what_was_done_and_names_nobody(session: ReviewSession, tmp_path: Path) -> None:
    session.look_at(PLACES[0])
    session.accept_case()
    write_review(tmp_path / "Jane Doe 1950.review.json", session)
    text = (tmp_path / "Jane Doe 1950.review.json").read_text(encoding="utf-8")
    assert "Doe" not in text and str(tmp_path) not in text
    document = json.loads(text)
    assert document["status"] == "accepted"
    assert document["visited"] == [list(PLACES[0])]


def test_the_places_of_a_review_move_with_its_scan(session: ReviewSession) -> None:
    session.look_at(PLACES[0])
    moved = dataclasses.replace(GEOMETRY, origin=(11.0, -20.0, 35.0))
    x, y, z = PLACES[0]
    document = with_geometry(review_document(session), moved)
    assert np.allclose(document["visited"], [[x + 1, y, z + 5]])


def test_the_review_of_something_else_is_refused_in_plain_words(session: ReviewSession, tmp_path: Path) -> None:
    path = tmp_path / "review.json"
    write_review(path, session)
    moved = dataclasses.replace(MAPS, geometry=dataclasses.replace(GEOMETRY, origin=(11.0, -20.0, 30.0)))
    with pytest.raises(ReviewError, match=r"review\.json: the review of another scan"):
        read_review(path, moved)
    smaller = MAPS.segmentation.copy()
    smaller[13, 20, 20] = False
    with pytest.raises(ReviewError, match="another segmentation"):
        read_review(path, dataclasses.replace(MAPS, segmentation=smaller))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "cannot read: update"),
        ({"threshold": 7}, "not a readable review"),
        ({"status": "perhaps"}, "not a readable review"),
        ({"edits": [{"kind": "paint"}]}, "not a readable review"),
        ({"regions": [{"id": "first"}]}, "not a readable review"),
        ({"geometry": {}}, "not a readable review"),
        ({"geometry": {"size": "large"}}, "not a readable review"),
        ({"regions": [{"id": 0}]}, "not a readable review"),
        ({"visited": [[1.0, 2.0]]}, "not a readable review"),
    ],
)
def test_a_damaged_file_is_refused(
    session: ReviewSession, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "review.json"
    path.write_text(json.dumps(review_document(session) | change), encoding="utf-8")
    with pytest.raises(ReviewError, match=message):
        read_review(path, MAPS)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"draft"', "null"])
def test_a_file_that_is_no_review_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "review.json").write_text(text, encoding="utf-8")
    with pytest.raises(ReviewError, match=r"review\.json: not a readable review"):
        read_review(tmp_path / "review.json", MAPS)
    with pytest.raises(ReviewError, match="cannot be read"):
        read_review(tmp_path / "missing.json", MAPS)


def test_a_folder_that_is_not_there_is_reported_and_nothing_is_left(session: ReviewSession, tmp_path: Path) -> None:
    with pytest.raises(WriteError):
        write_review(tmp_path / "missing" / "review.json", session)
    assert list(tmp_path.iterdir()) == []


# Somebody else's segmentation


def test_where_somebody_elses_segmentation_differs_it_is_uncertain() -> None:
    other = MAPS.segmentation.copy()
    other[11:16, 29:38, 17:24] = False  # deep inside the atrium, of which the model is sure
    assert MAPS.uncertainty[MAPS.segmentation & ~other].min() < 0.05
    maps = MAPS.reviewing(other)
    assert (maps.uncertainty[MAPS.segmentation != other] == 1).all()
    same = MAPS.segmentation == other
    assert np.array_equal(maps.uncertainty[same], MAPS.uncertainty[same])


def test_somebody_elses_segmentation_on_another_grid_is_refused() -> None:
    with pytest.raises(ReviewError, match="resample it"):
        MAPS.reviewing(MAPS.segmentation[:, 1:])


# Odd cases


def flat(uncertainty: float, mask: bool) -> CaseMaps:
    """The same everywhere."""
    empty = np.zeros(GEOMETRY.shape, dtype=np.float32)
    return CaseMaps(np.full(GEOMETRY.shape, mask), empty + np.float32(uncertainty), empty, GEOMETRY)


def test_arrays_of_different_shapes_are_refused() -> None:
    with pytest.raises(ReviewError, match="uncertainty"):
        dataclasses.replace(MAPS, uncertainty=MAPS.uncertainty[1:])


KEPT = Reply("roof", (0.0, 0.0, 0.0), "kept")


@pytest.mark.parametrize(
    ("replies", "wrong", "interval", "words"),
    [
        ((), 8.13, (0.9, 0.93), "8.1 mL likely wrong; likely Dice 0.90-0.93"),
        ((KEPT,), 8.13, None, "1 place answered"),
        ((KEPT, KEPT), 8.13, (0.8, 0.9), "2 places answered; likely Dice 0.80-0.90 at first"),
        ((dataclasses.replace(KEPT, undone=True),), None, None, ""),
    ],
)
def test_how_a_review_stands_is_said_in_plain_words(
    replies: tuple[Reply, ...], wrong: float | None, interval: tuple[float, float] | None, words: str
) -> None:
    assert summary(replies, wrong, interval) == words


# Any sequence of actions


class AnyReview(RuleBasedStateMachine):
    """A person who does anything in any order, and whose Slicer is closed and opened at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.session = ReviewSession(MAPS, ReviewState(0.6), clock=self.clock)
        self.masks = [MAPS.segmentation]

    @property
    def mask(self) -> np.ndarray:
        return self.masks[-1]

    @rule(threshold=st.sampled_from([0.0, 0.2, 0.5, 0.99, 1.0]))
    def slide(self, threshold: float) -> None:
        self.session.set_threshold(threshold)
        assert self.session.state.threshold == threshold

    @rule(place=st.sampled_from(PLACES))
    def look(self, place: tuple[float, float, float]) -> None:
        self.session.look_at(place)
        assert self.session.state.visited.count(place) == 1

    @rule(at=st.integers(0, 35), size=st.integers(1, 8), value=st.booleans())
    def paint(self, at: int, size: int, value: bool) -> None:
        mask = self.mask.copy()
        stroke = (slice(at % 20, at % 20 + size), slice(at, at + size), slice(at, at + size))
        mask[stroke] = value
        self.change("paint", mask)

    def change(self, kind: str, mask: np.ndarray) -> None:
        changed = not np.array_equal(mask, self.mask)
        assert (self.session.record(kind, mask) is not None) == changed
        self.masks.append(mask)

    @precondition(lambda self: len(self.masks) > 1)
    @rule()
    def undo(self) -> None:
        self.masks.pop()
        self.session.record("undo", self.mask)

    @rule(decision=st.sampled_from(["accept", "reject", "reopen"]))
    def decide(self, decision: str) -> None:
        if decision == "accept":
            self.session.accept_case()
        elif decision == "reject":
            self.session.reject_case("blurred")
        else:
            self.session.reopen_case()

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def leave(self) -> None:
        self.session.pause()

    @rule()
    def close_and_come_back(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "review.json"
            write_review(path, self.session)
            resumed = read_review(path, MAPS, self.mask, self.clock)
        assert resumed.state == self.session.state
        assert review_document(resumed) == review_document(self.session)
        self.session = resumed

    @invariant()
    def the_record_adds_up(self) -> None:
        state = self.session.state
        balance = sum(edit.added_ml - edit.removed_ml for edit in state.edits)
        expected = (int(self.mask.sum()) - int(MAPS.segmentation.sum())) * GEOMETRY.voxel_ml
        assert balance == pytest.approx(expected, abs=1e-6)
        assert state.seconds <= self.clock.now - 100 + 1e-6


TestAnyReview = AnyReview.TestCase
TestAnyReview.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
