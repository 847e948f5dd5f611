"""The verdict on a candidate: when it may be published, and that nobody can change it unseen."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from support.candidates import BASE, better

from mtctl.models.verdict import Compared, Verdict, VerdictError, read_verdict, write_verdict


@pytest.mark.parametrize(
    ("cases", "calibration", "reason"),
    [
        ([(0.90, 0.90)], (0.05, 0.05), None),
        ([(0.90, 0.88), (0.80, 0.82)], (0.05, 0.05), None),
        ([(0.90, 0.8999)], (0.05, 0.05), "mean Dice is lower: 89.99, was 90.00"),
        ([(0.90, 0.8799), (0.80, 0.90)], (0.05, 0.05), r"case 0 loses 2\.0 points of Dice"),
        ([(0.90, math.nan)], (0.05, 0.05), "mean Dice is lower"),
        ([(0.90, 0.92)], (0.05, 0.051), "its probabilities are off by 0.051, were by 0.050"),
        ([(0.90, 0.92)], (0.05, math.nan), "its probabilities are off"),
        ([(0.90, 0.92)], None, "its calibration was not measured"),
        ([], (0.05, 0.05), "it was compared on no case"),
    ],
)
def test_a_candidate_may_be_published_when_it_is_not_worse(
    cases: list[tuple[float, float]], calibration: tuple[float, float] | None, reason: str | None
) -> None:
    compared = tuple(Compared(str(number), old, new) for number, (old, new) in enumerate(cases))
    against = Verdict(BASE, compared, calibration).against
    if reason is None:
        assert against == ()
    else:
        with pytest.raises(AssertionError, match=reason):
            raise AssertionError(against)


def test_a_verdict_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    verdict = better(BASE, p_value=0.03, held_out="2 folds", recipe={"minutes": 20}, uncertainty={"auroc": (0.8, 0.9)})
    write_verdict(tmp_path, verdict)
    assert read_verdict(tmp_path) == verdict


def test_a_verdict_that_was_changed_by_hand_or_torn_or_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VerdictError, match=r"holds no verdict\.json: the model was never compared"):
        read_verdict(tmp_path)
    write_verdict(tmp_path, better(BASE))
    path = tmp_path / "verdict.json"
    text = path.read_text()
    path.write_text(text.replace("0.87", "0.97"))
    with pytest.raises(VerdictError, match="was changed by hand"):
        read_verdict(tmp_path)
    path.write_text(text[:50])
    with pytest.raises(VerdictError, match="cut off or damaged"):
        read_verdict(tmp_path)
