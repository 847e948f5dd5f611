"""Find the ends of an atrium's veins and its mitral valve, by the mask's shape and, if there is a scan, by its blood.

Veins and appendage are what leaves the body, which is the mask opened by a ball; each end is where the distance from
the body, measured inside the mask, is larger than all around. The mitral valve is the largest flat part of the surface
that looks forward, down and to the left, as those of expert masks do: they end at the valve's plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.geometry import Geometry, Mask, Triple, Volume
from mtctl.masks import largest_component
from mtctl.surfaces.branches import CELL_MM, Branch, branches_of
from mtctl.surfaces.cutting import behind_openings, fitted
from mtctl.surfaces.mesh import TriangleMesh
from mtctl.surfaces.openings import Opening, OpeningKind, read_openings, write_openings

#: Veins are cut so far behind where they leave the body, mm, or earlier, so that the end itself is off.
VEIN_LENGTH_MM = 8.0
END_MM = 3.0

#: From the atrium's middle through the valve, LPS: mean of what the planes of six training cases show.
MITRAL_AXIS = (0.75, -0.55, -0.3)

_STEP_MM = 1.5
_SMALLEST_MM = 1.5  # a vein's radius
_SLAB_MM = 4.0  # a vein's direction is that between sections so far apart, to either side

_MITRAL_ANGLE = 0.6  # cosine: valves that look farther from MITRAL_AXIS are none
_FLAT_ANGLE, _FLAT_MM = 0.94, 1.5  # cosine of 20 degrees
_MITRAL_REACH_MM = 32.0
_MITRAL_INWARD_MM = (2.0, 1.5, 1.0, 0.5, 0.0)
_FLATTEST = 1.6  # of a section's area: more surface than that behind it is no flat end
_OVAL = 1.25  # the flat part of an oval valve is smaller than what it is part of
_SMALLEST_VALVE_MM = 6.0  # radius of its flat part
_SEEDS = 150

_APPENDAGE_AXIS = np.array([0.55, -0.83, 0.0])  # left and in front
_APPENDAGE_LIKENESS, _BLOOD_WEIGHT = 0.45, 0.3

_BEHIND_MM = (2.0, 6.0)  # where blood is looked for behind an opening


def find_openings(mask: Mask, mesh: TriangleMesh, geometry: Geometry, scan: Volume | None = None) -> list[Opening]:
    """Return the mitral valve, the veins and the appendage of a mask, as far as they are found.

    Args:
        mask: (z, y, x), not empty.
        mesh: Its surface (`smoothed_surface`).
        geometry: Of the mask.
        scan: Where it is from, on any grid; with it, openings behind which there is blood are preferred.
    """
    mask = largest_component(np.asarray(mask, dtype=bool))
    blood = None if scan is None else _Blood.of(scan, mask, geometry)
    valve = _mitral_valve(mesh, blood)
    middle = geometry.index_to_physical(np.argwhere(mask)[:, ::-1].mean(axis=0))
    found = [_end_of(branch, mesh) for branch in branches_of(mask, geometry)]
    veins = [one for one in found if one is not None]
    veins = [replace(one, blood=blood.behind(one)) if blood else one for one in veins]
    valves = [valve] if valve else []
    # A valve's rim may leave the body, too: what lies behind the valve is no vein.
    apart = _apart([*valves, *veins], mesh)
    return [*valves, *_with_appendage(apart[len(valves) :], middle)]


def read_or_find_openings(
    document: Path, given: bool, mask: Mask, mesh: TriangleMesh, geometry: Geometry, scan: Volume | None
) -> tuple[Sequence[Opening], bool]:
    """Return the openings of a case's document; where there is none, find them and write it for a person to change.

    Args:
        document: Its file.
        given: Whether a person named it, so that it has to be there.
        mask, mesh, geometry, scan: See `find_openings`.

    Returns:
        The openings, and whether they were read.

    Raises:
        MtctlError: The document cannot be read or written.
    """
    if given or document.exists():
        return read_openings(document), True
    openings = find_openings(mask, mesh, geometry, scan)
    write_openings(openings, document)
    return openings, False


def _apart(openings: Sequence[Opening], mesh: TriangleMesh) -> list[Opening]:
    """Return the openings but those that an earlier one takes with it."""
    taken = np.zeros(len(mesh.points), dtype=bool)
    kept = []
    for opening in openings:
        behind = behind_openings(mesh, [opening])
        if not (behind & taken).any():
            kept.append(opening)
            taken |= behind
    return kept


@dataclass(frozen=True)
class _Blood:
    """How bright the scan is, from the tissue around the atrium (0) to its blood (1)."""

    scan: Volume
    dark: float
    bright: float

    @classmethod
    def of(cls, scan: Volume, mask: Mask, geometry: Geometry) -> _Blood:
        """Measure it inside the mask, three voxels deep, and 3 to 6 voxels outside."""
        deep = ndimage.binary_erosion(mask, iterations=3)
        around = ndimage.binary_dilation(mask, iterations=6) & ~ndimage.binary_dilation(mask, iterations=3)
        inside = _sampled(scan, geometry.index_to_physical(np.argwhere(deep if deep.any() else mask)[::7, ::-1]))
        outside = _sampled(scan, geometry.index_to_physical(np.argwhere(around if around.any() else ~mask)[::7, ::-1]))
        return cls(scan, float(np.median(outside)) if len(outside) else 0.0, float(np.median(inside)))

    def behind(self, opening: Opening) -> float:
        """Return the mean brightness behind an opening, within half its radius, 0 to 1."""
        normal = np.array(opening.normal)
        across = np.linalg.svd(normal[None])[2][1:]
        circle = np.array([[0, 0], *([np.cos(a), np.sin(a)] for a in np.linspace(0, 2 * np.pi, 8, endpoint=False))])
        section = np.array(opening.centre) + 0.5 * opening.radius * circle @ across
        depths = np.linspace(*_BEHIND_MM, 5)
        points = (section[:, None] + depths[:, None] * normal).reshape(-1, 3)
        share = (float(_sampled(self.scan, points).mean()) - self.dark) / max(self.bright - self.dark, 1e-6)
        return float(np.clip(share, 0.0, 1.0))


def _sampled(scan: Volume, points: NDArray[np.float64]) -> NDArray[np.float64]:
    index = scan.geometry.physical_to_index(points)[:, ::-1].T
    return np.asarray(ndimage.map_coordinates(scan.array.astype(np.float32), index, order=1, mode="nearest"))


def _mitral_valve(mesh: TriangleMesh, blood: _Blood | None) -> Opening | None:
    vectors = mesh.area_vectors()
    areas = np.linalg.norm(vectors, axis=1)
    normals, centres = vectors / np.maximum(areas, 1e-12)[:, None], mesh.corners.mean(axis=1)
    axis = np.array(MITRAL_AXIS) / np.linalg.norm(MITRAL_AXIS)
    facing = np.flatnonzero(normals @ axis > _MITRAL_ANGLE)
    if not facing.size:
        return None
    normals, centres, areas = normals[facing], centres[facing], areas[facing]
    best, best_score = None, 0.0
    for seed in np.linspace(0, len(facing) - 1, min(_SEEDS, len(facing))).astype(int).tolist():
        normal, centre = normals[seed], centres[seed]
        for _ in range(4):
            flat = (normals @ normal > _FLAT_ANGLE) & (np.abs((centres - centre) @ normal) < _FLAT_MM)
            flat &= np.linalg.norm(centres - centre, axis=1) < _MITRAL_REACH_MM
            if not flat.any():
                break
            normal = (areas[flat, None] * normals[flat]).sum(axis=0)
            normal /= np.linalg.norm(normal)
            centre = np.average(centres[flat], axis=0, weights=areas[flat])
        if not flat.any() or normal @ axis < _MITRAL_ANGLE:
            continue
        opening = _opening(OpeningKind.MITRAL, centre, normal, float(np.sqrt(areas[flat].sum() / np.pi)))
        if blood:
            opening = replace(opening, blood=blood.behind(opening))
        score = areas[flat].sum() * (normal @ axis) * (1.0 if opening.blood is None else 0.5 + opening.blood)
        if opening.radius >= _SMALLEST_VALVE_MM and score > best_score:
            best, best_score = opening, score
    return None if best is None else _inward(best, mesh)


def _inward(flat: Opening, mesh: TriangleMesh) -> Opening | None:
    """Return the plane behind the round rim of a flat part, as deep as it takes nothing else, such as the appendage."""
    for radius, depth in product((flat.radius, _OVAL * flat.radius), _MITRAL_INWARD_MM):
        centre = _triple(np.array(flat.centre) - depth * np.array(flat.normal))
        valve = fitted(mesh, replace(flat, centre=centre, radius=radius))
        if valve is not None:
            taken = mesh.areas()[behind_openings(mesh, [valve])[mesh.triangles].all(axis=1)].sum()
            if taken < _FLATTEST * np.pi * valve.radius**2:
                return valve
    return None


def _opening(kind: OpeningKind, centre: NDArray[np.float64], normal: NDArray[np.float64], radius: float) -> Opening:
    return Opening(kind, _triple(centre), _triple(normal / np.linalg.norm(normal)), max(radius, 1.0))


def _triple(values: NDArray[np.float64]) -> Triple:
    x, y, z = values.tolist()
    return x, y, z


def _end_of(branch: Branch, mesh: TriangleMesh) -> Opening | None:
    """Return where a branch is cut: VEIN_LENGTH_MM from its start, or farther where a plane would cut other parts, too.

    None where it can be cut nowhere before its last END_MM.
    """
    last = float(branch.distance.max()) - END_MM
    cuts = np.arange(min(branch.start + VEIN_LENGTH_MM, last), last + _STEP_MM, _STEP_MM)
    sections = (fitted(mesh, _across(branch, cut)) for cut in cuts.tolist())
    return next((one for one in sections if one is not None and one.radius >= _SMALLEST_MM), None)


def _across(branch: Branch, cut: float) -> Opening:
    """Return the section of a branch at a distance from the body."""

    def section(low: float, high: float) -> NDArray[np.float64]:
        return branch.points[(branch.distance >= low) & (branch.distance <= high)]

    across = section(cut - CELL_MM, cut + CELL_MM)
    way = section(cut, cut + _SLAB_MM).mean(axis=0) - section(cut - _SLAB_MM, cut).mean(axis=0)
    radius = float(np.sqrt(len(across) * CELL_MM**2 / 2 / np.pi))  # the section is two cells thick
    return _opening(OpeningKind.VEIN, across.mean(axis=0), way, radius)


def _with_appendage(veins: Sequence[Opening], middle: NDArray[np.float64]) -> list[Opening]:
    """Return the ends with the appendage named: of those on the left and in front the one that looks most so.

    Where the scan tells that blood goes on behind one more than behind another, that counts as well.
    """

    def likeness(opening: Opening) -> float:
        from_middle = np.array(opening.centre) - middle
        place = float(from_middle @ _APPENDAGE_AXIS / np.linalg.norm(from_middle))
        return place + float(np.array(opening.normal) @ _APPENDAGE_AXIS) - _BLOOD_WEIGHT * (opening.blood or 0.0)

    named = list(veins)
    best = max(range(len(named)), key=lambda number: likeness(named[number]), default=None)
    if best is not None and likeness(named[best]) > _APPENDAGE_LIKENESS:
        named[best] = replace(named[best], kind=OpeningKind.APPENDAGE)
    return named
