"""Phantoms: deterministic, of the size and look of the real scans, with a plausible atrium as mask."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from support.paths import shared_names, shared_scans

from mtctl.commands.main import main
from mtctl.io.volumes import read_mask, read_volume
from mtctl.synthetic.full_field import FEATHER_MM, set_into_thorax
from mtctl.synthetic.phantom import Phantom, PhantomError, make_acquired_field, make_full_field, make_phantom
from mtctl.synthetic.shapes import Axes, Frame, ellipsoid, smooth_cut, smooth_union, tube

pytestmark = pytest.mark.slow

SEEDS = (0, 1)

# Least and greatest of `look` over names 1-66 of the training data.
REAL = {
    "whole": (0.446, 1.298),
    "10th percentile": (0.062, 0.414),
    "median": (0.365, 1.006),
    "98th percentile": (1.065, 5.679),
    "wall": (0.750, 2.038),
    "beyond the wall": (0.490, 1.487),
    "dark neighbours": (0.031, 0.449),
    "bright neighbours": (0.172, 0.796),
    "slope at the border": (0.047, 0.298),
    "noise": (0.041, 0.260),
}


def millilitres(phantom: Phantom) -> float:
    return float(phantom.mask.sum() * np.prod(phantom.spacing_mm) / 1000)


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    return [make_phantom(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def full_field() -> tuple[Phantom, float]:
    """A thorax and the peak memory (bytes) of making it."""
    tracemalloc.start()
    phantom = make_full_field(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return phantom, peak


@pytest.mark.parametrize("seed", [7, 11])  # As in `MTCTLSegmentLib.sample_data`, which needs Slicer.
def test_slicer_s_sample_data_is_atria_of_ordinary_size_in_true_millimetres(seed: int) -> None:
    phantom = make_phantom(seed)
    assert phantom.spacing_mm == (0.625, 0.625, 1.25)
    assert 68 < millilitres(phantom) < 170  # 80 % of the real ones


def look(image: NDArray[Any], mask: NDArray[np.uint8]) -> dict[str, float]:
    """What a scan looks like, in units of the mean level of the atrium's inside."""
    values, inside = image.astype(np.float32), mask > 0
    core = ndimage.binary_erosion(inside, iterations=4)
    level = float(values[core].mean())
    outside = ndimage.distance_transform_edt(~inside)
    slope = ndimage.gaussian_gradient_magnitude(values, 1.0)
    grain = values - ndimage.gaussian_filter(values, 3)
    near = values[(outside > 4) & (outside <= 8)] / level
    return {
        "whole": float(values.mean()) / level,
        "10th percentile": float(np.percentile(values, 10)) / level,
        "median": float(np.median(values)) / level,
        "98th percentile": float(np.percentile(values, 98)) / level,
        "wall": float(values[(outside > 0) & (outside <= 2)].mean()) / level,
        "beyond the wall": float(values[(outside > 4) & (outside <= 7)].mean()) / level,
        "dark neighbours": float((near < 0.35).mean()),
        "bright neighbours": float((near > 0.8).mean()),
        "slope at the border": float(slope[(outside > 0) & (outside <= 1)].mean()) / level,
        "noise": float(grain[core].std()) / level,
    }


