"""What lies around the phantom's left atrium, painted from the skin inwards; the atrium's blood has the level 1.

Places are in mm, along z in `shapes.Z_UNIT_MM`, x to the patient's left, y posterior, z superior, (0, 0, 0) in the
middle of the left atrium. Sizes, places and levels were read off the benchmark's training scans (cases 1-66) and
ordinary anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Map
from mtctl.synthetic.atrium import Atrium
from mtctl.synthetic.shapes import (
    Axes,
    Box,
    Frame,
    Point,
    Solid,
    column,
    ellipsoid,
    near,
    smooth_cut,
    smooth_union,
    tube,
)

EDGE_MM = 1.6  # width of a border: partial volume in voxels of 1.25 mm, 2.5 mm along z


@dataclass(frozen=True)
class Levels:
    """Grey levels relative to the blood in the left atrium."""

    lung: float
    fat: float
    muscle: float
    marrow: float
    rim: float
    liver: float
    myocardium: float
    wall: float
    right: float
    left: float
    artery: float
    vein: float


def draw_levels(rng: np.random.Generator) -> Levels:
    """Return levels as they vary from scan to scan, with the inversion time and the delay after the contrast agent."""
    u = rng.uniform
    return Levels(
        lung=u(0.03, 0.12),
        fat=u(0.18, 0.46),
        muscle=u(0.3, 0.5),
        marrow=u(0.06, 0.3),
        rim=u(0.45, 0.95),
        liver=u(0.5, 1.5),
        myocardium=u(0.3, 0.7),
        wall=u(0.7, 1.25),
        right=u(0.85, 1.12),
        left=u(0.9, 1.1),
        artery=u(0.85, 1.15),
        vein=u(0.85, 1.1),
    )


def draw_any_levels(rng: np.random.Generator) -> Levels:
    """Return levels of a scan of any kind, for what has to know the anatomy whatever the contrast.

    Blood is bright in all chambers, as with gadolinium, in balanced sequences and in angiographies; fat, muscle,
    marrow, liver and wall lie anywhere. Not read off scans.
    """
    u = rng.uniform
    return Levels(
        lung=u(0.02, 0.25),
        fat=u(0.1, 1.6),
        muscle=u(0.2, 0.7),
        marrow=u(0.06, 1.0),
        rim=u(0.2, 1.2),
        liver=u(0.2, 1.5),
        myocardium=u(0.2, 0.75),
        wall=u(0.3, 1.4),
        right=u(0.5, 1.2),
        left=u(0.75, 1.25),
        artery=u(0.7, 1.3),
        vein=u(0.7, 1.25),
    )


@dataclass(frozen=True)
class Scene:
    """What is painted on.

    Attributes:
        image: Levels (z, y, x), changed in place.
        axes: The patient's coordinates.
        body: Space of the chest, spine, aorta and lungs.
        levels: How bright the organs are.
        rng: All draws come from here.
    """

    image: Map
    axes: Axes
    body: Frame
    levels: Levels
    rng: np.random.Generator

    def window(self, box: Box) -> Scene:
        """Return the part of the scene in a box; painting there paints here."""
        return Scene(self.image[box], self.axes.window(box), self.body.window(box), self.levels, self.rng)

    def paint(self, distance: Map, value: Map | float) -> None:
        """Cover what lies inside a surface."""
        _cover(self.image, distance, value)

    def organ(self, frame: Frame, solid: Solid, value: float, wall: float, thick: float) -> None:
        """Paint a solid with a wall of `thick` mm around it."""
        patch = frame.patch(solid)
        if patch is not None:
            box, distance = patch
            _cover(self.image[box], distance - np.float32(thick), wall)
            _cover(self.image[box], distance, value)

    def field(self, wavelength: float) -> Map:
        """Return a smooth random field, standard deviation 1."""
        return self.axes.waves(self.rng, wavelength)

    def texture(self, level: float, share: float, wavelength: float) -> Map:
        """Return a level that varies smoothly by a share of itself."""
        return np.asarray(level * (1 + np.float32(share) * self.field(wavelength)), np.float32)

    def near(self, *place: float) -> Point:
        """Return a place about 2 mm from `place`."""
        return near(self.rng, place)

    def some(self, low: float, high: float) -> float:
        """Return a random number between `low` and `high`."""
        return float(self.rng.uniform(low, high))


def _cover(image: Map, distance: Map, value: Map | float) -> None:
    image += np.clip(np.float32(0.5) - distance * np.float32(1 / EDGE_MM), 0, 1) * (value - image)


def paint_chest(scene: Scene) -> Map:
    """Skin, fat, two layers of muscle, ribs, sternum, lungs; returns the distance (mm) to their space."""
    levels, body, some = scene.levels, scene.body, scene.some
    inward = body.distance([column((-4, -2), (166, 114), 100)], margin=500)
    scene.paint(inward, levels.rim)
    scene.paint(inward + 2.5, scene.texture(1.15 * levels.fat, 0.15, 25))
    fat = np.float32(some(9, 20)) + np.float32(3) * scene.field(70)
    scene.paint(inward + fat, scene.texture(levels.muscle, 0.1, 10))
    between = inward + fat + np.float32(9) + np.float32(2) * scene.field(50)
    scene.paint(np.abs(between) - np.float32(0.8), 1.2 * levels.fat)
    cage = body.distance([column((-4, -5), (130, 84), 74)], margin=500)
    haze = np.maximum(0, scene.field(14) + scene.field(7))
    scene.paint(cage, np.float32(levels.lung) + np.float32(0.03) * haze)
    # A rib sinks by about 60 units (z) from the spine (back) to its front end.
    for side in (-1, 1):
        for z in range(-120, 120, 27):
            arc = [(20, 85, z + 22), (80, 82, z + 10), (133, 20, z - 8), (122, -45, z - 26), (60, -90, z - 36)]
            line = [(side * x - 4, y, height) for x, y, height in arc]
            scene.organ(body, tube(line, [5, 5, 5, 5, 4.5]), levels.marrow + 0.1, levels.rim, 1.2)
    scene.organ(body, tube([(-6, -97, -40), (-3, -97, 60)], [7, 8]), levels.marrow + 0.15, levels.rim, 1.2)
    return cage


def paint_lungs(scene: Scene) -> None:
    """Vessels that thin out away from the hila."""
    for side in (-1, 1):
        for _ in range(150):
            out = abs(scene.rng.normal(0, 30))
            start = np.array([side * (28 + out), scene.rng.normal(12, 20 + 0.2 * out), scene.rng.normal(2, 22)])
            way = np.array([side * scene.some(0.1, 1.2), scene.rng.normal(0, 0.7), scene.rng.normal(0, 0.7)])
            end = start + way / np.linalg.norm(way) * scene.some(10, 40)
            wide = scene.some(0.9, 3.2) * float(np.exp(-out / 80))
            line = [start, near(scene.rng, (start + end) / 2, 3), end]
            scene.organ(scene.body, tube(line, [wide, 0.8 * wide, 0.4 * wide]), scene.some(0.45, 1.0), 0.2, 0.5)


def paint_mediastinum(scene: Scene, heart: Frame, cage: Map) -> None:
    """Fat and strands between the organs, inside the rib cage."""
    space = heart.distance([ellipsoid((-3, -8, 0), (50, 32, 60)), ellipsoid((18, -46, -18), (52, 43, 46))], 12, 24)
    space = smooth_union(space, scene.body.distance([ellipsoid((2, 48, 0), (34, 28, 400))], margin=24), 10)
    strands = np.clip(1 - np.abs(scene.field(24)) * 3.5, 0, 1) * np.clip(0.4 + scene.field(30), 0, 1)
    fat = scene.levels.fat * (1 + 0.25 * scene.field(14) + 0.25 * scene.field(7)) + np.float32(0.3) * strands
    scene.paint(smooth_cut(space, cage, 4), np.maximum(fat, np.float32(0.03)))


def paint_abdomen(scene: Scene, cage: Map) -> None:
    """Liver and stomach, under a diaphragm whose dome lies 8 to 48 mm below the atrium's middle."""
    dome = scene.some(-24, -4)
    for solid, level in (
        (ellipsoid((-62, -25, dome - 58), (72, 74, 58)), scene.levels.liver),
        (ellipsoid((74, -10, dome - 60), (54, 62, 55)), scene.levels.muscle),
    ):
        under = smooth_cut(scene.body.distance([solid]), cage, 4)
        scene.paint(under - 2, scene.levels.fat)
        scene.paint(under, scene.texture(level, 0.06, 20))


