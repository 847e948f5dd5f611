"""NRRD and MetaImage files written line by line, as any program might write them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: x, y, z: each axis of its own length.
SIZE = (18, 17, 16)

NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "18 17 16",
    "space directions": "(0.7,0,0) (0,0.8,0) (0,0,1.25)",
    "space origin": "(-10,20.5,-3)",
    "endian": "little",
    "encoding": "raw",
}

METAIMAGE = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "-10 20.5 -3",
    "ElementSpacing": "0.7 0.8 1.25",
    "DimSize": "18 17 16",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}


def values(dtype: Any = np.int16) -> NDArray[Any]:
    return np.random.default_rng(3).integers(0, 100, SIZE[::-1]).astype(dtype)


def write_nrrd(path: Path, changes: Mapping[str, str | None] | None = None, data: bytes | None = None) -> Path:
    """Write a NRRD file with other, further or (None) without fields; `data` stands for the raw or packed voxels."""
    fields = {key: value for key, value in (NRRD | dict(changes or {})).items() if value is not None}
    if data is None:
        data = values().tobytes()
        data = gzip.compress(data) if fields["encoding"] in ("gzip", "gz") else data
    lines = ["NRRD0005", *(f"{key}: {value}" for key, value in fields.items()), "", ""]
    path.write_bytes("\n".join(lines).encode() + data)
    return path


def write_metaimage(path: Path, changes: Mapping[str, str | None] | None = None, data: bytes | None = None) -> Path:
    """Write a MetaImage file, as `write_nrrd`; ElementDataFile stays last."""
    fields = {key: value for key, value in (METAIMAGE | dict(changes or {})).items() if value is not None}
    fields["ElementDataFile"] = fields.pop("ElementDataFile")
    if data is None:
        data = values().tobytes()
        data = zlib.compress(data) if fields["CompressedData"] == "True" else data
    path.write_bytes("".join(f"{key} = {value}\n" for key, value in fields.items()).encode() + data)
    return path
