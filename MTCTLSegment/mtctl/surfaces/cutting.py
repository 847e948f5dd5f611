"""Surfaces cut at openings: the triangles behind each are taken away, those across it are divided along its plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mtctl.surfaces.mesh import TriangleMesh
from mtctl.surfaces.openings import Opening, OpeningError

#: A cut that would take so much of the surface is none at a vein or a valve.
MOST_OF_SURFACE = 0.5

# Cut edges keep so much of their length at either end: triangles without area are of no use to simulations.
_NEAREST = 0.05

# Sections are oval, and whoever moves a cut does not measure it: within so many radii of the centre it may cut.
_REACH = 2.2


@dataclass(frozen=True)
class MappedMesh:
    """A surface with numbers at its points.

    Attributes:
        mesh: Its points and triangles.
        values: Arrays (N,) by name, one number a point; NaN where there is none.
    """

    mesh: TriangleMesh
    values: Mapping[str, NDArray[np.float64]]


def behind_openings(mesh: TriangleMesh, openings: Sequence[Opening]) -> NDArray[np.bool_]:
    """Return which vertices (N,) of a closed surface lie behind an opening: they are not the atrium's wall.

    Raises:
        OpeningError: An opening does not cut the surface, or takes half of it.
    """
    behind = np.zeros(len(mesh.points), dtype=bool)
    for opening in openings:
        if opening.is_open:
            behind |= _behind(mesh, opening)
    return behind


def fitted(mesh: TriangleMesh, opening: Opening) -> Opening | None:
    """Return an opening with centre and radius of the section that its plane makes; None where it cannot be cut."""
    try:
        behind = _behind(mesh, opening)
        cap = behind[mesh.triangles].any(axis=1)
        normal = np.array(opening.normal) / np.linalg.norm(opening.normal)
        # What is behind closes the section: both have the same area along the normal, and the same middle.
        areas = mesh.area_vectors()[cap] @ normal
        centres = mesh.corners[cap].mean(axis=1)
        centres -= (centres - np.array(opening.centre)) @ normal[:, None] * normal
        x, y, z = ((areas[:, None] * centres).sum(axis=0) / areas.sum()).tolist()
        better = replace(opening, centre=(x, y, z), radius=float(np.sqrt(max(areas.sum(), 1.0) / np.pi)))
        _behind(mesh, better)
    except OpeningError:
        return None
    return better


def cut_open(surface: MappedMesh, openings: Sequence[Opening]) -> MappedMesh:
    """Return a closed surface without what lies behind its openings; new points get values between their neighbours'.

    Raises:
        OpeningError: As `behind_openings`.
    """
    for opening in openings:
        if opening.is_open:
            surface = _without(surface, _behind(surface.mesh, opening), opening.height(surface.mesh.points))
    return surface


def _behind(mesh: TriangleMesh, opening: Opening) -> NDArray[np.bool_]:
    """Return the vertices beyond the plane that hang together with its circle: no plane ends where its circle does."""
    heights = opening.height(mesh.points)
    beyond = heights > 0
    edges = mesh.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    count, inner = len(mesh.points), edges[beyond[edges].all(axis=1)]
    links = coo_array((np.ones(len(inner), dtype=bool), (inner[:, 0], inner[:, 1])), shape=(count, count))
    _, parts = connected_components(links, directed=False)
    crossing = edges[beyond[edges].any(axis=1) & ~beyond[edges].all(axis=1)]
    rim = np.where(beyond[crossing[:, 0]], crossing[:, 0], crossing[:, 1])
    away = np.linalg.norm(mesh.points - np.array(opening.centre), axis=1)
    near = away[rim] < _REACH * opening.radius
    place = ", ".join(f"{value:.1f}" for value in opening.centre)
    if not near.any():
        raise OpeningError(f"the {opening.kind.value} at {place} mm does not cut the surface: move its centre to it")
    # The part with the most of the rim is the opening's own; others only lie beside it, such as another vein.
    own = np.bincount(parts[rim[near]]).argmax()
    behind = np.asarray(parts == own)
    gone = float(mesh.areas()[behind[mesh.triangles].all(axis=1)].sum())
    if (~near[parts[rim] == own]).any() or gone > MOST_OF_SURFACE * float(mesh.areas().sum()):
        raise OpeningError(
            f"the {opening.kind.value} at {place} mm would take more than what lies behind it: move its centre "
            "outwards, or turn its normal along it, out of the atrium"
        )
    return behind


def _without(surface: MappedMesh, behind: NDArray[np.bool_], height: NDArray[np.float64]) -> MappedMesh:
    """Return the surface without the vertices `behind` (N,); edges from them to others are divided at `height` 0."""
    mesh = surface.mesh
    gone = behind[mesh.triangles]
    divided = gone.any(axis=1) & ~gone.all(axis=1)
    edges, numbers, shares = _divided_edges(mesh.triangles[divided], behind, height)
    points = np.concatenate([mesh.points, _between(mesh.points, edges, shares[:, None])])
    values = {name: np.concatenate([one, _between(one, edges, shares)]) for name, one in surface.values.items()}
    triangles = [mesh.triangles[~gone.any(axis=1)]]
    for lone in (False, True):  # one corner is left, or two
        chosen = gone[divided].sum(axis=1) == (2 if not lone else 1)
        odd = (gone[divided] if lone else ~gone[divided])[chosen].argmax(axis=1)
        rows = np.arange(len(odd))
        first, second, third = (mesh.triangles[divided][chosen][rows, (odd + turn) % 3] for turn in range(3))
        after = numbers[np.flatnonzero(chosen), odd] + len(mesh.points)  # on the edge first - second
        before = numbers[np.flatnonzero(chosen), (odd + 2) % 3] + len(mesh.points)  # on the edge third - first
        if lone:
            triangles += [np.stack([second, third, after], axis=1), np.stack([after, third, before], axis=1)]
        else:
            triangles.append(np.stack([first, after, before], axis=1))
    part, used = TriangleMesh(points, np.concatenate(triangles)).part(np.ones(sum(map(len, triangles)), dtype=bool))
    return MappedMesh(part, {name: one[used] for name, one in values.items()})


def _divided_edges(
    triangles: NDArray[np.int64], behind: NDArray[np.bool_], height: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the edges that are divided.

    Returns:
        Their ends (n, 2), the kept one first; for each triangle's edges 0 - 1, 1 - 2, 2 - 0 which of them it is (M, 3);
        and at which share of each the new point lies (n,), from the kept end.
    """
    edges = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    crossing = behind[edges[:, 0]] != behind[edges[:, 1]]
    sorted_ends = np.where(behind[edges[:, :1]], edges[:, ::-1], edges)
    found, number = np.unique(sorted_ends[crossing], axis=0, return_inverse=True)
    numbers = np.full(len(edges), -1)
    numbers[crossing] = number.reshape(-1)
    kept, gone = height[found[:, 0]], height[found[:, 1]]
    shares = np.clip(kept / np.minimum(kept - gone, -1e-12), _NEAREST, 1 - _NEAREST)
    return found, numbers.reshape(-1, 3), shares


def _between(values: NDArray[np.float64], edges: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[edges[:, 0]] + shares * (values[edges[:, 1]] - values[edges[:, 0]])
