"""Regions of a made-up atrium with a good border but for three planted places, and what they keep at any threshold.

The grid is oblique and its slices are thicker than its pixels, as those of scans are.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.distance import pdist
from support.paths import shared_names, shared_scans

from mtctl.geometry import Geometry
from mtctl.uncertainty.partition import RADIUS_MM
from mtctl.uncertainty.region_search import region_map
from mtctl.uncertainty.regions import MOST_REGIONS, SMALLEST_ERROR_MM3, RegionMap

COS, SIN = float(np.cos(np.deg2rad(20))), float(np.sin(np.deg2rad(20)))
TURNED = (COS, -SIN, 0.0, SIN, COS, 0.0, 0.0, 0.0, 1.0)
SPACING = (0.8, 0.8, 1.6)  # x, y, z
VOXEL_MM3 = 0.8 * 0.8 * 1.6
GEOMETRY = Geometry((95, 87, 38), SPACING, (10.0, -20.0, 30.0), TURNED)
#: Doubtful places on the border of the ellipsoid, mm from its middle along the grid's x, y, z.
PLANTED = ((-25.5, 0.5, 0.6), (22.5, 0.5, 0.6), (0.5, -22.5, 8.1))
#: A place is a ball; its box counts whole voxels.
LARGEST_MM = 2 * RADIUS_MM + max(SPACING)


def from_middle(geometry: Geometry) -> list[np.ndarray]:
    """x, y, z of every voxel, mm from the middle along the grid's axes; each (z, y, x)."""
    steps = zip(np.indices(geometry.shape)[::-1], geometry.size, geometry.spacing, strict=True)
    return [(index - (count - 1) / 2) * step for index, count, step in steps]


def place_of(middle: tuple[float, float, float], geometry: Geometry) -> np.ndarray:
    """LPS of a planted place."""
    return geometry.index_to_physical((np.array(geometry.size) - 1) / 2 + np.array(middle) / geometry.spacing)


def prediction(geometry: Geometry = GEOMETRY) -> tuple[np.ndarray, np.ndarray]:
    """Uncertainty and mask of an ellipsoid of 26 x 23 x 20 mm half axes.

    A thin uncertain shell lies all around, thick at the planted places.
    """
    x, y, z = from_middle(geometry)
    depth = (1 - np.sqrt((z / 20) ** 2 + (y / 23) ** 2 + (x / 26) ** 2)) * 23  # about mm, positive inside
    thickness = np.full(depth.shape, 1.0)
    for middle in PLANTED:
        squared = sum((axis - at) ** 2 for axis, at in zip((x, y, z), middle, strict=True))
        thickness += 2.0 * np.exp(-squared / (2 * 4.0**2))
    return np.exp(-((depth / thickness) ** 2)).astype(np.float32), depth > 0


@pytest.fixture(scope="module")
def planted() -> RegionMap:
    return region_map(*prediction(), GEOMETRY)


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.8])
def test_the_doubtful_places_come_first(planted: RegionMap, threshold: float) -> None:
    first = [region.centroid_lps for region in planted.regions_at(threshold)[: len(PLANTED)]]
    for middle in PLANTED:
        place = place_of(middle, GEOMETRY)
        assert min(np.linalg.norm(np.subtract(found, place)) for found in first) < 6


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 0.5])
def test_one_connected_shell_becomes_few_places_that_fit_in_one_view(planted: RegionMap, threshold: float) -> None:
    uncertainty, _ = prediction()
    regions = planted.regions_at(threshold)
    assert ndimage.label(uncertainty >= max(threshold, 0.05), np.ones((3, 3, 3)))[1] == 1
    assert 3 <= len(regions) <= MOST_REGIONS
    labels = planted.labels_at(threshold)
    for region in regions[:10]:
        points = np.argwhere(labels == region.id) * SPACING[::-1]
        assert len(points) < 2 or pdist(points).max() <= 2 * RADIUS_MM
        assert region.extent_mm <= LARGEST_MM


