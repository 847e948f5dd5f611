"""Review curves: closed forms on masks small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mtctl.evaluation.review_curve import ReviewCurve, review_curves
from mtctl.evaluation.segmentation_metrics import dice


def masks() -> tuple[np.ndarray, np.ndarray]:
    """A prediction with two superfluous slabs and one missed: 4 x 10 x 10 voxels each, 100 in a plane."""
    truth, prediction = np.zeros((20, 10, 10), bool), np.zeros((20, 10, 10), bool)
    truth[4:12], prediction[4:10], prediction[15:17] = True, True, True
    return prediction, truth


def test_dice_after_each_region_is_that_of_the_corrected_mask() -> None:
    prediction, truth = masks()
    labels = np.zeros(truth.shape, np.int32)
    labels[15:17], labels[10:11], labels[5:6] = 7, 2, 4  # superfluous; half of what was missed; nothing wrong
    uncertainty = np.zeros(truth.shape, np.float32)
    curve = review_curves(prediction, truth, labels, [7, 2, 4], uncertainty, 0.01).regions
    corrected, expected = prediction.copy(), [dice(prediction, truth)]
    for region in (7, 2, 4):
        corrected[labels == region] = truth[labels == region]
        expected.append(dice(corrected, truth))
    assert curve.dice == pytest.approx(expected)
    assert curve.ml == pytest.approx([0, 2, 3, 4])


def test_the_voxelwise_order_looks_at_the_most_uncertain_voxels_wherever_they_are() -> None:
    prediction, truth = masks()
    labels = np.zeros(truth.shape, np.int32)
    labels[5:7] = 1
    uncertainty = np.zeros(truth.shape, np.float32)
    uncertainty[10:12] = 0.9
    curves = review_curves(prediction, truth, labels, [1], uncertainty, 0.01)
    assert curves.regions.dice[1] == curves.regions.dice[0]
    corrected = prediction.copy()
    corrected[10:12] = True
    assert curves.voxels.dice[1] == pytest.approx(dice(corrected, truth))


def test_a_good_order_beats_a_random_one_and_all_end_at_the_same_dice() -> None:
    prediction, truth = masks()
    labels = np.zeros(truth.shape, np.int32)
    labels[10:12], labels[15:17], labels[0:2], labels[5:7] = 1, 2, 3, 4
    curves = review_curves(prediction, truth, labels, [1, 2, 3, 4], np.zeros(truth.shape, np.float32), 0.01)
    assert curves.regions.mean_gain > curves.random.mean_gain > 0
    assert curves.regions.dice[-1] == pytest.approx(1) == pytest.approx(curves.random.dice[-1])


def test_without_regions_nothing_is_looked_at_and_nothing_gained() -> None:
    prediction, truth = masks()
    curves = review_curves(prediction, truth, np.zeros(truth.shape, np.int32), [], np.zeros(truth.shape), 0.01)
    for curve in (curves.regions, curves.random, curves.voxels):
        assert curve.mean_gain == 0 and curve.dice == pytest.approx([dice(prediction, truth)])


def test_the_mean_gain_is_the_area_under_the_curve_above_its_start() -> None:
    assert ReviewCurve(np.array([0.0, 1.0, 3.0]), np.array([0.5, 0.7, 0.9])).mean_gain == pytest.approx(
        (0.1 + 0.3 * 2) / 3
    )
