"""DICOM series with all that a scanner says of patient and study, and with the habits of real ones, by pydicom."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry

UID = "1.2.826.0.1.3680043.2.1125.7"

#: What a good source says, by keyword.
ELEMENTS: Mapping[str, str] = {
    "Modality": "MR",
    "Manufacturer": "Scanner Works",
    "InstitutionName": "General Hospital",
    "StationName": "MR1",
    "ManufacturerModelName": "Ring 3T",
    "PatientName": "Muster^Erika",
    "PatientID": "4711",
    "PatientBirthDate": "19600102",
    "PatientSex": "F",
    "PatientAge": "065Y",
    "PatientWeight": "70.5",
    "StudyInstanceUID": f"{UID}.9",
    "StudyDate": "20260102",
    "StudyTime": "101112.5",
    "StudyID": "S1",
    "AccessionNumber": "A1",
    "StudyDescription": "Heart",
    "ReferringPhysicianName": "Jones^Jim",
    "SeriesInstanceUID": f"{UID}.1",
    "SeriesNumber": "3",
    "SeriesDescription": "3D LGE",
    "FrameOfReferenceUID": f"{UID}.8",
}

#: Changes a slice, given its number.
Edit = Callable[[Any, int], None]


def small_scan(flipped: bool = False) -> tuple[NDArray[np.int16], Geometry]:
    """Return an oblique, anisotropic scan of 10 x 12 x 8 voxels; flipped: its slices run to the feet."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("xyz", [20, -15, 10], degrees=True).as_matrix()
    if flipped:
        turn = turn @ np.diag([-1.0, 1.0, -1.0])
    array = np.random.default_rng(5).integers(0, 1000, (8, 12, 10)).astype(np.int16)
    return array, Geometry((10, 12, 8), (0.7, 0.8, 2.5), (-30.0, 12.5, -101.25), tuple(turn.ravel().tolist()))


def write_slices(
    folder: Path,
    scan: tuple[NDArray[np.int16], Geometry],
    edit: Edit = lambda data, number: None,
    patch: Mapping[bytes, bytes] | None = None,
) -> Path:
    """Write one file a slice, each changed by `edit` and then, byte for byte, by `patch` (of equal lengths)."""
    array, geometry = scan
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(len(array)):
        data = _common("1.2.840.10008.5.1.4.1.1.4", f"{UID}.1.{number + 1}", array)
        data.InstanceNumber, data.ImageType = number + 1, ["ORIGINAL", "PRIMARY", "M"]
        data.ScanningSequence, data.SequenceVariant, data.ScanOptions, data.MRAcquisitionType = "GR", "SK", "", "3D"
        data.PixelSpacing = [geometry.spacing[1], geometry.spacing[0]]
        data.SliceThickness = geometry.spacing[2]
        data.ImageOrientationPatient = [f"{value:.10f}" for value in geometry.matrix[:, :2].T.ravel()]
        data.ImagePositionPatient = [f"{value:.8f}" for value in geometry.index_to_physical((0, 0, number))]
        data.PixelData = array[number].tobytes()
        _save(data, folder / f"{number:02d}.dcm", number, edit, patch)
    return folder


def write_frames(
    folder: Path, scan: tuple[NDArray[np.int16], Geometry], edit: Edit = lambda data, number: None, shared: bool = True
) -> Path:
    """Write one enhanced file; not `shared`: each frame says its own measures and orientation, as Philips' do."""
    import pydicom

    array, geometry = scan
    folder.mkdir(parents=True, exist_ok=True)
    data = _common("1.2.840.10008.5.1.4.1.1.4.1", f"{UID}.1.1", array)
    data.InstanceNumber, data.ImageType, data.NumberOfFrames = 1, ["ORIGINAL", "PRIMARY", "M", "NONE"], len(array)
    data.ContentDate, data.ContentTime = "20260102", "101112"
    groups = []
    for number in range(len(array)):
        frame, position = pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = [f"{value:.8f}" for value in geometry.index_to_physical((0, 0, number))]
        frame.PlanePositionSequence = [position]
        groups.append(frame)
    for group in [pydicom.Dataset()] if shared else groups:
        measures, orientation = pydicom.Dataset(), pydicom.Dataset()
        measures.PixelSpacing = [geometry.spacing[1], geometry.spacing[0]]
        measures.SliceThickness = geometry.spacing[2]
        orientation.ImageOrientationPatient = [f"{value:.10f}" for value in geometry.matrix[:, :2].T.ravel()]
        group.PixelMeasuresSequence, group.PlaneOrientationSequence = [measures], [orientation]
        if shared:
            data.SharedFunctionalGroupsSequence = [group]
    data.PerFrameFunctionalGroupsSequence = groups
    data.PixelData = array.tobytes()
    _save(data, folder / "enhanced.dcm", 0, edit, None)
    return folder


def put(data: Any, keyword: str, value: Any, vr: str | None = None) -> None:
    """Set an element to what no check would let pass; a `vr` other than the standard's is a habit of some exporters."""
    import pydicom

    data[keyword] = pydicom.DataElement(
        pydicom.tag.Tag(keyword), vr or pydicom.datadict.dictionary_VR(keyword), value, validation_mode=0
    )


def _common(sop_class: str, uid: str, array: NDArray[np.int16]) -> Any:
    import pydicom

    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = uid
    for keyword, value in ELEMENTS.items():
        setattr(data, keyword, value)
    data.Rows, data.Columns = array.shape[1:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 1
    return data


def _save(data: Any, file: Path, number: int, edit: Edit, patch: Mapping[bytes, bytes] | None) -> None:
    logger = logging.getLogger("pydicom")
    shown = logger.level
    logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        edit(data, number)
        data.save_as(file, enforce_file_format=True)
    logger.setLevel(shown)
    for old, new in (patch or {}).items():
        content = file.read_bytes()
        assert old in content and len(old) == len(new)
        file.write_bytes(content.replace(old, new))
