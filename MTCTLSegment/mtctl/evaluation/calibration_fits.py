"""The numbers of a card's calibration, each from plain arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from mtctl.geometry import Mask, Triple
from mtctl.uncertainty.case_score import CaseScore, UsualShape
from mtctl.uncertainty.voxel_calibration import VoxelCalibration

#: Share of the predictions that the case score's interval is to hold.
LEVEL = 0.90
#: A result with a lower Dice has failed ...
FAILED_BELOW = 0.80
#: ... and this share of those is to be flagged.
SENSITIVITY = 0.95
#: A left atrium exceeds the usual shape's limit that rarely.
UNUSUAL = 0.02
#: Three means and six covariances are not to be had from fewer cases.
FEWEST_SHAPES = 8

#: Logits of this size are certain; bins of 0.05 are finer than anything the calibration could notice.
_REACH, _STEP = 14.0, 0.05
#: A slope outside of this has been fitted to next to nothing.
_SLOPES = (0.1, 3.0)


@dataclass(frozen=True)
class LogitCounts:
    """How many voxels of one case, of background and of atrium, have each logit of `LOGITS`."""

    background: NDArray[np.int64]
    atrium: NDArray[np.int64]


LOGITS = np.arange(-round(_REACH / _STEP), round(_REACH / _STEP) + 1) * _STEP


def logit_counts(probability: NDArray[np.float32], truth: Mask, where: Mask) -> LogitCounts:
    """Count the voxels in `where` (`surface_band`) by logit and truth."""
    values = np.clip(logit(np.clip(probability[where].astype(np.float64), 1e-9, 1 - 1e-9)), -_REACH, _REACH)
    index = np.rint(values / _STEP).astype(np.intp) + round(_REACH / _STEP)
    true = truth[where]
    background, atrium = (np.bincount(index[kind], minlength=len(LOGITS)) for kind in (~true, true))
    return LogitCounts(background, atrium)


def fit_voxel_calibration(cases: Sequence[LogitCounts]) -> VoxelCalibration:
    """Return slope and offset with the least log-loss (Newton's method), every case with the same weight.

    Only voxels in the band are counted: the many sure voxels far from the surface would dominate the fit, though
    calibration hardly changes them. Where the cases hold no voxel of one class, return the identity.
    """
    totals = [(case.background + case.atrium).sum() for case in cases]
    weighed = [(case, total) for case, total in zip(cases, totals, strict=True) if total]
    atrium = sum((case.atrium / total for case, total in weighed), np.zeros(len(LOGITS)))
    both = sum((case.background / total for case, total in weighed), atrium.copy())
    if not 0 < atrium.sum() < both.sum():
        return VoxelCalibration()
    design, weights = np.stack([LOGITS, np.ones_like(LOGITS)], axis=1), np.array([1.0, 0.0])
    for _ in range(50):
        p = expit(design @ weights)
        curvature = (design * (both * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        gradient = design.T @ (atrium - both * p)
        wanted = weights[0] + np.clip(np.linalg.solve(curvature, gradient)[0], -1, 1)
        slope = np.clip(wanted, *_SLOPES) - weights[0]
        # The offset's step for the step that the slope takes: where a bound holds the slope back, the joint step would
        # move the offset as if it had not, and never come to rest at the best one.
        step = np.array([slope, np.clip((gradient[1] - curvature[1, 0] * slope) / curvature[1, 1], -1, 1)])
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return VoxelCalibration(round(float(weights[0]), 4), round(float(weights[1]), 4))


def fit_case_score(
    self_dice: ArrayLike, dice: ArrayLike, scans: Sequence[str] | None = None, clean: Sequence[bool] | None = None
) -> CaseScore:
    """Return ratios and flag threshold from predictions, clean and corrupted.

    Interval and flag are two things. The interval's ends are split-conformal over clean scans, one prediction each,
    which alone are exchangeable with a further scan (under 19 of them they are the outermost ratios, and promise less
    than 90 %); the ratio itself is the nonconformity measure. The flag is a failure detector: it finds `SENSITIVITY` of
    the failed predictions, corrupted ones too, where every scan counts as much as any other, since versions of one scan
    depend on each other. An empty mask promises 0 and scores 0 by rule: it says nothing of the ratio.

    The flag stands at `FAILED_BELOW` at least, whether or not a prediction failed: where few did, and all of them
    badly, their scores alone would let results pass that are expected to have failed.

    Args:
        self_dice: What each prediction promised.
        dice: Its Dice.
        scans: Which scan each is of; None: each of one of its own.
        clean: Which are of scans as they came; None, or none is: all count for the interval.
    """
    promised, true = np.asarray(self_dice, float), np.asarray(dice, float)
    names = np.arange(len(true)) if scans is None else np.unique(np.asarray(scans), return_inverse=True)[1]
    plain = np.ones(len(true), bool) if clean is None else np.asarray(clean, bool)
    found = promised > 0
    ratios = (1 - true) / np.maximum(1 - promised, 1e-6)
    score = CaseScore(flag_below=FAILED_BELOW, sensitivity=SENSITIVITY, failed_below=FAILED_BELOW)
    if found.any():
        ratio = np.sort(ratios[found & plain] if (found & plain).any() else ratios[found])
        n, tail = len(ratio), (1 - LEVEL) / 2
        # Rounded first: (1 - 0.9) / 2 is a little less than 0.05 in binary: 0.05 x 40 would come to the first value.
        least, most = math.floor(round(tail * (n + 1), 9)), math.ceil(round((1 - tail) * (n + 1), 9))
        low, high = float(ratio[max(least - 1, 0)]), float(ratio[min(most, n) - 1])
        likely = min(max(_by_scan(ratios[found], names[found]), low), high)
        score = replace(score, likely=round(likely, 4), least=round(low, 4), most=round(high, 4))
    failed = true < FAILED_BELOW
    if not failed.any():
        return score
    expected = np.array([score.expected(float(s)) for s in promised[failed]])
    last = _highest_needed(expected, names[failed])
    return replace(score, flag_below=max(math.floor(last * 1e4 + 1) / 1e4, FAILED_BELOW))


def _shares(scans: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the weight of each prediction: all scans weigh the same, whatever the number of their versions."""
    _, index, counts = np.unique(scans, return_inverse=True, return_counts=True)
    return 1 / (counts[index] * len(counts))


def _by_scan(values: NDArray[np.float64], scans: NDArray[np.integer]) -> float:
    """Return the median of values in which every scan counts the same."""
    shares = _shares(scans)
    if np.ptp(shares) == 0:
        return float(np.median(values))
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(shares[order]), 0.5 - 1e-9)])


