"""The text of a table that a person made, as spreadsheets and editors of any country save it, and its rows."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip

# A line that is put after the last one: it is not there as a row of its own where a cell before it has no end.
_END = "end of the table"


class TableTextError(Exception):
    """A text is no table.

    Attributes:
        line: Where, from 1.
        why: Why not, in words.
    """

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line, self.why = line, why


@dataclass(frozen=True)
class TextRow:
    """A row that holds something.

    Attributes:
        line: At which it ends, from 1.
        cells: What it holds, as it is written.
    """

    line: int
    cells: list[str]

    def cell(self, column: int | None) -> str:
        """Return a cell without blanks around it; "" where there is none."""
        return self.cells[column].strip() if column is not None and column < len(self.cells) else ""


def text_of(content: bytes) -> str:
    """Return the text of a file: UTF-8, UTF-16 or, where it is neither, Windows-1252.

    Raises:
        TableTextError: It is no text.
    """
    try:
        text = content.decode(_encoding(content))
    except UnicodeDecodeError as error:
        raise TableTextError(content[: error.start].count(b"\n") + 1, "is no text") from error
    if "\0" in text:
        raise TableTextError(text[: text.index("\0")].count("\n") + 1, "is no text")
    return text


def lines_of(text: str) -> list[str]:
    """Return the lines with their ends: a cell in quotation marks may go over several."""
    return list(io.StringIO(text, newline=""))


def rows_of(lines: list[str], delimiter: str) -> list[TextRow]:
    """Return the rows that hold something.

    Raises:
        TableTextError: A quotation mark is never closed, or a cell has no end.
    """
    reader = csv.reader([*lines, "", _END], delimiter=delimiter, skipinitialspace=True)
    try:
        rows = [TextRow(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise TableTextError(reader.line_num, str(error)) from error
    if rows.pop().cells != [_END]:  # It would have taken in all lines that follow.
        raise TableTextError((rows[-1].line if rows else 0) + 1, "a quotation mark is never closed")
    return [row for row in rows if any(cell.strip() for cell in row.cells)]


def _encoding(content: bytes) -> str:
    """Return the encoding of a text: by its mark, else UTF-8, else UTF-16 without a mark, else that of old Windows."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return encoding
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):  # Nearly every second byte of Latin text is 0.
        if content[first::2].count(0) > len(content) / 8:
            return encoding
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
