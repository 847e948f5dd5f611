"""NIfTI files: where their voxels lie and what these are worth, compared with nibabel, and every header that lies."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from support.nifti_files import SIZE, affine, field, moved, nibabel_reads, sheared, voxels, write_nifti

from mtctl.geometry import Geometry, VolumeError
from mtctl.io.volumes import read_mask, read_scan

NAN, INF = math.nan, math.inf


def assert_as_nibabel(path: Path, scale_mm: float = 1.0) -> tuple[str, ...]:
    """Every voxel has nibabel's value and lies where nibabel puts it; returns what was said of the file."""
    scan = read_scan(path, None)
    array, matrix = nibabel_reads(path)
    assert np.allclose(scan.volume.array, array, rtol=1e-6, atol=1e-6)
    assert apart(scan.volume.geometry, matrix, scale_mm) < 1e-3
    return scan.remarks


def apart(geometry: Geometry, matrix: NDArray[np.float64], scale_mm: float = 1.0) -> float:
    corners = np.array(list(product(*[(0, count - 1) for count in SIZE])), np.float64)
    theirs = (np.c_[corners, np.ones(len(corners))] @ matrix.T)[:, :3] * scale_mm
    return float(np.abs(geometry.index_to_physical(corners) - theirs).max())


def gzipped(*parts: bytes) -> bytes:
    return b"".join(gzip.compress(part) for part in parts)


GOOD: dict[str, Callable[[Path], Path]] = {
    "plain": lambda path: write_nifti(path),
    "compressed": lambda path: write_nifti(path.with_suffix(".nii.gz")),
    "left-handed": lambda path: write_nifti(path, qform=affine(True), sform=affine(True)),
    "qform alone": lambda path: write_nifti(path, codes=(1, 0)),
    "sform alone": lambda path: write_nifti(path, codes=(0, 1)),
    "sform alone, NaN in the qform that does not count": lambda path: write_nifti(
        path, codes=(0, 1), edit=field(256, "f", NAN)
    ),
    "qform alone, nonsense in the sform that does not count": lambda path: write_nifti(
        path, codes=(1, 0), edit=field(280, "f", NAN)
    ),
    "aligned by another program": lambda path: write_nifti(path, codes=(1, 2)),
    "qfac 0": lambda path: write_nifti(path, edit=field(76, "f", 0.0)),
    "no unit": lambda path: write_nifti(path, edit=field(123, "B", 0)),
    "big endian": lambda path: write_nifti(path, voxels(">i2"), order=">"),
    "scaled": lambda path: write_nifti(path, edit=field(112, "2f", 0.25, -7.0)),
    "scaled down": lambda path: write_nifti(path, edit=field(112, "2f", -1.0, 3.0)),
    "slope 0": lambda path: write_nifti(path, edit=field(112, "2f", 0.0, 0.0)),
    "slope NaN": lambda path: write_nifti(path, edit=field(112, "2f", NAN, NAN)),
    "slope infinite": lambda path: write_nifti(path, edit=field(112, "2f", INF, 0.0)),
    "one time point": lambda path: write_nifti(path, voxels()[..., None]),
    "one time point of one channel": lambda path: write_nifti(path, voxels()[..., None, None]),
    "64 bits": lambda path: write_nifti(path, voxels(np.int64)),
    "8 bits with sign": lambda path: write_nifti(path, voxels(np.int8)),
    "32 bits without": lambda path: write_nifti(path, voxels(np.uint32)),
    "doubles": lambda path: write_nifti(path, voxels(np.float64)),
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_file_is_read_as_nibabel_reads_it_and_nothing_is_said(tmp_path: Path, kind: str) -> None:
    assert assert_as_nibabel(GOOD[kind](tmp_path / "scan.nii")) == ()


def test_a_fourth_axis_of_no_length_is_none_as_for_niftilib(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "scan.nii", edit=field(40, "8h", 4, *SIZE, 0, 0, 0, 0))
    assert np.array_equal(read_scan(path, None).volume.array, voxels().transpose(2, 1, 0))


def test_members_of_gzip_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    content = write_nifti(tmp_path / "whole.nii").read_bytes()
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(gzipped(content[:5000], content[5000:]))
    assert assert_as_nibabel(path) == ()


def test_a_header_with_extensions_is_read_even_where_their_sizes_lie(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(voxels(), affine())
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 20))
    path = tmp_path / "scan.nii"
    nibabel.save(image, path)
    assert assert_as_nibabel(path) == ()
    content = bytearray(path.read_bytes())
    for size in (4000, 7, -16, 0):
        field(352, "i", size)(content)
        path.write_bytes(content)
        assert np.array_equal(read_scan(path, None).volume.array, voxels().transpose(2, 1, 0))