def test_a_seed_always_gives_the_same_phantom_and_another_seed_another_one(phantoms: list[Phantom]) -> None:
    again = make_phantom(SEEDS[0])
    assert np.array_equal(again.image, phantoms[0].image)
    assert np.array_equal(again.mask, phantoms[0].mask)
    assert len({phantom.image.tobytes() for phantom in phantoms}) == len(SEEDS)
    assert len({np.count_nonzero(phantom.mask) for phantom in phantoms}) == len(SEEDS)


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_a_phantom_is_cropped_like_the_real_scans(phantoms: list[Phantom], number: int) -> None:
    image, mask = phantoms[number].image, phantoms[number].mask
    assert image.dtype == mask.dtype == np.uint8
    assert image.shape == mask.shape
    slices, rows, columns = image.shape
    assert slices == 88
    assert 125 <= rows <= 165
    assert 140 <= columns <= 240
    z, y, x = np.nonzero(mask)
    assert min(x.min(), columns - 1 - x.max()) >= 9
    assert max(x.min(), columns - 1 - x.max()) <= 19
    assert min(y.min(), rows - 1 - y.max()) >= 10
    assert 35 <= np.ptp(z) <= 80
    assert z.min() >= 5
    assert image.min() == 0


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_the_mask_is_one_atrium_of_a_plausible_volume(phantoms: list[Phantom], number: int) -> None:
    phantom = phantoms[number]
    assert set(np.unique(phantom.mask)) == {0, 1}
    assert ndimage.label(phantom.mask)[1] == 1
    assert phantom.spacing_mm == (0.625, 0.625, 1.25)
    assert 37 <= millilitres(phantom) <= 264
    assert phantom.mask.sum() == ndimage.binary_fill_holes(phantom.mask).sum()


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_a_phantom_looks_like_the_real_scans(phantoms: list[Phantom], number: int) -> None:
    seen = look(phantoms[number].image, phantoms[number].mask)
    outside = {key: value for key, value in seen.items() if not REAL[key][0] <= value <= REAL[key][1]}
    assert not outside
    assert seen["wall"] > seen["beyond the wall"], "no enhanced wall"


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_an_atrium_is_as_long_wide_and_high_as_real_ones(phantoms: list[Phantom], number: int) -> None:
    mask, spacing = phantoms[number].mask, phantoms[number].spacing_mm
    z, y, x = (np.ptp(index) + 1 for index in np.nonzero(mask))
    # The 80 masks: 77-131 x 43-81 x 55-93 mm, the deepest point 11 to 29 mm below the surface.
    assert 77 <= x * spacing[0] <= 131 and 40 <= y * spacing[1] <= 81 and 55 <= z * spacing[2] <= 93
    assert 11 <= ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing[::-1]).max() <= 29


@pytest.mark.parametrize("slice_mm", [1.7, 4.0])
def test_thicker_slices_are_means_and_hold_the_same_atrium(phantoms: list[Phantom], slice_mm: float) -> None:
    thin, thick = phantoms[0], make_phantom(SEEDS[0], slice_mm)
    assert thick.spacing_mm == (0.625, 0.625, slice_mm)
    assert thick.image.shape == thick.mask.shape == (int(110 / slice_mm), *thin.image.shape[1:])
    assert millilitres(thick) == pytest.approx(millilitres(thin), rel=0.03)
    assert ndimage.label(thick.mask)[1] == 1
    if slice_mm == 2.5:
        pairs = thin.image.reshape(44, 2, *thin.image.shape[1:]).mean(axis=1)
        assert np.abs(thick.image - pairs).max() <= 0.5


@pytest.mark.parametrize("slice_mm", [1.2, 4.1, float("nan")])
def test_slices_that_no_phantom_has_are_refused(slice_mm: float) -> None:
    with pytest.raises(PhantomError, match=r"phantoms have 1\.25 to 4 mm"):
        make_phantom(0, slice_mm)
    with pytest.raises(PhantomError, match=r"phantoms have 1\.25 to 4 mm"):
        make_full_field(0, slice_mm)


def test_a_thorax_in_acquired_voxels_may_be_higher_and_of_another_contrast() -> None:
    low, high = make_acquired_field(3), make_acquired_field(3, 160.0, any_contrast=True)
    assert low.image.shape == (44, 320, 320) and high.image.shape == (64, 320, 320)
    assert low.spacing_mm == high.spacing_mm == (1.25, 1.25, 2.5)
    assert millilitres(high) == pytest.approx(millilitres(low), rel=0.02)
    middle = [np.nonzero(phantom.mask)[0].mean() * 2.5 for phantom in (low, high)]
    assert middle[1] - middle[0] == pytest.approx(25, abs=3)
    with pytest.raises(PhantomError, match="110 to 320 mm"):
        make_acquired_field(3, 400.0)


def test_the_real_scans_have_the_ranges_that_phantoms_are_measured_by() -> None:
    folder = shared_scans()
    for name in (shared_names()[20], shared_names()[33]):
        seen = look(read_volume(folder / f"{name}.image.nrrd").array, read_mask(folder / f"{name}.label.nrrd").array)
        assert all(REAL[key][0] - 0.001 <= value <= REAL[key][1] + 0.001 for key, value in seen.items()), name


def test_a_full_field_is_a_thorax_in_air_with_the_atrium_in_its_middle(full_field: tuple[Phantom, float]) -> None:
    phantom, peak = full_field
    image, mask = phantom.image.astype(np.float32), phantom.mask
    assert phantom.image.shape == mask.shape == (88, 640, 640)
    _, y, x = np.nonzero(mask)
    assert abs(y.mean() - 320) < 40
    assert abs(x.mean() - 320) < 40
    air, atrium = image[:, :40].mean(), image[mask > 0].mean()
    assert air < 0.25 * atrium
    chest_wall = image[:, 300:340, 70:90].mean()
    assert chest_wall > 1.5 * air, "no chest wall beside the lungs"
    assert peak < 3e9


