"""The case score: what probabilities promise, what is made of it, and what an atrium is shaped like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtctl.geometry import Geometry
from mtctl.uncertainty.case_score import CaseScore, UsualShape, self_dice, spread_mm
from mtctl.uncertainty.plausibility import plausibility_remarks, plausibility_warnings

CUBES = (1.0, 1.0, 1.0)
GRID = Geometry((60, 50, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def ball(radii: tuple[float, float, float] = (12, 12, 12)) -> np.ndarray:
    """An ellipsoid in the middle of GRID, radii along z, y, x."""
    z, y, x = np.meshgrid(np.arange(40) - 19.5, np.arange(50) - 24.5, np.arange(60) - 29.5, indexing="ij")
    return (z / radii[0]) ** 2 + (y / radii[1]) ** 2 + (x / radii[2]) ** 2 < 1


def test_self_dice_is_the_dice_to_expect_when_the_probabilities_are_right() -> None:
    """Drawing truths from the probabilities: the mean of sums is exact, that of the quotient close to it."""
    mask = ball()
    rng = np.random.default_rng(0)
    probability = np.where(mask, rng.uniform(0.6, 1.0, mask.shape), 0.0)
    drawn = [rng.random(mask.shape) < probability for _ in range(50)]
    dice = [2 * (mask & truth).sum() / (mask.sum() + truth.sum()) for truth in drawn]
    assert self_dice(mask, probability, CUBES) == pytest.approx(np.mean(dice), abs=2e-3)


def test_certain_probabilities_promise_one_an_empty_mask_nothing_and_far_away_is_not_counted() -> None:
    mask = ball()
    assert self_dice(mask, mask.astype(np.float32), CUBES) == 1
    assert self_dice(np.zeros_like(mask), mask.astype(np.float32), CUBES) == 0
    far = mask.astype(np.float32)
    far[:, :3, :3] = 1
    assert self_dice(mask, far, CUBES) == 1


def test_what_lies_farther_than_3_mm_is_not_counted_whichever_way_it_lies() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[8:12, 8:12, 8:12] = True
    above, beside = mask.astype(np.float32), mask.astype(np.float32)
    above[13, 8:12, 8:12] = beside[8:12, 8:12, 13] = 1  # the second voxel outside
    for thick, counted in ((1.25, True), (2.5, False)):  # 1.9 and 3.75 mm
        assert (self_dice(mask, above, (thick, 1.25, 1.25)) < 1) is counted
        assert self_dice(mask, beside, (thick, 1.25, 1.25)) < 1


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_more_promised_is_never_scored_lower_and_the_interval_holds_the_score(first: float, second: float) -> None:
    score = CaseScore()
    low, high = sorted((first, second))
    assert score.expected(low) <= score.expected(high)
    for promised in (low, high):
        below, above = score.interval(promised)
        assert 0 <= below <= score.expected(promised) <= above <= 1


def test_spread_is_that_of_an_ellipsoid_along_the_patient_s_axes_however_the_scan_is_stored() -> None:
    mask = ball((8, 12, 20))
    expected = [radius / np.sqrt(5) for radius in (20, 12, 8)]  # variance of a solid ellipsoid: r^2 / 5 along each axis
    assert spread_mm(mask, GRID) == pytest.approx(expected, rel=0.02)
    stored = Geometry((40, 50, 60), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0, 0, 1, 0, 1, 0, 1, 0, 0))
    assert spread_mm(mask.transpose(2, 1, 0), stored) == pytest.approx(spread_mm(mask, GRID))
    half = Geometry((60, 50, 40), (0.5, 0.5, 0.5), (9.0, 9.0, 9.0))
    assert np.array(spread_mm(mask, half)) == pytest.approx(np.array(spread_mm(mask, GRID)) / 2)


def turned_by_20_degrees() -> tuple[float, ...]:
    """The direction of a grid that is turned about x, then about z."""
    c, s = np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))
    about_x, about_z = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]), np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return tuple((about_z @ about_x).ravel().tolist())


def test_spread_is_in_true_millimetres_where_slices_are_thicker_and_the_grid_is_oblique() -> None:
    grid = Geometry((96, 96, 48), (0.625, 0.625, 1.25), (-30.0, -30.0, -30.0), turned_by_20_degrees())
    middle = grid.index_to_physical((47.5, 47.5, 23.5))
    index = np.stack(np.indices(grid.shape)[::-1], axis=-1)
    mask = (((grid.index_to_physical(index) - middle) / (18, 12, 9)) ** 2).sum(axis=-1) < 1
    assert mask.sum() * grid.voxel_ml == pytest.approx(4 / 3 * np.pi * 18 * 12 * 9 / 1000, rel=0.02)
    assert spread_mm(mask, grid) == pytest.approx(np.array([18, 12, 9]) / np.sqrt(5), rel=0.02)


def test_a_single_voxel_has_its_own_extent_and_no_zero_to_take_a_logarithm_of() -> None:
    mask = np.zeros(GRID.shape, bool)
    mask[3, 4, 5] = True
    assert spread_mm(mask, GRID) == pytest.approx([np.sqrt(1 / 12)] * 3)


def test_a_shape_turned_on_its_side_is_doubted_and_an_upright_one_is_not() -> None:
    mean = np.log(spread_mm(ball((14, 9, 20)), GRID))
    usual = UsualShape(
        (float(mean[0]), float(mean[1]), float(mean[2])), ((0.02, 0.01, 0.0), (0.01, 0.02, 0.0), (0.0, 0.0, 0.02)), 4.0
    )
    upright, turned = ball((14.5, 9.5, 19.0)), ball((9.0, 19.0, 14.0))
    assert usual.distance(spread_mm(upright, GRID)) < 1 < 4 < usual.distance(spread_mm(turned, GRID))
    scale = Geometry(GRID.size, (2.4,) * 3, GRID.origin)
    usual = UsualShape(*(np.add(usual.mean, np.log(2.4)).tolist(), usual.covariance, usual.limit))
    assert not plausibility_warnings(upright, scale, usual)
    (doubt,) = plausibility_warnings(turned, scale, usual)
    assert "unlike a left atrium" in doubt and "stored turned" in doubt
    assert not plausibility_warnings(turned, scale, None)


def test_a_vein_at_the_scan_s_end_is_noted_and_a_cut_through_the_atrium_is_doubted() -> None:
    middle = ball((15, 12, 21))  # an atrium of 72 x 58 x 101 mm (z, y, x)

    def grid(planes: int) -> Geometry:
        return Geometry((60, 50, planes), (2.4, 2.4, 2.4), (0.0, 0.0, 0.0))

    grazed, cut = middle[:34], middle[:24]
    assert grazed[33].any() and not plausibility_warnings(grazed, grid(34), None)
    assert plausibility_remarks(grazed, grid(34)) == ["the segmentation just reaches the upper border of the scan"]
    (doubt,) = plausibility_warnings(cut, grid(24), None)
    assert "upper border of the scan cuts" in doubt and not plausibility_remarks(cut, grid(24))
    assert not plausibility_warnings(middle, grid(40), None) and not plausibility_remarks(middle, grid(40))
