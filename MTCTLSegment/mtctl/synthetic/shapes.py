"""Shapes of the phantom's organs: signed distances (mm, negative inside) of tubes and ellipsoids on a warped grid.

Along z all numbers of the generator count in units of `Z_UNIT_MM`; see there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Map

#: Millimetres of the patient per unit along the generator's z. Its places, sizes and distances were read off the
#: benchmark's scans when their headers said that slices lie 0.625 mm apart, which was half of the truth; x and y were
#: right. "mm" in the files of the phantom is therefore this unit along z. The factor is applied where the grid's axes
#: are made and where a volume is wanted, nowhere else.
Z_UNIT_MM = 2.0

#: A place in mm, along z in `Z_UNIT_MM`: x to the patient's left, y posterior, z superior; (0, 0, 0) is the middle of
#: the left atrium.
Point = tuple[float, float, float]
#: Part of a grid (z, y, x).
Box = tuple[slice, slice, slice]

#: Distance (mm) given to voxels that are too far from a shape for anything to look at them.
FAR = 30.0


@dataclass(frozen=True)
class Solid:
    """A shape.

    Attributes:
        low, high: Its bounds (mm).
        distance: Signed distance from coordinate arrays x, y, z.
    """

    low: Point
    high: Point
    distance: Callable[[Map, Map, Map], Map]


def point(values: Sequence[float] | NDArray[np.floating]) -> Point:
    """Return three numbers as a place."""
    x, y, z = values
    return float(x), float(y), float(z)


def near(rng: np.random.Generator, place: Sequence[float], spread: float = 2.0) -> Point:
    """Return a place within two standard deviations (`spread` mm per axis) of `place`."""
    return point(np.asarray(place, float) + np.clip(rng.normal(0, spread, 3), -2 * spread, 2 * spread))


def ellipsoid(centre: Point, radii: Point) -> Solid:
    """Return an ellipsoid along the axes; the distance is the usual first-order estimate, exact at the surface."""
    c, r = np.asarray(centre, np.float32), np.asarray(radii, np.float32)

    def distance(x: Map, y: Map, z: Map) -> Map:
        p = [(v - m) / s for v, m, s in zip((x, y, z), c, r, strict=True)]
        rho = np.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) + np.float32(1e-3)
        slope = np.sqrt((p[0] / r[0]) ** 2 + (p[1] / r[1]) ** 2 + (p[2] / r[2]) ** 2) + np.float32(1e-5)
        return np.asarray(rho * (rho - 1) / slope, np.float32)

    return Solid(point(c - r), point(c + r), distance)


def tube(points: Sequence[Sequence[float]], radii: Sequence[float]) -> Solid:
    """Return a tube with round ends along a line of points, with a radius (mm) at each; its corners are cut once."""
    line = np.column_stack([np.asarray(points, float), np.asarray(radii, float)]).astype(np.float64)
    if len(line) > 2:
        cut = np.stack([0.75 * line[:-1] + 0.25 * line[1:], 0.25 * line[:-1] + 0.75 * line[1:]], 1)
        line = np.concatenate([line[:1], cut.reshape(-1, 4)[1:-1], line[-1:]])
    wide = line[:, 3].max()
    low, high = point(line[:, :3].min(0) - wide), point(line[:, :3].max(0) + wide)
    line = line.astype(np.float32)

    def distance(x: Map, y: Map, z: Map) -> Map:
        nearest = np.full(x.shape, FAR, np.float32)
        for start, end in pairwise(line):
            way = end[:3] - start[:3]
            px, py, pz = x - start[0], y - start[1], z - start[2]
            t = np.clip((px * way[0] + py * way[1] + pz * way[2]) / (way @ way + np.float32(1e-6)), 0, 1)
            px -= t * way[0]
            py -= t * way[1]
            pz -= t * way[2]
            gap = np.sqrt(px * px + py * py + pz * pz) - (start[3] + t * (end[3] - start[3]))
            np.minimum(nearest, gap, out=nearest)
        return nearest

    return Solid(low, high, distance)


def column(centre: tuple[float, float], half: tuple[float, float], corner: float) -> Solid:
    """Return a rectangle in x and y with corners of radius `corner` (mm), endless in z: the section of a chest."""

    def distance(x: Map, y: Map, z: Map) -> Map:
        dx, dy = np.abs(x - centre[0]) - (half[0] - corner), np.abs(y - centre[1]) - (half[1] - corner)
        outside = np.sqrt(np.maximum(dx, 0) ** 2 + np.maximum(dy, 0) ** 2)
        return np.asarray(outside + np.minimum(np.maximum(dx, dy), 0) - corner, np.float32)

    return Solid((-1e3, -1e3, -1e3), (1e3, 1e3, 1e3), distance)


def smooth_union(a: Map, b: Map, blend: float) -> Map:
    """Return the union whose inner corner is rounded over about `blend` mm."""
    h = np.clip(np.float32(0.5) + (b - a) * np.float32(0.5 / blend), 0, 1)
    return np.asarray(b + (a - b) * h - np.float32(blend) * h * (1 - h), np.float32)


def smooth_cut(a: Map, b: Map, blend: float) -> Map:
    """Return the intersection whose outer edge is rounded over about `blend` mm."""
    return -smooth_union(-a, -b, blend)


@dataclass(frozen=True)
class Frame:
    """Coordinates of every grid point in a space that is turned, scaled and warped against the patient.

    Attributes:
        x, y, z: Arrays (z, y, x) of coordinates (mm of the frame).
        scale: Millimetres of the patient per millimetre of the frame.
    """

    x: Map
    y: Map
    z: Map
    scale: float = 1.0

    def scaled(self, scale: float) -> Frame:
        """Return the same space with organs `scale` times as large."""
        k = np.float32(1 / scale)
        return Frame(self.x * k, self.y * k, self.z * k, scale * self.scale)

    def window(self, box: Box) -> Frame:
        """Return the part of the grid in a box."""
        return Frame(self.x[box], self.y[box], self.z[box], self.scale)

    def patch(self, solid: Solid, margin: float = 6.0) -> tuple[Box, Map] | None:
        """Return the box of grid points within `margin` of a solid and the distances (patient's mm) in it.

        Return None where it is empty.
        """
        step = 3  # the search looks at every third point; the margin hides what it misses
        close = np.ones(self.x[::step, ::step, ::step].shape, bool)
        for values, low, high in zip((self.x, self.y, self.z), solid.low, solid.high, strict=True):
            some = values[::step, ::step, ::step]
            close &= (some > low - margin) & (some < high + margin)
        if not close.any():
            return None
        hits = [np.flatnonzero(close.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
        z, y, x = (slice(max(0, int(hit[0] - 1) * step), int(hit[-1] + 2) * step) for hit in hits)
        box = (z, y, x)
        return box, solid.distance(self.x[box], self.y[box], self.z[box]) * np.float32(self.scale)

    def distance(self, solids: Sequence[Solid], blend: float = 1.0, margin: float = 16.0) -> Map:
        """Return the distance (patient's mm) to the smooth union of solids; `FAR` further than `margin` away."""
        whole = np.full(self.x.shape, FAR, np.float32)
        for solid in solids:
            patch = self.patch(solid, margin)
            if patch is not None:
                box, distance = patch
                whole[box] = smooth_union(whole[box], distance, blend)
        return whole

    def along(self, way: Sequence[float], place: Sequence[float]) -> Map:
        """Return the signed distance (patient's mm) to the plane through `place`, positive where `way` points to."""
        x, y, z = np.asarray(way, np.float32) * np.float32(self.scale)
        return self.x * x + self.y * y + self.z * z - np.float32(np.dot(way, place) * self.scale)


@dataclass(frozen=True)
class Axes:
    """The patient's coordinates (mm) along the three sides of the grid."""

    z: Map
    y: Map
    x: Map

    def window(self, box: Box) -> Axes:
        """Return the part of the grid in a box."""
        return Axes(self.z[box[0]], self.y[box[1]], self.x[box[2]])

    def waves(self, rng: np.random.Generator, wavelength: float, count: int = 8) -> Map:
        """A smooth random field (z, y, x), standard deviation 1: plane waves of about `wavelength` mm, any direction.

        A plane wave is a product of waves along the axes, so that the whole sum is one matrix product.
        """
        k = rng.normal(size=(count, 3))
        k *= 2 * np.pi / (wavelength * rng.uniform(0.7, 1.5, (count, 1))) / np.linalg.norm(k, axis=1, keepdims=True)
        phase = rng.uniform(0, 2 * np.pi, count)
        along_z = (np.outer(self.z, k[:, 0]) + phase).astype(np.float32)
        in_plane = k[:, 1, None, None] * self.y[:, None] + k[:, 2, None, None] * self.x
        in_plane = in_plane.reshape(count, -1).astype(np.float32)
        field = np.sin(along_z) @ np.cos(in_plane) + np.cos(along_z) @ np.sin(in_plane)
        return np.asarray(field * np.float32(np.sqrt(2 / count))).reshape(len(self.z), len(self.y), len(self.x))


def rotation(rng: np.random.Generator, degrees: Point) -> NDArray[np.float64]:
    """Return a random rotation matrix; `degrees` are the standard deviations of the angles about x, y and z."""
    matrix = np.eye(3)
    for axis, spread in enumerate(degrees):
        angle = np.deg2rad(np.clip(rng.normal(0, spread), -2 * spread, 2 * spread))
        turn = np.eye(3)
        a, b = (k for k in range(3) if k != axis)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix
