"""What is to be segmented: files, folders, patterns and a CSV manifest, as a list of scans."""

from __future__ import annotations

import csv
import glob
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.geometry import Triple, VolumeError
from mtctl.io.dicom.folder import content_of_file
from mtctl.io.formats.endings import file_type
from mtctl.io.given_spacing import parse_spacing
from mtctl.io.results import MAPS
from mtctl.io.volumes import input_stem
from mtctl.system.folders import walk

# What belongs to a scan but is none: expert masks, and results of an earlier run in the same folder.
_NOT_SCANS = ("label", "seg", *MAPS)


class InputError(MtctlError):
    """A list of inputs that cannot be used."""


def find_scans(named: Iterable[Path]) -> list[Path]:
    """Return the scans behind the names that a person gave.

    A file stands for itself. A folder stands for all volumes in it and below, and for one scan an examination (DICOM
    study) that lies there; a name with *, ? or [] that is no file for all that match it. What is not there is in the
    list too: it fails with its own message when its turn comes, and the others are done.
    """
    found: dict[str, Path] = {}
    for name in named:
        for place in _matches(name):
            for scan in _scans_in(place) if place.is_dir() else [place]:
                found.setdefault(os.path.abspath(scan), scan)
    return list(found.values())


def read_manifest(path: Path) -> dict[Path, Triple | None]:
    """Read the column "input" of a CSV manifest, or its only column; relative paths are relative to the manifest.

    Returns:
        The inputs in their order, each with the spacing in mm that its column "spacing" gives, written like
        "0.625 0.625 1.25" or, in quotes, "0.625,0.625,1.25"; None where there is none: the file's own counts.

    Raises:
        InputError: It cannot be read, has no such column, or has a spacing that cannot be used.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a CSV manifest: {error}") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise InputError(f"{path}: the manifest is empty")
    header = [cell.strip().lower() for cell in rows[0]]
    if "input" in header:
        column, rows = header.index("input"), rows[1:]
    elif len(header) == 1:
        column = 0
    else:
        raise InputError(f"{path}: the manifest has no column 'input' (it has {', '.join(header)})")
    aside = header.index("spacing") if "input" in header and "spacing" in header else None
    listed: dict[Path, Triple | None] = {}
    for row in rows:
        if len(row) > column and row[column].strip():
            source = path.parent / row[column].strip()
            text = row[aside].strip() if aside is not None and len(row) > aside else ""
            try:
                spacing = parse_spacing(text) if text else None
            except VolumeError as error:
                raise InputError(f"{path}: {row[column].strip()}: {error}") from error
            if listed.setdefault(source, spacing) != spacing:
                raise InputError(f"{path}: {row[column].strip()} is listed twice with different spacings")
    return listed


def spacings_of(listed: Mapping[Path, Triple | None]) -> dict[str, Triple]:
    """Return the spacings of a manifest by absolute path of the scans: a row that names a folder is about all in it."""
    given = [(source, spacing) for source, spacing in listed.items() if spacing is not None]
    return {os.path.abspath(scan): spacing for source, spacing in given for scan in find_scans([source])}


def name_clashes(sources: Sequence[Path]) -> dict[Path, Path]:
    """Return the files whose results would have the same names as an earlier file's, each with that file."""
    clashes: dict[Path, Path] = {}
    seen: dict[str, Path] = {}
    for source in sources:
        if not source.is_dir():  # A folder's are named by its series' own number.
            # Windows and macOS take names that differ in case for the same.
            first = seen.setdefault(input_stem(source).casefold(), source)
            if first is not source:
                clashes[source] = first
    return clashes


def series_clashes(sources: Sequence[Path]) -> dict[Path, Path]:
    """Return the DICOM folders whose series UID an earlier one has (poor anonymisers do this), each with that one.

    It reads all headers once more, which only a run that overwrites needs: any other keeps what is in the way.
    """
    clashes: dict[Path, Path] = {}
    seen: dict[str, Path] = {}
    for source in sources:
        if source.is_dir():
            with suppress(MtctlError):  # It fails with its own message when its turn comes.
                first = seen.setdefault(input_stem(source), source)
                if first is not source:
                    clashes[source] = first
    return clashes


def _matches(name: Path) -> list[Path]:
    if os.path.lexists(name) or not glob.has_magic(str(name)):
        return [name]
    return sorted(Path(match) for match in glob.glob(str(name), recursive=True)) or [name]


def _scans_in(folder: Path) -> list[Path]:
    """Return the volumes and DICOM studies in a folder.

    Where there are none, return the folder itself, so that it fails by its name.
    """
    volumes: list[Path] = []
    studies: dict[str, list[Path]] = defaultdict(list)
    for place, names in walk(folder):
        here = [place / name for name in names if file_type(Path(name)) and not _derived(name)]
        volumes += here
        study = None if here else _study(place, names)
        if study is not None:
            studies[study].append(place)
    if len(studies) == 1 and not volumes:
        return [folder]
    return volumes + _folders(studies) or [folder]


def _derived(name: str) -> bool:
    stem = name[: -len(file_type(Path(name)) or "")]
    return any(stem.lower().endswith(f".{kind}") for kind in _NOT_SCANS)


def _study(place: Path, names: Sequence[str]) -> str | None:
    """Return the study of the first DICOM image in a folder.

    Where there are only images that cannot be read, return the folder as a study of its own: it fails by its name.
    """
    damaged = False
    for name in names:
        content = content_of_file(place / name)
        for images in content.images.values():
            return images[0].study
        damaged = damaged or any(one.is_dicom for one in content.lost)
    return str(place) if damaged else None


def _folders(studies: dict[str, list[Path]]) -> list[Path]:
    """Return one folder a study.

    It is the one that holds all of it, or each of its folders where that one holds others too.
    """
    chosen: list[Path] = []
    for study, places in studies.items():
        top = Path(os.path.commonpath(places))
        others = (place for other, of in studies.items() if other != study for place in of)
        chosen += places if any(place.is_relative_to(top) for place in others) else [top]
    return sorted(chosen)
