"""What the network sees of a scan's values: the z-score, whatever the units, the padding and a few wild values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from support.blob_scans import GEOMETRIES, around_the_blob, noise, turned

from mtctl.geometry import Geometry, Volume
from mtctl.preprocessing.network_grid import GRID_MM, canonical_geometry
from mtctl.preprocessing.normalisation import intensity_remark, measured_window, normalise
from mtctl.preprocessing.padding import measured_voxels
from mtctl.preprocessing.region_of_interest import RegionError
from mtctl.preprocessing.resampling import to_grid
from mtctl.synthetic.phantom import make_phantom


@pytest.fixture(scope="module")
def phantom() -> Volume:
    """A scan as it should be, with the voxels and about the size of the benchmark's."""
    made = make_phantom(3)
    z, y, x = made.image.shape
    return Volume(made.image, Geometry((x, y, z), made.spacing_mm, (0.0, 0.0, 0.0)))


def normalised(volume: Volume) -> NDArray[np.float32]:
    return normalise(*to_grid(volume, canonical_geometry(volume.geometry)))


def damaged(volume: Volume, where: object, value: float) -> Volume:
    array = volume.array.astype(np.float32)
    array[where] = value  # type: ignore[index]
    return Volume(array, volume.geometry)


def test_for_normally_distributed_values_the_z_score_is_the_benchmarks() -> None:
    array = np.random.default_rng(7).normal(120, 30, (30, 40, 50)).astype(np.float32)
    assert np.allclose(normalise(array), (array - np.mean(array)) / np.std(array), atol=0.05)
    assert normalise(array).dtype == np.float32


def test_a_scan_in_other_units_gives_the_same_input(phantom: Volume) -> None:
    array = phantom.array.astype(np.float32)
    for gain, offset in ((7.0, -1000.0), (0.01, 3.0)):
        np.testing.assert_allclose(normalise(gain * array + offset), normalise(array), atol=2e-3)


def test_the_z_score_is_exact_on_large_values() -> None:
    array = (1e5 + np.random.default_rng(7).normal(0, 3, (20, 300, 300))).astype(np.float32)
    scored = normalise(array)
    assert scored.mean(dtype=np.float64) == pytest.approx(0, abs=0.01)
    assert scored.std(dtype=np.float64) == pytest.approx(1, abs=0.01)


def test_a_constant_region_has_no_z_score() -> None:
    with pytest.raises(RegionError, match="same value"):
        normalise(np.full((4, 4, 4), 3, np.float32))


def test_a_region_that_holds_nothing_of_the_scan_has_no_z_score() -> None:
    with pytest.raises(RegionError, match="holds nothing of the scan"):
        normalise(np.ones((4, 4, 4), np.float32), np.zeros((4, 4, 4), bool))


def test_a_scan_of_which_nearly_all_is_one_value_is_scaled_by_the_rest() -> None:
    array = np.zeros((30, 30, 30), np.float32)
    array[12:18, 12:18, 12:18] = np.random.default_rng(0).normal(100, 5, (6, 6, 6))
    scored = normalise(array)
    assert np.isfinite(scored).all()
    assert scored[array > 0].min() > scored[array == 0].max() + 1
    assert np.ptp(scored[array > 0]) > 0.1


FIVE_VOXELS = tuple(np.random.default_rng(2).integers(10, 80, (3, 5)))
WILD = {
    "five voxels of 65535": (FIVE_VOXELS, 65535.0),
    "six columns of -1000": (np.s_[:, :, 60:66], -1000.0),
    "three slices of -2000": (np.s_[40:43], -2000.0),
}


