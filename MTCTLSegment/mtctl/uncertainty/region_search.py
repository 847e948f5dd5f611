"""Find the uncertain regions of a segmentation, as earlier versions listed them: their reviews name them by number.

Uncertainty is high in a thin shell along the whole border, so connected components of voxels above a threshold melt
into one. Here what is uncertain along every border is discounted, and the rest is cut into places.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, maximum_filter

from mtctl.geometry import Geometry, Mask
from mtctl.masks import surface_distance
from mtctl.uncertainty.partition import partition

FLOOR = 0.05  # voxels less uncertain than this are in no region, whatever the threshold

# Both lengths below were chosen in true millimetres on cases 17-30 of the benchmark's training list, with calibrated
# five-view maps of a model trained on cases 1-16 (on an earlier grid with halved slice spacing), put on the scans' true
# grid. Of the voxels with entropy above 0.9 (18 mL a case, 17 % of the atrium) 44 % are wrong in the first layer inside
# the surface; 36 % in the first layer outside, above and beside the atrium alike (uncertain along every border); 44 to
# 75 % farther outside, up to 14 mm; and 22 % beyond that (other vessels). A reach of 5, 8, 10 or 14 mm makes no
# difference to the list's gain; 10 mm hold above and below what 5 mm held on the earlier grid.
# A voxel of the outer layer is kept where one beyond it is in doubt as well: else a person who adds what lies outside
# would leave a gap. An oracle that corrects the 20 mL which the list then holds gains 3.7 points of Dice; without the
# whole layer 3.3, with all of it 3.8.
OUTER_LAYER_MM = 0.9
REACH_MM = 10.0


@dataclass(frozen=True)
class RegionVoxels:
    """The voxels of all regions.

    Attributes:
        index: z, y, x of each voxel (n, 3).
        region: The number of its region, from 1: 1 had the most error to be expected.
        level: The highest threshold at which it belongs to it: its uncertainty, or less in the first layer outside.
    """

    index: NDArray[np.int64]
    region: NDArray[np.int64]
    level: NDArray[np.float32]


def find_regions(
    uncertainty: NDArray[np.float32],
    mask: Mask,
    geometry: Geometry,
    outline: Mask | None = None,
) -> RegionVoxels:
    """Cut the uncertain shell of a segmentation into places.

    Args:
        uncertainty: (z, y, x), 0 to 1.
        mask: The segmentation, same shape.
        geometry: Their grid.
        outline: The mask whose surface tells how far outside a voxel lies; None for `mask`.
    """
    x, y, z = (round(step, 6) for step in geometry.spacing)  # Grids from files differ in the last digits.
    geometry = replace(geometry, spacing=(x, y, z))
    outline = np.asarray(mask if outline is None else outline, dtype=bool)
    box = _box(outline, uncertainty >= FLOOR, geometry.spacing)
    doubt = uncertainty[box].astype(np.float32)
    level, layer = _levels(doubt, outline[box], geometry)
    index = np.argwhere(level >= FLOOR)
    inside_box = tuple(index.T)
    error = np.where(layer[inside_box], np.float32(0), error_probability(doubt[inside_box]))
    level = level[inside_box]
    index += [part.start for part in box]
    place = partition(index[:, ::-1] * np.array(geometry.spacing), error, 1000.0 * geometry.voxel_ml)
    found = place >= 0
    return RegionVoxels(index[found], place[found] + 1, level[found])


def error_probability(uncertainty: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability that a voxel is wrong: that of the rarer class, from which the entropy comes.

    It needs no further factor: with calibrated entropy, the first 10 regions hold 0.99 times the error that it promises
    (cases 17-30 of the benchmark's training list).

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
