"""The uncertain places of a segmentation, each small enough for one view, ranked by the error to be expected there.

Uncertainty is high in a thin shell along the whole border, so connected components of voxels above a threshold melt
into one. Here what is uncertain along every border is discounted and the rest cut into places, once a prediction
(`region_map`); a threshold then only chooses which voxels of each place count (`RegionMap.regions_at`): sums made in
advance are looked up, which takes about two milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, maximum_filter

from mtctl.geometry import Geometry, Mask
from mtctl.masks import surface_distance
from mtctl.uncertainty.partition import SMALLEST_ERROR_MM3, partition

FLOOR = 0.05  # voxels less uncertain than this are in no region, whatever the threshold
MOST_REGIONS = 40  # of a list; those with the least error to be expected are left out

# Set in true millimetres on names 17-30, with the maps of a model trained on names 1-16 (on the squashed grid of then;
# five views, calibrated) put on the scans' true grid. Of the voxels with entropy above 0.9 (18 mL a case, 17 % of the
# atrium) 44 % are wrong in the first layer inside the surface, 36 % in the first layer outside, above and beside the
# atrium alike (uncertain along every border), 44 to 75 % farther outside, up to 14 mm, and 22 % beyond that (other
# vessels). A reach of 5, 8, 10 or 14 mm makes no difference to the list's gain; 10 mm hold what the 5 mm of the
# squashed grid held above and below.
# A voxel of that layer is kept where one beyond it is in doubt as well: else a person who adds what lies outside would
# leave a gap. An oracle that sets right the 20 mL that the list then holds gains 3.7 points of Dice, without the whole
# layer 3.3, with all of it 3.8.
OUTER_LAYER_MM = 0.9
REACH_MM = 10.0


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
    """The places of one prediction. Voxels are sorted by place, and within a place by falling level.

    Attributes:
        geometry: The volume's grid.
        voxel: Flat index of each voxel in the (z, y, x) volume.
        level: The highest threshold at which it counts: its uncertainty, or less in the first layer outside.
        peak: Highest uncertainty from the first voxel of the place to this one.
        start: Where each place begins, and the end of the last: n_places + 1 positions.
        total: Sums from the first voxel of the place to this one (n, 6): uncertainty, expected error (voxels), voxels
            inside, index x, y, z.
        lowest: Lowest index x, y, z from the first voxel of the place to this one (n, 3).
        highest: Highest.
    """

    geometry: Geometry
    voxel: NDArray[np.int64]
    level: NDArray[np.float32]
    peak: NDArray[np.float32]
    start: NDArray[np.int64]
    total: NDArray[np.float64]
    lowest: NDArray[np.int32]
    highest: NDArray[np.int32]

    def regions_at(self, threshold: float) -> tuple[Region, ...]:
        """Return the regions of voxels at least as uncertain as `threshold`, most error to be expected first.

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
                    peak_uncertainty=float(self.peak[last]),
                    expected_error_mm3=float(error * voxel_mm3),
                    centroid_lps=(x, y, z),
                    extent_mm=float(sides.max()),
                    voxels_inside=round(inside),
                    voxels_outside=int(count) - round(inside),
                )
            )
        regions.sort(key=lambda region: -region.expected_error_mm3)
        return tuple(regions[:MOST_REGIONS])

    def threshold_for(self, ml: float) -> float:
        """Return the lowest threshold, in hundredths, at which the regions hold no more than `ml`.

        1 where there is none.
        """
        low, high = 0, 100
        while low < high:
            middle = (low + high) // 2
            listed = sum(region.volume_mm3 for region in self.regions_at(middle / 100))
            low, high = (low, middle) if listed <= 1000.0 * ml else (middle + 1, high)
        return high / 100

    def voxels_at(self, region: int, threshold: float) -> NDArray[np.int64]:
        """Return the flat indices of the voxels of the region with that id."""
        first, end = self.start[region - 1], self.start[region]
        return self.voxel[first : first + _reaching(self.level[first:end], threshold)]

    def labels_at(self, threshold: float) -> NDArray[np.int32]:
        """Return a volume (z, y, x) with the id of its region in each voxel, 0 where there is none."""
        labels = np.zeros(self.geometry.shape, dtype=np.int32)
        for region in self.regions_at(threshold):
            labels.flat[self.voxels_at(region.id, threshold)] = region.id
        return labels

    def save(self, path: Path) -> None:
        """Write the regions, but not their grid, which the reader knows.

        Raises:
            OSError: The disk is full, or the folder gone.
        """
        arrays = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "geometry"}
        with open(path, "wb") as stream:
            np.savez(stream, **arrays)

    @classmethod
    def load(cls, path: Path, geometry: Geometry) -> RegionMap:
        """Read what `save` wrote about a volume on that grid.

        Raises:
            OSError, ValueError: The file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(rounded(geometry), **arrays)
        except (TypeError, BadZipFile) as error:
            raise ValueError(f"{path.name} is damaged: {error}") from error

    def _counts(self, threshold: float) -> list[int]:
        """Return how many voxels of each place reach it."""
        return [_reaching(self.level[first:end], threshold) for first, end in pairwise(self.start)]


def region_map(
    uncertainty: NDArray[np.float32],
    mask: Mask,
    geometry: Geometry,
    outline: Mask | None = None,
) -> RegionMap:
    """Cut the uncertain shell of a segmentation into places.

    Args:
        uncertainty: (z, y, x), 0 to 1.
        mask: The segmentation, same shape.
        geometry: Their grid.
        outline: The mask whose surface tells how far outside a voxel lies; None for `mask`.

    Raises:
        ValueError: The shapes differ.
    """
    if not uncertainty.shape == mask.shape == geometry.shape:
        raise ValueError(f"shapes {uncertainty.shape}, {mask.shape} and {geometry.shape} of the grid differ")
    geometry = rounded(geometry)
    mask = np.asarray(mask, dtype=bool)
    outline = mask if outline is None else np.asarray(outline, dtype=bool)
    box = _box(outline, uncertainty >= FLOOR, geometry.spacing)
    doubt = uncertainty[box].astype(np.float32)
    level, layer = _levels(doubt, outline[box], geometry)
    index = np.argwhere(level >= FLOOR)
    inside_box = tuple(index.T)
    doubt, level = doubt[inside_box], level[inside_box]
    error = np.where(layer[inside_box], np.float32(0), error_probability(doubt))
    index += [part.start for part in box]
    place = partition(index[:, ::-1] * np.array(geometry.spacing), error, 1000.0 * geometry.voxel_ml)
    order = np.lexsort((-level, place))[np.count_nonzero(place < 0) :]
    index = index[order]
    facts = (doubt[order], error[order], mask[tuple(index.T)], index[:, ::-1].astype(np.int32))
    return _sorted_map(geometry, level[order], place[order], *facts)


def rounded(geometry: Geometry) -> Geometry:
    """Return a grid as regions take it: those that come back from a file or from Slicer differ in the last digits."""
    x, y, z = (round(step, 6) for step in geometry.spacing)
    return replace(geometry, spacing=(x, y, z))


def error_probability(uncertainty: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability that a voxel is wrong: that of the rarer class, from which the entropy comes.

    As it is: of calibrated entropy the first 10 regions hold 0.99 times the error that it promises (names 17-30).

    Args:
        uncertainty: Predictive entropy / ln 2. Other measures rank regions as well, but the error is not to scale.
    """
    rarer = np.linspace(0.0, 0.5, 2001)[1:]
    entropy = -(rarer * np.log2(rarer) + (1 - rarer) * np.log2(1 - rarer))
    return np.interp(uncertainty, np.append(0.0, entropy), np.append(0.0, rarer)).astype(np.float32)


