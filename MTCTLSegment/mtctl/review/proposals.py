"""One-click changes of the segmentation within one region, to be previewed before they are applied."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import logit

from mtctl.geometry import Mask
from mtctl.review.case_maps import CaseMaps, RegionPart, VoxelBox

#: How much a step of the log odds holds the walker back; scikit-image's default. On names 17, 23 and 29, after a stroke
#: of 5 x 5 voxels on either side, 35 % of the regions' voxels are wrong, with 10 or 500 instead 36 %; walking on the
#: scan 38 %, whose edges are faint at the atrial wall; without a fill 40 %.
BETA = 130.0

#: Regions of so many voxels are solved at once, within 60 ms; larger ones, where that would take seconds, by iteration,
#: which may end early where steep steps make the system stiff. At the default threshold none is larger.
SOLVED_EXACTLY = 6000

#: Probabilities count as no surer than that: beyond, a step of the log odds means nothing.
SUREST = 1e-3


@dataclass(frozen=True)
class Proposal:
    """How the segmentation could be. Outside the region it is as it was.

    Attributes:
        name: Of the kind of proposal.
        box: Where in the volume.
        mask: The segmentation in the box (z, y, x).
        added_ml, removed_ml: Volume that would be added and taken away.
    """

    name: str
    box: VoxelBox
    mask: Mask
    added_ml: float
    removed_ml: float


def add(maps: CaseMaps, part: RegionPart, current: Mask) -> Proposal:
    """Propose that the whole region belongs to the atrium.

    Args:
        maps: The case.
        part: The region's voxels.
        current: The segmentation as it is now, (z, y, x), the whole volume. Not changed.
    """
    return _proposal("add", maps, part, current, np.ones_like(part.inside))


def remove(maps: CaseMaps, part: RegionPart, current: Mask) -> Proposal:
    """Propose that nothing of the region belongs to the atrium. Arguments as for `add`."""
    return _proposal("remove", maps, part, current, np.zeros_like(part.inside))


def distance_map(maps: CaseMaps, part: RegionPart, current: Mask) -> Proposal:
    """Propose what the distance map says: f2 >= 0. Arguments as for `add`."""
    return _proposal("distance map", maps, part, current, maps.distance[part.box] >= 0)


def consensus(maps: CaseMaps, part: RegionPart, current: Mask, level: float) -> Proposal:
    """Propose where the samples' consensus reaches a probability of `level`. Other arguments as for `add`."""
    return _proposal("consensus", maps, part, current, maps.probability[part.box] >= level)


def opposite(maps: CaseMaps, part: RegionPart, current: Mask) -> Proposal:
    """Propose that every voxel of the part is on the other side. Arguments as for `add`."""
    return _proposal("opposite", maps, part, current, ~np.asarray(current[part.box], dtype=bool))


def random_walk(
    maps: CaseMaps,
    part: RegionPart,
    current: Mask,
    threshold: float,
    strokes_in: Mask | None = None,
    strokes_out: Mask | None = None,
) -> Proposal:
    """Fill the region from the certain voxels around it and from the person's strokes, along the network's contours.

    A voxel goes to the side from which a random walker (Grady 2006) reaches it more easily that shuns steps of the
    log odds.

    Args:
        maps: The case.
        part: The region's voxels.
        current: The segmentation as it is now, (z, y, x), the whole volume: says on which side the certain voxels are.
        threshold: Voxels next to the region that are less uncertain are certain; the others keep out of it.
        strokes_in: Voxels that the person marked as atrium, (z, y, x), the whole volume.
        strokes_out: Voxels marked as background. Where both are marked, the voxel is left to the walker.
    """
    box = _wider(part.box, current.shape)
    inner = tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(part.box, box, strict=True))
    inwards, outwards = (_cropped(strokes, box) for strokes in (strokes_in, strokes_out))
    start = np.where(inwards ^ outwards, inwards, current[box])
    seeds = np.where(start, 1, 2)
    seeds[maps.uncertainty[box] >= threshold] = -1  # not walked on
    seeds[inner][part.inside] = 0
    seeds[inwards & ~outwards] = 1
    seeds[outwards & ~inwards] = 2
    probability = np.clip(maps.probability[box].astype(np.float64), SUREST, 1 - SUREST)
    mask = _filled(logit(probability), seeds, maps.geometry.spacing[::-1], start)[inner]
    return _proposal("random walker", maps, part, current, mask)


def _filled(
    terrain: NDArray[np.float64], seeds: NDArray[np.int64], spacing: tuple[float, ...], otherwise: Mask
) -> Mask:
    """Return where the walk from seeds 1 wins against seeds 2 among the zeros; `otherwise` where neither arrives."""
    from skimage.segmentation import random_walker  # here: the other suggestions do without scikit-image

    # A walk ends at the first seed, so that seeds behind others count for nothing. They must go: scikit-image 0.26
    # mixes up its voxels, without a word, where a seed has no neighbour to go to.
    seeds[(seeds > 0) & ~ndimage.binary_dilation(seeds == 0)] = -1
    free = ndimage.binary_propagation(seeds > 0, mask=seeds >= 0) & (seeds == 0)
    seeds[(seeds == 0) & ~free] = -1
    sides = {1, 2} & set(np.unique(seeds).tolist())
    if len(sides) < 2 or not free.any():
        return np.where(free, sides == {1}, otherwise)
    beta = BETA
    if not np.ptp(terrain):  # scikit-image divides by its spread; without steps every way is as easy
        terrain, beta = np.arange(terrain.size, dtype=np.float64).reshape(terrain.shape), 0.0
    mode = "bf" if np.count_nonzero(free) <= SOLVED_EXACTLY else "cg_j"
    with warnings.catch_warnings():  # iterations end at probabilities a little below 0 or above 1
        warnings.simplefilter("ignore", UserWarning)
        labels = random_walker(terrain, seeds, beta=beta, mode=mode, spacing=spacing)
    return np.where(free, labels == 1, otherwise)


def _proposal(name: str, maps: CaseMaps, part: RegionPart, current: Mask, wanted: Mask) -> Proposal:
    before = np.asarray(current[part.box], dtype=bool)
    after = np.where(part.inside, wanted, before)
    voxel_ml = maps.geometry.voxel_ml
    added, removed = int(np.count_nonzero(after & ~before)), int(np.count_nonzero(before & ~after))
    return Proposal(name, part.box, after, added * voxel_ml, removed * voxel_ml)


def _wider(box: VoxelBox, shape: tuple[int, ...]) -> VoxelBox:
    """Return the box widened by one voxel on every side, within the volume."""
    z, y, x = (slice(max(side.start - 1, 0), min(side.stop + 1, count)) for side, count in zip(box, shape, strict=True))
    return z, y, x


def _cropped(strokes: Mask | None, box: VoxelBox) -> Mask:
    if strokes is None:
        return np.zeros([side.stop - side.start for side in box], dtype=bool)
    return np.asarray(strokes[box], dtype=bool)
