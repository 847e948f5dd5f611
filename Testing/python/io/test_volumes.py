"""Scans and masks in and out: what is kept, to the last digit."""

from __future__ import annotations

import gzip
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from support.paths import shared_names, shared_scans
from support.written_volumes import FORMATS, GEOMETRIES, SIZE, scan, values

from mtctl.geometry import Geometry, Volume, VolumeError, from_image, to_image
from mtctl.io import itk
from mtctl.io.formats.endings import open_volume
from mtctl.io.volumes import input_stem, read_mask, read_volume, write_segmentation, write_volume
from mtctl.system.files import WriteError


def numbers(geometry: Geometry) -> NDArray[np.float64]:
    return np.array([*geometry.spacing, *geometry.origin, *geometry.direction])


# --- geometry -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GEOMETRIES)
def test_indices_and_points_are_turned_into_each_other_as_itk_does(name: str) -> None:
    geometry = GEOMETRIES[name]
    image = to_image(scan(geometry))
    index = np.array([[0, 0, 0], [3, 5, 7], [19.5, -2, 4.25]])
    points = geometry.index_to_physical(index)
    expected = [image.TransformContinuousIndexToPhysicalPoint(row.tolist()) for row in index]
    assert np.allclose(points, expected, atol=1e-9)
    assert np.allclose(geometry.physical_to_index(points), index, atol=1e-9)


def test_the_extent_is_the_box_of_the_voxel_centres() -> None:
    geometry = GEOMETRIES["flipped"]
    assert geometry.extent() == ((10.0 - 19 * 0.625, 10.0), (-20.0, -20.0 + 17 * 0.7), (1.5 - 15 * 2.0, 1.5))
    assert geometry.shape == (16, 18, 20)
    assert geometry.voxel_ml == pytest.approx(0.625 * 0.7 * 2.0 / 1000)


def test_a_window_of_a_grid_keeps_the_places_of_its_voxels() -> None:
    geometry = GEOMETRIES["oblique"]
    window = geometry.window((3, 4, 5), (6, 7, 8))
    assert window.size == (6, 7, 8)
    assert np.allclose(window.index_to_physical((1, 2, 3)), geometry.index_to_physical((4, 6, 8)))


def test_an_array_of_another_shape_than_its_grid_is_refused() -> None:
    with pytest.raises(VolumeError, match="grid"):
        Volume(np.zeros((4, 5, 6), np.float32), GEOMETRIES["plain"])


def test_an_image_of_itk_comes_back_the_same() -> None:
    volume = scan(GEOMETRIES["oblique"])
    again = from_image(to_image(volume))
    assert np.array_equal(again.array, volume.array)
    assert again.geometry == volume.geometry


# --- good files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_written_volume_comes_back_with_the_same_voxels_in_the_same_place(
    tmp_path: Path, ending: str, name: str
) -> None:
    volume = scan(GEOMETRIES[name])
    path = tmp_path / f"case{ending}"
    write_volume(volume, path)
    again = read_volume(path)
    assert again.array.dtype == np.float32
    assert np.array_equal(again.array, volume.array)
    assert again.geometry.size == volume.geometry.size
    if ending.startswith(".nii"):  # the format has float32: 6e-8 of the largest number, 143 mm
        assert np.allclose(numbers(again.geometry), numbers(volume.geometry), rtol=0, atol=1e-5)
    elif ending == ".nrrd" and name == "oblique":  # spacing and direction are stored as their product: the last bit
        assert np.allclose(numbers(again.geometry), numbers(volume.geometry), rtol=4e-16, atol=4e-16)
    else:
        assert again.geometry == volume.geometry
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_results_of_a_nifti_scan_lie_exactly_where_the_scan_lies(tmp_path: Path, name: str) -> None:
    write_volume(scan(GEOMETRIES[name]), tmp_path / "scan.nii.gz")
    read = read_volume(tmp_path / "scan.nii.gz")
    write_volume(read, tmp_path / "result.nrrd")
    assert np.allclose(numbers(read_volume(tmp_path / "result.nrrd").geometry), numbers(read.geometry), rtol=4e-16)


def without_nifti_codes(path: Path) -> None:
    raw = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    raw[252:256] = bytes(4)  # qform_code, sform_code
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def without_line(beginning: bytes) -> Callable[[Path], None]:
    def strip(path: Path) -> None:
        path.write_bytes(re.sub(rb"(?m)^" + beginning + rb".*\n", b"", path.read_bytes(), count=1))

    return strip


