"""Measure a case: every number at the outline that is reported, and at those of the same case that are as likely."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.spatial import cKDTree

from mtctl.geometry import Geometry, Mask, Volume, same_grid
from mtctl.measures.body_size import BodySize
from mtctl.measures.document import DIGITS, CaseMeasures, EnhancedShare, IntervalEstimate, WallMeasures
from mtctl.measures.enhancement import THRESHOLDS, BloodPool, Enhancement, WallShell, wall_enhancement
from mtctl.measures.shape import Shape, shape_of
from mtctl.measures.uncertain_mask import MeasureError, UncertainMask
from mtctl.surfaces.cutting import behind_openings
from mtctl.surfaces.openings import Opening, OpeningKind
from mtctl.surfaces.smoothing import smoothed_surface

#: The levels of `UncertainMask.at` between which the 90 % interval of a measure lies: the extents' along right to left,
#: front to back, foot to head. By split conformal prediction (Vovk et al., 2005): the smallest that hold the expert's
#: value in 46 of 50 scans (90 % of 51). `Testing/benchmarks/measures.py --fit` works them out, of names 17-66 of the
#: benchmark's list and mtctl-la16, which learnt from neither these nor names 67-80, where the coverage is measured.
VOLUME_LEVEL, AREA_LEVEL = 1.45, 1.625
EXTENT_LEVELS = (2.65, 2.875, 2.1)

#: The sphericity changes with the outline's detail rather than with its level: its interval is so large a share of half
#: the area's, relative to the value. From the same fit.
SPHERICITY_SHARE = 0.513

#: The wall has no truth to be fitted to: its interval is that of the outlines between which the volume lies, wider by
#: what half a voxel (of its longest side) at the border of every enhanced area makes.
_WALL_LEVEL = VOLUME_LEVEL

_NO_VALVE = "no mitral valve was found: its plane counts as wall; add it to <case>.openings.json"

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class WallRequest:
    """What the enhancement of a wall is measured with.

    Attributes:
        scan: Grey values, on the grid of the mask.
        shell: Where the wall is looked for.
        openings: Veins' ends and mitral valve: what lies behind is no wall; none: all counts.
    """

    scan: Volume
    shell: WallShell = WallShell()
    openings: Sequence[Opening] = ()


@dataclass(frozen=True)
class MeasuredWall:
    """What is measured of a wall, and its map at the outline that is reported."""

    measures: WallMeasures
    enhancement: Enhancement


@dataclass(frozen=True)
class MeasuredCase:
    """What is measured of a case, and the map of its wall, where it has one."""

    measures: CaseMeasures
    wall: Enhancement | None


def measure(
    case: str,
    mask: UncertainMask,
    body: BodySize | None = None,
    wall: MeasuredWall | None = None,
    settled_percent: float = 0.0,
    warnings: Sequence[str] = (),
) -> MeasuredCase:
    """Measure a case.

    Args:
        case: Its name.
        mask: Segmentation and uncertainty.
        body: The person's size; None: unknown.
        wall: What `measure_wall` found; None: it was not measured.
        settled_percent, warnings: See `CaseMeasures`.
    """
    if wall and not wall.measures.mitral_valve:
        warnings = (*warnings, _NO_VALVE)
    volume = volume_ml(mask)
    levels = sorted({AREA_LEVEL, *EXTENT_LEVELS})
    shapes = _at_levels(mask, lambda outline: shape_of(outline, mask.geometry), levels)
    area = _interval(shapes, lambda shape: shape.area_cm2, AREA_LEVEL)
    x, y, z = (_interval(shapes, _extent_along(axis), level) for axis, level in enumerate(EXTENT_LEVELS))
    measures = CaseMeasures(
        case,
        volume,
        area,
        (x, y, z),
        _sphericity(shapes[0.0].sphericity, area),
        volume.divided_by(body.area_m2) if body else None,
        body,
        round(body.area_m2, DIGITS) if body else None,
        wall.measures if wall else None,
        settled_percent,
        tuple(warnings),
    )
    return MeasuredCase(measures, wall.enhancement if wall else None)


def volume_ml(mask: UncertainMask) -> IntervalEstimate:
    """Return the volume of a mask with its 90 % interval, mL."""
    voxel_ml = mask.geometry.voxel_ml
    volumes = _at_levels(mask, lambda outline: float(outline.sum()) * voxel_ml, (VOLUME_LEVEL,))
    return _interval(volumes, lambda millilitres: millilitres, VOLUME_LEVEL)


def without_interval(measures: CaseMeasures) -> CaseMeasures:
    """Return the measures of a mask of which nobody knows how sure it is."""

    def plain(measured: IntervalEstimate) -> IntervalEstimate:
        return IntervalEstimate(measured.value)

    x, y, z = (plain(extent) for extent in measures.extent_mm)
    indexed, wall = measures.volume_ml_per_m2, measures.wall
    if wall:
        wall = replace(wall, shares=tuple(replace(share, percent=plain(share.percent)) for share in wall.shares))
    return replace(
        measures, volume_ml=plain(measures.volume_ml), area_cm2=plain(measures.area_cm2), extent_mm=(x, y, z),
        sphericity=plain(measures.sphericity), volume_ml_per_m2=plain(indexed) if indexed else None, wall=wall,
    )  # fmt: skip


def _at_levels(
    mask: UncertainMask, measured: Callable[[Mask], _Result], levels: Sequence[float]
) -> dict[float, _Result]:
    """Return what is measured at 0 and at either side of it; levels at which nothing is left are missing."""
    found: dict[float, _Result] = {0.0: measured(mask.mask)}
    for level in (sign * level for level in levels for sign in (1, -1)):
        outline = mask.at(level)
        if not outline.any():
            continue
        found[level] = found[0.0] if np.array_equal(outline, mask.mask) else measured(outline)
    return found


def _interval(found: Mapping[float, _Result], number: Callable[[_Result], float], level: float) -> IntervalEstimate:
    """Return the number at level 0 and its bounds among the outlines up to that level."""
    numbers = [number(one) for at, one in found.items() if abs(at) <= level]
    low = min(numbers) if -level in found else 0.0
    return IntervalEstimate(*(round(value, DIGITS) for value in (number(found[0.0]), low, max(numbers))))


def _sphericity(value: float, area: IntervalEstimate) -> IntervalEstimate:
    low, high = area.low or 0.0, area.high or 0.0
    doubt = SPHERICITY_SHARE * (high - low) / 2 / area.value
    bounds = max(value * (1 - doubt), 0.0), min(value * (1 + doubt), 1.0)
    return IntervalEstimate(*(round(number, DIGITS) for number in (value, *bounds)))


def _extent_along(axis: int) -> Callable[[Shape], float]:
    return lambda shape: shape.extent_mm[axis]


def measure_wall(mask: UncertainMask, request: WallRequest) -> MeasuredWall:
    """Return the enhancement at the outline that is reported, and how much of it is above each threshold.

    Raises:
        MeasureError: The scan lies on another grid, or has no blood to compare with, or no surface counts.
    """
    scan = request.scan
    blood = BloodPool.of(_part_of(scan, mask.geometry), mask.mask)  # One for all: deep in the cavity they are alike.
    reported = smoothed_surface(mask.mask, mask.geometry)
    body = ~behind_openings(reported, request.openings)
    nearest = cKDTree(reported.points)

    def enhancement(outline: Mask) -> Enhancement:
        if outline is mask.mask:
            return wall_enhancement(scan, reported, blood, body, request.shell)
        mesh = smoothed_surface(outline, mask.geometry)
        counted = body[nearest.query(mesh.points)[1]]  # The cuts are made at the outline that a person sees.
        return wall_enhancement(scan, mesh, blood, counted, request.shell)

    found = _at_levels(mask, enhancement, (_WALL_LEVEL / 2, _WALL_LEVEL))
    here, shares = found[0.0], []
    for threshold in THRESHOLDS:
        ratio = threshold.ratio_for(blood)
        percent = _percent_interval(list(found.values()), ratio, max(scan.geometry.spacing) / 2)
        shares.append(EnhancedShare(threshold.name, threshold.source, round(ratio, DIGITS), percent))
    edges, percents = here.histogram()
    found_measures = WallMeasures(
        request.shell.outward_mm,
        request.shell.inward_mm,
        round(blood.mean, DIGITS),
        round(blood.deviation, DIGITS),
        blood.voxels,
        round(here.body_cm2, DIGITS),
        sum(one.kind is OpeningKind.VEIN for one in request.openings),
        any(one.kind is OpeningKind.MITRAL for one in request.openings),
        tuple(shares),
        tuple(np.round(edges, DIGITS).tolist()),
        tuple(np.round(percents, DIGITS).tolist()),
    )
    return MeasuredWall(found_measures, here)


def _percent_interval(found: Sequence[Enhancement], ratio: float, blur_mm: float) -> IntervalEstimate:
    """Return the percentage of the first, with the bounds of all if borders lay so much farther out or in.

    Each connected area errs on its own, so that their errors add up as squares.
    """
    percents = [one.percent_above(ratio) for one in found]
    doubts = [
        float(np.linalg.norm(one.borders_mm(ratio))) * blur_mm / one.body_cm2 for one in found
    ]  # mm2 a cm2: percent
    low = max(0.0, min(percent - doubt for percent, doubt in zip(percents, doubts, strict=True)))
    high = min(100.0, max(percent + doubt for percent, doubt in zip(percents, doubts, strict=True)))
    return IntervalEstimate(*(round(value, DIGITS) for value in (percents[0], low, high)))


def _part_of(scan: Volume, part: Geometry) -> Volume:
    """Return the scan on the mask's part of its grid."""
    first = np.rint(scan.geometry.physical_to_index(part.origin)).astype(int)
    (x, y, z), (width, height, depth) = first.tolist(), part.size
    inside = (first >= 0).all() and (first + part.size <= scan.geometry.size).all()
    if not inside or not same_grid(scan.geometry.window((x, y, z), part.size), part):
        raise MeasureError(
            "the scan and the segmentation lie on different grids; give the scan that was segmented, or resample the "
            "segmentation to it"
        )
    return Volume(scan.array[z : z + depth, y : y + height, x : x + width], part)
