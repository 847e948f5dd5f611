"""A folder of DICOM slices in. Positions come from each slice's own header; what names a patient is never looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Volume, VolumeError
from mtctl.io.dicom.compressed import decoded
from mtctl.io.dicom.elements import (
    NATIVE,
    ORIENTATION,
    PIXEL_SPACING,
    POSITION,
    DicomHeader,
    required,
    scale_of,
    size_of,
)
from mtctl.io.dicom.multiframe import frame_places, is_multiframe
from mtctl.io.dicom.parser import read_elements
from mtctl.io.dicom.pixels import PixelFormat, native_values, pixel_format
from mtctl.io.dicom.series import Series, choose_series
from mtctl.io.dicom.slices import Slice, stack

# What tells several slices of one place apart, as it is called in messages.
_MARKS = (
    ("echo times", 0x00180081),
    ("inversion times", 0x00180082),
    ("trigger times", 0x00181060),
    ("time points", 0x00200100),
    ("acquisitions", 0x00200012),
    ("kinds of image", 0x00080008),
)


def pseudonym(folder: Path) -> str:
    """Return a name for the scan in `folder` that is the same every time and says nothing about the patient.

    Raises:
        VolumeError: As `choose_series`.
    """
    return choose_series(folder).series.pseudonym


def read_series(series: Series) -> Volume:
    """Return a series as a volume, float32, rescaled to the scanner's own values.

    Raises:
        VolumeError: Slices are missing, doubled, in several orientations or sizes, in colour, without spacing, cut off,
            or cannot be decoded.
        OSError: A file cannot be read.
    """
    headers = {file: _header(file) for file in series.files}
    ordered, geometry = stack([one for file, header in headers.items() for one in _places(header, file)])
    array = np.empty(geometry.shape, np.float32)
    where = {(one.file, one.frame): number for number, one in enumerate(ordered)}
    for file, frames in _stored(headers):
        for frame, stored in enumerate(frames):
            number = where[file, frame]
            array[number] = _scaled(stored, ordered[number])
    return Volume(array, geometry)


def read_places(series: Series) -> list[Slice]:
    """Return where the slices of a series lie, in the order of its files and of the frames in them.

    Raises: As `read_series`.
    """
    return [one for file in series.files for one in _places(_header(file), file)]


def _header(file: Path) -> DicomHeader:
    try:
        header = read_elements(file)
        if header is None:
            raise VolumeError("is no DICOM file any more; copy or export the series again")
        pixel_format(header)
    except VolumeError as error:
        raise VolumeError(f"{file.name} {error}") from error
    return header


def _places(header: DicomHeader, file: Path) -> Sequence[Slice]:
    if is_multiframe(header):
        return frame_places(header, file)
    spacing = required(header.elements, PIXEL_SPACING, file)
    x, y, z = required(header.elements, POSITION, file)
    a, b, c, d, e, f = required(header.elements, ORIENTATION, file)
    slope, intercept = scale_of(header.elements, file)
    one = Slice(
        file=file,
        frame=0,
        size=size_of(header),
        spacing=(spacing[1], spacing[0]),  # PixelSpacing is row distance, then column distance: y before x.
        position=(x, y, z),
        orientation=(a, b, c, d, e, f),
        slope=slope,
        intercept=intercept,
        marks={name: header.elements.raw(tag) for name, tag in _MARKS},
    )
    return [one]


def _stored(files: Mapping[Path, DicomHeader]) -> Iterator[tuple[Path, NDArray[Any]]]:
    """Yield each file and its stored values (frames, rows, columns); inverted where low ones are bright, as in GDCM.

    Raises:
        VolumeError: As `pixel_format`, or they cannot be decoded; the message begins with the file's name.
        OSError: A file cannot be read.
        MemoryError: There is too little memory to decode them.
    """
    formats = {file: pixel_format(header) for file, header in files.items()}
    packed = {file: (files[file], format_) for file, format_ in formats.items() if files[file].syntax not in NATIVE}
    plain = ((file, native_values(file, files[file], formats[file])) for file in files if file not in packed)
    for file, array in chain(plain, decoded(packed) if packed else ()):
        yield file, _upright(array, formats[file])


def _upright(array: NDArray[Any], format_: PixelFormat) -> NDArray[Any]:
    return (-1 if format_.signed else (1 << format_.stored) - 1) - array if format_.inverted else array


def _scaled(stored: NDArray[np.generic], one: Slice) -> NDArray[np.float32]:
    if one.slope == 1 and one.intercept == 0:
        return stored.astype(np.float32)
    # In double, and rounded once.
    with np.errstate(over="ignore", invalid="ignore"):  # What is too large becomes infinite, and is refused as that.
        return (stored.astype(np.float64) * one.slope + one.intercept).astype(np.float32)
