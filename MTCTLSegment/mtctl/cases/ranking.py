"""Which case to correct next: the one whose correction should teach most.

That is the one of which its own prediction thinks least: its case score is the Dice to be expected, and correlates with
the true one. What that brings over taking cases as they come is measured by Testing/benchmarks/next_case.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from mtctl.cases.store import CaseState, StoredCase

#: Whose correction nobody has begun.
_OPEN = (CaseState.PREDICTED, CaseState.UNLABELLED)


def by_expected_gain(cases: Sequence[StoredCase]) -> list[StoredCase]:
    """Return the cases that nobody has begun to correct, the one to correct first at the front.

    Predicted cases by case score, the lowest first; then those of which nothing is known, as they were not segmented.
    """
    return sorted((case for case in cases if case.state in _OPEN), key=_rank)


def _rank(case: StoredCase) -> tuple[bool, float, str]:
    score = case.case_score
    return score is None, score or 0.0, case.id
