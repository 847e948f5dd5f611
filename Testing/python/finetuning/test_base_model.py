"""A run goes on from the model that it began with, and is judged only when its store is there."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.finetuning_runs import interrupt_at

from mtctl.errors import MtctlError
from mtctl.models.model import Model, save_model
from mtctl.models.model_files import WEIGHTS
from mtctl.models.store import ModelStore
from mtctl.models.verdict import ModelName, Verdict, write_verdict
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl.system.files import file_sha256
from mtctl_train.finetuning.base_model import base_of
from mtctl_train.finetuning.run import fine_tune
from mtctl_train.finetuning.run_folder import PLAN, RunError, RunState, read_events, read_status
from mtctl_train.finetuning.settings import FineTuning, Iterations

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick")]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Model) -> ModelStore:
    """A site with one model, which is in use."""
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("MTCTL_MODELS", str(tmp_path / "models"))
    shutil.copytree(tiny_model.folder, tmp_path / "first")
    return published(tmp_path / "first")


def published(candidate: Path) -> ModelStore:
    write_verdict(candidate, Verdict(ModelName("none", "0", ""), ()))
    store = ModelStore()
    store.publish(candidate, "for the test")
    return store


def another(folder: Path, model: Model, seed: int = 9) -> Path:
    """A model with other weights."""
    torch.manual_seed(seed)
    save_model(folder, replace(model.card, id="other"), MTCTLNet(model.card.architecture).state_dict())
    return folder


@pytest.fixture
def short(job: FineTuning, single: Path) -> FineTuning:
    """A run of one training of two steps."""
    return replace(job, store=single, length=Iterations(2))


def interrupt(job: FineTuning, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a run and stop it in its training."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, lambda event: event["event"] == "progress" and event["iteration"] == 2)
        fine_tune(job)


def test_a_run_that_began_with_the_model_in_use_goes_on_with_it_though_another_is_in_use_now(
    short: FineTuning, site: ModelStore, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(replace(short, base=None), monkeypatch)
    published(another(tmp_path / "second", tiny_model))
    verdict = fine_tune(replace(short, base=None))
    assert (verdict.base.id, verdict.base.sha256) == ("site-0001", tiny_model.card.sha256)


def test_a_run_whose_model_was_replaced_or_is_gone_says_which_one_it_wants(
    short: FineTuning, site: ModelStore, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = shutil.copytree(tiny_model.folder, tmp_path / "own")
    interrupt(replace(short, base=str(own)), monkeypatch)
    another(own, tiny_model)
    began = f"this run began with the model {tiny_model.id} {tiny_model.version}"
    with pytest.raises(RunError, match=f"{began}, but .*own is other"):
        fine_tune(replace(short, base=str(own)))
    with pytest.raises(RunError, match=f"{began}, which is gone from .*own or was replaced; put it back"):
        shutil.rmtree(site.folder / "versions")
        fine_tune(replace(short, base=None))
    shutil.rmtree(own)
    shutil.copytree(tiny_model.folder, own)
    assert fine_tune(replace(short, base=str(own))).base.sha256 == tiny_model.card.sha256


def test_a_model_that_an_update_moved_is_found_by_its_weights(
    site: ModelStore, tiny_model: Model, tmp_path: Path
) -> None:
    moved, run = tmp_path / "old place", tmp_path / "run"
    shutil.copytree(tiny_model.folder, moved)
    run.mkdir()
    assert base_of(run, str(moved)).folder == moved
    (run / PLAN).touch()
    shutil.rmtree(moved)
    assert base_of(run, None).folder == site.version(1).folder
    (run / "base.json").write_text("{", "utf-8")
    with pytest.raises(RunError, match="does not say which model the run began with"):
        base_of(run, None)


def test_a_run_that_never_began_is_not_bound_to_the_model_of_that_day(
    site: ModelStore, tiny_model: Model, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    base_of(run, None)
    second = another(tmp_path / "second", tiny_model)
    published(second)
    assert base_of(run, None).id == "site-0002"
    assert json.loads((run / "base.json").read_text("utf-8"))["sha256"] == file_sha256(second / WEIGHTS)


def test_a_store_that_is_away_at_the_verdict_stops_the_run_and_the_verdict_is_given_when_it_is_back(
    job: FineTuning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unmount(event: dict[str, object]) -> bool:
        if event["event"] == "end" and event["fold"] == 2:
            job.store.rename(tmp_path / "unmounted")
        return False

    with monkeypatch.context() as patch, pytest.raises(MtctlError, match="the case store cannot be reached"):
        interrupt_at(patch, unmount)
        fine_tune(job)
    status = read_status(job.out)
    assert status is not None and status.state is RunState.FAILED and not (job.out / "candidate").exists()
    assert read_events(job.out).events[-1]["event"] == "stopped"
    (tmp_path / "unmounted").rename(job.store)
    assert {case.case for case in fine_tune(job).cases} == {"a", "b", "c"}
