"""Intervals hold what the uncertainty allows and narrow as it is settled; enhancement is that of known phantoms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.wall_phantom import RADII_MM, WallPhantom, wall_phantom

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Volume
from mtctl.measures.body_size import BodySize
from mtctl.measures.document import CaseMeasures, IntervalEstimate, WallMeasures, read_measures, write_measures
from mtctl.measures.enhancement import BloodPool, Threshold, WallShell
from mtctl.measures.measuring import MeasuredCase, WallRequest, measure, measure_wall, without_interval
from mtctl.measures.uncertain_mask import UncertainMask
from mtctl.surfaces.openings import Opening, OpeningKind

pytestmark = pytest.mark.slow

_C, _S = math.cos(math.radians(25)), math.sin(math.radians(25))
OBLIQUE = ((0.8, 1.2, 2.0), (_C, -_S, 0.0, _S, _C, 0.0, 0.0, 0.0, 1.0))
KNOWN_PERCENT = 30.0  # of the phantom that most tests look at
LEFT_HANDED = ((1.0, 1.2, 1.8), (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0))


@pytest.fixture(scope="module")
def phantom() -> Iterator[WallPhantom]:
    yield wall_phantom(KNOWN_PERCENT)


@pytest.fixture(scope="module")
def measured(phantom: WallPhantom) -> MeasuredCase:
    """All of the phantom, of a person of 175 cm and 80 kg."""
    return measure(
        "a", uncertain(phantom), BodySize(175, 80), measure_wall(uncertain(phantom), WallRequest(phantom.scan)), 12.5,
        ("careful",),
    )  # fmt: skip


def uncertain(phantom: WallPhantom, settled: np.ndarray | None = None) -> UncertainMask:
    return UncertainMask.of(phantom.mask, phantom.probability, phantom.scan.geometry, settled)


def numbers(measures: CaseMeasures) -> list[IntervalEstimate]:
    return [measures.volume_ml, measures.area_cm2, *measures.extent_mm, measures.sphericity]


def width(estimate: IntervalEstimate) -> float:
    assert estimate.low is not None and estimate.high is not None
    return estimate.high - estimate.low


def percent_above(wall: WallMeasures | None, threshold: str = "IIR > 1.20") -> IntervalEstimate:
    assert wall is not None
    return next(share.percent for share in wall.shares if share.threshold == threshold)


def wall_of(phantom: WallPhantom, mask: UncertainMask | None = None, **request: Any) -> WallMeasures:
    return measure_wall(mask or uncertain(phantom), WallRequest(phantom.scan, **request)).measures


def test_every_number_lies_in_its_interval_and_so_does_the_truth(measured: MeasuredCase) -> None:
    measures = measured.measures
    for estimate in numbers(measures):
        assert estimate.low is not None and estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high
        assert width(estimate) > 0
    volume = measures.volume_ml
    assert volume.low is not None and volume.high is not None
    assert volume.low < 4 / 3 * math.pi * math.prod(RADII_MM) / 1000 < volume.high


def test_intervals_narrow_as_voxels_are_settled_and_vanish_when_all_are(
    phantom: WallPhantom, measured: MeasuredCase
) -> None:
    half = np.zeros_like(phantom.mask)
    half[: len(half) // 2] = True
    open_ = measured.measures
    partly, done = (measure("a", uncertain(phantom, settled)).measures for settled in (half, np.ones_like(half)))
    assert width(open_.volume_ml) > 1.5 * width(partly.volume_ml) > 0
    assert all(width(estimate) == 0 for estimate in numbers(done))
    assert done.volume_ml.value == open_.volume_ml.value


def test_what_a_person_drew_is_in_every_outline_and_what_was_erased_in_none(phantom: WallPhantom) -> None:
    mask, settled = phantom.mask.copy(), np.zeros_like(phantom.mask)
    drawn, erased = np.s_[2:4, 2:5, 2:5], np.s_[12:14, 28:31, 28:31]
    mask[drawn], mask[erased] = True, False
    settled[drawn] = settled[erased] = True
    case = UncertainMask.of(mask, phantom.probability, phantom.scan.geometry, settled)
    for level in (-3.0, -1.0, 0.0, 1.0, 3.0):
        outline = case.at(level)
        inside = case.geometry.physical_to_index(phantom.scan.geometry.index_to_physical((3, 3, 3))).round().astype(int)
        assert outline[tuple(inside[::-1])]
        middle = case.geometry.physical_to_index(phantom.scan.geometry.index_to_physical((29, 29, 13)))
        assert not outline[tuple(middle.round().astype(int)[::-1])]


def test_outlines_are_nested_and_the_middle_one_is_the_mask(phantom: WallPhantom) -> None:
    case = uncertain(phantom)
    outlines = [case.at(level) for level in (-3.0, -1.0, 0.0, 1.0, 3.0)]
    assert all(not (inner & ~outer).any() for inner, outer in itertools.pairwise(outlines))
    assert int(outlines[2].sum()) == int(phantom.mask.sum())


def test_another_vessel_that_is_likely_but_apart_belongs_to_no_outline(phantom: WallPhantom) -> None:
    probability = phantom.probability.copy()
    probability[:3, :8, :8] = 0.45
    case = UncertainMask.of(phantom.mask, probability, phantom.scan.geometry)
    assert int(case.at(1.0).sum()) == int(uncertain(phantom).at(1.0).sum())


def test_without_an_uncertainty_there_are_numbers_but_no_intervals(phantom: WallPhantom) -> None:
    measures = without_interval(measure("a", uncertain(phantom).certain, BodySize(175, 80)).measures)
    for estimate in (*numbers(measures), measures.volume_ml_per_m2):
        assert estimate is not None
        assert estimate.value > 0 and estimate.low is None and estimate.high is None


def test_the_volume_is_divided_by_the_body_surface_with_its_interval(measured: MeasuredCase) -> None:
    measures = measured.measures
    assert measures.body_surface_m2 == pytest.approx(1.956, abs=0.001)
    indexed, volume = measures.volume_ml_per_m2, measures.volume_ml
    assert indexed is not None and indexed.high is not None and volume.high is not None
    assert indexed.value == pytest.approx(volume.value / BodySize(175, 80).area_m2, abs=1e-3)
    assert indexed.high == pytest.approx(volume.high / BodySize(175, 80).area_m2, abs=1e-3)


@pytest.mark.parametrize(
    ("percent", "grid"), [(0.0, OBLIQUE), (10.0, LEFT_HANDED), (KNOWN_PERCENT, None), (50.0, OBLIQUE)]
)
def test_the_enhanced_share_of_a_known_wall_is_found_within_3_points_and_its_interval_holds_it(
    percent: float, grid: tuple[tuple[float, float, float], tuple[float, ...]] | None, measured: MeasuredCase
) -> None:
    wall = measured.measures.wall if grid is None else wall_of(wall_phantom(percent, *grid))
    for threshold in ("IIR > 1.20", "IIR > 1.32"):
        found = percent_above(wall, threshold)
        assert found.value == pytest.approx(percent, abs=3.0)
        assert found.low is not None and found.high is not None
        assert found.low <= percent <= found.high


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mask_that_lies_a_voxel_off_finds_nearly_the_same_share(
    phantom: WallPhantom, measured: MeasuredCase, axis: int
) -> None:
    moved = replace(phantom, mask=np.roll(phantom.mask, 1, axis), probability=np.roll(phantom.probability, 1, axis))
    expected = percent_above(measured.measures.wall).value
    assert percent_above(wall_of(moved)).value == pytest.approx(expected, abs=5.0)


def test_a_second_mask_of_the_same_atrium_finds_nearly_the_same_share(
    phantom: WallPhantom, measured: MeasuredCase
) -> None:
    second = UncertainMask.of(phantom.probability > 0.35, phantom.probability, phantom.scan.geometry)
    expected = percent_above(measured.measures.wall).value
    assert percent_above(wall_of(phantom, second)).value == pytest.approx(expected, abs=3.0)


def test_openings_do_not_count_as_wall(phantom: WallPhantom, measured: MeasuredCase) -> None:
    valve = Opening(OpeningKind.MITRAL, (12.0, 0.0, 0.0), (1.0, 0.0, 0.0), 14.0)
    whole, cut = measured.measures.wall, wall_of(phantom, openings=(valve,))
    assert whole is not None and (whole.veins, whole.mitral_valve) == (0, False)
    assert (cut.veins, cut.mitral_valve) == (0, True)
    assert 0.7 < cut.body_cm2 / whole.body_cm2 < 0.85
    taken = 100 * (1 - cut.body_cm2 / whole.body_cm2)  # all of it enhanced: it lies in the cap on the left
    expected = 100 * (percent_above(whole).value - taken) / (100 - taken)
    assert percent_above(cut).value == pytest.approx(expected, abs=1.5)
    assert percent_above(cut).low is not None


def test_the_histogram_and_the_map_say_what_the_percentages_say(measured: MeasuredCase) -> None:
    wall, ratios = measured.measures.wall, measured.wall
    assert wall is not None and ratios is not None
    assert sum(wall.histogram_percent) == pytest.approx(100.0, abs=0.01)
    above = sum(
        percent for edge, percent in zip(wall.histogram_edges, wall.histogram_percent, strict=False) if edge >= 1.199
    )
    assert above == pytest.approx(percent_above(wall).value, abs=0.01)
    assert ratios.ratio.shape == (len(ratios.mesh.points),)
    enhanced = ratios.mesh.points[ratios.ratio > 1.2]
    assert (enhanced[:, 0] > 0).all()  # the patient's left


def test_thresholds_by_deviations_are_those_of_the_scan_s_own_blood(phantom: WallPhantom) -> None:
    blood = BloodPool.of(phantom.scan, phantom.mask)
    assert blood.mean == pytest.approx(100.0, abs=0.5)
    assert blood.deviation == pytest.approx(2.0, rel=0.3)
    assert Threshold("", "", deviations=3.3).ratio_for(blood) == pytest.approx(
        (blood.mean + 3.3 * blood.deviation) / blood.mean
    )


def test_a_scan_of_another_grid_or_without_positive_blood_and_a_shell_of_no_depth_are_refused_in_words(
    phantom: WallPhantom,
) -> None:
    scan = phantom.scan
    case = uncertain(phantom)
    x, y, z = scan.geometry.size
    other = Geometry((x, y, z), (1.0, 1.0, 1.9), scan.geometry.origin)
    with pytest.raises(MtctlError, match="lie on different grids"):
        measure_wall(case, WallRequest(Volume(scan.array, other)))
    with pytest.raises(MtctlError, match="lie on different grids"):
        measure_wall(case, WallRequest(Volume(scan.array[:9], Geometry((x, y, 9), scan.geometry.spacing, (0, 0, 0)))))
    with pytest.raises(MtctlError, match="as the scanner made it"):
        measure_wall(case, WallRequest(Volume(scan.array - 200, scan.geometry)))
    for outward, inward in ((-1.0, 1.0), (0.0, 0.0), (30.0, 1.0), (float("nan"), 1.0)):
        with pytest.raises(MtctlError, match="mm"):
            WallShell(outward, inward)


def test_an_empty_mask_and_a_probability_of_another_grid_are_refused_in_words(phantom: WallPhantom) -> None:
    with pytest.raises(MtctlError, match="the mask is empty"):
        UncertainMask.of(np.zeros_like(phantom.mask), phantom.probability, phantom.scan.geometry)
    with pytest.raises(MtctlError, match=r"the probability: .* resample them first"):
        UncertainMask.of(phantom.mask, phantom.probability[:-1], phantom.scan.geometry)


def test_measures_are_read_back_as_they_were_written(tmp_path: Path, measured: MeasuredCase) -> None:
    write_measures(tmp_path / "a.measures.json", measured.measures)
    assert read_measures(tmp_path / "a.measures.json") == measured.measures


def test_a_document_of_another_kind_or_version_is_refused_with_its_name(tmp_path: Path, measured: MeasuredCase) -> None:
    path = tmp_path / "a.measures.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(MtctlError, match=r"a\.measures\.json: 'case' is missing; measure the case again"):
        read_measures(path)
    write_measures(path, replace(measured.measures, format=2))
    with pytest.raises(MtctlError, match="which this one cannot read"):
        read_measures(path)


def test_a_wall_that_still_has_its_valve_is_warned_of(phantom: WallPhantom, measured: MeasuredCase) -> None:
    assert any("no mitral valve was found" in warning for warning in measured.measures.warnings)
    x, y, z = phantom.scan.geometry.index_to_physical((np.array(phantom.scan.geometry.size) - 1) / 2).tolist()
    valve = Opening(OpeningKind.MITRAL, (x, y, z + RADII_MM[2] - 4), (0.0, 0.0, 1.0), 10.0)
    wall = measure_wall(uncertain(phantom), WallRequest(phantom.scan, openings=[valve]))
    assert measure("a", uncertain(phantom), None, wall).measures.warnings == ()
