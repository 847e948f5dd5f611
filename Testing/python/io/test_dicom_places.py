"""Where DICOM slices and frames lie: every habit of real scanners, compared with pydicom and with the standard."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.dicom_truth import assert_as_pydicom, read_folder
from support.scanner_series import ELEMENTS, Edit, put, small_scan, write_frames, write_slices

from mtctl.geometry import VolumeError
from mtctl.io.volumes import input_stem, read_volume

pydicom = pytest.importorskip("pydicom")


def refused(folder: Path, cause: str) -> None:
    with pytest.raises(VolumeError, match=cause) as caught:
        read_folder(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert not any(ELEMENTS[name] in message for name in ("PatientName", "PatientID", "PatientBirthDate"))


def setting(**values: Any) -> Edit:
    def edit(data: Any, number: int) -> None:
        for keyword, value in values.items():
            put(data, keyword, value, "LO")  # Text that pydicom would not take for a number.

    return edit


@pytest.mark.parametrize("flipped", [False, True], ids=["to the head", "to the feet"])
@pytest.mark.parametrize("write", [write_slices, write_frames], ids=["slices", "frames"])
def test_slices_are_ordered_by_their_places_and_by_nothing_else(
    tmp_path: Path, flipped: bool, write: Callable[..., Path]
) -> None:
    array, geometry = small_scan(flipped)

    def mislead(data: Any, number: int) -> None:
        data.InstanceNumber = 99 - number
        if write is write_slices:
            put(data, "SliceLocation", str(-number))
            put(data, "SpacingBetweenSlices", "-1" if number % 2 else "7.5")
            put(data, "SliceThickness", "8")

    folder = write(tmp_path, (array, geometry), mislead)
    volume = read_folder(folder)
    assert_as_pydicom(folder, volume)
    assert np.allclose(volume.geometry.spacing, geometry.spacing, atol=1e-6)


@pytest.mark.parametrize("step", [1e-8, 1e-6, 3e-4])
def test_orientations_that_differ_by_rounding_become_their_mean(tmp_path: Path, step: float) -> None:
    array, geometry = small_scan()
    rng = np.random.default_rng(2)

    def jitter(data: Any, number: int) -> None:
        turned = np.array(data.ImageOrientationPatient, float) + rng.uniform(-step, step, 6)
        data.ImageOrientationPatient = [f"{value:.10f}" for value in turned]

    write_slices(tmp_path, (array, geometry), jitter)
    volume = read_folder(tmp_path)
    matrix = volume.geometry.matrix
    assert np.array_equal(volume.array, array)
    assert np.allclose(matrix.T @ matrix, np.eye(3), atol=1e-12)
    assert np.abs(matrix - geometry.matrix).max() < max(step, 1e-9)
    names = sorted(tmp_path.glob("*.dcm"))
    for file, other in zip(names, reversed(names), strict=True):  # The names, and so the order, change nothing.
        file.rename(tmp_path / f"x{other.name}")
    again = read_folder(tmp_path)
    assert np.allclose(again.geometry.matrix, matrix, rtol=0, atol=1e-14)


def test_positions_that_are_rounded_are_one_lattice(tmp_path: Path) -> None:
    array, geometry = small_scan()

    def rounded(data: Any, number: int) -> None:
        data.ImagePositionPatient = [f"{float(value):.2f}" for value in data.ImagePositionPatient]

    write_slices(tmp_path, (array, geometry), rounded)
    assert np.array_equal(read_folder(tmp_path).array, array)


def phases(keyword: str, *values: Any) -> Edit:
    """The second half of the slices lies where the first does, with another value of an element."""

    def edit(data: Any, number: int) -> None:
        _, geometry = small_scan()
        data.ImagePositionPatient = [f"{value:.8f}" for value in geometry.index_to_physical((0, 0, number % 4))]
        put(data, keyword, values[number // 4])

    return edit


@pytest.mark.parametrize(
    ("keyword", "values", "named"),
    [
        ("EchoTime", ("1.5", "4.5"), "echo times"),
        ("TriggerTime", ("0", "40"), "trigger times"),
        ("TemporalPositionIdentifier", ("1", "2"), "time points"),
        ("AcquisitionNumber", ("1", "2"), "acquisitions"),
        ("InversionTime", ("250", "300"), "inversion times"),
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]), "kinds of image"),
    ],
)
def test_slices_in_one_place_are_refused_by_what_tells_them_apart(
    tmp_path: Path, keyword: str, values: tuple[Any, Any], named: str
) -> None:
    write_slices(tmp_path, small_scan(), phases(keyword, *values))
    refused(tmp_path, rf"4 of 8 slices lie where another one lies, .*\.dcm and .*\.dcm .*differ in their {named}\)")


def test_a_copy_of_a_slice_is_refused_and_both_are_named(tmp_path: Path) -> None:
    write_slices(tmp_path, small_scan())
    (tmp_path / "03 (1).dcm").write_bytes((tmp_path / "03.dcm").read_bytes())
    refused(tmp_path, r"1 of 9 slices lies where another one lies, 03 \(1\)\.dcm and 03\.dcm for one .*doubled files")


def shift(along: float, from_number: int) -> Edit:
    def edit(data: Any, number: int) -> None:
        _, geometry = small_scan()
        place = number + (along if number >= from_number else 0)
        data.ImagePositionPatient = [f"{value:.8f}" for value in geometry.index_to_physical((0, 0, place))]

    return edit


def slowly_wider(data: Any, number: int) -> None:
    _, geometry = small_scan()
    data.ImagePositionPatient = [f"{value:.8f}" for value in geometry.index_to_physical((0, 0, number**1.2))]


def tilted(data: Any, number: int) -> None:
    _, geometry = small_scan()
    data.ImagePositionPatient = [f"{value:.8f}" for value in geometry.index_to_physical((0, 0.3 * number, number))]


def scout(data: Any, number: int) -> None:
    if number == 5:
        data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def other_pixels(data: Any, number: int) -> None:
    if number == 5:
        data.PixelSpacing = [0.9, 0.7]


def lacking(keyword: str) -> Edit:
    def edit(data: Any, number: int) -> None:
        if number == 5:
            del data[keyword]

    return edit


BAD: dict[str, tuple[Edit, str]] = {
    "a gap": (shift(1, 4), r"5\.00 mm between slices 4 and 5 where the others are 2\.50 mm apart"),
    "a slice out of place": (shift(0.3, 7), r"3\.25 mm between slices 7 and 8"),
    "distances that grow": (slowly_wider, "missing or out of place"),
    "a tilted gantry": (tilted, "shifted sideways"),
    "a scout": (scout, "several orientations"),
    "other pixels": (other_pixels, "several sizes"),
    "a slice without a place": (lacking("ImagePositionPatient"), r"05\.dcm has no position .*0020,0032"),
    "a slice without orientation": (lacking("ImageOrientationPatient"), r"05\.dcm has no orientation .*0020,0037"),
    "a slice without spacing": (lacking("PixelSpacing"), r"05\.dcm has no voxel spacing .*0028,0030"),
    "one spacing": (setting(PixelSpacing="0.8"), r"00\.dcm has no voxel spacing that can be used"),
    "spacing of words": (setting(PixelSpacing="wide\\high"), r"00\.dcm has no voxel spacing that can be used"),
    "a decimal comma": (setting(PixelSpacing="0,8\\0,7"), r"00\.dcm has no voxel spacing that can be used"),
    "spacing of NaN": (setting(PixelSpacing="nan\\0.7"), r"00\.dcm has no voxel spacing that can be used"),
    "spacing of 0": (setting(PixelSpacing="0\\0.7"), r"00\.dcm has a voxel spacing of 0 or less"),
    "negative spacing": (setting(PixelSpacing="0.8\\-0.7"), r"00\.dcm has a voxel spacing of 0 or less"),
    "a place of two numbers": (setting(ImagePositionPatient="1\\2"), r"00\.dcm has no position that can be used"),
    "no orientation at all": (setting(ImageOrientationPatient="0\\0\\0\\0\\0\\0"), "not of length 1"),
    "directions of length 2": (setting(ImageOrientationPatient="2\\0\\0\\0\\2\\0"), "00.dcm .* not of length 1"),
    "axes that lean": (setting(ImageOrientationPatient="1\\0\\0\\0.1\\0.99\\0"), "right angles|sideways"),
}


@pytest.mark.parametrize("kind", BAD)
def test_slices_that_are_no_lattice_are_refused_with_their_cause(tmp_path: Path, kind: str) -> None:
    edit, cause = BAD[kind]
    write_slices(tmp_path, small_scan(), edit)
    refused(tmp_path, cause)


# --- frames of one file ---------------------------------------------------------------------------------------------


def in_disorder(data: Any, number: int) -> None:
    """Frames in any order, with scales of their own, as Philips writes them."""
    groups = data.PerFrameFunctionalGroupsSequence
    order = np.random.default_rng(1).permutation(len(groups))
    frames = np.frombuffer(data.PixelData, np.int16).reshape(len(groups), -1)
    data.PerFrameFunctionalGroupsSequence = [groups[int(one)] for one in order]
    data.PixelData = frames[order].tobytes()
    for index, one in enumerate(data.PerFrameFunctionalGroupsSequence):
        scale = pydicom.Dataset()
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = f"{1 + index / 10:.1f}", str(-index), "US"
        one.PixelValueTransformationSequence = [scale]
        content = pydicom.Dataset()
        content.DimensionIndexValues, content.StackID, content.InStackPositionNumber = [1, index + 1], "1", index + 1
        one.FrameContentSequence = [content]


@pytest.mark.parametrize("shared", [True, False], ids=["as Siemens XA", "as Philips"])
def test_frames_come_in_with_their_own_place_and_scale(tmp_path: Path, shared: bool) -> None:
    write_frames(tmp_path, small_scan(), in_disorder, shared)
    assert_as_pydicom(tmp_path, read_folder(tmp_path))


def test_one_enhanced_file_a_slice_is_a_series(tmp_path: Path) -> None:
    array, geometry = small_scan()
    for number in range(len(array)):
        part = geometry.window((0, 0, number), (10, 12, 1))
        write_frames(tmp_path / f"{number}", (array[number : number + 1], part))
        for file in (tmp_path / f"{number}").glob("*.dcm"):
            file.rename(tmp_path / f"{99 - number}.dcm")
    volume = read_folder(tmp_path)
    assert np.array_equal(volume.array, array)
    assert_as_pydicom(tmp_path, volume)


def test_frames_of_a_series_in_several_files_are_put_together(tmp_path: Path) -> None:
    array, geometry = small_scan()
    for name, start in (("b", 0), ("a", 4)):
        part = geometry.window((0, 0, start), (10, 12, 4))
        write_frames(tmp_path / name, (array[start : start + 4], part))
    assert np.array_equal(read_folder(tmp_path).array, array)


def frame_phases(group: str, keyword: str, values: tuple[Any, Any]) -> Edit:
    def edit(data: Any, number: int) -> None:
        groups = data.PerFrameFunctionalGroupsSequence
        for index, one in enumerate(groups):
            one.PlanePositionSequence = groups[index % 4].PlanePositionSequence
            mark = pydicom.Dataset()
            setattr(mark, keyword, values[index // 4])
            setattr(one, group, [mark])

    return edit


@pytest.mark.parametrize(
    ("group", "keyword", "values", "named"),
    [
        ("FrameContentSequence", "StackID", ("1", "2"), "stacks"),
        ("FrameContentSequence", "TemporalPositionIndex", (1, 2), "time points"),
        ("MREchoSequence", "EffectiveEchoTime", (1.5, 4.5), "echo times"),
        ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", (10.0, 60.0), "cardiac phases"),
        ("MRImageFrameTypeSequence", "FrameType", (["ORIGINAL", "M"], ["ORIGINAL", "P"]), "kinds of image"),
    ],
)
def test_frames_in_one_place_are_refused_by_what_tells_them_apart(
    tmp_path: Path, group: str, keyword: str, values: tuple[Any, Any], named: str
) -> None:
    write_frames(tmp_path, small_scan(), frame_phases(group, keyword, values))
    refused(tmp_path, rf"4 of 8 slices lie where another one lies \(they differ in their {named}\)")


def second_stack(data: Any, number: int) -> None:
    for one in data.PerFrameFunctionalGroupsSequence[4:]:
        orientation = pydicom.Dataset()
        orientation.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        one.PlaneOrientationSequence = [orientation]


def without_groups(data: Any, number: int) -> None:
    del data.PerFrameFunctionalGroupsSequence, data.SharedFunctionalGroupsSequence


def fewer_groups(data: Any, number: int) -> None:
    del data.PerFrameFunctionalGroupsSequence[-1]


def short(data: Any, number: int) -> None:
    data.PixelData = data.PixelData[:-240]


FRAMES_BAD: dict[str, tuple[Edit, str]] = {
    "two stacks": (second_stack, "several orientations"),
    "a film": (without_groups, "no place in space"),
    "a description short": (fewer_groups, "describes 7 of its 8 frames"),
    "a frame short": (short, "holds 1680 bytes of voxels where 1920 belong"),
    "no frames": (setting(NumberOfFrames="0"), "describes 8 of its 1 frame"),
    "more frames than there are": (setting(NumberOfFrames="9999"), "bytes of voxels where 2399760 belong"),
    "frames of words": (setting(NumberOfFrames="many"), "describes 8 of its 1 frame"),
}


@pytest.mark.parametrize("kind", FRAMES_BAD)
def test_frames_that_are_no_scan_are_refused_with_their_cause(tmp_path: Path, kind: str) -> None:
    edit, cause = FRAMES_BAD[kind]
    write_frames(tmp_path, small_scan(), edit)
    refused(tmp_path, cause)


# --- privacy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [write_slices, write_frames], ids=["slices", "frames"])
def test_nothing_of_the_patient_is_said_whether_the_series_is_read_or_refused(
    tmp_path: Path, write: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    array, geometry = small_scan()
    array, geometry = np.tile(array, (2, 2, 2)), geometry.window((0, 0, 0), (20, 24, 16))
    telltale = {"PatientName": "Telltale^Tilda", "PatientID": "TT-0815", "PatientBirthDate": "19010203x"}
    said: list[str] = []

    def edit(data: Any, number: int) -> None:
        for keyword, value in telltale.items():
            put(data, keyword, value)
        data.private_block(0x0029, "TELLTALE", create=True).add_new(1, "LO", "TT-0815")
        put(data, "SpecificCharacterSet", "ISO_IR 4711")

    folder = write(tmp_path / "scan", (array, geometry), edit)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_volume(folder)
        said.append(input_stem(folder))
        for file in list(folder.glob("*.dcm"))[:1]:
            content = file.read_bytes()
            for share in range(0, len(content), 331):
                file.write_bytes(content[:share])
                with pytest.raises(VolumeError) as refusal:
                    read_volume(folder)
                said.append(str(refusal.value))
    out, err = capfd.readouterr()
    everything = "\n".join([*said, out, err, *(str(one.message) for one in caught)]).lower()
    assert not any(word in everything for word in ("telltale", "tilda", "tt-0815", "19010203"))
    assert out == "" and err == ""
