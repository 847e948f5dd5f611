"""Where in a large scan the atrium is: a coarse pass over everything, the largest component's box, a margin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mtctl.geometry import Geometry, Map, Triple
from mtctl.masks import largest_component
from mtctl.preprocessing.normalisation import normalise_locally
from mtctl.preprocessing.region_of_interest import Box

#: Scans up to this many mm along x, y, z are the atrium's surroundings already: the largest atrium of the benchmark's
#: 80 masks (131 x 81 x 93 mm) and 25 mm on every side, as a person would draw it, rounded up. The 80 crops themselves
#: span up to 153 x 100 x 110 mm; a whole thorax 300 to 400 mm along two axes.
_SURROUNDINGS_MM = (185.0, 135.0, 150.0)

#: Around the coarse mask along x, y, z: what the 80 crops leave around the atrium in the median (9, 15 and 18 mm a
#: side), and a voxel of the locator, by which its mask may be too small.
MARGIN_MM: Triple = (13.0, 19.0, 22.0)


def needs_locating(geometry: Geometry) -> bool:
    """Return whether a scan shows much more than the atrium's surroundings.

    Its axes count as the nearest of x, y, z.
    """
    lengths = np.array(geometry.size) * geometry.spacing
    nearest = np.abs(geometry.matrix).argmax(axis=0)
    return bool((lengths > np.array(_SURROUNDINGS_MM)[nearest]).any())


def locate(array: Map, grid: Geometry, coarse_logits: Callable[[Map], Map]) -> Box | None:
    """Return the region to look at closely, or None where the coarse pass finds no atrium.

    Args:
        array: Intensities (z, y, x) on `grid`, not normalised.
        grid: LPS-aligned, with the voxels that the locator wants.
        coarse_logits: The network in those voxels: z-scored array to logits of f1.
    """
    dx, dy, dz = grid.spacing
    component = largest_component(coarse_logits(normalise_locally(array, (dz, dy, dx))) >= 0)
    if not component.any():
        return None
    return Box.around(component, grid).expanded(MARGIN_MM).clipped(grid)