def paint_back(scene: Scene, back: float) -> None:
    """Spine, descending aorta, oesophagus, azygos vein, bronchi: behind the atrium's rear wall at y = `back` mm."""
    levels, body, some, organ = scene.levels, scene.body, scene.some, scene.organ
    sx, sy = some(-14, 0), back + some(23, 28)
    organ(body, tube([(sx, sy + 46, -80), (sx, sy + 38, 80)], [5, 5]), levels.marrow, levels.rim, 1.5)
    organ(body, tube([(sx, sy + 27, -80), (sx, sy + 27, 80)], [8, 8]), some(0.1, 0.3), levels.muscle, 3)
    organ(body, tube([(sx, sy, -80), (sx, sy, 80)], [16.5, 16.5]), levels.marrow, levels.rim, 1.7)
    for z in np.arange(-80 + some(0, 22), 80, 22):
        organ(body, ellipsoid((sx, sy, float(z)), (15.5, 15.5, 2)), levels.marrow * 0.7, levels.rim, 1)
    wide = some(10, 13)
    ax, ay = sx + 16 + wide + some(-6, 0), max(sy + some(-14, -6), back + wide + 2.5)
    aorta = tube([(ax - 9, ay + 2, -60), (ax - 2, ay, -10), (ax, ay + 2, 60)], [wide, wide, wide])
    organ(body, aorta, levels.artery, levels.rim, 3.2)
    organ(body, aorta, levels.artery, 0.5 * levels.fat, 1.8)
    ex, ey = min(some(-4, 10), ax - wide - 9), back + 5
    flesh, lumen = some(0.4, 0.65), some(0.2, 0.9)
    for x in (ex - 3.5, ex + 3.5, ex):
        gullet = [(x + 5, ey + 1, -60), (x, ey, 0), (x - 3, ey + 3, 60)]
        organ(body, tube(gullet, [3.6, 3.2, 3.6]), flesh, levels.fat, 0.8)
    organ(body, tube(gullet, [1.2, 1.0, 1.2]), lumen, flesh, 0.3)
    organ(body, tube([(sx - 3, sy - 20.5, -60), (sx + 2, sy - 20, 60)], [2.6, 2.8]), levels.vein, levels.fat, 1)
    carina = (some(-4, 4), ey + 4, some(24, 32))
    for side in (-1, 1):
        line = [carina, scene.near(side * 18, ey - 7, 20), scene.near(side * 38, ey - 16, 14)]
        organ(body, tube(line, [6.5, 5.5, 4.5]), levels.lung, levels.muscle, 1.5)


