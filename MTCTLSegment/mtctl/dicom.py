"""A folder of DICOM slices in. Positions come from each slice's own header; what names a patient is never looked at."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mtctl.geometry import Geometry, Volume, VolumeError
from mtctl.itk import quiet, short_name

_SERIES_NUMBER = "0020|0011"
_FRAMES = "0028|0008"
_POSITION = "0020|0032"
_ORIENTATION = "0020|0037"
_PIXEL_SPACING = "0028|0030"

# Scanners round positions to 1e-3 mm or better; a missing slice is 100 % off. 5 % of 1.25 mm is 0.06 mm.
_UNEVEN = 0.05
# Direction cosines are written with 6 decimals or more; a second orientation in a series differs by degrees.
_SAME_ORIENTATION = 1e-3
_SAME_PLACE_MM = 0.01


@dataclass(frozen=True)
class Series:
    """The slices that one scan of a folder consists of.

    Attributes:
        uid: Series instance UID; only ever used to tell series apart and, hashed, for the pseudonym.
        files: One file a slice, in no order.
    """

    uid: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _Slice:
    file: Path
    size: tuple[int, int]
    spacing: tuple[float, float]
    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]


def pseudonym(folder: Path) -> str:
    """A name for the scan in `folder` that is the same every time and says nothing about the patient.

    Raises:
        VolumeError: As `find_series`.
    """
    return "dicom-" + hashlib.sha256(find_series(folder).uid.encode()).hexdigest()[:16]


def find_series(folder: Path) -> Series:
    """The image series in `folder` and its subfolders; of several the one with most slices.

    Raises:
        VolumeError: There is none, or two or more are equally long.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    with quiet():
        for place, _, names in os.walk(folder):
            for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(short_name(Path(place))) if names else ():
                files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(short_name(Path(place)), uid)
                found[uid] += [Path(file) for file in files]
        series = [Series(uid, tuple(files)) for uid, files in found.items() if _has_position(files[0])]
    if not series:
        what = "its DICOM files hold no image slices with a position" if found else "the folder holds no DICOM images"
        raise VolumeError(f"{what}; name the folder with the slices of the scan, or the scan's own file")
    longest = max(len(one.files) for one in series)
    candidates = [one for one in series if len(one.files) == longest]
    if len(candidates) > 1:
        listed = ", ".join(sorted(f"number {_series_number(one)} with {len(one.files)}" for one in series))
        raise VolumeError(
            f"the folder holds {len(series)} series and the longest is not unique (series {listed} slices);"
            " put the slices of the wanted one into a folder of their own"
        )
    return candidates[0]


def read_folder(folder: Path) -> Volume:
    """The scan in a DICOM folder, float32, rescaled to the scanner's own values.

    Raises:
        VolumeError: As `find_series`; or slices are missing, doubled, in several orientations or sizes, in colour,
            without spacing, or cannot be decoded.
    """
    with quiet():
        slices = [_read_slice(file) for file in find_series(folder).files]
        ordered, geometry = _stack(slices)
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames([str(one.file) for one in ordered])
        reader.SetOutputPixelType(sitk.sitkFloat32)
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise VolumeError("a slice cannot be decoded; copy or export the series again") from error
    # The grid is the one that was checked slice by slice, not the one that ITK derives from some of the slices.
    return Volume(sitk.GetArrayFromImage(image), geometry)


