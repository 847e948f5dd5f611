"""How good a segmentation is: the seven metrics, and the band around a surface (calibration.py judges the uncertainty).

Arrays are (z, y, x). The distances in voxels and their definitions are the literature's (medpy without spacing: HD95
symmetric, ASD directed from the prediction to the truth, surfaces of 6-connected border voxels); the same in mm stands
beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Mask = NDArray[np.bool_]
Triple = tuple[float, float, float]

#: Added to a distance that is asked for: headers round their spacing, and a tie shall not hang on that.
TIE_MM = 1e-3


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


def surface_band(mask: Mask, spacing: Triple, mm: float = 3.0) -> Mask:
    """Voxels whose centre lies within `mm` of the mask's surface, inside or outside: the band of all figures of ours.

    Distances are those of `surface_distance`. A mask without a surface (empty, or the whole volume) has an empty band.

    Args:
        mask: (z, y, x).
        spacing: Voxel size (z, y, x) in mm.
        mm: Half the band's width.
    """
    return np.isfinite(surface_distance(mask, spacing, mm))


def surface_distance(mask: Mask, spacing: Triple, most: float) -> NDArray[np.float32]:
    """Distance in mm from each voxel's centre (z, y, x) to the mask's surface, infinite beyond `most`.

    The surface is taken as the centres of the faces between mask and background, half a voxel from the centres beside
    them; exact for these points. A band of 3 mm around a ball then has 0.97 to 1.08 times its true volume on voxels of
    0.6 to 2.5 mm, where distances to the centres of the other side give 0.86 to 0.94 and leave slices of 4 mm none.

    Args:
        mask: (z, y, x).
        spacing: Voxel size (z, y, x) in mm.
        most: mm. Meant for a few voxels: the time grows with it.
    """
    mask = np.asarray(mask, dtype=bool)
    found = np.full(mask.shape, np.inf, dtype=np.float32)
    if not mask.any():
        return found
    most += TIE_MM
    steps = [(np.arange(int(most / step) + 1) * step).astype(np.float32) ** 2 for step in spacing]
    halves = [((np.arange(int(most / step + 0.5)) + 0.5) * step).astype(np.float32) ** 2 for step in spacing]
    box = _bounding_box(mask, [len(half) for half in halves])
    inside, far = mask[box], np.float32(4 * most**2)
    squared = np.full(inside.shape, far)
    for across in range(3):
        faces = np.moveaxis(np.diff(inside, axis=across), across, 0)
        part = np.full_like(squared, far)
        goal = np.moveaxis(part, across, 0)
        for apart, half in enumerate(halves[across][: len(faces)]):
            after, before = goal[apart + 1 :], goal[: len(faces) - apart]
            after[faces[: len(faces) - apart] & (after > half)] = half
            before[faces[apart:] & (before > half)] = half
        for axis in {0, 1, 2} - {across}:
            part = _spread(part, axis, steps[axis])
        np.minimum(squared, part, out=squared)
    found[box] = np.where(squared <= most**2, np.sqrt(squared), np.inf)
    return found


def voxel_band(mask: Mask, voxels: int = 5) -> Mask:
    """Voxels within `voxels` either side of the mask's surface: the literature's "5-voxel band".

    Counted in voxels whatever their size, between centres: a voxel inside belongs to it when some outside voxel is that
    near (Euclidean), and the other way round. A mask without a surface has an empty band.
    """
    mask = np.asarray(mask, dtype=bool)
    band = np.zeros_like(mask)
    if mask.any():
        box = _bounding_box(mask, (voxels,) * 3)
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


def _bounding_box(mask: Mask, margin: Sequence[int] = (0, 0, 0)) -> tuple[slice, ...]:
    box = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(max(int(used[0]) - margin[axis], 0), int(used[-1]) + margin[axis] + 1))
    return tuple(box)


def _surface_points(mask: Mask) -> NDArray[np.float64]:
    """Indices (n, 3) of the mask's voxels with a 6-neighbour outside it or outside the volume."""
    box = _bounding_box(mask)
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
    """True within `voxels` of a voxel of `target`."""
    squared = np.where(target, 0, voxels * voxels + 1).astype(np.uint16)
    for axis in range(3):
        squared = _spread(squared, axis, np.arange(voxels + 1, dtype=np.uint16) ** 2)
    return squared <= voxels * voxels


def _spread(squared: NDArray[Any], axis: int, steps: NDArray[Any]) -> NDArray[Any]:
    """Squared distances (z, y, x) with those along one more axis, on which 0, 1, ... voxels are `steps` (squared)."""
    source, result = np.moveaxis(squared, axis, 0), squared.copy()
    goal = np.moveaxis(result, axis, 0)
    for apart in range(1, min(len(steps), len(goal))):
        np.minimum(goal[apart:], source[:-apart] + steps[apart], out=goal[apart:])
        np.minimum(goal[:-apart], source[apart:] + steps[apart], out=goal[:-apart])
    return result
