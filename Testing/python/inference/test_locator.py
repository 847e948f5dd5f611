"""Finding the atrium in a large scan."""

from __future__ import annotations

import numpy as np
import pytest

from mtctl.geometry import Geometry
from mtctl.inference.locator import locate, needs_locating
from mtctl.masks import largest_component, solid, touched_sides
from mtctl.preprocessing.normalisation import normalise_locally


def grid(size: tuple[int, int, int]) -> Geometry:
    return Geometry(size, (0.625, 0.625, 1.25), (-30.0, 10.0, 5.0))


def test_crops_like_the_training_data_are_not_searched_and_a_thorax_is() -> None:
    assert not needs_locating(grid((244, 160, 88)))  # The largest crop along every axis: 153 x 100 x 110 mm.
    assert needs_locating(grid((640, 640, 88)))
    sagittal = (0.0, 0.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # A whole field: y, z and x of the patient.
    assert needs_locating(Geometry((256, 256, 110), (1.25, 1.25, 1.37), (0.0, 0.0, 0.0), sagittal))
    assert not needs_locating(Geometry((105, 119, 132), (1.25, 1.25, 1.37), (0.0, 0.0, 0.0), sagittal))


def test_the_region_is_the_largest_component_s_box_and_a_margin_in_millimetres_of_the_patient() -> None:
    geometry = Geometry((100, 80, 44), (4.0, 3.0, 2.5), (-30.0, 10.0, 5.0))
    answer = -np.ones((44, 80, 100), np.float32)
    answer[10:30, 30:50, 40:70] = 1  # The atrium.
    answer[0:3, 0:3, 0:3] = 1  # Something small elsewhere.
    box = locate(np.random.default_rng(0).normal(size=geometry.shape).astype(np.float32), geometry, lambda _: answer)
    assert box is not None
    assert (box.x0, box.x1) == pytest.approx((-32 + 160 - 13, -32 + 280 + 13))
    assert (box.y0, box.y1) == pytest.approx((8.5 + 90 - 19, 8.5 + 150 + 19))
    assert (box.z0, box.z1) == pytest.approx((3.75 + 25 - 22, 3.75 + 75 + 22))


def test_no_atrium_gives_no_region() -> None:
    geometry = Geometry((64, 64, 32), (1.25,) * 3, (0.0, 0.0, 0.0))
    array = np.random.default_rng(0).normal(size=geometry.shape).astype(np.float32)
    assert locate(array, geometry, lambda a: np.full(a.shape, -1, np.float32)) is None


def test_only_the_largest_component_stays_and_an_empty_mask_stays_empty() -> None:
    mask = np.zeros((8, 8, 8), bool)
    mask[0:2, 0, 0] = mask[4:8, 4, 4] = True
    assert largest_component(mask).sum() == 4
    assert not largest_component(np.zeros((4, 4, 4), bool)).any()


def test_a_solid_mask_is_one_piece_without_holes() -> None:
    mask = np.zeros((12, 12, 12), bool)
    mask[2:9, 2:9, 2:9] = True
    whole = mask.copy()
    mask[4:6, 4:6, 4:6] = False  # A cavity.
    mask[11, 11, 11] = True  # A piece apart.
    assert np.array_equal(solid(mask), whole)
    mask[2:6, 5, 5] = False  # A channel leads into the cavity: it is none any more.
    assert not solid(mask)[4:6, 4:6, 4:6].any()
    assert not solid(np.zeros((4, 4, 4), bool)).any()


def test_a_local_z_score_sees_a_crop_as_the_crop_s_own_z_score_would_even_beside_air() -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(2, 1, (44, 160, 210)).astype(np.float32)  # Air; voxels of 2.5 x 1.25 x 1.25 mm.
    array[:, 30:130, 30:180] += 100 + 30 * rng.normal(size=(44, 100, 150))
    local = normalise_locally(array, (2.5, 1.25, 1.25))
    crop = array[:, 70:90, 90:120]  # In the middle of the tissue.
    own = (crop - crop.mean()) / crop.std()
    np.testing.assert_allclose(local[:, 70:90, 90:120].mean(), 0, atol=0.1)
    assert np.abs(local[:, 70:90, 90:120] - own).mean() < 0.15
    assert np.abs(local[:, :10, :10]).max() < 5  # Noise in air is not blown up.


def test_the_window_of_the_local_z_score_is_110_x_88_x_119_mm_whatever_the_voxels() -> None:
    for voxel_mm in ((2.0, 2.0, 2.0), (5.0, 4.0, 3.0)):
        shape = [int(400 / step) | 1 for step in voxel_mm]
        point = np.zeros(shape, np.float32)
        middle = tuple(n // 2 for n in shape)
        point[middle] = 1
        seen = normalise_locally(point, voxel_mm) != normalise_locally(point, voxel_mm)[0, 0, 0]
        for axis, length in enumerate((110, 88, 119)):
            line = seen[tuple(slice(None) if other == axis else middle[other] for other in range(3))]
            assert line.sum() * voxel_mm[axis] == pytest.approx(length, abs=voxel_mm[axis])


def test_a_turned_or_permuted_crop_is_as_small_as_it_was() -> None:
    turned = (0.94, -0.342, 0.0, 0.342, 0.94, 0.0, 0.0, 0.0, 1.0)
    norm = (0.94**2 + 0.342**2) ** 0.5
    direction = tuple(v / norm if abs(v) not in (0.0, 1.0) else v for v in turned)
    assert not needs_locating(Geometry((229, 146, 88), (0.625, 0.625, 1.25), (0.0, 0.0, 0.0), direction))
    coronal = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0)  # Array axes: x, then z, then y of the patient.
    assert not needs_locating(Geometry((229, 88, 146), (0.625, 1.25, 0.625), (0.0, 0.0, 0.0), coronal))
    assert needs_locating(Geometry((229, 130, 146), (0.625, 1.25, 0.625), (0.0, 0.0, 0.0), coronal))


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
