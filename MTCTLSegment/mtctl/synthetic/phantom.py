"""Synthetic left-atrial LGE-MRI with its true mask, crop-sized or a whole thorax; different for every seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.errors import MtctlError
from mtctl.geometry import Map
from mtctl.synthetic.anatomy import (
    Levels,
    Scene,
    draw_any_levels,
    draw_levels,
    paint_abdomen,
    paint_back,
    paint_chest,
    paint_heart,
    paint_left_atrium,
    paint_lungs,
    paint_mediastinum,
)
from mtctl.synthetic.atrium import Atrium, draw_atrium
from mtctl.synthetic.shapes import Z_UNIT_MM, Axes, Box, Frame, rotation

#: Voxels (x, y, z) of the benchmark's scans, mm: acquired at twice that along each axis and interpolated; so are the
#: phantoms, at an eighth of the cost.
SPACING_MM = (0.625, 0.625, 1.25)
ACQUIRED_MM = (1.25, 1.25, 2.5)
#: Height of the benchmark's scans: 88 slices.
HEIGHT_MM = 110.0
#: Sides of the whole thorax in x and y, in acquired voxels: 400 mm.
SIDE = 320
#: Distance of slices that can be asked for: those of the benchmark to the thickest that left atria are scanned with.
SLICE_BOUNDS_MM = (1.25, 4.0)
#: Heights that can be asked for: the painted spine and aorta end beyond.
HEIGHT_BOUNDS_MM = (HEIGHT_MM, 320.0)

# Volume of the atrium in the 80 masks: median 98 mL, 68 to 170 mL from the 10th to the 90th percentile (a standard
# deviation of the logarithm of 0.36), 37 to 264 mL at the ends.
MEDIAN_ML, SPREAD, LEAST_ML, MOST_ML = 100.0, 0.36, 37.0, 264.0
# The heart and the great vessels lie within this many acquired voxels (y, x) around the middle.
HEART_WINDOW = (168, 200)

LevelsMaker = Callable[[np.random.Generator], Levels]


class PhantomError(MtctlError):
    """A phantom that cannot be made."""


@dataclass(frozen=True)
class Phantom:
    """A synthetic scan: direction identity (LPS), origin (0, 0, 0).

    Attributes:
        image: Grey levels, uint8, (z, y, x).
        mask: 1 in the left-atrial cavity, else 0, uint8, (z, y, x).
        spacing_mm: Of voxels, (x, y, z).
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float] = SPACING_MM


def make_phantom(seed: int, slice_mm: float = SPACING_MM[2]) -> Phantom:
    """Return a phantom of the size of the benchmark's crops: 110 mm high, about 141 rows and 190 columns of 0.625 mm.

    Args:
        seed: 0 or more; the same seed gives the same phantom.
        slice_mm: Thickness and distance of slices, 1.25 to 4 mm. Thicker ones are means over the slice; their mask
            holds what lies inside by more than half.

    Raises:
        PhantomError: Slices of another thickness are asked for.
    """
    _require("slices", slice_mm, SLICE_BOUNDS_MM)
    rng = np.random.default_rng(seed)
    image, mask = _Painting.drawn(rng, rows=136, columns=176).scanned(rng)
    _, y, x = np.nonzero(mask)
    # The benchmark's crops are 142 +- 6 rows high; in x they leave 10 to 19 voxels either side of the atrium.
    free = max(24, int(np.clip(rng.normal(142, 6), 132, 160)) - int(np.ptp(y) + 1))
    above = int(np.clip(rng.normal(free / 2, 3), 10, free - 10))
    left, right = rng.integers(10, 20, 2)
    rows = slice(max(0, int(y.min()) - above), int(y.max()) + 1 + free - above)
    columns = slice(max(0, int(x.min() - left)), int(x.max() + 1 + right))
    crop = image[:, rows, columns]
    return _in_slices(crop - crop.min(), np.ascontiguousarray(mask[:, rows, columns]), slice_mm)


