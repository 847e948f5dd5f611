"""NRRD files, .nrrd and .nhdr."""

from __future__ import annotations

import math
import re
from pathlib import Path

from mtctl.geometry import VolumeError
from mtctl.io.formats.itk_reader import ItkFile
from mtctl.io.formats.text_header import check_beside, numbers, text_lines
from mtctl.io.formats.volume_file import CUT_OFF, VolumeFile, check_count, check_spacing


def open_nrrd(path: Path) -> VolumeFile:
    """Read and check the header of a .nrrd or .nhdr file.

    Raises:
        VolumeError: Not NRRD, no or zero spacing, directions that are not finite, or the data file is missing.
    """
    lines = text_lines(path, lambda line: line == "")
    if not lines or not lines[0].startswith("NRRD"):
        raise VolumeError("is not a NRRD file in spite of its name; copy or export it again")
    if path.suffix.lower() == ".nrrd" and lines[-1] != "":  # an empty line parts header and voxels
        raise VolumeError(CUT_OFF)
    fields = {key.strip().lower(): value.strip() for key, sep, value in (line.partition(":") for line in lines) if sep}
    check_beside(path, fields.get("data file") or fields.get("datafile"))
    check_count(numbers(fields.get("sizes", "")))
    if fields.get("dimension") == "3" and "none" not in fields.get("space directions", ""):
        _check_axes(fields)
    file = ItkFile(path, ".nrrd" if path.suffix.lower() == ".nrrd" else ".nhdr")
    return VolumeFile(file.geometry(), "space" in fields, (), file.voxels)


def _check_axes(fields: dict[str, str]) -> None:
    if "space directions" not in fields:
        check_spacing(numbers(fields.get("spacings", "")))
        return
    vectors = [numbers(text.replace(",", " ")) for text in re.findall(r"\(([^)]*)\)", fields["space directions"])]
    if len(vectors) == 3 and not all(math.isfinite(number) for vector in vectors for number in vector):
        raise VolumeError("the axis directions are not finite numbers; export the scan again from its source")
    check_spacing([math.hypot(*vector) for vector in vectors])
