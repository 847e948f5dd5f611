"""Spoilt and foreign inputs: the same every time, worse with severity, cut where they say."""

from __future__ import annotations

import numpy as np
import pytest
from support.scans import scan

from mtctl.geometry import Volume
from mtctl.io.labelled import LabelledVolume
from mtctl.synthetic import out_of_distribution as foreign
from mtctl.synthetic.corruptions import CROPPED_SHARES, GREY_LEVELS, KINDS, SEVERITIES, all_corrupted, corrupted


@pytest.fixture(scope="module")
def case() -> LabelledVolume:
    volume = scan((40, 48, 56))
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in volume.array.shape], indexing="ij")
    return LabelledVolume("a", volume, np.sqrt(z**2 + y**2 + x**2) < 0.6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_voxels_and_another_case_other_ones(case: LabelledVolume, kind: str) -> None:
    first, again = corrupted(case, kind, 2), corrupted(case, kind, 2)
    assert np.array_equal(first.volume.array, again.volume.array) and np.array_equal(first.mask, again.mask)
    assert first.name == f"a+{kind}-2"
    other = corrupted(LabelledVolume("b", case.volume, case.mask), kind, 2)
    deterministic = kind in ("blur", "low-resolution")
    cut_alike = kind == "cropped" and other.volume.geometry == first.volume.geometry
    assert np.array_equal(first.volume.array, other.volume.array) == deterministic or cut_alike


@pytest.mark.parametrize("kind", GREY_LEVELS)
def test_each_severity_takes_the_scan_further_from_what_it_was(case: LabelledVolume, kind: str) -> None:
    original = case.volume.array.astype(float)
    far = []
    for severity in SEVERITIES:
        worse = corrupted(case, kind, severity)
        assert worse.volume.geometry == case.volume.geometry and worse.volume.array.dtype == np.float32
        assert np.isfinite(worse.volume.array).all() and worse.mask is case.mask
        far.append(1 - np.corrcoef(original.ravel(), worse.volume.array.ravel())[0, 1])
    assert 0 < far[0] < far[1] < far[2]


def test_a_cropped_scan_lacks_the_share_of_the_atrium_that_it_says_and_its_voxels_stay_where_they_were(
    case: LabelledVolume,
) -> None:
    whole = [np.ptp(np.flatnonzero(case.mask.any(axis=others))) + 1 for others in ((1, 2), (0, 2), (0, 1))]
    for severity, share in zip(SEVERITIES, CROPPED_SHARES, strict=True):
        cut = corrupted(case, "cropped", severity)
        left = [np.ptp(np.flatnonzero(cut.mask.any(axis=others))) + 1 for others in ((1, 2), (0, 2), (0, 1))]
        (axis,) = [i for i in range(3) if left[i] < whole[i]]
        assert left[axis] / whole[axis] == pytest.approx(1 - share, abs=0.1)
        x, y, z = (round(float(v)) for v in case.volume.geometry.physical_to_index(cut.volume.geometry.origin))
        nz, ny, nx = cut.volume.array.shape
        assert np.array_equal(case.volume.array[z : z + nz, y : y + ny, x : x + nx], cut.volume.array)


def test_motion_leaves_a_still_scan_where_it_is(case: LabelledVolume) -> None:
    moved = corrupted(case, "motion", 1).volume.array
    centre = [np.average(np.arange(n), weights=(v - v.min()).sum(axis=(0, 2)))
              for v in (case.volume.array, moved) for n in [v.shape[1]]]  # fmt: skip
    assert abs(centre[0] - centre[1]) < 1.5


def test_every_case_comes_in_every_kind_and_severity(case: LabelledVolume) -> None:
    names = [version.name for version in all_corrupted([case])]
    assert len(names) == len(set(names)) == len(KINDS) * len(SEVERITIES)


@pytest.mark.parametrize("kind", foreign.KINDS)
def test_a_foreign_input_is_the_same_every_time_and_differs_between_seeds(kind: str, case: LabelledVolume) -> None:
    scans = [case.volume, Volume(case.volume.array[::-1].copy(), case.volume.geometry)]
    first, again, other = (foreign.foreign_input(kind, seed, scans) for seed in (4, 4, 5))
    assert np.array_equal(first.array, again.array)
    assert first.array.shape != other.array.shape or not np.array_equal(first.array, other.array)
    assert np.isfinite(first.array).all() and first.array.std() > 0


def test_an_inverted_scan_is_dark_where_it_was_bright_and_a_turned_one_keeps_its_voxels(case: LabelledVolume) -> None:
    inverted = foreign.foreign_input("inverted", 0, [case.volume]).array
    assert np.corrcoef(inverted.ravel(), case.volume.array.ravel())[0, 1] == pytest.approx(-1)
    turned = foreign.foreign_input("turned", 0, [case.volume])
    assert turned.array.size == case.volume.array.size and turned.array.shape != case.volume.array.shape
    assert np.array_equal(np.sort(turned.array.ravel()), np.sort(case.volume.array.ravel()))
