"""What a DICOM folder holds, worked out by pydicom and from the standard's formulas alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mtctl.geometry import Volume
from mtctl.io.dicom.reader import read_series
from mtctl.io.dicom.series import choose_series


def read_folder(folder: Path) -> Volume:
    """The scan in a folder, however small it is."""
    return read_series(choose_series(folder).series)


def assert_as_pydicom(folder: Path, volume: Volume) -> None:
    """Every pixel of every file is in the volume, with its value and within 0.001 mm of its place; and nothing else."""
    import pydicom

    found = np.zeros(len(volume.array), int)
    for file in folder.rglob("*.dcm"):
        data = pydicom.dcmread(file, force=True)
        stored = data.pixel_array.reshape(-1, data.Rows, data.Columns)
        for number, values in enumerate(stored):
            spacing, position, orientation, slope, intercept = _plane(data, number)
            step = np.array([np.multiply(orientation[:3], spacing[1]), np.multiply(orientation[3:], spacing[0])])
            corners = np.array([(0, 0), (data.Columns - 1, 0), (0, data.Rows - 1), (data.Columns - 1, data.Rows - 1)])
            places = volume.geometry.physical_to_index(position + corners @ step)
            slice_number = round(float(places[0, 2]))
            ours = volume.geometry.index_to_physical(np.c_[corners, np.full(4, slice_number)])
            assert np.abs(ours - (position + corners @ step)).max() < 1e-3
            assert np.allclose(volume.array[slice_number], values * slope + intercept, rtol=1e-6, atol=1e-6)
            found[slice_number] += 1
    assert (found == 1).all()


def _plane(data: Any, number: int) -> tuple[Any, Any, Any, float, float]:
    if "PerFrameFunctionalGroupsSequence" not in data:
        scale = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
        return data.PixelSpacing, np.array(data.ImagePositionPatient), data.ImageOrientationPatient, *scale
    groups = [data.PerFrameFunctionalGroupsSequence[number], *data.get("SharedFunctionalGroupsSequence", [])]

    def group(name: str) -> Any:
        return next((one[name][0] for one in groups if name in one), None)

    scale = group("PixelValueTransformationSequence")
    return (
        group("PixelMeasuresSequence").PixelSpacing,
        np.array(group("PlanePositionSequence").ImagePositionPatient),
        group("PlaneOrientationSequence").ImageOrientationPatient,
        1.0 if scale is None else float(scale.RescaleSlope),
        0.0 if scale is None else float(scale.RescaleIntercept),
    )
