"""Finding the atrium in a large scan."""

from __future__ import annotations

import numpy as np
import pytest

from mtctl.geometry import Geometry
from mtctl.locate import largest_component, locate, needs_locating, normalise_locally, touched_sides
from mtctl.preprocess import halve


def grid(size: tuple[int, int, int]) -> Geometry:
    return Geometry(size, (0.625,) * 3, (-30.0, 10.0, 5.0))


def test_crops_like_the_training_data_are_not_searched_and_a_thorax_is() -> None:
    assert not needs_locating(grid((229, 146, 88)))
    assert needs_locating(grid((640, 640, 88)))


def test_the_region_is_the_largest_component_s_box_and_a_margin_in_millimetres_of_the_patient() -> None:
    geometry = Geometry((100, 80, 44), (1.25,) * 3, (-29.6875, 10.3125, 5.3125))
    answer = -np.ones((44, 80, 100), np.float32)
    answer[10:30, 30:50, 40:70] = 1  # The atrium, in 1.25 mm voxels.
    answer[0:3, 0:3, 0:3] = 1  # Something small elsewhere.
    box = locate(np.random.default_rng(0).normal(size=geometry.shape).astype(np.float32), geometry, lambda _: answer)
    assert box is not None
    assert (box.x0, box.x1) == pytest.approx((-30.3125 + 50 - 12, -30.3125 + 87.5 + 12))
    assert (box.y0, box.y1) == pytest.approx((9.6875 + 37.5 - 12, 9.6875 + 62.5 + 12))
    assert (box.z0, box.z1) == pytest.approx((4.6875 + 12.5 - 12, 4.6875 + 37.5 + 12))


def test_no_atrium_gives_no_region() -> None:
    geometry = Geometry((64, 64, 32), (1.25,) * 3, (0.0, 0.0, 0.0))
    array = np.random.default_rng(0).normal(size=geometry.shape).astype(np.float32)
    assert locate(array, geometry, lambda a: np.full(a.shape, -1, np.float32)) is None


def test_only_the_largest_component_stays_and_an_empty_mask_stays_empty() -> None:
    mask = np.zeros((8, 8, 8), bool)
    mask[0:2, 0, 0] = mask[4:8, 4, 4] = True
    assert largest_component(mask).sum() == 4
    assert not largest_component(np.zeros((4, 4, 4), bool)).any()


def test_a_local_z_score_sees_a_crop_as_the_crop_s_own_z_score_would_even_beside_air() -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(2, 1, (88, 320, 420)).astype(np.float32)  # Air.
    array[:, 60:260, 60:360] += 100 + 30 * rng.normal(size=(88, 200, 300))
    coarse = halve(array)
    local = normalise_locally(coarse, 1.25)
    crop = coarse[:, 70:90, 90:120]  # In the middle of the tissue.
    own = (crop - crop.mean()) / crop.std()
    np.testing.assert_allclose(local[:, 70:90, 90:120].mean(), 0, atol=0.1)
    assert np.abs(local[:, 70:90, 90:120] - own).mean() < 0.15
    assert np.abs(local[:, :10, :10]).max() < 5  # Noise in air is not blown up.


def test_a_turned_or_permuted_crop_is_as_small_as_it_was() -> None:
    turned = (0.94, -0.342, 0.0, 0.342, 0.94, 0.0, 0.0, 0.0, 1.0)
    norm = (0.94**2 + 0.342**2) ** 0.5
    direction = tuple(v / norm if abs(v) not in (0.0, 1.0) else v for v in turned)
    assert not needs_locating(Geometry((229, 146, 88), (0.625,) * 3, (0.0, 0.0, 0.0), direction))
    coronal = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0)  # Array axes: x, then z, then y of the patient.
    assert not needs_locating(Geometry((229, 88, 146), (0.625,) * 3, (0.0, 0.0, 0.0), coronal))
    assert needs_locating(Geometry((229, 160, 88), (0.625,) * 3, (0.0, 0.0, 0.0), coronal))


def test_touched_sides_are_named_after_the_patient_whatever_the_array_s_direction() -> None:
    mask = np.zeros((5, 6, 7), bool)
    mask[2, 0, 6] = True
    straight = Geometry((7, 6, 5), (1.0,) * 3, (0.0, 0.0, 0.0))
    turned = Geometry((7, 6, 5), (1.0,) * 3, (0.0, 0.0, 0.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    assert touched_sides(mask, straight) == {"left": 1, "front": 1}
    assert touched_sides(mask, turned) == {"right": 1, "back": 1}
    mask[1:4, 1:3, 3:7] = True  # sections across x: 7 voxels at the left border, 6 elsewhere
    mask[:, :, :3] = False
    assert touched_sides(mask, straight)["front"] == 1 / 12
    mask[:] = False
    mask[2, 3, 3] = True
    assert touched_sides(mask, straight) == {}
