"""MetaImage files: every form that programs write is read right; what cannot be believed is refused with its cause."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.text_volumes import METAIMAGE, SIZE, values, write_metaimage

from mtctl.geometry import VolumeError
from mtctl.io.formats.endings import check_self_contained, open_volume
from mtctl.io.volumes import read_map, read_mask, read_scan, read_volume

BIG = values(">i2").tobytes()
PACKED = zlib.compress(values().tobytes())


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({}, values().tobytes()),
        ({"CompressedData": "True"}, PACKED),
        ({"CompressedData": "True", "CompressedDataSize": str(len(PACKED))}, PACKED),
        ({"CompressedData": "True"}, gzip.compress(values().tobytes())),
        ({"BinaryDataByteOrderMSB": "True"}, BIG),
        ({"BinaryDataByteOrderMSB": None, "ElementByteOrderMSB": "True"}, BIG),
        ({"BinaryData": "False"}, " ".join(str(value) for value in values().ravel()).encode()),
        ({"HeaderSize": "-1"}, b"12345678" + values().tobytes()),
        ({"ElementType": "MET_LONG"}, values("<i4").tobytes()),
        ({"ElementType": "MET_ULONG_LONG"}, values("<u8").tobytes()),
        ({"ElementType": "MET_DOUBLE"}, values("<f8").tobytes()),
        ({"Comment": "a = b: c", "Modality": "MET_MOD_MR"}, None),
        ({"ElementSpacing": None, "ElementSize": "0.7 0.8 1.25"}, None),
        ({"ElementSize": "1 1 1"}, None),
        ({"Offset": None, "Position": "-10 20.5 -3"}, None),
        ({"Offset": None, "Origin": "-10 20.5 -3", "Position": "-10 20.5 -3.0"}, None),
        (
            {
                "NDims": "4",
                "DimSize": "18 17 16 1",
                "ElementSpacing": "0.7 0.8 1.25 3",
                "Offset": "-10 20.5 -3 0",
                "TransformMatrix": "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1",
            },
            None,
        ),
    ],
)
def test_voxels_and_grid_come_in_from_every_form(
    tmp_path: Path, fields: dict[str, str | None], data: bytes | None
) -> None:
    volume = read_volume(write_metaimage(tmp_path / "scan.mha", fields, data))
    assert np.array_equal(volume.array, values())
    assert volume.geometry.spacing == (0.7, 0.8, 1.25) and volume.geometry.origin == (-10, 20.5, -3)


@pytest.mark.parametrize("key", ["TransformMatrix", "Rotation", "Orientation"])
def test_directions_are_taken_by_each_of_their_names_as_itk_does(tmp_path: Path, key: str) -> None:
    path = write_metaimage(tmp_path / "a.mha", {"TransformMatrix": None, key: "0.6 0.8 0 -0.8 0.6 0 0 0 1"})
    direction = read_volume(path).geometry.direction
    assert direction == (0.6, -0.8, 0, 0.8, 0.6, 0, 0, 0, 1) == sitk.ReadImage(str(path)).GetDirection()


@pytest.mark.parametrize(("unit", "factor"), [("cm", 10), ("um", 0.001), ("mm", 1), ("?", 1)])
def test_distances_in_another_unit_come_in_as_millimetres_and_are_remarked_on(
    tmp_path: Path, unit: str, factor: float
) -> None:
    spacing = " ".join(str(size / factor) for size in (0.7, 0.8, 1.25))
    scan = read_scan(
        write_metaimage(tmp_path / "a.mha", {"DistanceUnits": unit, "ElementSpacing": spacing, "Offset": "1 2 3"}), None
    )
    assert np.allclose(scan.volume.geometry.spacing, (0.7, 0.8, 1.25))
    assert np.allclose(scan.volume.geometry.origin, np.array((1, 2, 3)) * factor)
    assert bool(scan.remarks) == (factor != 1)


@pytest.mark.parametrize(("letters", "contradicts"), [("RAI", False), ("LPS", True), ("RIA", True), ("???", False)])
def test_letters_that_contradict_the_directions_are_remarked_on(
    tmp_path: Path, letters: str, contradicts: bool
) -> None:
    scan = read_scan(write_metaimage(tmp_path / "a.mha", {"AnatomicalOrientation": letters}), None)
    assert scan.volume.geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert any("check left and right" in remark for remark in scan.remarks) == contradicts


def test_texts_of_other_programs_may_have_several_lines_and_be_given_twice(tmp_path: Path) -> None:
    texts = {"0010|4000": "one line\nanother line\n\n and: a third", "Comment": "x\nComment = y"}
    plain = read_scan(write_metaimage(tmp_path / "a.mha", {}), None)
    scan = read_scan(write_metaimage(tmp_path / "b.mha", texts), None)
    assert np.array_equal(scan.volume.array, plain.volume.array) and scan.volume.geometry == plain.volume.geometry


def test_a_file_without_an_origin_is_remarked_on(tmp_path: Path) -> None:
    scan = read_scan(write_metaimage(tmp_path / "a.mha", {"Offset": None}), None)
    assert scan.volume.geometry.origin == (0, 0, 0)
    assert "does not say where the scan lies" in scan.remarks[0]


REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "an unknown unit": ({"DistanceUnits": "furlong"}, "distances are in 'furlong'"),
    "dimensions below 0": ({"NDims": "-1"}, "header is damaged"),
    "a billion dimensions": ({"NDims": "1000000000"}, "header is damaged"),
    "more dimensions than sizes": ({"NDims": "4"}, "header is damaged"),
    "no size": ({"DimSize": "18 17 0"}, "are none"),
    "sizes below 0": ({"DimSize": "18 -17 -16"}, "are none"),
    "a size beyond all scans": ({"DimSize": "18 17 999999999"}, "cannot be a scan"),
    "an infinite direction": ({"TransformMatrix": "1 0 0 0 1 0 0 0 inf"}, "not finite"),
    "four numbers of directions": ({"TransformMatrix": "1 0 0 1"}, "header is damaged"),
    "a sheared grid": ({"TransformMatrix": "1 0 0 0.1 1 0 0 0 1"}, "right angles"),
    "a spacing of 0": ({"ElementSpacing": "1 0 1"}, "spacing is 0"),
    "a spacing below 0": ({"ElementSpacing": "1 -1 1"}, "impossible"),
    "a spacing of two numbers": ({"ElementSpacing": "1 1"}, "spacing is missing"),
    "decimal commas": ({"ElementSpacing": "0,7 0,8 1,25"}, "header is damaged"),
    "an infinite origin": ({"Offset": "0 0 nan"}, "no usable origin"),
    "two origins": ({"Position": "1 2 3"}, "twice, differently"),
    "a line without a sign": ({"Offset": None, "Comment": "x\nOffset 1 2 3"}, "of its header is none of a MetaImage"),
    "a field twice": ({"ElementSpacing ": "1 1 1"}, "'ElementSpacing' twice"),
    "no type": ({"ElementType": "MET_STRING"}, "of type 'MET_STRING'"),
    "three values a voxel": ({"ElementNumberOfChannels": "3", "DimSize": "6 17 16"}, "3 values a voxel"),
    "two time points": (
        {"NDims": "4", "DimSize": "18 17 8 2", "ElementSpacing": "1 1 1 1", "Offset": "0 0 0 0"},
        "several volumes",
    ),
    "a surface": ({"ObjectType": "Mesh"}, "holds no image but 'Mesh'"),
    "fewer voxels": ({"DimSize": "18 17 17"}, "cut off or damaged"),
    "more voxels": ({"DimSize": "18 17 15"}, "more voxels than its header says"),
    "more packed bytes than there are": ({"CompressedData": "True", "CompressedDataSize": "99999999"}, "cut off"),
    "fewer packed bytes than there are": ({"CompressedData": "True", "CompressedDataSize": "17"}, "cut off"),
    "no name of a file": ({"ElementDataFile": ""}, "does not say where the voxels are"),
    "any file of the machine": ({"ElementDataFile": "/etc/hostname"}, "another folder"),
    "a file in the folder above": ({"ElementDataFile": "..\\scan.raw"}, "another folder"),
    "a file that is missing": ({"ElementDataFile": "scan.raw"}, "scan.raw, which is missing"),
    "slices that are missing": ({"ElementDataFile": "s%02d.raw 1 16 1"}, "s01.raw, which is missing"),
    "another number of slices": ({"ElementDataFile": "s%02d.raw 1 8 1"}, "8 files for 16 slices"),
    "a pattern that writes memory": ({"ElementDataFile": "s%n.raw 1 16 1"}, "not understood"),
}


@pytest.mark.parametrize("compressed", ["True", "False"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_believed_is_refused_with_its_cause_whatever_it_is_read_as(
    tmp_path: Path, case: str, compressed: str
) -> None:
    fields, cause = REFUSED[case]
    path = write_metaimage(tmp_path / "bad.mha", {"CompressedData": compressed} | fields)
    for read in (read_volume, read_mask, read_map):
        with pytest.raises(VolumeError, match=cause):
            read(path)


def test_64_bytes_of_text_are_no_header_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.mha"
    for dimensions in (b"-1", b"2147483647", b"99999999999999999999"):
        path.write_bytes(b"NDims = " + dimensions + b"\n" + b"x" * 64)
        with pytest.raises(VolumeError, match="cut off or damaged"):
            read_volume(path)


@pytest.mark.parametrize("detached", [False, True])
def test_packed_voxels_are_checked_to_the_last_byte(tmp_path: Path, detached: bool) -> None:
    rng = np.random.default_rng(5)
    damaged = [PACKED[:-1], PACKED[: len(PACKED) // 2], PACKED + b"more", PACKED[:-64]]
    for place in rng.integers(2, len(PACKED) - 5, 30):  # a few bits before the checksum mean nothing
        damaged.append(PACKED[:place] + bytes([PACKED[place] ^ (1 << int(rng.integers(8)))]) + PACKED[place + 1 :])
        damaged.append(PACKED[:place] + bytes(512) + PACKED[place + 512 :])
    fields = {"CompressedData": "True", "ElementDataFile": "bad.zraw" if detached else "LOCAL"}
    for content in damaged:
        (tmp_path / "bad.zraw").write_bytes(content)
        path = write_metaimage(tmp_path / "bad.mha", fields, b"" if detached else content)
        with pytest.raises(VolumeError, match=r"cut off or damaged|more voxels"):
            read_volume(path)


@pytest.mark.parametrize("form", ["LIST", "LIST 2", "s%02d.raw 1 16 1", "s%02d.raw 1 16"])
def test_voxels_in_a_file_a_slice_are_read_and_a_missing_one_is_named(tmp_path: Path, form: str) -> None:
    names = [f"s{number:02d}.raw" for number in range(1, 17)]
    for name, part in zip(names, values(), strict=True):
        (tmp_path / name).write_bytes(part.tobytes())
    listed = "".join(f"{name}\n" for name in names).encode() if form.startswith("LIST") else b""
    path = write_metaimage(tmp_path / "scan.mhd", {"ElementDataFile": form}, listed)
    assert np.array_equal(read_volume(path).array, values())
    (tmp_path / "s07.raw").unlink()
    with pytest.raises(VolumeError, match=r"s07\.raw, which is missing"):
        read_volume(path)


def test_of_two_lines_that_say_where_the_voxels_are_the_first_counts_as_for_other_programs(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret " * 4000)
    header = "".join(f"{key} = {value}\n" for key, value in METAIMAGE.items() if key != "ElementDataFile")
    path = tmp_path / "a.mha"
    path.write_bytes(header.encode() + b"ElementDataFile = secret\nElementDataFile = LOCAL\n" + values().tobytes())
    with pytest.raises(VolumeError, match="second file"):
        check_self_contained(path)
    path.write_bytes(header.encode() + b"ElementDataFile = LOCAL\nElementDataFile = secret\n" + values().tobytes())
    check_self_contained(path)
    with pytest.raises(VolumeError, match="more voxels"):
        read_volume(path)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("ending", [".mha", ".mhd"])
def test_what_itk_writes_is_read_as_itk_reads_it(tmp_path: Path, ending: str, compressed: bool) -> None:
    image = sitk.GetImageFromArray(values(np.uint32))
    image.SetSpacing((0.6251234567891234, 1 / 3, 2.00000001))
    image.SetOrigin((-101.2, 1e3 / 7, 5.0))
    image.SetDirection((0.36, 0.48, -0.8, -0.8, 0.6, 0, 0.48, 0.64, 0.6))
    sitk.WriteImage(image, str(tmp_path / f"itk{ending}"), useCompression=compressed)
    file, itk = open_volume(tmp_path / f"itk{ending}"), sitk.ReadImage(str(tmp_path / f"itk{ending}"))
    assert np.array_equal(file.read_voxels(), sitk.GetArrayFromImage(itk))
    grid = file.geometry
    assert (grid.size, grid.spacing, grid.origin) == (SIZE, itk.GetSpacing(), itk.GetOrigin())
    assert grid.direction == itk.GetDirection() and file.remarks == ()
