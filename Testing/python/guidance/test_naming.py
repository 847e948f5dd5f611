"""What places of the atrium are called."""

from __future__ import annotations

import numpy as np
import pytest

from mtctl.geometry import Geometry, Triple
from mtctl.guidance.naming import place_name

GRID = Geometry((80, 60, 40), (1.25, 1.25, 2.5), (0.0, 0.0, 0.0))


def ellipsoid() -> np.ndarray:
    z, y, x = np.indices(GRID.shape)
    away = ((x - 39.5) * 1.25 / 35) ** 2 + ((y - 29.5) * 1.25 / 22) ** 2 + ((z - 19.5) * 2.5 / 28) ** 2
    return np.asarray(away < 1)


def at(x: float, y: float, z: float) -> Triple:
    """Return a place by its offset from the middle: left, back, up."""
    return 39.5 * 1.25 + x, 29.5 * 1.25 + y, 19.5 * 2.5 + z


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (at(-38, 12, 18), "right superior vein"),
        (at(-36, 18, -18), "right inferior vein"),
        (at(34, 18, 24), "left superior vein"),
        (at(34, 25, -12), "left inferior vein"),
        (at(30, -20, 20), "appendage"),
        (at(16, -22, -24), "mitral plane"),
        (at(0, 22, 0), "posterior wall"),
        (at(0, 0, 28), "roof"),
        (at(-14, -14, 0), "septum"),
    ],
)
def test_a_place_has_the_name_that_its_direction_tells(place: Triple, name: str) -> None:
    assert place_name(ellipsoid(), GRID, place) == name


def test_a_place_in_the_middle_or_of_an_empty_mask_is_just_the_atrium() -> None:
    assert place_name(ellipsoid(), GRID, at(0, 0, 0)) == "left atrium"
    assert place_name(np.zeros(GRID.shape, bool), GRID, at(9, 9, 9)) == "left atrium"


def test_the_name_does_not_depend_on_where_in_the_room_the_scan_lies() -> None:
    shifted = Geometry(GRID.size, GRID.spacing, (-210.0, 88.0, 1013.0))
    x, y, z = at(-38, 12, 18)
    assert place_name(ellipsoid(), shifted, (x - 210.0, y + 88.0, z + 1013.0)) == "right superior vein"
