"""The scan onto the network's grid and the result back into its place."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from support.blob_scans import CENTRE, GEOMETRIES, SIGMA, around_the_blob, blob, noise, points, turned

from mtctl.geometry import Geometry, Volume
from mtctl.io.volumes import read_volume, write_volume
from mtctl.preprocessing.network_grid import GRID_MM, canonical_geometry, pad_to_multiple
from mtctl.preprocessing.normalisation import normalise
from mtctl.preprocessing.region_of_interest import Box
from mtctl.preprocessing.resampling import from_grid, to_grid

BLUR_MM = 5.0  # how far around itself a voxel of the network's grid looks
BLOB_ML = (2 * np.pi) ** 1.5 * SIGMA**3 / 1000


def ramp(geometry: Geometry) -> NDArray[np.float32]:
    """Linear in the patient's space, so linear interpolation must give it back: 1 mm off in x is 3 off in value."""
    return np.asarray(points(geometry) @ [3.0, -5.0, 7.0], dtype=np.float32)


def centre_and_ml(array: NDArray[np.float32], geometry: Geometry) -> tuple[NDArray[np.float64], float]:
    total = array.sum(dtype=np.float64)
    centre = (points(geometry) * array[..., None]).sum(axis=(0, 1, 2)) / total
    return centre, float(total * geometry.voxel_ml)


# --- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_blob_is_where_it_was_on_the_network_grid_and_back_on_the_scan(name: str) -> None:
    scan = blob(GEOMETRIES[name])
    grid = canonical_geometry(scan.geometry)
    assert grid.direction == Geometry((1, 1, 1), (1, 1, 1), (0, 0, 0)).direction
    assert np.allclose(grid.spacing, GRID_MM, rtol=1e-4)
    seen, _ = to_grid(scan, grid)
    centre, volume = centre_and_ml(seen, grid)
    assert np.abs(centre - CENTRE).max() < 0.1
    assert volume == pytest.approx(BLOB_ML, rel=0.02)
    back = from_grid(seen, grid, scan.geometry, 0.0)
    assert back.shape == scan.array.shape and back.dtype == np.float32
    centre, volume = centre_and_ml(back, scan.geometry)
    assert np.abs(centre - CENTRE).max() < 0.1
    assert volume == pytest.approx(BLOB_ML, rel=0.02)
    assert np.abs(back - scan.array).max() < 0.08  # 0.12 a millimetre is as steep as it gets


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_voxel_of_the_network_grid_shows_its_own_place(name: str) -> None:
    geometry = GEOMETRIES[name]
    grid = canonical_geometry(geometry)
    seen, inside = to_grid(Volume(ramp(geometry), geometry), grid)
    # Beyond the outer voxel centres values are constant, and the blur before sampling a finer scan looks around.
    index, margin = geometry.physical_to_index(points(grid)), BLUR_MM / np.array(geometry.spacing)
    between = ((index >= margin) & (index <= np.array(geometry.size) - 1 - margin)).all(axis=-1)
    assert between.mean() > 0.1
    assert np.abs(seen - ramp(grid))[between].max() < 0.01  # a thousandth of a millimetre
    if inside is not None:
        assert inside[between].all()


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_voxel_of_the_result_shows_its_own_place(name: str) -> None:
    geometry = GEOMETRIES[name]
    grid = canonical_geometry(geometry)
    back = from_grid(ramp(grid), grid, geometry, 0.0)
    index = grid.physical_to_index(points(geometry))
    between = ((index >= 0) & (index <= np.array(grid.size) - 1)).all(axis=-1)
    assert between.mean() > 0.8
    assert np.abs(back - ramp(geometry))[between].max() < 0.01