def _box(outline: Mask, doubtful: Mask, spacing: tuple[float, ...]) -> tuple[slice, ...]:
    """Return the smallest box of all voxels that can be in a region, with a voxel around.

    Empty where there are none.
    """
    mask, margin = (outline, REACH_MM) if outline.any() else (doubtful, 0.0)
    sides = []
    for axis, step in enumerate(spacing[::-1]):
        hit = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        more = int(margin / step) + 2
        sides.append(slice(max(int(hit[0]) - more, 0), int(hit[-1]) + more + 1) if len(hit) else slice(0, 0))
    return tuple(sides)


def _zones(mask: Mask, geometry: Geometry) -> tuple[Mask, Mask]:
    """Return the first layer outside the mask, and where voxels count at all: within REACH_MM of the mask.

    The layer is what touches the mask (26 neighbours) or lies within OUTER_LAYER_MM of its surface: one voxel on most
    grids, several on fine ones. Without a surface there is no layer, and everything counts.
    """
    if not mask.any() or mask.all():
        return np.zeros_like(mask), np.ones_like(mask)
    x, y, z = geometry.spacing
    distance = surface_distance(mask, (z, y, x), REACH_MM)
    touching = binary_dilation(mask, np.ones((3, 3, 3), dtype=bool))
    return ~mask & (touching | (distance < OUTER_LAYER_MM)), mask | np.isfinite(distance)


def _levels(uncertainty: NDArray[np.float32], mask: Mask, geometry: Geometry) -> tuple[NDArray[np.float32], Mask]:
    """Return the highest threshold at which each voxel counts (z, y, x), and the first layer outside the mask.

    The level is the uncertainty; nothing beyond REACH_MM; in the layer no more than that of the most uncertain voxel
    beyond it that is as near as the layer is thick.
    """
    layer, counts = _zones(mask, geometry)
    level = np.where(counts, uncertainty, np.float32(0))
    beyond = np.where(mask | layer, np.float32(0), level)
    thick = [max(int(OUTER_LAYER_MM / step + 0.5), 1) for step in geometry.spacing[::-1]]
    level[layer] = np.minimum(level[layer], maximum_filter(beyond, [2 * voxels + 1 for voxels in thick])[layer])
    return level, layer


def _reaching(falling: NDArray[np.float32], threshold: float) -> int:
    """Return how many of the falling values reach the threshold."""
    return len(falling) - int(np.searchsorted(falling[::-1], np.float32(threshold)))


def _sorted_map(
    geometry: Geometry,
    level: NDArray[np.float32],
    place: NDArray[np.int64],
    uncertainty: NDArray[np.float32],
    error: NDArray[np.float32],
    inside: Mask,
    index: NDArray[np.int32],
) -> RegionMap:
    """Return the map of voxels that are sorted by place (all numbers in use) and falling level; index is x, y, z."""
    voxel = np.ravel_multi_index(tuple(index.T[::-1]), geometry.shape)
    total = np.column_stack((uncertainty, error, inside, index)).astype(np.float64)
    peak, lowest, highest = uncertainty.copy(), index.copy(), index.copy()
    start = np.append(np.flatnonzero(np.diff(place, prepend=-1)), len(place))
    for first, end in pairwise(start):
        part = slice(first, end)
        np.cumsum(total[part], axis=0, out=total[part])
        np.maximum.accumulate(peak[part], out=peak[part])
        np.minimum.accumulate(lowest[part], axis=0, out=lowest[part])
        np.maximum.accumulate(highest[part], axis=0, out=highest[part])
    return RegionMap(geometry, voxel, level, peak, start, total, lowest, highest)
