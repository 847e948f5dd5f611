"""What lies in a DICOM folder: images, other objects, and what should be a slice and cannot be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mtctl.geometry import VolumeError
from mtctl.io.dicom.elements import FRAMES, POSITION, DicomHeader, Elements
from mtctl.io.dicom.multiframe import is_multiframe
from mtctl.io.dicom.parser import CutOffError, read_elements
from mtctl.io.dicom.pixels import PixelFormat, pixel_format
from mtctl.io.folders import walk

_CLASS = 0x00080016
_MODALITY = 0x00080060
_PATIENT = 0x00100020
_FRAME_OF_REFERENCE = 0x00200052
_STUDY = 0x0020000D
_SERIES = 0x0020000E
_NUMBER = 0x00200011
_IMAGE_TYPE = 0x00080008
_ACQUIRED = 0x00201002
_VALUE_TABLE = 0x00283000
_NAMES = (0x0008103E, 0x00181030, 0x00180024)  # what technicians and protocols call a series

_STORAGE = "1.2.840.10008.5.1.4.1.1."
# By the beginning of the SOP class UID (PS3.4, annex B.5): what is stored beside images and holds none that is a scan.
_NO_SCANS = {
    "1.2.840.10008.1.3.10": "a DICOMDIR",
    _STORAGE + "88.": "a structured report",
    _STORAGE + "11.": "a presentation state",
    _STORAGE + "66.4": "a segmentation",
    _STORAGE + "66.5": "a surface segmentation",
    _STORAGE + "66": "a registration or raw data",
    _STORAGE + "30": "a parametric map",
    _STORAGE + "481.": "a radiotherapy object",
    _STORAGE + "104.": "an encapsulated document",
    _STORAGE + "9.": "a waveform",
    _STORAGE + "4.2": "spectroscopy",
}
_MR_IMAGE = (_STORAGE + "4", _STORAGE + "4.1", _STORAGE + "4.4", _STORAGE + "2", _STORAGE + "2.1")

_ENDINGS = (".dcm", ".ima", ".dicom", ".dic")


@dataclass(frozen=True)
class ImageFile:
    """A file with an image, as far as the choice among series asks for it.

    Attributes:
        path: Where it is.
        study: Study instance UID.
        number: Series number.
        modality: Such as "MR".
        image_type: In capitals.
        name: What technicians and protocols call the series.
        mosaic: Whether one picture holds all slices of a time point, as Siemens writes them.
        frames: Number of pictures in it.
        placed: Whether it says where it lies, or may say so frame by frame.
        acquired: Number of images that were taken together with it; 0 where that is not said.
        patient: What its patient's number is, as it is in the file; only to be compared.
        frame_of_reference: UID of the axes in which its place is given, or "".
        remarks: What a person should know of its voxels.
    """

    path: Path
    study: str
    number: str
    modality: str
    image_type: str
    name: str
    mosaic: bool
    frames: int
    placed: bool
    acquired: int
    patient: bytes
    frame_of_reference: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class LostFile:
    """A file that may be a slice and cannot be used.

    Attributes:
        path: Where it is.
        why: In words, such as "is cut off".
        uid: Series instance UID, where that could be read.
        is_dicom: Whether it is certainly a DICOM file.
        denied: Whether the system refused it.
    """

    path: Path
    why: str
    uid: str | None = None
    is_dicom: bool = False
    denied: bool = False


@dataclass
class FolderContent:
    """All that lies in a folder and below.

    Attributes:
        images: By series instance UID.
        others: Number of DICOM objects that are no scans, by what they are.
        lost: What may be a slice and cannot be used.
    """

    images: dict[str, list[ImageFile]] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    lost: list[LostFile] = field(default_factory=list)


def content_of(folder: Path) -> FolderContent:
    """Read the headers of all files in a folder and below.

    Raises:
        VolumeError: The folder itself cannot be read.
    """
    content = FolderContent()
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise VolumeError(f"cannot be read: {error.strerror or error}") from error

    def closed(place: Path) -> None:
        content.lost.append(LostFile(place, "cannot be read (no permission)", denied=True))

    for place, names in walk(folder, closed):
        for name in names:
            _look_at(place / name, content)
    return content


def content_of_file(file: Path) -> FolderContent:
    """Return the same of one file, which may be anything."""
    content = FolderContent()
    _look_at(file, content)
    return content


def missing_from(content: FolderContent, files: list[Path], uid: str) -> tuple[list[LostFile], list[LostFile]]:
    """Return which lost files must be slices of a series, and which may be.

    Those that say so, and those in the same folder that are named like the others, must be. Of the rest in these
    folders, what is called like a DICOM file or is one, may be, as may be all that the system does not let read.
    """
    places = {file.parent for file in files}
    shapes = {(file.parent, _shape(file.name)) for file in files}
    sure: list[LostFile] = []
    perhaps: list[LostFile] = []
    for one in content.lost:
        if one.uid in content.images:
            if one.uid == uid:
                sure.append(one)
        elif (one.path.parent, _shape(one.path.name)) in shapes:
            sure.append(one)
        elif one.denied or (one.path.parent in places and (one.is_dicom or one.path.suffix.lower() in _ENDINGS)):
            perhaps.append(one)
    return sure, perhaps


def named(lost: list[LostFile]) -> str:
    """Return the first of them by name and cause, and how many more there are."""
    first = "; ".join(f"{one.path.name} {one.why}" for one in lost[:3])
    return first + (f"; and {len(lost) - 3} more" if len(lost) > 3 else "")


def _look_at(path: Path, content: FolderContent) -> None:
    try:
        if not path.is_file():  # A pipe would never answer.
            if path.is_symlink() and not path.exists():
                content.lost.append(LostFile(path, "is a link that leads nowhere"))
            return
        header = read_elements(path)
        if header is None:
            empty = path.stat().st_size == 0
            content.lost.append(LostFile(path, "is empty" if empty else "is no DICOM file"))
            return
    except CutOffError as error:
        content.lost.append(LostFile(path, str(error).partition(";")[0], is_dicom=True))
        return
    except OSError as error:
        content.lost.append(LostFile(path, f"cannot be read ({error.strerror or error})", denied=True))
        return
    kind = _no_scan(header)
    if kind is not None:
        content.others[kind] += 1
        return
    # As GDCM writes it, which earlier versions asked.
    uid = re.sub(r"[^0-9A-Za-z.]", "", header.elements.text(_SERIES))
    format_: PixelFormat | None = None
    try:
        format_ = pixel_format(header)
    except CutOffError as error:
        content.lost.append(LostFile(path, str(error).partition(";")[0], uid, is_dicom=True))
        return
    except VolumeError:
        pass  # In colour, for example: said where it is the scan that was asked for.
    content.images.setdefault(uid, []).append(_image(path, header, format_))


def _no_scan(header: DicomHeader) -> str | None:
    """Return what a file is that holds no picture; None where it holds one, or should."""
    uid = header.elements.text(_CLASS)
    for begin, kind in _NO_SCANS.items():
        if uid.startswith(begin):
            return kind
    if header.pixels is None and uid not in _MR_IMAGE:
        return "an object without a picture"
    return None


def _image(path: Path, header: DicomHeader, format_: PixelFormat | None) -> ImageFile:
    elements = header.elements
    return ImageFile(
        path=path,
        study=elements.text(_STUDY),
        number=elements.text(_NUMBER) or "unknown",
        modality=elements.text(_MODALITY),
        image_type=elements.text(_IMAGE_TYPE).upper(),
        name=" ".join(elements.text(tag) for tag in _NAMES),
        mosaic=_is_mosaic(elements),
        frames=max(1, elements.count(FRAMES, 1)),
        placed=POSITION in elements or FRAMES in elements or is_multiframe(header),
        acquired=elements.count(_ACQUIRED, 0),
        patient=elements.raw(_PATIENT).strip(b" \0"),
        frame_of_reference=elements.text(_FRAME_OF_REFERENCE),
        remarks=tuple(_oddities(header, format_)) if format_ else (),
    )


def _is_mosaic(elements: Elements) -> bool:
    """Return whether a picture is a Siemens mosaic, by its type or by the scanner's own number of slices in it."""
    blocks = [tag for tag in elements.values if 0x00190010 <= tag <= 0x001900FF]
    own = [(tag & 0xFF) << 8 for tag in blocks if elements.text(tag) == "SIEMENS MR HEADER"]
    slices = [elements.integer(0x0019000A | block, 0) for block in own]  # NumberOfImagesInMosaic
    return "MOSAIC" in elements.text(_IMAGE_TYPE).upper() or any(count > 1 for count in slices)


def _oddities(header: DicomHeader, format_: PixelFormat) -> Iterator[str]:
    if format_.inverted:
        yield "the images are stored with low values bright (MONOCHROME1); bright and dark were exchanged"
    if format_.low_bits:
        yield (
            f"the values stand in the upper {format_.stored} of {format_.allocated} bits, as old scanners wrote them; "
            "other programs may show something else"
        )
    if header.elements.items(_VALUE_TABLE):
        yield "the images bring a table for their values (Modality LUT), which was not applied"


def _shape(name: str) -> str:
    """Return a name with a sign in place of its numbers: the slices of a series are named alike."""
    return re.sub(r"[0-9a-fA-F]{6,}|\d+(?:\.\d+)*", "#", name)
