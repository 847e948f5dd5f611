"""A mask that takes answers in: what a reader has settled stays, whatever is answered elsewhere.

All of it lies on the network's grid; `guided_case` brings a change back to the scan's own voxels. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry, Map, Mask, Triple, Volume
from mtctl.preprocessing.network_grid import canonical_geometry
from mtctl.preprocessing.normalisation import measured_window, normalise
from mtctl.preprocessing.padding import measured_voxels
from mtctl.preprocessing.region_of_interest import Box
from mtctl.preprocessing.resampling import to_grid
from mtctl.review.answers import OBEYED_MM, Answer, Side
from mtctl.review.places import near

#: Probability of what a reader has said or painted.
_SAID = 0.95


@dataclass(frozen=True)
class GuidedMask:
    """A mask and what a reader has said of it, on the network's grid. Arrays are never changed in place.

    Attributes:
        grid: LPS-aligned grid of the network.
        image: (z, y, x) float32, z-scored.
        probability: (z, y, x) float32 of the atrium; the mask is where it is at least 0.5.
        settled: (z, y, x) bool: painted, answered or kept; only an answer at that very place changes it.
        answers: All answers so far.
        kept: Places that were found right, LPS mm.
    """

    grid: Geometry
    image: Map
    probability: Map
    settled: Mask
    answers: tuple[Answer, ...] = ()
    kept: tuple[Triple, ...] = ()

    @property
    def mask(self) -> Mask:
        return np.asarray(self.probability >= 0.5)

    @property
    def voxel_mm(self) -> Triple:
        """Size of a voxel (z, y, x), mm."""
        x, y, z = self.grid.spacing
        return z, y, x

    def index(self, place: Triple) -> NDArray[np.float64]:
        """Return the index (z, y, x), with fractions, of a place in LPS mm."""
        return np.asarray(self.grid.physical_to_index(place))[::-1]

    def clicks(self, side: Side) -> list[NDArray[np.float64]]:
        """Return the indices of all clicks on one side so far."""
        return [self.index(click) for answer in self.answers if answer.side == side for click in answer.clicks]

    def near(self, places: Sequence[Triple], mm: float) -> Mask:
        """Return the voxels whose centre lies within `mm` of one of the places, and the voxel of each."""
        return near(places, mm, self.grid)

    def with_probability(self, voxels: NDArray[np.int64], values: NDArray[np.float32]) -> GuidedMask:
        """Return the mask with other probabilities at the voxels of these flat indices."""
        probability = self.probability.copy()
        probability.reshape(-1)[voxels] = values
        return replace(self, probability=probability)

    def seen(self, mm: float) -> Mask:
        """Return the voxels within `mm` of what a reader has looked at: answered or kept."""
        return self.near([*self.kept, *(click for answer in self.answers for click in answer.clicks)], mm)


@dataclass(frozen=True)
class GuidedScan:
    """What the guidance network needs of a scan, whatever becomes of its mask.

    Attributes:
        geometry: The scan's own grid.
        grid: LPS-aligned grid of the network.
        image: (z, y, x) float32, z-scored, on the latter.
        probability: (z, y, x) float32 of the model, likewise.
    """

    geometry: Geometry
    grid: Geometry
    image: Map
    probability: Map


def guided_scan(volume: Volume, probability: Map, grid_mm: Triple, box: Box | None = None) -> GuidedScan:
    """Return a scan as the guidance network sees it.

    Args:
        volume: The scan.
        probability: (z, y, x) on the scan's grid, of the model.
        grid_mm: Voxels (x, y, z) of the network's grid.
        box: The part of the scan to take; None: all.
    """
    whole = canonical_geometry(volume.geometry, grid_mm, box)
    array, inside = to_grid(volume, whole)
    measured = measured_voxels(volume, whole, array, inside)
    seen = measured_window(array, measured)
    z, y, x = (range(count)[part] for part, count in zip(seen, whole.shape, strict=True))
    grid = whole.window((x[0], y[0], z[0]), (len(x), len(y), len(z)))
    image = normalise(array[seen], None if measured is None else measured[seen])
    likely = to_grid(Volume(probability.astype(np.float32), volume.geometry), grid)[0]
    return GuidedScan(volume.geometry, grid, image, likely.clip(0, 1).astype(np.float32))


def guided_mask(scan: GuidedScan, mask: Mask) -> GuidedMask:
    """Return a mask (z, y, x) on the scan's own grid as the guidance network sees it; nothing of it is settled.

    Where the model's map contradicts the mask, the mask holds.
    """
    likely = scan.probability
    drawn = to_grid(Volume(mask.astype(np.float32), scan.geometry), scan.grid)[0] >= 0.5
    # Even odds count as inside, so a voxel that is outside is at least a hair below.
    likely = np.where((likely >= 0.5) != drawn, np.where(drawn, 1 - likely, np.minimum(1 - likely, 0.499)), likely)
    return GuidedMask(scan.grid, scan.image, likely.astype(np.float32), np.zeros(drawn.shape, bool))


def said(state: GuidedMask, answer: Answer, change: Map, allowed: Mask) -> GuidedMask:
    """Return the mask after an answer.

    Args:
        state: The mask before it.
        answer: The answer.
        change: (z, y, x): the probability that the network gives.
        allowed: (z, y, x): where it may be taken.
    """
    inside = answer.side == "inside"
    obeyed = state.near(answer.clicks, OBEYED_MM)
    taken = allowed & ~state.settled
    probability = np.where(taken, change, state.probability)
    probability = np.where(
        obeyed, np.maximum(probability, _SAID) if inside else np.minimum(probability, 1 - _SAID), probability
    ).astype(np.float32)
    flipped = (probability >= 0.5) != state.mask
    return replace(
        state,
        probability=probability,
        settled=state.settled | obeyed | flipped,
        answers=(*state.answers, answer),
    )
