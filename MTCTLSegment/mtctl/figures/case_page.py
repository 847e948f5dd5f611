"""The page of a case: measured, drawn, and with what its numbers come from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtctl import __version__
from mtctl.errors import counted
from mtctl.figures.report_page import ReportPage, SurfaceView
from mtctl.geometry import Geometry, Map, Mask, Volume
from mtctl.io.reports import likely_wrong_ml
from mtctl.measures.body_size import BodySize
from mtctl.measures.case import ReadCase
from mtctl.measures.document import CaseMeasures
from mtctl.measures.enhancement import Enhancement
from mtctl.measures.measuring import WallRequest, measure, measure_wall, without_interval
from mtctl.measures.rows import shape_rows, wall_rows
from mtctl.preprocessing.resampling import from_grid
from mtctl.surfaces.finding import find_openings
from mtctl.surfaces.maps import mean_across
from mtctl.surfaces.mesh import TriangleMesh
from mtctl.surfaces.openings import Opening
from mtctl.surfaces.smoothing import smoothed_surface

_CELL_MM = 0.8  # of the pictures
_MARGIN_MM = 15.0  # around the atrium in them
_SURFACE_WIDTH = 900  # pixels
_RATIO_LIMITS = (0.5, 1.6)  # of the wall's intensity to that of the blood
_DOUBT_LIMITS = (0.0, 0.6)  # of the mean uncertainty across the surface


def case_page(
    name: str,
    case: ReadCase,
    scan: Volume | None = None,
    openings: Sequence[Opening] | None = None,
    body: BodySize | None = None,
) -> ReportPage:
    """Measure a case and return its page.

    Args:
        name: What the page is headed with.
        case: The case.
        scan: Its scan, with which the wall is measured; None: neither is shown.
        openings: Veins and valve, as a person saw them; None: they are found.
        body: The person's size; None: unknown.

    Raises:
        MeasureError: The wall cannot be measured.
    """
    remarks = list(case.warnings)
    mesh = smoothed_surface(case.mask.mask, case.mask.geometry)
    wall = None
    if scan is not None:
        if openings is None:
            openings = find_openings(case.mask.mask, mesh, case.mask.geometry, scan)
            remarks.append("veins and mitral valve were found by the program and checked by nobody")
        wall = measure_wall(case.mask, WallRequest(scan, openings=tuple(openings)))
    result = measure(name, case.mask, body, wall, case.settled_percent, remarks)
    measures = result.measures if case.sure else without_interval(result.measures)
    remarks = list(measures.warnings)
    grid, doubt = _picture_grid(mesh), case.uncertainty
    across = None if doubt is None else mean_across(doubt, mesh)
    surfaces = _surfaces(mesh, across, result.wall, remarks)
    return ReportPage(
        name,
        None if scan is None else _on(grid, scan, float(scan.array.min())),
        _mask_on(grid, case),
        None if doubt is None else _on(grid, doubt, 0.0),
        surfaces,
        _colour(across is not None, result.wall is not None) if surfaces else None,
        [*shape_rows(measures), *wall_rows(measures.wall)],
        _origin(case, measures),
        remarks,
        time.strftime("%Y-%m-%d"),
    )


def _picture_grid(mesh: TriangleMesh) -> Geometry:
    low, high = mesh.points.min(axis=0) - _MARGIN_MM, mesh.points.max(axis=0) + _MARGIN_MM
    x, y, z = low.tolist()
    columns, rows, slices = np.ceil((high - low) / _CELL_MM).astype(int).tolist()
    return Geometry((columns, rows, slices), (_CELL_MM,) * 3, (x, y, z))


def _on(grid: Geometry, volume: Volume, outside: float) -> Map:
    return from_grid(volume.array, volume.geometry, grid, outside)


def _mask_on(grid: Geometry, case: ReadCase) -> Mask:
    return np.asarray(_on(grid, Volume(case.mask.mask.astype(np.float32), case.mask.geometry), 0.0) >= 0.5)


def _surfaces(mesh: TriangleMesh, doubt: Any, wall: Enhancement | None, remarks: list[str]) -> list[SurfaceView]:
    """Return pictures of the surface in the colours of the wall or else of the uncertainty; none without VTK."""
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


def _origin(case: ReadCase, measures: CaseMeasures) -> list[str]:
    """Return what the numbers come from, one sentence a line."""
    report = case.report
    model = report.get("model") or {}
    made = f"Segmented by model {model.get('id', '?')}, version {model.get('version', '?')}."
    unknown = "No report beside the mask: who made it is not known."
    lines = [f"{made if model else unknown} Measured by mtctl {__version__}."]
    if report.get("case_score") is not None and report.get("case_score_interval"):
        low, high = report["case_score_interval"]
        score = f"Expected Dice before corrections {report['case_score']:.2f}, 90 % interval {low:.2f} to {high:.2f}."
        lines.append(score + (" Below the limit: look at every slice." if report.get("flagged") else ""))
    if report:
        wrong, answered = likely_wrong_ml(report), counted(case.answered, "place was", "places were")
        expected = "" if wrong is None else f"{wrong:.1f} mL were likely wrong before corrections. "
        lines.append(
            f"{expected}{answered[:1].upper()}{answered[1:]} answered; {measures.settled_percent:.0f} % of the "
            "uncertainty is settled. Intervals narrow as questions are answered."
        )
    if measures.wall:
        wall = measures.wall
        lines.append(
            f"Wall: the brightest value from {wall.inward_mm:g} mm inward to {wall.outward_mm:g} mm outward of the "
            f"surface, as a ratio to the blood (mean {wall.blood_mean:.0f}, SD {wall.blood_sd:.0f}). No threshold is "
            "agreed upon, and enhancement is no proof of fibrosis."
        )
    return [*lines, measures.note]
