"""Cut weighted voxels of a volume into places, each small enough for one view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from mtctl.uncertainty.convolution import convolved

SMALLEST_ERROR_MM3 = 20.0  # a place from which less error is to be expected is none
RADIUS_MM = 12.0  # no point of a place is farther from its middle: at most about 25 mm across
CELL_MM = 2.5  # places are looked for on a grid of such cells: fine against RADIUS_MM, and 32 times fewer than voxels


def partition(position: NDArray[np.float64], error: NDArray[np.float32], voxel_mm3: float) -> NDArray[np.int64]:
    """Return the place (0, 1, ...; most expected error first) of each voxel, -1 where there is none.

    Places are balls of RADIUS_MM, taken one after the other where the most expected error is left; a voxel in several
    belongs to the one with the nearest middle.

    Args:
        position: x, y, z of each voxel (n, 3), mm.
        error: Weight of each voxel.
        voxel_mm3: Volume of a voxel.
    """
    if not len(error):
        return np.zeros(0, dtype=np.int64)
    corner = position.min(axis=0)
    cell = ((position - corner) / CELL_MM).astype(np.int64)
    middles = corner + CELL_MM * (_middles(cell, error * voxel_mm3) + 0.5)
    if not len(middles):
        return np.full(len(error), -1, dtype=np.int64)
    distance, nearest = KDTree(middles).query(position, distance_upper_bound=RADIUS_MM)
    place = np.where(np.isfinite(distance), nearest, -1)
    sums = np.bincount(place + 1, weights=error, minlength=len(middles) + 1)[1:]
    rank = np.append(np.argsort(np.argsort(-sums, kind="stable")), -1)  # the last for place -1
    return rank[place].astype(np.int64)


def _middles(cell: NDArray[np.int64], weight: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the cells (m, 3) in the middle of places, taken greedily.

    Arguments: the cell of each voxel (n, 3) and its weight.
    """
    reach = int(RADIUS_MM / CELL_MM)
    margin = 2 * reach  # keeps every ball, and what it changes in its neighbours, within the grid
    shape = tuple(cell.max(axis=0, initial=0) + 1 + 2 * margin)
    flat = np.ravel_multi_index(tuple(cell.T + margin), shape)
    left = np.bincount(flat, weights=weight, minlength=int(np.prod(shape))).reshape(shape)
    squared = ((np.indices((2 * reach + 1,) * 3) - reach) ** 2).sum(axis=0) * CELL_MM**2
    ball = squared <= RADIUS_MM**2
    kernel = ball * np.exp(-2 * squared / RADIUS_MM**2)  # the middle weighs more: a place is centred on its error
    inner = (slice(reach, -reach),) * 3
    gain = convolved(left, kernel)[inner]
    candidates = gain[margin:-margin, margin:-margin, margin:-margin]
    middles: list[NDArray[np.int64]] = []
    while True:
        middle = np.array(np.unravel_index(int(candidates.argmax()), candidates.shape))
        around = tuple(slice(i + margin - reach, i + margin + reach + 1) for i in middle)
        taken = left[around] * ball
        if taken.sum() < SMALLEST_ERROR_MM3:
            return np.array(middles, dtype=np.int64).reshape(-1, 3)
        middles.append(middle)
        left[around] -= taken
        changed = tuple(slice(i + margin - 2 * reach, i + margin + 2 * reach + 1) for i in middle)
        gain[changed] -= convolved(taken, kernel)
