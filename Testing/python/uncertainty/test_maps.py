"""Uncertainty maps: bounds, meaning, agreement with a plain calculation; the samples' agreement."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import mtctl
from mtctl.geometry import Map
from mtctl.uncertainty.kinds import BY_OPTION, KINDS, NAMES
from mtctl.uncertainty.maps import (
    MEASURES,
    average,
    binary_entropy,
    disagreement,
    mean_pairwise_dice,
    threshold_for_volume,
    uncertainty_maps,
)
from mtctl.uncertainty.voxel_calibration import IDENTITY, VoxelCalibration

PRODUCT = Path(mtctl.__file__).parents[1]


@dataclass(frozen=True)
class Measured:
    probability: Map
    entropy: Map
    mutual_information: Map


def measured(logits: Iterable[Map], calibration: VoxelCalibration = IDENTITY) -> Measured:
    samples = average(logits, calibration)
    f1, f2 = samples.mean, np.zeros_like(samples.mean)
    maps = uncertainty_maps(samples, f1, f2)
    return Measured(samples.probability, maps["entropy"], maps["mutual_information"])


def test_every_kind_of_uncertainty_is_measured_and_offered_by_the_module_for_slicer_s_command_line() -> None:
    assert MEASURES.keys() == set(NAMES)
    xml = ElementTree.parse(PRODUCT / "MTCTLSegmentCLI" / "MTCTLSegmentCLI.xml")
    (offered,) = (each for each in xml.iter("string-enumeration") if each.findtext("name") == "uncertaintyKind")
    assert [element.text for element in offered.findall("element")] == list(BY_OPTION)
    assert offered.findtext("default") == KINDS[0].option


def test_predictive_entropy_is_that_of_the_mean_and_mutual_information_what_is_left_without_the_samples_own() -> None:
    p = np.array([[0.9, 0.5, 0.99], [0.1, 0.5, 0.99]])
    logits = np.log(p / (1 - p)).astype(np.float32).reshape(2, 1, 1, 3)

    def plain(q: float) -> float:
        return -(q * math.log(q) + (1 - q) * math.log(1 - q)) / math.log(2)

    maps = measured(logits)
    for i in range(3):
        mean = p[:, i].mean()
        assert maps.entropy[0, 0, i] == pytest.approx(plain(mean), abs=1e-5)
        own = (plain(p[0, i]) + plain(p[1, i])) / 2
        assert maps.mutual_information[0, 0, i] == pytest.approx(plain(mean) - own, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, (3, 2, 2, 2), elements=st.floats(-80, 80, width=32)))
def test_all_maps_stay_within_0_and_1_for_any_logits(logits: np.ndarray) -> None:
    maps = measured(logits)
    for array in (maps.probability, maps.entropy, maps.mutual_information):
        assert array.dtype == np.float32
        assert (array >= 0).all() and (array <= 1).all()
    assert (maps.mutual_information <= maps.entropy + 1e-6).all()


def test_calibration_changes_probability_and_entropy_and_leaves_what_the_samples_disagree_on() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (4, 3, 3, 3)).astype(np.float32)
    plain, calibrated = measured(logits), measured(logits, VoxelCalibration(0.5, -0.4))
    mean = plain.probability.astype(float)
    expected = 1 / (1 + np.exp(-(0.5 * np.log(mean / (1 - mean)) - 0.4)))
    np.testing.assert_allclose(calibrated.probability, expected, atol=1e-5)
    np.testing.assert_allclose(calibrated.entropy, binary_entropy(expected), atol=1e-5)
    np.testing.assert_array_equal(calibrated.mutual_information, plain.mutual_information)


def test_calibrated_probabilities_of_certain_samples_stay_within_0_and_1() -> None:
    logits = np.array([[[[-80.0, 80.0, 0.0]]]], np.float32)
    maps = measured(logits, VoxelCalibration(0.6, -0.3))
    assert np.isfinite(maps.entropy).all() and (maps.probability > 0).all() and (maps.probability < 1).all()


def test_certain_voxels_have_no_entropy_and_even_odds_have_one_bit() -> None:
    np.testing.assert_allclose(binary_entropy(np.array([0, 0.5, 1], np.float32)), [0, 1, 0], atol=1e-4)


def test_no_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        measured([])


def test_a_threshold_for_a_volume_is_reached_by_that_many_voxels() -> None:
    uncertainty = np.random.default_rng(0).random((10, 10, 10)).astype(np.float32)
    assert (uncertainty >= threshold_for_volume(uncertainty, 37)).sum() == 37
    assert threshold_for_volume(uncertainty, 0) == uncertainty.max()
    assert threshold_for_volume(uncertainty, 1e9) == uncertainty.min()


def test_disagreement_is_high_where_only_one_of_the_decoders_sees_the_atrium() -> None:
    f1 = np.array([1.0, 1.0, 0.0], np.float32)
    f2 = np.array([0.5, -0.5, -0.5], np.float32)
    np.testing.assert_allclose(disagreement(average([f1]), f1, f2), [0, 1, 0], atol=1e-4)


def test_pairwise_dice_of_samples_is_one_for_equal_and_for_empty_masks_and_a_half_for_half_overlap() -> None:
    same = np.ones((3, 2, 2, 2), np.float32)
    assert mean_pairwise_dice(same) == 1
    assert mean_pairwise_dice(-same) == 1
    assert mean_pairwise_dice(same[:1]) == 1
    strips = -np.ones((2, 1, 1, 3), np.float32)
    strips[0, 0, 0, :2] = strips[1, 0, 0, 1:] = 1
    assert mean_pairwise_dice(strips) == pytest.approx(0.5)
