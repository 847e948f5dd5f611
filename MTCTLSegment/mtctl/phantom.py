"""Synthetic left-atrial LGE-MRI with its true mask, crop-sized or a whole thorax; different for every seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.phantom_anatomy import (
    Scene,
    draw_levels,
    paint_abdomen,
    paint_back,
    paint_chest,
    paint_heart,
    paint_left_atrium,
    paint_lungs,
    paint_mediastinum,
)
from mtctl.phantom_atrium import Atrium, draw_atrium
from mtctl.phantom_shapes import Axes, Floats, Frame, rotation

# Real scans are acquired at about 1.25 mm and interpolated to 0.625 mm; so are the phantoms, at an eighth of the cost.
COARSE_MM = 1.25
SLICES = 44
# Volume of the atrium in names 1-66: median 47 mL, 34 to 60 mL from the 10th to the 90th percentile, 132 mL at most.
MEDIAN_ML, LEAST_ML, MOST_ML = 50.0, 35.0, 95.0
# The heart and the great vessels lie within this many coarse voxels (y, x) around the middle.
HEART_WINDOW = (168, 200)


@dataclass(frozen=True)
class Phantom:
    """A synthetic scan: direction identity (LPS), origin (0, 0, 0).

    Attributes:
        image: Grey levels, uint8, (z, y, x).
        mask: 1 in the left-atrial cavity, else 0, uint8, (z, y, x).
        spacing_mm: Isotropic spacing.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    spacing_mm: float = 0.625


def make_phantom(seed: int) -> Phantom:
    """A phantom of the size of the benchmark's crops: 88 slices, about 141 rows and 190 columns.

    Args:
        seed: 0 or more; the same seed gives the same phantom.
    """
    rng = np.random.default_rng(seed)
    image, mask = _scan(rng, rows=136, columns=176)
    _, y, x = np.nonzero(mask)
    # The benchmark's crops are 142 +- 6 rows high; in x they leave 10 to 19 voxels either side of the atrium.
    free = max(24, int(np.clip(rng.normal(142, 6), 132, 160)) - int(np.ptp(y) + 1))
    above = int(np.clip(rng.normal(free / 2, 3), 10, free - 10))
    left, right = rng.integers(10, 20, 2)
    rows = slice(max(0, int(y.min()) - above), int(y.max()) + 1 + free - above)
    columns = slice(max(0, int(x.min() - left)), int(x.max() + 1 + right))
    crop = image[:, rows, columns]
    return Phantom(crop - crop.min(), np.ascontiguousarray(mask[:, rows, columns]))


def make_full_field(seed: int) -> Phantom:
    """A whole thorax of 88 x 640 x 640 voxels (z, y, x) with the atrium in its middle.

    Args:
        seed: 0 or more; the same seed gives the same phantom.
    """
    image, mask = _scan(np.random.default_rng(seed), rows=320, columns=320)
    return Phantom(image, mask)


