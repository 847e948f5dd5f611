"""The scan's own DICOM files as segmentations and maps refer to them: what highdicom asks of them, on one grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry
from mtctl.io.dicom.privacy import quiet_dicom
from mtctl.io.dicom.reader import read_places
from mtctl.io.dicom.series import Series
from mtctl.io.dicom.valid_elements import is_uid, text_of, valid_elements

_SAME_PLACE_MM = 0.01

# What a source is called while results are made: highdicom knows no private classes, and takes enhanced files of one
# frame each for none. The results then get the source's own.
_SLICE, _FRAMES = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"

# What all slices of a scan must agree in: of two values, no result could say which is its own.
_ONE_FOR_ALL = {
    "PatientID": "patients",
    "StudyInstanceUID": "examinations",
    "SeriesInstanceUID": "series",
    "FrameOfReferenceUID": "frames of reference",
}


class DicomOutputError(MtctlError):
    """Results cannot be written as DICOM."""


@dataclass(frozen=True)
class DicomSource:
    """What DICOM results refer to.

    Attributes:
        sets: pydicom data sets as highdicom takes them, one a slice in the order of the volume, or one of all frames.
            They hold what is needed only, in a valid form, and every slice at its place on the grid of the results.
        classes: SOP class of each file of the source, by its SOP instance UID.
        order: For each frame of the results the slice of the volume that it is.
        remarks: What the reader should know, such as that a value of the source is not valid DICOM.
    """

    sets: tuple[Any, ...]
    classes: Mapping[str, str]
    order: NDArray[np.int64]
    remarks: tuple[str, ...]


def dicom_source(series: Series, geometry: Geometry) -> DicomSource:
    """Read what DICOM results have to say of their source.

    Args:
        series: The scan.
        geometry: The grid that it was read on, and that the results lie on.

    Raises:
        DicomOutputError: The source lacks what results must refer to, or is not where the results are made for.
    """
    with quiet_dicom():
        try:
            return _source(series, geometry)
        except MtctlError as error:
            raise DicomOutputError(str(error)) from error
        except MemoryError:
            raise
        except Exception as error:  # pydicom's; its message may hold what stands in the header.
            raise DicomOutputError(
                f"the headers of the source cannot be read once more ({type(error).__name__}); export the series again"
            ) from None


def _source(series: Series, geometry: Geometry) -> DicomSource:
    import pydicom

    if series.frames > 1 and len(series.files) > 1:
        raise DicomOutputError("the series lies in several files of many frames, and results can only refer to one")
    # By force: what was read may lack the preamble that pydicom insists on.
    sets = [pydicom.dcmread(file, force=True, stop_before_pixels=True) for file in series.files]
    order = _slice_numbers([list(one.position) for one in read_places(series)], geometry)
    if series.frames == 1:
        sets = [sets[int(number)] for number in np.argsort(order)]
        order = np.arange(len(sets))
    _check_references(sets)
    elements = valid_elements(sets[0])
    remarks = []
    if elements.mended:
        remarks.append(
            "DICOM results: these elements of the source are not valid DICOM and were set right or left out: "
            f"{', '.join(elements.mended)}"
        )
    shared = elements.data
    for name, what in (("StudyInstanceUID", "study"), ("FrameOfReferenceUID", "frame of reference")):
        if not is_uid(text_of(sets[0], name)):
            setattr(shared, name, pydicom.uid.generate_uid(entropy_srcs=[series.uid, what]))
            if name == "StudyInstanceUID":
                remarks.append("DICOM results: the source does not say of which study it is; they got one of their own")
    shared.SeriesInstanceUID = text_of(sets[0], "SeriesInstanceUID")
    shared.Modality = shared.get("Modality") or "MR"
    _add_grid(shared, geometry, order if series.frames > 1 else None)
    return DicomSource(
        tuple(_reference(shared, data, geometry, number, series.frames) for number, data in enumerate(sets)),
        {text_of(data, "SOPInstanceUID"): _sop_class(data, series.frames) for data in sets},
        order,
        tuple(remarks),
    )


def _slice_numbers(places: list[list[float]], geometry: Geometry) -> NDArray[np.int64]:
    """Return for each place the slice of the volume that lies there."""
    index = geometry.physical_to_index(places)
    order = np.rint(index[:, 2]).astype(np.int64)
    off = np.abs(geometry.index_to_physical(index * [0, 0, 0] + order[:, None] * [0, 0, 1]) - places).max()
    if sorted(order) != list(range(geometry.size[2])) or off > max(_SAME_PLACE_MM, 0.5 * min(geometry.spacing)):
        raise DicomOutputError(
            "the slices are not where the results were made for; run again with the unchanged series"
        )
    return order


def _check_references(sets: list[Any]) -> None:
    for name, what in _ONE_FOR_ALL.items():
        if len({text_of(data, name) for data in sets}) > 1:
            raise DicomOutputError(f"the slices are of several {what} ({name}), and results can only be of one")
    if not is_uid(text_of(sets[0], "SeriesInstanceUID")):
        raise DicomOutputError("the source has no valid SeriesInstanceUID, by which results refer to it")
    names = [text_of(data, "SOPInstanceUID") for data in sets]
    if not all(map(is_uid, names)):
        raise DicomOutputError("a slice has no valid SOPInstanceUID, by which results refer to it")
    doubled = len(names) - len(set(names))
    if doubled:
        raise DicomOutputError(
            f"{doubled} of {len(names)} slices {'has' if doubled == 1 else 'have'} the SOPInstanceUID of another one, "
            "by which results refer to them; export the series again"
        )


def _sop_class(source: Any, frames: int) -> str:
    named = text_of(source, "SOPClassUID"), text_of(source.file_meta, "MediaStorageSOPClassUID")
    found = [uid for uid in named if is_uid(uid)]
    return found[0] if found else _SLICE if frames == 1 else _FRAMES


def _reference(shared: Any, source: Any, geometry: Geometry, number: int, frames: int) -> Any:
    """Return a data set that stands for a slice, or for the file with all frames."""
    import pydicom
    from pydicom.valuerep import format_number_as_ds

    data = pydicom.Dataset()
    data.update(shared)  # Elements are shared with the other slices, so they are replaced, not set.
    data.add_new("SOPInstanceUID", "UI", text_of(source, "SOPInstanceUID"))
    data.add_new("SOPClassUID", "UI", _SLICE if frames == 1 else _FRAMES)
    if frames == 1:
        place = geometry.index_to_physical((0, 0, number))
        data.add_new("ImagePositionPatient", "DS", [format_number_as_ds(float(value)) for value in place])
    return data


def _add_grid(data: Any, geometry: Geometry, order: NDArray[np.int64] | None) -> None:
    """Describe the grid in a data set: in itself for slices, for frames in this `order` in its functional groups."""
    import pydicom
    from pydicom.valuerep import format_number_as_ds

    x, y, z = (format_number_as_ds(value) for value in geometry.spacing)
    across = [format_number_as_ds(float(value)) for value in geometry.matrix[:, :2].T.ravel()]
    data.Columns, data.Rows = geometry.size[:2]
    measures, orientation = (data, data) if order is None else (pydicom.Dataset(), pydicom.Dataset())
    measures.PixelSpacing = [y, x]
    measures.SpacingBetweenSlices = z
    # Often the only one that readers look at; slices may overlap or leave gaps.
    measures.SliceThickness = z if order is not None else data.get("SliceThickness") or z
    orientation.ImageOrientationPatient = across
    if order is None:
        return
    shared = pydicom.Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    data.SharedFunctionalGroupsSequence = [shared]
    data.NumberOfFrames = len(order)
    frames = []
    for number in order:
        frame, position = pydicom.Dataset(), pydicom.Dataset()
        place = geometry.index_to_physical((0, 0, int(number)))
        position.ImagePositionPatient = [format_number_as_ds(float(value)) for value in place]
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = frames
