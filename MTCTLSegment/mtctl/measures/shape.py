"""How large an atrium is, and of what shape, in millilitres, square centimetres and millimetres."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mtctl.geometry import Geometry, Mask, Triple
from mtctl.measures.uncertain_mask import MeasureError
from mtctl.surfaces.smoothing import smoothed_surface


@dataclass(frozen=True)
class Shape:
    """Measures of a mask.

    Attributes:
        volume_ml: Of its voxels.
        area_cm2: Of its smooth surface, with veins' ends and mitral plane, which close it.
        extent_mm: Of that surface along the patient's axes: right to left, front to back, foot to head; whatever the
            directions of the scan's axes.
        sphericity: Area of the ball of the same volume, by this area: 1 for a ball, less for any other shape (Wadell,
            1935).
    """

    volume_ml: float
    area_cm2: float
    extent_mm: Triple
    sphericity: float


def shape_of(mask: Mask, geometry: Geometry) -> Shape:
    """Measure a mask (z, y, x) on its grid.

    Raises:
        MeasureError: It is empty, or on another grid.
    """
    if mask.shape != geometry.shape:
        raise MeasureError(f"the mask has {mask.shape} voxels, its grid {geometry.shape} (z, y, x); resample it first")
    if not mask.any():
        raise MeasureError("the mask is empty: there is nothing to measure; segment the scan again or draw one")
    surface = smoothed_surface(mask, geometry)
    volume_ml, area = float(mask.sum()) * geometry.voxel_ml, float(surface.areas().sum())
    x, y, z = np.ptp(surface.points, axis=0).tolist()
    ball = math.pi ** (1 / 3) * (6000 * volume_ml) ** (2 / 3)
    return Shape(volume_ml, area / 100, (x, y, z), min(ball / area, 1.0))