@settings(max_examples=15, deadline=None)
@given(
    degrees=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 2.0)] * 3),
    shift=st.tuples(*[st.floats(-1, 1)] * 3),
)
def test_any_turned_scan_comes_back_in_place(
    degrees: tuple[float, float, float], spacing: tuple[float, float, float], shift: tuple[float, float, float]
) -> None:
    size = tuple(int(44 / step) for step in spacing)
    scan = blob(around_the_blob((size[0], size[1], size[2]), spacing, turned(*degrees), shift))
    grid = canonical_geometry(scan.geometry)
    seen, _ = to_grid(scan, grid)
    centre, _ = centre_and_ml(from_grid(seen, grid, scan.geometry, 0.0), scan.geometry)
    assert np.abs(centre - CENTRE).max() < 0.1


@pytest.mark.parametrize("name", GEOMETRIES)
def test_all_of_the_scan_gets_a_result(name: str) -> None:
    geometry = GEOMETRIES[name]
    grid = canonical_geometry(geometry)
    assert from_grid(np.ones(grid.shape, np.float32), grid, geometry, 0.0).min() == 1.0


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("name", ["network's own", "sagittal", "oblique thick"])
def test_a_result_file_lies_exactly_on_the_scan_file(tmp_path: Path, ending: str, name: str) -> None:
    write_volume(blob(GEOMETRIES[name]), tmp_path / f"scan{ending}")
    scan = read_volume(tmp_path / f"scan{ending}")
    grid = canonical_geometry(scan.geometry)
    result = from_grid(to_grid(scan, grid)[0], grid, scan.geometry, 0.0)
    write_volume(Volume(result, scan.geometry), tmp_path / "result.nrrd")
    again = read_volume(tmp_path / "result.nrrd")
    assert again.geometry.size == scan.geometry.size
    for attribute in ("spacing", "origin", "direction"):
        ours, theirs = getattr(again.geometry, attribute), getattr(scan.geometry, attribute)
        assert np.allclose(ours, theirs, rtol=4e-16, atol=4e-16)
    centre, _ = centre_and_ml(again.array, again.geometry)
    assert np.abs(centre - CENTRE).max() < 0.1


# --- the same input, whatever the file's axes -----------------------------------------------------------------------


def signed_permutations() -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return list(product(permutations(range(3)), product((1, -1), repeat=3)))


def rearranged(volume: Volume, order: tuple[int, ...], signs: tuple[int, ...]) -> Volume:
    """The same scan stored with axis k = old axis order[k], backwards where signs[k] is -1."""
    array = volume.array.transpose([2 - order[axis] for axis in (2, 1, 0)])
    corner = [0, 0, 0]
    for axis, sign in enumerate(signs):
        if sign < 0:
            array = np.flip(array, 2 - axis)
            corner[order[axis]] = volume.geometry.size[order[axis]] - 1
    old = volume.geometry
    x, y, z = old.index_to_physical(corner).tolist()
    size = [old.size[axis] for axis in order]
    spacing = [old.spacing[axis] for axis in order]
    matrix = old.matrix[:, list(order)] * signs
    geometry = Geometry(
        (size[0], size[1], size[2]), (spacing[0], spacing[1], spacing[2]), (x, y, z), tuple(matrix.ravel().tolist())
    )
    return Volume(np.ascontiguousarray(array), geometry)


@pytest.mark.parametrize(
    "spacing",
    [GRID_MM, (0.625, 0.625, 1.25), (0.625, 0.7, 4.0), (0.3, 1.25, 0.41)],
    ids=["equal", "benchmark's", "coarse", "fine"],
)
def test_flipping_and_permuting_the_file_changes_no_bit_of_input_or_result(
    spacing: tuple[float, float, float],
) -> None:
    plain = noise(Geometry((21, 24, 18), spacing, (-101.2345, 33.1 / 3, 17.7)))
    grid = canonical_geometry(plain.geometry)
    seen, inside = to_grid(plain, grid)
    assert inside is None
    result = np.random.default_rng(6).random(grid.shape, dtype=np.float32)
    back = from_grid(result, grid, plain.geometry, 0.0)
    for order, signs in signed_permutations():
        other = rearranged(plain, order, signs)
        grid_there = canonical_geometry(other.geometry)
        assert grid_there.size == grid.size and grid_there.spacing == grid.spacing
        assert np.allclose(grid_there.origin, grid.origin, atol=1e-9)
        assert np.array_equal(to_grid(other, grid_there)[0], seen)
        back_there = from_grid(result, grid_there, other.geometry, 0.0)
        expected = rearranged(Volume(back, plain.geometry), order, signs).array
        assert np.array_equal(back_there, expected)


