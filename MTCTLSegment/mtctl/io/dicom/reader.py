"""A folder of DICOM slices in. Positions come from each slice's own header; what names a patient is never looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from mtctl.geometry import Volume, VolumeError
from mtctl.io.dicom.multiframe import read_frames
from mtctl.io.dicom.series import Series, choose_series, read_header
from mtctl.io.dicom.slices import Slice, stack
from mtctl.io.itk import quiet
from mtctl.system.memory import lacks_memory

_POSITION = "0020|0032"
_ORIENTATION = "0020|0037"
_PIXEL_SPACING = "0028|0030"


def pseudonym(folder: Path) -> str:
    """Return a name for the scan in `folder` that is the same every time and says nothing about the patient.

    Raises:
        VolumeError: As `choose_series`.
    """
    return choose_series(folder).series.pseudonym


def read_series(series: Series) -> Volume:
    """Return a series as a volume, float32, rescaled to the scanner's own values.

    Raises:
        VolumeError: Slices are missing, doubled, in several orientations or sizes, in colour, without spacing, or
            cannot be decoded.
    """
    if series.frames > 1:
        if len(series.files) > 1:
            raise VolumeError(
                f"the series has {len(series.files)} multi-frame files; put the wanted one into a folder of its own"
            )
        array, slices = read_frames(series.files[0])
        ordered, geometry = stack(slices)
        return Volume(array[[one.frame for one in ordered]], geometry)
    with quiet():
        ordered, geometry = stack([_read_slice(file) for file in series.files])
        # The grid is the one that was checked slice by slice, not the one that ITK derives from some of the slices.
        return Volume(_decode(ordered), geometry)


def _decode(slices: list[Slice]) -> NDArray[np.float32]:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(one.file) for one in slices])
    reader.SetOutputPixelType(sitk.sitkFloat32)
    try:
        return sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        raise VolumeError("a slice cannot be decoded; copy or export the series again") from error


def _read_slice(file: Path) -> Slice:
    header = read_header(file)
    if header is None:
        raise VolumeError("a slice cannot be read; copy or export the series again")
    if header.GetNumberOfComponents() != 1:
        raise VolumeError(
            f"the slices are in colour ({header.GetNumberOfComponents()} values a voxel); a scan has one grey value"
        )
    spacing = _values(header, _PIXEL_SPACING, 2)
    if min(spacing) <= 0:
        raise VolumeError("the voxel spacing is 0; export the series again from its source")
    position, orientation = _values(header, _POSITION, 3), _values(header, _ORIENTATION, 6)
    columns, rows = header.GetSize()[:2]
    # PixelSpacing is row distance, then column distance: y before x.
    return Slice(
        file,
        0,
        (columns, rows),
        (spacing[1], spacing[0]),
        (position[0], position[1], position[2]),
        (orientation[0], orientation[1], orientation[2], orientation[3], orientation[4], orientation[5]),
    )


def _values(header: sitk.ImageFileReader, key: str, count: int) -> list[float]:
    name = {_PIXEL_SPACING: "voxel spacing", _POSITION: "position", _ORIENTATION: "orientation"}[key]
    try:
        values = [float(text) for text in header.GetMetaData(key).split("\\")] if header.HasMetaDataKey(key) else []
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise VolumeError(f"a slice has no {name} in its header; export the series again from its source")
    return values
