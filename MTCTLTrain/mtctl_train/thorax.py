"""A real crop set into a synthetic thorax: the nearest there is to an uncropped scan with an expert's mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.phantom import Phantom, make_full_field

FEATHER = 6  # voxels; the crops leave at least 9 around the atrium
RING = 12  # voxels at the crop's border in which the levels of both are compared
REACH = 16.0  # voxels over which the thorax takes on the levels of the crop's border
ERASE = 5  # voxels around the phantom's own atrium that are replaced where the crop does not cover it

Offset = tuple[int, int, int]
Floats = NDArray[np.float32]


def set_into_full_field(image: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.uint8], Offset]:
    """Set a real crop into a synthetic thorax, where the thorax's own heart is.

    Args:
        image: Crop, (88, h, w), grey levels.
        seed: Of the phantom.

    Returns:
        The thorax (88, 640, 640) in the crop's grey levels, and the crop's first voxel (z, y, x) in it. More than
        `FEATHER` voxels inside the crop's sides its voxels are unchanged.

    Raises:
        ValueError: The crop does not have the thorax's 88 slices or is larger than it.
    """
    phantom = make_full_field(seed)
    deep, high, wide = phantom.image.shape
    if image.shape[0] != deep or image.shape[1] > high or image.shape[2] > wide:
        raise ValueError(f"a crop of {image.shape} voxels (z, y, x) does not fit into {phantom.image.shape}")
    middle = [(int(v.min()) + int(v.max()) + 1) // 2 for v in np.nonzero(phantom.mask)[1:]]
    offset = (0, _start(middle[0], image.shape[1], high), _start(middle[1], image.shape[2], wide))
    crop = tuple(slice(o, o + n) for o, n in zip(offset, image.shape, strict=True))

    thorax = _with_levels_of(image.astype(np.float32), _without_atrium(phantom, crop), crop)
    big = np.clip(np.rint(thorax), 0, 255).astype(np.uint8)
    return big, offset


def _start(middle: int, length: int, whole: int) -> int:
    return min(max(0, middle - length // 2), whole - length)


def _without_atrium(phantom: Phantom, crop: tuple[slice, ...]) -> Floats:
    """The phantom, its atrium replaced by what lies around it wherever the crop will not hide it."""
    image = phantom.image.astype(np.float32)
    seen = phantom.mask > 0
    rows, columns = (slice(c.start + FEATHER, c.stop - FEATHER) for c in crop[1:])
    seen[:, rows, columns] = False
    if not seen.any():
        return image
    box = tuple(slice(max(0, c.start - 40), c.stop + 40) for c in ndimage.find_objects(phantom.mask)[0])
    part, gone = image[box], ndimage.binary_dilation(phantom.mask[box], iterations=ERASE)
    known = ndimage.gaussian_filter((~gone).astype(np.float32), 10) + 1e-4
    fill = ndimage.gaussian_filter(np.where(gone, 0, part), 10) / known
    # The grain of the neighbourhood, mirrored into the gap, so that it does not stand out as smooth.
    grain = part - ndimage.gaussian_filter(part, 2)
    fill += np.clip(grain[:, :, ::-1], -np.std(grain), np.std(grain))
    soft = ndimage.gaussian_filter(gone.astype(np.float32), 2)
    image[box] = part + soft * (fill - part)
    return image


def _with_levels_of(image: Floats, thorax: Floats, crop: tuple[slice, ...]) -> Floats:
    """The thorax brought to the crop's levels, most exactly at the crop's border, and the crop feathered into it."""
    own = thorax[crop]
    low, high = np.percentile(image, [10, 90])
    own_low, own_high = np.percentile(own, [10, 90])
    gain = (high - low) / max(1.0, own_high - own_low)
    thorax = np.maximum(low + (thorax - own_low) * gain, 0)

    margin = int(3 * REACH)
    rows = slice(max(0, crop[1].start - margin), crop[1].stop + margin)
    columns = slice(max(0, crop[2].start - margin), crop[2].stop + margin)
    around = thorax[:, rows, columns]
    top, left = crop[1].start - rows.start, crop[2].start - columns.start
    inner = (slice(None), slice(top, top + image.shape[1]), slice(left, left + image.shape[2]))

    inside = np.zeros(around.shape[1:], bool)
    inside[inner[1:]] = True
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    ring = (inside & (depth <= RING)).astype(np.float32)
    gap = np.zeros_like(around)
    gap[inner] = image - around[inner]
    near = ndimage.gaussian_filter(gap * ring, (3, 8, 8)) / (ndimage.gaussian_filter(ring, 8)[None] + 1e-3)
    fade = np.exp(-ndimage.distance_transform_edt(~inside) / REACH).astype(np.float32)
    around = np.maximum(around + near * fade, 0)

    weight = np.clip((depth[inner[1:]] - 0.5) / FEATHER, 0, 1).astype(np.float32)
    weight = weight * weight * (3 - 2 * weight)
    around[inner] += weight * (image - around[inner])
    thorax[:, rows, columns] = around
    return thorax
