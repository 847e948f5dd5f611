"""DICOM folders, written here with GDCM as a scanner would."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from support.dicom_series import UID, assert_refused, dicom_scan, write_series

from mtctl.geometry import Geometry, VolumeError
from mtctl.io.volumes import input_stem, read_volume


@pytest.mark.parametrize("oblique", [False, True], ids=["axial", "oblique"])
def test_a_series_comes_in_with_its_voxels_in_order_and_its_place_in_the_patient(tmp_path: Path, oblique: bool) -> None:
    array, geometry = dicom_scan(oblique=oblique)
    write_series(tmp_path, array, geometry)
    volume = read_volume(tmp_path)
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array, array)
    assert volume.geometry.size == geometry.size
    assert np.allclose(volume.geometry.spacing, geometry.spacing, atol=1e-7)
    assert np.allclose(volume.geometry.origin, geometry.origin, atol=1e-7)
    assert np.allclose(volume.geometry.direction, geometry.direction, atol=1e-9)


def test_slices_are_found_in_subfolders_and_beside_other_files(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path / "DICOM" / "SE1", array, geometry)
    (tmp_path / "README.txt").write_text("exported by the scanner")
    (tmp_path / "DICOM" / "empty.dcm").write_bytes(b"")
    assert np.array_equal(read_volume(tmp_path).array, array)


def test_the_results_are_named_by_a_pseudonym_and_not_by_the_patient(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    folder = tmp_path / "Muster_Erika_1960"
    write_series(folder, array, geometry)
    stem = input_stem(folder)
    assert stem == "dicom-" + hashlib.sha256(f"{UID}.1".encode()).hexdigest()[:16]
    assert stem == input_stem(folder)


def test_the_longest_of_several_series_is_taken(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path, array, geometry)
    write_series(tmp_path, array, geometry, uid=f"{UID}.2", number=2, slices=range(3), prefix="scout")
    assert np.array_equal(read_volume(tmp_path).array, array)
    assert input_stem(tmp_path).endswith(hashlib.sha256(f"{UID}.1".encode()).hexdigest()[:16])


def test_series_that_do_not_say_their_examination_are_not_taken_for_one(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    for patient, slices in (("P1", 18), ("P2", 17)):
        write_series(tmp_path / patient, array, geometry, uid=f"{UID}.{slices}", slices=range(slices), study="")
    assert_refused(tmp_path, "do not say of which examination")
    assert len(read_volume(tmp_path / "P1").array) == 18


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_to_series_are_followed_each_once(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path / "archive", array, geometry)
    exam = tmp_path / "exam"
    exam.mkdir()
    (exam / "S1").symlink_to(tmp_path / "archive")
    (exam / "again").symlink_to(tmp_path / "archive")
    (exam / "loop").symlink_to(exam)
    assert np.array_equal(read_volume(exam).array, array)


def test_two_series_of_the_same_length_are_listed_without_the_patient(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path, array, geometry, number=5)
    write_series(tmp_path, array, geometry, uid=f"{UID}.2", number=7, prefix="other")
    with pytest.raises(VolumeError) as caught:
        read_volume(tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message and "number 5 with 18" in message and "number 7 with 18" in message
    assert "Muster" not in message and UID not in message and "\n" not in message
    with pytest.raises(VolumeError, match="2 series"):
        input_stem(tmp_path)


def test_a_missing_slice_is_named_with_its_place(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path, array, geometry, slices=[i for i in range(18) if i != 7])
    assert_refused(tmp_path, r"missing or out of place: 2\.50 mm between slices 7 and 8 where the others are 1\.25 mm")


def test_slices_in_the_same_place_are_refused(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path, array, geometry)
    write_series(tmp_path, array, geometry, prefix="echo", slices=[3, 4])
    assert_refused(tmp_path, "2 of 20 slices lie where another one lies")


def test_slices_of_two_orientations_are_refused(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path, array, geometry, slices=range(9))
    write_series(tmp_path, array, dicom_scan(oblique=True)[1], slices=range(9, 18))
    assert_refused(tmp_path, "several orientations")


def test_slices_of_two_sizes_are_refused(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path, array, geometry, slices=range(9))
    write_series(tmp_path, array[:, :-2], geometry, slices=range(9, 18))
    assert_refused(tmp_path, "several sizes")


def test_a_tilted_scan_is_refused(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    for index in range(18):
        origin = (geometry.origin[0], geometry.origin[1] + 0.3 * index, geometry.origin[2])
        tilted = Geometry(geometry.size, geometry.spacing, origin, geometry.direction)
        write_series(tmp_path, array, tilted, slices=[index])
    assert_refused(tmp_path, "shifted sideways")


@pytest.mark.parametrize(("element", "cause"), [(0x37, "no orientation"), (0x32, "no image slices with a position")])
def test_slices_without_their_place_are_refused(tmp_path: Path, element: int, cause: str) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path, array, geometry, hide=element)
    assert_refused(tmp_path, cause)


def test_a_single_slice_is_refused(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path, array, geometry, slices=[4])
    assert_refused(tmp_path, "only one slice")


def test_a_series_of_too_few_slices_is_refused(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path, array, geometry, slices=range(10))
    assert_refused(tmp_path, "only 10 voxels along z")


def test_colour_slices_are_refused(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path, np.stack([array] * 3, axis=-1).astype(np.uint8), geometry)
    assert_refused(tmp_path, "in colour")


def test_a_slice_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    array, geometry = dicom_scan()
    write_series(tmp_path, array, geometry)
    victim = tmp_path / "slice990.dcm"
    victim.write_bytes(victim.read_bytes()[:-300])
    with pytest.raises(VolumeError) as caught:
        read_volume(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    assert_refused(tmp_path, "the folder holds no DICOM images")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path, "the folder holds no DICOM images")