def make_full_field(seed: int, slice_mm: float = SPACING_MM[2], height_mm: float = HEIGHT_MM) -> Phantom:
    """Return a whole thorax of 400 x 400 mm with the atrium in its middle; 640 x 640 x 88 voxels (x, y, z) by default.

    Args:
        seed: 0 or more; the same seed gives the same phantom.
        slice_mm: See `make_phantom`.
        height_mm: 110 to 320.

    Raises:
        PhantomError: Slices of another thickness, or another height, are asked for.
    """
    _require("slices", slice_mm, SLICE_BOUNDS_MM)
    _require("a field of view", height_mm, HEIGHT_BOUNDS_MM)
    rng = np.random.default_rng(seed)
    image, mask = _field(rng, height_mm, draw_levels).scanned(rng)
    return _in_slices(image, mask, slice_mm)


def make_acquired_field(seed: int, height_mm: float = HEIGHT_MM, any_contrast: bool = False) -> Phantom:
    """A whole thorax in the voxels it is acquired in, 1.25 x 1.25 x 2.5 mm: an eighth of the time of the full ones.

    Args:
        seed: 0 or more; the same arguments give the same phantom.
        height_mm: 110 to 320.
        any_contrast: Whether tissues are as bright as in any scan with bright blood, not as in LGE-MRI.

    Raises:
        PhantomError: Another height is asked for.
    """
    _require("a field of view", height_mm, HEIGHT_BOUNDS_MM)
    rng = np.random.default_rng(seed)
    painting = _field(rng, height_mm, draw_any_levels if any_contrast else draw_levels)
    return Phantom(*painting.acquired(rng), ACQUIRED_MM)


