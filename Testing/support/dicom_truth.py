"""What a DICOM folder holds, worked out by pydicom and from the standard's formulas alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
            plane = plane_of(data, number)
            step = np.array([plane.orientation[:3] * plane.spacing[1], plane.orientation[3:] * plane.spacing[0]])
            corners = np.array([(0, 0), (data.Columns - 1, 0), (0, data.Rows - 1), (data.Columns - 1, data.Rows - 1)])
            places = plane.position + corners @ step
            slice_number = round(float(volume.geometry.physical_to_index(places)[0, 2]))
            ours = volume.geometry.index_to_physical(np.c_[corners, np.full(4, slice_number)])
            assert np.abs(ours - places).max() < 1e-3
            expected = values * plane.slope + plane.intercept
            assert np.allclose(volume.array[slice_number], expected, rtol=1e-6, atol=1e-6)
            found[slice_number] += 1
    assert (found == 1).all()


@dataclass(frozen=True)
class TruePlane:
    """Where a slice or frame lies and what its stored values are worth.

    Attributes:
        spacing: Distance of rows and of columns, mm.
        position: Centre of the first pixel, LPS mm.
        orientation: Direction of a row, then of a column.
        slope: From stored values to true ones.
        intercept: Likewise.
    """

    spacing: NDArray[np.float64]
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    slope: float
    intercept: float


def plane_of(data: Any, number: int) -> TruePlane:
    """Return the plane of a pydicom data set, of its frame `number` where it has frames."""
    if "PerFrameFunctionalGroupsSequence" not in data:
        measures = position = orientation = scale = data
    else:
        groups = [data.PerFrameFunctionalGroupsSequence[number], *data.get("SharedFunctionalGroupsSequence", [])]

        def group(name: str) -> Any:
            return next((one[name][0] for one in groups if name in one), {})

        measures, position = group("PixelMeasuresSequence"), group("PlanePositionSequence")
        orientation, scale = group("PlaneOrientationSequence"), group("PixelValueTransformationSequence")
    return TruePlane(
        np.array([float(value) for value in measures.PixelSpacing]),
        np.array([float(value) for value in position.ImagePositionPatient]),
        np.array([float(value) for value in orientation.ImageOrientationPatient]),
        float(scale.get("RescaleSlope", 1)),
        float(scale.get("RescaleIntercept", 0)),
    )
