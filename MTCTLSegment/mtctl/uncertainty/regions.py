"""The uncertain regions of a segmentation, each small enough for one view, ranked by the error to be expected there.

They are found once per prediction (`region_search.region_map`). A threshold then only chooses which voxels of each
region count (`RegionMap.regions_at`): sums made in advance are looked up, which takes about two milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry

SMALLEST_ERROR_MM3 = 20.0  # a place from which less error is to be expected is dropped: 41 of the benchmark's voxels
MOST_REGIONS = 40  # of a list; those with the least error to be expected are left out


@dataclass(frozen=True)
class Region:
    """A place to look at.

    Attributes:
        id: Stays the same when the threshold moves; 1 had the most error to be expected at the lowest threshold.
        volume_mm3: Volume of its voxels.
        mean_uncertainty: Mean over its voxels.
        peak_uncertainty: Uncertainty of its most uncertain voxel.
        expected_error_mm3: Volume of wrong voxels to be expected among them.
        centroid_lps: Mean position, mm.
        extent_mm: Largest side of its box along the volume's axes.
        voxels_inside: Voxels that the segmentation holds.
        voxels_outside: Voxels that it does not.
        visited: A person has looked at it.
        edited: A person has changed the segmentation there.
        accepted: A person found the segmentation right there, as it was or after the change.
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
        highest: The highest index, likewise.
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

        Left out are regions with an expected error below SMALLEST_ERROR_MM3, and all beyond the first MOST_REGIONS.
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

        Return 1 where no threshold does.
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
        """Return how many voxels of each place reach the threshold."""
        return [_reaching(self.level[first:end], threshold) for first, end in pairwise(self.start)]


def rounded(geometry: Geometry) -> Geometry:
    """Return a grid as regions take it: those that come back from a file or from Slicer differ in the last digits."""
    x, y, z = (round(step, 6) for step in geometry.spacing)
    return replace(geometry, spacing=(x, y, z))


def _reaching(falling: NDArray[np.float32], threshold: float) -> int:
    """Return how many of the falling values reach the threshold."""
    return len(falling) - int(np.searchsorted(falling[::-1], np.float32(threshold)))
