"""The measures of a case as rows of a table that a person reads: on the report, in the window and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtctl.measures.document import CaseMeasures, IntervalEstimate, WallMeasures


@dataclass(frozen=True)
class TableRow:
    """A line of the table.

    Attributes:
        name: What is measured.
        value: With its unit.
        interval: 90 %; "" where there is none.
    """

    name: str
    value: str
    interval: str = ""


def shape_rows(measures: CaseMeasures) -> list[TableRow]:
    """Return the rows of volume, surface, extents and sphericity."""
    rows = [_row("Volume", measures.volume_ml, "mL")]
    if measures.volume_ml_per_m2 is not None:
        rows.append(_row("Volume by body surface", measures.volume_ml_per_m2, "mL/m²"))
    rows.append(_row("Closed surface", measures.area_cm2, "cm²"))
    for name, extent in zip(("right to left", "front to back", "foot to head"), measures.extent_mm, strict=True):
        rows.append(_row(f"Extent {name}", extent, "mm", 0))
    return [*rows, _row("Sphericity", measures.sphericity, "", 2)]


def wall_rows(wall: WallMeasures | None) -> Sequence[TableRow]:
    """Return the rows of the wall's enhancement, one a threshold; none where it was not measured."""
    if wall is None:
        return ()
    shares = [_row(f"Enhanced wall, {share.threshold}", share.percent, "%") for share in wall.shares]
    return [TableRow("Wall, without veins and valve", f"{wall.body_cm2:.1f} cm²"), *shares]


def _row(name: str, measured: IntervalEstimate, unit: str, digits: int = 1) -> TableRow:
    interval = ""
    if measured.low is not None and measured.high is not None:
        interval = f"{measured.low:.{digits}f} to {measured.high:.{digits}f}"
    return TableRow(name, f"{measured.value:.{digits}f} {unit}".strip(), interval)
