"""The page of a cohort: one HTML file without anything from elsewhere, except links to the results beside it."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from mtctl import __version__
from mtctl.batch.cohort_rows import Row
from mtctl.errors import counted
from mtctl.figures.case_figure import axial_thumbnail
from mtctl.io.results import PICTURE, REPORT, SEGMENTATION, ResultFiles
from mtctl.system.files import replacing

# Ten kilobytes each: the page of 30,000 cases would have 300 MB. The worst are the ones to look at; all have links.
_THUMBNAILS = 500

_BIN_WIDTHS = (0.01, 0.02, 0.05)
_MOST_BINS = 40


def write_page(path: Path, rows: Sequence[Row]) -> None:
    """Write the page.

    Args:
        path: The file; results are looked for beside it.
        rows: Worst first.

    Raises:
        WriteError: It cannot be written; the old one is left.
    """
    done = [row for row in rows if row.case_score is not None]
    flagged = sum(bool(row.flagged) for row in done)
    models = ", ".join(sorted({row.model for row in done}))
    cases = "case" if len(done) == 1 else "cases"
    summary = (
        f"<b>{len(done)}</b> {cases} done, <b>{flagged}</b> of them flagged, <b>{len(rows) - len(done)}</b> failed"
    )
    body = "\n".join(_row(path.parent, number, row) for number, row in enumerate(rows))
    page = _PAGE.format(
        style=_STYLE, script=_SCRIPT, summary=summary, models=escape(models), version=__version__,
        histogram=_histogram(done), heads="".join(_heads()), rows=body,
    )  # fmt: skip
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8", errors="replace")


_COLUMNS = (
    ("Case", "text", ""),
    ("State", "text", ""),
    ("Case score", "number", "The Dice that is to be expected, with its 90 % interval"),
    ("Volume, mL", "number", "Of the left atrium"),
    ("Likely wrong, mL", "number", "What of the segmentation is to be expected wrong, mostly within a border's width"),
    ("Uncertainty", "number", "Mean within 3 mm of the surface, 0 to 1"),
    ("Remarks", "text", ""),
)


def _heads() -> list[str]:
    return [
        f'<th title="{escape(hint)}" data-kind="{kind}"><button type="button">{name}</button></th>'
        for name, kind, hint in _COLUMNS
    ]


def _row(folder: Path, number: int, row: Row) -> str:
    kind = "failed" if row.case_score is None else "flagged" if row.flagged else "good"
    cells = [
        f"<td><div class=case>{_case(folder, number, row)}</div></td>",
        f'<td data-value="{("failed", "flagged", "good").index(kind)}"><span class="mark {kind}">'
        f"{ {'failed': 'failed', 'flagged': 'look', 'good': 'ok'}[kind] }</span></td>",
        _score(row),
        *(_number(value, digits) for value, digits in (
            (row.volume_ml, 1), (row.likely_wrong_ml, 1), (row.uncertainty_in_band, 3),
        )),
        f"<td class=remarks>{escape(row.error or row.warnings)}</td>",
    ]  # fmt: skip
    return f'<tr class="{kind}">{"".join(cells)}</tr>'


def _case(folder: Path, number: int, row: Row) -> str:
    name = f"<b>{escape(row.case)}</b>"
    if row.case_score is None:
        return name
    files = ResultFiles(folder, row.case)
    picture = axial_thumbnail(files.path(PICTURE)) if number < _THUMBNAILS else None
    links = " ".join(
        f'<a href="{_link(files.path(ending))}">{what}</a>'
        for ending, what in ((PICTURE, "picture"), (REPORT, "report"), (SEGMENTATION, "segmentation"))
    )
    image = ""
    if picture is not None:
        data = base64.b64encode(picture).decode()
        image = (
            f'<a href="{_link(files.path(PICTURE))}"><img alt="axial slice with outline, and with uncertainty" '
            f'src="data:image/jpeg;base64,{data}"></a>'
        )
    return f"{image}<div>{name}<br><small>{links}</small></div>"


def _link(path: Path) -> str:
    return escape(quote(path.name, errors="surrogateescape"))


def _score(row: Row) -> str:
    if row.case_score is None or row.case_score_low is None or row.case_score_high is None:
        return '<td data-value="-1"></td>'
    low, high = 100 * row.case_score_low, 100 * row.case_score_high
    return (
        f'<td data-value="{row.case_score}">{row.case_score:.2f} <small>{row.case_score_low:.2f} to '
        f'{row.case_score_high:.2f}</small><div class=range><i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        f'<u style="left:{100 * row.case_score:.1f}%"></u></div></td>'
    )


def _number(value: float | None, digits: int) -> str:
    return '<td class=number data-value="-1"></td>' if value is None else (
        f'<td class=number data-value="{value}">{value:.{digits}f}</td>'
    )  # fmt: skip


def _histogram(rows: Sequence[Row]) -> str:
    """Draw the case scores of all cases as an SVG; flagged ones on top of the others."""
    scores = [(row.case_score, bool(row.flagged)) for row in rows if row.case_score is not None]
    if not scores:
        return ""
    lowest = min(score for score, _ in scores)
    width = next((w for w in _BIN_WIDTHS if (1 - lowest) / w <= _MOST_BINS), _BIN_WIDTHS[-1])
    first = min(math.floor(lowest / width + 1e-9), round(1 / width) - 10)
    bins = [[0, 0] for _ in range(round(1 / width) - first)]
    for score, flagged in scores:
        bins[min(math.floor(score / width + 1e-9) - first, len(bins) - 1)][flagged] += 1
    most = max(sum(pair) for pair in bins)
    step, height = 640 / len(bins), 120
    parts = []
    for number, (good, look) in enumerate(bins):
        ends = f"{(first + number) * width:.2f} to {(first + number + 1) * width:.2f}"
        tall, top = height * good / most, height * look / most
        bar = f'x="{number * step + 1:.1f}" width="{step - 2:.1f}"'
        parts.append(
            f"<g><title>{ends}: {counted(good + look, 'case')}, {look} flagged</title>"
            f'<rect class=ground x="{number * step:.1f}" y="14" width="{step:.1f}" '
            f'height="{height}"/><rect class=good {bar} y="{14 + height - tall:.1f}" height="{tall:.1f}"/>'
            f'<rect class=flagged {bar} y="{14 + height - tall - top:.1f}" height="{top:.1f}"/></g>'
        )
    every = max(1, round(len(bins) / 8))
    parts += [
        f'<text x="{number * step:.1f}" y="{height + 30}">{(first + number) * width:.2f}</text>'
        for number in range(0, len(bins) + 1, every)
    ]
    return (
        f'<figure><svg viewBox="-16 0 676 {height + 36}" role="img" aria-label="histogram of case scores">'
        f'{"".join(parts)}<text class=most x="0" y="10">{counted(most, "case")}</text></svg>'
        "<figcaption>Case score (expected Dice); <span class=good>&#9632;</span> unflagged, "
        "<span class=flagged>&#9632;</span> flagged</figcaption></figure>"
    )


_STYLE = """
:root { color-scheme: light; font: 15px/1.45 system-ui, "Segoe UI", sans-serif; color: #1d2733; background: #f6f7f9 }
body { margin: 0 auto; max-width: 1500px; padding: 20px 24px 60px }
h1 { font-size: 21px; margin: 0 0 4px }
small, figcaption, footer { color: #5b6776; font-size: 12.5px }
header { display: flex; gap: 40px; align-items: flex-end; justify-content: space-between; flex-wrap: wrap }
figure { margin: 0; width: 520px } svg { width: 100%; display: block; overflow: visible }
svg text { font-size: 12px; fill: #5b6776; text-anchor: middle } svg .most { text-anchor: start }
rect.ground { fill: #fff } rect.good, span.good { fill: #3b7dd8; color: #3b7dd8 }
rect.flagged, span.flagged { fill: #e08a00; color: #e08a00 }
form { margin: 14px 0 10px; display: flex; gap: 18px; align-items: center }
input[type=search] { font: inherit; padding: 5px 9px; width: 260px; border: 1px solid #c3cad3; border-radius: 6px }
table { border-collapse: collapse; width: 100%; background: #fff; border: 1px solid #dfe4ea }
th { position: sticky; top: 0; background: #e9edf2; text-align: left; padding: 0; z-index: 1 }
th button { all: unset; cursor: pointer; padding: 8px 10px; font-weight: 600; display: block }
th button:focus-visible { outline: 2px solid #3b7dd8; outline-offset: -2px }
th[aria-sort=ascending] button::after { content: " \\25B2" }
th[aria-sort=descending] button::after { content: " \\25BC" }
td { border-top: 1px solid #e6eaef; padding: 6px 10px; vertical-align: middle }
.case { display: flex; gap: 12px; align-items: center; min-width: 230px; overflow-wrap: anywhere }
tr.failed td { background: #fdf0ef } tr.flagged td { background: #fff8ea }
img { height: 96px; display: block; background: #000; border-radius: 3px }
.mark { padding: 2px 9px; border-radius: 10px; font-size: 13px; font-weight: 600; white-space: nowrap }
.mark.failed { background: #c0392b; color: #fff } .mark.flagged { background: #f2b035; color: #3d2a00 }
.mark.good { background: #dcebdf; color: #1f5c2e }
.number { text-align: right; font-variant-numeric: tabular-nums }
.remarks { max-width: 480px; font-size: 13.5px; overflow-wrap: anywhere }
.range { position: relative; height: 6px; width: 150px; background: #e6eaef; border-radius: 3px; margin-top: 4px }
.range i { position: absolute; height: 6px; background: #9dbfec; border-radius: 3px }
.range u { position: absolute; width: 2px; height: 10px; top: -2px; background: #1d2733 }
a { color: #1f5fb5 } footer { margin-top: 14px }
@media print { form { display: none } th { position: static } }
"""

_SCRIPT = """
const body = document.querySelector("tbody"), rows = [...body.rows], heads = [...document.querySelectorAll("th")];
const search = document.querySelector("input[type=search]"), only = document.querySelector("input[type=checkbox]");
const shown = document.querySelector("output");
heads.forEach((head, column) => head.firstChild.addEventListener("click", () => {
  const up = head.getAttribute("aria-sort") !== "ascending";
  const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  rows.sort((a, b) => {
    const x = value(a), y = value(b);
    const order = isNaN(x) || isNaN(y) || x === "" || y === "" ? x.localeCompare(y, undefined, {numeric: true}) : x - y;
    return up ? order : -order;
  });
  heads.forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  body.append(...rows);
}));
function filter() {
  const words = search.value.toLowerCase();
  let count = 0;
  for (const row of rows) {
    const hide = only.checked && row.className === "good" || !row.textContent.toLowerCase().includes(words);
    row.hidden = hide;
    count += !hide;
  }
  shown.textContent = count + " of " + rows.length + " shown";
}
search.addEventListener("input", filter); only.addEventListener("change", filter); filter();
"""

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Left-atrium segmentation: cohort</title>
<meta name="viewport" content="width=device-width"><style>{style}</style></head><body>
<header><div><h1>Left-atrium segmentation</h1>{summary}<br>
<small>Worst first. Model: {models}. For research only.</small></div>
{histogram}</header>
<form onsubmit="return false"><input type="search" placeholder="Find a case or remark" aria-label="Find">
<label><input type="checkbox"> only what needs a look</label><output></output></form>
<table><thead><tr>{heads}</tr></thead><tbody>
{rows}
</tbody></table>
<footer>The case score is the Dice that is to be expected of the segmentation, estimated from the network's own
uncertainty. The bar shows its 90 % interval. Made by mtctl {version}.</footer>
<script>{script}</script></body></html>
"""
