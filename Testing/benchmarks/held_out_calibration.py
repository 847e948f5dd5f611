"""What a calibration would have said of cases that it was not fitted on: each case judged by the fit on all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtctl.evaluation.calibrate import CleanResult, Observation, case_score_of, good_spreads
from mtctl.evaluation.calibration_fits import fit_usual_shape, fit_voxel_calibration
from mtctl.evaluation.selective_prediction import coverage
from mtctl.uncertainty.case_score import CaseScore, UsualShape
from mtctl.uncertainty.voxel_calibration import VoxelCalibration


@dataclass(frozen=True)
class JudgedPrediction:
    """A prediction and what its case score says.

    Attributes:
        observation: The prediction.
        score: Expected Dice.
        low, high: Its 90 % interval.
        unsure: Flagged because of the score.
        misshapen: Flagged because of the segmentation's shape.
    """

    observation: Observation
    score: float
    low: float
    high: float
    unsure: bool
    misshapen: bool

    @property
    def flagged(self) -> bool:
        """For any reason, as `mtctl segment` flags."""
        return self.unsure or self.misshapen or self.observation.doubted


@dataclass(frozen=True)
class FlagFigures:
    """How the flag and the interval do on some predictions; NaN where there is none of a kind.

    Attributes:
        sensitivity: Share of the failed ones that are flagged.
        false_flags: Share of the others that are flagged.
        coverage: Share whose Dice lies in its interval.
        width: Mean width of the intervals.
    """

    sensitivity: float
    false_flags: float
    coverage: float
    width: float


def judged(observations: Sequence[Observation], score: CaseScore, shape: UsualShape | None) -> list[JudgedPrediction]:
    """What one calibration says of predictions."""
    result = []
    for o in observations:
        expected, (low, high) = score.expected(o.self_dice), score.interval(o.self_dice)
        misshapen = bool(shape and o.spread and shape.distance(o.spread) > shape.limit)
        result.append(JudgedPrediction(o, expected, low, high, expected < score.flag_below, misshapen))
    return result


def judged_held_out(
    observations: Sequence[Observation], clean: Sequence[CleanResult], further: Sequence[Observation] = ()
) -> list[JudgedPrediction]:
    """Every prediction, judged by the calibration of all other cases.

    Args:
        observations: Clean and corrupted predictions; the fits use them.
        clean: The clean ones in full, for the shapes.
        further: Predictions of the same cases (weaker models') that are judged, but never fitted to.
    """
    result = []
    for case in dict.fromkeys(o.case for o in observations):
        others = [o for o in observations if o.case != case]
        score = case_score_of(others)
        shape = fit_usual_shape(good_spreads([r for r in clean if r.observation.case != case]))
        result += judged([o for o in (*observations, *further) if o.case == case], score, shape)
    return result


def held_out_voxel_calibrations(clean: Sequence[CleanResult]) -> list[VoxelCalibration]:
    """For each case the voxel calibration of all others."""
    return [fit_voxel_calibration([other.counts for other in clean if other is not result]) for result in clean]


def flag_figures(predictions: Sequence[JudgedPrediction], failed_below: float) -> FlagFigures:
    """Sensitivity, false flags and coverage."""
    dice = np.array([p.observation.dice for p in predictions])
    flagged = np.array([p.flagged for p in predictions], dtype=bool)
    low, high = np.array([p.low for p in predictions]), np.array([p.high for p in predictions])
    failed = dice < failed_below
    return FlagFigures(
        sensitivity=float(flagged[failed].mean()) if failed.any() else float("nan"),
        false_flags=float(flagged[~failed].mean()) if (~failed).any() else float("nan"),
        coverage=coverage(dice, low, high) if len(dice) else float("nan"),
        width=float((high - low).mean()) if len(dice) else float("nan"),
    )
