"""Multi-frame DICOM, such as enhanced MR: all slices in one file, each with its own place and scale.

GDCM reads such files too, but takes the places of all frames from the first two and one scale for all: wrong where
frames are in another order than in space, or scaled one by one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import VolumeError
from mtctl.io.dicom.quiet import quiet_dicom
from mtctl.io.dicom.slices import Slice


@quiet_dicom()
def read_frames(file: Path) -> tuple[NDArray[np.float32], list[Slice]]:
    """Return the frames of a file, in its own order.

    Returns:
        Values as the scanner means them (frames, rows, columns), and the frames' places.

    Raises:
        VolumeError: pydicom is not installed; or the frames have no places in space, are in colour, or cannot be
            decoded.
    """
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError:
        raise VolumeError(
            "multi-frame DICOM needs the package pydicom (pip install 'slicer-mtctl[dicom]'); or convert it to NRRD"
        ) from None
    try:
        data = pydicom.dcmread(file)
        slices = frame_places(data, file)
        if data.SamplesPerPixel != 1:
            raise VolumeError(
                f"the frames are in colour ({data.SamplesPerPixel} values a voxel); a scan has one grey value"
            )
        scales = [_scale(data, number) for number in range(len(slices))]
        stored = data.pixel_array
    except (InvalidDicomError, OSError, AttributeError, EOFError, IndexError, TypeError) as error:
        raise VolumeError("the multi-frame DICOM file is cut off or damaged; copy or export it again") from error
    except (RuntimeError, NotImplementedError, ValueError) as error:
        raise VolumeError(
            "the frames are compressed in a way that cannot be decoded here; export them uncompressed"
        ) from error
    array = np.empty((len(slices), *stored.shape[-2:]), np.float32)
    for number, frame in enumerate(stored.reshape(array.shape)):
        slope, intercept = scales[number]
        array[number] = frame * slope + intercept
    return array, slices


def frame_places(data: Any, file: Path) -> list[Slice]:
    """Return where the frames of a pydicom data set lie, in the order of the file.

    Raises:
        VolumeError: They do not say it.
    """
    slices = []
    for number in range(int(data.NumberOfFrames)):
        position = _group(data, number, "PlanePositionSequence")
        orientation = _group(data, number, "PlaneOrientationSequence")
        measures = _group(data, number, "PixelMeasuresSequence")
        if position is None or orientation is None or measures is None:
            raise VolumeError("the frames have no place in space (a film or a screenshot); export the scan itself")
        rows, columns = (float(value) for value in measures.PixelSpacing)
        x, y, z = (float(value) for value in position.ImagePositionPatient)
        a, b, c, d, e, f = (float(value) for value in orientation.ImageOrientationPatient)
        slices.append(
            Slice(file, number, (int(data.Columns), int(data.Rows)), (columns, rows), (x, y, z), (a, b, c, d, e, f))
        )
    return slices


def _scale(data: Any, frame: int) -> tuple[float, float]:
    """Return slope and intercept from a frame's stored values to the scanner's own."""
    scale = _group(data, frame, "PixelValueTransformationSequence")
    return (1.0, 0.0) if scale is None else (float(scale.RescaleSlope), float(scale.RescaleIntercept))


def _group(data: Any, frame: int, name: str) -> Any:
    """Return a functional group of a frame, its own or the one that all share; None where there is neither."""
    own = data.get("PerFrameFunctionalGroupsSequence")
    shared = data.get("SharedFunctionalGroupsSequence")
    for groups in ([own[frame]] if own else []) + ([shared[0]] if shared else []):
        if name in groups and len(groups[name].value):
            return groups[name].value[0]
    return None
