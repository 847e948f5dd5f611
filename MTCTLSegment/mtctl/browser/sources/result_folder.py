"""Which cases a folder holds, and which of its files belong to each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError
from mtctl.io.formats.endings import file_type
from mtctl.io.reports import read_report
from mtctl.io.results import MAPS
from mtctl.system.documents import DocumentError, read_optional
from mtctl.system.files import TEMPORARY_PREFIX

#: Files that `mtctl segment` writes beside <stem>.json.
RESULTS = ("seg", *MAPS)

#: Ends of names that are no scans: results, masks of an expert, and what a review leaves.
_NO_SCANS = tuple(f".{kind}" for kind in (*RESULTS, "label", "review.seg"))

#: Folders within folders that are searched: demo/result, store/cases/<case>.
_DEPTH = 3

#: Marks a case store, whose scans are not to be listed as files; see `mtctl.cases.store`.
_STORE_CASES = "cases"


class FolderError(MtctlError):
    """A folder or case cannot be reviewed."""


@dataclass(frozen=True)
class FolderCase:
    """The files of one case; those that are not there are missing from `results`.

    Attributes:
        stem: Name of the case, as in its results.
        scan: The scan.
        folder: Where its results and its review are, or go.
        results: Paths of results by kind (see RESULTS), and of the report ("json").
    """

    stem: str
    scan: Path
    folder: Path
    results: Mapping[str, Path]

    @property
    def segmented(self) -> bool:
        """Whether there is something to review."""
        return {"seg", "uncertainty"} <= self.results.keys()

    @property
    def review(self) -> Path:
        """The review of this case, a JSON file."""
        return self.folder / f"{self.stem}.review.json"

    @property
    def corrected(self) -> Path:
        """The segmentation as the review left it."""
        return self.folder / f"{self.stem}.review.seg.nrrd"


def find_cases(root: Path) -> dict[str, FolderCase]:
    """Return the cases in a folder and the folders in it.

    A scan's results lie beside it or in another of the folders: those whose report names it as "input", or those
    with its name. Links to files and folders are followed, as the person made them, but no link that leads back; what
    belongs to a linked scan lies beside the link.

    Args:
        root: The folder, resolved.

    Returns:
        The cases by a key that is unique in the folder, sorted.
    """
    files = sorted(_files(root))
    scans = [path for path in files if _is_scan(path)]
    reports = [path for path in files if path.suffix == ".json" and not path.name.endswith(".review.json")]
    found: dict[str, FolderCase] = {}
    for scan in scans:
        stem = _stem(scan)
        candidates = [path for path in reports if _input_of(path) == scan.name] + [
            path for path in files if path.name == f"{stem}.seg.nrrd"
        ]
        case = _case(scan, candidates)
        found[scan.relative_to(root).as_posix()] = case
    return found


def find_case(path: Path) -> tuple[Path, str]:
    """Return folder and key of the case that a file belongs to: the scan itself, or one of its results.

    Raises:
        FolderError: It belongs to none.
    """
    path = path.resolve()
    root = path.parent
    for key, case in find_cases(root).items():
        if path == case.scan or path in case.results.values() or path in (case.review, case.corrected):
            return root, key
    raise FolderError(f"{path}: neither a scan nor a result of one that lies beside it; name the folder of both")


def is_store(folder: Path) -> bool:
    """Return whether a folder is a case store."""
    return any(folder.glob(f"{_STORE_CASES}/*/case.json"))


def _files(root: Path) -> Iterator[Path]:
    seen = {os.path.realpath(root)}
    for folder, subfolders, names in os.walk(root, followlinks=True):
        depth = len(Path(folder).relative_to(root).parts)
        subfolders[:] = [
            name
            for name in sorted(subfolders)
            if not name.startswith(".") and depth < _DEPTH and _is_new(root, Path(folder, name), seen)
        ]
        for name in names:
            path = Path(folder, name)
            if not name.startswith((".", TEMPORARY_PREFIX)) and path.is_file():
                yield path


def _is_new(root: Path, path: Path, seen: set[str]) -> bool:
    """Return whether a folder is to be searched: neither a case store nor one that is searched under another name."""
    real = os.path.realpath(path)
    if is_store(path) or real in seen or (path.is_symlink() and Path(real).is_relative_to(root)):
        return False
    seen.add(real)
    return not root.is_relative_to(real)  # else a link back to a folder above


def _is_scan(path: Path) -> bool:
    ending = file_type(path)
    return ending is not None and not path.name[: -len(ending)].endswith(_NO_SCANS)


def _stem(path: Path) -> str:
    return path.name[: -len(file_type(path) or "")].removesuffix(".image")


def _input_of(report: Path) -> str | None:
    name = read_optional(report).get("input")
    return name if isinstance(name, str) else None


def _case(scan: Path, candidates: list[Path]) -> FolderCase:
    """Return the case with the results of the candidate (a report or a segmentation) nearest to the scan."""
    ranked = sorted(candidates, key=lambda path: (len(path.parts), path.parent != scan.parent, str(path)))
    for candidate in ranked:
        stem = candidate.name.removesuffix(".json").removesuffix(".seg.nrrd")
        paths = {kind: candidate.with_name(f"{stem}.{kind}.nrrd") for kind in RESULTS}
        paths["json"] = candidate.with_name(f"{stem}.json")
        there = {kind: path for kind, path in paths.items() if path.is_file()}
        if "seg" in there:
            return FolderCase(stem, scan, candidate.parent, there)
    return FolderCase(_stem(scan), scan, scan.parent, {})


def report_of(case: FolderCase) -> dict[str, Any]:
    """Read what the case's JSON says; empty where there is none that can be used."""
    try:
        return read_report(case.results["json"]) if "json" in case.results else {}
    except (OSError, DocumentError):
        return {}