def test_an_oblique_scan_gives_the_same_input_whatever_the_order_and_direction_of_its_axes() -> None:
    direction = tuple(turned(15, -20, 30).ravel().tolist())
    plain = noise(Geometry((40, 36, 30), (0.7, 0.8, 1.6), (-11.2345, 33.1 / 3, 17.7), direction))
    grid = canonical_geometry(plain.geometry)
    seen, inside = to_grid(plain, grid)
    assert inside is not None and 0.2 < inside.mean() < 0.8
    expected = normalise(seen, inside)
    for order, signs in signed_permutations():
        other = rearranged(plain, order, signs)
        grid_there = canonical_geometry(other.geometry)
        assert grid_there.size == grid.size and grid_there.spacing == grid.spacing
        assert np.allclose(grid_there.origin, grid.origin, atol=1e-9)
        seen_there, inside_there = to_grid(other, grid_there)
        assert inside_there is not None and (inside_there != inside).mean() < 1e-3  # rounding, at the very border
        both = inside & inside_there
        assert np.abs(normalise(seen_there, inside_there) - expected)[both].max() < 1e-3


def test_each_axis_that_has_the_grid_s_spacing_keeps_its_voxels_and_only_the_others_get_new_ones() -> None:
    scan = Geometry((50, 60, 40), (1.25003, 0.9, 2.4999), (-30.0, 20.0, 5.0))
    grid = canonical_geometry(scan)
    assert grid.spacing == (1.25003, 1.25, 2.4999)
    assert (grid.size[0], grid.size[2]) == (50, 40) and grid.size[1] == int(59 * 0.9 / 1.25) + 1
    assert (grid.origin[0], grid.origin[2]) == (-30.0, 5.0)
    middle = (grid.origin[1] + (grid.size[1] - 1) * 1.25 / 2, 20 + 59 * 0.9 / 2)
    assert middle[0] == pytest.approx(middle[1])


def test_spacings_are_those_of_the_patient_s_axes_not_of_the_file_s() -> None:
    sagittal = Geometry((40, 30, 50), (1.25, 2.5, 1.25), (0.0, 0.0, 0.0), (0, 0, 1.0, 1.0, 0, 0, 0, 1.0, 0))
    assert canonical_geometry(sagittal) == Geometry((50, 40, 30), GRID_MM, (0.0, 0.0, 0.0))
    coronal = Geometry((40, 30, 50), (1.25, 1.25, 2.5), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 0, 1.0, 0, 1.0, 0))
    grid = canonical_geometry(coronal)
    assert grid.spacing == GRID_MM and grid.size == (40, 99, 15)


def test_a_model_s_own_voxels_may_be_any() -> None:
    scan = blob(GEOMETRIES["the benchmark's"])
    for spacing in ((1.25, 1.25, 1.25), (4.0, 4.0, 4.0), (0.625, 0.625, 1.25), (1.0, 1.5, 3.0)):
        grid = canonical_geometry(scan.geometry, spacing)
        assert grid.spacing == spacing
        centre, volume = centre_and_ml(to_grid(scan, grid)[0], grid)
        assert np.abs(centre - CENTRE).max() < 0.2
        assert volume == pytest.approx(BLOB_ML, rel=0.02)


def test_a_scan_on_the_network_grid_passes_through_untouched() -> None:
    scan = noise(Geometry((30, 24, 20), GRID_MM, (-101.2345, 33.1 / 3, 17.7)))
    grid = canonical_geometry(scan.geometry)
    assert grid == scan.geometry
    assert np.array_equal(to_grid(scan, grid)[0], scan.array)
    assert np.array_equal(from_grid(scan.array, grid, scan.geometry, 0.0), scan.array)


