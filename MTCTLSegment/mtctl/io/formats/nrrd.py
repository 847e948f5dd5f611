"""NRRD files, .nrrd and .nhdr, read without a library: what each program makes of an odd header differs.

The format: teem.sourceforge.net/nrrd/format.html. Seen with ITK 5.4: a file without spacing is read as 1 mm, damaged
gzip data is read without a word, SimpleITK before 2.5.4 mirrors the space left-anterior-superior, and numbers are cut
at their point where the process writes decimal commas.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import VolumeError
from mtctl.io.formats.nrrd_axes import NrrdAxes, read_axes
from mtctl.io.formats.nrrd_fields import NrrdFields, sort_lines
from mtctl.io.formats.text_header import TextHeader, beside, numbered_names, read_text_header, whole_numbers
from mtctl.io.formats.volume_file import CUT_OFF, DAMAGED_HEADER, VolumeFile
from mtctl.io.formats.voxel_data import BZIP2, DEFLATED, HEX, RAW, TEXT, DataFile, VoxelData

_ENCODINGS = {"raw": RAW, "gz": DEFLATED, "gzip": DEFLATED, "bz2": BZIP2, "bzip2": BZIP2, "hex": HEX}
_ENCODINGS |= dict.fromkeys(("txt", "text", "ascii"), TEXT)
_MOST_SKIPPED_LINES = 20_000


def open_nrrd(path: Path) -> VolumeFile:
    """Read and check the header of a .nrrd or .nhdr file.

    Raises:
        VolumeError: It is not NRRD, a field is damaged, doubled or missing, the grid cannot be, or a data file is
            missing.
    """
    header = _read_header(path)
    fields = _sorted(header)
    detached = "datafile" in fields.fields
    axes = read_axes(fields)
    encoding = fields.fields.get("encoding", "").lower()
    if encoding not in _ENCODINGS:
        raise VolumeError(
            f"its voxels are encoded as '{encoding[:40]}', which is not read here; save it as gzip or raw"
        )
    start = 0 if detached else header.length
    places = _data_files(path, fields) if detached else (path,)
    lines, skip = (_skip(fields.fields.get(name, "0")) for name in ("lineskip", "byteskip"))
    if lines < 0 or lines > _MOST_SKIPPED_LINES or skip < -1 or (skip < 0 and _ENCODINGS[encoding] != RAW):
        raise VolumeError(DAMAGED_HEADER)
    files = tuple(DataFile(place, start, skip, lines) for place in places)
    data = VoxelData(files, _ENCODINGS[encoding], fields.dtype(), math.prod(axes.sizes))
    components = 1 if axes.value_axis is None else axes.sizes[axes.value_axis]
    return VolumeFile(
        axes.geometry, axes.oriented, axes.remarks, partial(_read_voxels, data, axes), components, fields.pairs
    )


def is_detached_nrrd(path: Path) -> bool:
    """Return whether the voxels of a .nrrd file are in another file.

    Raises:
        VolumeError: It is not NRRD, or its header is damaged.
    """
    return "datafile" in _sorted(_read_header(path)).fields


def _read_header(path: Path) -> TextHeader:
    header = read_text_header(path, lambda line: line == "")
    if not header.lines or not header.lines[0].startswith("NRRD000"):
        raise VolumeError("is not a NRRD file in spite of its name; copy or export it again")
    return header


def _sorted(header: TextHeader) -> NrrdFields:
    """Return the fields; those of a header without its end only where the voxels are in another file."""
    try:
        fields = sort_lines(header.lines[1:])
    except VolumeError:
        if header.complete:
            raise
        raise VolumeError(CUT_OFF) from None  # The last line may end anywhere.
    if not header.complete and "datafile" not in fields.fields:  # an empty line parts header and voxels
        raise VolumeError(CUT_OFF)
    return fields


def _skip(text: str) -> int:
    values = whole_numbers(text)
    if len(values) != 1:
        raise VolumeError(DAMAGED_HEADER)
    return values[0]


def _data_files(path: Path, fields: NrrdFields) -> tuple[Path, ...]:
    """Return the files that hold the voxels: one, those of a list, or those of a pattern with numbers."""
    text = fields.fields["datafile"]
    words = text.split()
    names = [text]
    if words and words[0] == "LIST":
        if not fields.files:
            raise VolumeError("its header lists no files with voxels; export it again")
        names = list(fields.files)
    elif "%" in text and len(words) in (4, 5):
        first, last, step = whole_numbers(" ".join(words[1:4]))
        names = numbered_names(words[0], first, last, step)
    return tuple(beside(path, name) for name in names)


def _read_voxels(data: VoxelData, axes: NrrdAxes) -> NDArray[Any]:
    """Return the voxels, (z, y, x) or, of several values each, (z, y, x, component)."""
    array = data.read().reshape(axes.sizes[::-1])
    if axes.value_axis is None:
        return array
    array = np.moveaxis(array, len(axes.sizes) - 1 - axes.value_axis, -1)
    return np.ascontiguousarray(array[..., 0] if array.shape[-1] == 1 else array)
