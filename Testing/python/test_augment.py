"""Random patches: where they are cut, that image and distance stay together, that the seed decides all."""

from __future__ import annotations

import numpy as np
import torch

from mtctl_train.augment import Variation, random_box, sample_patch, vary_intensity

STILL = Variation(rotation=(0, 0, 0), scale=(1, 1), stretch=0, warp_mm=0, jitter_mm=0)


def ramp(shape: tuple[int, int, int]) -> torch.Tensor:
    axes = [torch.arange(n, dtype=torch.float32) for n in shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x + 100 * y + 10000 * z, z])


def test_without_variation_a_patch_of_the_volume_s_size_is_the_volume() -> None:
    channels = ramp((16, 20, 24))
    patch, zoom = sample_patch(channels, 1.25, (16, 20, 24), STILL, np.random.default_rng(0))
    torch.testing.assert_close(patch, channels, atol=0.1, rtol=1e-4)
    assert zoom == 1


def test_a_smaller_patch_is_a_window_of_the_volume() -> None:
    patch, _ = sample_patch(ramp((16, 20, 24)), 1.25, (8, 8, 8), STILL, np.random.default_rng(1))
    z = patch[1, :, 0, 0]
    torch.testing.assert_close(z.diff(), torch.ones(7), atol=1e-3, rtol=0)
    assert z[0] >= 0 and z[-1] <= 15


def test_zooming_in_makes_structures_larger_by_the_factor_that_is_returned() -> None:
    zoomed = Variation(rotation=(0, 0, 0), scale=(1.2, 1.2), stretch=0, warp_mm=0, jitter_mm=0)
    patch, zoom = sample_patch(ramp((16, 20, 24)), 1.25, (8, 8, 8), zoomed, np.random.default_rng(1))
    torch.testing.assert_close(patch[1, :, 0, 0].diff(), torch.full((7,), 1 / 1.2), atol=1e-3, rtol=0)
    assert abs(zoom - 1.2) < 1e-6


def test_a_quarter_turn_about_z_brings_x_to_y() -> None:
    class Turn:
        def uniform(self, low, high, size=None):
            if size == 3:
                return np.array([1.0, 0.0, 0.0]) if np.ndim(low) == 0 and low == -1 else np.zeros(3)
            return np.zeros(np.shape(low)) if np.ndim(low) else 1.0

        def normal(self, mean, deviation, size):
            return np.zeros(size)

    turned = Variation(rotation=(90, 0, 0), scale=(1, 1), stretch=0, warp_mm=0, jitter_mm=0)
    channels = ramp((9, 9, 9))
    patch, _ = sample_patch(channels, 1.0, (9, 9, 9), turned, Turn())  # type: ignore[arg-type]
    expected = torch.rot90(channels[0], 1, (1, 2))
    other = torch.rot90(channels[0], -1, (1, 2))
    difference = min(float((patch[0] - expected).abs().max()), float((patch[0] - other).abs().max()))
    assert difference < 1


def test_the_same_generator_state_gives_the_same_patch() -> None:
    cuts = [sample_patch(ramp((16, 16, 16)), 1.25, (8, 8, 8), Variation(), np.random.default_rng(7)) for _ in range(2)]
    assert torch.equal(cuts[0][0], cuts[1][0])
    other, _ = sample_patch(ramp((16, 16, 16)), 1.25, (8, 8, 8), Variation(), np.random.default_rng(8))
    assert not torch.equal(cuts[0][0], other)


def test_intensities_vary_but_stay_finite_and_keep_their_place() -> None:
    image = torch.randn(8, 12, 12)
    seen = [vary_intensity(image, np.random.default_rng(seed)) for seed in range(40)]
    assert all(torch.isfinite(varied).all() and varied.shape == image.shape for varied in seen)
    correlations = [float(torch.corrcoef(torch.stack([image.flatten(), v.flatten()]))[0, 1]) for v in seen]
    assert np.median(correlations) > 0.8
    assert not any(torch.equal(seen[0], other) for other in seen[1:])


def test_a_flat_image_survives_every_change() -> None:
    assert all(torch.isfinite(vary_intensity(torch.zeros(8, 8, 8), np.random.default_rng(s))).all() for s in range(30))


def test_pasted_boxes_take_a_third_to_two_thirds_of_each_axis_and_lie_inside() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        for part, n in zip(random_box((30, 60, 90), rng), (30, 60, 90), strict=True):
            assert 0 <= part.start < part.stop <= n
            assert n / 3 - 1 <= part.stop - part.start <= 2 * n / 3