@pytest.mark.parametrize("factor", [1.00005, 0.99995, float(np.float32(1.00001))])
def test_a_spacing_within_a_ten_thousandth_is_kept_as_it_is(factor: float) -> None:
    scan = noise(Geometry((300, 18, 20), (1.25 * factor, 1.25 * factor, 2.5 * factor), (1.0, 2.0, 3.0)))
    grid = canonical_geometry(scan.geometry)
    assert grid == scan.geometry
    assert np.array_equal(to_grid(scan, grid)[0], scan.array)


def test_rounded_direction_cosines_do_not_make_a_scan_oblique() -> None:
    angle = 1e-7  # float32 in NIfTI, ten digits in DICOM
    tilt = Rotation.from_rotvec([angle, -angle, angle]).as_matrix()
    scan = noise(Geometry((200, 180, 20), GRID_MM, (1.0, 2.0, 3.0), tuple(tilt.ravel().tolist())))
    grid = canonical_geometry(scan.geometry)
    assert grid.size == scan.geometry.size
    assert np.array_equal(to_grid(scan, grid)[0], scan.array)
    assert np.array_equal(from_grid(scan.array, grid, scan.geometry, 0.0), scan.array)


def test_a_scan_turned_by_half_a_degree_is_turned_back() -> None:
    scan = blob(around_the_blob((36, 34, 20), GRID_MM, turned(0, 0, 0.5)))
    grid = canonical_geometry(scan.geometry)
    turned_back = to_grid(scan, grid)[0]
    assert not np.array_equal(turned_back, scan.array)
    assert np.abs(turned_back - blob(grid).array).max() < 0.01


# --- finer scans, and places outside --------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_detail_that_the_grid_cannot_show_is_averaged_and_not_aliased(axis: int) -> None:
    size, spacing = np.array([40, 40, 40]), np.array(GRID_MM)
    size[axis], spacing[axis] = 240, GRID_MM[axis] / 3  # stripes of 4/3 of a grid voxel a period
    geometry = Geometry(tuple(size.tolist()), tuple(spacing.tolist()), (0.0, 0.0, 0.0))
    x, y, z = np.meshgrid(*map(np.arange, size), indexing="ij")
    stripes = ((x, y, z)[axis] % 4 < 2).transpose(2, 1, 0).astype(np.float32)
    seen, _ = to_grid(Volume(np.ascontiguousarray(stripes), geometry), canonical_geometry(geometry))
    inner = np.moveaxis(seen, 2 - axis, 0)[4:-4]
    assert inner.mean() == pytest.approx(0.5, abs=0.02)
    assert inner.std() < 0.25 * stripes.std()


def test_a_scan_of_nearly_the_networks_resolution_is_not_blurred() -> None:
    geometry = Geometry((64, 20, 20), (1.12, 1.25, 2.5), (0.0, 0.0, 0.0))
    step = np.broadcast_to(np.arange(64) >= 32, geometry.shape).astype(np.float32)
    seen, _ = to_grid(Volume(np.ascontiguousarray(step), geometry), canonical_geometry(geometry))
    assert ((seen > 0) & (seen < 1)).sum() <= 20 * 20  # one voxel a row at most lies between the two sides


def test_places_outside_an_oblique_scan_are_dark_and_named() -> None:
    scan = noise(GEOMETRIES["oblique"])
    grid = canonical_geometry(scan.geometry)
    seen, inside = to_grid(scan, grid)
    assert inside is not None and inside.shape == grid.shape
    share = np.prod(scan.geometry.size) * scan.geometry.voxel_ml / (np.prod(grid.size) * grid.voxel_ml)
    assert inside.mean() == pytest.approx(share, rel=0.02)
    assert (seen[~inside] == scan.array.min()).all()


