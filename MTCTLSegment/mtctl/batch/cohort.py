"""The table of a cohort: which cases a person has to look at, worst first, as cohort.csv and as a page, cohort.html."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from mtctl.batch.cohort_page import write_page
from mtctl.batch.cohort_rows import (
    FAILED,
    UNREADABLE,
    Row,
    done_row,
    row_name,
    row_name_with_folder,
    unreadable_row,
)
from mtctl.batch.runner import Failure
from mtctl.io.dicom.privacy import without_file_names
from mtctl.io.inputs import ScanInput
from mtctl.io.reports import checked_report
from mtctl.io.results import REPORT, ResultFiles
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.files import WriteError, remove_parts
from mtctl.system.tables import read_table, write_table

TABLE = "cohort.csv"
PAGE = "cohort.html"


def write_cohort(out: Path, sources: Sequence[ScanInput], failures: Sequence[Failure]) -> list[Row]:
    """Write the table of all results in `out` and of what failed, in this run or in an earlier one with that folder.

    Args:
        out: Folder of results.
        sources: Inputs of this run: what failed of them earlier and did not now is not listed any more.
        failures: Of this run.

    Raises:
        WriteError: The files cannot be written; the old ones are left.
    """
    failed = {row.case: row for row in _old_failures(out / TABLE)}
    for source in sources if failed else ():
        failed.pop(row_name(source), None)
        failed.pop(row_name_with_folder(source), None)
    failed |= {row.case: row for row in _failed_rows(failures)}
    rows = sorted([*failed.values(), *_done_rows(out)], key=_worst_first)
    for name in (TABLE, PAGE):
        remove_parts(out / name)  # Left by a process that was killed while it wrote.
    try:
        _write(out, rows)
    except WriteError:  # Perhaps a run on another machine took our parts for left ones: it cannot see that we live.
        _write(out, rows)
    return rows


def _write(out: Path, rows: Sequence[Row]) -> None:
    names = [field.name for field in fields(Row)]
    write_table(out / TABLE, names, ([getattr(row, name) for name in names] for row in rows))
    write_page(out / PAGE, rows)


def _failed_rows(failures: Sequence[Failure]) -> Iterable[Row]:
    names = Counter(row_name(failure.source) for failure in failures)
    for failure in failures:
        name = row_name(failure.source)
        source, error = failure.source, failure.cause
        if source.folder:
            error = without_file_names(error, source.path)
        yield Row(name if names[name] == 1 else row_name_with_folder(source), FAILED, error=error)


def _done_rows(out: Path) -> Iterable[Row]:
    with os.scandir(out) as entries:
        names = sorted(
            entry.name for entry in entries if entry.name.endswith(REPORT) and not entry.name.startswith(".")
        )
    for name in names:
        row = _row_of(out / name)
        if row is not None:
            yield row


def _row_of(path: Path) -> Row | None:
    """Return the row of a case with a report; None where a file is gone, or another program's."""
    stem = path.name.removesuffix(REPORT)
    try:
        report = read_object(path)
        return done_row(stem, checked_report(report, str(path))) if "fingerprint" in report else None
    except FileNotFoundError:
        return None
    except DocumentError as error:
        reason = str(error).removeprefix(f"{path}: ")
    except (KeyError, TypeError) as error:  # It is not there, or null.
        reason = f"a field is missing ({error})"
    # Alone, without a segmentation or a map of its name, it is another program's.
    return unreadable_row(stem, reason) if ResultFiles(path.parent, stem).present() != [path.name] else None


def _old_failures(table: Path) -> Iterable[Row]:
    for values in read_table(table):
        if values.get("error", "").startswith(UNREADABLE):
            continue  # Its report is looked at anew.
        if values.get("status") == FAILED and values.get("case"):
            yield Row(values["case"], FAILED, error=values.get("error", ""))


def _worst_first(row: Row) -> tuple[bool, bool, float, str]:
    return row.status != FAILED, not row.flagged, row.case_score or 0.0, row.case
