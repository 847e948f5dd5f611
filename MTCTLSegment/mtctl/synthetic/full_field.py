"""A real crop set into a synthetic thorax: the nearest there is to an uncropped scan with an expert's mask."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.geometry import Geometry, Map, Triple, Volume
from mtctl.preprocessing.resampling import to_grid
from mtctl.synthetic.phantom import Phantom

#: Width over which the crop fades into the thorax. The benchmark's crops leave at least 5.6 mm around the atrium.
FEATHER_MM = 3.75
#: Width of the ring inside the crop's border in which the levels of both are compared.
RING_MM = 7.5
#: Distance over which the thorax takes on the levels of the crop's border.
REACH_MM = 10.0
#: How smooth the difference of levels is taken: standard deviation of a Gaussian.
SMOOTH_MM = 5.0
#: Around the phantom's own atrium what is replaced, too, where the crop does not cover it.
ERASE_MM = 3.0
#: Standard deviation of the Gaussian that fills the place of the phantom's atrium from around it.
FILL_MM = 6.0
#: Where in a crop's height, counted from below, the atrium's middle lies: the mean of the benchmark's 80 crops.
MIDDLE_SHARE = 0.57

Offset = tuple[int, int, int]


def set_into_thorax(image: NDArray[np.uint8], voxel_mm: Triple, thorax: Phantom) -> tuple[NDArray[np.uint8], Offset]:
    """Set a real crop into a synthetic thorax, where the thorax's own heart is.

    The thorax is brought onto the crop's voxels, so the crop may have any. A crop as high as the thorax or higher, to
    5 mm, gets a thorax of its own height: the outer planes are left out or repeated.

    Args:
        image: Crop, (z, y, x), grey levels.
        voxel_mm: Of the crop, (z, y, x).
        thorax: A whole field.

    Returns:
        The thorax in the crop's voxels and grey levels, (z, y, x), and the crop's first voxel (z, y, x) in it. More
        than `FEATHER_MM` inside the crop's sides its voxels are unchanged.

    Raises:
        ValueError: The crop is larger than the thorax.
    """
    thorax = _in_voxels(thorax, voxel_mm, image.shape[0])
    whole = thorax.image.shape
    if any(have > room for have, room in zip(image.shape, whole, strict=True)):
        raise ValueError(
            f"a crop of {_lengths(image.shape, voxel_mm)} mm (z, y, x) does not fit into a thorax of "
            f"{_lengths(whole, voxel_mm)} mm"
        )
    middle = [(int(v.min()) + int(v.max()) + 1) // 2 for v in np.nonzero(thorax.mask)]
    shares = (MIDDLE_SHARE, 0.5, 0.5)
    z, y, x = (
        min(max(0, m - int(share * n)), room - n)
        for m, share, n, room in zip(middle, shares, image.shape, whole, strict=True)
    )
    crop = tuple(slice(o, o + n) for o, n in zip((z, y, x), image.shape, strict=True))
    big = _with_levels_of(image.astype(np.float32), _without_atrium(thorax, crop), crop, voxel_mm)
    return np.clip(np.rint(big), 0, 255).astype(np.uint8), (z, y, x)


def _in_voxels(thorax: Phantom, voxel_mm: Triple, slices: int) -> Phantom:
    """Return the thorax on a grid of those voxels (z, y, x); of the crop's height if that differs by at most 5 mm."""
    steps = (voxel_mm[2], voxel_mm[1], voxel_mm[0])
    nz, ny, nx = thorax.image.shape
    lengths = [n * step for n, step in zip((nx, ny, nz), thorax.spacing_mm, strict=True)]
    counts = [int(length / step + 1e-6) for length, step in zip(lengths, steps, strict=True)]
    height = slices * steps[2]
    if height <= lengths[2] + 5 and height > lengths[2] - 5:
        counts[2] = slices
    if np.allclose(steps, thorax.spacing_mm, rtol=1e-3) and counts == [nx, ny, nz]:
        return thorax
    own = Geometry((nx, ny, nz), thorax.spacing_mm, (0.0, 0.0, 0.0))
    origin = [(step - fine) / 2 for step, fine in zip(steps, thorax.spacing_mm, strict=True)]
    origin[2] += (lengths[2] - counts[2] * steps[2]) / 2
    grid = Geometry((counts[0], counts[1], counts[2]), steps, (origin[0], origin[1], origin[2]))
    parts = []
    for array in (thorax.image, thorax.mask):
        sampled, inside = to_grid(Volume(array.astype(np.float32), own), grid)
        if inside is not None:  # Less than half a voxel at the sides, or the outer planes: repeat what is next to it.
            nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
            sampled = sampled[tuple(nearest)]
        parts.append(sampled)
    image = np.clip(np.rint(parts[0]), 0, 255).astype(np.uint8)
    return Phantom(image, (parts[1] >= 0.5).astype(np.uint8), steps)


