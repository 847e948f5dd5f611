"""The shape of the phantom's left atrium: body, appendage, pulmonary veins, mitral plane, and their variation.

Places are in mm in heart space, along z in `shapes.Z_UNIT_MM`: x to the patient's left, y posterior, z superior, (0, 0,
0) in the atrium's middle. Sizes were read off the benchmark's training scans (cases 1-66).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtctl.geometry import Map
from mtctl.synthetic.shapes import Frame, Point, Solid, ellipsoid, near, point, smooth_cut, smooth_union, tube


@dataclass(frozen=True)
class Vein:
    """A pulmonary vein, of which the mask holds a stump.

    Attributes:
        tube: From inside the atrium into the lung.
        stop: Where the stump ends.
        way: Unit direction of the tube there.
    """

    tube: Solid
    stop: Point
    way: Point


@dataclass(frozen=True)
class AtriumDistances:
    """Distances (mm, negative inside).

    Attributes:
        pool: The blood, with the whole of the veins and without an end at the mitral valve.
        cavity: The mask: stumps of the veins, cut off at the mitral plane.
        mitral: The mitral plane; positive in the left ventricle.
    """

    pool: Map
    cavity: Map
    mitral: Map


@dataclass(frozen=True)
class Atrium:
    """The shape of one left atrium in heart space.

    Attributes:
        lobes: The body.
        appendage: Front left.
        veins: Four pulmonary veins, sometimes a fifth.
        axis: Unit vector from the middle through the mitral valve towards the apex of the left ventricle.
        depth: Distance (mm) of the mitral plane along `axis`.
        back: y (mm) of the flattened rear wall.
    """

    lobes: tuple[Solid, ...]
    appendage: Solid
    veins: tuple[Vein, ...]
    axis: Point
    depth: float
    back: float

    def distances(self, frame: Frame, lumps: Map) -> AtriumDistances:
        """Evaluate the shape; `lumps` (mm, the frame's shape) roughens the wall."""
        body = smooth_cut(frame.distance(self.lobes, 6), frame.along((0, 1, 0), (0, self.back, 0)), 8) + lumps
        body = smooth_union(body, frame.distance([self.appendage]) + lumps, 2.5)
        pool, stumps = body, body
        for vein in self.veins:
            vessel = frame.distance([vein.tube]) + 0.5 * lumps
            pool = smooth_union(pool, vessel, 4)
            stumps = smooth_union(stumps, smooth_cut(vessel, frame.along(vein.way, vein.stop), 2.5), 4)
        mitral = frame.along(self.axis, [self.depth * k for k in self.axis])
        return AtriumDistances(pool, smooth_cut(stumps, mitral, 3), mitral)


@dataclass(frozen=True)
class _Course:
    """A pulmonary vein as it usually runs: points and radii (mm), and the part of the third leg where stumps end."""

    points: tuple[Point, Point, Point, Point]
    radii: tuple[float, float, float, float]
    ends: tuple[float, float]


# Right upper, right lower, left upper, left lower. The right stumps of the real masks reach further than the left ones.
_VEINS = (
    _Course(((-17, -1, 5), (-33, -4, 9), (-54, -6, 16), (-78, -12, 27)), (8.5, 6.0, 5.0, 2.5), (0.5, 1.1)),
    _Course(((-17, 6, 0), (-33, 14, -2), (-52, 24, -5), (-74, 38, -12)), (7.5, 5.6, 5.0, 2.5), (0.4, 1.0)),
    _Course(((17, 2, 4), (30, 3, 7), (42, 4, 11), (64, -2, 24)), (8, 6.0, 5.0, 2.5), (0.0, 0.75)),
    _Course(((17, 5, 1), (29, 11, 3), (41, 19, 3), (63, 33, -4)), (7.5, 5.2, 4.6, 2.5), (0.0, 0.75)),
)
_RIGHT_MIDDLE_VEIN = _Course(((-20, 2, 1), (-34, 3, 2), (-48, 4, 3), (-70, 6, 0)), (4.5, 4, 4, 2), (0.1, 0.8))
_FIVE_VEINS_SHARE = 0.2


def draw_atrium(rng: np.random.Generator) -> Atrium:
    """Return a left atrium of about 100 mL before it is scaled."""
    wide, deep, high = 26.3 * rng.uniform(0.92, 1.1), 17.5 * rng.uniform(0.9, 1.15), 11.8 * rng.uniform(0.88, 1.12)
    lobes = (
        ellipsoid((0, 0, 0), (wide, deep, high)),
        ellipsoid(near(rng, (-14, 5, 2)), (0.62 * wide, 0.8 * deep, 0.85 * high)),
        ellipsoid(near(rng, (13, -4, 0)), (0.6 * wide, 0.8 * deep, 0.85 * high)),
        ellipsoid(near(rng, (8, -7, -4), 1.5), (0.62 * wide, 0.75 * deep, 0.8 * high)),
    )
    courses = (*_VEINS, _RIGHT_MIDDLE_VEIN) if rng.random() < _FIVE_VEINS_SHARE else _VEINS
    veins = tuple(_draw_vein(rng, course) for course in courses)
    size, curl = rng.uniform(0.8, 1.2), rng.uniform(-4, 4)
    line = [near(rng, p, s) for p, s in (((26, -14, 4), 1.5), ((37, -19, 7 + curl / 2), 2.5), ((38, -28, 8 + curl), 3))]
    appendage = tube([(14, -7, 3), *line], [7.5 * size, 6.5 * size, 7 * size, 4 * size])
    axis = np.array([0.5, -0.52, -0.69]) + rng.normal(0, 0.07, 3)
    depth = float(rng.uniform(14.5, 18.5))
    return Atrium(lobes, appendage, veins, point(axis / np.linalg.norm(axis)), depth, float(0.82 * deep))


def _draw_vein(rng: np.random.Generator, course: _Course) -> Vein:
    first, second, third, last = course.points
    line = [first, near(rng, second, 1.8), near(rng, third, 3), near(rng, last, 6)]
    size = rng.uniform(0.85, 1.2)
    leg = np.subtract(line[2], line[1])
    stop = np.asarray(line[1]) + rng.uniform(*course.ends) * leg
    return Vein(tube(line, [size * r for r in course.radii]), point(stop), point(leg / np.linalg.norm(leg)))
