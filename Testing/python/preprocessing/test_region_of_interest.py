"""Boxes in the patient's space, and the voxels of a scan that lie in them."""

from __future__ import annotations

import numpy as np
import pytest
from support.blob_scans import ALONG_LPS, CENTRE, GEOMETRIES, points

from mtctl.geometry import Geometry
from mtctl.preprocessing.network_grid import GRID_MM, canonical_geometry
from mtctl.preprocessing.normalisation import measured_window
from mtctl.preprocessing.region_of_interest import Box, RegionError, window_of


def test_a_region_is_read_from_six_numbers() -> None:
    assert Box.parse("-10,20, 0,30.5,-5,40") == Box(-10, 20, 0, 30.5, -5, 40)
    assert Box.parse(str(Box(-10, 20, 0, 30.5, -5, 40))) == Box(-10, 20, 0, 30.5, -5, 40)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "expected six numbers"),
        ("1,2,3,4,5", "expected six numbers"),
        ("1,2,3,4,5,6,7", "expected six numbers"),
        ("1,2,3,4,5,x", "expected six numbers"),
        ("1,2,3,4,5,nan", "expected six numbers"),
        ("1,2,3,4,5,inf", "expected six numbers"),
        ("2,1,3,4,5,6", "x0 = 2 must be below x1 = 1"),
        ("1,2,3,4,5,5", "z0 = 5 must be below z1 = 5"),
    ],
)
def test_a_bad_region_is_named_with_what_is_wrong(text: str, cause: str) -> None:
    with pytest.raises(RegionError, match=cause) as caught:
        Box.parse(text)
    assert "region" in str(caught.value) and "\n" not in str(caught.value)


SCAN = Geometry((50, 45, 20), GRID_MM, (-30.0, 20.0, 5.0))


def test_the_planes_of_a_region_are_the_outer_edges_of_its_voxels() -> None:
    assert Box.of(SCAN) == Box(-30.625, 31.875, 19.375, 75.625, 3.75, 53.75)
    assert canonical_geometry(SCAN, box=Box.of(SCAN)) == SCAN
    window = SCAN.window((5, 10, 6), (20, 16, 8))
    assert canonical_geometry(SCAN, box=Box.of(window)) == window
    assert canonical_geometry(SCAN, box=Box.of(window).expanded(2.5)).size == (24, 20, 10)


@pytest.mark.parametrize("name", ALONG_LPS)
def test_the_region_around_a_mask_holds_it_and_no_more(name: str) -> None:
    geometry = GEOMETRIES[name]
    mask = np.zeros(geometry.shape, bool)
    mask[3:10, 10:30, 5:35] = True
    box = Box.around(mask, geometry)
    index = points(geometry)[mask]
    half = np.abs(geometry.matrix @ np.diag(geometry.spacing)).sum(axis=1) / 2
    assert np.allclose(box.low, index.min(axis=0) - half)
    assert np.allclose(box.high, index.max(axis=0) + half)


def test_there_is_no_region_around_an_empty_mask() -> None:
    with pytest.raises(RegionError):
        Box.around(np.zeros((4, 4, 4), bool), Geometry((4, 4, 4), (1, 1, 1), (0, 0, 0)))


def test_a_region_is_clipped_to_the_scan() -> None:
    box = Box(-100, 0, 30, 60, -100, 100)
    assert box.clipped(SCAN) == Box(-30.625, 0, 30, 60, 3.75, 53.75)
    assert canonical_geometry(SCAN, box=box).size == (25, 25, 20)


def test_a_region_outside_the_scan_is_told_where_the_scan_is() -> None:
    with pytest.raises(RegionError, match=r"lies outside the scan, which spans -30\.625,31\.875,19\.375"):
        canonical_geometry(SCAN, box=Box(200, 300, 30, 60, 0, 50))


@pytest.mark.parametrize("y0", [45.0, 59.9, 59.99999])
def test_a_region_too_small_for_an_atrium_is_refused(y0: float) -> None:
    with pytest.raises(RegionError, match="less than 20 mm of the scan along y"):
        canonical_geometry(SCAN, box=Box(-30, 30, y0, 60, 5, 50))


@pytest.mark.parametrize("name", ALONG_LPS)
def test_a_box_around_voxels_leads_back_to_them(name: str) -> None:
    geometry = GEOMETRIES[name]
    wanted = (slice(2, 9), slice(10, 25), slice(5, 30))
    mask = np.zeros(geometry.shape, bool)
    mask[wanted] = True
    assert window_of(Box.around(mask, geometry), geometry) == wanted


@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_window_of_a_box_holds_every_voxel_in_it_and_never_nothing(name: str) -> None:
    geometry = GEOMETRIES[name]
    box = Box(*(c + d for c in CENTRE.tolist() for d in (-7.0, 11.0)))
    place = points(geometry)
    inside = ((place >= box.low) & (place <= box.high)).all(axis=-1)
    window = window_of(box, geometry)
    assert inside[window].sum() == inside.sum() > 0
    for mm in (0.01, 400.0):  # smaller than a voxel; beside the scan
        low = CENTRE + (mm if mm > 1 else 0)
        tiny = Box(*(v for c in low.tolist() for v in (c, c + 0.01)))
        cut = window_of(tiny, geometry)
        assert all(0 <= part.start < part.stop <= n for part, n in zip(cut, geometry.shape, strict=True))


def test_of_an_oblique_scan_that_fills_its_box_by_half_only_what_was_measured_is_seen() -> None:
    rng = np.random.default_rng(0)
    array = np.zeros((40, 50, 60), np.float32)
    array[8:32, 10:45, 20:50] = rng.normal(100, 20, (24, 35, 30))
    z, y, x = measured_window(array, None)
    assert (z.start, z.stop) == (8, 32) and (y.start, y.stop) == (10, 45) and (x.start, x.stop) == (20, 50)
    assert measured_window(rng.normal(100, 20, (40, 50, 60)).astype(np.float32), None) == (
        slice(0, 40), slice(0, 50), slice(0, 60),
    )  # fmt: skip
    thin = np.zeros((40, 50, 60), np.float32)
    thin[18:22] = rng.normal(100, 20, (4, 50, 60))
    assert measured_window(thin, None) == (slice(None), slice(None), slice(None))