def paint_heart(scene: Scene, heart: Frame, atrium: Atrium) -> None:
    """All of the heart and the great vessels but the left atrium."""
    levels, some = scene.levels, scene.some
    axis = np.asarray(atrium.axis)
    tip = atrium.depth
    middle = _at(axis, tip + 30, (4, -3, 4))
    cone = tube([_at(axis, tip - 4), middle, _at(axis, tip + 62, (18, -8, 14))], [17, 18, 15])
    left = heart.distance([ellipsoid(middle, (26, 26, 25)), cone], 12)
    scene.paint(left - some(7, 10), scene.texture(levels.myocardium, 0.12, 18))
    right = smooth_cut(heart.distance(_right_chambers(scene), 5), some(5, 7) - left, 4)
    scene.paint(right - 3.2, levels.fat)
    scene.paint(right - 1.6, 0.6 * levels.wall)
    scene.paint(right, scene.texture(levels.right, 0.03, 25))
    pulmonary = heart.distance(_pulmonary_artery(scene), 4)
    scene.paint(pulmonary - 1.5, levels.fat)
    scene.paint(pulmonary, levels.vein)
    root = [_at(axis, 25, (-7, -8, 4)), scene.near(-5, -36, 5), scene.near(-9, -41, 22), scene.near(-14, -42, 60)]
    rising = heart.distance([tube(root, [12, 14, 13.5, 14])])
    scene.paint(rising - 1.7, levels.fat)
    scene.paint(rising, levels.artery)
    scene.paint(left, scene.texture(levels.left, 0.03, 25))
    for shift in ((14, 6, -4), (-6, 12, -8)):  # papillary muscles
        line = [_at(axis, tip + 24, shift), _at(axis, tip + 48, shift)]
        scene.organ(heart, tube(line, [3, 5]), levels.myocardium, levels.left, 0)


