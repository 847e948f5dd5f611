"""Surfaces as files that Slicer, ParaView, mapping systems and simulations read: VTP, STL, PLY and OBJ, in millimetres.

Each says its space in the words that Slicer looks for, "SPACE=LPS" or a field SPACE. Points are in single precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.surfaces.cutting import MappedMesh
from mtctl.surfaces.mesh import SurfaceError, TriangleMesh
from mtctl.system.files import replacing

#: Of the points of a file.
SPACES = ("LPS", "RAS")

_STL_HEADER = 80
_RAS_OF_LPS = np.array([-1.0, -1.0, 1.0])


def write_surface(surface: MappedMesh, path: Path, space: str = "LPS") -> None:
    """Write a surface, whole or not at all, in the format of its name's ending; VTP and PLY hold its values, too.

    Args:
        surface: Points in LPS mm.
        path: Ends in one of `FORMATS`.
        space: Of the file, one of `SPACES`.

    Raises:
        SurfaceError: The surface has no triangles, or the ending or space is unknown.
        WriteError: It cannot be written.
    """
    contents = FORMATS.get(path.suffix.lower())
    if contents is None or space not in SPACES:
        raise SurfaceError(f"{path}: a surface in {space} cannot be written as that; take {', '.join(FORMATS)}")
    if not len(surface.mesh.triangles):
        raise SurfaceError(f"{path}: the surface has no triangles; look at the segmentation and at its openings")
    points = surface.mesh.points * (_RAS_OF_LPS if space == "RAS" else 1.0)
    placed = MappedMesh(TriangleMesh(points, surface.mesh.triangles), surface.values)
    with replacing(path) as part:
        part.write_bytes(contents(placed, space))


def _vtp(surface: MappedMesh, space: str) -> bytes:
    mesh = surface.mesh
    values = {_name(name): array for name, array in surface.values.items()}
    lines = [
        '<?xml version="1.0"?>',
        '<VTKFile type="PolyData" version="0.1" byte_order="LittleEndian">',
        "<PolyData>",
        '<FieldData><Array type="String" Name="SPACE" NumberOfTuples="1" format="ascii">',
        " ".join(map(str, space.encode("ascii") + b"\0")),
        "</Array></FieldData>",
        f'<Piece NumberOfPoints="{len(mesh.points)}" NumberOfVerts="0" NumberOfLines="0" NumberOfStrips="0" '
        f'NumberOfPolys="{len(mesh.triangles)}">',
        f'<PointData Scalars="{next(iter(values), "")}">',
        *(_data_array(name, array.astype(np.float32)) for name, array in values.items()),
        "</PointData><Points>",
        _data_array("Points", mesh.points.astype(np.float32)),
        "</Points><Polys>",
        _data_array("connectivity", mesh.triangles.reshape(-1)),
        _data_array("offsets", np.arange(1, len(mesh.triangles) + 1) * 3),
        "</Polys></Piece></PolyData></VTKFile>",
    ]
    return ("\n".join(lines) + "\n").encode("ascii")


def _data_array(name: str, values: NDArray[Any]) -> str:
    single = values.dtype == np.float32
    texts = map("{:.9g}".format if single else str, values.reshape(-1).tolist())
    parts = f'NumberOfComponents="{values.shape[1]}" ' if values.ndim == 2 else ""
    kind = "Float32" if single else "Int64"
    return f'<DataArray type="{kind}" Name="{name}" {parts}format="ascii">\n{" ".join(texts)}\n</DataArray>'


def _stl(surface: MappedMesh, space: str) -> bytes:
    mesh = surface.mesh
    facets = np.zeros(len(mesh.triangles), np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("_", "<u2")]))
    facets["normal"] = mesh.area_vectors() / np.maximum(mesh.areas(), 1e-12)[:, None]
    facets["corners"] = mesh.corners
    header = f"left atrium, mm. SPACE={space}".encode("ascii").ljust(_STL_HEADER, b" ")
    return header + np.uint32(len(facets)).astype("<u4").tobytes() + facets.tobytes()


def _ply(surface: MappedMesh, space: str) -> bytes:
    mesh = surface.mesh
    names = [_name(name) for name in surface.values]
    vertices = np.zeros(len(mesh.points), np.dtype([(name, "<f4") for name in ("x", "y", "z", *names)]))
    for axis, name in enumerate("xyz"):
        vertices[name] = mesh.points[:, axis]
    for name, values in zip(names, surface.values.values(), strict=True):
        vertices[name] = values
    faces = np.zeros(len(mesh.triangles), np.dtype([("count", "u1"), ("corners", "<i4", 3)]))
    faces["count"], faces["corners"] = 3, mesh.triangles
    header = [
        "ply", "format binary_little_endian 1.0", f"comment SPACE={space}", "comment left atrium, mm",
        f"element vertex {len(vertices)}", *(f"property float {name}" for name in ("x", "y", "z", *names)),
        f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header",
    ]  # fmt: skip
    return ("\n".join(header) + "\n").encode("ascii") + vertices.tobytes() + faces.tobytes()


def _obj(surface: MappedMesh, space: str) -> bytes:
    mesh = surface.mesh
    lines = [f"# SPACE={space}", "# left atrium, mm"]
    lines += [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in mesh.points.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (mesh.triangles + 1).tolist()]
    return ("\n".join(lines) + "\n").encode("ascii")


def _name(name: str) -> str:
    """Return a name of values without what neither format can hold."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name) or "values"


#: What makes the content of a file, by its ending.
FORMATS: Mapping[str, Callable[[MappedMesh, str], bytes]] = {".vtp": _vtp, ".stl": _stl, ".ply": _ply, ".obj": _obj}
