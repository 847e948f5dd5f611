"""What a card takes from validation cases: voxel calibration, threshold, case score, usual shape, figures to show."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mtctl.evaluation.calibration_fits import (
    FAILED_BELOW,
    LogitCounts,
    fit_case_score,
    fit_usual_shape,
    fit_voxel_calibration,
    logit_counts,
)
from mtctl.evaluation.segmentation_metrics import SegmentationMetrics, dice, segmentation_metrics
from mtctl.geometry import Geometry, Map, Mask, Triple
from mtctl.inference.prediction import Prediction
from mtctl.inference.segmenter import Segmenter
from mtctl.io.labelled import LabelledVolume
from mtctl.masks import surface_band
from mtctl.models.card import Card
from mtctl.models.model import Model
from mtctl.synthetic.corruptions import KINDS, SEVERITIES, corrupted
from mtctl.uncertainty.case_score import CaseScore, UsualShape, spread_mm
from mtctl.uncertainty.maps import FLAGGED_SHARE, binary_entropy, threshold_for_volume
from mtctl.uncertainty.voxel_calibration import VoxelCalibration


@dataclass(frozen=True)
class Observation:
    """One prediction and how good it is.

    Attributes:
        case: Name of the scan that it comes from.
        version: "clean", or how the scan was corrupted.
        dice: Against the truth.
        self_dice, sample_dice: See `Prediction`.
        spread: `spread_mm` of the segmentation; None for an empty one.
        doubted: Whether something but its shape casts doubt on it.
    """

    case: str
    version: str
    dice: float
    self_dice: float
    sample_dice: float
    spread: Triple | None
    doubted: bool


@dataclass(frozen=True)
class CleanResult:
    """The prediction for an uncorrupted scan, on the scan's grid, (z, y, x).

    Attributes:
        observation: Its Dice and scores, as for corrupted scans.
        mask: Segmentation.
        truth: The expert's.
        geometry: The scan's grid.
        probability: Mean probability of the samples, not calibrated.
        counts: Its logits within 3 mm of the mask's surface, counted by class.
        metrics: All figures of the mask.
    """

    observation: Observation
    mask: Mask
    truth: Mask
    geometry: Geometry
    probability: Map
    counts: LogitCounts
    metrics: SegmentationMetrics


@dataclass(frozen=True)
class Calibration:
    """Values for a card.

    Attributes:
        voxel_calibration: Calibration of the voxels' probability.
        threshold: Threshold on the calibrated predictive entropy.
        score: Calibration of the case score.
        usual_shape: Usual shape of good results.
        figures: Mean metrics on the validation cases.
    """

    voxel_calibration: VoxelCalibration
    threshold: float
    score: CaseScore
    usual_shape: UsualShape | None
    figures: dict[str, float]

    def applied_to(self, card: Card, cases: int) -> Card:
        """Return `card` with these values, taken from `cases` validation cases."""
        values = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "figures"
        }
        return dataclasses.replace(card, **values, validation={"cases": cases, **self.figures})


def calibrate(
    segmenter: Segmenter,
    cases: Sequence[LabelledVolume],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Calibration:
    """Predict validation cases, clean and corrupted, with the default settings; derive the card's values.

    Each case is predicted seven times: clean, and with every kind of corruption once, whose severity changes from case
    to case. All three severities would make 19 predictions, but predictions for one scan depend on each other: what
    counts for the fit is the number of scans. The card's earlier calibration is ignored.

    Args:
        segmenter: The model, on its device.
        cases: Scans with truth that the model was not trained on.
        progress: Called with the number of predictions done and of all.
    """
    plain, of = uncalibrated(segmenter), len(cases) * (1 + len(KINDS))
    clean, observations = [], list[Observation]()
    for index, case in enumerate(cases):
        clean.append(examine(plain, case))
        observations.append(clean[-1].observation)
        progress(len(observations), of)
        for turn, kind in enumerate(KINDS):
            severity = SEVERITIES[(index + turn) % len(SEVERITIES)]
            observations += observe_corrupted(plain, case, [(kind, severity)])
            progress(len(observations), of)
    return calibration_of(clean, observations)


def calibration_of(clean: Sequence[CleanResult], observations: Sequence[Observation]) -> Calibration:
    """Return the values for a card from predictions that were made already.

    Args:
        clean: Every case without corruption.
        observations: All predictions, corrupted and clean.
    """
    voxels = fit_voxel_calibration([result.counts for result in clean])
    return Calibration(
        voxel_calibration=voxels,
        threshold=round(float(np.median([_threshold(result, voxels) for result in clean])), 3),
        score=case_score_of(observations),
        usual_shape=fit_usual_shape(good_spreads(clean)),
        figures=_figures(clean),
    )


def case_score_of(observations: Sequence[Observation]) -> CaseScore:
    """Return the case score's calibration from predictions of several versions of each scan."""
    return fit_case_score(
        [o.self_dice for o in observations],
        [o.dice for o in observations],
        [o.case for o in observations],
        [o.version == "clean" for o in observations],
    )


