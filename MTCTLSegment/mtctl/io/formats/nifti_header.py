"""The header of a NIfTI-1 file: its fields, and the two matrices that say where the voxels lie.

Source: nifti1.h of the NIfTI data format working group (2004).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import VolumeError
from mtctl.io.formats.volume_file import DAMAGED_HEADER

#: Bytes of the header, and the first that voxels in the same file can have.
HEADER_LENGTH = 348
_FIRST_VOXEL = 352

# Bits a voxel of each grey type.
_BITS = {2: 8, 4: 16, 8: 32, 16: 32, 64: 64, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64}
_FLOATS = {16: "f4", 64: "f8"}
_COLOUR = {128: 3, 2304: 4}
_COMPLEX = (32, 1792, 2048)
#: mm of each unit; 0, unknown, is taken as mm by everybody.
_UNITS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
UNIT_NAMES = {1: "metres", 3: "micrometres"}

# 5 is "other template", of NIfTI-2 and AFNI.
_LAST_CODE = 5


@dataclass(frozen=True)
class NiftiHeader:
    """What the header says; numbers as they stand there.

    Attributes:
        size: Number of voxels along the file's axes.
        spacing: pixdim of the first three, in the header's unit.
        bits: A voxel.
        floating: Type of a voxel, with its byte order, where that is a floating number; else None.
        offset: Of the first voxel, bytes.
        unit: Code of the unit of lengths.
        slope: Of the line from stored values to the true ones.
        intercept: Of that line.
        qform: Matrix (4, 4) from indices to LPS mm; None where qform_code is 0.
        sform: Likewise.
    """

    size: tuple[int, ...]
    spacing: tuple[float, float, float]
    bits: int
    floating: np.dtype[Any] | None
    offset: int
    unit: int
    slope: float
    intercept: float
    qform: NDArray[np.float64] | None
    sform: NDArray[np.float64] | None

    @property
    def length(self) -> int:
        """Number of bytes that the file must have, where it is not compressed."""
        return self.offset + math.prod(self.size) * self.bits // 8


def parse(head: bytes) -> NiftiHeader:
    """Return what the first 348 bytes say.

    Raises:
        VolumeError: They are no header of a NIfTI-1 file with its voxels, or contradict themselves.
    """
    order = _order(head)

    def field(offset: int, code: str) -> tuple[float, ...]:
        return struct.unpack_from(order + code, head, offset)

    dim = struct.unpack_from(f"{order}8h", head, 40)
    dim = dim[:4] + tuple(count or 1 for count in dim[4:])  # Some write 0 for an axis that is not there.
    if not 1 <= dim[0] <= 7 or min(dim[1 : 1 + dim[0]]) < 1:
        raise VolumeError(DAMAGED_HEADER)
    datatype, bits = struct.unpack_from(f"{order}2h", head, 70)
    _check_type(datatype, bits)
    pixdim = field(76, "8f")
    offset, slope, intercept = field(108, "3f")
    if not math.isfinite(offset) or offset < _FIRST_VOXEL or offset != int(offset):
        raise VolumeError(
            f"its header says that the voxels begin at byte {offset:g} (vox_offset), where the header itself lies; "
            "copy or export it again"
        )
    qform_code, sform_code = struct.unpack_from(f"{order}2h", head, 252)
    for name, code in (("qform_code", qform_code), ("sform_code", sform_code)):
        if not 0 <= code <= _LAST_CODE:  # Some programs take such a matrix, some do not.
            raise VolumeError(f"its header gives a {name} of {code}, which does not exist; export the scan again")
    unit = head[123] & 7
    mm = _UNITS_MM.get(unit)
    if mm is None:
        raise VolumeError(f"its header gives a unit of length that does not exist ({unit}); export it again in mm")
    quaternion, rows = field(256, "6f"), field(280, "12f")
    if sform_code > 0 and not all(map(math.isfinite, rows)):
        raise VolumeError("the axis directions are not finite numbers (sform); export the scan again from its source")
    if qform_code > 0 and not all(map(math.isfinite, (*quaternion, pixdim[0]))):
        raise VolumeError("the axis directions are not finite numbers (qform); export the scan again from its source")
    return NiftiHeader(
        size=dim[1 : 1 + dim[0]],
        spacing=(pixdim[1], pixdim[2], pixdim[3]),
        bits=bits,
        floating=np.dtype(order + _FLOATS[datatype]) if datatype in _FLOATS else None,
        offset=int(offset),
        unit=unit,
        slope=slope,
        intercept=intercept,
        qform=_lps(_of_quaternion(quaternion, pixdim), mm) if qform_code > 0 else None,
        sform=_lps(np.array(rows, np.float64).reshape(3, 4), mm) if sform_code > 0 else None,
    )


def _order(head: bytes) -> str:
    """Return "<" or ">", the byte order of a NIfTI-1 header."""
    if (len(head) >= 8 and head[4:7] == b"n+2") or head[4:7] == b"ni2":
        raise VolumeError("is a NIfTI-2 file, which is not read here; save it as NIfTI-1 or NRRD")
    orders = [order for order in "<>" if len(head) == HEADER_LENGTH and struct.unpack_from(order + "i", head)[0] == 348]
    if not orders:
        raise VolumeError("is not a NIfTI-1 file in spite of its name; save it as NIfTI-1 or NRRD")
    magic = head[344:347]
    if magic == b"ni1":
        raise VolumeError(
            "is the header of a pair (.hdr and .img) in spite of its name; save both as one .nii or .nii.gz file"
        )
    if magic != b"n+1":
        raise VolumeError(
            "is not a NIfTI-1 file but perhaps ANALYZE 7.5, which does not say how the patient lies; save the scan as "
            "NIfTI-1 or NRRD from its source"
        )
    return orders[0]


def _check_type(datatype: int, bits: int) -> None:
    if datatype in _COLOUR:
        raise VolumeError(f"a colour or vector image ({_COLOUR[datatype]} values a voxel); save one grey value a voxel")
    if datatype in _COMPLEX:
        raise VolumeError("complex voxels; save the magnitude image")
    if datatype not in _BITS:
        raise VolumeError(f"its voxels are of a type that is not read here (datatype {datatype}); save it as float32")
    if bits != _BITS[datatype]:
        raise VolumeError(
            f"its header contradicts itself: datatype {datatype} has {_BITS[datatype]} bits a voxel, bitpix says "
            f"{bits}; copy or export it again"
        )


def _of_quaternion(values: tuple[float, ...], pixdim: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the matrix (3, 4) to RAS of quatern_b to qoffset_z, as nifti1.h computes it."""
    b, c, d = values[:3]
    rest = 1 - (b * b + c * c + d * d)
    if rest < 1e-7:  # a half turn; rounded, it may be longer than 1
        scale = 1 / math.sqrt(b * b + c * c + d * d)
        a, b, c, d = 0.0, b * scale, c * scale, d * scale
    else:
        a = math.sqrt(rest)
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    turn[:, 2] *= -1 if pixdim[0] < 0 else 1
    return np.column_stack([turn * pixdim[1:4], values[3:]])


def _lps(to_ras: NDArray[np.float64], mm: float) -> NDArray[np.float64]:
    return np.vstack([to_ras * np.array([[-mm], [-mm], [mm]]), [0, 0, 0, 1]])
