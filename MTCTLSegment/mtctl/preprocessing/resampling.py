"""Volumes onto the network's grid and results back onto the scan's grid, by linear interpolation.

Both ways go through the map of voxel indices "source = matrix @ target + offset". Where it only permutes, flips and
shifts by whole voxels, values are copied, bit by bit; everything else is ITK's linear interpolation between voxel
centres, constant over the outer half voxel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.geometry import IDENTITY, Geometry, Map, Mask, Volume
from mtctl.preprocessing.network_grid import SAME_VOXEL

# Mean variance, in squared voxels, by which linear interpolation itself blurs: that of a weight drawn between two
# neighbours at a random place.
_INTERPOLATION_VARIANCE = 1 / 6

# ITK's result and ours exist side by side; slabs of 32 MB keep the second one small.
_SLAB_VOXELS = 1 << 23

# Index maps are rounded, so that the order and direction of a file's axes cannot change the last bit of a weight. Over
# 640 voxels both roundings together are a millionth of a voxel.
_MATRIX_DIGITS = 9
_OFFSET_DIGITS = 6

_Shape = tuple[int, int, int]


def to_grid(volume: Volume, grid: Geometry) -> tuple[Map, Mask | None]:
    """Sample a scan on `grid`.

    Along axes where the scan is finer than the grid by more than 1.4 it is first blurred to the grid's resolution: a
    Gaussian that, with the interpolation, takes the half-width of a scan voxel to that of a grid voxel.

    Returns:
        The values, float32 (z, y, x) on `grid`, and which of them lie inside the scan (None: all). Those outside
        get the scan's minimum: a flat dark as in air and lung. Repeating the edge would draw streaks like vessels.
    """
    index_map = _IndexMap.between(grid, volume.geometry)
    source, index_map = index_map.with_oriented_source(volume.array)
    # Row norm: scan voxels a grid step.
    ratios = np.linalg.norm(index_map.matrix, axis=1)
    sigmas = [math.sqrt(max((r * r - 1) / (8 * math.log(2)) - _INTERPOLATION_VARIANCE, 0.0)) for r in ratios]
    source, index_map = index_map.cropped(source, grid.shape, margin=2 + math.ceil(4 * max(sigmas)))
    source = source.astype(np.float32, copy=False)
    for axis, sigma in zip((2, 1, 0), sigmas, strict=True):
        if sigma:
            source = ndimage.gaussian_filter1d(source, sigma, axis=axis, mode="nearest")
    array = _sample(source, index_map, grid.shape, float("nan"))
    outside = np.isnan(array)
    if not outside.any():
        return array, None
    array[outside] = volume.array.min()
    return array, ~outside


def from_grid(array: NDArray[Any], grid: Geometry, target: Geometry, fill: float) -> Map:
    """Bring a result from `grid` onto the `target` grid.

    Only the part of the target that `grid` covers is interpolated, so a small region of a large scan costs little.

    Args:
        array: (z, y, x) on `grid`.
        grid: Where the network worked.
        target: The grid of the scan.
        fill: Value of the target's voxels outside `grid`.

    Returns:
        float32 (z, y, x) on `target`.
    """
    result = np.full(target.shape, fill, dtype=np.float32)
    view, index_map = _IndexMap.between(target, grid).with_oriented_target(result)
    start, stop = index_map.covered(array.shape, view.shape)
    if min(b - a for a, b in zip(start, stop, strict=True)) > 0:
        part = view[start[2] : stop[2], start[1] : stop[1], start[0] : stop[0]]
        part[:] = _sample(array, index_map.shifted(start), part.shape, fill)
    return result


@dataclass(frozen=True)
class _IndexMap:
    """Source index = matrix @ target index + offset, both in x, y, z order."""

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]

    @classmethod
    def between(cls, target: Geometry, source: Geometry) -> _IndexMap:
        inverse = np.linalg.inv(source.matrix) / np.array(source.spacing)[:, None]
        matrix = inverse @ (target.matrix * target.spacing)
        # The smaller of the two grids bounds how far the map is ever used.
        reach = np.array(target.size) - 1.0
        for row in matrix:
            main = np.abs(row).argmax()
            row[np.arange(3) != main] *= float(np.abs(row * reach).sum() - abs(row[main] * reach[main]) > SAME_VOXEL)
        return cls(matrix.round(_MATRIX_DIGITS), source.physical_to_index(target.origin).round(_OFFSET_DIGITS))

    def with_oriented_source(self, array: NDArray[Any]) -> tuple[NDArray[Any], _IndexMap]:
        """Return a view of the source with axes in the target's order and directions, and the map to it."""
        rows = np.abs(self.matrix).argmax(axis=0)  # for each target axis the source axis that runs most along it
        if len(set(rows.tolist())) < 3:
            return array, self
        view = array.transpose([2 - rows[axis] for axis in (2, 1, 0)])
        matrix, offset = self.matrix[rows], self.offset[rows]
        for axis in range(3):
            if matrix[axis, axis] < 0:
                view = np.flip(view, 2 - axis)
                matrix[axis], offset[axis] = -matrix[axis], view.shape[2 - axis] - 1 - offset[axis]
        return view, _IndexMap(matrix, offset)

    def with_oriented_target(self, array: NDArray[Any]) -> tuple[NDArray[Any], _IndexMap]:
        """Return a view of the target with axes in the source's order and directions, and the map from it."""
        columns = np.abs(self.matrix).argmax(axis=1)  # for each source axis the target axis that runs most along it
        if len(set(columns.tolist())) < 3:
            return array, self
        view = array.transpose([2 - columns[axis] for axis in (2, 1, 0)])
        matrix, offset = self.matrix[:, columns], self.offset.copy()
        for axis in range(3):
            if matrix[axis, axis] < 0:
                view = np.flip(view, 2 - axis)
                offset += matrix[:, axis] * (view.shape[2 - axis] - 1)
                matrix[:, axis] *= -1
        return view, _IndexMap(matrix, offset.round(_OFFSET_DIGITS))

    def cropped(self, array: NDArray[Any], target: _Shape, margin: int) -> tuple[NDArray[Any], _IndexMap]:
        """Return the part of the source that the target's voxels need, with a margin, and the map to it."""
        corners = np.array(list(product(*[(0, count - 1) for count in reversed(target)])))
        reached = corners @ self.matrix.T + self.offset
        size = np.array(array.shape[::-1])
        start = np.clip(np.floor(reached.min(axis=0)).astype(int) - margin, 0, size - 1)
        stop = np.clip(np.ceil(reached.max(axis=0)).astype(int) + margin + 1, start + 1, size)
        part = array[start[2] : stop[2], start[1] : stop[1], start[0] : stop[0]]
        return part, _IndexMap(self.matrix, self.offset - start)

    def covered(self, source: _Shape, target: _Shape) -> tuple[list[int], list[int]]:
        """Return the first and last + 1 index (x, y, z) of the box of target voxels that the source may reach."""
        corners = np.array(list(product(*[(-0.5, count - 0.5) for count in reversed(source)])))
        reached = (corners - self.offset) @ np.linalg.inv(self.matrix).T
        size = np.array(target[::-1])
        start = np.clip(np.floor(reached.min(axis=0)).astype(int), 0, size)
        stop = np.clip(np.ceil(reached.max(axis=0)).astype(int) + 1, 0, size)
        return start.tolist(), stop.tolist()

    def shifted(self, start: list[int]) -> _IndexMap:
        """Return the map for target indices that count from `start`."""
        return _IndexMap(self.matrix, self.matrix @ np.array(start) + self.offset)

    def whole_voxels(self, target: _Shape) -> tuple[int, int, int] | None:
        """Return the offset in whole voxels where the map is nothing else, to within `SAME_VOXEL` over the target."""
        shift = self.offset.round()
        reach = np.array(target[::-1]) - 1.0
        error = np.abs(self.matrix - np.eye(3)) @ reach + np.abs(self.offset - shift)
        return None if error.max() > SAME_VOXEL else (int(shift[0]), int(shift[1]), int(shift[2]))


