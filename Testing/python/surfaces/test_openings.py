"""Veins and mitral valve of phantoms, whose place is known; documents of openings; surfaces cut open."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.mesh_checks import edge_uses, is_closed, self_intersections

from mtctl.geometry import IDENTITY, Geometry, Volume
from mtctl.surfaces.cutting import MappedMesh, behind_openings, cut_open
from mtctl.surfaces.finding import find_openings
from mtctl.surfaces.mesh import TriangleMesh
from mtctl.surfaces.openings import Opening, OpeningError, OpeningKind, read_openings, write_openings
from mtctl.surfaces.smoothing import smoothed_surface
from mtctl.system.documents import DocumentError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def atrium() -> tuple[NDArray[np.bool_], TriangleMesh, Geometry]:
    """A ball with two veins to the right, one to the left behind, an appendage in front, and a flat mitral end."""
    z, y, x = (np.indices((46, 56, 78)) * 1.25).astype(np.float32)
    points = np.stack([x - 48, y - 34, z - 28], axis=-1)  # LPS from the middle
    mask = np.linalg.norm(points * (0.9, 1, 1), axis=-1) <= 20
    for way, length, radius in (
        ((-1, -0.2, 0.3), 42, 5), ((-1, 0.6, -0.1), 42, 4.5), ((0.8, 0.9, 0.2), 36, 5), ((0.45, -0.7, 0.9), 34, 5),
    ):  # fmt: skip
        unit = np.array(way) / np.linalg.norm(way)
        along = points @ unit
        mask |= (along > 0) & (along < length) & (np.linalg.norm(points - along[..., None] * unit, axis=-1) < radius)
    valve = np.array([0.75, -0.55, -0.3]) / np.linalg.norm([0.75, -0.55, -0.3])
    mask &= (points @ valve < 14) | (points[..., 2] > 4)
    geometry = Geometry((78, 56, 46), (1.25, 1.25, 1.25), (-48.0, -34.0, -28.0), IDENTITY)
    return mask, smoothed_surface(mask, geometry), geometry


@pytest.fixture(scope="module")
def found(atrium: tuple[NDArray[np.bool_], TriangleMesh, Geometry]) -> list[Opening]:
    return find_openings(*atrium)


def test_three_veins_an_appendage_and_the_mitral_valve_are_found(found: list[Opening]) -> None:
    assert [one.kind for one in found].count(OpeningKind.VEIN) == 3
    appendage = next(one for one in found if one.kind is OpeningKind.APPENDAGE)
    assert np.dot(appendage.normal, np.array([0.45, -0.7, 0.9]) / np.linalg.norm([0.45, -0.7, 0.9])) > 0.9
    valve = next(one for one in found if one.kind is OpeningKind.MITRAL)
    axis = np.array([0.75, -0.55, -0.3]) / np.linalg.norm([0.75, -0.55, -0.3])
    assert np.dot(valve.normal, axis) > 0.95
    assert abs(np.dot(valve.centre, axis) - 14) < 3


def test_veins_are_cut_across_with_their_radius(found: list[Opening]) -> None:
    ways = {(-1, -0.2, 0.3): 5.0, (-1, 0.6, -0.1): 4.5, (0.8, 0.9, 0.2): 5.0}
    for way, radius in ways.items():
        unit = np.array(way) / np.linalg.norm(way)
        vein = max(found, key=lambda one: float(np.dot(one.normal, unit)))
        assert np.dot(vein.normal, unit) > 0.93
        assert np.linalg.norm(np.cross(vein.centre, unit)) < 1.5  # mm from the vein's axis
        assert vein.radius == pytest.approx(radius, abs=1.0)


def test_the_places_do_not_depend_on_the_direction_of_the_scans_axes(
    atrium: tuple[NDArray[np.bool_], TriangleMesh, Geometry], found: list[Opening]
) -> None:
    mask, _, geometry = atrium
    turned = np.ascontiguousarray(mask.transpose(2, 1, 0)[::-1])  # axes: z, y, -x of the patient
    x, y, z = geometry.index_to_physical((geometry.size[0] - 1, 0, 0)).tolist()
    grid = Geometry((46, 56, 78), (1.25,) * 3, (x, y, z), (0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0))
    again = find_openings(turned, smoothed_surface(turned, grid), grid)
    assert sorted(one.kind.value for one in again) == sorted(one.kind.value for one in found)
    for one in again:
        assert min(np.linalg.norm(np.subtract(one.centre, other.centre)) for other in found) < 2.5


def test_blood_that_goes_on_behind_a_vein_is_seen(atrium: tuple[NDArray[np.bool_], TriangleMesh, Geometry]) -> None:
    mask, mesh, geometry = atrium
    grey = np.where(mask, 200, 40).astype(np.float32)
    veins = [one for one in find_openings(mask, mesh, geometry, Volume(grey, geometry)) if one.kind is OpeningKind.VEIN]
    assert all(one.blood is not None and one.blood > 0.2 for one in veins)  # the stump beyond the cut


def test_the_open_surface_ends_at_its_planes(
    atrium: tuple[NDArray[np.bool_], TriangleMesh, Geometry], found: list[Opening]
) -> None:
    _, mesh, _ = atrium
    values = mesh.points[:, 0].copy()
    surface = cut_open(MappedMesh(mesh, {"x": values}), found)
    uses = edge_uses(surface.mesh)
    assert set(uses.tolist()) == {1, 2}
    assert self_intersections(surface.mesh) == 0
    assert surface.mesh.areas().min() > 0
    rims = rim_points(surface.mesh)
    heights = np.min([np.abs(one.height(rims)) for one in found if one.is_open], axis=0)
    assert heights.max() < 0.1
    # A value that is linear along edges stays what it is at the new points.
    assert surface.values["x"] == pytest.approx(surface.mesh.points[:, 0])


def rim_points(mesh: TriangleMesh) -> NDArray[np.float64]:
    edges = np.sort(mesh.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    return mesh.points[np.unique(unique[counts == 1])]


def test_what_is_behind_is_what_the_open_surface_lacks(
    atrium: tuple[NDArray[np.bool_], TriangleMesh, Geometry], found: list[Opening]
) -> None:
    _, mesh, _ = atrium
    behind = behind_openings(mesh, found)
    kept = float(mesh.areas()[~behind[mesh.triangles].any(axis=1)].sum())
    whole = float(mesh.areas()[~behind[mesh.triangles].all(axis=1)].sum())
    assert kept <= float(cut_open(MappedMesh(mesh, {}), found).mesh.areas().sum()) <= whole
    assert 0.05 < behind.mean() < 0.5


def test_an_appendage_stays_closed(
    atrium: tuple[NDArray[np.bool_], TriangleMesh, Geometry], found: list[Opening]
) -> None:
    appendages = [one for one in found if one.kind is OpeningKind.APPENDAGE]
    assert is_closed(cut_open(MappedMesh(atrium[1], {}), appendages).mesh)


def test_an_opening_that_does_not_fit_is_said(atrium: tuple[NDArray[np.bool_], TriangleMesh, Geometry]) -> None:
    mesh = atrium[1]
    with pytest.raises(OpeningError, match="does not cut"):
        behind_openings(mesh, [Opening(OpeningKind.VEIN, (300.0, 0.0, 0.0), (1.0, 0.0, 0.0), 5.0)])
    with pytest.raises(OpeningError, match="more than what lies behind"):
        behind_openings(mesh, [Opening(OpeningKind.MITRAL, (0.0, 0.0, 0.0), (-1.0, 0.0, 0.0), 30.0)])


def test_a_mask_without_body_has_no_openings() -> None:
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[5:7, 5:7, 5:7] = True
    geometry = Geometry((12, 12, 12), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    assert [one for one in find_openings(mask, smoothed_surface(mask, geometry), geometry) if one.is_open] == []


def test_a_document_of_openings_comes_back(tmp_path: Path, found: list[Opening]) -> None:
    path = tmp_path / "Vorhof ä.openings.json"
    write_openings(found, path)
    again = read_openings(path)
    assert [one.kind for one in again] == [one.kind for one in found]
    assert np.allclose([one.centre for one in again], [one.centre for one in found], atol=1e-3)


WRONG = {
    "missing centre": lambda one: one.pop("centre"),
    "radius of nothing": lambda one: one.update(radius=0),
    "normal of no length": lambda one: one.update(normal=[0, 0, 0]),
    "normal of two": lambda one: one.update(normal=[0, 1]),
    "kind of no atrium": lambda one: one.update(kind="aorta"),
    "no number": lambda one: one.update(centre=["a", 0, 0]),
    "not finite": lambda one: one.update(centre=[float("nan"), 0, 0]),
    "far away": lambda one: one.update(centre=[1e300, 0, 0]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_document_that_is_wrong_is_refused_with_its_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.openings.json"
    write_openings([Opening(OpeningKind.VEIN, (1.0, 2.0, 3.0), (0.0, 0.0, 1.0), 5.0)], path)
    document = json.loads(path.read_text())
    WRONG[name](document["openings"][0])
    path.write_text(json.dumps(document))
    with pytest.raises(DocumentError, match=r"a\.openings\.json"):
        read_openings(path)


def test_a_document_that_is_missing_or_of_another_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OpeningError, match="missing"):
        read_openings(tmp_path / "none.openings.json")
    path = tmp_path / "a.openings.json"
    path.write_text(json.dumps({"format": 1, "space": "RAS", "openings": []}))
    with pytest.raises(DocumentError, match="LPS"):
        read_openings(path)
