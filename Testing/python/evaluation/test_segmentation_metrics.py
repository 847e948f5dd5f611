"""The seven metrics against medpy on real masks, their values for empty masks; uncertainty measures by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.distance import cdist
from support.paths import shared_names, shared_scans

from mtctl.evaluation.segmentation_metrics import dice, segmentation_metrics
from mtctl.evaluation.uncertainty_metrics import correction_gain, ece, error_aupr, error_auroc
from mtctl.masks import surface_band, surface_distance, voxel_band

ISOTROPIC = (0.625, 0.625, 0.625)
THICK_SLICES = (2.0, 0.7, 0.625)
TRUE = (1.25, 0.625, 0.625)  # of the benchmark's scans; (z, y, x) like the others


def real_mask(position: int) -> np.ndarray:
    """Every other voxel of a mask, which medpy needs an eighth of the time for."""
    name = shared_names()[position]
    return sitk.GetArrayFromImage(sitk.ReadImage(str(shared_scans() / f"{name}.label.nrrd")))[::2, ::2, ::2] > 0


def other_case_on_grid_of(truth: np.ndarray, position: int) -> np.ndarray:
    other, placed = real_mask(position), np.zeros_like(truth)
    common = tuple(slice(0, min(a, b)) for a, b in zip(truth.shape, other.shape, strict=True))
    placed[common] = other[common]
    return placed


@pytest.mark.parametrize("change", ["shifted", "eroded", "other case", "far speck added"])
def test_agrees_with_medpy_on_real_masks(change: str) -> None:
    medpy = pytest.importorskip("medpy.metric.binary", reason="medpy is a test-only dependency")
    truth = real_mask(16)
    if change == "shifted":
        prediction = ndimage.shift(truth.astype(np.uint8), (1, 3, -2), order=0) > 0
    elif change == "eroded":
        prediction = ndimage.binary_erosion(truth, iterations=3)
    elif change == "other case":
        prediction = other_case_on_grid_of(truth, 17)
    else:
        prediction = truth.copy()
        prediction[0, 0, 0] = True  # in the corner: the volume's border counts as surface, as it does for medpy
    ours = segmentation_metrics(prediction, truth, THICK_SLICES)
    theirs = (
        medpy.dc(prediction, truth),
        medpy.jc(prediction, truth),
        medpy.hd95(prediction, truth),
        medpy.asd(prediction, truth),
        medpy.hd95(prediction, truth, THICK_SLICES),
        medpy.asd(prediction, truth, THICK_SLICES),
        medpy.ravd(prediction, truth),
        medpy.precision(prediction, truth),
        medpy.recall(prediction, truth),
    )
    assert (
        ours.dice, ours.jaccard, ours.hd95_voxel, ours.asd_voxel, ours.hd95_mm, ours.asd_mm, ours.ravd, ours.precision,
        ours.recall,
    ) == pytest.approx(theirs, abs=1e-6)  # fmt: skip
    assert dice(prediction, truth) == pytest.approx(theirs[0], abs=1e-12)
    cubic = segmentation_metrics(prediction, truth, ISOTROPIC)
    assert (cubic.hd95_mm, cubic.asd_mm) == pytest.approx((0.625 * theirs[2], 0.625 * theirs[3]), abs=1e-6)


def test_asd_runs_from_the_prediction_to_the_truth_only() -> None:
    truth = np.zeros((30, 9, 9), dtype=bool)
    truth[2:5, 2:7, 2:7] = True
    prediction = truth.copy()
    truth[20:25, 2:7, 2:7] = True
    assert segmentation_metrics(prediction, truth, ISOTROPIC).asd_voxel == 0
    assert segmentation_metrics(truth, prediction, ISOTROPIC).asd_voxel > 5


def test_relative_volume_difference_keeps_its_sign() -> None:
    truth = np.zeros((6, 6, 6), dtype=bool)
    truth[1:5, 1:5, 1:5] = True
    smaller = truth.copy()
    smaller[1:3] = False
    assert segmentation_metrics(smaller, truth, ISOTROPIC).ravd == pytest.approx(-0.5)
    assert segmentation_metrics(truth, smaller, ISOTROPIC).ravd == pytest.approx(1.0)


def test_two_empty_masks_agree_perfectly() -> None:
    empty = np.zeros((4, 5, 6), dtype=bool)
    found = segmentation_metrics(empty, empty, ISOTROPIC)
    assert (found.dice, found.jaccard, found.precision, found.recall) == (1, 1, 1, 1)
    assert (found.hd95_voxel, found.asd_mm, found.ravd) == (0, 0, 0)
    assert dice(empty, empty) == 1


def test_one_empty_mask_is_the_worst_case_not_a_flattering_zero_distance() -> None:
    empty, full = np.zeros((5, 5, 5), dtype=bool), np.zeros((5, 5, 5), dtype=bool)
    full[2, 2, 2] = True
    nothing_found = segmentation_metrics(empty, full, (3.0, 1.0, 1.0))
    nothing_there = segmentation_metrics(full, empty, (3.0, 1.0, 1.0))
    for found in (nothing_found, nothing_there):
        assert (found.dice, found.jaccard, found.precision, found.recall) == (0, 0, 0, 0)
        assert found.hd95_voxel == found.asd_voxel == pytest.approx(math.sqrt(3 * 4**2))
        assert found.hd95_mm == found.asd_mm == pytest.approx(math.sqrt(12**2 + 4**2 + 4**2))
    assert nothing_found.ravd == -1
    assert nothing_there.ravd == math.inf
    assert dice(empty, full) == 0


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        segmentation_metrics(np.ones((3, 3, 3), bool), np.ones((3, 3, 4), bool), ISOTROPIC)
    with pytest.raises(ValueError, match="3-D"):
        dice(np.ones((3, 3), bool), np.ones((3, 3), bool))


def border(mask: np.ndarray) -> np.ndarray:
    """Indices of voxels with a 6-neighbour outside the mask."""
    return np.argwhere(mask & ~ndimage.binary_erosion(mask))


def test_distances_in_mm_are_those_of_every_pair_of_border_voxels_where_slices_are_thicker() -> None:
    truth = blob(1)
    prediction = ndimage.shift(blob(1).astype(np.uint8), (1, 2, -1), order=0) > 0
    far = cdist(border(prediction) * np.array(TRUE), border(truth) * np.array(TRUE))
    there, back = far.min(axis=1), far.min(axis=0)
    found = segmentation_metrics(prediction, truth, TRUE)
    assert found.asd_mm == pytest.approx(there.mean())
    assert found.hd95_mm == pytest.approx(np.percentile(np.concatenate((there, back)), 95))
    voxels = cdist(border(prediction), border(truth))
    assert found.asd_voxel == pytest.approx(voxels.min(axis=1).mean())


def blob(seed: int) -> np.ndarray:
    """A ragged body in 30 x 40 x 50 voxels, with a margin."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (30, 40, 50)), indexing="ij")
    rough = ndimage.gaussian_filter(rng.normal(size=z.shape), 2)
    return np.sqrt(z**2 + y**2 + x**2) < 0.6 + 4 * rough


