"""`mtctl cases`, what it imports and exports, and writes from a child process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import test_dicom
from conftest import ROOT, scan
from stored import contents, predicted, result_for, reviewed

from mtctl.case_import import has_prediction
from mtctl.cases import CaseStore, State
from mtctl.commandline.main import main
from mtctl.files import TEMPORARY_PREFIX
from mtctl.geometry import Volume
from mtctl.model import Model
from mtctl.volume import read_mask, read_volume, write_volume
from mtctl.worker_protocol import geometry_message

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


# Import


def test_a_folder_of_nrrd_nifti_and_dicom_comes_in_under_names_that_say_nothing(
    store: CaseStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    (source / "more").mkdir(parents=True)
    write_scan(source / "MUSTER_ERIKA.image.nrrd", 1)
    write_scan(source / "more" / "MUSTER_ERIKA_2.nii.gz", 2)
    (source / "MUSTER_ERIKA.label.nrrd").write_bytes(b"no scan")
    test_dicom.write_series(source / "SE1", *test_dicom.scan(oblique=True))
    assert main(["cases", "add", str(source)]) == 0
    assert "3 of 3 done" in capsys.readouterr().out
    cases = store.cases()
    assert len(cases) == 3 and {case.state for case in cases} == {State.UNLABELLED}
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
        assert (a.state, b.state) == (State.PREDICTED, State.CORRECTED)
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


# The command line


def test_list_shows_every_case_with_its_state(store: CaseStore, capsys: pytest.CaptureFixture[str]) -> None:
    case = predicted(store, id="A-1")
    store.accept(case, *reviewed(case), reviewer="reader-1")
    store.add(scan(SHAPE, 1), "B-2")
    assert main(["cases", "list"]) == 0
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split()[:4] == ["case", "state", "version", "reviewer"]
    assert first.split()[:4] == ["A-1", "corrected", "1", "reader-1"] and "mtctl-la16 2026.11.23" in first
    assert second.split()[:4] == ["B-2", "unlabelled", "-", "-"]
    assert main(["cases", "list", "--state", "unlabelled", "--json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert (only["id"], only["state"], only["model"]) == ("B-2", "unlabelled", None)


def test_verify_says_what_is_wrong_and_exits_with_1(store: CaseStore, capsys: pytest.CaptureFixture[str]) -> None:
    case = predicted(store, id="A-1")
    assert main(["cases", "verify"]) == 0
    assert capsys.readouterr().out == "1 cases: nothing damaged, nothing lost\n"
    (case.folder / "notes.txt").touch()
    assert main(["cases", "verify"]) == 0
    assert "foreign: " in capsys.readouterr().out
    (case.folder / "scan.nrrd").unlink()
    assert main(["cases", "verify"]) == 1
    out = capsys.readouterr().out
    assert "damaged: " in out and "scan.nrrd: is missing" in out and "1 cases: 1 damaged or lost" in out


def test_a_damaged_case_is_named_by_list_and_export(
    store: CaseStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (predicted(store, id="A-1").folder / "case.json").write_text("{")
    for command in (["list"], ["export", "monai", "-o", str(tmp_path / "out")]):
        assert main(["cases", *command]) == 1
        assert "A-1: is damaged; `mtctl cases verify` says how" in capsys.readouterr().err


def test_wrong_usage_exits_with_2_and_a_missing_store_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MTCTL_CASES", raising=False)
    for command in (["list"], ["add", "x", "--labels", "nosuch", "--store", "s"], ["add", "x", "y", "--id", "A"], []):
        with pytest.raises(SystemExit) as caught:
            main(["cases", *command])
        assert caught.value.code == 2
    assert main(["cases", "verify", "--store", str(tmp_path)]) == 1
    assert "holds no case store; `mtctl cases add` makes one" in capsys.readouterr().err


# Export


@pytest.fixture
def three(store: CaseStore) -> CaseStore:
    """One corrected, one unlabelled, one rejected case."""
    case = predicted(store, id="A-1")
    store.accept(case, *reviewed(case))
    store.add(scan(SHAPE, 1), "B-2")
    store.reject(store.add(scan(SHAPE, 2), "C-3"), "blurred")
    return store


def test_nnunet_gets_its_folders_and_its_description(three: CaseStore, tmp_path: Path) -> None:
    out = tmp_path / "nnUNet_raw" / "Dataset501_LeftAtrium"
    assert main(["cases", "export", "nnunet", "-o", str(out)]) == 0
    assert sorted(contents(out)) == [
        "dataset.json", "imagesTr/A-1_0000.nii.gz", "imagesTs/B-2_0000.nii.gz", "labelsTr/A-1.nii.gz",
    ]  # fmt: skip
    assert json.loads((out / "dataset.json").read_text()) == {
        "channel_names": {"0": "LGE-MRI"},
        "labels": {"background": 0, "left atrium": 1},
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    case = three.case("A-1")
    image, label = read_volume(out / "imagesTr" / "A-1_0000.nii.gz"), read_mask(out / "labelsTr" / "A-1.nii.gz")
    assert (image.array == case.scan().array).all() and (label.array == case.corrected_mask()).all()
    assert image.geometry == label.geometry
    np.testing.assert_allclose(image.geometry.spacing, case.geometry.spacing, rtol=1e-6)
    assert main(["cases", "verify", "--store", str(three.folder)]) == 0


def test_monai_gets_a_list_whose_files_are_there(three: CaseStore, tmp_path: Path) -> None:
    out = tmp_path / "monai"
    assert main(["cases", "export", "monai", "-o", str(out)]) == 0
    listed = json.loads((out / "datalist.json").read_text())
    assert [set(entry) for entry in listed["training"]] == [{"image", "label"}]
    assert [set(entry) for entry in listed["unlabeled"]] == [{"image"}]
    for entry in listed["training"] + listed["unlabeled"]:
        assert all((out / path).is_file() for path in entry.values())


def test_an_export_leaves_out_what_is_damaged_and_never_mixes_with_what_is_there(
    three: CaseStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (three.case("A-1").folder / "scan.nrrd").write_bytes(b"torn")
    out = tmp_path / "out"
    assert main(["cases", "export", "nnunet", "-o", str(out)]) == 1
    assert "scan.nrrd: is damaged" in capsys.readouterr().err
    assert sorted(contents(out)) == ["dataset.json", "imagesTs/B-2_0000.nii.gz"]
    assert main(["cases", "export", "nnunet", "-o", str(out)]) == 1
    assert "is there already; choose a folder that is not" in capsys.readouterr().err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(TEMPORARY_PREFIX)]


# From a child process


def ask(folder: Path, store: CaseStore, arrays: dict[str, Any], **content: Any) -> dict[str, Any]:
    """What the child says to a request."""
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    request = {"store": str(store.folder), "arrays": {name: f"{name}.npy" for name in arrays}, **content}
    (folder / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-m", "mtctl.store_child", str(folder / "request.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if answer["event"] == "done" else 1)
    return answer


def test_a_window_stores_a_case_from_scan_to_acceptance_through_a_child(store: CaseStore, tmp_path: Path) -> None:
    volume = scan(SHAPE)
    result = result_for(volume)
    geometry = geometry_message(volume.geometry)
    arrays = {"scan": volume.array, "segmentation": result.segmentation, **result.maps}
    first = ask(tmp_path / "1", store, arrays, operation="prediction", geometry=geometry, report=dict(result.report))
    assert first == {"event": "done", "case": store.ids()[0], "state": "predicted", "version": 0}
    case = store.case(first["case"])
    mask, review = reviewed(case)
    common = {"case": case.id, "review": review, "reviewer": "reader-1"}
    assert ask(tmp_path / "2", store, {"segmentation": mask}, operation="draft", **common)["state"] == "in review"
    last = ask(tmp_path / "3", store, {"segmentation": mask}, operation="accept", **common)
    assert (last["state"], last["version"]) == ("corrected", 1)
    case = store.case(case.id)
    assert (case.corrected_mask() == mask).all() and case.changed_voxels().sum() == 50
    assert len(case.records) == 2 and store.verify() == []
    assert ask(tmp_path / "4", store, {}, operation="reject", case=case.id, reason="blurred")["state"] == "rejected"


def test_a_child_that_cannot_do_it_says_why(store: CaseStore, tmp_path: Path) -> None:
    answer = ask(tmp_path / "1", store, {}, operation="reject", case="nobody", reason="blurred")
    assert answer["event"] == "failed" and "there is no such case" in answer["reason"]
    answer = ask(tmp_path / "2", store, {}, operation="accept", case=None)
    assert answer["event"] == "failed"


# Many at once


def test_nothing_is_lost_when_writers_are_killed_at_random() -> None:
    """The benchmark, in small; it compares the stores with a ledger of what had been acknowledged."""
    command = [sys.executable, str(ROOT / "Testing" / "benchmarks" / "store.py"), "--rounds", "40", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    killed = re.search(r"(\d+) killed", done.stdout)
    assert killed and int(killed[1]) > 20
    assert "nothing damaged, nothing lost" in done.stdout and "0 complaints against the ledger" in done.stdout
