"""Which series of an examination is the scan. What names a patient is never looked at."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from mtctl.geometry import VolumeError
from mtctl.io.itk import quiet, short_name
from mtctl.system.folders import walk

_STUDY = "0020|000d"
_NUMBER = "0020|0011"
_FRAMES = "0028|0008"
_POSITION = "0020|0032"
_MODALITY = "0008|0060"
_IMAGE_TYPE = "0008|0008"
_NAMES = ("0008|103e", "0018|1030", "0018|0024")  # what technicians and protocols call a series

_LATE = re.compile(r"lge|late|delay|viab|psir|scar|fibros|\bde\b|\bde[-_ ]|\bir[-_ ]", re.IGNORECASE)


@dataclass(frozen=True)
class Series:
    """The slices that one scan of a folder consists of.

    Attributes:
        uid: Series instance UID; only ever used to tell series apart and, hashed, for the pseudonym.
        files: One file a slice, in no order; or one multi-frame file.
        frames: Number of frames in the first file; 1 where each slice has a file of its own.
    """

    uid: str
    files: tuple[Path, ...]
    frames: int = 1

    @property
    def slices(self) -> int:
        return len(self.files) * self.frames

    @property
    def pseudonym(self) -> str:
        """A name for the scan that is the same every time and says nothing about the patient."""
        return "dicom-" + hashlib.sha256(self.uid.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ChosenSeries:
    """The series that was taken as the scan.

    Attributes:
        series: The series.
        remark: Why this one, for the person who reads the report; "" where there is no other.
    """

    series: Series
    remark: str


@dataclass(frozen=True)
class _Candidate:
    series: Series
    number: str
    study: str
    modality: str
    image_type: str
    name: str


# What a scan is told by, in the order in which it counts, and how that is said.
_RULES: tuple[tuple[str, Callable[[_Candidate], bool]], ...] = (
    ("the only MR", lambda one: one.modality == "MR"),
    ("no localizer", lambda one: "LOCALIZER" not in one.image_type),
    ("no projection", lambda one: not re.search(r"PROJECTION|\bM(IN)?IP\b", one.image_type)),
    ("named as late enhancement", lambda one: bool(_LATE.search(one.name))),
)


def choose_series(folder: Path) -> ChosenSeries:
    """Return the series in `folder` and its subfolders that is a scan with late enhancement, as far as can be told.

    MR comes before other modalities, what is named as late enhancement before what is not, more slices before fewer;
    localizers and projections come last.

    Raises:
        VolumeError: There is none, two or more are as good, or the folder holds several examinations.
    """
    candidates, seen = _candidates(folder)
    if not candidates:
        what = "its DICOM files hold no image slices with a position" if seen else "the folder holds no DICOM images"
        raise VolumeError(f"{what}; name the folder with the slices of the scan, or the scan's own file")
    places = {file.parent for one in candidates for file in one.series.files}
    if len(places) > 1 and not all(one.study for one in candidates):
        # Perhaps of several patients: the longest series of them all would stand for each.
        raise VolumeError(
            "the slices in its subfolders do not say of which examination (DICOM study) they are; name the subfolders "
            "one by one"
        )
    if len({one.study for one in candidates}) > 1:
        raise VolumeError("the folder holds several examinations (DICOM studies); put each into a folder of its own")
    left, reasons = candidates, list[str]()
    for reason, holds in _RULES:
        kept = [one for one in left if holds(one)]
        if kept and len(kept) < len(left):
            left = kept
            reasons.append(reason)
    longest = max(one.series.slices for one in left)
    best = [one for one in left if one.series.slices == longest]
    if len(best) > 1:
        listed = ", ".join(sorted(f"number {one.number} with {one.series.slices}" for one in left))
        raise VolumeError(
            f"the folder holds {len(candidates)} series and the longest is not unique (series {listed} slices);"
            " put the slices of the wanted one into a folder of their own"
        )
    if len(candidates) == 1:
        return ChosenSeries(best[0].series, "")
    if len(left) > 1:
        reasons.append("the longest")
    return ChosenSeries(
        best[0].series,
        f"of {len(candidates)} DICOM series, number {best[0].number} with {longest} slices was taken "
        f"({', '.join(reasons)}); put another one into a folder of its own to have that segmented",
    )


def _candidates(folder: Path) -> tuple[list[_Candidate], bool]:
    """Return the image series, and whether there is any DICOM file at all."""
    found: dict[str, list[Path]] = defaultdict(list)
    with quiet():
        for place, names in walk(folder):
            for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(short_name(place)) if names else ():
                files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(short_name(place), uid)
                found[uid] += [Path(file) for file in files]
        candidates = [_candidate(uid, files) for uid, files in found.items()]
    return [one for one in candidates if one], bool(found)


def _candidate(uid: str, files: list[Path]) -> _Candidate | None:
    """Return the files as a candidate; None for reports, segmentations and screenshots, which have no position."""
    header = read_header(files[0])
    if header is None or not (header.HasMetaDataKey(_POSITION) or header.HasMetaDataKey(_FRAMES)):
        return None

    def value(key: str) -> str:
        return header.GetMetaData(key).strip() if header.HasMetaDataKey(key) else ""

    modality = value(_MODALITY)
    if modality == "SEG":
        return None
    frames = int(value(_FRAMES) or 1)
    return _Candidate(
        Series(uid, tuple(files), frames),
        value(_NUMBER) or "unknown",
        value(_STUDY),
        modality,
        value(_IMAGE_TYPE).upper(),
        " ".join(value(key) for key in _NAMES),
    )


def read_header(file: Path) -> sitk.ImageFileReader | None:
    """Return the header of a DICOM image; None where it cannot be read."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    return reader
