"""Volumes, surfaces, extents and sphericities are those of closed formulae, on grids of any direction."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtctl.errors import MtctlError
from mtctl.geometry import IDENTITY, Geometry, Mask
from mtctl.measures.shape import shape_of

_C, _S = math.cos(math.radians(25)), math.sin(math.radians(25))

GRIDS = {
    "cubes": ((1.0, 1.0, 1.0), IDENTITY),
    "as scanned": ((1.25, 1.25, 2.5), IDENTITY),
    "oblique": ((0.9, 1.1, 2.0), (_C, -_S, 0.0, _S, _C, 0.0, 0.0, 0.0, 1.0)),
    "tilted": ((1.0, 1.2, 1.5), (1.0, 0.0, 0.0, 0.0, _C, -_S, 0.0, _S, _C)),
    "flipped": ((1.0, 1.2, 2.0), (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)),
    "sagittal, left-handed": ((0.8, 1.3, 1.6), (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
}


def grid_of(name: str, reach: float) -> tuple[Geometry, np.ndarray]:
    """A grid around LPS (0, 0, 0) that reaches so far in mm, and the LPS of its voxels (z, y, x, 3)."""
    spacing, direction = GRIDS[name]
    x, y, z = (math.ceil(2 * reach / step) for step in spacing)
    corner = Geometry((x, y, z), spacing, (0.0, 0.0, 0.0), direction).index_to_physical(
        ((x - 1) / 2 + 0.2, (y - 1) / 2, (z - 1) / 2)
    )
    geometry = Geometry((x, y, z), spacing, tuple((-corner).tolist()), direction)
    return geometry, geometry.index_to_physical(np.indices(geometry.shape)[::-1].transpose(1, 2, 3, 0))


def ellipsoid(points: np.ndarray, half: tuple[float, float, float]) -> Mask:
    return np.asarray(((points / half) ** 2).sum(axis=-1) <= 1)


@pytest.mark.parametrize("name", GRIDS)
def test_a_ball_has_its_volume_its_surface_within_2_percent_its_extents_and_a_sphericity_of_1(name: str) -> None:
    geometry, points = grid_of(name, 26.0)
    shape = shape_of(ellipsoid(points, (20.0, 20.0, 20.0)), geometry)
    assert shape.volume_ml == pytest.approx(4 / 3 * math.pi * 8, rel=0.01)
    assert shape.area_cm2 == pytest.approx(4 * math.pi * 4, rel=0.02)
    assert shape.extent_mm == pytest.approx((40.0, 40.0, 40.0), abs=max(GRIDS[name][0]))
    assert shape.sphericity == pytest.approx(1.0, abs=0.025)


@pytest.mark.parametrize("name", GRIDS)
def test_extents_lie_along_the_patient_s_axes_not_along_the_scan_s(name: str) -> None:
    half = (24.0, 12.0, 17.0)
    geometry, points = grid_of(name, 30.0)
    shape = shape_of(ellipsoid(points, half), geometry)
    assert shape.extent_mm == pytest.approx(tuple(2 * length for length in half), abs=max(GRIDS[name][0]))
    powers = [(a * b) ** 1.6075 for a, b in ((half[0], half[1]), (half[0], half[2]), (half[1], half[2]))]
    area = 4 * math.pi * (sum(powers) / 3) ** (1 / 1.6075) / 100  # Thomsen's formula, within 1.1 %
    assert shape.area_cm2 == pytest.approx(area, rel=0.03)
    volume = 4 / 3 * math.pi * math.prod(half) / 1000
    assert shape.volume_ml == pytest.approx(volume, rel=0.01)
    assert shape.sphericity == pytest.approx(math.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area, rel=0.03)


def test_a_box_along_the_axes_has_the_extents_and_the_volume_of_its_voxels() -> None:
    mask = np.zeros((20, 30, 40), dtype=bool)
    mask[4:16, 5:25, 6:34] = True
    shape = shape_of(mask, Geometry((40, 30, 20), (0.7, 1.0, 2.0), (5.0, 6.0, 7.0)))
    x, y, z = 28 * 0.7, 20 * 1.0, 12 * 2.0
    assert shape.volume_ml == pytest.approx(x * y * z / 1000)
    assert shape.extent_mm == pytest.approx((x, y, z), abs=0.8)
    assert shape.area_cm2 == pytest.approx(2 * (x * y + x * z + y * z) / 100, rel=0.1)  # its edges are rounded


def test_a_mask_that_reaches_the_border_of_the_scan_is_closed_there() -> None:
    shape = shape_of(np.ones((10, 10, 10), dtype=bool), Geometry((10, 10, 10), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0)))
    assert shape.volume_ml == pytest.approx(8.0)
    assert shape.extent_mm == pytest.approx((20.0, 20.0, 20.0), abs=0.8)


def test_an_empty_mask_and_one_of_another_grid_are_refused_in_words() -> None:
    geometry = Geometry((5, 5, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    with pytest.raises(MtctlError, match="the mask is empty"):
        shape_of(np.zeros((5, 5, 5), dtype=bool), geometry)
    with pytest.raises(MtctlError, match="resample it first"):
        shape_of(np.ones((4, 5, 5), dtype=bool), geometry)