@pytest.mark.parametrize("threshold", [0.2, 0.7])
def test_every_figure_is_that_of_the_labelled_voxels(planted: RegionMap, threshold: float) -> None:
    uncertainty, mask = prediction()
    labels = planted.labels_at(threshold)
    regions = planted.regions_at(threshold)
    assert set(np.unique(labels)) - {0} == {region.id for region in regions}
    for region in regions:
        member = labels == region.id
        index = np.argwhere(member)[:, ::-1]
        assert uncertainty[member].min() >= threshold
        assert region.volume_mm3 == pytest.approx(member.sum() * VOXEL_MM3)
        assert region.mean_uncertainty == pytest.approx(uncertainty[member].mean(), abs=1e-6)
        assert region.peak_uncertainty == pytest.approx(uncertainty[member].max())
        assert (region.voxels_inside, region.voxels_outside) == ((member & mask).sum(), (member & ~mask).sum())
        assert region.centroid_lps == pytest.approx(GEOMETRY.index_to_physical(index.mean(axis=0)))
        assert region.extent_mm == pytest.approx(((np.ptp(index, axis=0) + 1) * SPACING).max())


def test_most_expected_error_comes_first_and_too_little_is_dropped(planted: RegionMap) -> None:
    for threshold in (0.1, 0.5, 0.9):
        errors = [region.expected_error_mm3 for region in planted.regions_at(threshold)]
        assert errors == sorted(errors, reverse=True)
        assert min(errors) >= SMALLEST_ERROR_MM3


def test_a_region_keeps_its_id_and_only_shrinks_when_the_threshold_rises(planted: RegionMap) -> None:
    low, high = planted.labels_at(0.3), planted.labels_at(0.7)
    assert (high > 0).any()
    assert np.array_equal(low[high > 0], high[high > 0])


