"""`mtctl cases list`, `verify` and `export`, and writes from a child process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.deadly_inputs import DeadlyInput
from support.paths import ROOT
from support.scans import scan
from support.stored_cases import contents, predicted, result_for, reviewed

from mtctl.cases.history import CaseState
from mtctl.cases.store import CaseStore
from mtctl.commands.main import main
from mtctl.io.volumes import read_mask, read_volume, write_volume
from mtctl.system.files import TEMPORARY_PREFIX

SHAPE = (20, 24, 28)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CaseStore:
    monkeypatch.setenv("MTCTL_CASES", str(tmp_path / "store"))
    return CaseStore(tmp_path / "store")


# The command line


def test_list_shows_every_case_with_its_state(store: CaseStore, capsys: pytest.CaptureFixture[str]) -> None:
    case = predicted(store, id="A-1")
    store.accept(case, *reviewed(case), reviewer="reader-1")
    store.add(scan(SHAPE, 1), "B-2")
    store.add_label(store.add(scan(SHAPE, 2), "C-3"), result_for(scan(SHAPE)).segmentation > 0, "reader-2")
    store.reject(store.add(scan(SHAPE, 3), "D-4"), "blurred", reviewer="reader-3")
    assert main(["cases", "list"]) == 0
    heading, first, second, third, fourth = capsys.readouterr().out.splitlines()
    assert heading.split()[:4] == ["case", "state", "version", "reviewer"]
    assert first.split()[:4] == ["A-1", "corrected", "1", "reader-1"] and "mtctl-la16 2026.11.23" in first
    assert second.split()[:4] == ["B-2", "unlabelled", "-", "-"]
    assert third.split()[:4] == ["C-3", "corrected", "1", "reader-2"]
    assert fourth.split()[:4] == ["D-4", "rejected", "-", "reader-3"]
    assert main(["cases", "list", "--state", "unlabelled", "--json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert (only["id"], only["state"], only["model"]) == ("B-2", "unlabelled", None)


def test_verify_says_what_is_wrong_and_exits_with_1(store: CaseStore, capsys: pytest.CaptureFixture[str]) -> None:
    case = predicted(store, id="A-1")
    assert main(["cases", "verify"]) == 0
    assert capsys.readouterr().out == "1 case: nothing damaged, nothing lost\n"
    (case.folder / "notes.txt").touch()
    assert main(["cases", "verify"]) == 0
    assert "foreign: " in capsys.readouterr().out
    (case.folder / "scan.nrrd").unlink()
    assert main(["cases", "verify"]) == 1
    out = capsys.readouterr().out
    assert "damaged: " in out and "scan.nrrd: is missing" in out and "1 case: 1 damaged or lost" in out


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


def test_a_corrected_case_that_is_looked_at_again_is_exported_as_it_was_corrected(
    three: CaseStore, tmp_path: Path
) -> None:
    label = three.case("A-1").corrected_mask()
    for id in ("A-1", "C-3"):
        three.save_draft(id, ~label, {}, "somebody-else")
    assert main(["cases", "export", "nnunet", "-o", str(tmp_path / "out")]) == 0
    assert (read_mask(tmp_path / "out" / "labelsTr" / "A-1.nii.gz").array == label).all()
    assert not list((tmp_path / "out").rglob("C-3*"))  # rejected, and nobody has decided otherwise yet


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
    command = [sys.executable, "-m", "mtctl.cases.store_process", str(folder / "request.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if answer["event"] == "done" else 1)
    return answer


@pytest.mark.slow
def test_a_window_stores_a_case_from_scan_to_acceptance_through_a_child(store: CaseStore, tmp_path: Path) -> None:
    volume = scan(SHAPE)
    result = result_for(volume)
    geometry = volume.geometry.to_json()
    arrays = {"scan": volume.array, "segmentation": result.segmentation, **result.maps}
    first = ask(tmp_path / "1", store, arrays, operation="prediction", geometry=geometry, report=dict(result.report))
    assert first == {"event": "done", "case": store.ids()[0], "version": 0, "record": 1, "held": ""}
    case = store.case(first["case"])
    assert case.state is CaseState.PREDICTED
    mask, review = reviewed(case)
    common = {"case": case.id, "review": review, "reviewer": "reader-1"}
    ask(tmp_path / "2", store, {"segmentation": mask}, operation="draft", **common)
    assert store.case(case.id).state is CaseState.IN_REVIEW
    last = ask(tmp_path / "3", store, {"segmentation": mask}, operation="accept", **common)
    case = store.case(case.id)
    assert (case.state, last["version"]) == (CaseState.CORRECTED, 1)
    assert (case.corrected_mask() == mask).all() and case.changed_voxels().sum() == 50
    assert len(case.records) == 2 and store.verify() == []
    ask(tmp_path / "4", store, {}, operation="reject", case=case.id, reason="blurred")
    assert store.case(case.id).state is CaseState.REJECTED


def test_a_child_that_cannot_do_it_says_why(store: CaseStore, tmp_path: Path) -> None:
    answer = ask(tmp_path / "1", store, {}, operation="reject", case="nobody", reason="blurred")
    assert answer["event"] == "failed" and "there is no such case" in answer["reason"]
    answer = ask(tmp_path / "2", store, {}, operation="accept", case=None)
    assert answer["event"] == "failed"


# Many at once


@pytest.mark.slow
def test_nothing_is_lost_when_writers_are_killed_at_random() -> None:
    """The benchmark, in small; it compares the stores with a ledger of what had been acknowledged."""
    command = [sys.executable, str(ROOT / "Testing" / "benchmarks" / "store.py"), "--rounds", "20", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    killed = re.search(r"(\d+) killed", done.stdout)
    assert killed and int(killed[1]) > 10
    assert "nothing damaged, nothing lost" in done.stdout and "0 complaints against the ledger" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a process ends itself in another way there")
def test_a_scan_that_ends_or_holds_its_reader_costs_itself_alone(
    store: CaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("a", "crash", "hang", "z")):
        write_volume(scan(seed=seed), tmp_path / f"{name}.nrrd")
    inputs = [DeadlyInput(tmp_path / f"{name}.nrrd") for name in ("a", "crash", "hang", "z")]
    monkeypatch.setattr("mtctl.io.inputs.find_scans", lambda named: inputs)
    assert main(["cases", "add", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "a.nrrd: case " in said.out and "z.nrrd: case " in said.out and "2 of 4 done" in said.out
    assert "crash.nrrd: its process ended while it read it (SIGSEGV)" in said.err
    assert "hang.nrrd: it could not be read within" in said.err
    assert len(store.ids()) == 2
