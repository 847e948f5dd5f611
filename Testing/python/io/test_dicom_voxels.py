"""What the voxels of DICOM slices are worth, in every way in which they are stored, compared with pydicom."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from support.dicom_truth import assert_as_pydicom, read_folder
from support.scanner_series import Edit, put, small_scan, write_frames, write_slices

from mtctl.geometry import VolumeError
from mtctl.io.dicom.series import choose_series

pydicom = pytest.importorskip("pydicom")

SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "big endian": "1.2.840.10008.1.2.2",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "JPEG2000",
    "JPEG lossless": "JPEG",
}


def rewrite(file: Path, syntax: str) -> None:
    """Write the same slice or frames in another transfer syntax."""
    data = pydicom.dcmread(file)
    if syntax.startswith("JPEG"):  # encoded by GDCM
        _encode(file, data, syntax)
    elif syntax in (SYNTAXES["RLE"], SYNTAXES["JPEG-LS"]):
        data.compress(syntax, generate_instance_uid=False)
        data.save_as(file)
    else:
        data.file_meta.TransferSyntaxUID = syntax
        little = syntax != SYNTAXES["big endian"]
        if not little:
            data.PixelData = np.frombuffer(data.PixelData, "<u2").byteswap().tobytes()
        implicit = syntax == SYNTAXES["implicit"]
        pydicom.dcmwrite(file, data, implicit_vr=implicit, little_endian=little, force_encoding=True)


def _encode(file: Path, data: Any, compressor: str) -> None:
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    frames = []
    for frame in data.pixel_array.reshape(-1, data.Rows, data.Columns):
        writer.SetFileName(str(file.with_suffix(".encoded")))
        writer.Execute(sitk.GetImageFromArray(frame[None]))
        encoded = pydicom.dcmread(file.with_suffix(".encoded"))
        frames += list(pydicom.encaps.generate_frames(encoded.PixelData, number_of_frames=1))
        file.with_suffix(".encoded").unlink()
    data.file_meta.TransferSyntaxUID = encoded.file_meta.TransferSyntaxUID
    data.PixelData = pydicom.encaps.encapsulate(frames)
    data["PixelData"].VR = "OB"
    data.save_as(file)


@pytest.mark.slow
@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("write", [write_slices, write_frames], ids=["slices", "frames"])
def test_every_transfer_syntax_gives_the_same_voxels(
    tmp_path: Path, syntax: str, write: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    array, geometry = small_scan()
    folder = write(tmp_path / "in", (array, geometry))
    plain = read_folder(folder)
    assert_as_pydicom(folder, plain)
    for file in folder.glob("*.dcm"):
        rewrite(file, SYNTAXES[syntax])
    volume = read_folder(folder)
    assert volume.array.dtype == np.float32 and np.array_equal(volume.array, array)
    assert volume.geometry == plain.geometry
    assert capfd.readouterr().err == ""


def test_files_without_preamble_are_read_in_either_coding(tmp_path: Path) -> None:
    array, geometry = small_scan()
    for implicit in (True, False):
        folder = write_slices(tmp_path / str(implicit), (array, geometry))
        for file in folder.glob("*.dcm"):
            bare = pydicom.Dataset()
            bare.update(pydicom.dcmread(file))
            bare.save_as(file, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
            assert file.read_bytes()[128:132] != b"DICM"
        assert np.array_equal(read_folder(folder).array, array)


def test_a_file_that_is_coded_otherwise_than_it_says_is_read_as_it_is(tmp_path: Path) -> None:
    array, geometry = small_scan()
    folder = write_slices(tmp_path, (array, geometry))
    for file in folder.glob("*.dcm"):
        content = file.read_bytes()
        said = b"1.2.840.10008.1.2.1\0"
        assert said in content
        file.write_bytes(content.replace(said, b"1.2.840.10008.1.2\0\0\0", 1))
    assert np.array_equal(read_folder(folder).array, array)


@pytest.mark.parametrize(("kind", "length"), [(b"O\xff", None), (b"OW", 5000)])
def test_a_damaged_beginning_of_the_voxels_does_not_move_them(tmp_path: Path, kind: bytes, length: int | None) -> None:
    write_slices(tmp_path, small_scan())
    victim = tmp_path / "03.dcm"
    content = victim.read_bytes()
    begin = b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", 240)
    assert begin in content
    damaged = b"\xe0\x7f\x10\x00" + kind + b"\0\0" + struct.pack("<I", length or 240)
    victim.write_bytes(content.replace(begin, damaged))
    with pytest.raises(VolumeError, match=r"03\.dcm says that it holds [0-9]+ bytes of voxels and holds 24[04]"):
        read_folder(tmp_path)


def stored(array: Any, bits: tuple[int, int, int], signed: bool, kind: str = "MONOCHROME2") -> Edit:
    """Slices that hold `array`, (slices, rows, columns), in so many bits: allocated, stored, the highest."""

    def edit(data: Any, number: int) -> None:
        data.BitsAllocated, data.BitsStored, data.HighBit = bits
        data.PixelRepresentation, data.PhotometricInterpretation = int(signed), kind
        data.PixelData = array[number].astype(f"<u{bits[0] // 8}").tobytes()

    return edit


_POSITIVE = small_scan()[0].astype(np.int64)
_SIGNED = _POSITIVE - 500
BITS = {
    "16 of 16 with sign": (_SIGNED, (16, 16, 15), True, _SIGNED),
    "16 of 16": (_POSITIVE + 40000, (16, 16, 15), False, _POSITIVE + 40000),
    "12 of 16": (_POSITIVE, (16, 12, 11), False, _POSITIVE),
    "12 of 16 with sign": (_SIGNED & 0xFFF, (16, 12, 11), True, _SIGNED),
    "12 of 16, an overlay above": (_POSITIVE | 0x5000, (16, 12, 11), False, _POSITIVE),
    "12 of 16 with sign, an overlay above": ((_SIGNED & 0xFFF) | 0x5000, (16, 12, 11), True, _SIGNED),
    "8 of 8": (_POSITIVE // 4, (8, 8, 7), False, _POSITIVE // 4),
    "32 of 32": (_POSITIVE * 1000, (32, 32, 31), False, _POSITIVE * 1000),
    "the upper 12 of 16": (_POSITIVE << 4, (16, 12, 15), False, _POSITIVE),
    "the upper 12 of 16 with sign": ((_SIGNED << 4) & 0xFFFF, (16, 12, 15), True, _SIGNED),
    "16 of 16, of which the highest is called 11": (_POSITIVE, (16, 16, 11), False, _POSITIVE),
    "16 of 32 with sign": (_SIGNED & 0xFFFF, (32, 16, 15), True, _SIGNED),
}


@pytest.mark.parametrize("kind", BITS)
def test_the_bits_that_count_are_taken_with_their_sign(tmp_path: Path, kind: str) -> None:
    array, bits, signed, expected = BITS[kind]
    write_slices(tmp_path, small_scan(), stored(array, bits, signed))
    assert np.array_equal(read_folder(tmp_path).array, expected.astype(np.float32))


@pytest.mark.parametrize(("bits", "signed", "most"), [((16, 12, 11), False, 4095), ((16, 16, 15), True, -1)])
def test_low_values_that_are_bright_are_turned_round_and_that_is_said(
    tmp_path: Path, bits: tuple[int, int, int], signed: bool, most: int
) -> None:
    write_slices(tmp_path, small_scan(), stored(_POSITIVE, bits, signed, "MONOCHROME1"))
    assert np.array_equal(read_folder(tmp_path).array, (most - _POSITIVE).astype(np.float32))
    assert "MONOCHROME1" in choose_series(tmp_path).remark


@pytest.mark.parametrize("low_bits", [0, 4])
def test_values_in_the_upper_bits_and_tables_that_were_not_applied_are_said(tmp_path: Path, low_bits: int) -> None:
    held = stored(_POSITIVE << low_bits, (16, 12, 11 + low_bits), False, "monochrome2")

    def edit(data: Any, number: int) -> None:
        held(data, number)
        data.ModalityLUTSequence = [pydicom.Dataset()]

    write_slices(tmp_path, small_scan(), edit)
    remark = choose_series(tmp_path).remark
    assert "a table for their values (Modality LUT), which was not applied" in remark
    assert ("in the upper 12 of 16 bits" in remark) == (low_bits > 0)


@pytest.mark.parametrize("kind", [b"??", b"  ", b"\0\0"])
def test_private_elements_of_no_kind_are_passed_over(tmp_path: Path, kind: bytes) -> None:
    array, geometry = small_scan()

    def private(data: Any, number: int) -> None:
        data.private_block(0x0029, "SOMEBODY", create=True).add_new(1, "LO", "abcd")

    element = b"\x29\x00\x01\x10"
    write_slices(tmp_path, (array, geometry), private, {element + b"LO": element + kind})
    assert np.array_equal(read_folder(tmp_path).array, array)


def scales(data: Any, number: int) -> None:
    data.RescaleSlope, data.RescaleIntercept = f"{0.25 + number / 8:.3f}", f"{-number - 0.5}"


def test_each_slice_has_its_own_scale(tmp_path: Path) -> None:
    write_slices(tmp_path, small_scan(), scales)
    volume = read_folder(tmp_path)
    assert_as_pydicom(tmp_path, volume)
    factors = 0.25 + np.arange(8) / 8
    assert np.allclose(volume.array, small_scan()[0] * factors[:, None, None] - np.arange(8)[:, None, None] - 0.5)


def test_an_empty_scale_is_none_and_a_slope_of_0_says_nothing(tmp_path: Path) -> None:
    array, geometry = small_scan()
    for name, slope, intercept in (("empty", "", ""), ("zero", "0", "0")):
        folder = write_slices(
            tmp_path / name, (array, geometry), lambda data, _, pair=(slope, intercept): set_scale(data, *pair)
        )
        assert np.array_equal(read_folder(folder).array, array)


def set_scale(data: Any, slope: str, intercept: str) -> None:
    put(data, "RescaleSlope", slope)
    put(data, "RescaleIntercept", intercept)


def colour(data: Any, number: int) -> None:
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = bytes(data.Rows * data.Columns * 3)


def setting(**values: Any) -> Edit:
    def edit(data: Any, number: int) -> None:
        for keyword, value in values.items():
            # Text that pydicom would not take for a number.
            put(data, keyword, value, "LO" if keyword.startswith("Rescale") else None)

    return edit


BAD: dict[str, tuple[Edit, str]] = {
    "colour": (colour, "in colour .3 values a voxel, RGB"),
    "a palette": (setting(PhotometricInterpretation="PALETTE COLOR"), "in colour .1 value a voxel, PALETTE"),
    "more bits than there are": (setting(BitsStored=17), "17 of 16 bits"),
    "no bits": (setting(BitsStored=0), "0 of 16 bits"),
    "something below the bits that count": (setting(BitsStored=12), "upper 12 bits of 16 .* the lower ones hold"),
    "a high bit outside": (setting(HighBit=20), "the highest number 20"),
    "12 bits without gaps": (setting(BitsAllocated=12, BitsStored=12, HighBit=11), "12 of 12 bits"),
    "no rows": (setting(Rows=0), "no rows or columns"),
    "a slope that is no number": (setting(RescaleSlope="one"), r"RescaleSlope, 0028,1053"),
    "a slope that is infinite": (setting(RescaleSlope="inf"), r"RescaleSlope, 0028,1053"),
    "an intercept that is no number": (setting(RescaleIntercept="0,5"), r"RescaleIntercept, 0028,1052"),
    "two slopes": (setting(RescaleSlope=r"1\2"), r"RescaleSlope, 0028,1053"),
}


@pytest.mark.parametrize("kind", BAD)
def test_voxels_that_cannot_be_understood_are_refused_by_file_and_cause(tmp_path: Path, kind: str) -> None:
    edit, cause = BAD[kind]
    write_slices(tmp_path, small_scan(), edit)
    with pytest.raises(VolumeError, match=cause) as caught:
        read_folder(tmp_path)
    assert re.search(r"\b00\.dcm ", str(caught.value)) and "\n" not in str(caught.value)


def test_more_voxels_than_a_scan_has_are_refused_before_any_memory_is_asked_for(tmp_path: Path) -> None:
    write_slices(tmp_path, small_scan(), setting(Rows=65535, Columns=65535))
    with pytest.raises(VolumeError, match=r"no scan of a heart"):
        read_folder(tmp_path)


def end_early(data: bytes) -> bytes:
    return data[: len(data) // 2 // 2 * 2]


def half_stream(file: Path) -> None:
    data = pydicom.dcmread(file)
    (stream,) = pydicom.encaps.generate_frames(data.PixelData, number_of_frames=1)
    data.PixelData = pydicom.encaps.encapsulate([end_early(stream)])
    data["PixelData"].VR = "OB"
    data.save_as(file)


def endless(file: Path) -> None:
    content = file.read_bytes()
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    assert content.endswith(end)
    file.write_bytes(content[: -len(end)])


def stream_of(data: bytes) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        dataset = pydicom.dcmread(file)
        dataset.PixelData = pydicom.encaps.encapsulate([data])
        dataset["PixelData"].VR = "OB"
        dataset.save_as(file)

    return damage


@pytest.mark.parametrize("syntax", ["RLE", "JPEG-LS", "JPEG 2000", "JPEG lossless"])
@pytest.mark.parametrize(
    "damage",
    [half_stream, endless, stream_of(bytes(500)), stream_of(b"\xff\xd8\xff\xd9")],
    ids=["half of the stream", "no end", "zeros", "nothing in it"],
)
def test_compressed_voxels_that_are_damaged_are_refused(
    tmp_path: Path, syntax: str, damage: Callable[[Path], None]
) -> None:
    write_slices(tmp_path, small_scan())
    for file in tmp_path.glob("*.dcm"):
        rewrite(file, SYNTAXES[syntax])
    damage(tmp_path / "03.dcm")
    with pytest.raises(VolumeError, match=r"03\.dcm ") as caught:
        read_folder(tmp_path)
    assert "\n" not in str(caught.value) and ".cxx" not in str(caught.value)


@pytest.mark.parametrize("syntax", ["RLE", "JPEG-LS", "JPEG 2000", "JPEG lossless"])
def test_compressed_voxels_of_another_size_than_the_header_says_are_refused(tmp_path: Path, syntax: str) -> None:
    write_slices(tmp_path, small_scan())
    for file in tmp_path.glob("*.dcm"):
        rewrite(file, SYNTAXES[syntax])
        data = pydicom.dcmread(file)
        data.Rows += 2
        data.save_as(file)
    with pytest.raises(VolumeError, match=r"00\.dcm holds (compressed voxels of another size|voxels that are damaged)"):
        read_folder(tmp_path)


def test_a_deflated_file_that_is_cut_or_longer_than_it_should_be_is_refused(tmp_path: Path) -> None:
    write_slices(tmp_path, small_scan())
    for file in tmp_path.glob("*.dcm"):
        rewrite(file, SYNTAXES["deflated"])
    victim = tmp_path / "03.dcm"
    whole = victim.read_bytes()
    for damaged in (whole[:-40], whole + b"more", whole[:400] + bytes(100) + whole[500:]):
        victim.write_bytes(damaged)
        with pytest.raises(VolumeError, match=r"03\.dcm "):
            read_folder(tmp_path)


@pytest.mark.parametrize("syntax", ["explicit", "RLE"])
def test_no_other_element_can_stop_the_reading(tmp_path: Path, syntax: str) -> None:
    array, geometry = small_scan()

    def odd(data: Any, number: int) -> None:
        put(data, "PixelSpacing", "0.8\\0.7", "LO")
        put(data, "ImagePositionPatient", "\\".join(map(str, data.ImagePositionPatient)), "UT")
        put(data, "SeriesNumber", "three", "LO")
        put(data, "StudyDate", "unknown")
        put(data, "PatientName", b"\xc4\xe4\xff^\x1b$B", "UN")
        put(data, "SpecificCharacterSet", "ISO_IR 4711")
        put(data, "WindowCenter", "a\\b", "LO")
        put(data, "SliceThickness", "")
        block = data.private_block(0x0029, "SOMEBODY", create=True)
        block.add_new(1, "UN", bytes(70000))
        block.add_new(2, "SQ", [pydicom.Dataset(), pydicom.Dataset()])

    write_slices(tmp_path, (array, geometry), odd)
    if syntax == "RLE":
        for file in tmp_path.glob("*.dcm"):
            rewrite(file, SYNTAXES["RLE"])
    assert np.array_equal(read_folder(tmp_path).array, array)
