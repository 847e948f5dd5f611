"""Questions about a case: where errors are likely, not where a reader has been, and right after undo and strokes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from support.guidance import GRID_MM, doubtful_finder, turned

from mtctl.geometry import Geometry, Triple, Volume
from mtctl.guidance.guided_mask import GuidedScan, guided_scan
from mtctl.guidance.questions import MOST_QUESTIONS
from mtctl.guidance.refinement import Refiner
from mtctl.guidance.session import QuestionSession, looked_at
from mtctl.review.answers import Answer, Said, ShownQuestion, with_changed

GEOMETRY = turned((70, 64, 30), (1.1, 1.2, 2.4), 15.0)


def middle() -> np.ndarray:
    return np.asarray(GEOMETRY.index_to_physical((np.array(GEOMETRY.size) - 1) / 2))


def away_from(place: np.ndarray) -> np.ndarray:
    indices = np.indices(GEOMETRY.shape).reshape(3, -1).T[:, ::-1]
    return np.linalg.norm(GEOMETRY.index_to_physical(indices) - place, axis=1).reshape(GEOMETRY.shape)


#: Places on the surface of a ball of 20 mm where the model is in doubt.
DOUBTS = [middle() + offset for offset in ((22.0, 0.0, 0.0), (-22.0, 0.0, 0.0), (0.0, 22.0, 0.0))]


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    return away_from(middle()) < 20


@pytest.fixture(scope="module")
def scan(mask: np.ndarray) -> GuidedScan:
    probability = np.where(mask, 0.99, 0.01).astype(np.float32)
    for place in DOUBTS:
        probability[away_from(place) < 6] = np.where(mask[away_from(place) < 6], 0.6, 0.4)
    noise = np.random.default_rng(0).normal(0, 1, mask.shape)
    return guided_scan(Volume((3 * mask + noise).astype(np.float32), GEOMETRY), probability, GRID_MM)


@pytest.fixture
def session(scan: GuidedScan, mask: np.ndarray) -> QuestionSession:
    return QuestionSession(scan, mask, doubtful_finder())


def nearest(question: ShownQuestion) -> int:
    return int(np.argmin([np.linalg.norm(np.array(question.place) - place) for place in DOUBTS]))


def test_it_asks_where_both_doubt_and_nowhere_else(session: QuestionSession, mask: np.ndarray) -> None:
    questions = session.shown(mask, Said())
    assert {nearest(question) for question in questions} == {0, 1, 2}
    for question in questions:
        assert np.linalg.norm(np.array(question.place) - DOUBTS[nearest(question)]) < 9
        assert len(question.voxels) and question.change_ml != 0
        changed = with_changed(mask, question.voxels)
        assert (changed.sum() - mask.sum()) * GEOMETRY.voxel_ml == pytest.approx(question.change_ml)


def test_a_mask_that_nobody_doubts_is_asked_nothing_about(mask: np.ndarray) -> None:
    sure = guided_scan(Volume(mask.astype(np.float32), GEOMETRY), mask.astype(np.float32), GRID_MM)
    assert QuestionSession(sure, mask, doubtful_finder()).shown(mask, Said()) == []


def test_what_was_kept_is_not_asked_again(session: QuestionSession, mask: np.ndarray) -> None:
    first = session.shown(mask, Said())[0]
    later = session.shown(mask, Said(kept=(first.place,)))
    assert all(np.linalg.norm(np.array(one.place) - np.array(first.place)) > 6 for one in later)
    assert {nearest(one) for one in later} == {0, 1, 2} - {nearest(first)}


def test_the_answer_is_what_the_question_showed(session: QuestionSession, mask: np.ndarray) -> None:
    question = session.shown(mask, Said())[0]
    after = session.answer(mask, Said(), question.answer)
    assert np.array_equal(after, with_changed(mask, question.voxels))


def test_an_undo_brings_the_same_questions_back(session: QuestionSession, mask: np.ndarray) -> None:
    before = session.shown(mask, Said())
    after = session.answer(mask, Said(), before[0].answer)
    session.shown(after, Said((before[0].answer,)))
    again = session.shown(mask, Said())
    assert [(one.name, one.place, one.change_ml) for one in again] == [
        (one.name, one.place, one.change_ml) for one in before
    ]
    assert all(np.array_equal(one.voxels, other.voxels) for one, other in zip(again, before, strict=True))


def test_what_is_known_near_an_answer_is_as_good_as_looked_into_anew(
    session: QuestionSession, scan: GuidedScan, mask: np.ndarray
) -> None:
    answer = session.shown(mask, Said())[0].answer
    after = session.answer(mask, Said(), answer)
    fresh = QuestionSession(scan, mask, doubtful_finder())
    places = [sorted(one.place for one in each.shown(after, Said((answer,)))) for each in (session, fresh)]
    assert places[0] == places[1]


def test_after_a_kept_place_only_what_is_near_it_or_new_is_looked_into(
    scan: GuidedScan, mask: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_into: list[Answer] = []
    answered_each = Refiner.answered_each
    monkeypatch.setattr(
        Refiner, "answered_each",
        lambda refiner, state, answers: looked_into.extend(answers) or answered_each(refiner, state, answers),
    )  # fmt: skip
    session = QuestionSession(scan, mask, doubtful_finder())
    asked = session.shown(mask, Said())
    before = {answer.clicks for answer in looked_into}
    looked_into.clear()
    later = session.shown(mask, Said(kept=(asked[0].place,)))
    far = {(one.click,) for one in later if np.linalg.norm(np.array(one.click) - np.array(asked[0].click)) > 25}
    assert len(far) == 2 and far <= before
    assert not far & {answer.clicks for answer in looked_into}


def test_after_an_undo_of_strokes_far_apart_the_questions_are_those_of_before(
    session: QuestionSession, scan: GuidedScan, mask: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("channels", "refinement", "questions"):  # 40 mm: less than the strokes are apart.
        monkeypatch.setattr(f"mtctl.guidance.{module}.WINDOW", (16, 32, 32))
    painted = mask | (away_from(DOUBTS[0]) < 4) | (away_from(DOUBTS[1]) < 4)
    fresh = QuestionSession(scan, mask, doubtful_finder())
    session.shown(painted, Said())
    asked = [sorted((one.place, one.change_ml) for one in each.shown(mask, Said())) for each in (session, fresh)]
    assert asked[0] == asked[1] and len(asked[0]) == 3


def test_a_stroke_is_taken_in_and_not_asked_about(session: QuestionSession, mask: np.ndarray) -> None:
    painted = mask | (away_from(DOUBTS[0]) < 7)
    questions = session.shown(painted, Said())
    assert all(not (away_from(DOUBTS[0]) < 5).reshape(-1)[question.voxels].any() for question in questions)
    after = session.answer(painted, Said(), Answer((tuple(DOUBTS[1].tolist()),), "inside"))
    assert (after & (away_from(DOUBTS[0]) < 7)).sum() == (painted & (away_from(DOUBTS[0]) < 7)).sum()


def test_no_more_questions_than_a_reader_answers(session: QuestionSession, mask: np.ndarray) -> None:
    questions = session.shown(mask, Said())
    assert 0 < len(questions) <= MOST_QUESTIONS
    assert all(0 <= question.chance <= 1 for question in questions)


def test_the_words_say_where_and_how_much() -> None:
    place: Triple = (0.0, 0.0, 0.0)
    added = ShownQuestion("right inferior vein", place, place, "inside", 1.84, 0.5, np.zeros(0, np.int64))
    assert added.words == "right inferior vein: does it go on? (+ 1.8 mL)"
    taken = replace(added, side="outside", change_ml=-0.26)
    assert taken.words == "right inferior vein: does it end here? (- 0.3 mL)"


def test_voxels_outside_the_scan_are_refused(mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="outside the scan"):
        with_changed(mask, np.array([mask.size]))


def test_of_a_whole_thorax_only_what_lies_around_the_atrium_is_looked_at(mask: np.ndarray) -> None:
    thorax = Geometry((300, 300, 60), (1.2, 1.2, 2.5), (0.0, 0.0, 0.0))
    atrium = np.zeros(thorax.shape, bool)
    atrium[20:40, 120:180, 120:180] = True
    box = looked_at(atrium, thorax)
    assert box is not None and box.x0 == pytest.approx(120 * 1.2 - 0.6 - 30)
    assert looked_at(np.zeros(thorax.shape, bool), thorax) is None
    assert looked_at(ndimage.binary_erosion(mask), GEOMETRY) is None
