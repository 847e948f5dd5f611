"""How good a segmentation is: the seven metrics (`uncertainty_metrics` judges the uncertainty).

Arrays are (z, y, x). The distances in voxels and their definitions are the literature's (medpy without spacing: HD95
symmetric, ASD directed from the prediction to the truth, surfaces of 6-connected border voxels); the same in mm stands
beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from mtctl.geometry import Mask, Triple
from mtctl.masks import bounding_box, same_shape


@dataclass(frozen=True)
class SegmentationMetrics:
    """The seven figures of one case: HD95 and ASD in the literature's voxels and in millimetres, the rest as fractions.

    `ravd` is signed: (|prediction| - |truth|) / |truth|, negative when too little was segmented.
    """

    dice: float
    jaccard: float
    hd95_voxel: float
    asd_voxel: float
    hd95_mm: float
    asd_mm: float
    ravd: float
    precision: float
    recall: float


def segmentation_metrics(prediction: Mask, truth: Mask, spacing: Triple) -> SegmentationMetrics:
    """Compare a mask with the true one.

    Empty masks have defined figures. Both empty: perfect agreement (overlaps 1, distances and RAVD 0). One empty:
    overlaps, precision and recall 0; HD95 and ASD the volume's diagonal, the greatest distance that it allows (the
    literature's 0 would be the best possible figure for the worst possible result); RAVD -1 where nothing was segmented
    and infinite where there was nothing to segment, so that no mean passes over it in silence.

    Args:
        prediction: Mask (z, y, x).
        truth: Mask of the same shape.
        spacing: Voxel size (z, y, x) in mm.

    Raises:
        ValueError: The shapes differ or are not 3-D.
    """
    prediction, truth = same_shape(prediction, truth)
    predicted, true = int(prediction.sum()), int(truth.sum())
    common = int((prediction & truth).sum())
    if not predicted and not true:
        return SegmentationMetrics(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0)
    voxel = np.ones(3)
    mm = np.asarray(spacing, dtype=float)
    if not predicted or not true:
        last = np.array(prediction.shape) - 1.0
        diagonal, diagonal_mm = float(np.linalg.norm(last)), float(np.linalg.norm(last * mm))
        ravd = -1.0 if true else float("inf")
        return SegmentationMetrics(0.0, 0.0, diagonal, diagonal, diagonal_mm, diagonal_mm, ravd, 0.0, 0.0)
    surfaces = _surface_points(prediction), _surface_points(truth)
    hd95_voxel, asd_voxel = _surface_distances(*surfaces, voxel)
    if np.ptp(mm) == 0:
        hd95_mm, asd_mm = hd95_voxel * float(mm[0]), asd_voxel * float(mm[0])
    else:
        hd95_mm, asd_mm = _surface_distances(*surfaces, mm)
    return SegmentationMetrics(
        dice=2 * common / (predicted + true),
        jaccard=common / (predicted + true - common),
        hd95_voxel=hd95_voxel,
        asd_voxel=asd_voxel,
        hd95_mm=hd95_mm,
        asd_mm=asd_mm,
        ravd=(predicted - true) / true,
        precision=common / predicted,
        recall=common / true,
    )


def dice(prediction: Mask, truth: Mask) -> float:
    """Return the Dice coefficient of two masks of one shape; 1 when both are empty, 0 when one is.

    Raises:
        ValueError: The shapes differ or are not 3-D.
    """
    prediction, truth = same_shape(prediction, truth)
    total = int(prediction.sum()) + int(truth.sum())
    return 2 * int((prediction & truth).sum()) / total if total else 1.0


def _surface_points(mask: Mask) -> NDArray[np.float64]:
    """Return the indices (n, 3) of the mask's voxels with a 6-neighbour outside it or outside the volume."""
    box = bounding_box(mask)
    padded = np.pad(mask[box], 1)
    core = padded[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for step in (-1, 1):
            core &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
    corner = np.array([part.start for part in box])
    points: NDArray[np.float64] = (np.argwhere(mask[box] & ~core) + corner).astype(np.float64)
    return points


def _surface_distances(
    predicted: NDArray[np.float64], true: NDArray[np.float64], scale: NDArray[np.float64]
) -> tuple[float, float]:
    """Return HD95 (symmetric) and ASD (predicted -> true)."""
    # Trees of the few surface voxels: as exact as two distance transforms of the volume, and ten times faster.
    predicted, true = predicted * scale, true * scale
    to_true = KDTree(true).query(predicted)[0]
    to_predicted = KDTree(predicted).query(true)[0]
    return float(np.percentile(np.concatenate((to_true, to_predicted)), 95)), float(to_true.mean())
