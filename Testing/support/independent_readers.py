"""Where other programs find the voxels of a file: pynrrd, nibabel, pydicom, and ITK for MetaImage."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from support.dicom_truth import plane_of


@dataclass(frozen=True)
class Understood:
    """What a program makes of a file.

    Attributes:
        array: Voxels, (z, y, x); None where the program is known not to read them.
        affine: 4 x 4, from the index (x, y, z) to LPS mm.
    """

    array: NDArray[Any] | None
    affine: NDArray[np.float64]


def read_independently(path: Path) -> Understood | None:
    """Return what the reader of another project makes of a scan; None where it refuses it, or it is not 3-D."""
    readers: dict[str, Callable[[Path], Understood | None]] = {
        ".nrrd": _by_pynrrd,
        ".nhdr": _by_pynrrd,
        ".nii": _by_nibabel,
        ".gz": _by_nibabel,
        ".mha": _by_itk,
        ".mhd": _by_itk,
        "": _by_pydicom,
    }
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return readers["" if path.is_dir() else path.suffix](path)
        except Exception:
            return None


def _affine(columns: NDArray[np.float64], origin: Any) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = columns, origin
    return affine


def _by_pynrrd(path: Path) -> Understood | None:
    array, header = nrrd.read(str(path), index_order="C")
    if any(key != key.lower() for key in header):  # it knows no field by a name in capitals; the format does
        return None
    space = str(header.get("space", "")).lower()
    signs = np.array([1, 1, 1])
    if space.startswith(("right-anterior", "ras")):
        signs = np.array([-1, -1, 1])
    elif space.startswith(("left-anterior", "las")):
        signs = np.array([1, -1, 1])
    if "space directions" in header:
        rows = np.array(header["space directions"], dtype=float)
        spatial = [axis for axis, row in enumerate(rows) if np.isfinite(row).all() and row[:3].any()]
        columns = signs[:, None] * rows[spatial][:, :3].T
    else:
        steps = np.array(header["spacings"], dtype=float)
        spatial, columns = list(range(3)), np.diag(steps[:3])
    if array.ndim == 4 and len(spatial) == 3:
        array = array.squeeze(axis=3 - next(axis for axis in range(4) if axis not in spatial))
    if array.ndim != 3 or columns.shape != (3, 3):
        return None
    return Understood(array, _affine(columns, signs * np.array(header.get("space origin", [0.0] * 3))[:3]))


def _by_nibabel(path: Path) -> Understood | None:
    image = nibabel.load(path)
    array = np.asarray(image.dataobj)
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return Understood(array.T, np.diag([-1, -1, 1, 1]) @ image.affine) if array.ndim == 3 else None


def _by_itk(path: Path) -> Understood | None:
    lines = path.read_bytes().split(b"ElementDataFile")[0].splitlines()
    if any(b"=" in line and b" =" not in line for line in lines):  # ITK takes no notice of such a line
        return None
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    image = sitk.ReadImage(str(path))
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        return None
    columns = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    head = path.read_bytes().split(b"ElementDataFile")[0]
    # Without the length of the packed data ITK returns memory that nobody wrote.
    believed = b"\nCompressedDataSize =" in b"\n" + head or b"CompressedData = True" not in head
    return Understood(sitk.GetArrayFromImage(image) if believed else None, _affine(columns, image.GetOrigin()))


def _by_pydicom(path: Path) -> Understood | None:
    planes = []
    for file in sorted(path.iterdir()):
        data = pydicom.dcmread(file)
        frames = data.pixel_array.reshape(-1, data.Rows, data.Columns)
        planes += [(plane_of(data, number), stored) for number, stored in enumerate(frames)]
    first = planes[0][0]
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    planes.sort(key=lambda pair: float(pair[0].position @ normal))
    step = (planes[-1][0].position - planes[0][0].position) / (len(planes) - 1)
    if any(plane.slope == 0 for plane, _ in planes):  # taken for none here, as GDCM does
        return None
    array = np.stack([stored * plane.slope + plane.intercept for plane, stored in planes])
    rows, columns = first.spacing
    vectors = np.array([first.orientation[:3] * columns, first.orientation[3:] * rows, step]).T
    return Understood(array, _affine(vectors, planes[0][0].position))