def with_unnamed_space(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"space: left-posterior-superior", b"space dimension: 3"))


@pytest.mark.parametrize(
    ("ending", "strip"),
    [
        (".nii", without_nifti_codes),
        (".nii.gz", without_nifti_codes),
        (".nrrd", with_unnamed_space),
        (".mha", without_line(b"TransformMatrix")),
    ],
)
def test_a_file_says_how_the_patient_lies_or_is_known_not_to(
    ending: str, strip: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / f"scan{ending}"
    write_volume(scan(GEOMETRIES["oblique"]), path)
    assert open_volume(path).oriented
    strip(path)
    assert not open_volume(path).oriented


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float64])
def test_every_kind_of_number_comes_in_as_float32(tmp_path: Path, dtype: type) -> None:
    write_volume(Volume(values(dtype), GEOMETRIES["plain"]), tmp_path / "scan.nrrd")
    volume = read_volume(tmp_path / "scan.nrrd")
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array, values())


def test_scaled_nifti_values_are_the_scanners_own(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    write_volume(Volume(values(np.int16), GEOMETRIES["plain"]), path)
    content = bytearray(path.read_bytes())
    content[112:120] = struct.pack("<2f", 0.5, -10.0)  # scl_slope, scl_inter
    path.write_bytes(content)
    assert np.array_equal(read_volume(path).array, values() * 0.5 - 10)


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_a_header_with_its_voxels_in_a_second_file_is_read(tmp_path: Path, ending: str) -> None:
    sitk.WriteImage(to_image(scan()), str(tmp_path / f"scan{ending}"))
    assert np.array_equal(read_volume(tmp_path / f"scan{ending}").array, values())


def test_names_with_any_letters_work(tmp_path: Path) -> None:
    path = tmp_path / "Vorhöfe 左心房" / "Fall ß.image.nrrd"
    path.parent.mkdir()
    write_volume(scan(), path)
    assert np.array_equal(read_volume(path).array, values())


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text")
@pytest.mark.parametrize("ending", FORMATS)
def test_names_with_bytes_that_are_no_text_work_for_folders_and_files(tmp_path: Path, ending: str) -> None:
    path = tmp_path / os.fsdecode(b"V\xf6rhof") / os.fsdecode(b"s\xe9rie" + ending.encode())
    path.parent.mkdir()
    write_volume(scan(), path)
    assert np.array_equal(read_volume(path).array, values())
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("ending", FORMATS)
def test_names_that_itk_cannot_open_go_through_a_plain_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    asked: list[str] = []

    def plain_only(name: str) -> bool:
        asked.append(name)
        return name.isascii()

    monkeypatch.setattr(itk, "_opens", plain_only)
    path = tmp_path / f"Vorhöfe{ending}"
    write_volume(scan(), path)
    assert np.array_equal(read_volume(path).array, values())
    assert asked and os.listdir(tmp_path) == [path.name]


def test_a_real_scan_and_its_mask_are_read_on_one_grid() -> None:
    name = shared_names()[0]
    image = read_volume(shared_scans() / f"{name}.image.nrrd")
    mask = read_mask(shared_scans() / f"{name}.label.nrrd")
    assert image.geometry == mask.geometry
    assert image.geometry.spacing == (0.625, 0.625, 1.25)
    assert image.array.min() == 0
    assert 20 < mask.array.sum() * mask.geometry.voxel_ml < 200


# --- masks and maps -------------------------------------------------------------------------------------------------


def ball() -> NDArray[np.uint8]:
    z, y, x = np.indices(SIZE[::-1])
    return ((x - 9) ** 2 + (y - 8) ** 2 + (z - 7) ** 2 < 25).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_mask_comes_in_as_zeros_and_ones(tmp_path: Path, dtype: type) -> None:
    write_volume(Volume(ball().astype(dtype), GEOMETRIES["plain"]), tmp_path / "case.label.nrrd")
    mask = read_mask(tmp_path / "case.label.nrrd")
    assert mask.array.dtype == np.uint8
    assert np.array_equal(mask.array, ball())


def test_an_empty_mask_is_a_mask(tmp_path: Path) -> None:
    write_volume(Volume(np.zeros_like(ball()), GEOMETRIES["plain"]), tmp_path / "case.label.nrrd")
    assert not read_mask(tmp_path / "case.label.nrrd").array.any()


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_segmentation_has_what_slicer_needs_and_reads_as_a_mask(tmp_path: Path, name: str) -> None:
    path = tmp_path / "case.seg.nrrd"
    write_segmentation(Volume(ball().astype(bool), GEOMETRIES[name]), path)
    stored = sitk.ReadImage(str(path))
    fields = {key: stored.GetMetaData(key) for key in stored.GetMetaDataKeys()}
    assert stored.GetPixelID() == sitk.sitkUInt8
    assert fields["Segment0_ID"] and fields["Segment0_Name"] == "Left atrium"
    assert fields["Segment0_LabelValue"] == "1" and fields["Segment0_Layer"] == "0"
    assert fields["Segment0_Extent"] == "5 13 4 12 3 11"
    assert len(fields["Segment0_Color"].split()) == 3
    assert fields["Segmentation_MasterRepresentation"] == "Binary labelmap"
    tags = dict(tag.split(":", 1) for tag in fields["Segment0_Tags"].strip("|").split("|"))
    parts = tags["TerminologyEntry"].split("~")
    assert len(parts) == 7
    assert parts[1].split("^")[:2] == ["SCT", "123037004"] and parts[2] == "SCT^82471001^Left atrium"
    mask = read_mask(path)
    assert np.array_equal(mask.array, ball())
    assert np.allclose(numbers(mask.geometry), numbers(GEOMETRIES[name]), rtol=4e-16, atol=4e-16)


def test_an_empty_segmentation_can_be_written(tmp_path: Path) -> None:
    write_segmentation(Volume(np.zeros_like(ball()), GEOMETRIES["plain"]), tmp_path / "case.seg.nrrd")
    assert not read_mask(tmp_path / "case.seg.nrrd").array.any()


# --- writing --------------------------------------------------------------------------------------------------------


def test_a_missing_output_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="there is no folder") as caught:
        write_volume(scan(), tmp_path / "nowhere" / "case.nrrd")
    assert str(tmp_path / "nowhere" / "case.nrrd") in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_in_place_of_the_output_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WriteError, match="there is no folder"):
        write_volume(scan(), tmp_path / "out" / "case.nrrd")