def test_a_real_crop_set_into_a_thorax_stays_itself_and_shows_no_step(
    phantoms: list[Phantom], full_field: tuple[Phantom, float]
) -> None:
    crop = phantoms[1]
    big, (z, y, x) = set_into_thorax(crop.image, (1.25, 0.625, 0.625), full_field[0])
    deep, high, wide = crop.image.shape
    assert big.shape == (88, 640, 640)
    assert big.dtype == np.uint8
    feather = int(FEATHER_MM / 0.625) + 1
    inner = slice(feather, -feather)
    put = big[z : z + deep, y : y + high, x : x + wide]
    assert np.array_equal(put[:, inner, inner], crop.image[:, inner, inner])

    # The jump from one column to the next at the crop's sides, against such jumps within it.
    jumps = np.abs(np.diff(ndimage.uniform_filter(big.astype(np.float32), (9, 9, 1)), axis=2))[:, y : y + high]
    usual = np.percentile(jumps[:, :, x + 20 : x + wide - 20].mean(axis=(0, 1)), 95)
    for side in (x, x + wide):
        assert jumps[:, :, side - 2 : side + 2].mean(axis=(0, 1)).max() < 1.5 * usual


def test_the_thorax_own_atrium_does_not_show_beside_a_small_crop(
    phantoms: list[Phantom], full_field: tuple[Phantom, float]
) -> None:
    thorax = full_field[0]
    middle = phantoms[1].image[:, 40:90, 60:120]
    big, (_, y, x) = set_into_thorax(middle, (1.25, 0.625, 0.625), thorax)
    beside = ndimage.binary_erosion(thorax.mask, iterations=2)
    beside[:, y - 4 : y + 54, x - 4 : x + 64] = False
    assert beside.any(), "the crop hides the atrium: nothing is tested"
    before = thorax.image[beside].mean() / thorax.image[thorax.mask > 0].mean()
    after = big[beside].mean() / np.percentile(middle, 90)
    assert after < 0.8 * before


def test_a_crop_with_other_voxels_and_slices_gets_a_thorax_in_its_own() -> None:
    thorax = make_acquired_field(3, 160.0)
    rng = np.random.default_rng(0)
    crop = rng.integers(20, 220, (55, 90, 100)).astype(np.uint8)  # 110 x 90 x 100 mm.
    big, (z, y, x) = set_into_thorax(crop, (2.0, 1.0, 1.0), thorax)
    assert big.shape == (80, 400, 400)
    put = big[z : z + 55, y : y + 90, x : x + 100]
    assert np.array_equal(put[3:-3, 5:-5, 5:-5], crop[3:-3, 5:-5, 5:-5]) and not np.array_equal(put, crop)
    middle = [np.nonzero(thorax.mask)[axis].mean() * step for axis, step in enumerate((2.5, 1.25, 1.25))]
    assert (z * 2 + 0.57 * 110, y + 45, x + 50) == pytest.approx(middle, abs=12)


def test_a_crop_of_nearly_the_thorax_s_height_gets_one_of_its_own_and_a_larger_one_is_refused() -> None:
    thorax, rng = make_acquired_field(3), np.random.default_rng(0)
    for slices in (43, 44, 45):
        big, offset = set_into_thorax(
            rng.integers(0, 200, (slices, 60, 80)).astype(np.uint8), (2.5, 1.25, 1.25), thorax
        )
        assert big.shape == (slices, 320, 320) and offset[0] == 0
        assert (big.std(axis=(1, 2)) > 1).all()
    for size in ((60, 60, 80), (44, 321, 80)):
        with pytest.raises(ValueError, match="does not fit into a thorax of 110 x 400 x 400 mm"):
            set_into_thorax(np.zeros(size, np.uint8), (2.5, 1.25, 1.25), thorax)