def _scan(rng: np.random.Generator, rows: int, columns: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Anatomy at the coarse spacing, then the scanner: image and mask at half of it."""
    middle = np.clip(rng.normal(30.5, 2.2), 26, 35)  # mm above the lowest slice: the atrium fills slices 20 to 78
    z, y, x = ((np.arange(n) + 0.5) * COARSE_MM for n in (SLICES, rows, columns))
    axes = Axes(*(v.astype(np.float32) for v in (z - middle, y - y.mean(), x - x.mean())))
    warp = [1.5 * axes.waves(rng, 70) + 0.7 * axes.waves(rng, 25) for _ in range(3)]
    box = (slice(None), _middle(rows, HEART_WINDOW[0]), _middle(columns, HEART_WINDOW[1]))
    atrium = draw_atrium(rng)
    heart = _fitted_heart(rng, atrium, _warped(axes.window(box), [w[box] for w in warp], 1.0))
    scene = Scene(np.zeros(warp[0].shape, np.float32), axes, _warped(axes, warp, 0.7), draw_levels(rng), rng)
    inner = scene.window(box)
    cage = paint_chest(scene)
    paint_lungs(scene)
    paint_mediastinum(inner, heart, cage[box])
    paint_abdomen(scene, cage)
    paint_back(inner, atrium.back * heart.scale)
    paint_heart(inner, heart, atrium)
    cavity = paint_left_atrium(inner, heart, atrium)
    image = _scanner(rng, axes, scene.image)
    mask = np.zeros(image.shape, np.uint8)
    mask[:, _doubled(box[1]), _doubled(box[2])] = _largest_part(_double(np.clip(cavity, -8, 8)) < 0)
    return image, mask


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, _ = ndimage.label(mask)
    return np.asarray(parts == np.bincount(parts.ravel())[1:].argmax() + 1)


def _doubled(part: slice) -> slice:
    return slice(2 * part.start, 2 * part.stop)


def _middle(length: int, wanted: int) -> slice:
    spare = max(0, length - wanted) // 2
    return slice(spare, length - spare)


def _warped(axes: Axes, warp: list[Floats], share: float) -> Frame:
    dx, dy, dz = (np.float32(share) * w for w in warp)
    return Frame(axes.x + dx, axes.y[:, None] + dy, axes.z[:, None, None] + dz)


def _fitted_heart(rng: np.random.Generator, atrium: Atrium, place: Frame) -> Frame:
    """Heart space, turned at random and scaled until the atrium has the volume drawn."""
    turn = (rotation(rng, (4, 3, 6)) / np.exp(rng.normal(0, 0.05, 3))[:, None]).astype(np.float32)
    target = np.clip(MEDIAN_ML * np.exp(rng.normal(0, 0.28)), LEAST_ML, MOST_ML)
    frame = Frame(*(a * place.x + b * place.y + c * place.z for a, b, c in turn))
    rough = frame.window((slice(None, None, 2),) * 3)
    scale = 1.0
    for _ in range(3):
        cavity = atrium.distances(rough.scaled(scale), np.zeros_like(rough.x)).cavity
        volume = np.count_nonzero(cavity < 0) * (2 * COARSE_MM) ** 3 / 1000
        scale *= float(np.cbrt(target / volume))
    return frame.scaled(scale)


def _scanner(rng: np.random.Generator, axes: Axes, image: Floats) -> NDArray[np.uint8]:
    """Uneven coils, thick slices, Rician noise, interpolation to half the spacing, an arbitrary grey scale."""
    image = image * np.exp(0.10 * axes.waves(rng, 260, 3) + 0.04 * axes.waves(rng, 90, 3))
    image = _filter(image, 0, [0.2, 0.6, 0.2])
    # What smoothing removes within the real atria has a standard deviation of 0.05 to 0.2 of their level.
    sigma = np.exp(rng.uniform(np.log(0.06), np.log(0.2)))
    across, down = rng.uniform(0.05, 0.3, 2)
    noise = []
    for _ in range(2):
        part = rng.standard_normal(image.shape, dtype=np.float32)
        part = _filter(part, 0, [-0.06, 0.16, 1, 0.16, -0.06])  # slices interpolated to half their distance: ringing
        part = _filter(part, 1, [0.2 * down, down, 1, down, 0.2 * down])
        part = _filter(part, 2, [across, 1, across])
        noise.append(part * np.float32(sigma / part.std()))
    image = np.sqrt((image + noise[0]) ** 2 + noise[1] ** 2)
    grey = np.exp(rng.uniform(np.log(16), np.log(125)))
    return np.asarray(np.clip(np.rint(_double(image) * np.float32(grey)), 0, 255), np.uint8)


def _filter(values: Floats, axis: int, weights: list[float]) -> Floats:
    """Convolve along one axis with an odd number of weights, edges repeated."""
    return np.asarray(ndimage.correlate1d(values, weights, axis, mode="nearest"), np.float32)


def _double(values: Floats) -> Floats:
    """Interpolate to twice the resolution along every axis (Catmull-Rom, a quarter of a voxel either side)."""
    weights = [-0.0703125, 0.8671875, 0.2265625, -0.0234375]
    for axis in range(3):
        shape = list(values.shape)
        shape[axis] *= 2
        out = np.empty(shape, np.float32)
        halves = [slice(None)] * 3
        # The zero makes the filter's length odd, so that it is centred on the voxel.
        for first, odd in ((0, [*weights[::-1], 0.0]), (1, [0.0, *weights])):
            halves[axis] = slice(first, None, 2)
            out[tuple(halves)] = _filter(values, axis, odd)
        values = out
    return values
