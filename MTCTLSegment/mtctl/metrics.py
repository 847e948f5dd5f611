"""How good a segmentation is: the seven metrics, and the band around a surface (calibration.py judges the uncertainty).

Arrays are (z, y, x). The distances in voxels and their definitions are the literature's (medpy without spacing: HD95
symmetric, ASD directed from the prediction to the truth, surfaces of 6-connected border voxels); the same in mm stands
beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Mask = NDArray[np.bool_]


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


def segmentation_metrics(prediction: Mask, truth: Mask, spacing: tuple[float, float, float]) -> SegmentationMetrics:
    """Compare a mask with the true one.

    Empty masks get the value that flatters nobody. Both empty: perfect agreement (overlaps 1, distances and RAVD 0).
    One empty: overlaps, precision and recall 0; HD95 and ASD the volume's diagonal, the greatest distance that it
    allows (the literature's 0 would be the best possible figure for the worst possible result); RAVD -1 where nothing
    was segmented and infinite where there was nothing to segment, so that no mean passes over it in silence.

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
    """Dice coefficient of two masks of one shape; 1 when both are empty, 0 when one is.

    Raises:
        ValueError: The shapes differ or are not 3-D.
    """
    prediction, truth = same_shape(prediction, truth)
    total = int(prediction.sum()) + int(truth.sum())
    return 2 * int((prediction & truth).sum()) / total if total else 1.0


def surface_band(mask: Mask, voxels: int = 5) -> Mask:
    """Voxels within `voxels` (Euclidean, in voxels) either side of the mask's surface: the "5-voxel band".

    A voxel inside belongs to it when some outside voxel is that near, and the other way round. A mask without a surface
    (empty, or the whole volume) has an empty band.
    """
    mask = np.asarray(mask, dtype=bool)
    band = np.zeros_like(mask)
    if mask.any():
        box = _bounding_box(mask, margin=voxels)
        inside = mask[box]
        band[box] = np.where(inside, _near(~inside, voxels), _near(inside, voxels))
    return band


def same_shape(prediction: Mask, truth: Mask) -> tuple[Mask, Mask]:
    """Both as boolean arrays.

    Raises:
        ValueError: The shapes differ or are not 3-D.
    """
    prediction, truth = np.asarray(prediction, dtype=bool), np.asarray(truth, dtype=bool)
    if prediction.shape != truth.shape or prediction.ndim != 3:
        raise ValueError(f"two 3-D masks of one shape are needed, not {prediction.shape} and {truth.shape}")
    return prediction, truth


def _bounding_box(mask: Mask, margin: int) -> tuple[slice, ...]:
    box = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(max(int(used[0]) - margin, 0), int(used[-1]) + margin + 1))
    return tuple(box)


def _surface_points(mask: Mask) -> NDArray[np.float64]:
    """Indices (n, 3) of the mask's voxels with a 6-neighbour outside it or outside the volume."""
    box = _bounding_box(mask, margin=0)
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
    """HD95 (symmetric) and ASD (predicted -> true)."""
    # Trees of the few surface voxels: as exact as two distance transforms of the volume, and ten times faster.
    predicted, true = predicted * scale, true * scale
    to_true = KDTree(true).query(predicted)[0]
    to_predicted = KDTree(predicted).query(true)[0]
    return float(np.percentile(np.concatenate((to_true, to_predicted)), 95)), float(to_true.mean())


def _near(target: Mask, voxels: int) -> Mask:
    """True within `voxels` of a voxel of `target`: squared distances, capped above the limit, axis after axis."""
    limit = voxels * voxels
    squared = np.where(target, 0, limit + 1).astype(np.uint16)
    for axis in range(3):
        source, squared = np.moveaxis(squared, axis, 0), squared.copy()
        goal = np.moveaxis(squared, axis, 0)
        for step in range(1, min(voxels, len(goal) - 1) + 1):
            np.minimum(goal[step:], source[:-step] + step * step, out=goal[step:])
            np.minimum(goal[:-step], source[step:] + step * step, out=goal[:-step])
    return squared <= limit
