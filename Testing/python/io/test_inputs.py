"""What is found behind the names that a person gives."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import pytest
from support.dicom_series import dicom_scan, write_series
from support.scans import scan

from mtctl.io.dicom import series
from mtctl.io.inputs import ScanInput, find_scans, name_clashes, series_clashes
from mtctl.io.volumes import write_volume


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """Two folders of DICOM slices with one series UID, and a NIfTI file beside the slices of the second."""
    array, geometry = dicom_scan(size=(16, 16, 4))
    for patient in ("P1", "P2"):
        write_series(tmp_path / patient, array, geometry, study=f"1.2.{patient[1]}")
    write_volume(scan((16, 16, 16)), tmp_path / "P2" / "t1.nii.gz")
    return tmp_path


def test_a_volume_and_the_dicom_slices_beside_it_are_both_taken(patients: Path) -> None:
    assert find_scans([patients / "P2"]) == [
        ScanInput(patients / "P2" / "t1.nii.gz"), ScanInput(patients / "P2", folder=True)
    ]  # fmt: skip
    assert [source.path.name for source in find_scans([patients])] == ["t1.nii.gz", "P1", "P2"]


def test_dicom_results_beside_a_volume_are_no_scan(patients: Path) -> None:
    folder = patients / "results"
    folder.mkdir()
    write_volume(scan((16, 16, 16)), folder / "a.nrrd")
    first = next(path for path in (patients / "P1").iterdir() if path.is_file())
    for ending in (".seg.dcm", ".uncertainty.dcm"):
        (folder / f"dicom-1{ending}").write_bytes(first.read_bytes())
    assert find_scans([folder]) == [ScanInput(folder / "a.nrrd")]


def test_a_series_is_looked_up_once_whoever_asks_for_it(patients: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    real = series.choose_series
    monkeypatch.setattr("mtctl.io.inputs.choose_series", lambda folder: asked.append(folder) or real(folder))
    sources = [ScanInput.of(patients / name) for name in ("P1", "P2")]
    assert series_clashes(sources) == {sources[1]: sources[0]}
    handed_on = pickle.loads(pickle.dumps(sources))
    assert {source.stem for source in (*sources, *handed_on)} == {sources[0].chosen.series.pseudonym}  # type: ignore[union-attr]
    assert asked == [source.path for source in sources]


def test_files_that_differ_in_case_alone_clash_and_so_do_two_of_one_name() -> None:
    one, two, three = (ScanInput(Path(name)) for name in ("a/Scan.nrrd", "b/scan.nii.gz", "c/other.nrrd"))
    assert name_clashes([one, two, three]) == {two: one}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows, and folders have no read bit")
def test_linked_scans_are_found_and_folders_that_may_not_be_looked_into_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in" / "closed").mkdir(parents=True)
    (tmp_path / "scan.nrrd").touch()
    (tmp_path / "in" / "linked.nrrd").symlink_to(tmp_path / "scan.nrrd")
    real = os.scandir

    def refusing(place: str) -> object:  # As for anybody but the administrator, who may look everywhere.
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(place))
        return real(place)

    monkeypatch.setattr("os.scandir", refusing)
    assert find_scans([tmp_path / "in"]) == [
        ScanInput(tmp_path / "in" / "linked.nrrd"), ScanInput(tmp_path / "in" / "closed", folder=True)
    ]  # fmt: skip