def _require(what: str, value: float, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if not low <= value <= high:
        raise PhantomError(f"{what} of {value:g} mm: phantoms have {low:g} to {high:g} mm")


def _in_slices(image: NDArray[np.uint8], mask: NDArray[np.uint8], slice_mm: float) -> Phantom:
    """Return the phantom as it is, or with thicker slices: image and mask averaged over each."""
    own = SPACING_MM[2]
    if slice_mm == own:
        return Phantom(image, mask)
    count = int(len(image) * own / slice_mm + 1e-6)
    thick = np.rint(_slice_means(image, slice_mm / own, count)).astype(np.uint8)
    # Of a voxel that is half inside the lower half decides: neither all such voxels nor none would leave the volume.
    inside = _largest_part(_slice_means(mask, slice_mm / own, count, lowered=0.01) >= 0.5)
    return Phantom(thick, inside.astype(np.uint8), (*SPACING_MM[:2], slice_mm))


def _slice_means(values: NDArray[np.uint8], ratio: float, count: int, lowered: float = 0.0) -> Map:
    """Means over `count` slices, each `ratio` planes thick, from plane 0 on; parts of planes count by their share.

    All slices begin and end `lowered` planes further down.
    """
    planes, low = np.arange(len(values)), np.arange(count)[:, None] * ratio - lowered
    share = np.clip(np.minimum(planes + 1, low + ratio) - np.maximum(planes, low), 0, 1).astype(np.float32) / ratio
    return np.asarray(share @ values.reshape(len(values), -1).astype(np.float32)).reshape(count, *values.shape[1:])


def _field(rng: np.random.Generator, height_mm: float, levels: LevelsMaker) -> _Painting:
    return _Painting.drawn(rng, SIDE, SIDE, height_mm, levels)


@dataclass(frozen=True)
class _Painting:
    """Anatomy in acquired voxels, before the scanner.

    Attributes:
        axes: The generator's coordinates (z in `Z_UNIT_MM`).
        image: Levels (z, y, x).
        cavity: Distance to the mask's surface in the part `box` of the grid, negative inside.
        box: The heart's part.
    """

    axes: Axes
    image: Map
    cavity: Map
    box: Box

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        rows: int,
        columns: int,
        height_mm: float = HEIGHT_MM,
        levels: LevelsMaker = draw_levels,
    ) -> _Painting:
        """Paint everything into `rows` x `columns` acquired voxels."""
        dx, dy, dz = ACQUIRED_MM[0], ACQUIRED_MM[1], ACQUIRED_MM[2] / Z_UNIT_MM
        slices = round(height_mm / ACQUIRED_MM[2])
        # Units above the lowest slice: the atrium fills slices 20 to 78 of 88. More height is added half above.
        middle = np.clip(rng.normal(30.5, 2.2), 26, 35) + (height_mm - HEIGHT_MM) / 2 / Z_UNIT_MM
        z, y, x = ((np.arange(n) + 0.5) * step for n, step in ((slices, dz), (rows, dy), (columns, dx)))
        axes = Axes(*(v.astype(np.float32) for v in (z - middle, y - y.mean(), x - x.mean())))
        warp = [1.5 * axes.waves(rng, 70) + 0.7 * axes.waves(rng, 25) for _ in range(3)]
        box = (slice(None), _middle(rows, HEART_WINDOW[0]), _middle(columns, HEART_WINDOW[1]))
        atrium = draw_atrium(rng)
        heart = _fitted_heart(rng, atrium, _warped(axes.window(box), [w[box] for w in warp], 1.0))
        scene = Scene(np.zeros(warp[0].shape, np.float32), axes, _warped(axes, warp, 0.7), levels(rng), rng)
        inner = scene.window(box)
        cage = paint_chest(scene)
        paint_lungs(scene)
        paint_mediastinum(inner, heart, cage[box])
        paint_abdomen(scene, cage)
        paint_back(inner, atrium.back * heart.scale)
        paint_heart(inner, heart, atrium)
        return cls(axes, scene.image, paint_left_atrium(inner, heart, atrium), box)

    def scanned(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the image and mask as a scanner stores them, in half of the acquired voxels."""
        image = _double(_scanner(rng, self.axes, self.image))
        mask = np.zeros(image.shape, np.uint8)
        inside = _largest_part(_double(np.clip(self.cavity, -8, 8)) < 0)
        mask[:, _doubled(self.box[1]), _doubled(self.box[2])] = inside
        return _grey(rng, image), mask

    def acquired(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the image and mask in the voxels that they were acquired in."""
        image = _scanner(rng, self.axes, self.image)
        mask = np.zeros(image.shape, np.uint8)
        mask[self.box] = _largest_part(self.cavity < 0)
        return _grey(rng, image), mask


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, _ = ndimage.label(mask)
    return np.asarray(parts == np.bincount(parts.ravel())[1:].argmax() + 1)


def _doubled(part: slice) -> slice:
    return slice(2 * part.start, 2 * part.stop)


def _middle(length: int, wanted: int) -> slice:
    spare = max(0, length - wanted) // 2
    return slice(spare, length - spare)


def _warped(axes: Axes, warp: list[Map], share: float) -> Frame:
    dx, dy, dz = (np.float32(share) * w for w in warp)
    return Frame(axes.x + dx, axes.y[:, None] + dy, axes.z[:, None, None] + dz)


def _fitted_heart(rng: np.random.Generator, atrium: Atrium, place: Frame) -> Frame:
    """Return the heart space, turned at random and scaled until the atrium has the volume drawn."""
    turn = (rotation(rng, (4, 3, 6)) / np.exp(rng.normal(0, 0.05, 3))[:, None]).astype(np.float32)
    target = np.clip(MEDIAN_ML * np.exp(rng.normal(0, SPREAD)), LEAST_ML, MOST_ML)
    frame = Frame(*(a * place.x + b * place.y + c * place.z for a, b, c in turn))
    rough = frame.window((slice(None, None, 2),) * 3)
    voxel_ml = float(np.prod([2 * step for step in ACQUIRED_MM])) / 1000
    scale = 1.0
    for _ in range(3):
        cavity = atrium.distances(rough.scaled(scale), np.zeros_like(rough.x)).cavity
        volume = np.count_nonzero(cavity < 0) * voxel_ml
        scale *= float(np.cbrt(target / volume))
    return frame.scaled(scale)


def _scanner(rng: np.random.Generator, axes: Axes, image: Map) -> Map:
    """Uneven coils, thick slices, Rician noise, in acquired voxels."""
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
    return np.asarray(np.sqrt((image + noise[0]) ** 2 + noise[1] ** 2), np.float32)


def _grey(rng: np.random.Generator, image: Map) -> NDArray[np.uint8]:
    """Return an arbitrary grey scale."""
    grey = np.exp(rng.uniform(np.log(16), np.log(125)))
    return np.asarray(np.clip(np.rint(image * np.float32(grey)), 0, 255), np.uint8)


def _filter(values: Map, axis: int, weights: list[float]) -> Map:
    """Convolve along one axis with an odd number of weights, edges repeated."""
    return np.asarray(ndimage.correlate1d(values, weights, axis, mode="nearest"), np.float32)


def _double(values: Map) -> Map:
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
