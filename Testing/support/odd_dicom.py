"""DICOM series whose headers were changed: elements of slices and of frames, and bytes wherever they stand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from support.damage import good_files, good_volume
from support.scanner_series import write_frames

_ELEMENTS = (
    "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "RescaleSlope",
    "RescaleIntercept", "SliceThickness", "SpacingBetweenSlices", "InstanceNumber", "SeriesInstanceUID",
    "StudyInstanceUID", "SOPInstanceUID", "NumberOfFrames", "SpecificCharacterSet", "FrameOfReferenceUID", "PixelData",
    "Modality",
)  # fmt: skip
_OF_A_FRAME = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept")
_ODD = ("0", "-1", "1e308", "nan", "1.5", "16", "x", "", "2", "512")


def odd_dicom(folder: Path, rng: np.random.Generator) -> Path:
    """Fill an empty folder with a series in one of the ways; return what is to be read."""
    makers: tuple[Callable[[Path, np.random.Generator], None], ...] = (_elements, _frames, _bytes)
    makers[int(rng.choice(3, p=[0.5, 0.2, 0.3]))](folder, rng)
    return folder


def _elements(folder: Path, rng: np.random.Generator) -> None:
    """Slices, of which one or all have an odd or no element."""
    shutil.copytree(good_files("dicom plain"), folder, dirs_exist_ok=True)
    files = sorted(folder.iterdir())
    chosen = files if rng.random() < 0.4 else [files[int(rng.integers(len(files)))]]
    name = _ELEMENTS[int(rng.integers(len(_ELEMENTS)))]
    kept = int(rng.integers(3))
    odd, place = _ODD[int(rng.integers(len(_ODD)))], int(rng.integers(6))
    for file in chosen:
        data = pydicom.dcmread(file)
        if kept == 0 and name in data:
            del data[name]
        else:
            _set_element(data, name, odd, place)
        data.save_as(file, enforce_file_format=False)


def _frames(folder: Path, rng: np.random.Generator) -> None:
    """Enhanced MR, of which one frame, or what all share, says something odd."""
    volume = good_volume()
    write_frames(folder, (volume.array, volume.geometry), _scaled, shared=rng.random() < 0.5)
    (file,) = folder.iterdir()
    data = pydicom.dcmread(file)
    frames = list(data.PerFrameFunctionalGroupsSequence)
    name = _OF_A_FRAME[int(rng.integers(len(_OF_A_FRAME)))]
    odd, place = _ODD[int(rng.integers(len(_ODD)))], int(rng.integers(6))
    chosen = [*data.get("SharedFunctionalGroupsSequence", []), frames[int(rng.integers(len(frames)))]]
    for item in (one[0] for group in chosen for one in (element.value for element in group) if name in one[0]):
        _set_element(item, name, odd, place)
    if rng.random() < 0.3:
        data.PerFrameFunctionalGroupsSequence = frames[::-1] if rng.random() < 0.5 else frames[:-1]
    data.save_as(file)


def _scaled(data: Any, number: int) -> None:
    for index, frame in enumerate(data.PerFrameFunctionalGroupsSequence):
        scale = pydicom.Dataset()
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = str(1 + index), str(-index), "US"
        frame.PixelValueTransformationSequence = [scale]


def _bytes(folder: Path, rng: np.random.Generator) -> None:
    """Slices, of which one has other bytes, more of them or fewer before its voxels; coded in either way."""
    shutil.copytree(good_files("dicom plain"), folder, dirs_exist_ok=True)
    files = sorted(folder.iterdir())
    file = files[int(rng.integers(len(files)))]
    if rng.random() < 0.5:
        data = pydicom.dcmread(file)
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.save_as(file, implicit_vr=False, little_endian=True)
    content = bytearray(file.read_bytes())
    header = len(content) - 2 * int(np.prod(good_volume().array.shape[1:]))
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        place, change = int(rng.integers(132, header)), int(rng.integers(6))
        length = int(rng.integers(1, 9))
        if change == 0:
            del content[place : place + length]
        elif change == 1:
            content[place:place] = rng.bytes(length)
        elif change == 2:
            content[place : place + 4] = b"\xff" * 4
        elif change == 3:
            content[place : place + length] = bytes(length)
        else:
            content[place] = int(rng.integers(256))
    file.write_bytes(content)


def _set_element(data: pydicom.Dataset, name: str, odd: str, place: int) -> None:
    with pydicom.config.disable_value_validation():
        if name == "PixelData":
            data.PixelData = data.PixelData[: len(data.PixelData) // 3 * 2]
        elif name in ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"):
            parts = [str(value) for value in data[name].value]
            parts[place % len(parts)] = odd
            data[name] = pydicom.DataElement(data[name].tag, "LO", "\\".join(parts))
        elif pydicom.datadict.dictionary_VR(name) == "US":
            setattr(data, name, int(float(odd)) & 0xFFFF if odd.replace(".", "").isdigit() else 7)
        else:
            tag = pydicom.datadict.tag_for_keyword(name)
            data[name] = pydicom.DataElement(tag, "LO", odd)