def _stack(slices: list[_Slice]) -> tuple[list[_Slice], Geometry]:
    """The slices in their order along the normal and the grid that they fill."""
    first = slices[0]
    across = np.array(first.orientation).reshape(2, 3)
    normal = np.cross(across[0], across[1])
    for one in slices:
        if np.abs(np.subtract(one.orientation, first.orientation)).max() > _SAME_ORIENTATION:
            raise VolumeError("the series mixes slices of several orientations; export the scan alone, without scouts")
        if one.size != first.size or not np.allclose(one.spacing, first.spacing, rtol=1e-4):
            raise VolumeError("the series mixes slices of several sizes; export the scan alone, without scouts")
    ordered = sorted(slices, key=lambda one: float(np.dot(one.position, normal)))
    positions = np.array([one.position for one in ordered])
    distance = _slice_distance(positions @ normal)
    ideal = positions[0] + np.arange(len(ordered))[:, None] * normal * distance
    if np.abs(positions - ideal).max() > max(_SAME_PLACE_MM, 0.5 * min(first.spacing)):
        raise VolumeError("the slices are shifted sideways (tilted scan); resample it to a rectangular grid first")
    origin, matrix = positions[0].tolist(), np.stack([across[0], across[1], normal], axis=1)
    geometry = Geometry(
        (first.size[0], first.size[1], len(ordered)),
        (first.spacing[0], first.spacing[1], distance),
        (origin[0], origin[1], origin[2]),
        tuple(matrix.ravel().tolist()),
    )
    return ordered, geometry


def _slice_distance(along: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """The one distance between slices at the sorted places `along` the normal, mm."""
    if len(along) < 2:
        raise VolumeError("the series has only one slice; name the folder with all slices of the scan")
    steps = np.diff(along)
    doubled = int((steps < _SAME_PLACE_MM).sum())
    if doubled:
        raise VolumeError(
            f"{doubled} of {len(along)} slices lie where another one lies (several phases or echoes, or doubled files);"
            " export one of them alone"
        )
    usual = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - usual) > _UNEVEN * usual)
    if len(uneven):
        place = int(uneven[0])
        raise VolumeError(
            f"a slice is missing or out of place: {steps[place]:.2f} mm between slices {place + 1} and {place + 2}"
            f" where the others are {usual:.2f} mm apart; copy or export the series again"
        )
    return float(along[-1] - along[0]) / (len(along) - 1)


def _read_slice(file: Path) -> _Slice:
    header = _header(file)
    if header is None:
        raise VolumeError("a slice cannot be read; copy or export the series again")
    if header.HasMetaDataKey(_FRAMES) and int(header.GetMetaData(_FRAMES)) > 1:
        raise VolumeError("multi-frame DICOM is not read; convert it to NRRD or NIfTI first (for example in 3D Slicer)")
    if header.GetNumberOfComponents() != 1:
        raise VolumeError(
            f"the slices are in colour ({header.GetNumberOfComponents()} values a voxel); a scan has one grey value"
        )
    spacing = _values(header, _PIXEL_SPACING, 2)
    if min(spacing) <= 0:
        raise VolumeError("the voxel spacing is 0; export the series again from its source")
    position, orientation = _values(header, _POSITION, 3), _values(header, _ORIENTATION, 6)
    columns, rows = header.GetSize()[:2]
    # PixelSpacing is row distance, then column distance: y before x.
    return _Slice(
        file,
        (columns, rows),
        (spacing[1], spacing[0]),
        (position[0], position[1], position[2]),
        (orientation[0], orientation[1], orientation[2], orientation[3], orientation[4], orientation[5]),
    )


def _values(header: sitk.ImageFileReader, key: str, count: int) -> list[float]:
    name = {_PIXEL_SPACING: "voxel spacing", _POSITION: "position", _ORIENTATION: "orientation"}[key]
    try:
        values = [float(text) for text in header.GetMetaData(key).split("\\")] if header.HasMetaDataKey(key) else []
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise VolumeError(f"a slice has no {name} in its header; export the series again from its source")
    return values


def _has_position(file: Path) -> bool:
    """Whether a file is a slice in space: structured reports, segmentations and screenshots have no position."""
    header = _header(file)
    return header is not None and (header.HasMetaDataKey(_POSITION) or header.HasMetaDataKey(_FRAMES))


def _series_number(series: Series) -> str:
    header = _header(series.files[0])
    known = header is not None and header.HasMetaDataKey(_SERIES_NUMBER)
    return header.GetMetaData(_SERIES_NUMBER).strip() if header is not None and known else "unknown"


def _header(file: Path) -> sitk.ImageFileReader | None:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    return reader
