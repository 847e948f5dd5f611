"""How well an uncertainty map tells where a segmentation is wrong, and whether its probabilities mean what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import integrate

from mtctl.geometry import Mask
from mtctl.masks import same_shape

Map = NDArray[np.floating]
Scalar = TypeVar("Scalar", bound=np.generic)


def error_auroc(uncertainty: Map, error: Mask, where: Mask | None = None) -> float:
    """Return the probability that a wrong voxel is more uncertain than a right one; ties count half (Mann-Whitney).

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
    """Return the area under the precision-recall curve of finding wrong voxels: the average precision (steps).

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
    """Return the expected calibration error of the foreground probability (binary ECE).

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
    """Return the Dice after an oracle sets the most uncertain voxels right, a volume of `fraction` of the prediction's.

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


@dataclass(frozen=True)
class QuBrats:
    """The QU-BraTS measures: areas under three curves over the threshold, each in [0, 1].

    Attributes:
        dice: Area under the Dice of the voxels that stay (higher is better).
        lost_positives: Area under the share of true positives filtered out (lower is better).
        lost_negatives: The same for true negatives.
    """

    dice: float
    lost_positives: float
    lost_negatives: float

    @property
    def score(self) -> float:
        """Mean of the three, the last two turned round: 1 is perfect."""
        return (self.dice + (1 - self.lost_positives) + (1 - self.lost_negatives)) / 3


def qu_brats(uncertainty: Map, prediction: Mask, truth: Mask, thresholds: int = 100) -> QuBrats:
    """Return the score of Mehta et al., "QU-BraTS", MELBA 2022, for one foreground class.

    At each of `thresholds` + 1 thresholds from 0 to 1, voxels more uncertain than it are filtered out. The areas are
    trapezoids. Where no positive stays in either mask, the Dice is 1; nothing to lose counts as nothing lost.
    """
    prediction, truth = same_shape(prediction, truth)
    values = uncertainty.astype(np.float32, copy=False)
    levels = np.linspace(0, 1, thresholds + 1, dtype=np.float32)
    kinds = (prediction & truth, prediction & ~truth, truth & ~prediction, ~prediction & ~truth)
    true_positive, extra, lost, true_negative = (_counts_below(values[kind], levels)[1].astype(float) for kind in kinds)
    total = 2 * true_positive + extra + lost
    overlap = np.divide(2 * true_positive, total, out=np.ones_like(total), where=total > 0)
    shares = [1 - kept / kept[-1] if kept[-1] else np.zeros_like(kept) for kept in (true_positive, true_negative)]
    areas = [float(integrate.trapezoid(curve, levels)) for curve in (overlap, *shares)]
    return QuBrats(areas[0], areas[1], areas[2])


def _select(values: NDArray[Scalar], where: Mask | None) -> NDArray[Scalar]:
    return values.ravel() if where is None else values[where]


def _split(uncertainty: Map, error: Mask, where: Mask | None) -> tuple[Map, Map]:
    values, wrong = _select(uncertainty, where), _select(np.asarray(error, dtype=bool), where)
    return values[wrong], values[~wrong]


def _counts_below(values: Map, levels: Map) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return, for each level, how many of `values` lie below it, and how many below or at it."""
    values, levels = np.sort(values), levels.astype(values.dtype, copy=False)
    return np.searchsorted(values, levels, "left"), np.searchsorted(values, levels, "right")
