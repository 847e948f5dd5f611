"""Where in a large scan the atrium is: a coarse pass over everything, the largest component's box, a margin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.geometry import Geometry, Triple
from mtctl.preprocessing.network_grid import Box

#: Scans up to this many mm along x, y, z are the atrium's surroundings already: the largest atrium of the benchmark's
#: 80 masks (131 x 81 x 93 mm) and 25 mm on every side, as a person would draw it, rounded up. The 80 crops themselves
#: span up to 153 x 100 x 110 mm; a whole thorax 300 to 400 mm along two axes.
_SURROUNDINGS_MM = (185.0, 135.0, 150.0)

#: Around the coarse mask along x, y, z: what the 80 crops leave around the atrium in the median (9, 15 and 18 mm a
#: side), and a voxel of the locator, by which its mask may be too small.
MARGIN_MM: Triple = (13.0, 19.0, 22.0)

#: Window (z, y, x) of the local z-score in mm: the mean size of the 80 crops, 88 x 141 x 190 voxels of 1.25 x 0.625 x
#: 0.625 mm.
_WINDOW_MM = (110.0, 88.0, 119.0)


def needs_locating(geometry: Geometry) -> bool:
    """Whether a scan shows much more than the atrium's surroundings; its axes count as the nearest of x, y, z."""
    lengths = np.array(geometry.size) * geometry.spacing
    nearest = np.abs(geometry.matrix).argmax(axis=0)
    return bool((lengths > np.array(_SURROUNDINGS_MM)[nearest]).any())


#: Names of the ends of the LPS axes: x from the patient's right to left, y from front to back, z upwards.
SIDES = (("right", "left"), ("front", "back"), ("lower", "upper"))


def touched_sides(mask: NDArray[np.bool_], geometry: Geometry) -> dict[str, float]:
    """The sides of its array that a mask (z, y, x) reaches, named by where they lie in the patient.

    Returns:
        For each, the area of the contact as a share of the mask's largest section parallel to it.
    """
    sides = {}
    for axis in range(3):
        direction = geometry.matrix[:, axis]
        lps = int(np.abs(direction).argmax())
        areas = mask.sum(axis=tuple({0, 1, 2} - {2 - axis}))
        for end in (0, -1):
            if areas[end]:
                sides[SIDES[lps][int((end == -1) == (direction[lps] > 0))]] = float(areas[end] / areas.max())
    return sides


def locate(
    array: NDArray[np.float32], grid: Geometry, coarse_logits: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> Box | None:
    """The region to look at closely, or None where the coarse pass finds no atrium.

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


def largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest face-connected component; an empty mask stays empty."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.reshape(-1))
    sizes[0] = 0
    return np.asarray(labels == int(sizes.argmax()))


def solid(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest face-connected component with the holes that it encloses filled; an empty mask stays empty."""
    component = largest_component(mask)
    if not component.any():
        return component
    box = ndimage.find_objects(component.astype(np.uint8))[0]
    filled = component.copy()
    filled[box] = ndimage.binary_fill_holes(component[box])
    return filled


def normalise_locally(array: NDArray[np.float32], voxel_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """z-score of every voxel by mean and deviation of a window of `_WINDOW_MM` around it.

    The network knows scans that are z-scored over a crop around the atrium. Over a whole thorax air and lungs would
    set the scale; over a moving window of the crop's size every place looks as it would in a crop of its own.

    Args:
        array: (z, y, x) intensities.
        voxel_mm: Of the array, (z, y, x).
    """
    size = [max(3, round(length / step)) for length, step in zip(_WINDOW_MM, voxel_mm, strict=True)]
    mean = ndimage.uniform_filter(array, size, mode="nearest")
    square = ndimage.uniform_filter(array * array, size, mode="nearest")
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    # Air far from the body has almost no deviation; noise there must not be blown up to look like tissue.
    floor = 0.1 * float(array.std())
    return ((array - mean) / np.maximum(deviation, floor + 1e-6)).astype(np.float32)
