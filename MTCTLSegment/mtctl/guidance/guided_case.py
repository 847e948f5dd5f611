"""A case under questions: its mask on the scan's own grid, and what the guidance network knows of it.

A case is a value: an answer gives another one, and undoing the answer is taking the case before it. What is not said
anything about keeps its voxels to the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from mtctl.geometry import Geometry, Mask, Triple, Volume
from mtctl.guidance.guided_mask import GuidedMask, GuidedScan, guided_mask
from mtctl.preprocessing.region_of_interest import Box, window_of
from mtctl.preprocessing.resampling import from_grid, to_grid
from mtctl.review.answers import KEPT_MM, OBEYED_MM, Answer
from mtctl.review.places import near

if TYPE_CHECKING:  # torch takes a second to load.
    from mtctl.guidance.refinement import Refiner


@dataclass(frozen=True)
class GuidedCase:
    """A mask and what a reader has said of it.

    Attributes:
        geometry: The scan's grid.
        mask: (z, y, x) bool on it.
        settled: (z, y, x) bool on it: painted, answered or kept; only an answer at that very place changes it.
        guided: The same on the network's grid.
    """

    geometry: Geometry
    mask: Mask
    settled: Mask
    guided: GuidedMask

    @classmethod
    def begin(
        cls,
        scan: GuidedScan,
        mask: Mask,
        original: Mask | None = None,
        answers: Sequence[Answer] = (),
        kept: Sequence[Triple] = (),
    ) -> GuidedCase:
        """Return a case as it stands, whatever was done to it before.

        Args:
            scan: The scan and the model's map.
            mask: (z, y, x) on the scan's own grid, as it is now.
            original: (z, y, x) mask of the model; what differs from it was painted or answered, and is settled.
            answers: What was answered so far.
            kept: Places that were found right, LPS mm.
        """
        guided, mask = guided_mask(scan, mask), np.asarray(mask, bool)
        settled = np.zeros(mask.shape, bool) if original is None else mask != np.asarray(original, bool)
        coarse = guided.settled
        if settled.any():
            coarse = coarse | (to_grid(Volume(settled.astype(np.float32), scan.geometry), guided.grid)[0] > 0)
        for places, mm in [*((answer.clicks, OBEYED_MM) for answer in answers), (kept, KEPT_MM)]:
            settled = settled | near(places, mm, scan.geometry)
            coarse = coarse | guided.near(places, mm)
        guided = replace(guided, settled=coarse, answers=tuple(answers), kept=tuple(kept))
        return cls(scan.geometry, mask, settled, guided)

    def answered(self, refiner: Refiner, answer: Answer) -> GuidedCase:
        """Return the case after an answer."""
        return self.become(refiner.answered(self.guided, answer), answer)

    def become(self, guided: GuidedMask, answer: Answer) -> GuidedCase:
        """Return the case whose mask on the network's grid has become `guided` by an answer."""
        obeyed = near(answer.clicks, OBEYED_MM, self.geometry)
        inside = answer.side == "inside"
        mask = np.where(self.settled, self.mask, _onto_scan(self.guided, guided, self.mask, self.geometry, inside))
        mask = mask | obeyed if inside else mask & ~obeyed
        return GuidedCase(self.geometry, mask, self.settled | obeyed | (mask != self.mask), guided)

    def kept(self, place: Triple) -> GuidedCase:
        """Return the case after a reader found a place right: no answer elsewhere changes it."""
        coarse = self.guided.settled | self.guided.near((place,), KEPT_MM)
        return replace(
            self,
            settled=self.settled | near((place,), KEPT_MM, self.geometry),
            guided=replace(self.guided, settled=coarse, kept=(*self.guided.kept, place)),
        )


def _onto_scan(before: GuidedMask, after: GuidedMask, mask: Mask, geometry: Geometry, inside: bool) -> Mask:
    """Return the scan's mask after an answer: changed where the answer changed it, elsewhere as it was.

    Args:
        before, after: The mask on the network's grid.
        mask: (z, y, x) bool on the scan's grid, before.
        geometry: The scan's.
        inside: Whether the answer adds; else it takes away.
    """
    changed = before.mask != after.mask
    if not changed.any():
        return mask
    indices = np.argwhere(changed)
    low, high = indices.min(axis=0) - 1, indices.max(axis=0) + 1
    corners = after.grid.index_to_physical([low[::-1] - 0.5, high[::-1] + 0.5])
    (x0, y0, z0), (x1, y1, z1) = corners.tolist()
    part = window_of(Box(x0, x1, y0, y1, z0, z1), geometry)
    z, y, x = (range(n)[s] for n, s in zip(geometry.shape, part, strict=True))
    window = geometry.window((x[0], y[0], z[0]), (len(x), len(y), len(z)))
    touched = from_grid(changed.astype(np.float32), after.grid, window, 0.0) > 0
    new = from_grid(after.probability, after.grid, window, 0.0) >= 0.5
    old = from_grid(before.probability, before.grid, window, 0.0) >= 0.5
    turned = touched & (new != old)
    # On the finer grid the former border lies beside that of the network's: what is between them would stay behind, as
    # holes in what was added or crumbs of what was taken away.
    between = touched & (new == inside) & (mask[part] != inside)
    result = mask.copy()
    result[part][turned] = new[turned]
    result[part][between & ndimage.binary_dilation(turned, np.ones((3, 3, 3)))] = inside
    return result
