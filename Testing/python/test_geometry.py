"""When two grids are one, and when their voxels lie at one place: oblique grids with the voxels of several scanners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.scene_example import rotation

from mtctl.geometry import Geometry, Triple, same_grid, same_place


def turned(geometry: Geometry, degrees: float) -> Geometry:
    direction = rotation(0, 0, degrees) @ np.array(geometry.direction).reshape(3, 3)
    return replace(geometry, direction=tuple(direction.ravel()))


@pytest.fixture(
    params=[(0.625, 0.625, 1.25), (1.25, 1.25, 1.37), (0.9, 0.9, 4.0)], ids=["benchmark", "another scanner", "thick"]
)
def geometry(request: pytest.FixtureRequest) -> Geometry:
    spacing: Triple = request.param
    oblique = tuple(rotation(10, -20, 30).ravel())
    return Geometry((160, 144, 88), spacing, (-80.0, 120.5, -33.3), oblique)


def test_a_grid_that_went_through_another_program_is_the_same_and_lies_at_the_same_place(geometry: Geometry) -> None:
    origin = tuple(value + 4e-4 for value in geometry.origin)
    other = replace(geometry, origin=origin)
    assert same_grid(geometry, other) and same_place(geometry, other)


@pytest.mark.parametrize("degrees", [0.01, -0.01])
def test_a_scan_turned_so_little_that_no_number_of_its_grid_tells_lies_elsewhere(
    geometry: Geometry, degrees: float
) -> None:
    other = turned(geometry, degrees)
    assert same_grid(geometry, other) and not same_place(geometry, other)


def test_another_size_spacing_or_origin_is_another_grid_at_another_place(geometry: Geometry) -> None:
    x, y, z = geometry.spacing
    for other in (
        replace(geometry, size=(160, 144, 87)),
        replace(geometry, spacing=(x, y, z + 0.01)),
        replace(geometry, origin=(-80.0, 120.5, -33.2)),
        turned(geometry, 5),
    ):
        assert not same_grid(geometry, other) and not same_place(geometry, other)