def _highest_needed(expected: NDArray[np.float64], scans: NDArray[np.integer]) -> float:
    """Return the score up to which lie `SENSITIVITY` of the failed predictions, every scan counting the same."""
    order = np.argsort(expected)
    reached = np.searchsorted(np.cumsum(_shares(scans)[order]), SENSITIVITY - 1e-9)
    return float(expected[order][min(int(reached), len(order) - 1)])


def fit_usual_shape(spreads: Sequence[Triple]) -> UsualShape | None:
    """Return mean, covariance and limit of the logarithms; None from fewer than `FEWEST_SHAPES`."""
    from scipy import stats  # here: it takes half a second to load

    n = len(spreads)
    if n < FEWEST_SHAPES:
        return None
    values = np.log(np.array(spreads))
    x, y, z = (round(float(v), 5) for v in values.mean(axis=0))
    rows = [tuple(round(float(v), 7) for v in row) for row in np.cov(values.T)]
    covariance = tuple((row[0], row[1], row[2]) for row in rows)
    # A further case against mean and covariance of n: T^2 = p (n + 1)(n - 1) / (n (n - p)) F(p, n - p).
    limit = math.sqrt(3 * (n + 1) * (n - 1) / (n * (n - 3)) * float(stats.f.isf(UNUSUAL, 3, n - 3)))
    return UsualShape((x, y, z), (covariance[0], covariance[1], covariance[2]), round(limit, 4))
