"""NIfTI-1 files, .nii and .nii.gz.

Seen with ITK 5.4: a zero in pixdim is read as 1 mm; a file that is cut off is read without a word, with zeros or noise
in the lost part; of the two matrices in a header it takes the qform where it can, other programs the sform. Each would
end in wrong millilitres or in the wrong place. Voxels that are no finite numbers are read as 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtctl.errors import counted
from mtctl.geometry import Geometry, VolumeError
from mtctl.io.formats.itk_reader import ItkFile
from mtctl.io.formats.nifti_header import HEADER_LENGTH, UNIT_NAMES, NiftiHeader, parse
from mtctl.io.formats.volume_file import CUT_OFF, VolumeFile, check_count, check_spacing, listed
from mtctl.io.formats.voxel_data import Inflated
from mtctl.system.regular_files import open_regular

# Of the smallest voxel edge, at the corner where two matrices differ most: what is worth saying, and what is too much.
_SAID, _REFUSED = 0.25, 1.0
# As `Geometry`: D'D of three decimals.
_SHEAR = 1e-3
_SMALLEST_SLOPE = 1e-12
# What may follow the voxels; far more is a file that was made to fill the memory, or has a wrong header.
_MOST_BEHIND = 1 << 26
_BLOCK = 1 << 22


def open_nifti(path: Path) -> VolumeFile:
    """Read and check the header of a .nii or .nii.gz file; reads it to its end, so that a cut anywhere is noticed.

    Raises:
        VolumeError: Not NIfTI-1, cut off, a header that contradicts itself, or two places for one volume.
    """
    compressed = path.name.lower().endswith(".gz")
    header, found = _read_to_the_end(path, compressed)
    size = _size_3d(header)
    check_spacing(header.spacing)
    if min(header.spacing) < 0:
        raise VolumeError(f"the voxel spacing is negative ({listed(header.spacing)}); export the scan again in mm")
    _check_scale(header)
    _check_sform(header)
    file = ItkFile(path, ".nii.gz" if compressed else ".nii")
    geometry = file.geometry()
    remarks = [*_two_places(header, geometry), *_unit(header)]
    if found.not_finite:
        remarks.append(
            f"{counted(found.not_finite, 'voxel is', 'voxels are')} NaN or infinite in the file; they were taken as 0"
        )
    if found.length > header.length:
        remarks.append(
            f"the file is {counted(found.length - header.length, 'byte')} longer than its header says; look whether "
            "the whole scan is there"
        )
    if found.padding:
        remarks.append(f"{found.padding} zeros or ends of lines follow its packed voxels, and were left out")
    if geometry.size != size:
        raise VolumeError(f"its header says {listed(size)} voxels and is not understood; save it as NRRD")
    oriented = header.qform is not None or header.sform is not None
    return VolumeFile(geometry, oriented, tuple(remarks), file.voxels)


@dataclass(frozen=True)
class _FileContent:
    """What was found in a file.

    Attributes:
        length: Bytes, inflated where it is compressed.
        padding: Bytes behind the packed stream.
        not_finite: Number of voxels that are NaN or infinite.
    """

    length: int
    padding: int
    not_finite: int


def _read_to_the_end(path: Path, compressed: bool) -> tuple[NiftiHeader, _FileContent]:
    """Return the header, and what else is in the file.

    Raises:
        VolumeError: It is cut off, a checksum is wrong, or something else follows the stream.
    """
    with open_regular(path) as file:
        begin = file.read(2)
        file.seek(0)
        if begin == b"\x1f\x8b" and not compressed:
            raise VolumeError("is compressed by gzip in spite of its name; rename it to end in .nii.gz")
        packed = Inflated(file) if begin == b"\x1f\x8b" else None
        blocks = iter(packed) if packed else iter(lambda: file.read(_BLOCK), b"")
        content = b""
        while len(content) < HEADER_LENGTH and (block := next(blocks, None)) is not None:
            content += block
        header, length = parse(content[:HEADER_LENGTH]), len(content)
        check_count(header.size)
        not_finite, rest = _count_not_finite(header, content[header.offset : header.length])
        for block in blocks:
            voxels = block[max(0, header.offset - length) : max(0, header.length - length)]
            more, rest = _count_not_finite(header, rest + voxels)
            not_finite += more
            length += len(block)
            if length > header.length + _MOST_BEHIND:
                raise VolumeError("the file holds far more than its header says; copy or export it again")
    if length < header.length:
        raise VolumeError(CUT_OFF)
    return header, _FileContent(length, packed.padding if packed else 0, not_finite)


def _count_not_finite(header: NiftiHeader, content: bytes) -> tuple[int, bytes]:
    """Return how many of the voxels that are wholly in `content` are NaN or infinite, and the bytes after those."""
    if header.floating is None:
        return 0, b""
    whole = len(content) - len(content) % header.floating.itemsize
    values = np.frombuffer(content[:whole], header.floating)
    return len(values) - int(np.count_nonzero(np.isfinite(values))), content[whole:]


def _size_3d(header: NiftiHeader) -> tuple[int, ...]:
    """Return the size of the one volume in the file; more axes of length 1 count for nothing."""
    if len(header.size) < 3:
        raise VolumeError(f"{len(header.size)}-D image (a single slice); save one 3-D volume")
    if len(header.size) == 5 and header.size[3] == 1 and header.size[4] > 1:
        raise VolumeError(f"a colour or vector image ({header.size[4]} values a voxel); save one grey value a voxel")
    if math.prod(header.size[3:]) > 1:
        raise VolumeError(
            f"{len(header.size)}-D image (several volumes in one file: {listed(header.size)}); save one 3-D volume"
        )
    return header.size[:3]


def _check_scale(header: NiftiHeader) -> None:
    if 0 < abs(header.slope) < _SMALLEST_SLOPE:  # ITK takes it for none, other programs do not.
        raise VolumeError(
            f"the scale of its values cannot be ({header.slope:g}, scl_slope); export the scan again from its source"
        )
    if math.isfinite(header.slope) and header.slope:
        if not math.isfinite(header.intercept):
            raise VolumeError(
                "the scale of its values is not finite (scl_inter); export the scan again from its source"
            )
    elif math.isfinite(header.intercept) and header.intercept:
        # A slope of 0 or NaN says that there is no scale. Here ITK adds the intercept and others do not.
        raise VolumeError(
            f"its header gives an offset of its values ({header.intercept:g}, scl_inter) without a slope; export the "
            "scan again from its source"
        )


def _check_sform(header: NiftiHeader) -> None:
    """Raise where the sform has other spacings than pixdim, or is no turn."""
    if header.sform is None:
        return
    scale = {1: 1000.0, 3: 0.001}.get(header.unit, 1.0)
    columns = np.linalg.norm(header.sform[:3, :3], axis=0)
    spacing = [value * scale for value in header.spacing]
    if any(abs(a - b) > 0.01 * b for a, b in zip(columns, spacing, strict=True)):
        raise VolumeError(
            f"the header gives two voxel spacings, pixdim {listed(spacing)} and sform {listed(columns.tolist())} mm;"
            " export the scan again from its source"
        )
    directions = header.sform[:3, :3] / columns
    lean = np.abs(directions.T @ directions - np.eye(3)).max()
    if lean > _SHEAR:
        raise VolumeError(
            f"the axes are not at right angles (the sform is sheared by {math.degrees(math.asin(min(1.0, lean))):.1f}"
            " degrees); resample the scan to a rectangular grid first"
        )


def _two_places(header: NiftiHeader, geometry: Geometry) -> list[str]:
    """Return what is to be said of the matrices of a header, and of the place that ITK found.

    Raises:
        VolumeError: They differ by more than a voxel.
    """
    voxel = min(geometry.spacing)
    given = {name: matrix for name, matrix in (("qform", header.qform), ("sform", header.sform)) if matrix is not None}
    off = {name: _farthest(_matrix(geometry), matrix, geometry.size) for name, matrix in given.items()}
    if len(given) == 2:
        apart = _farthest(given["qform"], given["sform"], geometry.size)
        if apart > _REFUSED * voxel:
            raise VolumeError(
                f"its header gives two places that lie up to {apart:.1f} mm apart, the qform and the sform; find out"
                " which is right and copy it over the other (fslorient -copyqform2sform or -copysform2qform)"
            )
        if apart > _SAID * voxel:
            used = min(off, key=lambda name: off[name])
            return [f"its header gives two places, qform and sform, {apart:.2f} mm apart; the {used} was taken"]
    if off and min(off.values()) > _SAID * voxel:
        raise VolumeError(
            f"its place in the patient is understood in two ways that lie {min(off.values()):.1f} mm apart; save the"
            " scan as NRRD"
        )
    return []


def _unit(header: NiftiHeader) -> list[str]:
    if header.unit not in UNIT_NAMES:
        return []
    return [f"its header gives lengths in {UNIT_NAMES[header.unit]}; they were taken as that"]


def _matrix(geometry: Geometry) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3] = geometry.matrix * geometry.spacing
    matrix[:3, 3] = geometry.origin
    return matrix


def _farthest(one: NDArray[np.float64], other: NDArray[np.float64], size: tuple[int, ...]) -> float:
    """Return the largest distance between the places that two matrices give a corner voxel, mm."""
    corners = np.array([(*corner, 1) for corner in product(*[(0, count - 1) for count in size])], np.float64)
    return float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())
