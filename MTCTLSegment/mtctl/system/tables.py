"""Tables as CSV files that a spreadsheet opens without taking a name for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mtctl.system.files import replacing
from mtctl.system.regular_files import open_regular

# What begins a formula in Excel, LibreOffice or Google's spreadsheets; the full-width signs do in some languages.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")

#: Before it, a spreadsheet takes a cell for text.
_TEXT = "'"


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as a CSV file, whole or not at all.

    Args:
        path: The file.
        header: Names of the columns.
        rows: Values of the rows; numbers stay numbers, and None is an empty cell.

    Raises:
        WriteError: It cannot be written.
    """
    with replacing(path) as part, open(part, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows([_cell(value) for value in row] for row in rows)


def read_table(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table that need not be there, by column; where it is damaged, those before the damage."""
    try:
        with io.TextIOWrapper(open_regular(path), newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                yield {name: _plain(text) for name, text in row.items() if isinstance(name, str) and text is not None}
    except (OSError, ValueError, csv.Error):
        return


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    # A lone surrogate stands for a byte of a file name that is no UTF-8.
    text = value.encode("utf-8", "replace").decode()
    return f"{_TEXT}{text}" if text.startswith((*_FORMULA, _TEXT)) and not _is_number(text) else text


def _plain(cell: str) -> str:
    return cell.removeprefix(_TEXT) if cell.startswith(_TEXT) and cell[1:2] in (*_FORMULA, _TEXT) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text and text == text.strip()
