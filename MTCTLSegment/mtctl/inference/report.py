"""What is reported of one case, made from its prediction: the content of <stem>.json, and what a window is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtctl import __version__
from mtctl.geometry import Map, Mask, Volume
from mtctl.inference.prediction import Options, Prediction
from mtctl.masks import surface_band
from mtctl.measures.measuring import volume_ml
from mtctl.measures.uncertain_mask import UncertainMask
from mtctl.models.card import Card
from mtctl.preprocessing.region_of_interest import Box
from mtctl.review.case_maps import probability_of
from mtctl.uncertainty.case_score import CaseScore
from mtctl.uncertainty.kinds import BY_OPTION
from mtctl.uncertainty.maps import FLAGGED_SHARE, threshold_for_volume


@dataclass(frozen=True)
class CaseReport:
    """A case as it is handed out.

    Attributes:
        uncertainty: The map that was asked for, on the scan's grid.
        report: What <stem>.json holds; all of it can be written as JSON.
    """

    uncertainty: Volume
    report: dict[str, Any]


def make_report(prediction: Prediction, card: Card, options: Options, kind: str, threshold: float | None) -> CaseReport:
    """Report on a prediction as the files of a case hold it.

    Args:
        prediction: Prediction for one scan.
        card: Card of the model that made it.
        options: Options with which it was made.
        kind: Option of one of `kinds.KINDS`.
        threshold: Threshold on that uncertainty, in [0, 1]; None for the model's.
    """
    uncertainty = prediction.on_source(BY_OPTION[kind].name)
    chosen = _threshold(threshold, kind, card, uncertainty.array, prediction)
    calibrated = card.score or CaseScore()
    score = _case_score(prediction, calibrated)
    warnings = [*prediction.warnings, *prediction.remarks]
    if score["case_score"] < calibrated.flag_below:
        redraw = "" if isinstance(options.region, Box) else "; if the atrium was missed, draw the region (--roi)"
        warnings.append(f"the model is unsure of this scan (expected Dice {score['case_score']:.2f}): check it{redraw}")
    if card.score is None:
        warnings.append(
            f"the model '{card.id}' was never calibrated on validation cases: its case score is a guess "
            "(mtctl models calibrate)"
        )
    report = {
        **_origin(prediction, card, options),
        **_volume_interval(prediction),
        "uncertainty": {"kind": kind, **_means(uncertainty, prediction.segmentation)},
        **score,
        "threshold": chosen,
        **_likely_wrong(prediction),
        "warnings": warnings,
        **_running(prediction),
    }
    return CaseReport(uncertainty, report)


def summarise(prediction: Prediction, card: Card, options: Options, remarks: Sequence[str] = ()) -> dict[str, Any]:
    """Report on a prediction to a window.

    Args:
        prediction: Prediction for one scan.
        card: Card of the model that made it.
        options: Options with which it was made.
        remarks: What else happened on the way, in sentences for the reader.

    Returns:
        The report; all of it can be written as JSON.
    """
    return {
        **_origin(prediction, card, options),
        **_case_score(prediction, card.score or CaseScore()),
        "threshold": card.threshold,
        **_likely_wrong(prediction),
        "warnings": [*prediction.warnings, *prediction.remarks, *remarks],
        **_running(prediction),
    }


def _origin(prediction: Prediction, card: Card, options: Options) -> dict[str, Any]:
    """Return what was segmented, with what, and how large the atrium is."""
    return {
        "geometry": prediction.source.to_json(),
        "model": {"id": card.id, "version": card.version, "sha256": card.sha256},
        "device": prediction.device,
        "samples": prediction.samples,
        "seed": prediction.seed,
        "region_of_interest": {
            "box_mm_lps": dataclasses.asdict(prediction.region),
            "chosen_by": _chooser(prediction, options),
        },
        "volume_ml": round(prediction.volume_ml, 3),
    }


def _volume_interval(prediction: Prediction) -> dict[str, list[float]]:
    """Return the 90 % interval of the volume, mL; nothing where nothing was found."""
    mask = prediction.segmentation
    if not mask.any():
        return {}
    probability = probability_of(prediction.on_source("entropy").array, mask)
    volume = volume_ml(UncertainMask.of(mask, probability, prediction.source))
    return {"volume_ml_interval": [round(end or 0.0, 3) for end in (volume.low, volume.high)]}


def _likely_wrong(prediction: Prediction) -> dict[str, float]:
    """Return how much of the segmentation is likely wrong, mL: the probability of the other side, summed."""
    inside, probability = prediction.segmentation[prediction.window], prediction.maps["probability"]
    # Float64: a thousandth of each of millions of voxels counts, too.
    wrong = np.where(inside > 0, 1 - probability, probability).sum(dtype=np.float64)
    return {"likely_wrong_ml": round(float(wrong) * prediction.source.voxel_ml, 3)}


def _running(prediction: Prediction) -> dict[str, Any]:
    """Return how long the prediction took, and the version of the program."""
    return {"seconds": prediction.seconds, "version": __version__}


def _threshold(asked: float | None, kind: str, card: Card, uncertainty: Map, prediction: Prediction) -> float:
    """Return the threshold asked for, or else the card's, which applies to entropy only.

    For other kinds, return the threshold that flags `FLAGGED_SHARE` of the segmentation's volume.
    """
    if asked is not None:
        return asked
    if kind == "entropy":
        return card.threshold
    return round(threshold_for_volume(uncertainty, FLAGGED_SHARE * float(prediction.segmentation.sum())), 4)


def _chooser(prediction: Prediction, options: Options) -> str:
    if isinstance(options.region, Box):
        return "user"
    return "coarse pass" if prediction.located else "whole scan"


def _means(uncertainty: Volume, mask: Mask) -> dict[str, float]:
    """Return the mean over the scan, and within 3 mm of the mask's surface (over the scan where it has none)."""
    x, y, z = uncertainty.geometry.spacing
    band = surface_band(mask, (z, y, x))
    values = uncertainty.array
    near = values[band] if band.any() else values
    return {"mean": round(float(values.mean()), 5), "in_band_mean": round(float(near.mean()), 5)}


def _case_score(prediction: Prediction, score: CaseScore) -> dict[str, Any]:
    """Return the expected Dice, its 90 % interval, and whether somebody must look; an empty result scores 0."""
    expected, (low, high) = score.expected(prediction.self_dice), score.interval(prediction.self_dice)
    expected, low, high = (round(value, 4) for value in (expected, low, high))
    return {
        "case_score": expected,
        "case_score_interval": [low, high],
        "self_dice": round(prediction.self_dice, 4),
        "sample_dice": round(prediction.sample_dice, 4),
        "flagged": expected < score.flag_below or bool(prediction.warnings),
    }