def uncalibrated(segmenter: Segmenter) -> Segmenter:
    """Return the same model on the same device, its probabilities as the network gives them and no shape doubted."""
    card = dataclasses.replace(segmenter.model.card, voxel_calibration=VoxelCalibration(), usual_shape=None)
    return Segmenter(Model(segmenter.model.folder, card), segmenter.device)


def examine(plain: Segmenter, case: LabelledVolume) -> CleanResult:
    """Predict an uncorrupted scan with an `uncalibrated` segmenter."""
    prediction = plain.predict(case.volume)
    probability = prediction.on_source("probability").array
    x, y, z = case.volume.geometry.spacing
    mask = prediction.segmentation
    return CleanResult(
        observation=_observation(prediction, case.name, "clean", case.mask),
        mask=mask,
        truth=case.mask,
        geometry=case.volume.geometry,
        probability=probability,
        counts=logit_counts(probability, case.mask, surface_band(mask, (z, y, x))),
        metrics=segmentation_metrics(mask, case.mask, (z, y, x)),
    )


#: Every corruption that there is: its kind and severity.
ALL_VERSIONS = tuple((kind, severity) for kind in KINDS for severity in SEVERITIES)


def observe_corrupted(
    plain: Segmenter, case: LabelledVolume, wanted: Sequence[tuple[str, int]] = ALL_VERSIONS
) -> list[Observation]:
    """Predict corrupted versions of a scan, each a kind of corruption and its severity."""
    versions = [(f"{kind}-{severity}", corrupted(case, kind, severity)) for kind, severity in wanted]
    return [_observation(plain.predict(v.volume), case.name, name, v.mask) for name, v in versions]


def good_spreads(clean: Sequence[CleanResult]) -> list[Triple]:
    """Return the spreads (`spread_mm`) of the results that have not failed."""
    observations = [result.observation for result in clean]
    return [o.spread for o in observations if o.spread and o.dice >= FAILED_BELOW]


def _observation(prediction: Prediction, case: str, version: str, truth: Mask) -> Observation:
    mask = prediction.segmentation
    return Observation(
        case=case,
        version=version,
        dice=dice(mask, truth),
        self_dice=prediction.self_dice,
        sample_dice=prediction.sample_dice,
        spread=spread_mm(mask, prediction.source) if mask.any() else None,
        doubted=bool(prediction.warnings),
    )


def _threshold(result: CleanResult, voxels: VoxelCalibration) -> float:
    entropy = binary_entropy(voxels(result.probability))
    return threshold_for_volume(entropy, FLAGGED_SHARE * float(result.mask.sum()))


def _figures(clean: Sequence[CleanResult]) -> dict[str, float]:
    metrics = [result.metrics for result in clean]
    figures = {name: round(float(np.mean([getattr(m, name) for m in metrics])), 4) for name in vars(metrics[0])}
    scores = [m.dice for m in metrics]
    figures["dice_sd"] = round(float(np.std(scores, ddof=1)), 4) if len(scores) > 1 else 0.0
    figures["dice_worst"] = round(min(scores), 4)
    return figures
