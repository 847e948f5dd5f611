"""MetaImage files, .mha and .mhd."""

from __future__ import annotations

import math
from pathlib import Path

from mtctl.geometry import VolumeError
from mtctl.io.formats.itk_reader import ItkFile
from mtctl.io.formats.text_header import check_beside, numbers, text_lines
from mtctl.io.formats.volume_file import VolumeFile, check_count, check_spacing

_ORIENTATION = {"TransformMatrix", "Rotation", "Orientation"}


def open_metaimage(path: Path) -> VolumeFile:
    """Read and check the header of a .mha or .mhd file.

    Raises:
        VolumeError: Not MetaImage, no or zero spacing, or the data file is missing.
    """
    lines = text_lines(path, lambda line: line.startswith("ElementDataFile"))
    fields = {key.strip(): value.strip() for key, sep, value in (line.partition("=") for line in lines) if sep}
    if "ElementDataFile" not in fields or "NDims" not in fields:
        raise VolumeError("is not a MetaImage file in spite of its name; copy or export it again")
    if fields["ElementDataFile"].upper() != "LOCAL":
        check_beside(path, fields["ElementDataFile"])
    check_count(numbers(fields.get("DimSize", "")))
    if fields["NDims"] == "3":
        check_spacing(numbers(fields.get("ElementSpacing") or fields.get("ElementSize", "")))
    if not all(math.isfinite(number) for key in _ORIENTATION & fields.keys() for number in numbers(fields[key])):
        raise VolumeError("the axis directions are not finite numbers; export the scan again from its source")
    file = ItkFile(path, ".mha" if path.suffix.lower() == ".mha" else ".mhd")
    return VolumeFile(file.geometry(), bool(fields.keys() & _ORIENTATION), (), file.voxels)
