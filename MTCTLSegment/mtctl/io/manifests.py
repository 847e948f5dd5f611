"""A manifest: a CSV table that names the inputs of a run, as spreadsheets and editors of any country save it."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.geometry import Triple, VolumeError
from mtctl.io.given_spacing import parse_spacing
from mtctl.io.table_text import TableTextError, TextRow, lines_of, rows_of, text_of

_INPUT, _SPACING = "input", "spacing"

# What parts the columns, the likeliest first: Excel writes semicolons where a comma is the decimal sign.
_DELIMITERS = (",", ";", "\t")
_RARE_DELIMITER = "|"

# 100,000 cases have 20 MB; a scan that was named by mistake is not read to its end.
_MOST_BYTES = 64 << 20

_EXPECTED = "expected is a CSV table with a column 'input', or one input a line"


class ManifestError(MtctlError):
    """A manifest that cannot be used."""


def read_manifest(path: Path) -> dict[Path, Triple | None]:
    """Read the column "input" of a CSV manifest, or its only column; relative paths are relative to the manifest.

    Columns are parted by commas, semicolons or tabs; the text is UTF-8, UTF-16 or, where it is neither, Windows-1252.

    Returns:
        The inputs in their order, each with the spacing in mm that its column "spacing" gives, written like
        "0.625 0.625 1.25" or, in quotes, "0.625,0.625,1.25"; None where there is none: the file's own counts.

    Raises:
        ManifestError: It cannot be read, has no such column, or has a spacing that cannot be used; the line is named.
    """
    rows = _rows(path)
    if not rows:
        raise ManifestError(f"{path}: the manifest is empty; {_EXPECTED}")
    header = [cell.strip().lower() for cell in rows[0].cells]
    for name in (_INPUT, _SPACING):
        if header.count(name) > 1:
            raise ManifestError(f"{path}: line {rows[0].line}: has {header.count(name)} columns '{name}'; keep one")
    if _INPUT in header:
        column, rows = header.index(_INPUT), rows[1:]
    elif len(header) == 1:
        column = 0
        _check_list(path, rows)
    else:
        raise ManifestError(
            f"{path}: line {rows[0].line}: the manifest has no column 'input' (it has {', '.join(header)}); {_EXPECTED}"
        )
    aside = header.index(_SPACING) if _INPUT in header and _SPACING in header else None
    listed: dict[Path, Triple | None] = {}
    for row in rows:
        name = row.cell(column)
        if not name:  # A patient without a scan.
            continue
        if "\0" in name:
            raise ManifestError(f"{path}: line {row.line}: {name!r} is no name of a file; {_EXPECTED}")
        spacing = _spacing(path, row, name, row.cell(aside))
        if listed.setdefault(path.parent / name, spacing) != spacing:
            raise ManifestError(f"{path}: line {row.line}: {name} is listed twice with different spacings")
    return listed


def _check_list(path: Path, rows: Sequence[TextRow]) -> None:
    """Raise where a list of inputs is none: below a title or a remark a table may begin, with spacings.

    Raises:
        ManifestError: A line has several columns, or the first one is not that of the inputs.
    """
    for row in rows:
        cells = [cell.strip().lower() for cell in row.cells if cell.strip()]
        if len(cells) > 1 or cells == [_INPUT]:
            raise ManifestError(
                f"{path}: line {row.line}: has the columns {', '.join(cells)} below a first line of one; let the line "
                "with the columns' names be the first, and put names with commas in quotes"
            )


def _text(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ManifestError(f"{path}: the manifest cannot be read: {error.strerror or error}") from error
    if len(content) > _MOST_BYTES:
        raise ManifestError(f"{path}: is too large for a manifest; {_EXPECTED}")
    return text_of(content)


def _rows(path: Path) -> list[TextRow]:
    """Return the rows that hold something."""
    try:
        lines = lines_of(_text(path))
        delimiter = ","
        for number, line in enumerate(lines):
            if line.strip():
                # What Excel writes and reads.
                if sep := re.fullmatch(r'"?sep=(.)"?', line.strip(" \r\n"), re.IGNORECASE):
                    delimiter, lines[number] = sep[1], "\n"
                else:
                    delimiter = _delimiter(line, path.parent)
                break
        return rows_of(lines, delimiter)
    except TableTextError as error:
        raise ManifestError(f"{path}: line {error.line}: {error.why}; {_EXPECTED}, saved as UTF-8") from error


def _delimiter(line: str, folder: Path) -> str:
    """Return what parts the columns, by the first line: a heading names the column 'input' when it is parted so."""
    if os.path.exists(folder / line.strip()):  # A list of names, in which a semicolon may be.
        return _DELIMITERS[0]
    for delimiter in (*_DELIMITERS, _RARE_DELIMITER):
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        if _INPUT in [cell.strip().lower() for cell in cells]:
            return delimiter
    return next((delimiter for delimiter in _DELIMITERS if delimiter in line), _DELIMITERS[0])


def _spacing(path: Path, row: TextRow, name: str, text: str) -> Triple | None:
    if not text:
        return None
    if re.search(r"\d,\d+\s+\d", text):  # "0,625 0,625 1,25", as where the decimal sign is a comma
        text = text.replace(",", ".")
    try:
        return parse_spacing(text)
    except VolumeError as error:
        raise ManifestError(f"{path}: line {row.line}: {name}: {error}") from error
