"""What is to be segmented: files, folders, patterns and the rows of a manifest, as a list of scans."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.geometry import Triple, VolumeError
from mtctl.io.dicom.folder import content_of_file
from mtctl.io.dicom.series import ChosenSeries, choose_series
from mtctl.io.folders import walk
from mtctl.io.formats.endings import file_type
from mtctl.io.results import DICOM_MAP, DICOM_SEGMENTATION, MAPS
from mtctl.io.volumes import input_stem
from mtctl.system.regular_files import open_regular

#: How long a scan may take to be read, seconds, and what a slow share gives a second, bytes: a damaged file may hold a
#: reader for ever.
READING_SECONDS = 120.0
_SLOW_SHARE = 200_000

# What belongs to a scan but is none: expert masks, and results of an earlier run in the same folder.
_NOT_SCANS = ("label", "seg", *MAPS)


@dataclass(frozen=True)
class ScanInput:
    """A file or DICOM folder that is taken for one scan. What is asked of it is looked up once.

    Attributes:
        path: Where it is; perhaps there is nothing.
        folder: Whether it is a folder: its name may be a patient's.
        spacing: True distance of its voxels, mm along the file's axes x, y, z, where a manifest gives it.
    """

    path: Path
    folder: bool = False
    spacing: Triple | None = None

    @classmethod
    def of(cls, path: Path, spacing: Triple | None = None) -> ScanInput:
        """Return the scan at `path`."""
        return cls(path, os.path.isdir(path), spacing)

    @cached_property
    def chosen(self) -> ChosenSeries | None:
        """The series of a DICOM folder, found by reading all headers; None for a file.

        Raises:
            VolumeError: The folder holds no clear series.
        """
        if not self.folder:
            return None
        try:
            return choose_series(self.path)
        except VolumeError as error:
            raise VolumeError(f"{self.path}: {error}") from error

    @property
    def stem(self) -> str:
        """What the names of its results begin with: the file's name, or a pseudonym of the series.

        Raises:
            VolumeError: The folder holds no clear series.
        """
        return self.chosen.series.pseudonym if self.chosen else input_stem(self.path)

    @property
    def reading_seconds(self) -> float:
        """How long it may take to read it."""
        return reading_seconds(self.path)


def reading_seconds(*paths: Path) -> float:
    """Return how long it may take to read files and folders; what is not there takes no time."""
    return READING_SECONDS + sum(map(_bytes_of, paths)) / _SLOW_SHARE


def find_scans(named: Iterable[Path], listed: Mapping[Path, Triple | None] | None = None) -> list[ScanInput]:
    """Return the scans behind the names that a person gave.

    A file stands for itself. A folder stands for all volumes in it and below, and for one scan an examination (DICOM
    study) that lies there; a name with *, ? or [] that is no file for all that match it. What is not there is in the
    list too: it fails with its own message when its turn comes, and the others are done.

    Args:
        named: Names of files and folders, and patterns.
        listed: Further ones with the spacing that a manifest gives them; that of a folder is about all in it.
    """
    found: dict[str, ScanInput] = {}
    for name, spacing in [*((name, None) for name in named), *(listed or {}).items()]:
        for place in _matches(name):
            for scan in _scans_in(place) if os.path.isdir(place) else [ScanInput(place)]:
                key = os.path.abspath(scan.path)
                known = found.setdefault(key, scan)
                if spacing is not None:
                    found[key] = replace(known, spacing=spacing)
    return list(found.values())


def name_clashes(sources: Sequence[ScanInput]) -> dict[ScanInput, ScanInput]:
    """Return the files whose results would have the same names as an earlier file's, each with that file."""
    clashes: dict[ScanInput, ScanInput] = {}
    seen: dict[str, ScanInput] = {}
    for source in sources:
        if not source.folder:  # A folder's are named by its series' own number.
            # Windows and macOS take names that differ in case for the same.
            first = seen.setdefault(source.stem.casefold(), source)
            if first is not source:
                clashes[source] = first
    return clashes


def series_clashes(sources: Sequence[ScanInput]) -> dict[ScanInput, ScanInput]:
    """Return the DICOM folders whose series UID an earlier one has (poor anonymisers do this), each with that one.

    It reads all headers, which only a run that overwrites has to do beforehand: any other keeps what is in the way.
    """
    clashes: dict[ScanInput, ScanInput] = {}
    seen: dict[str, ScanInput] = {}
    for source in sources:
        if source.folder:
            with suppress(MtctlError):  # It fails with its own message when its turn comes.
                first = seen.setdefault(source.stem, source)
                if first is not source:
                    clashes[source] = first
    return clashes


def _bytes_of(path: Path) -> int:
    """Return the size of a file, or of the files in a folder and below."""
    with suppress(OSError):
        files = [place / name for place, names in walk(path) for name in names] if os.path.isdir(path) else [path]
        return sum(file.stat().st_size for file in files)
    return 0


def _matches(name: Path) -> list[Path]:
    if os.path.lexists(name) or not glob.has_magic(str(name)):
        return [name]
    return sorted(Path(match) for match in glob.glob(str(name), recursive=True)) or [name]


def _scans_in(folder: Path) -> list[ScanInput]:
    """Return the volumes and DICOM studies in a folder, and the folders in it that cannot be looked into.

    Where there are none, return the folder itself, so that it fails by its name.
    """
    volumes: list[Path] = []
    closed: list[Path] = []
    studies: dict[str, list[Path]] = defaultdict(list)
    for place, names in walk(folder, closed.append):
        here = [name for name in names if file_type(Path(name))]
        volumes += [place / name for name in here if not _derived(name)]
        others = [name for name in names if name not in here and not _derived(name)]
        study = _study(place, [name for name in others if _says_dicom(place / name)] if here else others)
        if study is not None:
            studies[study].append(place)
    if len(studies) == 1 and not volumes and not closed:
        return [ScanInput(folder, folder=True)]
    folders = [*_folders(studies), *closed]
    scans = [*map(ScanInput, volumes), *(ScanInput(place, folder=True) for place in folders)]
    return scans or [ScanInput(folder, folder=True)]


def _derived(name: str) -> bool:
    if name.lower().endswith((DICOM_SEGMENTATION, DICOM_MAP)):
        return True
    stem = name[: -len(file_type(Path(name)) or "")]
    return any(stem.lower().endswith(f".{kind}") for kind in _NOT_SCANS)


def _says_dicom(path: Path) -> bool:
    """Return whether a file says itself that it is one: what lies beside a volume may be anything."""
    try:
        with open_regular(path) as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


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


def _folders(studies: Mapping[str, Sequence[Path]]) -> list[Path]:
    """Return one folder a study.

    It is the one that holds all of it, or each of its folders where that one holds others too.
    """
    chosen: list[Path] = []
    for study, places in studies.items():
        top = Path(os.path.commonpath(places))
        others = (place for other, of in studies.items() if other != study for place in of)
        chosen += places if any(place.is_relative_to(top) for place in others) else [top]
    return sorted(chosen)
