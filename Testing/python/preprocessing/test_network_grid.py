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

from mtctl.geometry import Geometry, Volume
from mtctl.io.volumes import read_volume, write_volume
from mtctl.preprocessing.network_grid import GRID_MM, canonical_geometry, pad_to_multiple
from mtctl.preprocessing.normalisation import intensity_remark, measured_window, normalise
from mtctl.preprocessing.padding import measured_voxels
from mtctl.preprocessing.region_of_interest import Box, RegionError, window_of
from mtctl.preprocessing.resampling import from_grid, to_grid
from mtctl.synthetic.phantom import make_phantom

CENTRE = np.array([11.3, -42.7, 75.1])  # of the blob, LPS mm
SIGMA = 5.0  # mm
BLUR_MM = 5.0  # how far around itself a voxel of the network's grid looks
BLOB_ML = (2 * np.pi) ** 1.5 * SIGMA**3 / 1000


def turned(*degrees: float) -> NDArray[np.float64]:
    return np.asarray(Rotation.from_euler("xyz", degrees, degrees=True).as_matrix())


def around_the_blob(
    size: tuple[int, int, int],
    spacing: tuple[float, float, float],
    matrix: NDArray[np.float64] | None = None,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Geometry:
    """A grid with the blob near its middle, `shift` mm off."""
    matrix = np.eye(3) if matrix is None else matrix
    origin = CENTRE + shift - matrix @ ((np.array(size) - 1) / 2 * spacing)
    return Geometry(size, spacing, (origin[0], origin[1], origin[2]), tuple(matrix.ravel().tolist()))


def points(geometry: Geometry) -> NDArray[np.float64]:
    """LPS place of every voxel, (z, y, x, 3)."""
    z, y, x = np.indices(geometry.shape)
    return geometry.index_to_physical(np.stack([x, y, z], axis=-1))


def blob(geometry: Geometry) -> Volume:
    squares = ((points(geometry) - CENTRE) ** 2).sum(axis=-1)
    return Volume(np.exp(-squares / (2 * SIGMA**2)).astype(np.float32), geometry)


def ramp(geometry: Geometry) -> NDArray[np.float32]:
    """Linear in the patient's space, so linear interpolation must give it back: 1 mm off in x is 3 off in value."""
    return np.asarray(points(geometry) @ [3.0, -5.0, 7.0], dtype=np.float32)


def centre_and_ml(array: NDArray[np.float32], geometry: Geometry) -> tuple[NDArray[np.float64], float]:
    total = array.sum(dtype=np.float64)
    centre = (points(geometry) * array[..., None]).sum(axis=(0, 1, 2)) / total
    return centre, float(total * geometry.voxel_ml)


FLIP = np.diag([-1.0, 1.0, -1.0])
TURN = np.array([[0, 0, 1.0], [1.0, 0, 0], [0, 1.0, 0]])
GEOMETRIES = {
    "network's own": around_the_blob((36, 34, 20), GRID_MM),
    "sub-voxel offset": around_the_blob((36, 34, 20), GRID_MM, shift=(0.42, -0.26, 0.9)),
    "the benchmark's": around_the_blob((72, 68, 40), (0.625, 0.625, 1.25)),
    "isotropic": around_the_blob((72, 68, 70), (0.7, 0.7, 0.7)),
    "anisotropic": around_the_blob((60, 90, 40), (0.75, 0.5, 1.1)),
    "own along one axis": around_the_blob((60, 34, 16), (0.75, 1.25, 3.0)),
    "thick slices": around_the_blob((72, 72, 14), (0.625, 0.625, 4.0)),
    "flipped": around_the_blob((60, 64, 24), (0.7, 0.7, 2.0), FLIP, shift=(0.2, 0.3, 0.4)),
    "sagittal": around_the_blob((66, 60, 24), (0.625, 0.7, 2.0), TURN),
    "left-handed": around_the_blob((36, 34, 20), GRID_MM, np.diag([1.0, 1.0, -1.0])),
    "oblique": around_the_blob((64, 64, 64), (0.7, 0.7, 0.7), turned(20, 20, 0)),
    "oblique thick": around_the_blob((72, 72, 24), (0.625, 0.625, 2.0), turned(-20, 0, 20), shift=(0.2, 0.3, 0.4)),
    "oblique flipped": around_the_blob((60, 60, 60), (0.75, 0.75, 0.75), turned(20, -20, 0) @ FLIP),
    "diagonal": around_the_blob((64, 64, 64), (0.7, 0.7, 0.7), turned(45, 35.26, 0)),
    "fine": around_the_blob((120, 120, 60), (0.35, 0.35, 0.7)),
}
ALONG_LPS = [name for name in GEOMETRIES if "oblique" not in name and name != "diagonal"]


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


def noise(geometry: Geometry) -> Volume:
    return Volume(np.random.default_rng(5).normal(100, 20, geometry.shape).astype(np.float32), geometry)


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


# --- z-score --------------------------------------------------------------------------------------------------------


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


# --- regions --------------------------------------------------------------------------------------------------------


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