def rough_mask() -> np.ndarray:
    rng = np.random.default_rng(1)
    mask = ndimage.gaussian_filter(rng.normal(size=(30, 40, 50)), 3) > 0.02
    mask[:, :, :3] = True  # touches the volume's border, which is no surface
    return np.asarray(mask)


def to_faces(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """mm from each voxel's centre to the nearest centre of a face, by scipy on a grid with twice as many points."""
    none = np.ones([2 * n - 1 for n in mask.shape], dtype=bool)
    for axis in range(3):
        between = tuple(slice(int(other == axis), None, 2) for other in range(3))
        none[between][np.diff(mask, axis=axis)] = False
    return np.asarray(ndimage.distance_transform_edt(none, np.array(spacing) / 2)[::2, ::2, ::2])


@pytest.mark.parametrize("spacing", [TRUE, ISOTROPIC, (1.25, 1.25, 1.25), (2.5, 1.25, 1.25), (4.0, 0.9, 0.9)])
def test_band_is_3_mm_either_side_of_the_surface_whatever_the_voxels(spacing: tuple[float, float, float]) -> None:
    mask = rough_mask()
    distance = to_faces(mask, spacing)
    assert np.array_equal(surface_band(mask, spacing), distance <= 3.0)
    assert np.array_equal(surface_band(mask, spacing, mm=1.7), distance <= 1.7)
    assert np.array_equal(surface_band(~mask, spacing), surface_band(mask, spacing))
    found = surface_distance(mask, spacing, 7.0)
    near = np.isfinite(found)
    assert np.array_equal(near, distance <= 7.0) and found[near] == pytest.approx(distance[near], abs=1e-4)


@pytest.mark.parametrize("spacing", [TRUE, (1.25, 1.25, 1.25), (2.5, 1.25, 1.25), (2.0, 1.0, 1.0)])
def test_band_around_a_ball_has_the_volume_that_it_has_in_truth(spacing: tuple[float, float, float]) -> None:
    axes = [(np.arange(int(76 / step)) - int(76 / step) / 2 + 0.27) * step for step in spacing]
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))
    found = surface_band(radius <= 30, spacing).sum() * np.prod(spacing)
    assert found == pytest.approx(4 / 3 * np.pi * (33**3 - 27**3), rel=0.1)


