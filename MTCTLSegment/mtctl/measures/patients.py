"""Height and weight of many people, from a table that a spreadsheet saved."""

from __future__ import annotations

from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.io.table_text import TableTextError, lines_of, rows_of, text_of
from mtctl.measures.body_size import BodySize
from mtctl.measures.uncertain_mask import MeasureError

COLUMNS = ("case", "height_cm", "weight_kg")

_MOST_BYTES = 16 << 20


def read_patients(path: Path, formula: str) -> dict[str, BodySize]:
    """Read a CSV table with the columns "case", "height_cm" and "weight_kg", parted by commas, semicolons or tabs.

    Rows without height and weight are passed over: these people's volumes are not indexed.

    Returns:
        The sizes by case.

    Raises:
        MeasureError: It cannot be read, lacks a column, or has a number that cannot be used; the line is named.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise MeasureError(f"{path}: is too large for a table of people's sizes")
        lines = lines_of(text_of(content))
        first = next((line for line in lines if line.strip()), "")
        parted = next((sign for sign in ";\t," if sign in first), ",")
        rows = rows_of(lines, parted)
    except OSError as error:
        raise MeasureError(f"{path}: cannot be read: {error.strerror or error}") from error
    except TableTextError as error:
        raise MeasureError(f"{path}: line {error.line}: {error.why}; save it as CSV (UTF-8)") from error
    header = [cell.strip().lower() for cell in rows[0].cells] if rows else []
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise MeasureError(f"{path}: has no column '{missing[0]}'; needed are {', '.join(COLUMNS)}")
    places = [header.index(name) for name in COLUMNS]
    found: dict[str, BodySize] = {}
    for row in rows[1:]:
        case, height, weight = (row.cell(place) for place in places)
        if not case or not (height or weight):
            continue
        if case in found:
            raise MeasureError(f"{path}: line {row.line}: '{case}' stands there twice; keep one")
        try:
            found[case] = BodySize(_number(height, parted), _number(weight, parted), formula)
        except (MtctlError, ValueError) as error:
            what = error if isinstance(error, MtctlError) else "height and weight have to be numbers, in cm and kg"
            raise MeasureError(f"{path}: line {row.line} ({case}): {what}") from error
    return found


def _number(text: str, parted: str) -> float:
    """Return a number, whose decimal sign may be a comma where commas do not part the columns."""
    return float(text.replace(",", ".") if parted != "," else text)
