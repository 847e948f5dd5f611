"""Scans and masks in and out: what is kept to the last digit, and what every bad file is told."""

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
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from support.paths import shared_names, shared_scans

from mtctl.geometry import Geometry, Volume, VolumeError, from_image, to_image
from mtctl.io import itk
from mtctl.io.formats.endings import open_volume
from mtctl.io.volumes import input_stem, read_map, read_mask, read_volume, write_segmentation, write_volume
from mtctl.system.files import WriteError

SIZE = (20, 18, 16)
FORMATS = [".nrrd", ".nii", ".nii.gz", ".mha"]


def turned(*degrees: float) -> tuple[float, ...]:
    return tuple(Rotation.from_euler("xyz", degrees, degrees=True).as_matrix().ravel().tolist())


GEOMETRIES = {
    "plain": Geometry(SIZE, (0.625, 0.625, 0.625), (0.0, 0.0, 0.0)),
    "anisotropic": Geometry(SIZE, (0.7, 1 / 3, 2.0), (-101.23456789012345, 33.1 / 3, 1e-7)),
    "flipped": Geometry(SIZE, (0.625, 0.7, 2.0), (10.0, -20.0, 1.5), (-1.0, 0, 0, 0, 1.0, 0, 0, 0, -1.0)),
    "permuted": Geometry(SIZE, (0.625, 0.7, 2.0), (10.0, -20.0, 1.5), (0, 0, 1.0, 1.0, 0, 0, 0, 1.0, 0)),
    "oblique": Geometry(SIZE, (0.6251234567891234, 0.7, 2.00000001), (-101.2, 1e3 / 7, 5.0), turned(20, 20, 0)),
}


def values(dtype: type = np.float32, size: tuple[int, int, int] = SIZE) -> NDArray[Any]:
    return np.random.default_rng(3).integers(0, 200, size[::-1]).astype(dtype)


def scan(geometry: Geometry = GEOMETRIES["anisotropic"]) -> Volume:
    return Volume(values(size=geometry.size), geometry)


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


# --- bad files ------------------------------------------------------------------------------------------------------

NRRD = "NRRD0004\ntype: float\ndimension: 3\nsizes: 20 18 16\nencoding: raw\nendian: little\n"
LPS = NRRD + "space: left-posterior-superior\nspace origin: (0,0,0)\n"
META = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
    "DimSize = 20 18 16\nElementType = MET_FLOAT\n"
)


def text_file(ending: str, head: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"bad{ending}"
        end = "\n" if ending == ".nrrd" else "ElementDataFile = LOCAL\n"
        path.write_bytes((head + end).encode() + values().tobytes())
        return path

    return make


def nifti(changes: dict[int, bytes], keep: slice = slice(None)) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "bad.nii"
        write_volume(scan(), path)
        content = bytearray(path.read_bytes())
        for offset, new in changes.items():
            content[offset : offset + len(new)] = new
        path.write_bytes(content[keep])
        return path

    return make


def cut(ending: str, part: float) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"bad{ending}"
        write_volume(scan(), path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * part)])
        return path

    return make


def image(make_image: Callable[[], sitk.Image], ending: str = ".nrrd") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        sitk.WriteImage(make_image(), str(folder / f"bad{ending}"))
        return folder / f"bad{ending}"

    return make


def voxels(array: NDArray[Any]) -> Callable[[Path], Path]:
    return image(lambda: sitk.GetImageFromArray(array))