def test_band_reaches_above_the_atrium_where_slices_are_thicker_than_the_band() -> None:
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[3:6] = True
    planes = surface_band(mask, (5.0, 1.0, 1.0)).all(axis=(1, 2))
    assert planes.tolist() == [False, False, True, True, False, True, True, False, False]


def test_a_spacing_that_a_header_rounds_changes_no_band() -> None:
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[:, :, :6] = True
    exact, rounded = (surface_band(mask, (1.0, 1.0, step)) for step in (1.2, 1.2000000476837158))
    assert np.array_equal(exact, rounded) and exact[0, 0].sum() == 6  # 3.0 mm to the third centre on either side


def test_the_literatures_band_is_five_voxels_either_side_of_the_surface() -> None:
    mask = rough_mask()
    expected = np.where(mask, ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)) <= 5
    assert np.array_equal(voxel_band(mask), expected)
    assert np.array_equal(voxel_band(mask, 2) & ~expected, np.zeros_like(mask))


@pytest.mark.parametrize("value", [False, True])
def test_a_mask_without_surface_has_no_band(value: bool) -> None:
    mask = np.full((8, 8, 8), value)
    assert not surface_band(mask, TRUE).any() and not voxel_band(mask).any()


def brute_auroc(values: np.ndarray, error: np.ndarray) -> float:
    wrong, right = values[error][:, None], values[~error][None, :]
    return float(((wrong > right) + 0.5 * (wrong == right)).mean())


def brute_aupr(values: np.ndarray, error: np.ndarray) -> float:
    area, recall_before = 0.0, 0.0
    for level in np.unique(values)[::-1]:
        flagged = values >= level
        recall = (flagged & error).sum() / error.sum()
        area += (recall - recall_before) * (flagged & error).sum() / flagged.sum()
        recall_before = recall
    return float(area)


@pytest.mark.parametrize("levels", [4, 1000])
def test_error_detection_equals_brute_force_with_ties_and_inside_a_part(levels: int) -> None:
    rng = np.random.default_rng(levels)
    uncertainty = (rng.integers(0, levels, (10, 12, 14)) / levels).astype(np.float32)
    error = rng.random(uncertainty.shape) < 0.1 + 0.4 * uncertainty
    where = rng.random(uncertainty.shape) < 0.5
    for measure, brute in ((error_auroc, brute_auroc), (error_aupr, brute_aupr)):
        assert measure(uncertainty, error) == pytest.approx(brute(uncertainty.ravel(), error.ravel()), abs=1e-12)
        assert measure(uncertainty, error, where) == pytest.approx(brute(uncertainty[where], error[where]), abs=1e-12)


def test_error_detection_agrees_with_scikit_learn() -> None:
    measures = pytest.importorskip("sklearn.metrics", reason="scikit-learn is a test-only dependency")
    rng = np.random.default_rng(4)
    error = rng.random((12, 20, 20)) < 0.1
    for levels in (0, 7):
        uncertainty = (rng.random(error.shape) + 0.3 * error).astype(np.float32)
        if levels:  # ties
            uncertainty = np.round(uncertainty * levels).astype(np.float32) / levels
        wrong, values = error.ravel(), uncertainty.ravel()
        assert error_auroc(uncertainty, error) == pytest.approx(measures.roc_auc_score(wrong, values), abs=1e-12)
        average_precision = measures.average_precision_score(wrong, values)
        assert error_aupr(uncertainty, error) == pytest.approx(average_precision, abs=1e-12)


