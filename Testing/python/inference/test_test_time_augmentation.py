"""Views turn and scale a volume, their maps come back to where they were, and a card's views are what is looked in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage
from support.scans import scan

from mtctl.geometry import Triple
from mtctl.inference.segmenter import Segmenter
from mtctl.inference.slabs import sample_passes
from mtctl.inference.test_time_augmentation import VIEWS, View
from mtctl.models.model import Model

CPU = torch.device("cpu")
CUBES = (1.25, 1.25, 1.25)
BRICKS = (2.5, 1.25, 1.25)  # (z, y, x) mm, as the network's grid


def blob(shape: tuple[int, int, int] = (40, 60, 50)) -> np.ndarray:
    """A smooth off-centre blob."""
    array = np.zeros(shape, np.float32)
    array[14:26, 20:44, 12:30] = 1
    return ndimage.gaussian_filter(array, 2)


def test_the_first_view_is_the_volume_itself() -> None:
    array = blob()
    assert VIEWS[0].of(array, BRICKS) is array and VIEWS[0].back(array, BRICKS) is array


@pytest.mark.parametrize("voxel_mm", [CUBES, BRICKS], ids=["cubes", "bricks"])
@pytest.mark.parametrize("view", VIEWS[1:])
def test_what_is_seen_comes_back_to_where_it_was(view: View, voxel_mm: Triple) -> None:
    array = blob()
    seen = view.of(array, voxel_mm)
    assert seen.shape == array.shape and np.abs(seen - array).max() > 0.1
    assert np.abs(view.back(seen, voxel_mm) - array).max() < 0.05


@pytest.mark.parametrize("view", VIEWS[1:])
def test_a_ball_is_seen_as_a_ball_in_voxels_that_are_no_cubes(view: View) -> None:
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip((24, 48, 48), BRICKS, strict=True)]
    away = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))).astype(np.float32)
    assert np.abs(view.of(away, BRICKS) - away / view.zoom)[away < 22].max() < 0.7  # mm


def test_a_turn_about_z_moves_a_point_along_the_arc_and_a_zoom_outwards() -> None:
    array = np.zeros((21, 41, 41), np.float32)
    array[10, 20, 32] = 1  # 12 voxels along x from the middle
    moved = np.unravel_index(int(View(about_z=30).of(ndimage.gaussian_filter(array, 1), BRICKS).argmax()), array.shape)
    assert moved[0] == 10
    assert np.hypot(moved[1] - 20, moved[2] - 20) == pytest.approx(12, abs=1)
    assert np.degrees(np.arctan2(abs(moved[1] - 20), moved[2] - 20)) == pytest.approx(30, abs=4)
    larger = np.unravel_index(int(View(zoom=1.5).of(ndimage.gaussian_filter(array, 1), BRICKS).argmax()), array.shape)
    assert larger == (10, 20, 38)


@pytest.mark.parametrize("voxel_mm", [CUBES, BRICKS], ids=["cubes", "bricks"])
def test_agrees_with_scipy_on_an_odd_sized_volume(voxel_mm: Triple) -> None:
    view, array = View(8, 5, 0.95), ndimage.gaussian_filter(blob((33, 47, 52)), 1)
    z, x = np.deg2rad(8), np.deg2rad(5)
    about_z = np.array([[1, 0, 0], [0, np.cos(z), -np.sin(z)], [0, np.sin(z), np.cos(z)]])
    about_x = np.array([[np.cos(x), -np.sin(x), 0], [np.sin(x), np.cos(x), 0], [0, 0, 1]])
    to_mm = np.diag(voxel_mm)
    matrix = np.linalg.inv(to_mm) @ about_z @ about_x @ to_mm / 0.95
    middle = (np.array(array.shape) - 1) / 2
    plain = ndimage.affine_transform(array, matrix, middle - matrix @ middle, order=1, mode="nearest")
    np.testing.assert_allclose(view.of(array, voxel_mm), plain, atol=1e-4)


@pytest.mark.slow
def test_samples_take_turns_in_the_views_and_f1_is_their_mean(tiny_model: Model) -> None:
    network, array = tiny_model.load_network(), blob()
    alone = [sample_passes(network, view.of(array, BRICKS), 5, 0, CPU, 48) for view in VIEWS[:2]]
    both = sample_passes(network, array, 5, 0, CPU, 48, views=VIEWS[:2], voxel_mm=BRICKS)
    rounding = 0.02  # of bfloat16
    expected = (alone[0].segmentation + VIEWS[1].back(alone[1].segmentation, BRICKS)) / 2
    np.testing.assert_allclose(both.segmentation, expected, atol=rounding)
    np.testing.assert_allclose(both.distance, alone[0].distance, atol=rounding)
    for sample in range(5):
        own, other = (VIEWS[view].back(alone[view].samples[sample], BRICKS) for view in (sample % 2, 1 - sample % 2))
        assert np.abs(both.samples[sample] - own).mean() < 0.2 * np.abs(both.samples[sample] - other).mean()


@pytest.mark.slow
def test_the_card_says_in_how_many_views_a_scan_is_looked_at(tiny_model: Model) -> None:
    volume = scan((48, 48, 48))
    several = Model(tiny_model.folder, dataclasses.replace(tiny_model.card, views=3))
    one, three, again = (Segmenter(model, CPU).predict(volume) for model in (tiny_model, several, several))
    assert not np.array_equal(one.maps["entropy"], three.maps["entropy"])
    assert np.array_equal(three.maps["entropy"], again.maps["entropy"]) and np.array_equal(
        three.segmentation, again.segmentation
    )
