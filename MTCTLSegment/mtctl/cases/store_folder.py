"""The folder of a case store on disk: made with its README, and listed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtctl.cases.names import ID
from mtctl.cases.records import CASE, CaseError
from mtctl.system.files import WriteError, replacing, write_reason

_README = "README.txt"
_README_TEXT = """This folder is a case store of SlicerMTCTL.

Every folder in "cases" is one scan. It holds the scan itself (scan.nrrd) and, numbered in the order in which it was
done, what was made of it: predictions of a model, drafts of unfinished reviews, and decisions of a person. The
segmentations (segmentation.seg.nrrd) open in 3D Slicer. Nothing is ever overwritten; the highest number counts.

Copy and back up the folder as you like, while it is in use, too. Change nothing by hand: every file is checked against
its checksum. To check all of them:  mtctl cases verify --store FOLDER

Beside every case, prediction and decision lies a hidden, empty file, .mtctl-stored-NAME, by which its loss is noticed.
The loss of what went together with that file is not, as when the folder is put back from an older backup: compare
"mtctl cases list" then. To take a case out for good, delete its folder and the hidden file beside it.

No names of patients are stored. Keep it that way: choose case names and reviewers' names that say nothing.
"""


def make_folder(store: Path) -> Path:
    """Make the folder of a store, with its README, where it is not there yet.

    Returns:
        The folder of its cases.

    Raises:
        WriteError: It cannot be made.
    """
    cases = cases_folder(store)
    try:
        cases.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{cases}: cannot be made: {write_reason(error)}") from error
    if not (store / _README).exists():
        with replacing(store / _README) as part:
            part.write_text(_README_TEXT, encoding="utf-8")
    return cases


def cases_folder(store: Path) -> Path:
    """Return the folder of the cases in the folder of a store."""
    return store / "cases"


def list_ids(store: Path) -> list[str]:
    """Return the names of all cases of a store, sorted; none where nothing has been added yet.

    Raises:
        CaseError: The folder cannot be read, or is on a drive or share that is not there.
    """
    cases = cases_folder(store)
    with explained_errors(cases):
        try:
            names = os.listdir(cases)
        except FileNotFoundError:
            os.stat(store.absolute().anchor)  # Windows says the same of a share that is out of reach.
            return []
        return sorted(name for name in names if ID.fullmatch(name) and _holds_case(cases / name))


@contextmanager
def explained_errors(folder: Path) -> Iterator[None]:
    """Turn system errors into a `CaseError` that says what to check: an unmounted share must not look empty."""
    try:
        yield
    except OSError as error:
        raise CaseError(
            f"{error.filename or folder}: cannot be read: {error.strerror or error}; check the path, the drive or "
            "share, and your permissions"
        ) from error


def _holds_case(folder: Path) -> bool:
    """Return whether a folder is a case; one that may not be entered counts, so that reading it raises an error."""
    try:
        return (folder / CASE).exists()
    except OSError:
        return True
