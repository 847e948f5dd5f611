"""Random patches: where they are cut, that image and distance stay together, that the seed decides all; what another
patient and another scanner change of the grey levels, and what they leave."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtctl_train.data.augmentation import (
    Variation,
    as_acquired,
    random_box,
    sample_patch,
    vary_contrast,
    vary_intensity,
)

CUBES = (1.25, 1.25, 1.25)
BRICKS = (2.5, 1.25, 1.25)  # (z, y, x) mm, as the network's grid

STILL = Variation(rotation=(0, 0, 0), scale=(1, 1), stretch=0, warp_mm=0, jitter_mm=0)


def ramp(shape: tuple[int, int, int]) -> torch.Tensor:
    axes = [torch.arange(n, dtype=torch.float32) for n in shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x + 100 * y + 10000 * z, z])


def test_without_variation_a_patch_of_the_volume_s_size_is_the_volume() -> None:
    channels = ramp((16, 20, 24))
    patch, zoom = sample_patch(channels, BRICKS, (16, 20, 24), STILL, np.random.default_rng(0))
    torch.testing.assert_close(patch, channels, atol=0.1, rtol=1e-4)
    assert zoom == 1


def test_a_smaller_patch_is_a_window_of_the_volume() -> None:
    patch, _ = sample_patch(ramp((16, 20, 24)), BRICKS, (8, 8, 8), STILL, np.random.default_rng(1))
    z = patch[1, :, 0, 0]
    torch.testing.assert_close(z.diff(), torch.ones(7), atol=1e-3, rtol=0)
    assert z[0] >= 0 and z[-1] <= 15


def test_zooming_in_makes_structures_larger_by_the_factor_that_is_returned() -> None:
    zoomed = Variation(rotation=(0, 0, 0), scale=(1.2, 1.2), stretch=0, warp_mm=0, jitter_mm=0)
    patch, zoom = sample_patch(ramp((16, 20, 24)), BRICKS, (8, 8, 8), zoomed, np.random.default_rng(1))
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
    patch, _ = sample_patch(channels, (1.0, 1.0, 1.0), (9, 9, 9), turned, Turn())  # type: ignore[arg-type]
    expected = torch.rot90(channels[0], 1, (1, 2))
    other = torch.rot90(channels[0], -1, (1, 2))
    difference = min(float((patch[0] - expected).abs().max()), float((patch[0] - other).abs().max()))
    assert difference < 1


@pytest.mark.parametrize("seed", range(6))
def test_a_sphere_stays_a_sphere_however_it_is_turned_in_voxels_that_are_no_cubes(seed: int) -> None:
    shape, radius = (24, 48, 48), 18.0
    middle = [(n - 1) / 2 * step for n, step in zip(shape, BRICKS, strict=True)]
    axes = [torch.arange(n) * step - half for n, step, half in zip(shape, BRICKS, middle, strict=True)]
    away = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0).sqrt()
    turned = Variation(rotation=(90, 90, 90), scale=(1, 1), stretch=0, warp_mm=0, jitter_mm=0)
    patch, _ = sample_patch((radius - away)[None], BRICKS, shape, turned, np.random.default_rng(seed))
    off = (patch[0] - (radius - away)).abs()[away < radius + 3]
    assert float(off.max()) < 0.7  # mm; squeezed twofold along an axis it would be off by 9


def test_the_same_generator_state_gives_the_same_patch() -> None:
    def cut(seed: int) -> torch.Tensor:
        return sample_patch(ramp((16, 16, 16)), BRICKS, (8, 8, 8), Variation(), np.random.default_rng(seed))[0]

    assert torch.equal(cut(7), cut(7))
    assert not torch.equal(cut(7), cut(8))


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


# --- another coil, another sequence ---------------------------------------------------------------------------------


class Scripted:
    """A generator that decides as it is told; what is left is drawn as ever."""

    def __init__(self, decisions: list[float], uniform: object = 0.0, choice: int = 0) -> None:
        self._decisions, self._uniform, self._choice = iter(decisions), uniform, choice
        self._rng = np.random.default_rng(0)

    def random(self) -> float:
        return next(self._decisions)

    def uniform(self, *_: object) -> object:
        return self._uniform

    def choice(self, *_: object, **__: object) -> int:
        return self._choice

    def normal(self, *arguments: object) -> np.ndarray:
        return self._rng.normal(*arguments)


def test_the_bias_field_of_a_coil_leaves_air_dark_and_makes_tissue_brighter_here_and_darker_there() -> None:
    image = torch.full((24, 32, 32), 0.8)
    image[:, :, 10:14] = -1.7  # air
    image[:, 20:24] = 0.0  # exactly the scan's mean: a field that multiplied z-scores would leave it as it is
    only_the_field = Scripted([0.0, 1.0, 1.0, 1.0])
    varied = vary_intensity(image, only_the_field)  # type: ignore[arg-type]
    torch.testing.assert_close(varied[image == -1.7], image[image == -1.7])
    for tissue in (0.0, 0.8):
        gain = ((varied + 1.7) / (image + 1.7))[image == tissue]
        assert gain.min() < 0.95 and gain.max() > 1.05
        assert gain.min() > 0.3 and gain.max() < 3


def tissues() -> torch.Tensor:
    """Lung, muscle, fat and blood, z-scored, in a quarter of the volume each."""
    image = torch.empty(8, 8, 16)
    for number, value in enumerate((-1.5, -0.2, 0.6, 1.8)):
        image[:, :, 4 * number : 4 * number + 4] = value
    return image


def brightness(image: torch.Tensor) -> list[float]:
    return [float(image[0, 0, 4 * number]) for number in range(4)]


def test_some_patients_blood_is_dark_in_some_two_tissues_change_places_and_most_keep_their_order() -> None:
    seen = [brightness(vary_contrast(tissues(), None, np.random.default_rng(seed))) for seed in range(400)]
    orders = [tuple(np.argsort(values).tolist()) for values in seen]
    upright, upside_down = (0, 1, 2, 3), (3, 2, 1, 0)
    assert 0.85 < orders.count(upright) / len(orders) < 0.98
    assert orders.count(upside_down) >= 4
    assert len(set(orders) - {upright, upside_down}) >= 4
    lows, highs = zip(*((min(values), max(values)) for values in seen), strict=True)
    assert min(lows) >= -1.51 and max(highs) <= 1.81
    contrasts = [values[3] - values[1] for values, order in zip(seen, orders, strict=True) if order == upright]
    assert min(contrasts) < 0.7 and max(contrasts) > 2.2  # of blood and muscle; 2.0 as it was


def test_a_dark_blood_scan_is_the_scan_upside_down() -> None:
    image = torch.randn(8, 12, 12, generator=torch.Generator().manual_seed(0))
    varied = [vary_contrast(image, None, np.random.default_rng(seed)) for seed in range(200)]
    inverted = [one for one in varied if torch.corrcoef(torch.stack([image.flatten(), one.flatten()]))[0, 1] < -0.999]
    assert inverted
    for one in inverted:
        torch.testing.assert_close(one + image, torch.full_like(image, float(image.min() + image.max())))


def test_dose_and_wall_change_the_atrium_and_its_wall_and_nothing_beyond() -> None:
    z, y, x = torch.meshgrid(*[torch.linspace(-30, 30, n) for n in (24, 48, 48)], indexing="ij")
    distance = 15 - (z**2 + y**2 + x**2).sqrt()
    image = torch.randn(24, 48, 48, generator=torch.Generator().manual_seed(0))
    wall, inside, far = (distance > -2.5) & (distance < -0.5), distance > 4, distance < -8
    dose, bright = [], []
    for seed in range(150):
        plain, varied = (vary_contrast(image, known, np.random.default_rng(seed)) for known in (None, distance))
        difference = varied - plain
        assert difference[far].abs().max() < 1e-4
        dose.append(float(difference[inside].mean()))
        bright.append(float(difference[wall].max()) - abs(dose[-1]))
    assert min(dose) < -0.2 and max(dose) > 0.2
    assert max(bright) > 0.4
    assert np.mean(np.abs(dose) < 0.05) > 0.7  # most atria stay as they are


# --- another scanner ------------------------------------------------------------------------------------------------


def test_two_in_five_patches_are_measured_by_another_scanner_the_same_for_the_same_seed() -> None:
    image = torch.randn(24, 32, 32, generator=torch.Generator().manual_seed(0))
    seen = [as_acquired(image, BRICKS, np.random.default_rng(seed)) for seed in range(100)]
    changed = [seed for seed, one in enumerate(seen) if not torch.equal(one, image)]
    assert 25 <= len(changed) <= 55
    for seed in changed[:10]:
        assert torch.equal(as_acquired(image, BRICKS, np.random.default_rng(seed)), seen[seed])
    for one in seen:
        assert one.shape == image.shape and torch.isfinite(one).all()
        assert float(one.mean()) == pytest.approx(float(image.mean()), abs=0.06)
    # A scanner as fine as the grid or finer shows the same, a coarser one less.
    left = [float(seen[seed].std() / image.std()) for seed in changed]
    assert max(left) < 1.001 and sum(share < 0.8 for share in left) > 0.6 * len(left)


@pytest.mark.parametrize("voxel_mm", [CUBES, BRICKS], ids=["cubes", "bricks"])
def test_whatever_scanner_measures_a_patch_nothing_in_it_moves(voxel_mm: tuple[float, float, float]) -> None:
    shape = (48, 64, 64)
    axes = torch.meshgrid(
        *[torch.arange(n) * step for n, step in zip(shape, voxel_mm, strict=True)], indexing="ij"
    )  # fmt: skip
    place = axes[0] - 2 * axes[1] + 3 * axes[2]  # mm: a blur leaves a slope as it is
    inner = tuple(slice(n // 3, n - n // 3) for n in shape)
    changed = 0
    for seed in range(60):
        varied = as_acquired(place, voxel_mm, np.random.default_rng(seed))
        changed += not torch.equal(varied, place)
        assert (varied - place)[inner].abs().max() < 0.05
    assert changed >= 15


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_thick_slices_take_the_detail_along_their_own_direction_and_leave_that_within_them(axis: int) -> None:
    n = 48
    stripes = torch.sin(torch.arange(n) * 2 * torch.pi / 8)  # 10 mm a period
    for along in range(3):
        image = stripes.reshape([n if one == along else 1 for one in range(3)]).expand(n, n, n)
        slices_of_5_mm = Scripted([0.0, 1.0], uniform=np.log([1.25, 5.0]), choice=axis)
        varied = as_acquired(image, CUBES, slices_of_5_mm)  # type: ignore[arg-type]
        kept = float(varied[8:-8, 8:-8, 8:-8].std() / image[8:-8, 8:-8, 8:-8].std())
        assert kept < 0.5 if along == axis else kept > 0.7
