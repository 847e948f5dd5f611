"""Whatever we create has the permissions that the user's umask gives, files and folders alike, on POSIX."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.dicom_series import dicom_scan, write_series
from support.finetuning_runs import be_quick, fill_store
from support.scans import scan
from support.segment_command import run

from mtctl.cases.store import CaseStore
from mtctl.commands.main import main
from mtctl.geometry import Volume
from mtctl.io.volumes import write_volume
from mtctl.models.model import Model
from mtctl.models.store import ModelStore
from mtctl.system import locks
from mtctl.system.files import replacing
from mtctl.system.locks import locked
from mtctl_train.finetuning.run import fine_tune
from mtctl_train.finetuning.settings import RECIPE, FineTuning, Iterations

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no umask there")


@pytest.fixture(params=[0o077, 0o027, 0o002], ids=["umask 077", "umask 027", "umask 002"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def wrong(folder: Path, umask: int) -> dict[str, str]:
    """Files and folders below `folder` whose permissions are not those of the umask, with what they have."""
    found = {}
    for path in folder.rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode != (0o777 if path.is_dir() else 0o666) & ~umask:
            found[str(path.relative_to(folder))] = oct(mode)
    return found


def made(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


@pytest.mark.parametrize("theirs", [0o600, 0o644, 0o666])
def test_a_file_has_the_permissions_of_the_umask_whatever_its_writer_gave_it(
    tmp_path: Path, umask: int, theirs: int
) -> None:
    with replacing(tmp_path / "a") as part:
        part.touch()
        part.chmod(theirs)
    assert wrong(tmp_path, umask) == {} and made(tmp_path) == 1


def test_a_file_follows_the_access_list_of_its_folder_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a list takes the umask's place: what counts is what the system gives a new file there."""
    real = os.open

    def with_list(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real(path, flags, mode)
        if flags & os.O_CREAT:
            os.fchmod(descriptor, 0o664)
        return descriptor

    monkeypatch.setattr(os, "open", with_list)
    with replacing(tmp_path / "a") as part:
        part.write_text("")
        part.chmod(0o600)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o664


def test_a_lock_has_the_permissions_of_the_umask_held_and_free(tmp_path: Path, umask: int) -> None:
    with locked(tmp_path):
        assert wrong(tmp_path, umask) == {} and made(tmp_path) == 1
    assert wrong(tmp_path, umask) == {} and any(path.name.startswith(locks.LOCK_PREFIX) for path in tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0o027], ids=["umask 027"], indirect=True)
def test_all_results_of_a_cohort_the_patient_s_dicom_objects_among_them_have_the_permissions_of_the_umask(
    tiny_model: Model, tmp_path: Path, umask: int
) -> None:
    pytest.importorskip("highdicom")
    write_series(tmp_path / "series", *dicom_scan())
    write_series(tmp_path / "other", *dicom_scan(), uid="1.2.3", study="1.2.4")
    sources, out = (tmp_path / "series", tmp_path / "other"), tmp_path / "out" / "deep"
    assert run(tiny_model, *sources, "-o", out, "--dicom-seg", "--maps", "all") == 0
    assert {path.suffix for path in out.iterdir()} >= {".dcm", ".nrrd", ".json", ".png", ".csv", ".html"}
    assert wrong(tmp_path / "out", umask) == {}


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0o027], ids=["umask 027"], indirect=True)
def test_phantoms_exports_stores_runs_candidates_and_published_models_have_the_permissions_of_the_umask(
    tiny_model: Model, tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_quick(monkeypatch)
    work = tmp_path / "work"
    assert main(["phantom", "-o", str(work / "phantom")]) == 0
    store = fill_store(work / "store", tiny_model)
    assert main(["cases", "export", "nnunet", "--store", str(store), "-o", str(work / "export")]) == 0
    recipe = replace(RECIPE, checkpoint_seconds=0.0, validate_every=2)
    job = FineTuning(store, str(tiny_model.folder), work / "run", Iterations(2), device="cpu", recipe=recipe)
    fine_tune(job)
    ModelStore(work / "models").publish(work / "run" / "candidate", override="a test of permissions")
    assert CaseStore(store).verify() == []
    assert wrong(work, umask) == {} and made(work) > 60


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0o027], ids=["umask 027"], indirect=True)
def test_a_training_run_with_its_curves_checkpoint_and_model_has_the_permissions_of_the_umask(
    tmp_path: Path, umask: int
) -> None:
    data, out = tmp_path / "data", tmp_path / "out" / "model"
    data.mkdir()
    for seed, name in enumerate("ab"):
        volume = scan((40, 48, 56), seed)
        write_volume(volume, data / f"{name}.image.nrrd")
        ball = np.zeros(volume.array.shape, np.uint8)
        ball[10:30, 12:36, 14:42] = 1
        write_volume(Volume(ball, volume.geometry), data / f"{name}.label.nrrd")
    quick = "--iterations 1 --locator-iterations 0 --phantoms 0 --full-fields 0 --batch 1 --device cpu"
    assert main(["train", "--data", str(data), *quick.split(), "--labelled", "a", "--out", str(out)]) == 0
    assert wrong(tmp_path / "out", umask) == {} and made(out) > 4