@pytest.mark.parametrize("name", ["case.png", "case", "case.nhdr", "case.mhd"])
def test_formats_of_two_files_or_none_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(VolumeError, match=r"choose \.nrrd"):
        write_volume(scan(), tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits a process's file size by a POSIX call")
def test_a_disk_that_fills_up_half_way_leaves_the_old_file_and_says_so(tmp_path: Path) -> None:
    script = (
        "import os, resource, sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from mtctl.errors import MtctlError\n"
        "from mtctl.io.volumes import Geometry, Volume, write_volume\n"
        "array = np.random.default_rng(0).random((40, 40, 40), dtype=np.float32)\n"
        "volume = Volume(array, Geometry((40, 40, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n"
        "for ending in ('.nrrd', '.nii', '.nii.gz', '.mha'):\n"
        "    path = Path(sys.argv[1]) / ('case' + ending)\n"
        "    path.write_text('old')\n"
        "    try:\n"
        "        write_volume(volume, path)\n"
        "    except MtctlError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 4 and all("cannot be written" in line for line in lines)
    assert sorted(os.listdir(tmp_path)) == ["case.mha", "case.nii", "case.nii.gz", "case.nrrd"]
    assert all((tmp_path / name).read_text() == "old" for name in os.listdir(tmp_path))


def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("ITK ERROR: fwrite wrote only 12 things")

    monkeypatch.setattr(sitk, "WriteImage", fail)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(WriteError, match="the disk is full"):
        write_volume(scan(), tmp_path / "case.nrrd")
    assert os.listdir(tmp_path) == []


# --- names of results -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("case7.nrrd", "case7"),
        ("case7.image.nrrd", "case7"),
        ("case7.image.nii.gz", "case7"),
        ("case.7.nii", "case.7"),
        ("CASE7.NII.GZ", "CASE7"),
        ("case7.mha", "case7"),
        ("image.nrrd", "image"),
        ("case7.txt", "case7"),
    ],
)
def test_results_are_named_after_the_scan_without_its_format(tmp_path: Path, name: str, stem: str) -> None:
    assert input_stem(tmp_path / name) == stem
