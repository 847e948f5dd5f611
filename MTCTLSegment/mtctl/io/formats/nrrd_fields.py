"""The lines of a NRRD header: which fields there are, and the types of its voxels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mtctl.geometry import VolumeError
from mtctl.io.formats.text_header import put_once
from mtctl.io.formats.volume_file import DAMAGED_HEADER

#: All fields of the format (teem.sourceforge.net/nrrd/format.html), by their names without spaces.
_FIELDS = [
    "content",
    "number",
    "type",
    "blocksize",
    "dimension",
    "space",
    "spacedimension",
    "sizes",
    "spacings",
    "thicknesses",
    "axismins",
    "axismaxs",
    "spacedirections",
    "centers",
    "centerings",
    "kinds",
    "labels",
    "units",
    "min",
    "max",
    "oldmin",
    "oldmax",
    "endian",
    "encoding",
    "lineskip",
    "byteskip",
    "sampleunits",
    "spaceunits",
    "spaceorigin",
    "measurementframe",
    "datafile",
]
_SYNONYMS = {"centerings": "centers"}

_TYPES = {
    "int8": "signed char, int8, int8_t",
    "uint8": "uchar, unsigned char, uint8, uint8_t",
    "int16": "short, short int, signed short, signed short int, int16, int16_t",
    "uint16": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "int32": "int, signed int, int32, int32_t",
    "uint32": "uint, unsigned int, uint32, uint32_t",
    "int64": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "uint64": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "float32": "float",
    "float64": "double",
}
_DTYPES = {name: dtype for dtype, names in _TYPES.items() for name in names.split(", ")}


@dataclass(frozen=True)
class NrrdFields:
    """A header's lines, sorted.

    Attributes:
        fields: The format's own fields, by name in lower case without spaces.
        pairs: What else there is: keys and values that a program added.
        files: The lines after "data file: LIST".
    """

    fields: dict[str, str]
    pairs: dict[str, str]
    files: tuple[str, ...]

    def dtype(self) -> np.dtype[np.generic]:
        """Return the type of a voxel, with its byte order.

        Raises:
            VolumeError: It is none, or the byte order of more than one byte is not said.
        """
        name = " ".join(self.fields.get("type", "").lower().split())
        if name not in _DTYPES:
            raise VolumeError(f"its voxels are of type '{name[:40]}'; save one grey value a voxel")
        dtype = np.dtype(_DTYPES[name])
        order = self.fields.get("endian", "").lower()
        if order not in ("", "little", "big"):
            raise VolumeError(DAMAGED_HEADER)
        if dtype.itemsize > 1 and not order and self.fields.get("encoding", "").lower() not in ("ascii", "text", "txt"):
            raise VolumeError("its header does not say the order of a voxel's bytes (endian); export it again")
        return dtype.newbyteorder(">" if order == "big" else "<")


def sort_lines(lines: Iterable[str]) -> NrrdFields:
    """Return the fields that stand in the lines after the first.

    Raises:
        VolumeError: A line is none of a NRRD header, or a field or what is said of a segment is given twice with
            different values. Of other keys that are given twice the last counts, as for other programs.
    """
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    files: list[str] = []
    for number, line in enumerate(lines, 2):
        key, colon, value = line.partition(":")
        if fields.get("datafile", "").upper().startswith("LIST"):
            if line:
                files.append(line.strip())
            continue
        if line.startswith("#") or not line:
            continue
        name = "".join(key.lower().split())
        if ":=" in line and (value.startswith("=") or name not in _FIELDS):  # A key may hold a colon, too.
            key, _, value = line.partition(":=")
            if key.startswith("Segment"):
                put_once(pairs, key, value)
            pairs[key] = value
        else:
            if not colon or name not in _FIELDS:
                raise VolumeError(f"line {number} of its header is none of a NRRD file; export it again")
            put_once(fields, _SYNONYMS.get(name, name), value.strip())
    return NrrdFields(fields, pairs, tuple(files))
