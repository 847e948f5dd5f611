"""A simulated reader who clicks on errors, a little off, as readers do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.geometry import Map, Triple
from mtctl.guidance.simulated_reader import MOST_OFF_MM, OFF_MM, error_depth

#: Errors farther than this from the middle of what the network sees belong to another answer, mm.
_NEAR_MM = 25.0

#: A click far from any error confirms what is there already.
_CONFIRMING_MM = (3.0, 12.0)

_STROKE_FRACTION = 0.2


@dataclass(frozen=True)
class Answered:
    """Clicks of one answer.

    Attributes:
        clicks: Indices (z, y, x), fractions allowed.
        inside: Whether they say that this is atrium.
        about: (z, y, x) bool: the error that they are about.
    """

    clicks: list[NDArray[np.float64]]
    inside: bool
    about: NDArray[np.bool_]


def answer_error(mask: NDArray[np.bool_], truth: NDArray[np.bool_], voxel_mm: Triple, rng: np.random.Generator
                 ) -> Answered | None:  # fmt: skip
    """Click, or draw a stroke, on an error near the middle of a patch; None where there is none worth it.

    Args:
        mask: (z, y, x), the answer so far.
        truth: The same.
        voxel_mm: (z, y, x) size of the voxels.
        rng: Draws place and offset.
    """
    wrong = mask != truth
    depth = error_depth(wrong, voxel_mm) * (_from_middle_mm(mask.shape, voxel_mm) < _NEAR_MM)
    if depth.max() < 1.5 * min(voxel_mm):
        return None
    if rng.random() < 0.7:
        place = int(depth.argmax())
    else:
        likely = depth.reshape(-1).astype(np.float64) ** 2
        place = int(rng.choice(likely.size, p=likely / likely.sum()))
    index = np.unravel_index(place, mask.shape)
    inside = bool(truth[index])
    pieces, _ = ndimage.label(wrong & (truth == inside))
    about = pieces == pieces[index]
    clicks = [_off(np.array(index), truth, voxel_mm, rng)]
    if rng.random() < _STROKE_FRACTION:
        around = np.argwhere(about & (depth > 0.8 * min(voxel_mm)))
        near = around[np.linalg.norm((around - np.array(index)) * voxel_mm, axis=1) < 12.0]
        drawn = rng.choice(len(near), min(len(near), int(rng.integers(3, 12))), replace=False)
        clicks += [near[i].astype(np.float64) for i in drawn]
    return Answered(clicks, inside, about)


def confirm(mask: NDArray[np.bool_], distance_mm: Map, voxel_mm: Triple, rng: np.random.Generator) -> Answered | None:
    """Click near the border on what is right already, near the middle of a patch; None where nothing is.

    Args:
        mask: (z, y, x), the answer so far.
        distance_mm: (z, y, x) to the true surface, positive inside.
        voxel_mm: (z, y, x) size of the voxels.
        rng: Draws the place.
    """
    low, high = _CONFIRMING_MM
    away = np.abs(distance_mm)
    right = (mask == (distance_mm > 0)) & (away > low) & (away < high)
    where = np.argwhere(right & (_from_middle_mm(mask.shape, voxel_mm) < _NEAR_MM))
    if not len(where):
        return None
    index = where[int(rng.integers(len(where)))]
    return Answered([index.astype(np.float64)], bool(mask[tuple(index)]), np.zeros(mask.shape, bool))


def _off(index: NDArray[np.integer], truth: NDArray[np.bool_], voxel_mm: Triple, rng: np.random.Generator
         ) -> NDArray[np.float64]:  # fmt: skip
    """Return a place near `index`, on the same side of the true surface."""
    shift = rng.normal(0, OFF_MM, 3).clip(-MOST_OFF_MM, MOST_OFF_MM) / np.array(voxel_mm)
    moved = np.clip(index + shift, 0, np.array(truth.shape) - 1)
    if truth[tuple(np.round(moved).astype(int))] != truth[tuple(index)]:
        return index.astype(np.float64)
    return np.asarray(moved, np.float64)


def _from_middle_mm(shape: tuple[int, ...], voxel_mm: Triple) -> Map:
    z, y, x = (((np.arange(n) - (n - 1) / 2) * step) ** 2 for n, step in zip(shape, voxel_mm, strict=True))
    return np.asarray(np.sqrt(z[:, None, None] + y[:, None] + x), np.float32)