@pytest.mark.parametrize(("unit", "scale"), [(1, 1000.0), (3, 0.001)], ids=["metres", "micrometres"])
def test_lengths_in_another_unit_become_millimetres_and_that_is_said(tmp_path: Path, unit: int, scale: float) -> None:
    matrix = affine()
    matrix[:3] /= scale
    path = write_nifti(tmp_path / "scan.nii", qform=matrix, sform=matrix, edit=field(123, "B", unit))
    (remark,) = assert_as_nibabel(path, scale)
    assert "metres" in remark


@pytest.mark.parametrize(("codes", "taken", "shift"), [((1, 1), "sform", 0.3), ((1, 2), "qform", 0.0)])
def test_two_places_of_less_than_a_voxel_apart_are_said_and_the_one_that_was_taken(
    tmp_path: Path, codes: tuple[int, int], taken: str, shift: float
) -> None:
    path = write_nifti(tmp_path / "scan.nii", sform=moved(0.3), codes=codes)
    scan = read_scan(path, None)
    assert scan.remarks == (f"its header gives two places, qform and sform, 0.30 mm apart; the {taken} was taken",)
    assert apart(scan.volume.geometry, np.diag([-1.0, -1, 1, 1]) @ moved(shift)) < 1e-3


def test_two_places_that_differ_by_rounding_are_one(tmp_path: Path) -> None:
    assert read_scan(write_nifti(tmp_path / "scan.nii", sform=moved(0.1)), None).remarks == ()


def test_what_follows_the_voxels_is_said(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "scan.nii", edit=lambda content: content.extend(bytes(500)))
    assert read_scan(path, None).remarks[0].startswith("the file is 500 bytes longer than its header says")


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "mirrored qform": ({"qform": affine(True)}, r"two places that lie up to 22\.8 mm apart, the qform and the sform"),
    "qfac turned round": ({"edit": field(76, "f", -1.0)}, r"two places that lie up to 39\.0 mm apart"),
    "sform moved by more than a voxel": ({"sform": moved(1)}, "copy it over the other"),
    "sform of a template": ({"sform": moved(30), "codes": (1, 4)}, r"up to 30\.0 mm apart"),
    "sheared sform": ({"sform": sheared(5), "codes": (1, 2)}, r"sheared by 5\.0 degrees"),
    "sheared sform alone": ({"sform": sheared(5), "codes": (0, 2)}, r"sheared by 5\.0 degrees"),
    "slightly sheared sform alone": ({"sform": sheared(0.3), "codes": (0, 1)}, r"sheared by 0\.3 degrees"),
    "sform of other spacings": ({"sform": affine() * [[2], [2], [2], [1]]}, "two voxel spacings"),
    "sform of zeros": ({"edit": field(280, "12f", *[0] * 12)}, "two voxel spacings"),
    "NaN in the quaternion": ({"edit": field(256, "f", NAN)}, r"not finite numbers \(qform\)"),
    "NaN in the quaternion of a qform alone": ({"codes": (1, 0), "edit": field(260, "f", INF)}, r"\(qform\)"),
    "NaN in the origin": ({"edit": field(272, "f", NAN)}, r"not finite numbers \(qform\)"),
    "NaN in qfac": ({"edit": field(76, "f", NAN)}, r"not finite numbers \(qform\)"),
    "NaN in the sform": ({"edit": field(292, "f", NAN)}, r"not finite numbers \(sform\)"),
    "negative spacing": ({"edit": field(84, "f", -0.7)}, r"spacing is negative \(0\.6 x -0\.7 x 1\.3\)"),
    "infinite spacing": ({"edit": field(84, "f", INF)}, "spacing is missing"),
    "voxels at byte 0": ({"edit": field(108, "f", 0.0)}, r"begin at byte 0 \(vox_offset\)"),
    "voxels at byte 348": ({"edit": field(108, "f", 348.0)}, "begin at byte 348"),
    "voxels at a NaN": ({"edit": field(108, "f", NAN)}, "begin at byte nan"),
    "voxels at half a byte": ({"edit": field(108, "f", 352.5)}, r"begin at byte 352\.5"),
    "voxels further on": ({"edit": field(108, "f", 400.0)}, "cut off"),
    "voxels far off": ({"edit": field(108, "f", 1e30)}, "cut off"),
    "no bits": ({"edit": field(72, "h", 0)}, "contradicts itself: datatype 4 has 16 bits a voxel, bitpix says 0"),
    "other bits": ({"edit": field(72, "h", 8)}, "bitpix says 8"),
    "no type": ({"edit": field(70, "h", 0)}, "datatype 0"),
    "unknown type": ({"edit": field(70, "h", 99)}, "datatype 99"),
    "colour": ({"edit": field(70, "2h", 128, 24)}, "3 values a voxel"),
    "complex": ({"array": voxels(np.complex64)}, "complex voxels"),
    "long double": ({"edit": field(70, "2h", 1536, 128)}, "save it as float32"),
    "no axis": ({"edit": field(40, "h", 0)}, "header is damaged"),
    "eight axes": ({"edit": field(40, "h", 8)}, "header is damaged"),
    "axes in the other byte order": ({"edit": field(40, "h", 768)}, "header is damaged"),
    "an axis of less than nothing": ({"edit": field(42, "h", -20)}, "header is damaged"),
    "a slice": ({"array": voxels()[..., 0]}, r"2-D image \(a single slice\)"),
    "three time points": ({"array": np.stack([voxels()] * 3, -1)}, "4-D image .several volumes .* x 3"),
    "three channels": (
        {"array": np.stack([voxels()] * 3, -1)[..., None, :]},
        "colour or vector image .3 values a voxel",
    ),
    "a unit that does not exist": ({"edit": field(123, "B", 5)}, "unit of length that does not exist"),
    "scale of NaN": ({"edit": field(112, "2f", 2.0, NAN)}, "scl_inter"),
    "an offset of values without a slope": ({"edit": field(112, "2f", 0.0, 5.0)}, "without a slope"),
    "header of a pair": ({"edit": field(344, "4s", b"ni1\0")}, "header of a pair"),  # type: ignore[arg-type]
    "ANALYZE": ({"edit": field(344, "4s", bytes(4))}, "ANALYZE"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("read", [lambda path: read_scan(path, None), read_mask], ids=["scan", "mask"])
def test_a_header_that_cannot_be_believed_is_refused_with_its_cause(
    tmp_path: Path, kind: str, read: Callable[[Path], Any]
) -> None:
    changes, cause = BAD[kind]
    path = write_nifti(tmp_path / "bad.nii", **changes)
    with pytest.raises(VolumeError, match=cause) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_metres_that_are_millimetres_are_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "scan.nii", edit=field(123, "B", 1))
    with pytest.raises(VolumeError, match="spacing of 600 mm along x"):
        read_scan(path, None)


