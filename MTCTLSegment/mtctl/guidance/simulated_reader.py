"""A reader who knows the truth and answers as people do: up to 2 mm off, content with what is wrong by a border alone.

For training and for measuring what questions bring.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.geometry import Geometry, Map, Mask, Triple
from mtctl.masks import bounding_box
from mtctl.review.answers import Answer
from mtctl.review.places import near

#: How far off a click is, mm: standard deviation along each axis, and the most in all.
OFF_MM = 1.0
MOST_OFF_MM = 2.0

#: A reader is content where no error is thicker than a border: no wrong voxel farther than this from a right one, mm.
CONTENT_MM = 2.0


def error_depth(wrong: Mask, voxel_mm: Triple) -> Map:
    """Return how far (mm) each wrong voxel's centre is from the next right one's; 0 where nothing is wrong.

    Args:
        wrong: (z, y, x).
        voxel_mm: (z, y, x) size of the voxels.
    """
    depth = np.zeros(wrong.shape, np.float32)
    if wrong.any():
        box = bounding_box(wrong, (1, 1, 1))
        # A margin of a voxel holds the next right ones; at the array's border there are none beyond.
        depth[box] = ndimage.distance_transform_edt(wrong[box], sampling=voxel_mm)
    return depth


@dataclass
class SimulatedReader:
    """Answers about masks on one grid.

    Attributes:
        truth: (z, y, x).
        geometry: Its grid.
        rng: Draws the offsets.
    """

    truth: Mask
    geometry: Geometry
    rng: np.random.Generator

    def at_place(self, mask: Mask, place: Triple, mm: float) -> Answer | None:
        """Return a click on the thickest error within `mm` of a place (LPS mm); None: it is right but for a border."""
        return self._click(mask, (mask != self.truth) & near((place,), mm, self.geometry))

    def anywhere(self, mask: Mask) -> Answer | None:
        """Return a click on the thickest error of all; None where there is none but a border's."""
        return self._click(mask, mask != self.truth)

    def random_place(self, mask: Mask) -> Triple:
        """Return a place (LPS mm) on the mask's surface, drawn at random; the grid's middle where it is empty."""
        surface = np.argwhere(mask & ~ndimage.binary_erosion(mask))
        index = surface[int(self.rng.integers(len(surface)))] if len(surface) else np.array(mask.shape) / 2
        x, y, z = self.geometry.index_to_physical(index[::-1]).tolist()
        return x, y, z

    def _click(self, mask: Mask, wrong: Mask) -> Answer | None:
        x, y, z = self.geometry.spacing
        depth = error_depth(wrong, (z, y, x))
        if depth.max() <= CONTENT_MM:
            return None
        index = np.array(np.unravel_index(int(depth.argmax()), depth.shape))
        inside = bool(self.truth[tuple(index)])
        shift = self.rng.normal(0, OFF_MM, 3)
        shift *= min(1.0, MOST_OFF_MM / max(float(np.linalg.norm(shift)), 1e-9))
        moved: NDArray[np.floating] = index + shift / (z, y, x)
        voxel = tuple(np.clip(np.round(moved).astype(int), 0, np.array(mask.shape) - 1))
        if self.truth[voxel] != inside:
            moved = index.astype(float)
        px, py, pz = self.geometry.index_to_physical(moved[::-1]).tolist()
        return Answer(((px, py, pz),), "inside" if inside else "outside")
