"""NIfTI files as other programs write them, by nibabel, and with single fields of the header changed."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

SIZE = (20, 18, 16)

#: A change of the bytes of a file.
Edit = Callable[[bytearray], None]


def voxels(dtype: Any = np.int16) -> NDArray[Any]:
    """Values from 0 to 99, (x, y, z)."""
    return np.random.default_rng(4).integers(0, 100, SIZE).astype(dtype)


def affine(mirrored: bool = False) -> NDArray[np.float64]:
    """An oblique grid of 0.6 x 0.7 x 1.3 mm, from indices to RAS."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix() * [0.6, 0.7, 1.3]
    matrix[:3, 3] = -10, 20, 33
    matrix[:, 0] *= -1 if mirrored else 1
    return matrix


def sheared(degrees: float) -> NDArray[np.float64]:
    """The same grid, its second axis leaning towards the first."""
    matrix = affine()
    matrix[:3, 1] += matrix[:3, 0] / 0.6 * 0.7 * np.tan(np.radians(degrees))
    return matrix


def moved(mm: float) -> NDArray[np.float64]:
    """The same grid, so much further to the right."""
    matrix = affine()
    matrix[0, 3] += mm
    return matrix


def write_nifti(
    path: Path,
    array: NDArray[Any] | None = None,
    qform: NDArray[np.float64] | None = None,
    sform: NDArray[np.float64] | None = None,
    codes: tuple[int, int] = (1, 1),
    order: str = "<",
    edit: Edit | None = None,
) -> Path:
    """Write a file with a qform and a sform, each `affine()` where none is given, and change its bytes."""
    array = voxels() if array is None else array
    header = nibabel.Nifti1Header(endianness=order)
    image = nibabel.Nifti1Image(array, affine(), header, dtype=array.dtype)
    image.set_qform(affine() if qform is None else qform, codes[0])
    image.set_sform(affine() if sform is None else sform, codes[1])
    content = bytearray(image.to_bytes())
    if edit is not None:
        edit(content)
    path.write_bytes(gzip.compress(bytes(content)) if path.suffix == ".gz" else content)
    return path


def field(offset: int, code: str, *numbers: float) -> Edit:
    """Return the change of a header's field: its place, its type as in `struct`, and what stands there then."""

    def edit(content: bytearray) -> None:
        struct.pack_into("<" + code, content, offset, *numbers)

    return edit


def nibabel_reads(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return voxels (z, y, x) and the matrix from indices to LPS as nibabel understands the file."""
    image = nibabel.load(path)
    assert isinstance(image, nibabel.Nifti1Image)
    array = np.asarray(image.get_fdata()).reshape(image.shape[:3])
    return array.transpose(2, 1, 0), np.diag([-1.0, -1, 1, 1]) @ np.asarray(image.affine)
