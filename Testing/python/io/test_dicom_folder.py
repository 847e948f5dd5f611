"""Folders as they come off a disk: cut, empty, forbidden and foreign files, and names of any kind."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.dicom_truth import read_folder
from support.scanner_series import UID, put, small_scan, write_frames, write_slices

from mtctl.geometry import VolumeError
from mtctl.io.dicom.series import choose_series
from mtctl.io.inputs import find_scans

pydicom = pytest.importorskip("pydicom")


def refusal(folder: Path) -> str:
    with pytest.raises(VolumeError) as caught:
        read_folder(folder)
    message = str(caught.value)
    assert "\n" not in message and "itk" not in message.lower() and "Muster" not in message and "4711" not in message
    return message


def cut(share: float) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * share)])

    return damage


def short_of_voxels(file: Path) -> None:
    data = pydicom.dcmread(file)
    data.PixelData = data.PixelData[: len(data.PixelData) * 2 // 3 // 2 * 2]
    data.save_as(file)


def without_voxels(file: Path) -> None:
    data = pydicom.dcmread(file)
    del data.PixelData
    data.save_as(file)


def holding(content: bytes) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        file.write_bytes(content)

    return damage


def dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere.dcm")


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (holding(b""), "06.dcm is empty"),
    "junk": (holding(bytes(range(256)) * 8), "06.dcm is no DICOM file"),
    "zeros": (holding(bytes(2000)), "06.dcm is no DICOM file"),
    "cut in the header": (cut(0.3), "06.dcm is cut off"),
    "cut in the preamble": (cut(0.05), "06.dcm is no DICOM file"),
    "cut in the voxels": (cut(0.95), "06.dcm holds [0-9]+ bytes of voxels where 240 belong"),
    "voxels a third short": (short_of_voxels, "06.dcm holds 160 bytes of voxels where 240 belong"),
    "without voxels": (without_voxels, "06.dcm has no voxels"),
    "gone": (dangling, "is a link that leads nowhere"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_slices_that_cannot_be_used_are_counted_and_named(tmp_path: Path, kind: str) -> None:
    damage, cause = DAMAGE[kind]
    write_slices(tmp_path, small_scan())
    for number in (6, 7):  # The last ones: no gap tells that they are missing.
        damage(tmp_path / f"{number:02d}.dcm")
    message = refusal(tmp_path)
    assert message.startswith("2 of the 8 files of the series cannot be used: ")
    assert re.search(cause, message)


def test_all_slices_damaged_is_not_the_same_as_no_slices(tmp_path: Path) -> None:
    write_slices(tmp_path, small_scan())
    for file in tmp_path.glob("*.dcm"):
        cut(0.5)(file)
    message = refusal(tmp_path)
    assert message.startswith("none of its DICOM images can be read: 00.dcm ") and "and 5 more" in message


def test_files_that_the_system_does_not_let_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_slices(tmp_path, small_scan())
    (tmp_path / "notes").write_text("x")

    def denied(path: Path) -> None:
        if path.name in names:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    original = __import__("mtctl.io.dicom.folder", fromlist=["x"]).read_elements
    monkeypatch.setattr("mtctl.io.dicom.folder.read_elements", denied)
    names = {"03.dcm"}
    assert "03.dcm cannot be read (Permission denied)" in refusal(tmp_path)
    names = {"notes"}  # not named as a slice: perhaps one
    assert "notes cannot be read (Permission denied)" in choose_series(tmp_path).remark
    names = {file.name for file in tmp_path.iterdir()}
    assert "none of its DICOM images can be read: 00.dcm cannot be read (Permission denied)" in refusal(tmp_path)


def test_a_folder_that_the_system_does_not_let_read_is_not_called_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)
    assert refusal(tmp_path) == "cannot be read: Permission denied"


def test_a_subfolder_that_the_system_does_not_let_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array, geometry = small_scan()
    write_slices(tmp_path / "S1", (array, geometry))
    (tmp_path / "S2").mkdir()
    scandir = os.scandir

    def denied(place: str) -> object:
        if Path(place).name == "S2":
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", denied)
        assert choose_series(tmp_path).remark.endswith("S2 cannot be read (no permission)")


def test_what_real_folders_hold_beside_slices_is_no_reason_to_speak(tmp_path: Path) -> None:
    array, geometry = small_scan()
    write_slices(tmp_path, (array, geometry))
    for name in ("README.txt", "Thumbs.db", "desktop.ini", ".DS_Store", "report.pdf", "LOCKFILE", "scan.json"):
        (tmp_path / name).write_bytes(b"something else" * 20)
    (tmp_path / "VERSION").write_bytes(b"")
    directory = pydicom.Dataset()
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = directory.SOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.MediaStorageSOPInstanceUID = f"{UID}.77"
    directory.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    assert np.array_equal(read_folder(tmp_path).array, array)
    assert choose_series(tmp_path).remark == ""


def test_what_may_have_been_a_slice_is_said(tmp_path: Path) -> None:
    array, geometry = small_scan()
    write_slices(tmp_path, (array, geometry))
    (tmp_path / "again.dcm").write_bytes(b"")
    assert np.array_equal(read_folder(tmp_path).array, array)
    assert choose_series(tmp_path).remark == (
        "beside the slices lies 1 file that cannot be read and was left out: again.dcm is empty"
    )


@pytest.mark.parametrize(("acquired", "said"), [("30", True), ("8", False), ("", False)])
def test_images_that_were_taken_and_are_not_here_are_said(tmp_path: Path, acquired: str, said: bool) -> None:
    write_slices(tmp_path, small_scan(), lambda data, number: put(data, "ImagesInAcquisition", acquired))
    assert (
        "30 images were taken together (ImagesInAcquisition), and 8 are here" in choose_series(tmp_path).remark
    ) == said


def test_a_damaged_slice_of_another_series_does_not_matter(tmp_path: Path) -> None:
    array, geometry = small_scan()
    write_slices(tmp_path / "S1", (array, geometry))
    other = write_slices(
        tmp_path / "S2", (array[:4], geometry), lambda data, number: setattr(data, "SeriesInstanceUID", f"{UID}.2")
    )
    short_of_voxels(other / "02.dcm")
    cut(0.2)(other / "03.dcm")
    assert np.array_equal(read_folder(tmp_path).array, array)


def test_a_damaged_slice_whose_series_is_damaged_too_is_named(tmp_path: Path) -> None:
    write_slices(tmp_path, small_scan())
    short_of_voxels(tmp_path / "07.dcm")
    content = (tmp_path / "07.dcm").read_bytes()
    (tmp_path / "07.dcm").write_bytes(content.replace(f"{UID}.1".encode(), f"{UID}.4".encode()))
    assert "07.dcm holds 160 bytes of voxels where 240 belong" in refusal(tmp_path)


def test_a_slice_that_says_to_be_of_another_series_is_missed(tmp_path: Path) -> None:
    def astray(data: object, number: int) -> None:
        put(data, "SeriesInstanceUID", f"{UID}.{4 if number == 7 else 1}")

    write_slices(tmp_path, small_scan(), astray)
    assert "of 2 DICOM series, number 3 with 7 slices was taken" in choose_series(tmp_path).remark


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files in folders")
def test_pipes_and_devices_in_a_folder_are_not_waited_for(tmp_path: Path) -> None:
    array, geometry = small_scan()
    write_slices(tmp_path, (array, geometry))
    os.mkfifo(tmp_path / "08.dcm")
    (tmp_path / "09.dcm").symlink_to("/dev/zero")
    assert np.array_equal(read_folder(tmp_path).array, array)
    assert [one.path for one in find_scans([tmp_path])] == [tmp_path]


@pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows take no such names")
def test_names_that_are_no_text_are_read(tmp_path: Path) -> None:
    array, geometry = small_scan()
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller \xe4"))
    write_slices(folder, (array, geometry))
    for file in list(folder.iterdir()):
        file.rename(Path(os.fsdecode(os.fsencode(folder) + b"/\xf6" + file.name.encode())))
    assert np.array_equal(read_folder(folder).array, array)


def test_names_in_any_script_are_read(tmp_path: Path) -> None:
    array, geometry = small_scan()
    folder = write_slices(tmp_path / "Vorhöfe 左心房", (array, geometry))
    for file in list(folder.iterdir()):
        data = pydicom.dcmread(file)
        data.compress(pydicom.uid.RLELossless)  # decoded by GDCM
        data.save_as(folder / f"Schicht ß {file.name}")
        file.unlink()
    assert np.array_equal(read_folder(folder).array, array)


OTHERS = {
    "1.2.840.10008.5.1.4.1.1.88.11": "a structured report",
    "1.2.840.10008.5.1.4.1.1.11.1": "a presentation state",
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66": "a registration or raw data",
    "1.2.840.10008.5.1.4.1.1.30": "a parametric map",
    "1.2.840.10008.5.1.4.1.1.481.3": "a radiotherapy object",
    "1.2.840.10008.5.1.4.1.1.104.1": "an encapsulated document",
    "1.3.12.2.1107.5.9.1": "an object without a picture",
}


@pytest.mark.parametrize("uid", OTHERS)
def test_objects_that_are_no_images_are_called_by_their_kind(tmp_path: Path, uid: str) -> None:
    write_slices(tmp_path, small_scan(), lambda data, number: setattr(data, "SOPClassUID", uid))
    if uid.startswith("1.3.12"):
        for file in tmp_path.glob("*.dcm"):
            without_voxels(file)
    assert f"no image slices with a position (but 8 x {OTHERS[uid]})" in refusal(tmp_path)


def test_objects_that_are_no_images_do_not_disturb_the_scan_beside_them(tmp_path: Path) -> None:
    array, geometry = small_scan()
    write_slices(tmp_path / "scan", (array, geometry))
    for number, uid in enumerate(OTHERS):
        write_frames(tmp_path / f"other{number}", (array, geometry), _of_class(uid, number))
    assert np.array_equal(read_folder(tmp_path).array, array)


def _of_class(uid: str, index: int) -> Callable[[object, int], None]:
    def edit(data: object, number: int) -> None:
        put(data, "SOPClassUID", uid)
        put(data, "SeriesInstanceUID", f"{UID}.30.{index}")
        if uid.startswith("1.3.12"):
            del data.PixelData  # type: ignore[attr-defined]

    return edit


_ODD_SERIES = {
    "two patients": ("PatientID", lambda number: f"471{number // 5}", "2 different patient numbers"),
    "two places on the table": ("FrameOfReferenceUID", lambda number: f"{UID}.8{number // 5}", "2 different frames of"),
    "a place for each slice": ("FrameOfReferenceUID", lambda number: f"{UID}.8{number}", None),
    "computed tomography": ("Modality", lambda number: "CT", "pictures are of another kind (CT)"),
    "of a kind that is not said": ("Modality", lambda number: "OT", None),
}


@pytest.mark.parametrize("case", _ODD_SERIES)
def test_slices_that_may_not_belong_together_and_other_pictures_are_remarked_on(tmp_path: Path, case: str) -> None:
    keyword, value, said = _ODD_SERIES[case]
    write_slices(tmp_path / "scan", small_scan(), lambda data, number: put(data, keyword, value(number)))
    remark = choose_series(tmp_path / "scan").remark
    assert said in remark if said else remark == ""
    assert "471" not in remark


@pytest.mark.parametrize("said", ["by its type", "by the scanner's own element", "by that after an archive"])
def test_a_mosaic_is_called_so_and_a_real_scan_is_taken_before_it(tmp_path: Path, said: str) -> None:
    array, geometry = small_scan()

    def mosaic(data: object, number: int) -> None:
        put(data, "SeriesInstanceUID", f"{UID}.5")
        if said == "by its type":
            put(data, "ImageType", ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
        else:
            block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)  # type: ignore[attr-defined]
            block.add_new(0x0A, *(("UN", b"\x24\0") if "archive" in said else ("US", 36)))

    write_slices(tmp_path / "mosaic", (array, geometry), mosaic)
    why = refusal(tmp_path / "mosaic")
    assert why.startswith("a Siemens mosaic (all slices of a time point in one picture")
    assert "convert it to NIfTI with dcm2niix and name that file" in why
    write_slices(tmp_path / "scan", (array[:6], geometry))
    assert np.array_equal(read_folder(tmp_path).array, array[:6])
    assert "no mosaic" in choose_series(tmp_path).remark


def test_a_damaged_examination_among_others_is_listed_so_that_it_fails_by_its_name(tmp_path: Path) -> None:
    write_slices(tmp_path / "P1", small_scan())
    write_slices(tmp_path / "P2", small_scan(), lambda data, number: setattr(data, "StudyInstanceUID", f"{UID}.10"))
    for file in write_slices(tmp_path / "P3", small_scan()).glob("*.dcm"):
        cut(0.4)(file)
    assert [one.path for one in find_scans([tmp_path])] == [tmp_path / "P1", tmp_path / "P2", tmp_path / "P3"]
