"""How well an uncertainty map tells where a segmentation is wrong, and whether its probabilities mean what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mtctl.metrics import Mask, same_shape

Map = NDArray[np.floating]
Scalar = TypeVar("Scalar", bound=np.generic)


def error_auroc(uncertainty: Map, error: Mask, where: Mask | None = None) -> float:
    """Probability that a wrong voxel is more uncertain than a right one, ties counting one half (Mann-Whitney).

    Args:
        uncertainty: Any map in which more means less sure.
        error: True where the segmentation is wrong.
        where: Only these voxels count (for example `surface_band`); all by default.

    Returns:
        0.5 for an uninformative map, 1 for a perfect one; NaN when there is no wrong or no right voxel to compare.
    """
    wrong, right = _split(uncertainty, error, where)
    if not wrong.size or not right.size:
        return float("nan")
    # Only the (few) wrong voxels are looked up among the right ones: the exact rank sum without ranking all of them.
    below, not_above = _counts_below(right, wrong)
    return float((below + not_above).mean() / (2.0 * right.size))


def error_aupr(uncertainty: Map, error: Mask, where: Mask | None = None) -> float:
    """Area under the precision-recall curve of finding wrong voxels: the average precision (steps, no interpolation).

    Tied voxels enter together. An uninformative map scores the fraction of wrong voxels, a perfect one 1; arguments as
    in `error_auroc`.

    Returns:
        The area; NaN when no voxel is wrong.
    """
    wrong, right = _split(uncertainty, error, where)
    if not wrong.size:
        return float("nan")
    levels, found = np.unique(wrong, return_counts=True)
    wrong_from = wrong.size - np.cumsum(found) + found  # wrong voxels at or above each level
    right_from = right.size - _counts_below(right, levels)[0]
    return float(np.sum(found / wrong.size * (wrong_from / (wrong_from + right_from))))


def ece(probability: Map, truth: Mask, where: Mask | None = None, bins: int = 15) -> float:
    """Expected calibration error of the foreground probability (binary ECE).

    Voxels are sorted by foreground probability into `bins` equal intervals of [0, 1]; the ECE is the sum over the bins
    of (share of voxels) x |mean probability - share of true foreground|.

    Returns:
        0 for a calibrated map, at most 1; NaN when `where` holds no voxel.
    """
    p, t = _select(probability, where), _select(np.asarray(truth, dtype=bool), where)
    if not p.size:
        return float("nan")
    index = np.clip((p * bins).astype(np.intp), 0, bins - 1)
    expected = np.bincount(index, weights=p, minlength=bins)
    observed = np.bincount(index[t], minlength=bins)
    return float(np.abs(expected - observed).sum() / p.size)


@dataclass(frozen=True)
class CorrectionGain:
    """Dice before and after the most uncertain voxels are set right, and the best that this many voxels allow."""

    before: float
    after: float
    ceiling: float


def correction_gain(uncertainty: Map, prediction: Mask, truth: Mask, fraction: float = 0.10) -> CorrectionGain:
    """Dice after an oracle sets the most uncertain voxels right, a volume of `fraction` of the prediction's.

    Where the last level of uncertainty holds more voxels than are left to take, each of them counts with its share, so
    the figure does not depend on the voxels' order. The ceiling is the Dice if every voxel taken had been wrong (missed
    voxels first: each is worth more than a superfluous one).
    """
    prediction, truth = same_shape(prediction, truth)
    superfluous, missed = prediction & ~truth, truth & ~prediction
    common, extra, lost = int((prediction & truth).sum()), int(superfluous.sum()), int(missed.sum())
    budget = min(round(fraction * int(prediction.sum())), prediction.size)

    def after(fixed_extra: float, fixed_lost: float) -> float:
        twice = 2 * (common + fixed_lost)
        total = twice + extra - fixed_extra + lost - fixed_lost
        return twice / total if total else 1.0

    ceiling_lost = min(budget, lost)
    ceiling = after(min(budget - ceiling_lost, extra), ceiling_lost)
    if not budget:
        return CorrectionGain(after(0, 0), after(0, 0), ceiling)
    level = np.partition(uncertainty, uncertainty.size - budget, axis=None)[uncertainty.size - budget]
    above, tied = uncertainty > level, uncertainty == level
    share = (budget - int(above.sum())) / int(tied.sum())
    fixed = [int((above & kind).sum()) + share * int((tied & kind).sum()) for kind in (superfluous, missed)]
    return CorrectionGain(after(0, 0), after(*fixed), ceiling)


def _select(values: NDArray[Scalar], where: Mask | None) -> NDArray[Scalar]:
    return values.ravel() if where is None else values[where]


def _split(uncertainty: Map, error: Mask, where: Mask | None) -> tuple[Map, Map]:
    values, wrong = _select(uncertainty, where), _select(np.asarray(error, dtype=bool), where)
    return values[wrong], values[~wrong]


def _counts_below(values: Map, levels: Map) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each level, how many of `values` lie below it, and how many below or at it."""
    values, levels = np.sort(values), levels.astype(values.dtype, copy=False)
    return np.searchsorted(values, levels, "left"), np.searchsorted(values, levels, "right")
