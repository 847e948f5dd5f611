"""The figures of a case: its result, and the maps beside it, against the expert mask.

Distances are the literature's (voxels, medpy's definitions) and in mm; see `segmentation_metrics.py`.
`paired_tests.py` tests methods against each other, `tables.py` and `figures.comparison_figure` show them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mtctl.errors import MtctlError
from mtctl.evaluation.review_curve import ReviewCurves
from mtctl.evaluation.review_table import curves_of
from mtctl.evaluation.segmentation_metrics import SegmentationMetrics, segmentation_metrics
from mtctl.evaluation.uncertainty_metrics import correction_gain, ece, error_aupr, error_auroc, qu_brats
from mtctl.geometry import Map, Mask, Triple, Volume, VolumeError, same_grid, with_spacing
from mtctl.io.formats.endings import open_volume
from mtctl.io.volumes import read_map, read_mask
from mtctl.masks import surface_band, voxel_band
from mtctl.models.catalogue import read_catalogue
from mtctl.system.documents import read_optional

SEGMENTATION, LABEL = ".seg.nrrd", ".label.nrrd"
UNCERTAINTY, PROBABILITY = ".uncertainty.nrrd", ".probability.nrrd"


class EvaluationError(MtctlError):
    """A result and its expert mask cannot be compared."""


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

    `volumes` is None where nobody needs them, `detection` and `calibration` where the maps for them are absent,
    `review` also where there is no report, which says from what threshold on a voxel is flagged.
    """

    segmentation: SegmentationMetrics
    detection: ErrorDetection | None = None
    calibration: CalibrationError | None = None
    review: ReviewCurves | None = None
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


def evaluate_case(folder: Path, case: str, label: Path, spacing: Triple | None = None) -> CaseResult:
    """Return all figures of <case>.seg.nrrd in `folder`, and of the uncertainty and probability maps beside it.

    Args:
        folder: Folder of the results.
        case: Its name.
        label: File with the expert mask.
        spacing: True spacing of all these files, mm along their axes x, y, z; None for their own.

    Raises:
        MtctlError: A file cannot be read, its grid is not the result's, a map does not lie between 0 and 1, or the
            expert mask is empty.
    """
    file = folder / (case + SEGMENTATION)
    found, mask = _on_one_grid(file, label, [folder / (case + ending) for ending in (UNCERTAINTY, PROBABILITY)])
    result = corrected(found, spacing)
    truth = on_same_grid(corrected(mask, spacing), label, result, file).array.astype(bool)
    if not truth.any():
        raise EvaluationError(f"{label}: the expert mask is empty: there is no atrium to compare with")
    prediction = result.array.astype(bool)
    x, y, z = result.geometry.spacing
    bands = surface_band(prediction, (z, y, x)), voxel_band(prediction)
    detection, calibration, review = None, None, None
    map_file = folder / (case + UNCERTAINTY)
    if map_file.exists():
        volume = on_same_grid(corrected(read_map(map_file), spacing), map_file, result, file)
        uncertainty = _from_0_to_1(volume, map_file, "uncertainties")
        detection = _error_detection(uncertainty, prediction, truth, *bands)
        threshold = _threshold(folder / f"{case}.json")
        if threshold is not None:
            review = curves_of(prediction, truth, uncertainty, threshold, result.geometry)
    map_file = folder / (case + PROBABILITY)
    if map_file.exists():
        volume = on_same_grid(corrected(read_map(map_file), spacing), map_file, result, file)
        probability = _from_0_to_1(volume, map_file, "probabilities")
        calibration = CalibrationError(ece(probability, truth), *(ece(probability, truth, band) for band in bands))
    voxel_ml = result.geometry.voxel_ml
    volumes = Volumes(int(prediction.sum()) * voxel_ml, int(truth.sum()) * voxel_ml)
    return CaseResult(segmentation_metrics(prediction, truth, (z, y, x)), detection, calibration, review, volumes)


