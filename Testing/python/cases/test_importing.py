"""Scans, results and labels from files into the case store: `mtctl cases add`."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation
from support.deadly_inputs import DeadlyInput
from support.dicom_series import dicom_scan, write_series
from support.scans import scan
from support.segmentations import LEFT_VENTRICLE, DrawnSegment, write_segments
from support.stored_cases import contents, result_for, reviewed

from mtctl.cases.history import CaseState
from mtctl.cases.importing import has_prediction
from mtctl.cases.store import CaseStore
from mtctl.commands.main import main
from mtctl.geometry import Geometry, Volume
from mtctl.io.volumes import read_mask, read_volume, write_volume
from mtctl.models.model import Model

SHAPE = (20, 24, 28)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CaseStore:
    monkeypatch.setenv("MTCTL_CASES", str(tmp_path / "store"))
    return CaseStore(tmp_path / "store")


def write_scan(path: Path, seed: int = 0) -> Volume:
    """A scan as another program leaves it, with a tag that names the patient."""
    volume = scan(SHAPE, seed)
    write_volume(volume, path)
    if path.name.endswith(".nrrd"):
        image = sitk.ReadImage(str(path))
        image.SetMetaData("PatientName", "Muster^Erika")
        sitk.WriteImage(image, str(path))
    return volume


def test_a_folder_of_nrrd_nifti_and_dicom_comes_in_under_names_that_say_nothing(
    store: CaseStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    (source / "more").mkdir(parents=True)
    write_scan(source / "MUSTER_ERIKA.image.nrrd", 1)
    write_scan(source / "more" / "MUSTER_ERIKA_2.nii.gz", 2)
    (source / "MUSTER_ERIKA.label.nrrd").write_bytes(b"no scan")
    write_series(source / "SE1", *dicom_scan(oblique=True))
    assert main(["cases", "add", str(source)]) == 0
    assert "3 of 3 done" in capsys.readouterr().out
    cases = store.cases()
    assert len(cases) == 3 and {case.state for case in cases} == {CaseState.UNLABELLED}
    for name, content in contents(store.folder).items():
        assert not re.search(b"muster|erika|4711", content.lower() + name.lower().encode())
    assert store.verify() == []
    assert main(["cases", "add", str(source)]) == 0
    assert store.cases() == cases


def test_names_of_files_are_kept_when_the_user_says_so(store: CaseStore, tmp_path: Path) -> None:
    volume = write_scan(tmp_path / "06SR5RBREL16DQ6M8LWS.image.nrrd")
    assert main(["cases", "add", "--keep-names", str(tmp_path / "06SR5RBREL16DQ6M8LWS.image.nrrd")]) == 0
    case = store.case("06SR5RBREL16DQ6M8LWS")
    assert (case.scan().array == volume.array).all() and case.geometry == volume.geometry
    assert main(["cases", "add", "--id", "LA-1", str(tmp_path / "06SR5RBREL16DQ6M8LWS.image.nrrd")]) == 0
    assert store.ids() == ["06SR5RBREL16DQ6M8LWS", "LA-1"]


def test_results_and_labels_come_with_their_scans(store: CaseStore, tmp_path: Path, tiny_model: Model) -> None:
    volume = write_scan(tmp_path / "a.image.nrrd", 1)
    write_scan(tmp_path / "b.image.nrrd", 2)
    command = ["segment", "--model", str(tiny_model.folder), "--device", "cpu", "--roi", "none", "--maps", "all"]
    assert main([*command, "-o", str(tmp_path / "out"), str(tmp_path / "a.image.nrrd")]) == 0
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[5:10, 5:10, 5:10] = 1
    write_volume(Volume(label, volume.geometry), tmp_path / "b.label.nrrd")
    command = ["cases", "add", "--keep-names", "--results", str(tmp_path / "out"), "--labels", str(tmp_path)]
    scans = [str(tmp_path / f"{name}.image.nrrd") for name in "ab"]
    for _ in range(2):  # what is there already is not added again
        assert main([*command, *scans]) == 0
        a, b = store.cases()
        assert (a.state, b.state) == (CaseState.PREDICTED, CaseState.CORRECTED)
        assert (len(a.records), len(b.records)) == (1, 1)
    assert (a.prediction() == read_mask(tmp_path / "out" / "a.seg.nrrd").array).all()
    assert a.uncertainties == ("entropy", "mutual_information", "disagreement")
    np.testing.assert_array_equal(a.map("distance"), read_volume(tmp_path / "out" / "a.distance.nrrd").array)
    assert a.model is not None and a.model["id"] == "tiny"
    assert "input" not in a.report()
    assert (b.corrected_mask() == label).all()


def test_what_cannot_be_added_is_named_and_the_rest_is_done(
    store: CaseStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scan(tmp_path / "good.nrrd")
    (tmp_path / "torn.nrrd").write_bytes((tmp_path / "good.nrrd").read_bytes()[:2000])
    assert main(["cases", "add", str(tmp_path / "torn.nrrd"), str(tmp_path / "good.nrrd"), "nosuch.nrrd"]) == 1
    out, err = capsys.readouterr()
    assert "1 of 3 done" in out and "2 failed: " in out
    assert "torn.nrrd: the file is cut off" in err and "nosuch.nrrd: no such file" in err
    assert len(store.ids()) == 1 and store.verify() == []


def test_a_label_on_another_grid_is_refused_before_anything_is_stored(
    store: CaseStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = write_scan(tmp_path / "a.image.nrrd")
    moved = Volume(np.ones(SHAPE, np.uint8), volume.geometry.window((1, 0, 0), volume.geometry.size))
    write_volume(moved, tmp_path / "a.label.nrrd")
    assert main(["cases", "add", "--labels", str(tmp_path), str(tmp_path / "a.image.nrrd")]) == 1
    assert "a.label.nrrd: lies on another grid than its scan" in capsys.readouterr().err
    assert store.ids() == []


NO_LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


@pytest.mark.parametrize("kind", ["folder", pytest.param("link", marks=NO_LINKS), "second"])
def test_a_label_that_cannot_be_taken_is_not_passed_over(
    store: CaseStore, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = write_scan(tmp_path / "a.image.nrrd")
    label = tmp_path / "a.label.nrrd"
    if kind == "folder":
        label.mkdir()
    elif kind == "link":
        label.symlink_to("elsewhere.nrrd")
    else:
        for path in (label, tmp_path / "a.label.nii.gz"):
            write_volume(Volume(np.ones(SHAPE, np.uint8), volume.geometry), path)
    assert main(["cases", "add", "--labels", str(tmp_path), str(tmp_path / "a.image.nrrd")]) == 1
    said = {"folder": "is a folder", "link": "is a link that leads nowhere", "second": "has 2 masks, "}
    assert said[kind] in capsys.readouterr().err and store.ids() == []


def test_a_file_whose_name_no_case_can_have_is_named_with_what_to_do(
    store: CaseStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scan(tmp_path / "=a b.nrrd")
    assert main(["cases", "add", "--keep-names", str(tmp_path / "=a b.nrrd")]) == 1
    err = capsys.readouterr().err
    assert f"{tmp_path / '=a b.nrrd'}: '=a b' cannot be the name of a case" in err and "leave out --keep-names" in err


def two_patients(folder: Path) -> list[str]:
    """Scans of two patients in folders of their own, with one file name; their folders."""
    for seed, name in enumerate(("ann", "bob")):
        (folder / name).mkdir()
        write_scan(folder / name / "scan.nrrd", seed)
    return [str(folder / name) for name in ("ann", "bob")]


def test_a_label_that_two_scans_of_one_name_could_claim_goes_with_neither(
    store: CaseStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs, labels = two_patients(tmp_path), tmp_path / "labels"
    write_scan(tmp_path / "eve.nrrd", 2)
    labels.mkdir()
    assert main(["cases", "add", "--labels", str(labels), *inputs]) == 0  # nothing that could be mixed up
    write_volume(Volume(result_for(scan(SHAPE)).segmentation, scan(SHAPE).geometry), labels / "scan.label.nrrd")
    write_volume(Volume(result_for(scan(SHAPE)).segmentation, scan(SHAPE).geometry), labels / "eve.label.nrrd")
    assert main(["cases", "add", "--labels", str(labels), *inputs, str(tmp_path / "eve.nrrd")]) == 1
    out, err = capsys.readouterr()
    assert "1 of 3 done" in out and "2 failed: " in out
    ann, bob = (str(Path(folder) / "scan.nrrd") for folder in inputs)
    for one, other in ((ann, bob), (bob, ann)):
        assert f"{one}: has the name of {other}, and only one of them can be meant by " in err
    assert sorted(case.state.value for case in store.cases()) == ["corrected", "unlabelled", "unlabelled"]
    assert main(["cases", "add", "--labels", str(labels), inputs[0]]) == 0  # now it is clear whose it is
    assert [case.version for case in store.cases()].count(1) == 2


def test_results_that_two_scans_of_one_name_could_claim_go_with_neither(
    store: CaseStore, tmp_path: Path, tiny_model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs, out = two_patients(tmp_path), tmp_path / "out"
    command = ["segment", "--model", str(tiny_model.folder), "--device", "cpu", "--roi", "none"]
    assert main([*command, "-o", str(out), inputs[0]]) == 0
    assert main(["cases", "add", "--results", str(out), *inputs]) == 1
    assert "only one of them can be meant by " in capsys.readouterr().err and store.ids() == []
    # Alone each is clear by its name, but what was segmented was the other one.
    assert main(["cases", "add", "--results", str(out), inputs[1]]) == 1
    assert "scan.json: is about another scan of that name; segment this one again" in capsys.readouterr().err
    assert main(["cases", "add", "--results", str(out), inputs[0]]) == 0
    assert [case.state for case in store.cases()] == [CaseState.PREDICTED]


def test_a_label_imported_again_does_not_cover_a_later_correction(store: CaseStore, tmp_path: Path) -> None:
    volume = write_scan(tmp_path / "a.image.nrrd")
    write_volume(Volume(result_for(volume).segmentation, volume.geometry), tmp_path / "a.label.nrrd")
    command = ["cases", "add", "--keep-names", "--labels", str(tmp_path), str(tmp_path / "a.image.nrrd")]
    assert main(command) == 0
    case = store.add_prediction("a", result_for(volume))
    mask, review = reviewed(case)
    case = store.accept(case, mask, review)
    assert main(command) == 0
    assert store.case("a") == case and (store.case("a").corrected_mask() == mask).all()


def test_maps_that_come_after_their_segmentation_are_added(store: CaseStore) -> None:
    case = store.add(scan(SHAPE))
    result = result_for(case.scan())
    partial = replace(result, maps={"entropy": result.maps["entropy"]})
    case = store.add_prediction(case, partial)
    assert has_prediction(case, partial) and not has_prediction(case, result)
    case = store.add_prediction(case, result)
    assert has_prediction(case, partial) and has_prediction(case, result)


def test_an_empty_label_and_the_label_of_another_structure_are_refused_and_named_before_anything_is_stored(
    store: CaseStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = write_scan(tmp_path / "a.image.nrrd")
    write_scan(tmp_path / "b.image.nrrd", 1)
    write_volume(Volume(np.zeros(SHAPE, np.uint8), volume.geometry), tmp_path / "a.label.nrrd")
    ventricle = DrawnSegment("LV", LEFT_VENTRICLE)
    write_segments(tmp_path / "b.label.nrrd", [np.ones(SHAPE, np.uint8)], volume.geometry, [ventricle])
    assert main(["cases", "add", "--labels", str(tmp_path), str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert "a.label.nrrd: the mask is empty; draw the atrium" in err
    assert "b.label.nrrd: the segmentation is of 'LV' (Left ventricle), not of the left atrium" in err
    assert store.ids() == []


def test_a_label_that_slicer_has_cropped_is_a_correction_on_the_whole_grid_of_a_turned_scan(
    store: CaseStore, tmp_path: Path
) -> None:
    matrix = Rotation.from_euler("xyz", [25, -15, 40], degrees=True).as_matrix()
    grid = Geometry(SHAPE[::-1], (0.7, 0.9, 1.3), (-31.5, 42.25, -107.0), tuple(matrix.ravel().tolist()))
    write_volume(Volume(scan(SHAPE).array, grid), tmp_path / "a.nrrd")
    part = np.ones((5, 6, 7), np.uint8)
    write_segments(tmp_path / "a.label.nrrd", [part], grid.window((9, 8, 4), (7, 6, 5)), [DrawnSegment("LA")])
    assert main(["cases", "add", "--labels", str(tmp_path), "--id", "A-1", str(tmp_path / "a.nrrd")]) == 0
    mask = store.case("A-1").corrected_mask()
    assert mask[4:9, 8:14, 9:16].all() and mask.sum() == part.size


def test_whatever_one_scan_raises_costs_that_scan_alone(
    store: CaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scan(tmp_path / "b.nrrd", 1)
    inputs = [DeadlyInput(tmp_path / f"{name}.nrrd") for name in ("odd", "b")]
    monkeypatch.setattr("mtctl.io.inputs.find_scans", lambda named: inputs)
    assert main(["cases", "add", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "1 of 2 done" in out and f"{tmp_path / 'odd.nrrd'}: unexpected IndexError: list index out of range" in err
    assert len(store.ids()) == 1
