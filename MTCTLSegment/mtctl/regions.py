"""The uncertain places of a segmentation, each small enough for one view, ranked by the error to be expected there.

Uncertainty is high in a thin shell along the whole border, so connected components of voxels above a threshold melt
into one. Here what is uncertain along every border is discounted and the rest cut into places, once a prediction
(`region_map`); a threshold then only chooses which voxels of each place count (`RegionMap.regions_at`): sums made in
advance are looked up, which takes about two milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.signal import fftconvolve
from scipy.spatial import KDTree

from mtctl.geometry import Geometry

FLOOR = 0.05  # voxels less uncertain than this are in no region, whatever the threshold
RADIUS_MM = 9.0  # no voxel of a region is farther from its middle: at most about 20 mm across
CELL_MM = 2.5  # places are looked for on a grid of such cells: fine against RADIUS_MM, and 64 times fewer than voxels
SMALLEST_ERROR_MM3 = 10.0  # a place or region from which less error is to be expected is dropped
MOST_REGIONS = 40  # of a list; those with the least error to be expected are left out

# Set on names 17-30 with a model trained on names 1-16. Of the voxels with entropy above 0.9 (about 10 % of the volume
# of the atrium) 52 % are wrong in the first layer inside the surface, 33 % in the first layer outside (uncertain along
# every border), 34 to 65 % farther outside, and 7 % beyond 8 mm (other vessels). Without that layer and what is far
# away, the first 10 regions hold 1.33 times the error per mL of plain components; with both 0.99.
OUTER_LAYER_MM = 0.9
REACH_MM = 5.0
CALIBRATION = 1.25  # the first 10 regions of these cases held 1.25 times the error that entropy alone promises


@dataclass(frozen=True)
class Region:
    """A place to look at.

    Attributes:
        id: Stays the same when the threshold moves; 1 had the most error to be expected at the lowest threshold.
        volume_mm3: Volume of its voxels.
        mean_uncertainty: Over its voxels.
        peak_uncertainty: Of its most uncertain voxel.
        expected_error_mm3: Volume of wrong voxels to be expected among them.
        centroid_lps: Mean position, mm.
        extent_mm: Largest side of its box along the volume's axes.
        voxels_inside: Voxels that the segmentation holds.
        voxels_outside: Voxels that it does not.
        visited: A person has looked at it.
        edited: A person has changed the segmentation there.
        accepted: A person found it right, or right after the change.
    """

    id: int
    volume_mm3: float
    mean_uncertainty: float
    peak_uncertainty: float
    expected_error_mm3: float
    centroid_lps: tuple[float, float, float]
    extent_mm: float
    voxels_inside: int
    voxels_outside: int
    visited: bool = False
    edited: bool = False
    accepted: bool = False


@dataclass(frozen=True)
class RegionMap:
    """The places of one prediction. Voxels are sorted by place, and within a place by falling uncertainty.

    Attributes:
        geometry: The volume's grid.
        voxel: Flat index of each voxel in the (z, y, x) volume.
        uncertainty: Its uncertainty.
        start: Where each place begins, and the end of the last: n_places + 1 positions.
        total: Sums from the first voxel of the place to this one (n, 6): uncertainty, expected error (voxels), voxels
            inside, index x, y, z.
        lowest: Lowest index x, y, z from the first voxel of the place to this one (n, 3).
        highest: Highest.
    """

    geometry: Geometry
    voxel: NDArray[np.int64]
    uncertainty: NDArray[np.float32]
    start: NDArray[np.int64]
    total: NDArray[np.float64]
    lowest: NDArray[np.int32]
    highest: NDArray[np.int32]

    def regions_at(self, threshold: float) -> tuple[Region, ...]:
        """The regions of voxels at least as uncertain as `threshold`, most error to be expected first.

        Left out are regions with less than SMALLEST_ERROR_MM3 of it, and all beyond the first MOST_REGIONS.
        """
        voxel_mm3 = 1000.0 * self.geometry.voxel_ml
        regions = []
        for place, (first, count) in enumerate(zip(self.start[:-1], self._counts(threshold), strict=True)):
            if not count:
                continue
            last = first + count - 1
            uncertainty, error, inside, *position = self.total[last]
            if error * voxel_mm3 < SMALLEST_ERROR_MM3:
                continue
            sides = (self.highest[last] - self.lowest[last] + 1) * np.array(self.geometry.spacing)
            x, y, z = self.geometry.index_to_physical(np.array(position) / count).tolist()
            regions.append(
                Region(
                    id=place + 1,
                    volume_mm3=float(count * voxel_mm3),
                    mean_uncertainty=float(uncertainty / count),
                    peak_uncertainty=float(self.uncertainty[first]),
                    expected_error_mm3=float(error * voxel_mm3),
                    centroid_lps=(x, y, z),
                    extent_mm=float(sides.max()),
                    voxels_inside=round(inside),
                    voxels_outside=int(count) - round(inside),
                )
            )
        regions.sort(key=lambda region: -region.expected_error_mm3)
        return tuple(regions[:MOST_REGIONS])

    def labels_at(self, threshold: float) -> NDArray[np.int32]:
        """Volume (z, y, x) with the id of its region in each voxel, 0 where there is none."""
        labels = np.zeros(self.geometry.shape, dtype=np.int32)
        listed = {region.id for region in self.regions_at(threshold)}
        for place, (first, count) in enumerate(zip(self.start[:-1], self._counts(threshold), strict=True)):
            if place + 1 in listed:
                labels.flat[self.voxel[first : first + count]] = place + 1
        return labels

    def _counts(self, threshold: float) -> list[int]:
        """How many voxels of each place are at least that uncertain."""
        limit = np.float32(threshold)
        places = [self.uncertainty[first:end] for first, end in pairwise(self.start)]
        return [len(falling) - int(np.searchsorted(falling[::-1], limit)) for falling in places]


def region_map(uncertainty: NDArray[np.float32], mask: NDArray[np.bool_], geometry: Geometry) -> RegionMap:
    """Cut the uncertain shell of a segmentation into places.

    Args:
        uncertainty: (z, y, x), 0 to 1.
        mask: The segmentation, same shape.
        geometry: Their grid.

    Raises:
        ValueError: The shapes differ.
    """
    if not uncertainty.shape == mask.shape == geometry.shape:
        raise ValueError(f"shapes {uncertainty.shape}, {mask.shape} and {geometry.shape} of the grid differ")
    mask = np.asarray(mask, dtype=bool)
    voxel = np.flatnonzero(uncertainty >= FLOOR)
    error = error_probability(uncertainty.ravel()[voxel], _depth(mask, voxel, geometry))
    voxel, error = voxel[error > 0], error[error > 0]
    value = uncertainty.ravel()[voxel].astype(np.float32)
    index = np.stack(np.unravel_index(voxel, mask.shape)[::-1], axis=1)  # x, y, z
    place = _places(index * np.array(geometry.spacing), error, 1000.0 * geometry.voxel_ml)
    order = np.lexsort((-value, place))[np.count_nonzero(place < 0) :]
    return _sorted_map(geometry, voxel[order], value[order], error[order], place[order], mask.ravel()[voxel[order]])


def error_probability(uncertainty: NDArray[np.float32], depth_mm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability that a voxel is wrong beyond what a good border has there anyway.

    It is that of the rarer class, from which the entropy comes, times CALIBRATION; 0 in the first layer outside the
    surface and farther outside than REACH_MM.

    Args:
        uncertainty: Predictive entropy / ln 2. Other measures rank regions as well, but the error is not to scale.
        depth_mm: Distance from the voxel's centre to the surface, positive inside the segmentation; same shape.
    """
    rarer = np.linspace(0.0, 0.5, 2001)[1:]
    entropy = -(rarer * np.log2(rarer) + (1 - rarer) * np.log2(1 - rarer))
    probability = CALIBRATION * np.interp(uncertainty, np.append(0.0, entropy), np.append(0.0, rarer))
    discounted = ((depth_mm < 0) & (depth_mm > -OUTER_LAYER_MM)) | (depth_mm < -REACH_MM)
    return np.where(discounted, 0.0, probability).astype(np.float32)