def test_the_command_writes_scan_and_mask_with_geometry_and_prints_both_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], phantoms: list[Phantom], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtctl.synthetic.phantom.make_phantom", lambda seed, slice_mm: phantoms[seed])
    folder = tmp_path / "new" / "phantoms"
    assert main(["phantom", "-o", str(folder), "--seed", "1"]) == 0
    image, label = folder / "phantom-1.image.nrrd", folder / "phantom-1.label.nrrd"
    assert capsys.readouterr().out.split() == [str(image), str(label)]
    scan, mask = read_volume(image), read_mask(label)
    assert np.array_equal(scan.array, phantoms[1].image)
    assert np.array_equal(mask.array, phantoms[1].mask)
    assert scan.geometry == mask.geometry
    assert scan.geometry.spacing == (0.625, 0.625, 1.25)
    assert scan.geometry.origin == (0, 0, 0)


@pytest.mark.parametrize("seed", ["-1", "x", "1.5", "²"])
def test_a_seed_that_is_no_whole_number_is_wrong_usage(tmp_path: Path, seed: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["phantom", "-o", str(tmp_path), f"--seed={seed}"])
    assert stop.value.code == 2


@pytest.mark.parametrize("slices", ["1", "4.5", "x", "nan", "-2"])
def test_slices_out_of_bounds_are_wrong_usage(tmp_path: Path, slices: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["phantom", "-o", str(tmp_path), f"--slice-mm={slices}"])
    assert stop.value.code == 2
    assert f"'{slices}' is not a number from 1.25 to 4 mm" in capsys.readouterr().err


def test_the_command_writes_the_slices_asked_for(tmp_path: Path) -> None:
    assert main(["phantom", "-o", str(tmp_path), "--seed", "0", "--slice-mm", "3"]) == 0
    scan, mask = (read_volume(tmp_path / f"phantom-0.{kind}.nrrd") for kind in ("image", "label"))
    assert scan.geometry == mask.geometry and scan.geometry.spacing == (0.625, 0.625, 3.0)
    assert scan.array.shape[0] == 36


def test_an_output_folder_that_is_a_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["phantom", "-o", str(tmp_path / "file")]) == 1
    error = capsys.readouterr().err
    assert str(tmp_path / "file") in error
    assert len(error.splitlines()) == 1


def grid(half: float, step: float) -> Frame:
    line = np.arange(-half, half + step / 2, step, dtype=np.float32)
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    return Frame(x, y, z)


def test_distances_of_a_ball_and_a_tube_are_exact() -> None:
    frame = grid(12, 1.0)
    radius = np.sqrt(frame.x**2 + frame.y**2 + frame.z**2)
    ball = frame.distance([ellipsoid((0, 0, 0), (5, 5, 5))])
    close = (np.abs(ball) < 3) & (radius > 1)
    assert np.abs(ball - (radius - 5))[close].max() < 0.01
    rod = frame.distance([tube([(0, 0, -30), (0, 0, 30)], [4, 4])])
    assert np.abs(rod - (np.hypot(frame.x, frame.y) - 4)).max() < 0.01


def test_a_scaled_frame_enlarges_organs_and_keeps_millimetres() -> None:
    frame = grid(15, 1.0).scaled(2)
    ball = frame.distance([ellipsoid((0, 0, 0), (5, 5, 5))])
    middle = ball.shape[0] // 2
    assert ball[middle, middle, middle + 10] == pytest.approx(0, abs=0.05)
    assert ball[middle, middle, middle + 12] == pytest.approx(2, abs=0.05)


def test_smooth_union_and_cut_bound_the_sharp_ones() -> None:
    a, b = np.random.default_rng(0).normal(0, 4, (2, 500)).astype(np.float32)
    assert (smooth_union(a, b, 3) <= np.minimum(a, b) + 1e-5).all()
    assert (smooth_cut(a, b, 3) >= np.maximum(a, b) - 1e-5).all()
    far = np.abs(a - b) > 3
    assert np.abs(smooth_union(a, b, 3) - np.minimum(a, b))[far].max() < 1e-5


def test_waves_have_unit_spread_and_the_wavelength_asked_for() -> None:
    line = np.arange(64, dtype=np.float32)
    spreads = [Axes(line, line, line).waves(np.random.default_rng(seed), 20.0).std() for seed in range(4)]
    assert np.mean(spreads) == pytest.approx(1, abs=0.15)
    wave = Axes(line, line, line).waves(np.random.default_rng(0), 20.0)
    step = np.diff(wave, axis=2).std()
    # A wave of length 20 in a random direction climbs by 2 pi / 20 / sqrt(3) of its spread per voxel.
    assert step == pytest.approx(2 * np.pi / 20 / np.sqrt(3), rel=0.4)
