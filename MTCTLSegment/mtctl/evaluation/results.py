"""The figures of a case: its result, and the maps beside it, against the expert mask.

Distances are the literature's (voxels, medpy's definitions) and in mm; see `segmentation_metrics.py`.
`paired_tests.py` tests methods against each other, `tables.py` and `figures.comparison_figure` show them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mtctl.evaluation.case_files import ComparedCase
from mtctl.evaluation.segmentation_metrics import SegmentationMetrics, segmentation_metrics
from mtctl.evaluation.uncertainty_metrics import correction_gain, ece, error_aupr, error_auroc, qu_brats
from mtctl.geometry import Map, Mask, Triple
from mtctl.masks import surface_band, voxel_band
from mtctl.models.card import Card, ModelError, read_card
from mtctl.models.catalogue import read_catalogue
from mtctl.system.documents import read_optional


@dataclass(frozen=True)
class ErrorDetection:
    """How well an uncertainty map finds the errors: in the whole volume, near the predicted surface, and what it gains.

    `..._band` is of the voxels within 3 mm of that surface, `..._band5` of the literature's five voxels.
    `gain_10` is the Dice (a fraction) that is won when the most uncertain voxels, 10 % of the predicted volume, are set
    right; `gain_10_ceiling` is what they would win if all of them were wrong.
    `qu_brats` is the score of `mtctl.evaluation.uncertainty_metrics.qu_brats`.
    """

    auroc_crop: float
    auroc_band: float
    auroc_band5: float
    aupr_crop: float
    aupr_band: float
    aupr_band5: float
    gain_10: float
    gain_10_ceiling: float
    qu_brats: float


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error of the probability; `..._band` and `..._band5` as in `ErrorDetection`."""

    ece_crop: float
    ece_band: float
    ece_band5: float


@dataclass(frozen=True)
class Volumes:
    """Volumes of the predicted and of the true atrium, mL."""

    predicted_ml: float
    true_ml: float


@dataclass(frozen=True)
class CaseResult:
    """One case of one method.

    `volumes` is None where nobody needs them, `detection` and `calibration` where the maps for them are absent.
    """

    segmentation: SegmentationMetrics
    detection: ErrorDetection | None = None
    calibration: CalibrationError | None = None
    volumes: Volumes | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing was segmented though there was an atrium."""
        return self.segmentation.ravd == -1.0

    def figures(self) -> dict[str, float]:
        """Return all figures that there are by name: fractions, voxels, mm, mL."""
        parts = (part for part in (self.segmentation, self.volumes, self.detection, self.calibration) if part)
        return {name: value for part in parts for name, value in asdict(part).items()}


@dataclass(frozen=True)
class TrainingCases:
    """How many scans a model was trained on, with and without expert mask."""

    labelled: int
    unlabelled: int


@dataclass(frozen=True)
class MethodResult:
    """A method's results.

    Attributes:
        name: Name to show.
        folder: Folder of the results.
        cases: Results by case name.
        training: Cases its model was trained on; None where nothing beside the results says so.
    """

    name: str
    folder: Path
    cases: Mapping[str, CaseResult]
    training: TrainingCases | None = None


def evaluate_case(case: ComparedCase) -> CaseResult:
    """Return all figures of a case: of its result, and of the uncertainty and probability maps beside it."""
    prediction, truth = case.prediction, case.truth
    x, y, z = case.geometry.spacing
    bands = surface_band(prediction, (z, y, x)), voxel_band(prediction)
    detection, calibration = None, None
    if case.uncertainty is not None:
        detection = _error_detection(case.uncertainty, prediction, truth, *bands)
    if case.probability is not None:
        errors = (ece(case.probability, truth, band) for band in bands)
        calibration = CalibrationError(ece(case.probability, truth), *errors)
    voxel_ml = case.geometry.voxel_ml
    volumes = Volumes(int(prediction.sum()) * voxel_ml, int(truth.sum()) * voxel_ml)
    return CaseResult(segmentation_metrics(prediction, truth, (z, y, x)), detection, calibration, volumes)


def training_cases(folder: Path) -> TrainingCases | None:
    """Return the numbers of training scans behind a folder of results, or None where nothing beside them says so.

    Looked up in the card that `mtctl train` leaves in the folder or the one above it, then in the card of the installed
    model that the reports of `mtctl segment` in the folder name.
    """
    for path in _cards_near(folder):
        found = _counts(read_optional(path).get("data"))
        if found:
            return found
    card = _installed_card(folder)
    return _counts(card.data) if card else None


def model_grid_mm(folder: Path) -> Triple | None:
    """Return the grid (x, y, z, mm) of the model behind a folder of results; None where nothing beside them says so.

    Looked up as for `training_cases`.
    """
    for path in _cards_near(folder):
        with suppress(ModelError):
            return read_card(path.parent).grid_mm
    card = _installed_card(folder)
    return card.grid_mm if card else None


def _cards_near(folder: Path) -> tuple[Path, Path]:
    return folder / "card.json", folder.absolute().parent / "card.json"


def _installed_card(folder: Path) -> Card | None:
    """Return the card of the installed model that made all the results of a folder."""
    made_by = [read_optional(path).get("model") for path in sorted(folder.glob("*.json"))]
    hashes = {str(model.get("sha256")) for model in made_by if isinstance(model, dict)}
    if len(hashes) != 1:
        return None
    # A damaged model, or a share that is not there, is no reason to evaluate nothing: what can be read is looked at.
    cards = (model.card for model in read_catalogue().models)
    return next((card for card in cards if card and card.sha256 in hashes), None)


def _error_detection(uncertainty: Map, prediction: Mask, truth: Mask, band: Mask, band5: Mask) -> ErrorDetection:
    error = prediction != truth
    gain = correction_gain(uncertainty, prediction, truth)
    return ErrorDetection(
        auroc_crop=error_auroc(uncertainty, error),
        auroc_band=error_auroc(uncertainty, error, band),
        auroc_band5=error_auroc(uncertainty, error, band5),
        aupr_crop=error_aupr(uncertainty, error),
        aupr_band=error_aupr(uncertainty, error, band),
        aupr_band5=error_aupr(uncertainty, error, band5),
        gain_10=gain.after - gain.before,
        gain_10_ceiling=gain.ceiling - gain.before,
        qu_brats=qu_brats(uncertainty, prediction, truth).score,
    )


def _counts(data: object) -> TrainingCases | None:
    if not isinstance(data, dict) or not isinstance(data.get("labelled"), list):
        return None
    unlabelled = data.get("unlabelled")
    return TrainingCases(len(data["labelled"]), len(unlabelled) if isinstance(unlabelled, list) else 0)
