"""Checks of triangle meshes that share nothing with the code that makes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mtctl.surfaces.mesh import TriangleMesh

# Points are rounded to so many steps a mm: determinants of differences of 250 mm then fit 64 bits, so are exact.
_STEPS = 1 << 11


def edge_uses(mesh: TriangleMesh) -> NDArray[np.int64]:
    """Return how many triangles each edge has: 2 everywhere on a closed surface, 1 along an opening."""
    edges = np.sort(_edges(mesh.triangles), axis=1)
    return np.asarray(np.unique(edges, axis=0, return_counts=True)[1])


def is_closed(mesh: TriangleMesh) -> bool:
    """Return whether each edge belongs to two triangles, which go along it in opposite directions."""
    edges = _edges(mesh.triangles)
    there = {tuple(edge) for edge in edges.tolist()}
    return len(there) == len(edges) and all((end, start) in there for start, end in there)


def self_intersections(mesh: TriangleMesh) -> int:
    """Return how many pairs of an edge and a triangle without a common vertex meet, exactly."""
    points = np.rint((mesh.points - mesh.points.mean(axis=0)) * _STEPS).astype(np.int64)
    edges, triangles = np.unique(np.sort(_edges(mesh.triangles), axis=1), axis=0), mesh.triangles
    edge_centres, centres = points[edges].mean(axis=1), points[triangles].mean(axis=1)
    reach = np.linalg.norm(points[edges] - edge_centres[:, None], axis=2).max()
    reach += np.linalg.norm(points[triangles] - centres[:, None], axis=2).max()
    found = 0
    tree = cKDTree(centres)
    for start in range(0, len(edges), 10_000):
        near = tree.query_ball_point(edge_centres[start : start + 10_000], reach)
        e = np.repeat(np.arange(start, start + len(near)), [len(one) for one in near])
        t = np.concatenate([np.array(one, dtype=np.int64) for one in near])
        apart = (edges[e][:, :, None] != triangles[t][:, None, :]).all(axis=(1, 2))
        p, q = np.moveaxis(points[edges[e[apart]]], 1, 0)
        a, b, c = np.moveaxis(points[triangles[t[apart]]], 1, 0)
        boxes = (np.minimum(p, q) <= np.maximum(np.maximum(a, b), c)).all(axis=1)
        boxes &= (np.maximum(p, q) >= np.minimum(np.minimum(a, b), c)).all(axis=1)
        p, q, a, b, c = (corner[boxes] for corner in (p, q, a, b, c))
        across = _side(p, a, b, c) * _side(q, a, b, c) <= 0
        sides = np.stack([_side(p, q, a, b), _side(p, q, b, c), _side(p, q, c, a)])
        through = across & ((sides >= 0).all(axis=0) | (sides <= 0).all(axis=0))
        flat = (sides == 0).all(axis=0)  # in one plane, where no side tells whether they meet
        found += int((through & ~flat).sum())
        found += sum(
            _meet_in_plane(*corners) for corners in zip(*(k[flat & across] for k in (p, q, a, b, c)), strict=True)
        )
    return found


def _meet_in_plane(p: NDArray[np.int64], q: NDArray[np.int64], *corners: NDArray[np.int64]) -> bool:
    """Return whether a segment meets a triangle of its plane: no line along a side of either parts them."""
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    kept = [axis for axis in range(3) if axis != int(np.abs(normal).argmax())]
    segment, triangle = np.array([p, q])[:, kept], np.array(corners)[:, kept]
    for shape in (segment, triangle):
        for start, end in zip(shape, np.roll(shape, 1, axis=0), strict=True):
            across = np.array([end[1] - start[1], start[0] - end[0]])
            one, other = segment @ across, triangle @ across
            if one.max() < other.min() or other.max() < one.min():
                return False
    return True


def _edges(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def _side(p: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64], c: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return on which side of a, b, c each p lies: -1, 0 or 1."""
    u, v, w = a - p, b - p, c - p
    cross = np.stack(
        [
            v[:, 1] * w[:, 2] - v[:, 2] * w[:, 1],
            v[:, 2] * w[:, 0] - v[:, 0] * w[:, 2],
            v[:, 0] * w[:, 1] - v[:, 1] * w[:, 0],
        ],
        axis=1,
    )
    return np.sign((u * cross).sum(axis=1))
