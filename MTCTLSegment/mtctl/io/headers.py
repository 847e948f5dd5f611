"""What a volume file says about itself, read before ITK reads it, because ITK hides what is missing.

Seen with ITK 5.4: a NRRD or MetaImage file without spacing, and a NIfTI file with a zero in pixdim, are read as 1 mm; a
NIfTI file that is cut off is read without a word, with zeros or noise in the lost part. Each would end in wrong
millilitres.

Messages name the cause and the remedy; `volumes.py` puts the file's name in front.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from mtctl.geometry import VolumeError

_CUT_OFF = "the file is cut off or damaged; copy or export it again"
# 1024 x 1024 x 512: more than any scan of a heart has. What claims to be larger is no such scan, or damaged; reading it
# would take all memory and end the process.
_MOST_VOXELS = 1 << 29
_HEADER_LIMIT = 1 << 20  # a header of text is some hundred bytes; DWI tables reach 100 kB


def check_nrrd(path: Path) -> None:
    """Check a .nrrd or .nhdr file.

    Raises:
        VolumeError: Not NRRD, no or zero spacing, directions that are not finite, or the data file is missing.
    """
    lines = _text_header(path, lambda line: line == "")
    if not lines or not lines[0].startswith("NRRD"):
        raise VolumeError("is not a NRRD file in spite of its name; copy or export it again")
    if path.suffix.lower() == ".nrrd" and lines[-1] != "":  # an empty line parts header and voxels
        raise VolumeError(_CUT_OFF)
    fields = {key.strip().lower(): value.strip() for key, sep, value in (line.partition(":") for line in lines) if sep}
    _check_detached(path, fields.get("data file") or fields.get("datafile"))
    _check_count(_numbers(fields.get("sizes", "")))
    if fields.get("dimension") != "3" or "none" in fields.get("space directions", ""):
        return  # not three axes of space: the reader says so
    if "space directions" in fields:
        vectors = [_numbers(text.replace(",", " ")) for text in re.findall(r"\(([^)]*)\)", fields["space directions"])]
        if len(vectors) == 3 and not all(math.isfinite(number) for vector in vectors for number in vector):
            raise VolumeError("the axis directions are not finite numbers; export the scan again from its source")
        _check_spacing([math.hypot(*vector) for vector in vectors])
    else:
        _check_spacing(_numbers(fields.get("spacings", "")))


def check_metaimage(path: Path) -> None:
    """Check a .mha or .mhd file.

    Raises:
        VolumeError: Not MetaImage, no or zero spacing, or the data file is missing.
    """
    lines = _text_header(path, lambda line: line.startswith("ElementDataFile"))
    fields = {key.strip(): value.strip() for key, sep, value in (line.partition("=") for line in lines) if sep}
    if "ElementDataFile" not in fields or "NDims" not in fields:
        raise VolumeError("is not a MetaImage file in spite of its name; copy or export it again")
    if fields["ElementDataFile"].upper() != "LOCAL":
        _check_detached(path, fields["ElementDataFile"])
    _check_count(_numbers(fields.get("DimSize", "")))
    if fields["NDims"] == "3":
        _check_spacing(_numbers(fields.get("ElementSpacing") or fields.get("ElementSize", "")))


def check_nifti(path: Path) -> None:
    """Check a .nii or .nii.gz file; reads it to its end, so that a cut anywhere is noticed.

    Raises:
        VolumeError: Not NIfTI-1, cut off, zero spacing, or two different spacings.
    """
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if compressed else file
        try:
            header = stream.read(348)
            if len(header) < 348 or header[344:347] != b"n+1":
                raise VolumeError("is not a NIfTI-1 file in spite of its name; save it as NIfTI-1 or NRRD")
            order = "<" if struct.unpack("<i", header[:4])[0] == 348 else ">"
            dim = struct.unpack(f"{order}8h", header[40:56])
            _check_count(dim[1 : 1 + dim[0]])
            length = len(header)
            while block := stream.read(1 << 22):
                length += len(block)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise VolumeError(_CUT_OFF) from error
    bits = struct.unpack(f"{order}h", header[72:74])[0]
    pixdim = struct.unpack(f"{order}8f", header[76:108])
    offset = struct.unpack(f"{order}f", header[108:112])[0]
    if length < offset + math.prod(dim[1 : 1 + dim[0]]) * bits // 8:
        raise VolumeError(_CUT_OFF)
    _check_spacing(list(pixdim[1:4]))
    if struct.unpack(f"{order}h", header[254:256])[0] > 0:
        rows = struct.unpack(f"{order}12f", header[280:328])
        columns = [math.hypot(*rows[axis::4]) for axis in range(3)]
        if not all(math.isfinite(number) for number in rows):
            raise VolumeError("the axis directions are not finite numbers; export the scan again from its source")
        if any(abs(a - b) > 0.01 * b for a, b in zip(columns, pixdim[1:4], strict=True)):
            raise VolumeError(
                f"the header gives two voxel spacings, pixdim {_listed(pixdim[1:4])} and sform {_listed(columns)} mm;"
                " export the scan again from its source"
            )


#: The check for each ending that is read.
CHECKS: dict[str, Callable[[Path], None]] = {
    ".nrrd": check_nrrd,
    ".nhdr": check_nrrd,
    ".nii": check_nifti,
    ".nii.gz": check_nifti,
    ".mha": check_metaimage,
    ".mhd": check_metaimage,
}


def is_oriented(path: Path) -> bool:
    """Return whether a readable volume file says how the patient lies in it.

    Exports from plain arrays do not; ITK takes their axes for left, posterior, superior without a word.
    """
    ending = file_type(path)
    if ending in (".nii", ".nii.gz"):
        with open(path, "rb") as file:
            stream = gzip.GzipFile(fileobj=file) if file.read(2) == b"\x1f\x8b" else file
            file.seek(0)
            head = stream.read(348)
        return head[252:254] != b"\0\0" or head[254:256] != b"\0\0"  # qform_code, sform_code
    if ending in (".nrrd", ".nhdr"):
        lines = _text_header(path, lambda line: line == "")
        return any(line.partition(":")[0].strip().lower() == "space" for line in lines)
    lines = _text_header(path, lambda line: line.startswith("ElementDataFile"))
    names = {line.partition("=")[0].strip() for line in lines}
    return bool(names & {"TransformMatrix", "Rotation", "Orientation"})


def file_type(path: Path) -> str | None:
    """Return the ending of `path` that says its format, lower case, as in `CHECKS`; None for any other file."""
    name = path.name.lower()
    return next((ending for ending in CHECKS if name.endswith(ending)), None)


def _text_header(path: Path, last: Callable[[str], bool]) -> list[str]:
    """Return the lines up to the one for which `last` is true, that one included."""
    lines: list[str] = []
    with open(path, "rb") as stream:
        while raw := stream.readline(_HEADER_LIMIT):
            lines.append(raw.decode("utf-8", "replace").strip("\r\n"))
            if last(lines[-1]) or stream.tell() > _HEADER_LIMIT:
                break
    return lines


def _check_detached(path: Path, data_file: str | None) -> None:
    if data_file is None or data_file.split()[0] == "LIST" or "%" in data_file:
        return
    if not (path.parent / data_file).is_file():
        raise VolumeError(f"its voxels are in a second file, {data_file}, which is missing; put it beside this one")


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split()]
    except ValueError as error:
        raise VolumeError("its header is damaged; copy or export it again") from error


def _check_count(sizes: Sequence[float]) -> None:
    if math.prod(sizes) > _MOST_VOXELS:
        raise VolumeError(f"{_listed(sizes)} voxels cannot be a scan of a heart; crop it, or export it again")


def _check_spacing(spacing: list[float]) -> None:
    if len(spacing) != 3 or not all(math.isfinite(number) for number in spacing):
        raise VolumeError("the voxel spacing is missing from the file; export the scan again with its spacing in mm")
    if not all(spacing):
        raise VolumeError(f"the voxel spacing is 0 ({_listed(spacing)}); export the scan again with its spacing in mm")


def _listed(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
