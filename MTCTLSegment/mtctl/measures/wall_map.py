"""Surfaces as VTK PolyData files (.vtp), which Slicer and ParaView open, with values at their points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.surfaces.mesh import TriangleMesh
from mtctl.system.files import replacing

_TYPES = {"f": "Float32", "u": "UInt8", "i": "Int64"}


def write_wall_map(path: Path, mesh: TriangleMesh, values: Mapping[str, NDArray[Any]]) -> None:
    """Write a surface, whole or not at all.

    Args:
        path: Ends in .vtp.
        mesh: The surface; the file is in LPS mm, as Slicer expects it of the field that says so.
        values: One number a vertex (n,), by name; the first is what is shown.

    Raises:
        WriteError: It cannot be written.
    """
    count, cells = len(mesh.points), len(mesh.triangles)
    shown = next(iter(values), "")
    offsets = np.arange(1, cells + 1, dtype=np.int64) * 3
    lines = [
        '<?xml version="1.0"?>',
        '<VTKFile type="PolyData" version="0.1" byte_order="LittleEndian">',
        "<PolyData>",
        '<FieldData><Array type="String" Name="SPACE" NumberOfTuples="1" format="ascii">',
        " ".join(map(str, b"LPS\0")),
        "</Array></FieldData>",
        f'<Piece NumberOfPoints="{count}" NumberOfVerts="0" NumberOfLines="0" NumberOfStrips="0" '
        f'NumberOfPolys="{cells}">',
        f'<PointData Scalars="{shown}">',
        *(_array(name, array) for name, array in values.items()),
        "</PointData><Points>",
        _array("Points", mesh.points.astype(np.float32)),
        "</Points><Polys>",
        _array("connectivity", mesh.triangles.reshape(-1)),
        _array("offsets", offsets),
        "</Polys></Piece></PolyData></VTKFile>",
    ]
    with replacing(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="ascii")


def _array(name: str, values: NDArray[Any]) -> str:
    """Return an array as XML; numbers of single precision keep their last digit."""
    if values.dtype.kind in "fb":
        values = values.astype(np.float32 if values.dtype.kind == "f" else np.uint8)
    parts = 'NumberOfComponents="3" ' if values.ndim == 2 else ""
    texts = map("{:.9g}".format if values.dtype.kind == "f" else str, values.reshape(-1).tolist())
    return (
        f'<DataArray type="{_TYPES[values.dtype.kind]}" Name="{name}" {parts}format="ascii">\n{" ".join(texts)}\n'
        "</DataArray>"
    )