def _sample(source: NDArray[Any], index_map: _IndexMap, shape: _Shape, fill: float) -> Map:
    """Return the values (z, y, x) of `source` at every target index; `fill` more than half a voxel outside of it."""
    shift = index_map.whole_voxels(shape)
    if shift is not None:
        result = np.full(shape, fill, dtype=np.float32)
        here: list[slice] = []
        there: list[slice] = []
        for count, available, first in zip(shape, source.shape, reversed(shift), strict=True):
            low, high = max(0, -first), min(count, available - first)
            if low >= high:
                return result
            here.append(slice(low, high))
            there.append(slice(low + first, high + first))
        result[tuple(here)] = source[tuple(there)]
        return result
    image = sitk.GetImageFromArray(np.ascontiguousarray(source, dtype=np.float32))
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(index_map.matrix.ravel().tolist())
    result = np.empty(shape, dtype=np.float32)
    slab = max(1, _SLAB_VOXELS // (shape[1] * shape[2]))
    for first in range(0, shape[0], slab):
        part = result[first : first + slab]
        transform.SetTranslation(index_map.shifted([0, 0, first]).offset.tolist())
        sampled = sitk.Resample(
            image,
            part.shape[::-1],
            transform,
            sitk.sitkLinear,
            (0.0, 0.0, 0.0),
            (1.0, 1.0, 1.0),
            IDENTITY,
            fill,
            sitk.sitkFloat32,
        )
        part[:] = sitk.GetArrayViewFromImage(sampled)
    return result
