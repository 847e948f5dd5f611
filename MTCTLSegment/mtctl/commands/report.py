"""`mtctl report`: one page for each segmented atrium, with pictures and numbers, as PDF."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtctl.figures.report_page import ReportPage, SurfaceView, TableRow
    from mtctl.geometry import Geometry, Map, Volume
    from mtctl.measures.document import CaseMeasures, IntervalEstimate
    from mtctl.measures.enhancement import Enhancement
    from mtctl.measures.reading import MaskFile, ReadCase
    from mtctl.surfaces.mesh import TriangleMesh

#: The line in `mtctl --help`.
HELP = "write a page with pictures and numbers for each segmented atrium"

#: Ends the name of the page.
REPORT_PAGE = ".report.pdf"

_CELL_MM = 0.8  # of the pictures
_MARGIN_MM = 15.0  # around the atrium in them
_SURFACE_WIDTH = 900  # pixels
_RATIO_LIMITS = (0.5, 1.6)  # of the wall's intensity to that of the blood
_DOUBT_LIMITS = (0.0, 0.6)  # of the mean uncertainty across the surface


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl report`."""
    parser = subparsers.add_parser(
        "report",
        help=HELP,
        description="Writes <case>.report.pdf for results of `mtctl segment`, as they were corrected, or for other "
        "masks: slices with outline and uncertainty, the surface, volume, area, extents and sphericity with their "
        "90 %% intervals, and model, expected Dice, regions and warnings. With --scans also the scan and the "
        "enhancement of the wall, without veins and mitral valve. For research, not for a diagnosis.",
    )
    parser.add_argument(
        "input", nargs="+", type=Path, metavar="RESULT", help="folder of results, or file of a segmentation or mask"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the pages")
    parser.add_argument("--scans", type=Path, metavar="DIR|FILE", help="the scans that were segmented")
    parser.add_argument(
        "--openings", type=Path, metavar="DIR",
        help="folder of <case>.openings.json, as `mtctl surface` wrote and a person changed them (default: found anew)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the pages.

    Returns:
        0 all done; 1 something could not be read or written (named on stderr; the rest is done).
    """
    from mtctl.errors import failure_of
    from mtctl.figures.report_page import write_report_page
    from mtctl.measures.reading import claim_name, find_masks
    from mtctl.system.files import make_folder
    from mtctl.system.interrupts import check

    files = find_masks(args.input)
    make_folder(args.out)
    failed, claimed = 0, set[str]()
    for number, file in enumerate(files, start=1):
        check()
        path = args.out / f"{file.case}{REPORT_PAGE}"
        try:
            claim_name(file, claimed)
            write_report_page(_page(file, args), path)
        except Exception as error:
            failed += 1
            print(f"mtctl report: {failure_of(error, file.path)}", file=sys.stderr, flush=True)
            continue
        print(f"[{number}/{len(files)}] {path}", flush=True)
    return 1 if failed else 0


def _page(file: MaskFile, args: argparse.Namespace) -> ReportPage:
    """Measure a case and return its page."""
    import time

    from mtctl.figures.report_page import ReportPage
    from mtctl.io.volumes import read_map, read_scan
    from mtctl.measures.measuring import WallRequest, measure, measure_wall, without_interval
    from mtctl.measures.reading import read_case, scan_for
    from mtctl.surfaces.finding import find_openings
    from mtctl.surfaces.maps import mean_across
    from mtctl.surfaces.openings import OPENINGS, read_openings
    from mtctl.surfaces.smoothing import smoothed_surface

    case = read_case(file)
    remarks = list(case.warnings)
    scan = read_scan(scan_for(file.case, case.scan_name, args.scans), case.spacing).volume if args.scans else None
    mesh = smoothed_surface(case.mask.mask, case.mask.geometry)
    wall = None
    if scan is not None:
        document = args.openings / f"{file.case}{OPENINGS}" if args.openings else None
        if document is not None:
            openings = read_openings(document)
        else:
            openings = tuple(find_openings(case.mask.mask, mesh, case.mask.geometry, scan))
            remarks.append("veins and mitral valve were found by the program and checked by nobody")
        wall = measure_wall(case.mask, WallRequest(scan, openings=openings))
    result = measure(file.case, case.mask, None, wall, case.settled_percent, remarks)
    measures = result.measures if case.sure else without_interval(result.measures)
    remarks = list(measures.warnings)
    doubt_file = file.beside(".uncertainty.nrrd")
    doubt = read_map(doubt_file) if doubt_file.is_file() else None
    grid = _picture_grid(mesh)
    across = None if doubt is None else mean_across(doubt, mesh)
    surfaces = _surfaces(mesh, across, result.wall, remarks)
    return ReportPage(
        file.case,
        None if scan is None else _on(grid, scan, float(scan.array.min())),
        _mask_on(grid, case),
        None if doubt is None else _on(grid, doubt, 0.0),
        surfaces,
        _colour(across is not None, result.wall is not None) if surfaces else None,
        _rows(measures),
        _origin(file, measures),
        remarks,
        time.strftime("%Y-%m-%d"),
    )


def _picture_grid(mesh: TriangleMesh) -> Geometry:
    import numpy as np

    from mtctl.geometry import Geometry

    low, high = mesh.points.min(axis=0) - _MARGIN_MM, mesh.points.max(axis=0) + _MARGIN_MM
    x, y, z = low.tolist()
    columns, rows, slices = np.ceil((high - low) / _CELL_MM).astype(int).tolist()
    return Geometry((columns, rows, slices), (_CELL_MM,) * 3, (x, y, z))


def _on(grid: Geometry, volume: Volume, outside: float) -> Map:
    from mtctl.preprocessing.resampling import from_grid

    return from_grid(volume.array, volume.geometry, grid, outside)


def _mask_on(grid: Geometry, case: ReadCase) -> Any:
    import numpy as np

    from mtctl.geometry import Volume

    return _on(grid, Volume(case.mask.mask.astype(np.float32), case.mask.geometry), 0.0) >= 0.5


def _surfaces(mesh: TriangleMesh, doubt: Any, wall: Enhancement | None, remarks: list[str]) -> list[SurfaceView]:
    """Return pictures of the surface in the colours of the wall or else of the uncertainty; none without VTK."""
    import numpy as np

    from mtctl.figures.report_page import SurfaceView

    try:
        from mtctl.figures.surfaces import VIEWPOINTS, RenderingError, mapped_pictures
    except ImportError:
        remarks.append("no picture of the surface: it needs VTK (pip install vtk)")
        return []
    values, limits = (None, _DOUBT_LIMITS) if doubt is None else (doubt, _DOUBT_LIMITS)
    if wall is not None:
        values, limits = np.asarray(np.where(wall.body, wall.ratio, np.nan), dtype=np.float64), _RATIO_LIMITS
        mesh = wall.mesh
    try:
        pictures = mapped_pictures(mesh.points, mesh.triangles, values, limits, _SURFACE_WIDTH)
    except RenderingError as error:
        remarks.append(f"no picture of the surface: {error}")
        return []
    note = "" if wall is None else "; grey: veins and valve, no wall"
    return [
        SurfaceView(
            picture, f"from {'the front' if view.name == 'anterior' else 'behind'}{note}", view.left, view.right
        )
        for view, picture in zip(VIEWPOINTS, pictures, strict=True)
    ]


def _colour(doubtful: bool, walled: bool) -> tuple[str, float, float] | None:
    if walled:
        return "wall / blood intensity", *_RATIO_LIMITS
    return ("uncertainty", *_DOUBT_LIMITS) if doubtful else None


def _rows(measures: CaseMeasures) -> list[TableRow]:
    from mtctl.figures.report_page import TableRow

    x, y, z = measures.extent_mm
    rows = [
        _row("Volume", measures.volume_ml, "mL"),
        _row("Closed surface", measures.area_cm2, "cm²"),
    ]
    for name, extent in (("right to left", x), ("front to back", y), ("foot to head", z)):
        rows.append(_row(f"Extent {name}", extent, "mm", 0))
    rows.append(_row("Sphericity", measures.sphericity, "", 2))
    if measures.wall:
        wall = measures.wall
        rows.append(TableRow("Wall, without veins and valve", f"{wall.body_cm2:.1f} cm²"))
        rows += [_row(f"Enhanced wall, {share.threshold}", share.percent, "%") for share in wall.shares]
    return rows


def _row(name: str, measured: IntervalEstimate, unit: str, digits: int = 1) -> TableRow:
    from mtctl.figures.report_page import TableRow

    interval = ""
    if measured.low is not None and measured.high is not None:
        interval = f"{measured.low:.{digits}f} to {measured.high:.{digits}f}"
    return TableRow(name, f"{measured.value:.{digits}f} {unit}".strip(), interval)


def _origin(file: MaskFile, measures: CaseMeasures) -> list[str]:
    """Return what the numbers come from, one sentence a line."""
    from mtctl import __version__
    from mtctl.errors import MtctlError
    from mtctl.io.reports import read_report

    try:
        report = read_report(file.beside(".json"))
    except (OSError, MtctlError):
        report = {}
    model = report.get("model") or {}
    made = f"Segmented by model {model.get('id', '?')}, version {model.get('version', '?')}."
    unknown = "No report beside the mask: who made it is not known."
    lines = [f"{made if model else unknown} Measured by mtctl {__version__}."]
    if report.get("case_score") is not None and report.get("case_score_interval"):
        low, high = report["case_score_interval"]
        score = f"Expected Dice before corrections {report['case_score']:.2f}, 90 % interval {low:.2f} to {high:.2f}."
        lines.append(score + (" Below the limit: look at every slice." if report.get("flagged") else ""))
    if report:
        lines.append(
            f"{_answered(file)} of {len(report.get('regions', ()))} uncertain regions were answered; "
            f"{measures.settled_percent:.0f} % of the uncertainty is settled. Intervals narrow as regions are answered."
        )
    if measures.wall:
        wall = measures.wall
        lines.append(
            f"Wall: the brightest value from {wall.inward_mm:g} mm inward to {wall.outward_mm:g} mm outward of the "
            f"surface, as a ratio to the blood (mean {wall.blood_mean:.0f}, SD {wall.blood_sd:.0f}). No threshold is "
            "agreed upon, and enhancement is no proof of fibrosis."
        )
    return [*lines, measures.note]


def _answered(file: MaskFile) -> int:
    """Return how many regions a person accepted or corrected."""
    from mtctl.measures.reading import REVIEW
    from mtctl.system.documents import read_optional

    marks = read_optional(file.beside(REVIEW)).get("regions")
    if not isinstance(marks, list):
        return 0
    mine = [mark for mark in marks if isinstance(mark, dict)]
    return sum(mark.get("accepted_at") is not None or mark.get("edited") is True for mark in mine)
