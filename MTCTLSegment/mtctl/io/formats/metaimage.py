"""MetaImage files, .mha and .mhd, read without a library.

The format: itk.org/Wiki/ITK/MetaIO/Documentation. Seen with ITK 5.4: a file without spacing is read as 1 mm, damaged
deflated data is read without a word, missing slices of a list too, and an odd number of dimensions ends the process.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.errors import counted
from mtctl.geometry import VolumeError
from mtctl.io.formats.metaimage_axes import read_axes
from mtctl.io.formats.text_header import TextHeader, beside, numbered_names, put_once, read_text_header, whole_numbers
from mtctl.io.formats.volume_file import CUT_OFF, DAMAGED_HEADER, VolumeFile
from mtctl.io.formats.voxel_data import DEFLATED, PADDING_BYTES, RAW, TEXT, DataFile, VoxelData
from mtctl.system.regular_files import open_regular

# MET_LONG has four bytes on every machine.
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_LAST = "ElementDataFile"
# What says where the voxels are and what they mean. Other keys, of DICOM for example, are texts of any kind.
_FIELDS = {
    "ObjectType", "NDims", "DimSize", "ElementType", "ElementNumberOfChannels", "ElementSpacing", "ElementSize",
    "TransformMatrix", "Rotation", "Orientation", "Offset", "Position", "Origin", "AnatomicalOrientation",
    "DistanceUnits", "BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "CompressedData",
    "CompressedDataSize", "HeaderSize", _LAST,
}  # fmt: skip


def open_metaimage(path: Path) -> VolumeFile:
    """Read and check the header of a .mha or .mhd file.

    Raises:
        VolumeError: It is not MetaImage, a field is damaged, doubled or missing, the grid cannot be, or a data file is
            missing.
    """
    header = _read_header(path)
    fields = _fields(header)
    if fields.get("ObjectType", "Image") != "Image":
        raise VolumeError(f"holds no image but '{fields['ObjectType'][:40]}'; name the scan's own file")
    axes = read_axes(fields)
    local = fields[_LAST].upper() == "LOCAL"
    places = (path,) if local else _data_files(path, fields[_LAST], header, axes.sizes[-1])
    kind = fields.get("ElementType", "")
    if kind not in _TYPES:
        raise VolumeError(f"its voxels are of type '{kind[:40]}'; save one grey value a voxel")
    msb = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", ""))
    dtype = np.dtype((">" if _true(msb) else "<") + _TYPES[kind])
    components = _whole(fields, "ElementNumberOfChannels", 1)
    if not 1 <= components <= 1000:
        raise VolumeError(DAMAGED_HEADER)
    encoding = RAW
    if _true(fields.get("CompressedData", "")):
        encoding = DEFLATED
    elif "BinaryData" in fields and not _true(fields["BinaryData"]):
        encoding = TEXT
    skip = _whole(fields, "HeaderSize", 0)
    if skip < -1:
        raise VolumeError(DAMAGED_HEADER)
    # The size of a header counts from the beginning of the file, whichever it is.
    start = header.length if local and skip <= 0 else max(skip, 0)
    files = tuple(DataFile(place, start, -1 if skip < 0 and encoding == RAW else 0) for place in places)
    if encoding == DEFLATED and len(files) == 1:
        _check_packed_length(files[0], _whole(fields, "CompressedDataSize", 0))
    data = VoxelData(files, encoding, dtype, math.prod(axes.sizes) * components)
    read = partial(_read_voxels, data, axes.sizes, components)
    return VolumeFile(axes.geometry, axes.oriented, axes.remarks, read, components, fields)


def is_detached_metaimage(path: Path) -> bool:
    """Return whether the voxels of a .mha file are in another file.

    Raises:
        VolumeError: It is not MetaImage, or its header is damaged.
    """
    return _fields(_read_header(path))[_LAST].upper() != "LOCAL"


def _read_header(path: Path) -> TextHeader:
    return read_text_header(path, lambda line: _key(line)[0] == _LAST)


def _fields(header: TextHeader) -> dict[str, str]:
    if not any(_key(line)[0] == "NDims" for line in header.lines):
        raise VolumeError("is not a MetaImage file in spite of its name; copy or export it again")
    if not header.complete:
        raise VolumeError(CUT_OFF)
    fields: dict[str, str] = {}
    text = False
    for number, line in enumerate(header.lines, 1):
        key, value = _key(line)
        if line.strip() and (not key or not any(sign in line for sign in "=:")):
            # A text may have several lines, but one that lost its sign is missed.
            if not text or (key.split() or [""])[0] in _FIELDS:
                raise VolumeError(f"line {number} of its header is none of a MetaImage file; export it again")
            continue
        text = (text and not key) or (bool(key) and key not in _FIELDS)
        if key in _FIELDS or key.startswith("Segment"):
            put_once(fields, key, value)
        elif key:
            fields[key] = value
    return fields


def _key(line: str) -> tuple[str, str]:
    """Return what stands before and after the first "=" or ":" of a line."""
    place = min((place for sign in "=:" if (place := line.find(sign)) >= 0), default=len(line))
    return line[:place].strip(), line[place + 1 :].strip()


def _true(text: str) -> bool:
    return text[:1] in ("T", "t", "1")


def _whole(fields: dict[str, str], key: str, without: int) -> int:
    values = whole_numbers(fields[key]) if key in fields else [without]
    if len(values) != 1:
        raise VolumeError(DAMAGED_HEADER)
    return values[0]


def _data_files(path: Path, text: str, header: TextHeader, slices: int) -> tuple[Path, ...]:
    """Return the files that hold the voxels: one, those of a list, or those of a pattern with numbers."""
    words = text.split()
    names = [text]
    if words and words[0] == "LIST":
        names = _listed_files(path, header)
    elif "%" in text and len(words) in (3, 4):
        first, last, *step = whole_numbers(" ".join(words[1:]))
        names = numbered_names(words[0], first, last, step[0] if step else 1)
    elif not text:
        raise VolumeError("its header does not say where the voxels are (ElementDataFile); export it again")
    if len(names) > 1 and len(names) != slices:
        raise VolumeError(
            f"its header names {len(names)} files for {counted(slices, 'slice')}; export it again with all of them"
        )
    return tuple(beside(path, name) for name in names)


def _listed_files(path: Path, header: TextHeader) -> list[str]:
    """Return the names that stand in the lines after the header's last."""
    with open_regular(path) as stream:
        stream.seek(header.length)
        text = stream.read(1 << 20).decode("utf-8", "replace")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise VolumeError("its header lists no files with voxels; export it again")
    return names


def _check_packed_length(file: DataFile, said: int) -> None:
    surplus = file.path.stat().st_size - file.start - said
    if said > 0 and not 0 <= surplus <= PADDING_BYTES:
        raise VolumeError(CUT_OFF)


def _read_voxels(data: VoxelData, sizes: tuple[int, int, int], components: int) -> NDArray[Any]:
    """Return the voxels, (z, y, x) or, of several values each, (z, y, x, component)."""
    array = data.read()
    return array.reshape(sizes[::-1] if components == 1 else (*sizes[::-1], components))