def _depth(mask: NDArray[np.bool_], voxel: NDArray[np.int64], geometry: Geometry) -> NDArray[np.float32]:
    """Distance from some voxels to the surface, mm, positive inside; infinite where the mask has no surface."""
    if not mask.any() or mask.all():
        return np.full(len(voxel), np.inf, dtype=np.float32)
    used = mask.copy()
    used.flat[voxel] = True
    box = tuple(
        slice(max(int(hit[0]) - 1, 0), int(hit[-1]) + 2)
        for hit in (np.flatnonzero(used.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    )
    part, spacing = mask[box], geometry.spacing[::-1]
    half = min(spacing) / 2  # the surface runs half-way between two voxel centres
    outside, inside = distance_transform_edt(~part, spacing) - half, distance_transform_edt(part, spacing) - half
    depth = np.zeros(mask.shape, dtype=np.float32)
    depth[box] = np.where(part, inside, -outside)
    return depth.ravel()[voxel]


def _places(position: NDArray[np.float64], error: NDArray[np.float32], voxel_mm3: float) -> NDArray[np.int64]:
    """The place (0, 1, ...; most expected error first) of each voxel, -1 where there is none.

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
    """Cells (m, 3) in the middle of places, taken greedily; arguments: the cell of each voxel (n, 3) and its weight."""
    reach = int(RADIUS_MM / CELL_MM)
    margin = 2 * reach  # keeps every ball, and what it changes in its neighbours, within the grid
    left = np.zeros(tuple(cell.max(axis=0, initial=0) + 1 + 2 * margin))
    np.add.at(left, tuple(cell.T + margin), weight)
    squared = ((np.indices((2 * reach + 1,) * 3) - reach) ** 2).sum(axis=0) * CELL_MM**2
    ball = squared <= RADIUS_MM**2
    kernel = ball * np.exp(-2 * squared / RADIUS_MM**2)  # the middle weighs more: a place is centred on its error
    gain = fftconvolve(left, kernel, "same")
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
        gain[changed] -= fftconvolve(taken, kernel, "full")


def _sorted_map(
    geometry: Geometry,
    voxel: NDArray[np.int64],
    uncertainty: NDArray[np.float32],
    error: NDArray[np.float32],
    place: NDArray[np.int64],
    inside: NDArray[np.bool_],
) -> RegionMap:
    """The map of voxels that are sorted by place (all numbers in use) and falling uncertainty."""
    index = np.stack(np.unravel_index(voxel, geometry.shape)[::-1], axis=1).astype(np.int32)
    total = np.column_stack((uncertainty, error, inside, index)).astype(np.float64)
    lowest, highest = index.copy(), index.copy()
    start = np.append(np.flatnonzero(np.diff(place, prepend=-1)), len(place))
    for first, end in pairwise(start):
        part = slice(first, end)
        np.cumsum(total[part], axis=0, out=total[part])
        np.minimum.accumulate(lowest[part], axis=0, out=lowest[part])
        np.maximum.accumulate(highest[part], axis=0, out=highest[part])
    return RegionMap(geometry, voxel, uncertainty, start, total, lowest, highest)