def test_voxels_outside_the_scan_do_not_move_the_z_score() -> None:
    scan = noise(GEOMETRIES["oblique"])
    seen, inside = to_grid(scan, canonical_geometry(scan.geometry))
    assert inside is not None
    scored = normalise(seen, inside)
    assert scored[inside].mean() == pytest.approx(0, abs=0.02)
    assert scored[inside].std() == pytest.approx(1, abs=0.02)
    assert scored[~inside].max() < -2


def test_a_grid_far_from_the_scan_is_all_outside() -> None:
    scan = noise(Geometry((20, 20, 20), (1.25,) * 3, (0.0, 0.0, 0.0)))
    for step in (1.25, 1.4):
        seen, inside = to_grid(scan, Geometry((16, 16, 16), (step,) * 3, (500.0, 0.0, 0.0)))
        assert inside is not None and not inside.any()
        assert (seen == scan.array.min()).all()


@pytest.mark.parametrize("name", ["network's own", "thick slices", "oblique thick"])
def test_a_region_gives_what_the_whole_gives_there_and_the_fill_elsewhere(name: str) -> None:
    scan = noise(GEOMETRIES[name])
    whole = canonical_geometry(scan.geometry)
    box = Box(*(c + d for c in CENTRE.tolist() for d in (-12.0, 12.0)))
    part = canonical_geometry(scan.geometry, box=box)
    start = np.round((np.array(part.origin) - whole.origin) / whole.spacing).astype(int)
    slices = tuple(slice(a, a + n) for a, n in zip(start[::-1], part.shape, strict=True))
    seen, _ = to_grid(scan, part)
    assert np.allclose(seen, to_grid(scan, whole)[0][slices], atol=1e-3)
    back = from_grid(seen, part, scan.geometry, -1.0)
    index = part.physical_to_index(points(scan.geometry))
    inside = ((index >= -0.5) & (index <= np.array(part.size) - 0.5)).all(axis=-1)
    assert (back[~inside] == -1.0).all()
    assert (back[inside] > -1.0).all() and inside.any()
    if name == "network's own":
        assert np.array_equal(back[inside], scan.array[inside])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="peak memory comes from a POSIX call")
def test_a_thorax_goes_there_and_back_in_less_than_a_gigabyte() -> None:
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from mtctl.preprocessing.network_grid import canonical_geometry\n"
        "from mtctl.preprocessing.normalisation import normalise\n"
        "from mtctl.preprocessing.region_of_interest import Box\n"
        "from mtctl.preprocessing.resampling import from_grid, to_grid\n"
        "from mtctl.io.volumes import Geometry, Volume\n"
        "def peak():\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)\n"
        "geometry = Geometry((640, 640, 88), (0.625, 0.625, 1.25), (-200.0, -200.0, 0.0))\n"
        "scan = Volume(np.ones(geometry.shape, np.float32), geometry)\n"
        "scan.array[:, :320] = 0\n"
        "before = peak()\n"
        "for box in (Box(-50, 50, -50, 50, 0, 50), None):\n"
        "    grid = canonical_geometry(geometry, box=box)\n"
        "    from_grid(normalise(*to_grid(scan, grid)), grid, geometry, 0.0)\n"
        "print((peak() - before) / 1e9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.0


# --- padding to whole patches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(16, 32, 48), (17, 31, 40), (1, 15, 33)])
def test_padding_is_even_and_can_be_undone(shape: tuple[int, int, int]) -> None:
    array = np.random.default_rng(9).random(shape, dtype=np.float32)
    padded, inner = pad_to_multiple(array)
    assert all(count % 16 == 0 and count - 16 < old <= count for count, old in zip(padded.shape, shape, strict=True))
    assert np.array_equal(padded[inner], array)
    assert padded[0, 0, 0] == array[0, 0, 0] and padded[-1, -1, -1] == array[-1, -1, -1]
    for cut, count, old in zip(inner, padded.shape, shape, strict=True):
        assert abs(cut.start - (count - old - cut.start)) <= 1
