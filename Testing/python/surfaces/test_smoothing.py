from __future__ import annotations

import numpy as np
import pytest
from support.mesh_checks import is_closed, self_intersections

from mtctl.errors import MtctlError
from mtctl.geometry import IDENTITY, Geometry, Mask, VolumeError
from mtctl.surfaces.mesh import SurfaceError, TriangleMesh
from mtctl.surfaces.smoothing import smoothed_surface

_TURN = np.radians(25.0)
_C, _S = float(np.cos(_TURN)), float(np.sin(_TURN))

GRIDS = {
    "cubes": ((1.25, 1.25, 1.25), IDENTITY),
    "thick slices": ((0.7, 0.7, 4.0), IDENTITY),
    "oblique": ((1.25, 1.25, 2.5), (_C, -_S, 0.0, _S, _C, 0.0, 0.0, 0.0, 1.0)),
    "slices downwards": ((1.0, 1.2, 2.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)),
    "sagittal, left-handed": ((0.8, 1.3, 1.6), (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
    "large voxels": ((3.0, 3.0, 3.0), IDENTITY),
    "small voxels": ((0.3, 0.3, 0.3), IDENTITY),
}


def grid(name: str, shape: tuple[int, int, int]) -> Geometry:
    spacing, direction = GRIDS[name]
    return Geometry((shape[2], shape[1], shape[0]), spacing, (-31.5, 12.25, 70.0), direction)


def blob(shape: tuple[int, int, int] = (11, 16, 18)) -> Mask:
    """A body with a branch that reaches the end of the array, as a vein does."""
    z, y, x = np.indices(shape)
    body = ((z - 5) / 4) ** 2 + ((y - 8) / 6) ** 2 + ((x - 7) / 6) ** 2 <= 1
    branch = (abs(z - 5) <= 1) & (abs(y - 8) <= 2) & (x >= 7)
    return np.asarray(body | branch)


@pytest.mark.parametrize("name", GRIDS)
def test_the_surface_is_closed_faces_outward_keeps_the_volume_and_does_not_cut_itself(name: str) -> None:
    mask = blob()
    geometry = grid(name, mask.shape)
    mesh = smoothed_surface(mask, geometry)
    assert is_closed(mesh)
    assert mesh.volume_ml() == pytest.approx(int(mask.sum()) * geometry.voxel_ml, rel=0.01)
    assert self_intersections(mesh) == 0
    assert mesh.areas().min() > 0


@pytest.mark.parametrize("name", GRIDS)
def test_the_surface_lies_where_the_mask_lies(name: str) -> None:
    mask = blob()
    geometry = grid(name, mask.shape)
    mesh = smoothed_surface(mask, geometry)
    voxels = geometry.index_to_physical(np.argwhere(mask)[:, ::-1])
    most = max(1.0, 1.5 * max(geometry.spacing))
    assert np.abs(mesh.points.min(axis=0) - voxels.min(axis=0)).max() < most
    assert np.abs(mesh.points.max(axis=0) - voxels.max(axis=0)).max() < most


@pytest.mark.parametrize("seed", range(4))
def test_no_mask_has_a_surface_that_cuts_itself(seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 8, 9)) < 0.4
    mesh = smoothed_surface(mask, grid("thick slices", mask.shape))
    assert is_closed(mesh)
    assert self_intersections(mesh) == 0


def test_a_ball_is_round() -> None:
    z, y, x = np.indices((24, 24, 24)) - 11.5
    mask = np.asarray(z**2 + y**2 + x**2 <= 100)
    mesh = smoothed_surface(mask, grid("cubes", mask.shape))
    radii = np.linalg.norm(mesh.points - mesh.points.mean(axis=0), axis=1)
    assert radii.std() < 0.15  # voxels of 1.25 mm alone would leave 0.35
    assert radii.mean() == pytest.approx(12.5, abs=0.2)


def test_a_single_voxel_and_a_single_slice_have_surfaces_of_their_volume() -> None:
    for where in ((3, 3, 3), (3,)):
        mask = np.zeros((7, 7, 7), dtype=bool)
        mask[where] = True
        geometry = grid("cubes", mask.shape)
        mesh = smoothed_surface(mask, geometry)
        assert mesh.volume_ml() == pytest.approx(int(mask.sum()) * geometry.voxel_ml, rel=0.01)
        assert is_closed(mesh)


def test_a_full_volume_has_a_closed_surface() -> None:
    mask = np.ones((5, 6, 7), dtype=bool)
    assert is_closed(smoothed_surface(mask, grid("oblique", mask.shape)))


def test_what_has_no_surface_is_said() -> None:
    empty = np.zeros((4, 5, 6), dtype=bool)
    with pytest.raises(SurfaceError, match="empty"):
        smoothed_surface(empty, grid("cubes", empty.shape))
    with pytest.raises(VolumeError, match="grid"):
        smoothed_surface(empty, grid("cubes", (4, 5, 7)))
    assert issubclass(SurfaceError, MtctlError)


def test_a_mesh_measures_itself() -> None:
    corner = TriangleMesh(
        np.array([[5.0, 5, 5], [16, 5, 5], [5, 17, 5], [5, 5, 18]]),
        np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
    )
    assert corner.volume_ml() == pytest.approx(11 * 12 * 13 / 6000)
    assert corner.areas()[:3].tolist() == pytest.approx([66.0, 71.5, 78.0])
    assert corner.normals()[0] == pytest.approx(-np.array([78.0, 71.5, 66.0]) / np.linalg.norm([78.0, 71.5, 66.0]))
    part, used = corner.part(np.array([False, False, False, True]))
    assert used.tolist() == [1, 2, 3]
    assert part.areas() == pytest.approx(corner.areas()[3:])


def test_triangles_name_vertices_that_there_are() -> None:
    with pytest.raises(ValueError, match="vertex"):
        TriangleMesh(np.zeros((3, 3)), np.array([[0, 1, 3]]))
    with pytest.raises(ValueError, match="shape"):
        TriangleMesh(np.zeros((3, 2)), np.array([[0, 1, 2]]))
