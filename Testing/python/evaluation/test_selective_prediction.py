"""Measures of a case score: closed forms, ties, intervals by case."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mtctl.evaluation.selective_prediction import (
    ReportedScore,
    aurc,
    coverage,
    excess_aurc,
    failure_auroc,
    judge,
    normalised_aurc,
    reported_scores,
    spearman,
)


def test_aurc_is_the_mean_of_the_running_mean_risk_from_the_most_confident_on() -> None:
    # Risks in order of confidence: 0.1, 0.4, 0.1 -> running means 0.1, 0.25, 0.2.
    assert aurc([0.9, 0.5, 0.1], [0.9, 0.6, 0.9]) == pytest.approx((0.1 + 0.25 + 0.2) / 3)


def test_a_score_that_orders_like_dice_has_no_excess_and_one_that_knows_nothing_has_all_of_it() -> None:
    dice = [0.95, 0.9, 0.7, 0.2]
    assert excess_aurc([4, 3, 2, 1], dice) == pytest.approx(0)
    assert normalised_aurc([4, 3, 2, 1], dice) == pytest.approx(0)
    assert normalised_aurc([1, 1, 1, 1], dice) == pytest.approx(1)
    assert normalised_aurc([1, 2, 3, 4], dice) > 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1)), min_size=1, max_size=5))
def test_equal_scores_count_as_the_mean_over_all_their_orders(rows: list[tuple[int, float]]) -> None:
    score, dice = (list(column) for column in zip(*rows, strict=True))
    areas = []
    for order in itertools.permutations(range(len(rows))):
        if all(score[a] >= score[b] for a, b in itertools.pairwise(order)):
            risks = np.array([1 - dice[i] for i in order])
            areas.append(np.mean(np.cumsum(risks) / np.arange(1, len(risks) + 1)))
    assert aurc(score, dice) == pytest.approx(np.mean(areas))


def test_what_is_not_defined_is_nan_and_never_a_number_that_looks_good() -> None:
    assert math.isnan(normalised_aurc([1, 2], [0.5, 0.5]))
    assert math.isnan(spearman([1, 1], [0.4, 0.5]))
    assert math.isnan(spearman([1], [0.4]))
    assert math.isnan(failure_auroc([1, 2], [0.9, 0.95]))


def test_failure_auroc_and_spearman_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    score, dice = rng.random(40).round(1), rng.random(40)
    failed = dice < 0.8
    statistic = stats.mannwhitneyu(score[~failed], score[failed]).statistic
    assert failure_auroc(score, dice) == pytest.approx(statistic / (failed.sum() * (~failed).sum()))
    assert spearman(score, dice) == pytest.approx(stats.spearmanr(score, dice).statistic)


@pytest.mark.slow
def test_intervals_hold_the_figure_and_are_the_same_every_time() -> None:
    rng = np.random.default_rng(1)
    dice = rng.random(60)
    score = dice + rng.normal(0, 0.1, 60)
    case = [f"case {i // 3}" for i in range(60)]
    first, again = judge(score.tolist(), dice.tolist(), case), judge(score.tolist(), dice.tolist(), case)
    assert first == again
    for estimate in first.values():
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.high - estimate.low > 0.001


@pytest.mark.slow
def test_many_versions_of_one_case_do_not_count_as_many_cases() -> None:
    rng = np.random.default_rng(2)
    dice, score = rng.random(12), rng.random(12)
    repeated = judge(np.repeat(score, 10).tolist(), np.repeat(dice, 10).tolist(), np.repeat(np.arange(12), 10).tolist())
    pretended = judge(np.repeat(score, 10).tolist(), np.repeat(dice, 10).tolist(), list(range(120)))
    wide, narrow = (figures["Spearman"].high - figures["Spearman"].low for figures in (repeated, pretended))
    assert wide > 2 * narrow


def test_coverage_counts_the_intervals_that_hold_their_dice() -> None:
    assert coverage([0.9, 0.5, 0.2], [0.8, 0.6, 0.2], [1.0, 0.7, 0.2]) == pytest.approx(2 / 3)


def test_scores_come_from_the_reports_of_a_folder_and_broken_ones_are_named(tmp_path: Path) -> None:
    report = {"case_score": 0.9, "case_score_interval": [0.8, 0.95], "flagged": False, "samples": 8}
    (tmp_path / "a.json").write_text(json.dumps(report), encoding="utf-8")
    (tmp_path / "other.json").write_text("[1, 2]", encoding="utf-8")
    assert reported_scores(tmp_path) == ({"a": ReportedScore(0.9, 0.8, 0.95, False)}, [])
    (tmp_path / "b.json").write_text('{"case_score": 0.9}', encoding="utf-8")
    (tmp_path / "c.json").write_text(json.dumps(report)[:-9], encoding="utf-8")
    scores, unreadable = reported_scores(tmp_path)
    assert list(scores) == ["a"]
    for text, name in zip(unreadable, ("b.json", "c.json"), strict=True):
        assert text.startswith(f"{tmp_path / name}: not a readable report")
