"""Read what is to be measured: the results of `mtctl segment` with the review of them, or a mask alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtctl.errors import MtctlError, printable
from mtctl.geometry import Map, Mask, Volume, VolumeError, same_grid
from mtctl.io.formats.endings import file_type
from mtctl.io.given_spacing import given_spacing_of
from mtctl.io.inputs import reading_seconds
from mtctl.io.reports import read_report
from mtctl.io.results import MAPS, REPORT, SEGMENTATION
from mtctl.io.volumes import file_stem, input_stem, read_map, read_mask
from mtctl.measures.case import ReadCase, answered_places
from mtctl.measures.uncertain_mask import MeasureError, UncertainMask
from mtctl.review.case_maps import CaseMaps, probability_of
from mtctl.review.document import read_review
from mtctl.review.session import ReviewSession
from mtctl.system.documents import read_optional
from mtctl.uncertainty.kinds import KINDS

#: Ends the names of what a review leaves beside the results.
REVIEW, CORRECTED = ".review.json", ".review.seg.nrrd"

_LABEL = ".label"


@dataclass(frozen=True)
class MaskFile:
    """A segmentation that is to be measured.

    Attributes:
        path: Its file.
        case: What the names of the other files of the case begin with.
        scans: The scan that was segmented, or a folder that holds it; None where none is asked for.
    """

    path: Path
    case: str
    scans: Path | None = None

    @classmethod
    def of(cls, path: Path) -> MaskFile:
        """Return the segmentation in a file of any format."""
        if path.name.endswith(CORRECTED):
            return cls(path.with_name(f"{path.name.removesuffix(CORRECTED)}{SEGMENTATION}"), cls._stem(path, CORRECTED))
        if path.name.endswith(SEGMENTATION):
            return cls(path, cls._stem(path, SEGMENTATION))
        return cls(path, file_stem(path).removesuffix(_LABEL))

    @staticmethod
    def _stem(path: Path, ending: str) -> str:
        return path.name.removesuffix(ending)

    def beside(self, ending: str) -> Path:
        """Return the file of the same case with another ending; it need not be there."""
        return self.path.with_name(f"{self.case}{ending}")

    def scan(self, name: str) -> Path | None:
        """Return the scan of the case: the file itself, or of a folder the one of that name, or of the case's.

        Args:
            name: What a report calls it; "" where none says it.

        Raises:
            MeasureError: There is none.
        """
        return None if self.scans is None else _scan_for(self.case, name, self.scans)

    @property
    def reading_seconds(self) -> float:
        """How long it may take to read all of it."""
        files = [self.path, self.beside(CORRECTED), *(self.beside(f".{name}.nrrd") for name in MAPS)]
        with suppress(MtctlError, OSError):  # What is wrong with report or scan is said when their turn comes.
            scan = self.scan(str(read_report(self.beside(REPORT)).get("input", "")))
            files += [scan] if scan else []
        return reading_seconds(*files)


def find_masks(named: list[Path], scans: Path | None = None) -> list[MaskFile]:
    """Return the segmentations behind the names that a person gave: of a folder all <case>.seg.nrrd in it.

    Args:
        named: Files and folders.
        scans: The scan that was segmented, or the folder of such scans.

    Raises:
        MeasureError: Something is not there, or a folder holds none.
    """
    found: dict[Path, MaskFile] = {}
    for name in named:
        if name.is_dir():
            inside = [path for path in sorted(name.glob(f"*{SEGMENTATION}")) if not path.name.endswith(CORRECTED)]
            if not inside:
                raise MeasureError(f"{name}: holds no results of `mtctl segment` (<case>{SEGMENTATION}); segment first")
        elif name.exists():
            inside = [name]
        else:
            raise MeasureError(f"{name}: there is no such file or folder; name results of `mtctl segment` or a mask")
        for path in inside:
            one = replace(MaskFile.of(path), scans=scans)
            found.setdefault(one.path, one)
    return list(found.values())


def without_namesakes(files: Sequence[MaskFile]) -> tuple[list[MaskFile], list[str]]:
    """Return the cases without those of an earlier one's name, and in a line each why these are left out.

    Results of two of one name would be the same files, and some disks do not keep capitals apart.
    """
    first: dict[str, MaskFile] = {}
    failures = []
    for file in files:
        if first.setdefault(file.case.casefold(), file) is not file:
            cause = f"another segmentation of this run is called {file.case}, too; give it a separate run"
            failures.append(printable(f"{file.path}: {cause}"))
    return list(first.values()), failures


def read_case(file: MaskFile) -> ReadCase:
    """Read a case.

    Raises:
        MeasureError: The mask is empty, or lies on another grid than its uncertainty.
        MtctlError: A file cannot be read.
    """
    warnings: list[str] = []
    report = _report(file, warnings)
    kind = str((report.get("uncertainty") or {}).get("kind", KINDS[0].option))
    answered = answered_places(read_optional(file.beside(REVIEW)))
    path = file.beside(f".{MAPS[0]}.nrrd")
    uncertainty = read_map(path) if path.is_file() and path != file.path else None
    grid = uncertainty.geometry if uncertainty else None
    drawn = read_mask(file.path, grid)
    if uncertainty and not same_grid(drawn.geometry, uncertainty.geometry):
        raise MeasureError(f"{file.path}: lies on another grid than its uncertainty map; segment this scan again")
    mask, geometry = drawn.array != 0, drawn.geometry
    probability = _probability(file, mask, uncertainty, kind)
    if probability is None or uncertainty is None:
        if not mask.any():
            raise MeasureError(f"{file.path}: the mask is empty: there is nothing to measure")
        warnings.append(
            "no intervals: there is no uncertainty map of this segmentation"
            if uncertainty is None
            else f"no intervals: the results hold the uncertainty '{kind}' without the probability (--maps all)"
        )
        corrected = read_mask(file.beside(CORRECTED), geometry) if file.beside(CORRECTED).is_file() else drawn
        certain = UncertainMask.of(corrected.array != 0, mask.astype(np.float32), geometry).certain
        return ReadCase(
            certain, geometry, False, 0.0, str(report.get("input", "")), given_spacing_of(report), tuple(warnings),
            uncertainty, report, answered,
        )  # fmt: skip
    maps = CaseMaps(mask, np.clip(uncertainty.array, 0, 1), probability, geometry)
    session, current = _reviewed(file, maps, warnings)
    return ReadCase.of(maps, session, current, report, warnings, answered)


def _report(file: MaskFile, warnings: list[str]) -> dict[str, Any]:
    """Return the report of the case; empty where there is none that can be used."""
    try:
        report = read_report(file.beside(REPORT))
    except FileNotFoundError:
        return {}
    except MtctlError as error:
        warnings.append(f"the report cannot be used: {error}")
        return {}
    warnings += report.get("warnings", ())
    return report


def _probability(file: MaskFile, mask: Mask, uncertainty: Volume | None, kind: str) -> Map | None:
    """Return the calibrated probability, from its own map or from its entropy."""
    path = file.beside(".probability.nrrd")
    if uncertainty is not None and kind == KINDS[0].option:
        return probability_of(np.clip(uncertainty.array, 0, 1), mask)
    if uncertainty is not None and path.is_file():
        probability = read_map(path)
        if not same_grid(probability.geometry, uncertainty.geometry):
            raise MeasureError(f"{path}: lies on another grid than the segmentation; segment this scan again")
        rarer = np.minimum(np.clip(probability.array, 0, 1), np.clip(1 - probability.array, 0, 1))
        return np.where(mask, 1 - rarer, rarer).astype(np.float32)  # as it is had from its entropy
    return None


def _reviewed(file: MaskFile, maps: CaseMaps, warnings: list[str]) -> tuple[ReviewSession | None, Mask]:
    """Return the review, where there is one that can be used, and the segmentation as it left that."""
    path, corrected = file.beside(REVIEW), file.beside(CORRECTED)
    if not path.is_file():
        return None, maps.segmentation
    mask = None
    if corrected.is_file():
        drawn = read_mask(corrected, maps.geometry)
        if not same_grid(drawn.geometry, maps.geometry):
            raise MeasureError(f"{corrected}: lies on another grid than its scan; correct the case again")
        mask = drawn.array != 0
    try:
        session = read_review(path, maps, mask)
    except MtctlError as error:
        warnings.append(f"measured as it was before the review, which cannot be used: {error}")
        return None, maps.segmentation
    return session, maps.segmentation if mask is None else mask


def _scan_for(case: str, scan_name: str, scans: Path) -> Path:
    if not scans.is_dir():
        if not scans.exists():
            raise MeasureError(f"{scans}: there is no such scan or folder of scans")
        return scans
    named = scans / scan_name if scan_name and "/" not in scan_name and "\\" not in scan_name else None
    if named is not None and named.is_file():
        return named
    found = [
        path for path in sorted(scans.iterdir())
        if path.is_file() and file_type(path) and input_stem(path) == case
    ]  # fmt: skip
    if not found:
        with suppress(VolumeError):  # It may be the DICOM folder of one scan.
            if input_stem(scans) == case:
                return scans
        raise MeasureError(f"{scans}: holds no scan of {case}; name the folder of the scans that were segmented")
    return found[0]