@pytest.mark.parametrize(("where", "value"), WILD.values(), ids=WILD)
def test_wild_values_in_a_few_places_hardly_change_what_the_network_sees_elsewhere(
    phantom: Volume, where: object, value: float
) -> None:
    whole, spoilt = normalised(phantom), normalised(damaged(phantom, where, value))
    hit = np.zeros(phantom.array.shape, np.float32)
    hit[where] = 1  # type: ignore[index]
    grid = canonical_geometry(phantom.geometry)
    elsewhere = to_grid(Volume(hit, phantom.geometry), grid)[0] < 1e-6
    assert 0.8 < elsewhere.mean() < 1
    assert np.abs(spoilt - whole)[elsewhere].max() < 0.15
    assert np.abs(spoilt).max() < 8  # standard deviations; 65535 would be a thousand of them


@pytest.mark.parametrize(("where", "value"), list(WILD.values())[1:], ids=list(WILD)[1:])
def test_many_wild_values_are_told(phantom: Volume, where: object, value: float) -> None:
    def remark(volume: Volume) -> tuple[float, float]:
        found = intensity_remark(*to_grid(volume, canonical_geometry(volume.geometry)))
        return found.padding, found.cut_off

    sound, spoilt = remark(phantom), remark(damaged(phantom, where, value))
    assert sum(sound) < 0.002
    assert 0.02 < sum(spoilt) < 0.1


@pytest.mark.parametrize("value", [0.0, -2000.0, 4095.0])
def test_padding_is_found_and_does_not_count(phantom: Volume, value: float) -> None:
    array = phantom.array.astype(np.float32)
    padded = np.pad(array, ((0, 0), (30, 30), (20, 40)), constant_values=value)
    kept = np.s_[1:-1, 31:-31, 21:-41]
    plain, scored = normalise(array)[1:-1, 1:-1, 1:-1], normalise(padded)[kept]
    assert np.abs(scored - plain).max() < 0.1
    found = intensity_remark(padded)
    assert found.padding == pytest.approx(1 - array.size / padded.size, abs=0.03)
    assert intensity_remark(array).padding < 0.002


@pytest.mark.parametrize(
    ("spacing", "size"),
    [(GRID_MM, (48, 40, 24)), ((0.625, 0.625, 1.25), (96, 80, 48)), ((1.5, 0.9, 3.0), (40, 56, 20))],
)
def test_no_frame_of_values_between_padding_and_tissue_is_left_around_a_turned_scan(
    spacing: tuple[float, float, float], size: tuple[int, int, int]
) -> None:
    scan = around_the_blob(size, spacing)
    noise = np.random.default_rng(4).normal(1000, 20, scan.shape).astype(np.float32)
    larger = (size[0] * 3 // 2, size[1] * 3 // 2, size[2] * 3 // 2)
    around = around_the_blob(larger, spacing, turned(10, 10, 15))
    padded, inside = to_grid(Volume(noise, scan), around)
    assert inside is not None
    padded[~inside] = 0
    volume, grid = Volume(padded, around), canonical_geometry(around)
    array, inside = to_grid(volume, grid)
    measured = measured_voxels(volume, grid, array, inside)
    assert measured is not None and array[measured].min() > 900
    window = measured_window(array, measured)
    assert np.mean(array[window] > 900) > 0.9
    assert array[window].size * np.prod(GRID_MM) > 0.7 * noise.size * np.prod(spacing)


def test_a_scan_without_padding_is_measured_all_over() -> None:
    for geometry in GEOMETRIES.values():
        scan = noise(geometry)
        grid = canonical_geometry(geometry)
        array, inside = to_grid(scan, grid)
        assert measured_voxels(scan, grid, array, inside) is inside


def test_what_lies_outside_is_scaled_like_the_rest_but_does_not_count() -> None:
    rng = np.random.default_rng(3)
    array = rng.normal(100, 10, (20, 30, 40)).astype(np.float32)
    inside = np.zeros(array.shape, bool)
    inside[:, :, :25] = True
    array[~inside] += 60
    scored = normalise(array, inside)
    assert scored[inside].mean() == pytest.approx(0, abs=0.02)
    assert scored[~inside].mean() == pytest.approx(6, abs=0.3)
