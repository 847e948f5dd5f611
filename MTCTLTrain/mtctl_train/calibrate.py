"""What a card takes from validation cases: the default threshold, the case score's line, and figures to show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mtctl.inference import Segmenter
from mtctl.metrics import dice, segmentation_metrics
from mtctl.model import ScoreLine
from mtctl.uncertainty import FLAGGED_SHARE, threshold_for_volume
from mtctl_train.dataset import LabelledVolume


@dataclass(frozen=True)
class Calibration:
    """Values for a card.

    Attributes:
        threshold: Of the predictive entropy.
        score: Expected Dice as a line of the samples' agreement.
        figures: Mean metrics on the validation cases.
    """

    threshold: float
    score: ScoreLine
    figures: dict[str, float]


def calibrate(segmenter: Segmenter, cases: Sequence[LabelledVolume]) -> Calibration:
    """Predict validation cases with the default settings and derive the card's values from them."""
    thresholds, agreements, scores = [], [], []
    metrics = []
    for case in cases:
        prediction = segmenter.predict(case.volume)
        entropy = prediction.on_source("entropy").array
        thresholds.append(threshold_for_volume(entropy, FLAGGED_SHARE * float(prediction.segmentation.sum())))
        agreements.append(prediction.sample_dice)
        scores.append(dice(prediction.segmentation, case.mask))
        x, y, z = case.volume.geometry.spacing
        metrics.append(segmentation_metrics(prediction.segmentation, case.mask, (z, y, x)))
    names = vars(metrics[0])
    figures = {name: round(float(np.mean([getattr(m, name) for m in metrics])), 4) for name in names}
    figures["dice_sd"] = round(float(np.std(scores, ddof=1)), 4) if len(scores) > 1 else 0.0
    figures["dice_worst"] = round(min(scores), 4)
    line = score_line(np.array(agreements), np.array(scores))
    return Calibration(round(float(np.median(thresholds)), 3), line, figures)


def score_line(agreement: np.ndarray, score: np.ndarray) -> ScoreLine:
    """Expected Dice = 1 - c (1 - agreement), c by least squares, with a 90 % prediction interval.

    The line goes through (1, 1): a slope and an intercept cannot both be told from a dozen good cases whose agreement
    differs by 0.03, and a line that is right there could be absurd for a bad scan.
    """
    apart, missed = 1 - agreement, 1 - score
    steepness = float((apart * missed).sum() / max(float((apart * apart).sum()), 1e-9))
    residual = missed - steepness * apart
    n = len(score)
    spread = math.sqrt(float((residual**2).sum()) / max(n - 1, 1))
    half = float(stats.t.ppf(0.95, max(n - 1, 1))) * spread * math.sqrt(1 + 1 / n)
    return ScoreLine(intercept=1 - steepness, slope=steepness, below=half, above=half)
