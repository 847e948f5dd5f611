"""Which of the places that were looked into become questions."""

from __future__ import annotations

import numpy as np
import pytest

from mtctl.guidance.questions import LEAST_WORTH_ML, MOST_QUESTIONS, Question, worth_asking

PLACE = (0.0, 0.0, 0.0)


def question(change_ml: float, chance: float = 0.5) -> Question:
    empty = np.zeros(0)
    return Question(PLACE, PLACE, "inside", empty.astype(np.int64), empty.astype(np.float32), change_ml, 0.2, chance)


def test_a_huge_change_counts_as_a_millilitre() -> None:
    huge, likely = question(20.0, 0.3), question(0.6, 0.6)
    assert worth_asking([huge, likely], 0) == (likely, huge)


def worth(count: float) -> Question:
    """Return a question that is worth so many times the least."""
    return question(0.8, count * LEAST_WORTH_ML / 0.8)


def test_questions_come_by_chance_times_what_would_change() -> None:
    small, likely, large = question(0.4, 0.4), question(0.5, 0.9), question(0.9, 0.4)
    assert worth_asking([small, large, likely], 0) == (likely, large, small)
    assert small.worth_ml == pytest.approx(0.16)


def test_each_question_has_to_be_worth_as_much_more_as_its_number_says() -> None:
    third = worth(2.9)
    assert len(worth_asking([worth(9), worth(8), third], 0)) == 2
    assert len(worth_asking([worth(9), worth(8), worth(3.1)], 0)) == 3


def test_what_was_answered_or_kept_before_counts_as_asked() -> None:
    assert len(worth_asking([worth(4.5)], 3)) == 1
    assert worth_asking([worth(4.5)], 4) == ()


def test_a_case_has_no_more_questions_than_the_most_however_many_are_answered() -> None:
    candidates = [worth(15)] * (2 * MOST_QUESTIONS)
    assert [len(worth_asking(candidates, before)) for before in (0, 4, MOST_QUESTIONS, 30)] == [
        MOST_QUESTIONS, MOST_QUESTIONS - 4, 0, 0
    ]  # fmt: skip


def test_nothing_is_asked_where_nothing_is_worth_it() -> None:
    assert worth_asking([], 0) == () and worth_asking([worth(0.9)], 0) == ()