def test_nifti_2_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    nibabel.save(nibabel.Nifti2Image(voxels(), affine()), path)
    with pytest.raises(VolumeError, match="is a NIfTI-2 file"):
        read_scan(path, None)


@pytest.mark.parametrize(
    ("name", "damage", "cause"),
    [
        ("cut in the checksum", lambda data: data[:-3], "cut off or damaged"),
        ("other checksum", lambda data: data[:-8] + bytes(4) + data[-4:], "cut off or damaged"),
        ("other length", lambda data: data[:-4] + bytes(4), "cut off or damaged"),
        ("followed by something", lambda data: data + b"rubbish", "cut off or damaged"),
        ("something behind zeros", lambda data: data + bytes(9) + b"x", "cut off or damaged"),
        ("text behind an end of line", lambda data: data + b"\nrubbish", "cut off or damaged"),
        ("second member cut", lambda data: data + gzip.compress(bytes(900))[:-9], "cut off or damaged"),
        ("far too long", lambda data: data + gzip.compress(bytes(1 << 27), 1), "far more than its header says"),
    ],
)
def test_a_compressed_file_is_read_to_its_end_and_its_checksum(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes], cause: str
) -> None:
    path = write_nifti(tmp_path / "scan.nii.gz")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(VolumeError, match=cause):
        read_scan(path, None)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("dtype", [">f4", "<f8"])
def test_voxels_that_are_no_finite_numbers_become_0_as_for_itk_and_are_counted(
    tmp_path: Path, name: str, dtype: str
) -> None:
    array = voxels(dtype)
    array[0, 0, 0], array[5, 6, 7], array[-1, -1, -1] = np.nan, np.inf, -np.inf
    scan = read_scan(write_nifti(tmp_path / name, array, order=dtype[0]), None)
    assert scan.remarks == ("3 voxels are NaN or infinite in the file; they were taken as 0",)
    assert np.array_equal(scan.volume.array, np.nan_to_num(array.T, nan=0, posinf=0, neginf=0))


@pytest.mark.parametrize("padding", [b"\n", b"\r\n", bytes(512), bytes(1 << 19) + b"\n"])
def test_zeros_and_ends_of_lines_behind_the_packed_voxels_are_left_out_and_remarked_on(
    tmp_path: Path, padding: bytes
) -> None:
    path = write_nifti(tmp_path / "scan.nii.gz")
    path.write_bytes(path.read_bytes() + padding)
    scan = read_scan(path, None)
    assert np.array_equal(scan.volume.array, voxels().transpose(2, 1, 0))
    said = f"{len(padding)} zeros or ends of lines follow its packed voxels, and were left out"
    assert scan.remarks == (said,)


def test_a_compressed_file_without_the_ending_is_told_how_to_be_called(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "scan.nii.gz").rename(tmp_path / "scan.nii")
    with pytest.raises(VolumeError, match=r"rename it to end in \.nii\.gz"):
        read_scan(path, None)
