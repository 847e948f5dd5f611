"""Which series of an examination is the scan. What names a patient is never looked at."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mtctl.errors import counted
from mtctl.geometry import VolumeError
from mtctl.io.dicom.folder import FolderContent, ImageFile, content_of, missing_from, named

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


#: Modalities of pictures that are surely none of MR; a few programs write others or none.
_OTHER_PICTURES = ("CT", "PT", "NM", "US", "CR", "DX", "MG", "XA", "RF")


@dataclass(frozen=True)
class _Candidate:
    series: Series
    first: ImageFile


# What a scan is told by, in the order in which it counts, and how that is said.
_RULES: tuple[tuple[str, Callable[[ImageFile], bool]], ...] = (
    ("the only MR", lambda one: one.modality == "MR"),
    ("no localizer", lambda one: "LOCALIZER" not in one.image_type),
    ("no projection", lambda one: not re.search(r"PROJECTION|\bM(IN)?IP\b", one.image_type)),
    ("no mosaic", lambda one: not one.mosaic),
    ("named as late enhancement", lambda one: bool(_LATE.search(one.name))),
)


def choose_series(folder: Path) -> ChosenSeries:
    """Return the series in `folder` and its subfolders that is a scan with late enhancement, as far as can be told.

    MR comes before other modalities, what is named as late enhancement before what is not, more slices before fewer;
    localizers, projections and mosaics come last.

    Raises:
        VolumeError: There is none, two or more are as good, the folder holds several examinations, or slices of the
            series are damaged or may not be read.
    """
    content = content_of(folder)
    candidates = _candidates(content)
    if not candidates:
        raise VolumeError(_nothing(content))
    places = {file.parent for one in candidates for file in one.series.files}
    if len(places) > 1 and not all(one.first.study for one in candidates):
        # Perhaps of several patients: the longest series of them all would stand for each.
        raise VolumeError(
            "the slices in its subfolders do not say of which examination (DICOM study) they are; name the subfolders "
            "one by one"
        )
    if len({one.first.study for one in candidates}) > 1:
        raise VolumeError("the folder holds several examinations (DICOM studies); put each into a folder of its own")
    left, reasons = candidates, list[str]()
    for reason, holds in _RULES:
        kept = [one for one in left if holds(one.first)]
        if kept and len(kept) < len(left):
            left = kept
            reasons.append(reason)
    longest = max(one.series.slices for one in left)
    best = [one for one in left if one.series.slices == longest]
    if len(best) > 1:
        listed = ", ".join(sorted(f"number {one.first.number} with {one.series.slices}" for one in left))
        raise VolumeError(
            f"the folder holds {len(candidates)} series and the longest is not unique (series {listed} slices);"
            " put the slices of the wanted one into a folder of their own"
        )
    chosen = best[0]
    remarks = _remarks(content, chosen)
    if len(candidates) > 1:
        if len(left) > 1:
            reasons.append("the longest")
        remarks.insert(
            0,
            f"of {len(candidates)} DICOM series, number {chosen.first.number} with {longest} slices was taken "
            f"({', '.join(reasons)}); put another one into a folder of its own to have that segmented",
        )
    return ChosenSeries(chosen.series, "; ".join(remarks))


def _candidates(content: FolderContent) -> list[_Candidate]:
    """Return the image series; without screenshots and the like, which have no position."""
    return [
        _Candidate(Series(uid, tuple(one.path for one in images), images[0].frames), images[0])
        for uid, images in content.images.items()
        if any(one.placed for one in images)
    ]


def _nothing(content: FolderContent) -> str:
    """Return why a folder holds no scan."""
    damaged = [one for one in content.lost if one.denied or one.is_dicom]
    if damaged:
        return f"none of its DICOM images can be read: {named(damaged)}; copy or export them again"
    if not content.images and not content.others:
        return "the folder holds no DICOM images; name the folder with the slices of the scan, or the scan's own file"
    held = ", ".join(f"{count} x {kind}" for kind, count in sorted(content.others.items()))
    others = f" (but {held})" if held else ""
    return (
        f"its DICOM files hold no image slices with a position{others}; name the "
        "folder with the slices of the scan, or the scan's own file"
    )


def _remarks(content: FolderContent, chosen: _Candidate) -> list[str]:
    """Return what a person must know of the series.

    Raises:
        VolumeError: It is no scan, or some of its slices cannot be read.
    """
    if chosen.first.mosaic:
        raise VolumeError(
            "a Siemens mosaic (all slices of a time point in one picture, as of functional and diffusion imaging), "
            "which is not read; if it is the scan, convert it to NIfTI with dcm2niix and name that file"
        )
    files = list(chosen.series.files)
    sure, perhaps = missing_from(content, files, chosen.series.uid)
    if sure:
        raise VolumeError(
            f"{len(sure)} of the {counted(len(sure) + len(files), 'file')} of the series cannot be used: "
            f"{named(sure)}; copy or export the series again"
        )
    remarks: list[str] = []
    if perhaps:
        remarks.append(
            f"beside the slices {'lies' if len(perhaps) == 1 else 'lie'} "
            f"{counted(len(perhaps), 'file that cannot be read and was', 'files that cannot be read and were')} "
            f"left out: {named(perhaps)}"
        )
    if chosen.series.frames == 1 and len(files) < chosen.first.acquired:
        remarks.append(
            f"{chosen.first.acquired} images were taken together (ImagesInAcquisition), and {len(files)} are here: "
            "look whether slices are missing at an end"
        )
    remarks += _of_several(content.images[chosen.series.uid])
    if chosen.first.modality in _OTHER_PICTURES:
        remarks.append(f"its pictures are of another kind ({chosen.first.modality}) than the MR that the model knows")
    return [*remarks, *chosen.first.remarks]


def _of_several(images: list[ImageFile]) -> list[str]:
    """Return what tells that slices of one series may not belong together; it names nobody."""
    patients = {one.patient for one in images} - {b""}
    frames = {one.frame_of_reference for one in images} - {""}
    remarks = []
    if len(patients) > 1:
        remarks.append(f"its slices give {len(patients)} different patient numbers: look whether all are of one person")
    if 1 < len(frames) <= len(images) // 2:  # Some programs write another for each slice, which says nothing.
        remarks.append(
            f"its slices give their places in {len(frames)} different frames of reference: look whether the patient "
            "lay the same in all"
        )
    return remarks
