"""Signed distance map: sign, scale, surface between voxels, and the transform back."""

from __future__ import annotations

import numpy as np
import torch

from mtctl.networks.distance_map import DISTANCE_SCALE_MM, mask_probability, normalised_distance, signed_distance_mm


def ball(radius_mm: float, spacing: tuple[float, float, float]) -> np.ndarray:
    axes = [np.arange(-round(20 / s), round(20 / s) + 1) * s for s in spacing]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z**2 + y**2 + x**2 <= radius_mm**2


def test_a_ball_has_its_depth_in_millimetres_positive_inside_on_any_spacing() -> None:
    for spacing in ((0.625, 0.625, 0.625), (2.0, 0.5, 1.0)):
        distance = signed_distance_mm(ball(12.0, spacing), spacing)
        middle = tuple(n // 2 for n in distance.shape)
        assert abs(distance[middle] - 12.0) <= max(spacing) / 2 + 0.3
        assert distance[0, 0, 0] < -10


def test_the_surface_lies_half_a_voxel_from_the_nearest_centres() -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[:3] = True
    distance = signed_distance_mm(mask, (0.5, 0.5, 0.5))
    np.testing.assert_allclose(distance[:, 0, 0], [1.25, 0.75, 0.25, -0.25, -0.75, -1.25])


def test_mask_to_distance_to_mask_gives_every_voxel_back() -> None:
    mask = ball(9.0, (0.625,) * 3)
    f2 = normalised_distance(signed_distance_mm(mask, (0.625,) * 3))
    assert np.array_equal(mask_probability(f2) >= 0.5, mask)
    assert abs(f2).max() <= 1


def test_without_a_surface_everything_is_infinitely_far_and_still_normalises() -> None:
    for mask, far in ((np.zeros((4, 4, 4), bool), -1.0), (np.ones((4, 4, 4), bool), 1.0)):
        assert (normalised_distance(signed_distance_mm(mask, (1.0, 1.0, 1.0))) == far).all()


def test_arrays_and_tensors_agree_and_one_voxel_off_the_surface_is_0_78() -> None:
    f2 = np.array([-0.5, 0.0, 0.625 / DISTANCE_SCALE_MM], np.float32)
    np.testing.assert_allclose(mask_probability(f2), mask_probability(torch.from_numpy(f2)).numpy(), atol=1e-6)
    np.testing.assert_allclose(mask_probability(f2)[1:], [0.5, 0.777], atol=1e-3)
