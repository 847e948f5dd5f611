"""Volumes that cannot be read are refused in one line that names file and cause, masks and maps as scans."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from support.written_volumes import FORMATS, GEOMETRIES, SIZE, content, image, scan, turned, values

from mtctl.geometry import Geometry, Volume, VolumeError, to_image
from mtctl.io.volumes import read_map, read_mask, read_volume, write_volume

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


def voxels(array: NDArray[Any]) -> Callable[[Path], Path]:
    return image(lambda: sitk.GetImageFromArray(array))


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
