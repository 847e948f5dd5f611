"""Inputs that are no left-atrium MRI: each must be flagged. Drawn from seeds; two kinds of five start from a real scan.

Kinds: noise; a chest without a heart; another organ (liver, kidney, head, thigh, bladder); a scan with inverted
contrast; a scan turned on its side. The first three are synthetic, with voxels of 1.25 x 1.25 x 2.5 mm (the real scans
are acquired so) and the size of a crop, 110 mm high.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from mtctl.geometry import Geometry, Map, Volume
from mtctl.synthetic.anatomy import (
    Levels,
    Scene,
    draw_levels,
    paint_abdomen,
    paint_back,
    paint_chest,
    paint_lungs,
    paint_mediastinum,
)
from mtctl.synthetic.phantom import ACQUIRED_MM, HEIGHT_MM
from mtctl.synthetic.shapes import Z_UNIT_MM, Axes, Frame, Solid, ellipsoid, tube

Rng = np.random.Generator

KINDS = ("noise", "no heart", "other organ", "inverted", "turned")

_SLICES = round(HEIGHT_MM / ACQUIRED_MM[2])
_GREY = 60.0  # grey level of blood in the real scans, about


def draws(count: int, first: int) -> list[tuple[str, int]]:
    """Return kinds and seeds of `count` inputs: every kind with the seed `first`, then with the next one."""
    return [(KINDS[index % len(KINDS)], first + index // len(KINDS)) for index in range(count)]


def foreign_input(kind: str, seed: int, scans: Sequence[Volume]) -> Volume:
    """Return an input of that kind; the same arguments give the same voxels.

    Args:
        kind: One of `KINDS`.
        seed: 0 or more.
        scans: What "inverted" and "turned" choose from.
    """
    rng = np.random.default_rng((seed, KINDS.index(kind)))
    if kind == "inverted":
        scan = scans[seed % len(scans)]
        return Volume((scan.array.max() - scan.array.astype(np.float32)), scan.geometry)
    if kind == "turned":
        return turned(scans[seed % len(scans)], rng)
    makers: dict[str, Callable[[Rng], Map]] = {"noise": _noise, "no heart": _chest, "other organ": _organ}
    return _volume(makers[kind](rng))


def turned(scan: Volume, rng: Rng) -> Volume:
    """Return the scan turned by 90 degrees, either way about one of its axes, its header unaware of it."""
    axes = [(0, 1), (0, 2), (1, 2)][int(rng.integers(3))]
    array = np.ascontiguousarray(np.rot90(scan.array, 1 if rng.random() < 0.5 else -1, axes))
    spacing = list(scan.geometry.spacing[::-1])
    spacing[axes[0]], spacing[axes[1]] = spacing[axes[1]], spacing[axes[0]]
    z, y, x = array.shape
    return Volume(array, Geometry((x, y, z), (spacing[2], spacing[1], spacing[0]), scan.geometry.origin))


def _volume(array: Map) -> Volume:
    z, y, x = array.shape
    return Volume(array, Geometry((x, y, z), ACQUIRED_MM, (0.0, 0.0, 0.0)))


def _noise(rng: Rng) -> Map:
    """Noise, white or as coarse as organs, with the even or the Rician distribution of an empty scan."""
    shape = (_SLICES, int(rng.integers(60, 80)), int(rng.integers(80, 110)))
    sigma = float(rng.choice([0.0, 0.6, 2.0, 6.0]))
    sigmas = (sigma * ACQUIRED_MM[0] / ACQUIRED_MM[2], sigma, sigma)  # As coarse in z, in mm, as in plane.
    parts = [ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), sigmas) for _ in range(2)]
    parts = [part / part.std() for part in parts]
    magnitude = np.hypot(*parts) if rng.random() < 0.5 else 4 + parts[0]
    return np.asarray(_GREY / 4 * np.maximum(magnitude, 0), np.float32)


def _scene(rng: Rng, z_unit_mm: float) -> tuple[Scene, Frame]:
    """Return a crop around where the atrium would be, still empty, and the space of its organs.

    z counts in that unit.
    """
    shape = (_SLICES, int(rng.integers(66, 76)), int(rng.integers(84, 106)))
    steps = (ACQUIRED_MM[2] / z_unit_mm, ACQUIRED_MM[1], ACQUIRED_MM[0])
    z, y, x = (
        (np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(step) for n, step in zip(shape, steps, strict=True)
    )
    axes = Axes(z, y, x)
    dx, dy, dz = (2 * axes.waves(rng, 60) for _ in range(3))
    frame = Frame(axes.x + dx, axes.y[:, None] + dy, axes.z[:, None, None] + dz)
    levels: Levels = draw_levels(rng)
    return Scene(np.zeros(shape, np.float32), axes, frame, levels, rng), frame


def _chest(rng: Rng) -> Map:
    """Return all of the phantom's chest but the heart, its vessels and the atrium."""
    scene, frame = _scene(rng, Z_UNIT_MM)
    cage = paint_chest(scene)
    paint_lungs(scene)
    paint_mediastinum(scene, frame, cage)
    paint_abdomen(scene, cage)
    paint_back(scene, 20.0)
    return _scanned(scene.image, rng)


