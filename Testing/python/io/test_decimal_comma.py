"""Where the process writes numbers with a decimal comma, as Qt does on a German desktop, grids stay what they are."""

from __future__ import annotations

import locale
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.decimal_comma import decimal_comma
from support.dicom_series import dicom_scan, write_series
from support.text_volumes import SIZE, values

from mtctl.geometry import Geometry, Volume, VolumeError, to_image
from mtctl.io import itk
from mtctl.io.volumes import read_mask, read_volume, write_segmentation, write_volume
from mtctl.system.files import WriteError

GRID = Geometry(SIZE, (1.2, 1.3, 1.5), (-10.25, 20.5, -3.75), (0.6, -0.8, 0, 0.8, 0.6, 0, 0, 0, 1))
SCAN = Volume(values(np.float32), GRID)


def test_itk_alone_writes_commas_so_that_these_tests_can_fail(tmp_path: Path) -> None:
    with decimal_comma():
        sitk.WriteImage(to_image(SCAN), str(tmp_path / "a.nrrd"))
    with pytest.raises(VolumeError, match="header is damaged"):
        read_volume(tmp_path / "a.nrrd")


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii", ".nii.gz"])
def test_a_file_is_written_and_read_as_under_any_other_desktop(tmp_path: Path, ending: str) -> None:
    before, inside = tmp_path / f"before{ending}", tmp_path / f"inside{ending}"
    write_volume(SCAN, before)
    plain = read_volume(before)
    with decimal_comma():
        assert read_volume(before).geometry == plain.geometry
        write_volume(SCAN, inside)
        assert locale.localeconv()["decimal_point"] == ","  # as it was: it is not ours to change
    assert inside.read_bytes() == before.read_bytes()


def test_a_segmentation_is_written_as_under_any_other_desktop(tmp_path: Path) -> None:
    mask = Volume((SCAN.array > 50).astype(np.uint8), GRID)
    write_segmentation(mask, tmp_path / "before.seg.nrrd")
    with decimal_comma():
        write_segmentation(mask, tmp_path / "inside.seg.nrrd")
        assert read_mask(tmp_path / "inside.seg.nrrd").geometry == read_mask(tmp_path / "before.seg.nrrd").geometry
    assert (tmp_path / "inside.seg.nrrd").read_bytes() == (tmp_path / "before.seg.nrrd").read_bytes()


def test_a_dicom_series_is_read_as_under_any_other_desktop(tmp_path: Path) -> None:
    write_series(tmp_path / "series", *dicom_scan(oblique=True))
    plain = read_volume(tmp_path / "series")
    with decimal_comma():
        inside = read_volume(tmp_path / "series")
    assert inside.geometry == plain.geometry and np.array_equal(inside.array, plain.array)


def test_a_file_that_says_another_place_than_was_meant_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(image: sitk.Image, name: str, useCompression: bool) -> None:
        image = sitk.Image(image)
        image.SetSpacing((1, 1, 1))
        written(image, name, useCompression)

    written = sitk.WriteImage
    monkeypatch.setattr(sitk, "WriteImage", wrong)
    with pytest.raises(WriteError):
        write_volume(SCAN, tmp_path / "a.nrrd")
    assert list(tmp_path.iterdir()) == []


def test_calls_within_calls_leave_the_locale_as_it_was(tmp_path: Path) -> None:
    with decimal_comma():
        with itk.quiet():
            with itk.quiet():
                assert locale.localeconv()["decimal_point"] == "."
            assert locale.localeconv()["decimal_point"] == "."
        assert locale.localeconv()["decimal_point"] == ","
