"""The strip says how sure a mask is, and it is surer with every answer."""

from __future__ import annotations

import numpy as np
import pytest

from mtctl.geometry import Geometry
from mtctl.guidance.expectation import Expectation
from mtctl.guidance.outlook import Outlook, outlook_words, question_words
from mtctl.measures.document import IntervalEstimate
from mtctl.review.answers import Answer, Said, ShownQuestion

GEOMETRY = Geometry((16, 14, 12), (2.0, 2.0, 2.0), (5.0, -7.0, 11.0))
MASK = np.zeros((12, 14, 16), bool)
MASK[3:9, 3:11, 3:12] = True


def unsure_at_its_left_face() -> Expectation:
    probability = np.where(MASK, np.float32(0.995), np.float32(0.001))
    probability[3:9, 3:11, 10:12] = 0.7
    probability[3:9, 3:11, 12:14] = 0.3
    return Expectation(MASK, probability, GEOMETRY)


def at(x: int, y: int, z: int) -> tuple[float, float, float]:
    place = GEOMETRY.index_to_physical((x, y, z)).tolist()
    return place[0], place[1], place[2]


def test_answers_and_kept_places_narrow_volume_and_dice() -> None:
    expected = unsure_at_its_left_face()
    before = expected.outlook(MASK, Said())
    answered = expected.outlook(MASK, Said((Answer((at(12, 6, 6),), "outside"),)))
    kept = expected.outlook(MASK, Said(kept=(at(11, 6, 6),)))
    assert before.doubt_left == pytest.approx(1)
    assert before.doubt_left > answered.doubt_left > kept.doubt_left > 0
    assert before.volume_ml and kept.volume_ml and before.volume_ml.value == kept.volume_ml.value
    assert before.volume_ml.low < before.volume_ml.value < before.volume_ml.high  # type: ignore[operator]
    assert kept.volume_ml.high - kept.volume_ml.low < before.volume_ml.high - before.volume_ml.low  # type: ignore[operator]


def test_what_was_painted_is_sure_and_counts_in_the_volume_also_far_from_the_atrium() -> None:
    painted = MASK.copy()
    painted[0, 0, 0] = True
    outlook = unsure_at_its_left_face().outlook(painted, Said())
    assert outlook.volume_ml and outlook.volume_ml.value == pytest.approx(painted.sum() * GEOMETRY.voxel_ml, abs=0.01)


def test_of_an_empty_mask_no_volume_is_said() -> None:
    empty = np.zeros_like(MASK)
    assert Expectation(empty, np.zeros(MASK.shape, np.float32), GEOMETRY).outlook(empty, Said()) == Outlook(None, 0.0)
    assert unsure_at_its_left_face().outlook(empty, Said()).volume_ml is None


def test_the_words_of_the_strip() -> None:
    question = ShownQuestion("right inferior vein", (0, 0, 0), (0, 0, 0), "inside", 1.84, 0.5, np.array([0]))
    assert question_words(2, 4, question) == "question 2 of 4: right inferior vein: does it go on? (+ 1.8 mL)"
    surer = Outlook(IntervalEstimate(108, 104, 112), 0.5)
    assert outlook_words(surer, (0.82, 0.9)) == "likely Dice 0.91-0.95, volume 104-112 mL"
    assert outlook_words(surer, None) == "volume 104-112 mL"
    assert outlook_words(Outlook(IntervalEstimate(108), 1), None) == "volume 108 mL"
    assert outlook_words(None, (0.88, 0.94)) == "likely Dice 0.88-0.94"
    assert outlook_words(None, None) == ""
