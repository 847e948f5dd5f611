"""Scans that hold telltales wherever a patient, a hospital or a person may be named, and the search for them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from support.dicom_series import dicom_scan
from support.scanner_series import put, write_frames, write_slices

#: Part of every text that is planted; and a birth date and a UID, which cannot hold it.
WORD, BIRTH, UID = "zztell", "18991231", "1.2.826.0.1.3680043.2.1125.99"

#: Parts of the names of folders and of DICOM files: messages on the screen call them so, and nothing else does.
FOLDER, FILE = "zzfolder", "zzfile"

#: What the names of folders with series that can be read end with.
GOOD = ("^good", "^odd", "^one name", "^frames")

#: Elements that name somebody or something, planted in every DICOM source.
NAMING = {
    "PatientName": "Zztellname^Zztellfirst", "PatientID": "ZZTELL-4711", "PatientBirthDate": BIRTH,
    "OtherPatientNames": "Zztell^Born", "PatientAddress": "Zztell street 1", "PatientComments": "Zztell comment",
    "PatientMotherBirthName": "Zztell^Mother", "PatientTelephoneNumbers": "zztell 555", "EthnicGroup": "Zztell",
    "InstitutionName": "Zztell hospital", "InstitutionAddress": "Zztell road", "StationName": "ZZTELL1",
    "ReferringPhysicianName": "Zztell^Referring", "PerformingPhysicianName": "Zztell^Performing",
    "OperatorsName": "Zztell^Operator", "PhysiciansOfRecord": "Zztell^Record", "AccessionNumber": "ZZTELLACC",
    "StudyID": "ZZTELLSTUDY", "StudyDescription": "Zztell study", "SeriesDescription": "Zztell LGE series",
    "ProtocolName": "Zztell protocol", "DeviceSerialNumber": "ZZTELL9", "ImageComments": "Zztell image",
    "RequestedProcedureDescription": "Zztell request", "AdditionalPatientHistory": "Zztell history",
}  # fmt: skip

_ODD = ("StudyDate", "StudyTime", "PatientSex", "PatientAge", "PatientWeight", "InstanceNumber", "AcquisitionTime",
        "SeriesNumber", "ImageType", "SpecificCharacterSet", "PregnancyStatus", "EchoTime", "WindowCenter")  # fmt: skip


#: What the names of volumes that cannot be read begin with.
BAD = "bad-"

_NRRD = "NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nspacings: 1 1 1\nencoding: raw\nendian: little\n"
_META = "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementSpacing = 1 1 1\n{}\nElementDataFile = LOCAL\n"
_BAD_HEADERS = {
    f"{BAD}line.nrrd": "NRRD0004\nZztell Anna, born 1899\n\n",
    f"{BAD}origin.nrrd": f"{_NRRD}space: LPS\nspace origin: (Zztell)\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n\n",
    f"{BAD}twice.nrrd": f"{_NRRD}content: Zztell A\ncontent: Zztell B\n\n",
    f"{BAD}elsewhere.nrrd": f"{_NRRD}data file: /data/Zztell Anna/x.raw\n",
    f"{BAD}pattern.nrrd": f"{_NRRD}data file: Zztell%s%d 1 2 1\n",
    f"{BAD}line.mha": _META.format("Zztell Anna"),
    f"{BAD}elsewhere.mha": _META.format("ElementType = MET_SHORT").replace("LOCAL", "/data/Zztell Anna/x.raw"),
}


def plant(folder: Path) -> list[Path]:
    """Write sources of every kind, good, odd and unusable ones; return each."""
    array, geometry = dicom_scan()
    planted = []
    for number, (name, edit) in enumerate(_KINDS.items()):
        place = folder / f"{FOLDER}^{name}"
        write = write_frames if name.startswith("frames") else write_slices
        write(place, (array + np.int16(number), geometry), _planting(number, edit))
        for file in place.iterdir():
            file.rename(file.with_name(f"{FILE}-{file.name}"))
            if name.endswith("cut"):
                content = (place / f"{FILE}-{file.name}").read_bytes()
                (place / f"{FILE}-{file.name}").write_bytes(content[: len(content) - 300])
        planted.append(place)
    return [*planted, *good_files(folder), *bad_files(folder)]


def _planting(kind: int, edit: Callable[[Any, int], None]) -> Callable[[Any, int], None]:
    def plant_slice(data: Any, number: int) -> None:
        for keyword, value in NAMING.items():
            put(data, keyword, value)
        for keyword, uid in (("StudyInstanceUID", "9"), ("SeriesInstanceUID", "1"), ("FrameOfReferenceUID", "8")):
            put(data, keyword, f"{UID}.{kind}.{uid}")
        put(data, "SOPInstanceUID", f"{UID}.{kind}.1.{number + 1}")
        data.private_block(0x0019, "Zztell private", create=True).add_new(0x01, "LO", "Zztell private text")
        edit(data, number)

    return plant_slice


def _all_odd(data: Any, number: int) -> None:
    for keyword in _ODD:
        put(data, keyword, "Zztell odd", "LO")
    put(data, "PatientBirthDate", f"{BIRTH} ZZTELL", "LO")
    put(data, "PatientName", "Zztellname")  # highdicom warns of names without a caret.


def _bad_frames(data: Any, number: int) -> None:
    place = data.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0]
    put(place, "ImagePositionPatient", "Zztell\\1\\2", "LO")


#: Sources by what is the matter with them.
_KINDS: dict[str, Callable[[Any, int], None]] = {
    "good": lambda data, number: None,
    "odd": _all_odd,
    "one name": lambda data, number: put(data, "SOPInstanceUID", f"{UID}.2.1.1"),
    "two patients": lambda data, number: put(data, "PatientID", f"ZZTELL{number % 2}"),
    "spacing": lambda data, number: put(data, "PixelSpacing", "Zztell", "LO"),
    "position": lambda data, number: put(data, "ImagePositionPatient", "Zztell\\0\\0", "LO"),
    "orientation": lambda data, number: put(data, "ImageOrientationPatient", "Zztell", "LO"),
    "slope": lambda data, number: put(data, "RescaleSlope", "Zztell", "LO"),
    "rows": lambda data, number: put(data, "Rows", "Zztell", "LO"),
    "slices cut": lambda data, number: None,
    "frames": lambda data, number: None,
    "frames odd": _all_odd,
    "frames bad": _bad_frames,
    "frames cut": lambda data, number: None,
}


def good_files(folder: Path) -> list[Path]:
    """Volumes whose headers name somebody; their own names stand for them everywhere, so they hold nothing."""
    array = np.random.default_rng(6).integers(0, 900, (18, 20, 24)).astype(np.int16)
    found = []
    for name in ("one.image.nrrd", "two.image.nii.gz", "three.image.mha"):
        array[0, 0, 0] += 1
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((1.0, 1.1, 2.0))
        for key in ("PatientName", "comment", "ITK_FileNotes", "aux_file", "descrip", "intent_name", "db_name"):
            image.SetMetaData(key, f"Zztell {key}")
        sitk.WriteImage(image, str(folder / name))
        found.append(folder / name)
    return found


def bad_files(folder: Path) -> list[Path]:
    """Volumes that cannot be read, whose headers name somebody in the very line that is wrong."""
    found = []
    for name, text in _BAD_HEADERS.items():
        (folder / name).write_text(text, encoding="utf-8")
        found.append(folder / name)
    return found


def telltales(folder: Path, words: tuple[str, ...] = (WORD, BIRTH, UID, FOLDER, FILE)) -> Iterator[str]:
    """Say where in a folder, in a name or in a file that is no DICOM object, one of the words stands."""
    for path in sorted(folder.rglob("*")):
        place = str(path.relative_to(folder))
        content = place.encode("utf-8", "replace")
        if path.is_file() and path.suffix != ".dcm":
            content += path.read_bytes()
        yield from (f"{place}: {word}" for word in words if holds(content, word))


def holds(content: bytes, word: str) -> bool:
    """Return whether a word stands in bytes, in capitals or not, as UTF-8 or UTF-16 or in a picture's packed texts."""
    unpacked = b"".join(_unpacked(content)) if b"\x89PNG" in content else b""
    lower = (content + unpacked).lower()
    return word.encode() in lower or word.encode("utf-16-le") in lower


def _unpacked(picture: bytes) -> Iterator[bytes]:
    at = picture.index(b"\x89PNG") + 8
    while at < len(picture):
        length, kind = int.from_bytes(picture[at : at + 4], "big"), picture[at + 4 : at + 8]
        if kind in (b"zTXt", b"iTXt"):
            packed = picture[at + 8 : at + 8 + length]
            start = packed.find(b"\x78")
            if start >= 0:
                yield zlib.decompressobj().decompress(packed[start:])
        at += 12 + length