def test_error_detection_knows_perfect_inverted_and_uninformative_maps() -> None:
    error = np.zeros((4, 4, 4), dtype=bool)
    error[0] = True
    assert error_auroc(error.astype(np.float32), error) == error_aupr(error.astype(np.float32), error) == 1
    assert error_auroc(1 - error.astype(np.float32), error) == 0
    constant = np.full(error.shape, 0.3, dtype=np.float32)
    assert error_auroc(constant, error) == 0.5
    assert error_aupr(constant, error) == 0.25


def test_error_detection_is_undefined_not_perfect_when_nothing_is_wrong() -> None:
    uncertainty, error = np.random.default_rng(0).random((4, 4, 4)), np.zeros((4, 4, 4), dtype=bool)
    assert math.isnan(error_auroc(uncertainty, error))
    assert math.isnan(error_aupr(uncertainty, error))
    assert math.isnan(error_auroc(uncertainty, ~error))
    assert error_aupr(uncertainty, ~error) == 1
    assert math.isnan(ece(uncertainty, error, where=error))


def test_ece_equals_its_definition() -> None:
    rng = np.random.default_rng(3)
    probability = rng.random((9, 10, 11)).astype(np.float32)
    probability[0, 0, :2] = 0, 1
    truth, where = rng.random(probability.shape) < probability**2, rng.random(probability.shape) < 0.7
    p, t, expected = probability[where], truth[where], 0.0
    for lower in range(15):
        member = (p >= lower / 15) & (p < (lower + 1) / 15) if lower < 14 else p >= 14 / 15
        expected += member.mean() * abs(p[member].mean() - t[member].mean())
    assert ece(probability, truth, where) == pytest.approx(expected, abs=1e-6)


def test_ece_is_zero_for_right_and_one_for_wrong_certainty() -> None:
    truth = np.random.default_rng(5).random((5, 6, 7)) < 0.5
    assert ece(truth.astype(np.float32), truth) == 0
    assert ece(1 - truth.astype(np.float32), truth) == 1


def test_correction_gain_sets_the_most_uncertain_voxels_right() -> None:
    truth, prediction = np.zeros((10, 10, 10), dtype=bool), np.zeros((10, 10, 10), dtype=bool)
    truth[:4], prediction[:5] = True, True  # 100 of 500 predicted voxels are superfluous, 50 may be corrected
    uncertainty = np.zeros(truth.shape, dtype=np.float32)
    uncertainty[4, :3] = 1  # 30 of the wrong ones first
    uncertainty[0, :4] = 0.5  # then 40 right ones, of which 20 are taken
    gain = correction_gain(uncertainty, prediction, truth)
    assert gain.before == pytest.approx(800 / 900)
    assert gain.after == pytest.approx(800 / 870)
    assert gain.ceiling == pytest.approx(800 / 850)


def test_correction_gain_shares_out_a_tie_instead_of_taking_the_first_voxels() -> None:
    truth, prediction = np.zeros((10, 10, 10), dtype=bool), np.zeros((10, 10, 10), dtype=bool)
    truth[:4], prediction[:5] = True, True
    gain = correction_gain(np.zeros(truth.shape, dtype=np.float32), prediction, truth)
    assert gain.after == pytest.approx(800 / (900 - 100 * 50 / 1000))


def test_correction_gain_is_zero_for_a_perfect_or_an_empty_prediction() -> None:
    truth = np.zeros((6, 6, 6), dtype=bool)
    truth[2:4, 2:4, 2:4] = True
    uncertainty = np.random.default_rng(2).random(truth.shape).astype(np.float32)
    perfect = correction_gain(uncertainty, truth, truth)
    assert perfect.before == perfect.after == perfect.ceiling == 1
    empty = correction_gain(uncertainty, np.zeros_like(truth), truth)
    assert empty.before == empty.after == empty.ceiling == 0
