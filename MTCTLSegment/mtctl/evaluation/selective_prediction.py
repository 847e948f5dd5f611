"""How well a case score tells good results from bad ones: risk = 1 - Dice, the more confident the higher the score.

AURC and its excess: Geifman, Uziel, El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers",
ICLR 2019; as measures of segmentation failure detection: Zenk et al., "Comparative benchmarking of failure detection
methods in medical image segmentation", Medical Image Analysis 2025.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtctl.evaluation.uncertainty_metrics import error_auroc
from mtctl.system.documents import DocumentError, read_any
from mtctl.system.fields import Share, read_as

#: A result with a lower Dice counts as failed.
FAILED_BELOW = 0.80

Numbers = NDArray[np.float64]
#: A figure of some predictions, from their case scores and their Dice.
Measure = Callable[[Numbers, Numbers], float]


def aurc(score: ArrayLike, dice: ArrayLike) -> float:
    """Area under the risk-coverage curve: the mean risk of the k most confident results, averaged over k = 1 ... n.

    Equal scores have no order: each of them counts with their mean risk, which is the mean over all orders.
    """
    return _area(np.asarray(score, float), 1 - np.asarray(dice, float))


def excess_aurc(score: ArrayLike, dice: ArrayLike) -> float:
    """Return the AURC minus that of the perfect order (by Dice itself): 0 is the best that any score could do."""
    return aurc(score, dice) - aurc(dice, dice)


def normalised_aurc(score: ArrayLike, dice: ArrayLike) -> float:
    """Return the excess AURC over that of a score that knows nothing: 0 perfect, 1 uninformative.

    It is NaN when all Dice are equal.
    """
    uninformed = float(np.mean(1 - np.asarray(dice, float))) - aurc(dice, dice)
    return excess_aurc(score, dice) / uninformed if uninformed > 1e-12 else math.nan


def spearman(score: ArrayLike, dice: ArrayLike) -> float:
    """Return the rank correlation of score and Dice; NaN where either is constant."""
    from scipy import stats  # here: it takes half a second to load

    score, dice = np.asarray(score, float), np.asarray(dice, float)
    if len(score) < 2 or not np.ptp(score) or not np.ptp(dice):
        return math.nan
    return float(stats.spearmanr(score, dice).statistic)


def failure_auroc(score: ArrayLike, dice: ArrayLike, failed_below: float = FAILED_BELOW) -> float:
    """Return the probability that a failed result scores lower than one that has not failed.

    It is NaN unless there are both.
    """
    return error_auroc(-np.asarray(score, float), np.asarray(dice, float) < failed_below)


#: The figures of a case score, by the name under which they are printed.
MEASURES: dict[str, Measure] = {
    "AURC": aurc,
    "excess AURC": excess_aurc,
    "normalised AURC": normalised_aurc,
    "Spearman": spearman,
    "failure AUROC": failure_auroc,
}


@dataclass(frozen=True)
class Estimate:
    """A figure and its bootstrap interval, [low, high]; NaN where it is not defined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def judge(
    score: Sequence[float], dice: Sequence[float], case: Sequence[str], repeats: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Return all `MEASURES` with 95 % percentile bootstrap intervals.

    Cases are drawn with replacement, each with all its predictions (its corrupted versions, other models' results):
    these resemble each other and would make the intervals too narrow if drawn one by one.

    Args:
        score: Case score of each prediction.
        dice: Its Dice.
        case: Which case it is of.
        repeats: Bootstrap samples.
        seed: Seed of the draws.
    """
    scores, truth = np.asarray(score, float), np.asarray(dice, float)
    rng, cases = np.random.default_rng(seed), sorted(set(case))
    members = [np.flatnonzero(np.asarray(case, dtype=object) == name) for name in cases]
    draws = [np.concatenate([members[i] for i in rng.integers(len(cases), size=len(cases))]) for _ in range(repeats)]
    estimates = {}
    for name, measure in MEASURES.items():
        values = np.array([measure(scores[draw], truth[draw]) for draw in draws])
        values = values[np.isfinite(values)]
        low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (math.nan, math.nan)
        estimates[name] = Estimate(measure(scores, truth), float(low), float(high))
    return estimates


@dataclass(frozen=True)
class ReportedScore:
    """What a report of `mtctl segment` says about its case."""

    score: float
    low: float
    high: float
    flagged: bool


@dataclass(frozen=True)
class _Scored:
    """What is read of a report."""

    case_score: Share
    case_score_interval: tuple[Share, Share]
    flagged: bool


def _score(report: _Scored) -> ReportedScore:
    return ReportedScore(report.case_score, *report.case_score_interval, report.flagged)


def reported_scores(folder: Path) -> tuple[dict[str, ReportedScore], list[str]]:
    """Return the case scores in a folder of results; JSON files that are no reports are passed over.

    Returns:
        The scores by stem, and for each file that cannot be read what is wrong and what to do: one torn report must
        not take those of all other cases with it.
    """
    scores, unreadable = {}, []
    for path in sorted(folder.glob("*.json")):
        try:
            report = read_any(path)
            if isinstance(report, dict) and "case_score" in report:
                scores[path.stem] = _score(read_as(_Scored, report, path.name))
        except (OSError, DocumentError) as error:
            reason = str(error).removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")
            unreadable.append(f"{path}: not a readable report ({reason}); segment the case again")
    return scores, unreadable


def coverage(dice: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Return the share of the predictions whose Dice lies in their interval."""
    return float(np.mean((np.asarray(low) <= np.asarray(dice)) & (np.asarray(dice) <= np.asarray(high))))


def _area(score: Numbers, risk: Numbers) -> float:
    _, level, count = np.unique(-score, return_inverse=True, return_counts=True)
    mean = np.bincount(level, weights=risk) / count
    ordered = np.repeat(mean, count)
    return float(np.mean(np.cumsum(ordered) / np.arange(1, len(ordered) + 1)))
