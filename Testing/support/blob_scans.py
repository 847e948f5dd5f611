"""Grids of every kind around one place of the patient, and a blob that lies there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mtctl.geometry import Geometry, Volume
from mtctl.preprocessing.network_grid import GRID_MM

CENTRE = np.array([11.3, -42.7, 75.1])  # of the blob, LPS mm
SIGMA = 5.0  # mm


def turned(*degrees: float) -> NDArray[np.float64]:
    return np.asarray(Rotation.from_euler("xyz", degrees, degrees=True).as_matrix())


def around_the_blob(
    size: tuple[int, int, int],
    spacing: tuple[float, float, float],
    matrix: NDArray[np.float64] | None = None,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Geometry:
    """A grid with the blob near its middle, `shift` mm off."""
    matrix = np.eye(3) if matrix is None else matrix
    origin = CENTRE + shift - matrix @ ((np.array(size) - 1) / 2 * spacing)
    return Geometry(size, spacing, (origin[0], origin[1], origin[2]), tuple(matrix.ravel().tolist()))


def points(geometry: Geometry) -> NDArray[np.float64]:
    """LPS place of every voxel, (z, y, x, 3)."""
    z, y, x = np.indices(geometry.shape)
    return geometry.index_to_physical(np.stack([x, y, z], axis=-1))


def blob(geometry: Geometry) -> Volume:
    squares = ((points(geometry) - CENTRE) ** 2).sum(axis=-1)
    return Volume(np.exp(-squares / (2 * SIGMA**2)).astype(np.float32), geometry)


FLIP = np.diag([-1.0, 1.0, -1.0])
TURN = np.array([[0, 0, 1.0], [1.0, 0, 0], [0, 1.0, 0]])
GEOMETRIES = {
    "network's own": around_the_blob((36, 34, 20), GRID_MM),
    "sub-voxel offset": around_the_blob((36, 34, 20), GRID_MM, shift=(0.42, -0.26, 0.9)),
    "the benchmark's": around_the_blob((72, 68, 40), (0.625, 0.625, 1.25)),
    "isotropic": around_the_blob((72, 68, 70), (0.7, 0.7, 0.7)),
    "anisotropic": around_the_blob((60, 90, 40), (0.75, 0.5, 1.1)),
    "own along one axis": around_the_blob((60, 34, 16), (0.75, 1.25, 3.0)),
    "thick slices": around_the_blob((72, 72, 14), (0.625, 0.625, 4.0)),
    "flipped": around_the_blob((60, 64, 24), (0.7, 0.7, 2.0), FLIP, shift=(0.2, 0.3, 0.4)),
    "sagittal": around_the_blob((66, 60, 24), (0.625, 0.7, 2.0), TURN),
    "left-handed": around_the_blob((36, 34, 20), GRID_MM, np.diag([1.0, 1.0, -1.0])),
    "oblique": around_the_blob((64, 64, 64), (0.7, 0.7, 0.7), turned(20, 20, 0)),
    "oblique thick": around_the_blob((72, 72, 24), (0.625, 0.625, 2.0), turned(-20, 0, 20), shift=(0.2, 0.3, 0.4)),
    "oblique flipped": around_the_blob((60, 60, 60), (0.75, 0.75, 0.75), turned(20, -20, 0) @ FLIP),
    "diagonal": around_the_blob((64, 64, 64), (0.7, 0.7, 0.7), turned(45, 35.26, 0)),
    "fine": around_the_blob((120, 120, 60), (0.35, 0.35, 0.7)),
}
ALONG_LPS = [name for name in GEOMETRIES if "oblique" not in name and name != "diagonal"]


def noise(geometry: Geometry) -> Volume:
    return Volume(np.random.default_rng(5).normal(100, 20, geometry.shape).astype(np.float32), geometry)