def content(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def flipped_byte(folder: Path) -> Path:
    path = cut(".nii.gz", 1.0)(folder)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(damaged)
    return path


def detached(folder: Path) -> Path:
    path = image(lambda: to_image(scan()), ".nhdr")(folder)
    for other in folder.glob("bad.raw*"):
        other.unlink()
    return path


def with_value(value: float) -> NDArray[Any]:
    array = values()
    array[3, 4, 5:7] = value
    return array


NAN = struct.pack("<f", float("nan"))
BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing file": (lambda folder: folder / "bad.nrrd", "no such file"),
    "empty file": (content("bad.nrrd", b""), "the file is empty"),
    "unknown type": (content("bad.xyz", b"1234"), "unknown file type; expected .nrrd"),
    "no ending": (content("bad", b"1234"), "unknown file type"),
    "text as nrrd": (content("bad.nrrd", b"hello world\n\n" * 50), "is not a NRRD file"),
    "text as nifti": (content("bad.nii", b"hello world\n\n" * 50), "is not a NIfTI-1 file"),
    "text as nifti.gz": (content("bad.nii.gz", gzip.compress(b"hello\n" * 500)), "is not a NIfTI-1 file"),
    "text as mha": (content("bad.mha", b"hello world\n\n" * 50), "is not a MetaImage file"),
    "nrrd cut off": (cut(".nrrd", 0.6), "cut off or damaged"),
    "nrrd cut off at the end": (cut(".nrrd", 0.97), "cut off or damaged"),
    "nrrd cut off in the header": (content("bad.nrrd", NRRD[:50].encode()), "cut off or damaged"),
    "raw nrrd cut off": (content("bad.nrrd", f"{NRRD}spacings: 1 1 1\n\n".encode() + bytes(99)), "cut off or damaged"),
    "nifti cut off": (cut(".nii", 0.6), "cut off or damaged"),
    "nifti cut off by a voxel": (nifti({}, slice(-4)), "cut off or damaged"),
    "nifti.gz cut off": (cut(".nii.gz", 0.6), "cut off or damaged"),
    "nifti.gz cut off in the header": (cut(".nii.gz", 0.005), "cut off or damaged"),
    "nifti.gz damaged": (flipped_byte, "cut off or damaged"),
    "mha cut off": (cut(".mha", 0.6), "cut off or damaged"),
    "voxels in a file that is gone": (detached, "second file, bad.raw.*, which is missing"),
    "2-D": (image(lambda: sitk.Image(64, 64, sitk.sitkUInt8)), "2-D image"),
    "4-D": (image(lambda: sitk.Image([20, 20, 20, 3], sitk.sitkUInt8)), "4-D image"),
    "4-D nifti": (image(lambda: sitk.Image([20, 20, 20, 3], sitk.sitkUInt8), ".nii.gz"), "4-D image"),
    "RGB": (image(lambda: sitk.Image([20, 20, 20], sitk.sitkVectorUInt8, 3)), "3 values a voxel"),
    "RGB slice": (image(lambda: sitk.Image([64, 64], sitk.sitkVectorUInt8, 3)), "-D image|3 values a voxel"),
    "RGB nifti": (image(lambda: sitk.Image([20, 20, 20], sitk.sitkVectorUInt8, 3), ".nii"), "3 values a voxel"),
    "vector": (image(lambda: sitk.Image([20, 20, 20], sitk.sitkVectorFloat32, 6), ".mha"), "6 values a voxel"),
    "complex": (image(lambda: sitk.Image([20, 20, 20], sitk.sitkComplexFloat32)), "complex|2 values a voxel"),
    "NaN": (voxels(with_value(np.nan)), "2 voxels are NaN or infinite"),
    "infinite": (voxels(with_value(np.inf)), "2 voxels are NaN or infinite"),
    "both infinities": (voxels(np.where(with_value(-np.inf) == 0, np.inf, with_value(-np.inf))), "NaN or infinite"),
    "too large for float32": (voxels(with_value(1.0).astype(np.float64) * 1e300), "NaN or infinite"),
    "constant": (voxels(np.full((16, 18, 20), 7.5, np.float32)), r"all voxels have the same value \(7\.5\)"),
    "too thin": (voxels(values()[:15]), "only 15 voxels along z"),
    "too narrow": (voxels(values()[:, :, :3]), "only 3 voxels along x"),
    "nrrd without spacing": (text_file(".nrrd", NRRD), "spacing is missing"),
    "nrrd with nan spacing": (text_file(".nrrd", NRRD + "spacings: 1 1 nan\n"), "spacing is missing"),
    "nrrd with spacing 0": (text_file(".nrrd", NRRD + "spacings: 1 1 0\n"), r"spacing is 0 \(1 x 1 x 0\)"),
    "nrrd with a broken number": (text_file(".nrrd", NRRD + "spacings: 1 1 l\n"), "header is damaged"),
    "nrrd with direction 0": (text_file(".nrrd", LPS + "space directions: (1,0,0) (0,1,0) (0,0,0)\n"), "spacing is 0"),
    "nrrd with nan direction": (
        text_file(".nrrd", LPS + "space directions: (1,0,0) (0,1,0) (0,0,nan)\n"),
        "axis directions are not finite",
    ),
    "nrrd with shear": (text_file(".nrrd", LPS + "space directions: (1,0,0) (0.5,1,0) (0,0,1)\n"), "right angles"),
    "nrrd in metres": (text_file(".nrrd", NRRD + "spacings: 0.000625 0.000625 0.000625\n"), "is the file in mm"),
    "mha without spacing": (text_file(".mha", META), "spacing is missing"),
    "mha with spacing 0": (text_file(".mha", META + "ElementSpacing = 1 1 0\n"), "spacing is 0"),
    "mha with nan direction": (
        text_file(".mha", META + "ElementSpacing = 1 1 1\nTransformMatrix = 1 0 0 0 1 0 0 0 nan\n"),
        "axis directions are not finite",
    ),
    "mha with shear": (
        text_file(".mha", META + "ElementSpacing = 1 1 1\nTransformMatrix = 1 0 0 0.5 1 0 0 0 1\n"),
        "right angles",
    ),
    "nifti with spacing 0": (nifti({88: bytes(4)}), "spacing is 0"),
    "nifti with nan spacing": (nifti({88: NAN}), "spacing is missing"),
    "nifti with nan direction": (nifti({284: NAN}), "axis directions are not finite"),
    "nifti with two spacings": (nifti({88: struct.pack("<f", 3.0)}), "two voxel spacings"),
    "empty folder": (lambda folder: folder, "holds no DICOM images"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_scan_is_refused_in_one_line_that_names_file_and_cause(tmp_path: Path, case: str) -> None:
    make, cause = BAD[case]
    path = make(tmp_path)
    with pytest.raises(VolumeError, match=cause) as caught:
        read_volume(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message and "itk" not in message.lower()
    assert len(message) - len(str(path)) < 200


@pytest.mark.parametrize("ending", FORMATS)
def test_a_good_file_for_which_there_is_no_memory_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    def execute(reader: object) -> sitk.Image:
        raise RuntimeError("itkImportImageContainer.hxx:179:\nFailed to allocate memory for image.")

    def empty(*_: object) -> NDArray[Any]:
        raise MemoryError

    write_volume(scan(), tmp_path / f"a{ending}")
    monkeypatch.setattr(sitk.ImageFileReader, "Execute", execute)
    monkeypatch.setattr(np, "empty", empty)
    with pytest.raises(MemoryError):
        read_volume(tmp_path / f"a{ending}")


@pytest.mark.parametrize(
    ("spacing", "origin", "direction", "cause"),
    [
        ((1, 1, 0), (0, 0, 0), turned(0, 0, 0), "impossible"),
        ((1, -1, 1), (0, 0, 0), turned(0, 0, 0), "impossible"),
        ((1, 1, float("nan")), (0, 0, 0), turned(0, 0, 0), "impossible"),
        ((1, 1, 1), (0, float("inf"), 0), turned(0, 0, 0), "origin"),
        ((1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, float("nan")), "not finite"),
        ((1, 1, 1), (0, 0, 0), (1, 0.5, 0, 0, 1, 0, 0, 0, 1), "right angles"),
        ((1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 0), "right angles"),
    ],
)
def test_an_impossible_grid_cannot_be_made(
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    direction: tuple[float, ...],
    cause: str,
) -> None:
    with pytest.raises(VolumeError, match=cause):
        Geometry(SIZE, spacing, origin, direction)


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


@pytest.mark.parametrize("read", [read_mask, read_map])
def test_masks_and_maps_are_checked_like_scans(tmp_path: Path, read: Callable[[Path], Volume]) -> None:
    for case in ("missing file", "nrrd cut off", "4-D", "RGB", "nrrd without spacing"):
        make, cause = BAD[case]
        with pytest.raises(VolumeError, match=cause):
            read(make(tmp_path))
    with pytest.raises(VolumeError, match="is a folder"):
        read(tmp_path)


def test_a_map_may_be_constant_but_not_infinite(tmp_path: Path) -> None:
    path = tmp_path / "case.uncertainty.nrrd"
    write_volume(Volume(np.zeros(SIZE[::-1], np.float32), GEOMETRIES["plain"]), path)
    assert not read_map(path).array.any()
    write_volume(Volume(with_value(np.inf), GEOMETRIES["plain"]), path)
    with pytest.raises(VolumeError, match="NaN or infinite"):
        read_map(path)


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
