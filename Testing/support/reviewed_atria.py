"""A made-up atrium under review, on an oblique grid of voxels that are no cubes."""

from __future__ import annotations

import numpy as np

from mtctl.geometry import Geometry
from mtctl.review.case_maps import CaseMaps

# Axes that are neither those of the patient nor equally spaced.
GEOMETRY = Geometry((44, 40, 26), (1.25, 1.25, 2.0), (10.0, -20.0, 30.0), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
PLANTED = ((5, 20, 13), (38, 20, 13), (21, 4, 16))  # x, y, z of doubtful places on the border


def doubtful_atrium() -> CaseMaps:
    """An ellipsoid with a thin uncertain shell, thick at the planted places."""
    offset = [np.arange(n) - (n - 1) / 2 for n in GEOMETRY.size]
    x, y, z = np.meshgrid(*(o * s for o, s in zip(offset, GEOMETRY.spacing, strict=True)), indexing="ij")
    depth = (20 * (1 - np.sqrt((x / 21) ** 2 + (y / 20) ** 2 + (z / 18) ** 2))).T
    thickness = np.full(depth.shape, 0.8)
    for middle in PLANTED:
        steps = (np.arange(n) - m for n, m in zip(GEOMETRY.size, middle, strict=True))
        near = np.meshgrid(*(s * mm for s, mm in zip(steps, GEOMETRY.spacing, strict=True)), indexing="ij")
        thickness += 2.5 * np.exp(-sum(axis**2 for axis in near) / (2 * 4.0**2)).T
    probability = (1 / (1 + np.exp(-2 * depth / thickness))).astype(np.float32)
    p = np.clip(probability.astype(float), 1e-7, 1 - 1e-7)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).astype(np.float32)
    return CaseMaps(depth > 0, entropy, probability, GEOMETRY)