def _organ(rng: Rng) -> Map:
    """Return one of five other organs in a field of fat and muscle."""
    scene, frame = _scene(rng, 1.0)
    scene.paint(np.full(scene.image.shape, -9, np.float32), scene.texture(rng.uniform(0.1, 0.5), 0.2, 30))
    makers = (_liver, _kidney, _head, _thigh, _bladder)
    for solid, value, wall, thick in makers[int(rng.integers(len(makers)))](scene):
        scene.organ(frame, solid, value, wall, thick)
    return _scanned(scene.image, rng)


#: A solid, its level, its wall's level and the wall's thickness in mm.
_Painted = tuple[Solid, float, float, float]


def _liver(scene: Scene) -> list[_Painted]:
    level, vessel = scene.some(0.5, 1.2), scene.some(0.6, 1.5)
    painted: list[_Painted] = [(ellipsoid(scene.near(-30, 0, 0), (80, 70, 60)), level, 0.3, 2.0)]
    for _ in range(12):
        start = scene.near(scene.some(-50, 30), scene.some(-40, 40), scene.some(-25, 25))
        end = scene.near(scene.some(-50, 30), scene.some(-40, 40), scene.some(-25, 25))
        painted.append((tube([start, end], [scene.some(2, 6), scene.some(1, 3)]), vessel, level, 0.5))
    return painted


def _kidney(scene: Scene) -> list[_Painted]:
    cortex, medulla, pelvis = scene.some(0.8, 1.5), scene.some(0.4, 0.9), scene.some(0.1, 1.8)
    middle = scene.near(0, 0, 0)
    painted: list[_Painted] = [(ellipsoid(middle, (28, 22, 50)), cortex, 0.3, 2.0)]
    painted += [(ellipsoid((middle[0] + dx, middle[1], z), (8, 9, 7)), medulla, cortex, 1.0)
                for dx in (-12, 12) for z in (-30, -12, 6, 24)]  # fmt: skip
    return [*painted, (tube([(10, 0, 0), (40, 10, -20)], [9, 3]), pelvis, 0.3, 1.0)]


def _head(scene: Scene) -> list[_Painted]:
    grey, white = scene.some(0.4, 0.8), scene.some(0.5, 1.0)
    painted: list[_Painted] = [(ellipsoid(scene.near(0, 0, -10), (60, 75, 65)), grey, 0.9, 8.0)]
    painted.append((ellipsoid((0, 0, -10), (48, 62, 52)), white, grey, 2.0))
    for side in (-1, 1):
        painted.append((tube([(side * 6, -25, 5), (side * 9, 20, 8)], [5, 7]), scene.some(0.1, 1.6), white, 1.0))
    return painted


def _thigh(scene: Scene) -> list[_Painted]:
    muscle = scene.some(0.4, 0.7)
    painted: list[_Painted] = [(tube([(0, 0, -80), (0, 0, 80)], [42, 48]), muscle, 0.2, 8.0)]
    painted.append((tube([(3, 2, -80), (0, 0, 80)], [14, 14]), scene.some(0.6, 1.1), 0.05, 4.0))
    return [*painted, (tube([(25, 12, -80), (22, 14, 80)], [5, 5]), scene.some(0.9, 1.5), muscle, 1.0)]


def _bladder(scene: Scene) -> list[_Painted]:
    size = scene.some(20, 45)
    return [(ellipsoid(scene.near(0, 0, 0), (1.2 * size, size, 0.9 * size)), scene.some(0.7, 1.6), 0.5, 3.0)]


def _scanned(image: Map, rng: Rng) -> Map:
    """Turn levels into grey levels, with the phantom's range of Rician noise."""
    sigma = np.exp(rng.uniform(np.log(0.06), np.log(0.2)))
    first, second = (sigma * ndimage.gaussian_filter(rng.standard_normal(image.shape), 0.5) / 0.55 for _ in range(2))
    return np.asarray(_GREY * np.hypot(image + first, second), np.float32)
