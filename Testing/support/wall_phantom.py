"""An atrium whose wall is enhanced over a known share of its surface: an ellipsoid in a blurred scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import brentq

from mtctl.geometry import IDENTITY, Geometry, Map, Mask, Triple, Volume

#: Half the axes of the cavity along LPS, mm, and the thickness of its wall.
RADII_MM: Triple = (22.0, 16.0, 19.0)
WALL_MM = 2.5

#: Grey values of blood, healthy wall, enhanced wall and what lies around.
BLOOD, HEALTHY, ENHANCED, AROUND = 100.0, 70.0, 160.0, 40.0

#: Of the scanner's blur, and of the border's uncertainty, mm.
_BLUR_MM, _DOUBT_MM = 0.6, 0.7

_FINE = 2  # samples a voxel along each axis


@dataclass(frozen=True)
class WallPhantom:
    """A scan, the cavity's mask and its probability, (z, y, x) on the scan's grid."""

    scan: Volume
    mask: Mask
    probability: Map


def wall_phantom(
    percent: float, spacing: Triple = (1.0, 1.0, 2.0), direction: tuple[float, ...] = IDENTITY, seed: int = 0
) -> WallPhantom:
    """Return a phantom of whose surface so many percent are enhanced: a cap on the left side (LPS +x)."""
    reach = 2 * (max(RADII_MM) + 8.0)
    x, y, z = (int(reach / step) for step in spacing)
    centre = Geometry((x, y, z), spacing, (0.0, 0.0, 0.0), direction)
    middle = centre.index_to_physical((np.array((x, y, z)) - 1) / 2)
    geometry = Geometry((x, y, z), spacing, tuple((-middle).tolist()), direction)
    fine = Geometry((x * _FINE, y * _FINE, z * _FINE), tuple(step / _FINE for step in spacing), (0, 0, 0), direction)
    shift = geometry.index_to_physical((0, 0, 0)) - fine.index_to_physical(((_FINE - 1) / 2,) * 3)
    points = fine.index_to_physical(np.indices(fine.shape)[::-1].transpose(1, 2, 3, 0)) + shift
    scaled = points / RADII_MM
    radius = np.linalg.norm(scaled, axis=-1)
    depth = (radius - 1) * np.linalg.norm(points, axis=-1) / np.maximum(radius, 1e-6)  # mm, outward
    patch = scaled[..., 0] / np.maximum(radius, 1e-6) > cap_height(percent)
    wall = np.where(patch, ENHANCED, HEALTHY)
    grey = np.where(depth <= 0, BLOOD, np.where(depth <= WALL_MM, wall, AROUND))
    sigma = [_BLUR_MM / step for step in fine.spacing[::-1]]
    grey = _averaged(ndimage.gaussian_filter(grey, sigma))
    noise = np.random.default_rng(seed).normal(0, 2.0, grey.shape)
    outward = _averaged(depth)
    probability = 1 / (1 + np.exp(outward / _DOUBT_MM))
    return WallPhantom(
        Volume((grey + noise).astype(np.float32), geometry), outward <= 0, probability.astype(np.float32)
    )


def cap_height(percent: float) -> float:
    """Return from which height on, as a share of the half axis, a cap holds so many percent of the surface."""
    if percent <= 0:
        return 2.0
    heights, areas = _bands()
    whole = areas.sum()
    return float(brentq(lambda height: areas[heights > height].sum() / whole - percent / 100, -1.0, 1.0, xtol=1e-4))


def _bands() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return heights (x / half axis) of small patches of the ellipsoid and their areas."""
    height, angle = np.meshgrid(
        (np.arange(2000) + 0.5) / 1000 - 1, (np.arange(180) + 0.5) * 2 * np.pi / 180, indexing="ij"
    )
    a, b, c = RADII_MM
    ring = np.sqrt(1 - height**2)
    normal = np.stack([height / a, ring * np.cos(angle) / b, ring * np.sin(angle) / c])
    return height.ravel(), np.linalg.norm(normal, axis=0).ravel()  # of the sphere's area element, equal in height


def _averaged(fine: NDArray[np.float64]) -> NDArray[np.float64]:
    z, y, x = (count // _FINE for count in fine.shape)
    return fine.reshape(z, _FINE, y, _FINE, x, _FINE).mean(axis=(1, 3, 5))