def _without_atrium(thorax: Phantom, crop: tuple[slice, ...]) -> Map:
    """Return the thorax, its atrium replaced by what lies around it wherever the crop will not hide it."""
    voxel_mm = thorax.spacing_mm[::-1]
    image = thorax.image.astype(np.float32)
    seen = thorax.mask > 0
    inner = [
        slice(c.start if c.start == 0 else c.start + pad, c.stop if c.stop == room else c.stop - pad)
        for c, room, pad in zip(crop, image.shape, _voxels(FEATHER_MM, voxel_mm), strict=True)
    ]
    seen[tuple(inner)] = False
    if not seen.any():
        return image
    around = _voxels(4 * FILL_MM, voxel_mm)
    found = ndimage.find_objects(thorax.mask)[0]
    box = tuple(slice(max(0, c.start - n), c.stop + n) for c, n in zip(found, around, strict=True))
    gone = ndimage.distance_transform_edt(thorax.mask[box] == 0, sampling=voxel_mm) <= ERASE_MM
    part, sigma = image[box], [FILL_MM / step for step in voxel_mm]
    known = ndimage.gaussian_filter((~gone).astype(np.float32), sigma) + 1e-4
    fill = ndimage.gaussian_filter(np.where(gone, 0, part), sigma) / known
    # The grain of the neighbourhood, mirrored into the gap, so that it does not stand out as smooth.
    grain = part - ndimage.gaussian_filter(part, [1.25 / step for step in voxel_mm])
    fill += np.clip(grain[:, :, ::-1], -np.std(grain), np.std(grain))
    soft = ndimage.gaussian_filter(gone.astype(np.float32), [1.25 / step for step in voxel_mm])
    image[box] = part + soft * (fill - part)
    return image


def _with_levels_of(image: Map, thorax: Map, crop: tuple[slice, ...], voxel_mm: Triple) -> Map:
    """Bring the thorax to the crop's levels, most exactly at the crop's border, and feather the crop into it."""
    own = thorax[crop]
    low, high = np.percentile(image, [10, 90])
    own_low, own_high = np.percentile(own, [10, 90])
    gain = np.float32((high - low) / max(1.0, own_high - own_low))
    thorax = np.maximum(np.float32(low) + (thorax - np.float32(own_low)) * gain, 0)

    margins = _voxels(3 * REACH_MM, voxel_mm)
    window = tuple(slice(max(0, c.start - n), c.stop + n) for c, n in zip(crop, margins, strict=True))
    around = thorax[window]
    start = [c.start - w.start for c, w in zip(crop, window, strict=True)]
    inner = tuple(slice(s, s + n) for s, n in zip(start, image.shape, strict=True))
    depth, beyond = _depth(crop, thorax.shape, voxel_mm), _beyond(inner, around.shape, voxel_mm)

    ring = np.zeros(around.shape, np.float32)
    ring[inner] = depth <= RING_MM
    gap = np.zeros_like(around)
    gap[inner] = image - around[inner]
    sigma = [SMOOTH_MM / step for step in voxel_mm]
    near = ndimage.gaussian_filter(gap * ring, sigma) / (ndimage.gaussian_filter(ring, sigma) + 1e-3)
    around = np.maximum(around + near * np.exp(-beyond / np.float32(REACH_MM)), 0)

    weight = np.clip((depth - 0.5 * min(voxel_mm)) / FEATHER_MM, 0, 1).astype(np.float32)
    weight = weight * weight * (3 - 2 * weight)
    around[inner] += weight * (image - around[inner])
    thorax[window] = around
    return thorax


def _depth(crop: tuple[slice, ...], whole: tuple[int, ...], voxel_mm: Triple) -> Map:
    """Return how deep (mm) each voxel of the crop lies below its nearest side.

    Sides that are the thorax's do not count.
    """
    depth = np.full([c.stop - c.start for c in crop], np.inf, np.float32)
    for axis, (part, room, step) in enumerate(zip(crop, whole, voxel_mm, strict=True)):
        count = part.stop - part.start
        line = np.full(count, np.inf, np.float32)
        if part.start > 0:
            line = np.minimum(line, (np.arange(count) + 1) * step)
        if part.stop < room:
            line = np.minimum(line, np.arange(count, 0, -1) * step)
        depth = np.minimum(depth, _along(line, axis))
    return np.asarray(depth, np.float32)


def _beyond(inner: tuple[slice, ...], shape: tuple[int, ...], voxel_mm: Triple) -> Map:
    """Return how far (mm) each voxel lies outside a box; 0 in it."""
    square = np.zeros(shape, np.float32)
    for axis, (part, count, step) in enumerate(zip(inner, shape, voxel_mm, strict=True)):
        index = np.arange(count)
        line = np.maximum(np.maximum(part.start - index, index - part.stop + 1), 0) * step
        square += _along(line.astype(np.float32) ** 2, axis)
    return np.sqrt(square)


def _along(line: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    shape = [1, 1, 1]
    shape[axis] = -1
    return line.reshape(shape)


def _lengths(shape: tuple[int, ...], voxel_mm: Triple) -> str:
    return " x ".join(f"{n * step:.0f}" for n, step in zip(shape, voxel_mm, strict=True))


def _voxels(length_mm: float, voxel_mm: Triple) -> list[int]:
    return [math.ceil(length_mm / step) for step in voxel_mm]
