"""NRRD files: every form that programs write is read right; what cannot be believed is refused with its cause."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from support.text_volumes import SIZE, values, write_nrrd

from mtctl.commands.main import main
from mtctl.geometry import VolumeError
from mtctl.io.formats import voxel_data
from mtctl.io.formats.endings import check_self_contained, open_volume
from mtctl.io.volumes import read_map, read_mask, read_scan, read_volume

BIG = values(">i2").tobytes()
TEXT = " ".join(str(value) for value in values().ravel()).encode()


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({}, values().tobytes()),
        ({"encoding": "gzip"}, gzip.compress(values().tobytes())),
        ({"encoding": "gz"}, gzip.compress(values().tobytes()[:999]) + gzip.compress(values().tobytes()[999:])),
        ({"encoding": "gzip"}, gzip.compress(values().tobytes()) + bytes(512)),
        ({"encoding": "bzip2"}, bz2.compress(values().tobytes())),
        ({"encoding": "ascii", "endian": None}, TEXT),
        ({"encoding": "txt"}, TEXT.replace(b" ", b"\n") + b"\n"),
        ({"encoding": "hex"}, values().tobytes().hex().encode()),
        ({"encoding": "text", "type": "double"}, TEXT.replace(b" ", b", ")),
        ({"space dimension": "3"}, None),
        ({"endian": "big"}, BIG),
        ({"encoding": "gzip", "endian": "big"}, gzip.compress(BIG)),
        ({"byte skip": "5"}, b"12345" + values().tobytes()),
        ({"byte skip": "-1"}, b"12345678" + values().tobytes()),
        ({"encoding": "gzip", "byte skip": "5"}, gzip.compress(b"12345" + values().tobytes())),
        ({"line skip": "2"}, b"two\nlines\n" + values().tobytes()),
        ({"type": "signed short int"}, values().tobytes()),
        ({"type": "float"}, values("<f4").tobytes()),
        ({"type": "uint8_t", "endian": None}, values("u1").tobytes()),
        ({"type": "unsigned long long"}, values("<u8").tobytes()),
        ({"content": "a: b", "kinds": "domain domain domain", "centerings": "cell cell cell"}, values().tobytes()),
        ({"dimension": "4", "sizes": "18 17 16 1", "space directions": "(0.7,0,0) (0,0.8,0) (0,0,1.25) none"}, None),
        ({"dimension": "4", "sizes": "1 18 17 16", "space directions": "none (0.7,0,0) (0,0.8,0) (0,0,1.25)"}, None),
        (
            {"dimension": "4", "sizes": "1 18 17 16", "space directions": "(nan,nan,nan) (.7,0,0) (0,.8,0) (0,0,1.25)"},
            None,
        ),
    ],
)
def test_voxels_come_in_from_every_encoding_and_type(
    tmp_path: Path, fields: dict[str, str | None], data: bytes | None
) -> None:
    volume = read_volume(write_nrrd(tmp_path / "scan.nrrd", fields, data))
    assert np.array_equal(volume.array, values())
    assert volume.geometry.spacing == (0.7, 0.8, 1.25) and volume.geometry.origin == (-10, 20.5, -3)


@pytest.mark.parametrize(
    ("space", "sign"),
    [
        ("right-anterior-superior", (-1, -1, 1)),
        ("RAS", (-1, -1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
        ("LAS", (1, -1, 1)),
        ("left-posterior-superior", (1, 1, 1)),
        ("LPS", (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("timed", [False, True])
def test_every_space_is_turned_into_left_posterior_superior(
    tmp_path: Path, space: str, sign: tuple[int, ...], timed: bool
) -> None:
    fields = {"space": space, "space directions": "(0.48,0.64,0) (0.8,-0.6,0) (0,0,-1.25)"}
    if timed:
        fields = {
            "space": space + ("T" if space.isupper() else "-time"),
            "dimension": "4",
            "sizes": "18 17 16 1",
            "space directions": "(0.48,0.64,0,0) (0.8,-0.6,0,0) (0,0,-1.25,0) (0,0,0,3)",
            "space origin": "(-10,20.5,-3,0)",
        }
    scan = read_scan(write_nrrd(tmp_path / "scan.nrrd", fields), None)
    columns = np.array([[0.48, 0.64, 0], [0.8, -0.6, 0], [0, 0, -1.25]]).T * np.array(sign)[:, None]
    affine = scan.volume.geometry.matrix * scan.volume.geometry.spacing
    assert np.allclose(affine, columns, atol=1e-12)
    assert np.allclose(scan.volume.geometry.origin, np.array([-10, 20.5, -3]) * sign)
    assert scan.remarks == ()


@pytest.mark.parametrize("space", ["3D-left-handed", "3D-right-handed", "scanner-xyz"])
def test_a_space_that_says_nothing_of_left_and_right_is_remarked_on(tmp_path: Path, space: str) -> None:
    scan = read_scan(write_nrrd(tmp_path / "scan.nrrd", {"space": space}), None)
    assert any(space.lower() in remark and "left and right" in remark for remark in scan.remarks)


@pytest.mark.parametrize(("unit", "factor"), [("cm", 10), ("m", 1000), ("in", 25.4), ("µm", 0.001), ("mm", 1), ("", 1)])
def test_distances_in_another_unit_come_in_as_millimetres_and_are_remarked_on(
    tmp_path: Path, unit: str, factor: float
) -> None:
    steps = " ".join(
        "(" + ",".join(str(size / factor if row == axis else 0) for row in range(3)) + ")"
        for axis, size in enumerate((0.7, 0.8, 1.25))
    )
    fields = {"space units": f'"{unit}" "{unit}" "{unit}"', "space directions": steps, "space origin": "(1,2,3)"}
    scan = read_scan(write_nrrd(tmp_path / "scan.nrrd", fields), None)
    assert np.allclose(scan.volume.geometry.spacing, (0.7, 0.8, 1.25))
    assert np.allclose(scan.volume.geometry.origin, np.array((1, 2, 3)) * factor)
    assert bool(scan.remarks) == (factor != 1)


@pytest.mark.parametrize("lines", ["dicom:0010:=x: y", "https://a.org/:=z", "note:=x\nnote:=y", "min:=0"])
def test_a_key_of_another_program_may_hold_a_colon_be_called_like_a_field_and_be_given_twice(
    tmp_path: Path, lines: str
) -> None:
    scan = read_scan(write_nrrd(tmp_path / "a.nrrd", {"content": f"x\n{lines}"}), None)
    assert np.array_equal(scan.volume.array.ravel(), values().ravel()) and scan.remarks == ()


def test_a_file_without_an_origin_is_remarked_on(tmp_path: Path) -> None:
    scan = read_scan(write_nrrd(tmp_path / "scan.nrrd", {"space origin": None}), None)
    assert scan.volume.geometry.origin == (0, 0, 0)
    assert "does not say where the scan lies" in scan.remarks[0]


def test_a_file_of_spacings_alone_is_taken_as_it_lies_and_remarked_on(tmp_path: Path) -> None:
    fields = {"space": None, "space directions": None, "space origin": None, "spacings": "0.7 0.8 1.25"}
    scan = read_scan(write_nrrd(tmp_path / "scan.nrrd", fields), None)
    assert scan.volume.geometry.spacing == (0.7, 0.8, 1.25)
    assert "does not say how the patient lies" in scan.remarks[0]


REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "an unknown unit": ({"space units": '"furlong" "furlong" "furlong"'}, "distances are in '\"furlong\"'"),
    "two units": ({"space units": '"mm" "mm" "cm"'}, "different units"),
    "a direction beyond all numbers": ({"space directions": "(1e308,1e308,0) (0,1,0) (0,0,1)"}, "larger than any scan"),
    "an infinite direction": ({"space directions": "(inf,0,0) (0,1,0) (0,0,1)"}, "not finite"),
    "a direction of length 0": ({"space directions": "(0,0,0) (0,1,0) (0,0,1)"}, "spacing is 0"),
    "a sheared grid": ({"space directions": "(1,0,0) (0.1,1,0) (0,0,1)"}, "right angles"),
    "two numbers in a vector": ({"space directions": "(1,0) (0,1) (0,1)"}, "header is damaged"),
    "decimal commas": ({"space directions": "(0,7,0,0) (0,0,8,0) (0,0,1,25)"}, "header is damaged"),
    "an infinite origin": ({"space origin": "(inf,0,0)"}, "no usable origin"),
    "an origin 1000 km away": ({"space origin": "(1e9,0,0)"}, "impossible"),
    "an unknown space": ({"space": "left-posterior-inferior"}, "a space that is not known"),
    "an unknown field": ({"spacf units": '"mm" "mm" "mm"'}, "none of a NRRD file"),
    "a field twice": ({"Space Origin": "(0,0,0)"}, "'spaceorigin' twice"),
    "an unknown encoding": ({"encoding": "zstd"}, "encoded as 'zstd'"),
    "blocks": ({"type": "block", "block size": "2"}, "of type 'block'"),
    "no byte order": ({"endian": None}, "order of a voxel's bytes"),
    "more sizes than dimensions": ({"sizes": "18 17 16 1"}, "header is damaged"),
    "no size": ({"sizes": "18 17 0"}, "are none"),
    "a size below 0": ({"sizes": "18 -17 -16"}, "are none"),
    "a size beyond all scans": ({"sizes": "99999999 17 16"}, "cannot be a scan"),
    "a size of a fraction": ({"sizes": "18 17 16.5"}, "header is damaged"),
    "three values a voxel": (
        {
            "dimension": "4",
            "sizes": "2 9 17 16",
            "kinds": "vector domain domain domain",
            "space directions": "none (1,0,0) (0,1,0) (0,0,1)",
        },
        "2 values a voxel",
    ),
    "two time points": (
        {
            "dimension": "4",
            "sizes": "18 17 8 2",
            "kinds": "domain domain domain time",
            "space directions": "(1,0,0) (0,1,0) (0,0,1) none",
        },
        "2 values a voxel|several volumes",
    ),
    "fewer voxels": ({"sizes": "18 17 17"}, "cut off or damaged"),
    "more voxels": ({"sizes": "18 17 15"}, "more voxels than its header says"),
    "a file in another folder": ({"data file": "../scan.raw"}, "another folder"),
    "any file of the machine": ({"data file": "/etc/hostname"}, "another folder"),
    "a file that is missing": ({"data file": "scan.raw"}, "scan.raw, which is missing"),
    "slices that are missing": ({"data file": "s%02d.raw 1 16 1"}, "s01.raw, which is missing"),
    "a pattern that writes memory": ({"data file": "s%n.raw 1 16 1"}, "not understood"),
    "a billion slices": ({"data file": "s%d.raw 1 1000000000 1"}, "not understood"),
}


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_believed_is_refused_with_its_cause_whatever_it_is_read_as(
    tmp_path: Path, case: str, encoding: str
) -> None:
    fields, cause = REFUSED[case]
    path = write_nrrd(tmp_path / "bad.nrrd", {"encoding": encoding} | fields)
    for read in (read_volume, read_mask, read_map):
        with pytest.raises(VolumeError, match=cause):
            read(path)


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_packed_voxels_are_checked_to_the_last_byte(tmp_path: Path, encoding: str) -> None:
    packed = (gzip if encoding == "gzip" else bz2).compress(values().tobytes())
    rng = np.random.default_rng(5)
    damaged = [packed[:-1], packed[: len(packed) // 2], packed + b"more", packed[:-64]]
    for place in rng.integers(20, len(packed) - 9, 30):  # a few bits before the checksum mean nothing
        damaged.append(packed[:place] + bytes([packed[place] ^ (1 << int(rng.integers(8)))]) + packed[place + 1 :])
        damaged.append(packed[:place] + bytes(512) + packed[place + 512 :])
    for content in damaged:
        path = write_nrrd(tmp_path / "bad.nrrd", {"encoding": encoding}, content)
        with pytest.raises(VolumeError, match=r"cut off or damaged|more voxels"):
            read_volume(path)


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_an_end_of_line_and_zeros_after_packed_voxels_are_padding_and_thousands_of_empty_streams_are_none(
    tmp_path: Path, encoding: str
) -> None:
    pack = (gzip if encoding == "gzip" else bz2).compress
    content = values().tobytes()
    streams = b"".join(pack(content[start : start + 1000]) for start in range(0, len(content), 1000))
    for padded in (streams + b"\r\n", streams + bytes(300_000), streams + pack(b"")):
        scan = read_volume(write_nrrd(tmp_path / "a.nrrd", {"encoding": encoding}, padded))
        assert np.array_equal(scan.array.ravel(), values().ravel())
    with pytest.raises(VolumeError, match="cut off or damaged"):
        read_volume(write_nrrd(tmp_path / "a.nrrd", {"encoding": encoding}, pack(b"") * 5000 + streams))


@pytest.mark.slow
def test_what_unpacks_to_more_than_the_header_says_is_not_unpacked_to_its_end(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(1 << 28), 9)
    taken: list[int] = []

    with pytest.MonkeyPatch.context() as patch:
        import zlib

        real = zlib.decompressobj

        class Counting:
            def __init__(self, bits: int) -> None:
                self._real = real(bits)

            def decompress(self, data: bytes, most: int) -> bytes:
                piece = self._real.decompress(data, most)
                taken.append(len(piece))
                return piece

            def __getattr__(self, name: str) -> object:
                return getattr(self._real, name)

        patch.setattr(zlib, "decompressobj", Counting)
        with pytest.raises(VolumeError, match="more voxels"):
            read_volume(write_nrrd(tmp_path / "bomb.nrrd", {"encoding": "gzip"}, bomb))
    assert sum(taken) < 1 << 23


@pytest.mark.parametrize("lines", [60_000, 2_000_000])
def test_a_header_without_end_is_refused(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "bad.nrrd"
    path.write_bytes(b"NRRD0005\n" + b"".join(b"k%d:=v\n" % number for number in range(lines)) + b"\n")
    with pytest.raises(VolumeError, match="longer than any header"):
        read_volume(path)


@pytest.mark.parametrize("form", ["LIST", "s%02d.raw 1 16 1", "s%02d.raw 1 16 1 2"])
def test_voxels_in_a_file_a_slice_are_read_and_a_missing_one_is_named(tmp_path: Path, form: str) -> None:
    names = [f"s{number:02d}.raw" for number in range(1, 17)]
    for name, part in zip(names, values(), strict=True):
        (tmp_path / name).write_bytes(part.tobytes())
    more = "\n" + "\n".join(names) if form == "LIST" else ""
    path = write_nrrd(tmp_path / "scan.nhdr", {"data file": form + more}, b"")
    if form == "LIST":  # nothing may follow the names
        path.write_bytes(path.read_bytes().rstrip() + b"\n")
    assert np.array_equal(read_volume(path).array, values())
    (tmp_path / "s07.raw").unlink()
    with pytest.raises(VolumeError, match=r"s07\.raw, which is missing"):
        read_volume(path)


def test_a_link_beside_a_header_shows_no_file_of_another_folder(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "private.raw").write_bytes(values().tobytes())
    (tmp_path / "here" / "scan.raw").symlink_to(tmp_path / "private.raw")
    path = write_nrrd(tmp_path / "here" / "scan.nhdr", {"data file": "scan.raw"}, b"")
    with pytest.raises(VolumeError, match="link into another folder"):
        read_volume(path)


def test_only_a_file_that_holds_its_own_voxels_is_self_contained(tmp_path: Path) -> None:
    check_self_contained(write_nrrd(tmp_path / "a.nrrd"))
    for key in ("data file", "datafile", "DATA FILE"):
        with pytest.raises(VolumeError, match="second file"):
            check_self_contained(write_nrrd(tmp_path / "b.nrrd", {key: "a.nrrd"}))


@pytest.mark.parametrize("compressed", [True, False])
def test_what_itk_and_pynrrd_write_is_read_as_they_read_it(tmp_path: Path, compressed: bool) -> None:
    image = sitk.GetImageFromArray(values(np.float64))
    image.SetSpacing((0.6251234567891234, 1 / 3, 2.00000001))
    image.SetOrigin((-101.2, 1e3 / 7, 5.0))
    image.SetDirection((0.36, 0.48, -0.8, -0.8, 0.6, 0, 0.48, 0.64, 0.6))
    for ending in (".nrrd", ".nhdr"):
        sitk.WriteImage(image, str(tmp_path / f"itk{ending}"), useCompression=compressed)
        file, itk = open_volume(tmp_path / f"itk{ending}"), sitk.ReadImage(str(tmp_path / f"itk{ending}"))
        assert np.array_equal(file.read_voxels(), sitk.GetArrayFromImage(itk))
        grid = file.geometry
        assert (grid.size, grid.spacing, grid.origin) == (SIZE, itk.GetSpacing(), itk.GetOrigin())
        assert grid.direction == itk.GetDirection()
    header = {"space": "RAS", "space directions": np.diag([0.7, 0.8, 1.25]), "space origin": np.array([1, 2, 3])}
    header |= {"encoding": "gzip" if compressed else "raw", "kinds": ["domain"] * 3}
    nrrd.write(str(tmp_path / "py.nrrd"), values().T, header)
    file = open_volume(tmp_path / "py.nrrd")
    assert np.array_equal(file.read_voxels(), values())
    assert file.geometry.origin == (-1, -2, 3) and file.geometry.direction == (-1, 0, 0, 0, -1, 0, 0, 0, 1)


def test_what_is_odd_is_said_when_a_case_is_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTCTL_CASES", str(tmp_path / "store"))
    path = write_nrrd(tmp_path / "scan.nrrd", {"space": "3D-left-handed"})
    assert main(["cases", "add", str(path)]) == 0
    said = capsys.readouterr().err
    assert "warning: " in said and "check left and right" in said


def test_text_is_read_in_blocks_whatever_stands_at_their_borders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in (7, 64, 1000):
        monkeypatch.setattr(voxel_data, "_BLOCK", block)
        for text in (TEXT, TEXT.replace(b" ", b","), TEXT.replace(b" ", b", ") + b"\n"):
            path = write_nrrd(tmp_path / "scan.nrrd", {"encoding": "ascii"}, text)
            assert np.array_equal(open_volume(path).read_voxels(), values())
    for text in (TEXT + b" 1", TEXT[: len(TEXT) // 2], TEXT.replace(b" ", b"x"), TEXT.replace(b" ", b" 70000 ", 1)):
        with pytest.raises(VolumeError):
            read_volume(write_nrrd(tmp_path / "bad.nrrd", {"encoding": "ascii"}, text))