def _right_chambers(scene: Scene) -> list[Solid]:
    at = scene.near
    return [
        ellipsoid((-14, -54, -22), (32, 22, 25)),
        tube([(0, -60, -14), (14, -62, 6)], [18, 14]),
        ellipsoid(at(-37, -25, -8), (18, 21, 24)),
        ellipsoid((-24, -40, -16), (17, 15, 15)),
        tube([(-38, -24, 4), at(-35, -24, 22), at(-34, -26, 60)], [11, 8.5, 9]),  # superior vena cava
        tube([(-37, -16, -14), at(-36, -9, -30), at(-34, -6, -60)], [12, 10.5, 11]),  # inferior vena cava
        tube([(-25, -20, -20), at(-4, 2, -17), at(20, 9, -13), at(36, 0, -5)], [7, 4.5, 3.8, 2.5]),  # coronary sinus
    ]


def _pulmonary_artery(scene: Scene) -> list[Solid]:
    at = scene.near
    right = [at(14, -62, 4), at(20, -48, 18), at(6, -18, 25), at(-26, -8, 25), at(-58, 0, 26)]
    left = [(20, -46, 19), at(30, -18, 27), at(46, 10, 30), at(62, 24, 20)]
    return [tube(right, [13, 12.5, 11, 10, 7.5]), tube(left, [12, 10, 8, 5])]


def paint_left_atrium(scene: Scene, heart: Frame, atrium: Atrium) -> Map:
    """Enhanced wall, blood, mitral leaflets; returns the distance (mm, negative inside) to the cavity of the mask."""
    levels, some = scene.levels, scene.some
    shape = atrium.distances(heart, 0.55 * scene.field(13) + 0.35 * scene.field(24))
    wall = np.clip(levels.wall + 0.32 * scene.field(16) + 0.22 * scene.field(6), 0.25, 2.0)
    # Experts draw the border at or just inside the blood's edge: the 2 voxels outside have 0.99 of the atrium's level.
    edge = shape.pool - np.float32(some(0, 0.7))
    scene.paint(np.maximum(shape.mitral, edge - np.float32(some(0.9, 2.2))), wall)
    blood = 1 + 0.03 * scene.field(25) + np.float32(some(0, 0.06)) * scene.field(6)
    scene.paint(smooth_cut(edge, shape.mitral - 3, 1.5), blood)
    gaps = 8 * np.clip(0.6 - np.abs(scene.field(34)), 0, 1)
    scene.paint(np.maximum(np.abs(shape.mitral + some(-1, 1)) - 0.7 + gaps, edge), some(0.65, 1.0))
    return shape.cavity


def _at(axis: NDArray[np.float64], distance: float, shift: Point = (0, 0, 0)) -> Point:
    x, y, z = axis * distance + np.asarray(shift)
    return float(x), float(y), float(z)