def test_regions_begin_unvisited_and_cannot_be_changed_in_place(planted: RegionMap) -> None:
    region = planted.regions_at(0.5)[0]
    assert (region.visited, region.edited, region.accepted) == (False, False, False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        region.visited = True  # type: ignore[misc]


def test_no_region_where_nothing_is_uncertain_enough(planted: RegionMap) -> None:
    _, mask = prediction()
    assert planted.regions_at(1.01) == ()
    assert not planted.labels_at(1.01).any()
    certain = region_map(np.zeros(mask.shape, np.float32), mask, GEOMETRY)
    assert certain.regions_at(0.0) == ()


def test_an_empty_segmentation_still_has_its_doubtful_places() -> None:
    uncertainty, mask = prediction()
    regions = region_map(uncertainty, np.zeros_like(mask), GEOMETRY).regions_at(0.5)
    assert regions and all(region.voxels_inside == 0 for region in regions)


def test_same_input_gives_the_same_regions() -> None:
    assert region_map(*prediction(), GEOMETRY).regions_at(0.4) == region_map(*prediction(), GEOMETRY).regions_at(0.4)


def test_shapes_that_differ_are_refused() -> None:
    uncertainty, mask = prediction()
    with pytest.raises(ValueError, match="differ"):
        region_map(uncertainty[1:], mask, GEOMETRY)


def test_no_gap_is_left_between_the_segmentation_and_what_lies_outside_it(planted: RegionMap) -> None:
    _, mask = prediction()
    labels = planted.labels_at(0.4)
    outside = (labels > 0) & ~mask
    layer = ndimage.binary_dilation(mask, np.ones((3, 3, 3))) & ~mask
    beyond = outside & ~layer
    assert beyond.sum() > 50
    bridged = ndimage.binary_propagation(mask, np.ones((3, 3, 3)), mask=mask | outside)
    assert (bridged & beyond).sum() == beyond.sum()


def test_the_first_layer_outside_counts_only_under_what_is_uncertain_beyond_it() -> None:
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[:, :, :5] = True
    uncertainty = np.zeros(mask.shape, dtype=np.float32)
    uncertainty[:, :, 3:5] = 0.9
    uncertainty[:, :, 5] = 0.8
    uncertainty[:6, :, 6] = 0.6
    found = region_map(uncertainty, mask, Geometry((12,) * 3, (1.0,) * 3, (0.0,) * 3))  # type: ignore[arg-type]
    layer = found.labels_at(0.5)[:, :, 5] > 0
    assert layer[:7].all() and not layer[7:].any()  # plane 6 is a neighbour of planes 0 to 5
    assert not (found.labels_at(0.7)[:, :, 5] > 0).any()


@pytest.mark.parametrize("spacing", [(0.625, 0.625, 1.25), (1.25, 1.25, 1.25), (1.0, 1.0, 2.0), (2.0, 0.7, 0.7)])
def test_the_same_places_are_found_with_the_same_millimetres_on_any_grid(
    planted: RegionMap, spacing: tuple[float, float, float]
) -> None:
    x, y, z = (round(side / step) for side, step in zip((76, 70, 61), spacing, strict=True))
    grid = Geometry((x, y, z), spacing, (-7.0, 3.0, 50.0), (COS, 0.0, -SIN, 0.0, 1.0, 0.0, SIN, 0.0, COS))
    there = region_map(*prediction(grid), grid).regions_at(0.3)
    for middle in PLANTED:
        assert min(np.linalg.norm(np.subtract(r.centroid_lps, place_of(middle, grid))) for r in there[:3]) < 6
    assert max(region.extent_mm for region in there) <= 2 * RADIUS_MM + max(spacing)
    listed = sum(region.volume_mm3 for region in planted.regions_at(0.3))
    assert sum(region.volume_mm3 for region in there) == pytest.approx(listed, rel=0.15)


@pytest.mark.parametrize(("thick", "layer"), [(0.3, 3), (1.0, 1), (4.0, 1)])
def test_the_first_layer_outside_is_a_voxel_or_nine_tenths_of_a_millimetre(thick: float, layer: int) -> None:
    mask = np.zeros((20, 12, 12), dtype=bool)
    mask[:5] = True
    grid = Geometry((12, 12, 20), (1.0, 1.0, thick), (0.0, 0.0, 0.0))
    uncertainty = np.zeros(mask.shape, dtype=np.float32)
    uncertainty[5 : 5 + layer] = 0.9
    assert not (region_map(uncertainty, mask, grid).labels_at(0.5) > 0).any()  # the border's own doubt
    uncertainty[5 + layer] = 0.9
    uncertainty[:5] = 0.9
    found = region_map(uncertainty, mask, grid).labels_at(0.5) > 0
    assert found[5 : 6 + layer].any(axis=(1, 2)).all()  # and no gap where there is doubt beyond


def test_the_threshold_for_a_volume_is_the_lowest_that_keeps_to_it(planted: RegionMap) -> None:
    for ml in (0.5, 1.0, 2.0):
        threshold = planted.threshold_for(ml)
        listed, more = (sum(r.volume_mm3 for r in planted.regions_at(t)) for t in (threshold, threshold - 0.01))
        assert listed <= 1000 * ml < more
    assert planted.threshold_for(1000.0) == 0.0
    assert planted.threshold_for(0.0) == 1.0 or not planted.regions_at(planted.threshold_for(0.0))


def test_depth_counts_from_the_outline_and_sides_from_the_mask() -> None:
    uncertainty, mask = prediction()
    none = np.zeros_like(mask)
    same = region_map(uncertainty, mask, GEOMETRY, outline=mask)
    assert same.regions_at(0.4) == region_map(uncertainty, mask, GEOMETRY).regions_at(0.4)
    found = region_map(uncertainty, none, GEOMETRY, outline=mask)
    assert np.array_equal(found.labels_at(0.4), same.labels_at(0.4))
    assert all(region.voxels_inside == 0 for region in found.regions_at(0.4))


def test_voxels_of_a_region_are_those_that_are_labelled(planted: RegionMap) -> None:
    labels = planted.labels_at(0.6)
    for region in planted.regions_at(0.6):
        assert set(planted.voxels_at(region.id, 0.6)) == set(np.flatnonzero(labels == region.id))


def test_nothing_at_all_is_no_region_either() -> None:
    nothing = np.zeros(GEOMETRY.shape, dtype=np.float32)
    for mask in (nothing > 0, nothing == 0):
        assert region_map(nothing, mask, GEOMETRY).regions_at(0.0) == ()


def test_regions_of_a_real_size_are_no_more_and_no_larger_than_a_person_can_check() -> None:
    name = shared_names()[16]
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(shared_scans() / f"{name}.label.nrrd"))) > 0
    mask = np.zeros((88, 140, 190), dtype=bool)
    common = tuple(slice(0, min(a, b)) for a, b in zip(mask.shape, truth.shape, strict=True))
    mask[common] = truth[common]
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), 2)
    uncertainty = 4 * blurred * (1 - blurred)
    regions = region_map(uncertainty, mask, Geometry((190, 140, 88), (0.625, 0.625, 1.25), (0.0,) * 3))  # type: ignore[arg-type]
    for threshold in (0.0, 0.2, 0.9):  # 0: every voxel that can be in a region
        found = regions.regions_at(threshold)
        assert 0 < len(found) <= MOST_REGIONS
        assert max(region.extent_mm for region in found) <= 2 * RADIUS_MM + 1.25
