"""A small scan that tests make themselves."""

from __future__ import annotations

import numpy as np

from mtctl.geometry import Geometry, Triple, Volume

#: (x, y, z) of the benchmark's scans, and of the tests' own: half of the network's grid along each axis.
SPACING_MM: Triple = (0.625, 0.625, 1.25)


def scan(shape: tuple[int, int, int] = (40, 48, 56), seed: int = 0, spacing: Triple = SPACING_MM) -> Volume:
    """Smooth noise with a bright ellipsoid in the middle: (z, y, x) voxels, LPS, origin 0."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    ball = 80.0 / (1 + np.exp(8 * (np.sqrt(z**2 + y**2 + x**2) - 0.6)))
    array = (20 + ball + rng.normal(0, 4, shape)).astype(np.float32)
    return Volume(array, Geometry((shape[2], shape[1], shape[0]), spacing, (0.0, 0.0, 0.0)))
