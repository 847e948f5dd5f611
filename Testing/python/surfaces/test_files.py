"""Files of surfaces, re-read by VTK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader
from vtkmodules.vtkIOPLY import vtkPLYReader
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from mtctl.geometry import Geometry
from mtctl.surfaces.cutting import MappedMesh
from mtctl.surfaces.files import FORMATS, write_surface
from mtctl.surfaces.mesh import SurfaceError, TriangleMesh
from mtctl.surfaces.smoothing import smoothed_surface
from mtctl.system.files import WriteError

READERS = {".vtp": vtkXMLPolyDataReader, ".stl": vtkSTLReader, ".ply": vtkPLYReader, ".obj": vtkOBJReader}


@pytest.fixture(scope="module")
def surface() -> MappedMesh:
    mask = np.zeros((8, 10, 12), dtype=bool)
    mask[2:6, 2:7, 3:10] = True
    mesh = smoothed_surface(mask, Geometry((12, 10, 8), (1.0, 1.5, 2.0), (-50.0, 20.0, 300.0)))
    return MappedMesh(mesh, {"uncertainty": mesh.points[:, 2] / 400, "wall ratio": mesh.points[:, 0]})


def read(path: Path) -> Any:
    reader = READERS[path.suffix]()
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()


@pytest.mark.parametrize("space", ["LPS", "RAS"])
@pytest.mark.parametrize("ending", FORMATS)
def test_vtk_reads_the_same_surface_back(ending: str, space: str, surface: MappedMesh, tmp_path: Path) -> None:
    path = tmp_path / f"left atrium ä{ending}"
    write_surface(surface, path, space)
    data = read(path)
    points = vtk_to_numpy(data.GetPoints().GetData()).astype(np.float64)
    triangles = vtk_to_numpy(data.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    if space == "RAS":
        points = points * (-1, -1, 1)
    again = TriangleMesh(points, triangles)
    assert len(triangles) == len(surface.mesh.triangles)
    assert again.volume_ml() == pytest.approx(surface.mesh.volume_ml(), rel=1e-4)  # faces outward in both
    assert points.mean(axis=0) == pytest.approx(surface.mesh.points.mean(axis=0), abs=0.01)
    content = path.read_bytes()
    if ending == ".vtp":
        assert data.GetFieldData().GetAbstractArray("SPACE").GetValue(0) == space
        values = vtk_to_numpy(data.GetPointData().GetArray("uncertainty"))
        assert values == pytest.approx(surface.values["uncertainty"], abs=1e-5)
        assert data.GetPointData().GetArray("wall_ratio") is not None
    else:
        assert f"SPACE={space}".encode() in content[:200]  # where Slicer looks for it
    if ending == ".stl":
        assert not content.startswith(b"solid")  # that begins a text
    if ending == ".ply":
        assert b"property float uncertainty" in content[:400]
        assert b"property float wall_ratio" in content[:400]


def test_what_cannot_be_written_is_said_and_leaves_nothing(surface: MappedMesh, tmp_path: Path) -> None:
    with pytest.raises(SurfaceError, match=r"\.vtp, \.stl, \.ply, \.obj"):
        write_surface(surface, tmp_path / "a.vtk")
    nothing = MappedMesh(TriangleMesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)), {})
    with pytest.raises(SurfaceError, match="no triangles"):
        write_surface(nothing, tmp_path / "a.stl")
    (tmp_path / "folder.stl").mkdir()
    with pytest.raises(WriteError):
        write_surface(surface, tmp_path / "folder.stl")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.stl"]