def _on_one_grid(file: Path, label: Path, maps: Sequence[Path]) -> tuple[Volume, Volume]:
    """Return a result and its expert mask, of which Slicer may have kept parts, on the grid of the maps or the larger.

    Where they do not lie on one lattice, each is returned as it is.
    """
    whole = None
    for path in maps:
        with suppress(VolumeError, OSError):  # It is named when it is read.
            whole = whole or open_volume(path).geometry
    result, truth = read_mask(file, whole), read_mask(label, whole)
    if same_grid(result.geometry, truth.geometry):
        return result, truth
    if result.array.size < truth.array.size:
        return read_mask(file, truth.geometry), truth
    return result, read_mask(label, result.geometry)


def corrected(volume: Volume, spacing: Triple | None) -> Volume:
    """Return the volume with a spacing given by hand, where one is."""
    return with_spacing(volume, spacing) if spacing else volume


def training_cases(folder: Path) -> TrainingCases | None:
    """Return the numbers of training scans behind a folder of results, or None where nothing beside them says so.

    Looked up in the card that `mtctl train` leaves in the folder or the one above it, then in the card of the installed
    model that the reports of `mtctl segment` in the folder name.
    """
    for path in (folder / "card.json", folder.absolute().parent / "card.json"):
        found = _counts(read_optional(path).get("data"))
        if found:
            return found
    made_by = [read_optional(path).get("model") for path in sorted(folder.glob("*.json"))]
    hashes = {str(model.get("sha256")) for model in made_by if isinstance(model, dict)}
    if len(hashes) != 1:
        return None
    # A damaged model, or a share that is not there, is no reason to evaluate nothing: what can be read is looked at.
    cards = (model.card for model in read_catalogue().models)
    return next((_counts(card.data) for card in cards if card and card.sha256 in hashes), None)


def files_by_case(folder: Path, ending: str) -> dict[str, Path]:
    """Return the files <case><ending> of a folder by case name.

    Raises:
        EvaluationError: There is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: no such folder; give one that holds <stem>{ending} files")
    found = {path.name.removesuffix(ending): path for path in sorted(folder.glob(f"*{ending}"))}
    if not found:
        raise EvaluationError(f"{folder}: holds no <stem>{ending} file; is it the right folder?")
    return found


def on_same_grid(volume: Volume, path: Path, reference: Volume, reference_path: Path) -> Volume:
    """Return `volume` unchanged.

    Raises:
        EvaluationError: It lies on another grid than `reference`; both files are named.
    """
    ours, theirs = volume.geometry, reference.geometry
    for name, of_volume, of_reference, tolerance in (
        ("size (z, y, x)", volume.array.shape, reference.array.shape, 0),
        ("spacing", ours.spacing, theirs.spacing, 1e-3 * min(theirs.spacing)),
        ("origin", ours.origin, theirs.origin, 1e-2 * min(theirs.spacing)),
        ("direction", ours.direction, theirs.direction, 1e-3),
    ):
        if not np.allclose(np.ravel(of_volume), np.ravel(of_reference), rtol=0, atol=tolerance):
            mend = "say which is true (--spacing), or resample" if name == "spacing" else "resample"
            raise EvaluationError(
                f"{path}: its {name} {of_volume} is not the {of_reference} of {reference_path}; "
                f"{mend} one onto the other"
            )
    return volume


def _from_0_to_1(volume: Volume, path: Path, what: str) -> Map:
    """Return the voxels of a map of `what`.

    Raises:
        EvaluationError: Some lie outside 0 to 1, on which the thresholds of QU-BraTS and the bins of the ECE rest.
    """
    low, high = float(volume.array.min()), float(volume.array.max())
    if low < 0 or high > 1:
        raise EvaluationError(
            f"{path}: values from {low:g} to {high:g} are no {what} (0 to 1); save the map on that scale"
        )
    return volume.array


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


def _threshold(report: Path) -> float | None:
    """Return what a report says from what uncertainty on a voxel is flagged; None where there is no report.

    Raises:
        EvaluationError: It is no number from 0 to 1.
    """
    threshold = read_optional(report).get("threshold")
    if threshold is None:
        return None
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise EvaluationError(f"{report}: its threshold {threshold} is no number from 0 to 1; segment the case again")
    return float(threshold)


def _counts(data: object) -> TrainingCases | None:
    if not isinstance(data, dict) or not isinstance(data.get("labelled"), list):
        return None
    unlabelled = data.get("unlabelled")
    return TrainingCases(len(data["labelled"]), len(unlabelled) if isinstance(unlabelled, list) else 0)
