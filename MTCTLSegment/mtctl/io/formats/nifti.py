"""NIfTI-1 files, .nii and .nii.gz.

Seen with ITK 5.4: a zero in pixdim is read as 1 mm, and a file that is cut off is read without a word, with zeros or
noise in the lost part. Each would end in wrong millilitres.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

from mtctl.geometry import VolumeError
from mtctl.io.formats.itk_reader import ItkFile
from mtctl.io.formats.volume_file import CUT_OFF, VolumeFile, check_count, check_spacing, listed


def open_nifti(path: Path) -> VolumeFile:
    """Read and check the header of a .nii or .nii.gz file; reads it to its end, so that a cut anywhere is noticed.

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
            check_count(dim[1 : 1 + dim[0]])
            length = len(header)
            while block := stream.read(1 << 22):
                length += len(block)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise VolumeError(CUT_OFF) from error
    bits = struct.unpack(f"{order}h", header[72:74])[0]
    pixdim = struct.unpack(f"{order}8f", header[76:108])
    offset = struct.unpack(f"{order}f", header[108:112])[0]
    if length < offset + math.prod(dim[1 : 1 + dim[0]]) * bits // 8:
        raise VolumeError(CUT_OFF)
    check_spacing(list(pixdim[1:4]))
    if struct.unpack(f"{order}h", header[254:256])[0] > 0:
        rows = struct.unpack(f"{order}12f", header[280:328])
        columns = [math.hypot(*rows[axis::4]) for axis in range(3)]
        if not all(math.isfinite(number) for number in rows):
            raise VolumeError("the axis directions are not finite numbers; export the scan again from its source")
        if any(abs(a - b) > 0.01 * b for a, b in zip(columns, pixdim[1:4], strict=True)):
            raise VolumeError(
                f"the header gives two voxel spacings, pixdim {listed(pixdim[1:4])} and sform {listed(columns)} mm;"
                " export the scan again from its source"
            )
    itk_file = ItkFile(path, ".nii.gz" if path.name.lower().endswith(".gz") else ".nii")
    return VolumeFile(itk_file.geometry(), header[252:256] != bytes(4), (), itk_file.voxels)  # qform_code, sform_code
