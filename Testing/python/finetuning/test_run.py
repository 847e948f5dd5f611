"""Fine-tuning from a case store: candidate and verdict, stop and resume, what it must never do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.finetuning_runs import be_quick, corrected, interrupt_at, small_job, truth
from support.scans import scan

from mtctl.cases.store import CaseStore
from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.io.volumes import write_volume
from mtctl.models.model import Model, find_model, read_model
from mtctl.models.model_files import WEIGHTS
from mtctl.models.verdict import Verdict, read_verdict
from mtctl.system.files import WriteError, file_sha256
from mtctl.system.process_tree import kill_tree
from mtctl_train import recipe
from mtctl_train.finetuning import run as finetune
from mtctl_train.finetuning.cases import Replay
from mtctl_train.finetuning.plan import plan_of
from mtctl_train.finetuning.run import LEARNT_SCANS, fine_tune, mean_of
from mtctl_train.finetuning.run_folder import RunError, RunState, read_events, read_status, working_in
from mtctl_train.finetuning.settings import FineTuning, Iterations, Minutes
from mtctl_train.finetuning.weighting import SURE, Weighting, trusted
from mtctl_train.training.checkpoint import CHECKPOINT, CheckpointError

CPU = torch.device("cpu")
SHAPE = (40, 48, 56)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick")]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_model(folder).load_network().state_dict()


@dataclass(frozen=True)
class FinishedRun:
    """A run that nobody disturbed: its job, its verdict and what it printed."""

    job: FineTuning
    verdict: Verdict
    printed: str


@pytest.fixture(scope="module")
def finished(filled: Path, tiny_model: Model, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    job = small_job(filled, tiny_model, tmp_path_factory.mktemp("finished") / "run")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        be_quick(patch)
        verdict = fine_tune(job)
    return FinishedRun(job, verdict, printed.getvalue())


def test_corrected_cases_become_a_candidate_with_a_verdict_and_leave_base_and_store_as_they_were(
    finished: FinishedRun, tiny_model: Model
) -> None:
    job, verdict = finished.job, finished.verdict
    candidate = job.out / "candidate"
    written = read_verdict(candidate)
    assert (written.cases, written.base, written.held_out) == (verdict.cases, verdict.base, verdict.held_out)
    assert verdict.base.sha256 == tiny_model.card.sha256 == file_sha256(tiny_model.folder / WEIGHTS)
    assert [case.case for case in sorted(verdict.cases, key=lambda case: case.case)] == ["a", "b", "c"]
    assert verdict.held_out.startswith("2 folds of 3 corrected cases")
    assert dict(verdict.data) == {id: CaseStore(job.store).case(id).fingerprint for id in "abc"}
    assert verdict.calibration is not None
    assert verdict.recipe["stages"][0]["learning_rate"] == job.learning_rate
    card = find_model(str(candidate)).card
    assert card.data[LEARNT_SCANS] == sorted(CaseStore(job.store).case(id).scan_sha256 for id in "abc")
    assert card.voxel_calibration == tiny_model.card.voxel_calibration and not card.default
    assert any(not torch.equal(new, old) for new, old in zip(
        weights(candidate).values(), tiny_model.load_network().state_dict().values(), strict=True
    ))  # fmt: skip
    assert CaseStore(job.store).verify() == []
    assert not list(job.out.glob(".mtctl-part*"))


def test_trainings_that_have_ended_keep_one_checkpoint_each(finished: FinishedRun) -> None:
    kept = sorted(path.relative_to(finished.job.out) for path in finished.job.out.rglob("checkpoint*"))
    assert kept == [Path("fold-1", CHECKPOINT), Path("fold-2", CHECKPOINT)]


def test_whoever_looks_at_the_folder_can_follow_the_run(finished: FinishedRun) -> None:
    job = finished.job
    events, end = read_events(job.out).events, read_events(job.out).offset
    assert read_events(job.out, end).events == []
    printed = [json.loads(line) for line in finished.printed.splitlines()]
    assert printed == events
    progress = [event for event in events if event["event"] == "progress"]
    assert progress[0]["iteration"] == 1 and {"dice", "distance", "cross_task"} <= set(progress[0]["losses"])
    shares = [event["share"] for event in progress]
    assert shares == sorted(shares) and shares[-1] == 1
    assert {event["fold"] for event in events} == {1, 2} and {event["folds"] for event in events} == {2}
    pictures = [job.out / event["file"] for event in events if event["event"] == "picture"]
    assert pictures and all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert events[-1]["event"] == "verdict"
    status = read_status(job.out)
    assert status is not None and status.state is RunState.FINISHED and status.pid == os.getpid()


def test_a_run_that_was_interrupted_in_its_second_training_goes_on_bit_for_bit_though_the_store_has_changed(
    job: FineTuning, finished: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, lambda event: event["event"] == "validation" and event["fold"] == 2)
        fine_tune(job)
    status = read_status(job.out)
    assert status is not None and status.state is RunState.STOPPED
    assert not (job.out / "candidate").exists()
    corrected(CaseStore(job.store), "d", by_answers=False)
    fine_tune(job)
    first, second = weights(finished.job.out / "candidate"), weights(job.out / "candidate")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_of_some_minutes_that_was_interrupted_goes_on_bit_for_bit(
    job: FineTuning, single: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(recipe, "FEWEST_ITERATIONS", 12)
    job = replace(job, store=single, length=Minutes(0.001))
    whole = replace(job, out=tmp_path / "whole")
    fine_tune(whole)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, lambda event: event["event"] == "progress" and event["iteration"] == 10)
        fine_tune(job)
    fine_tune(job)
    ends = {event["of"] for event in read_events(job.out).events if event["event"] == "progress"}
    assert ends == {12}  # Guessed from the minutes before the speed is known, and then kept.
    first, second = weights(whole.out / "candidate"), weights(job.out / "candidate")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_does_not_go_on_with_other_weights_of_the_voxels(
    job: FineTuning, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, lambda event: event["event"] == "validation")
        fine_tune(job)
    with pytest.raises(CheckpointError, match="belongs to a run with other settings"):
        fine_tune(replace(job, weighting=Weighting(corrected=5.0)))


def test_a_killed_process_leaves_nothing_half_written_and_the_same_command_finishes(job: FineTuning) -> None:
    program = (
        "import sys; from mtctl_train.finetuning import cases, run; run._PATCH = (48, 16, 16);"
        "cases.PHANTOMS = 0; from mtctl.commands.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "finetune", "--cases", str(job.store), "--base", str(job.base), "--out"]
    command += [str(job.out), "--device", "cpu", "--option", "checkpoint_seconds=0", "--iterations"]
    with subprocess.Popen([*command, "4000"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and event["iteration"] >= 10:
                break
        status = read_status(job.out)
        assert status is not None and status.state is RunState.RUNNING and status.pid == process.pid
        with pytest.raises(RunError, match="a run is under way there"):
            fine_tune(job)
        assert kill_tree(process.pid, 10)
    status = read_status(job.out)
    assert status is not None and status.state is RunState.STOPPED
    assert not (job.out / "candidate").exists()
    assert CaseStore(job.store).verify() == []
    with pytest.raises(CheckpointError, match="belongs to a run with other settings"):
        fine_tune(job)


def test_nothing_to_learn_from_is_said_in_a_sentence(job: FineTuning, tmp_path: Path) -> None:
    store = CaseStore(tmp_path / "other")
    store.add(scan(SHAPE, 9), "x")
    with pytest.raises(RunError, match="none of its cases is corrected or accepted; review some first"):
        fine_tune(replace(job, store=store.folder))
    status = read_status(job.out)
    assert status is not None and status.state is RunState.FAILED and "review some first" in status.message


def test_a_case_that_is_deleted_or_damaged_meanwhile_is_skipped_and_named(job: FineTuning) -> None:
    job.out.mkdir()
    plan_of(job.out, CaseStore(job.store), job.recipe.seed)
    shutil.rmtree(job.store / "cases" / "b")
    next((job.store / "cases" / "d").glob("scan*.nrrd")).write_bytes(b"torn")
    verdict = fine_tune(replace(job, length=Iterations(3)))
    skipped = {event["case"] for event in read_events(job.out).events if event["event"] == "skipped"}
    assert "b" in skipped
    assert {case.case for case in verdict.cases} == {"a", "c"}


def test_an_unlabelled_case_that_cannot_be_used_ends_no_run(job: FineTuning, single: Path) -> None:
    store = CaseStore(single)
    for seed, id in ((1, "damaged"), (2, "unreadable")):
        store.add(scan(SHAPE, seed), id)
    (single / "cases" / "damaged" / "scan.nrrd").write_bytes(b"")
    (single / "cases" / "unreadable" / "case.json").write_bytes(b"[" * 200_000)
    fine_tune(replace(job, store=single, length=Iterations(2)))
    told = {event["case"]: event["reason"] for event in read_events(job.out).events if event["event"] == "skipped"}
    assert "scan.nrrd: is damaged" in told["damaged"] and "case.json: is nested too deep" in told["unreadable"]
    assert (job.out / "candidate" / "verdict.json").is_file()


def test_a_corrected_mask_that_is_empty_is_skipped_and_named_and_nobody_says_that_it_was_learnt_from(
    job: FineTuning,
) -> None:
    CaseStore(job.store).add_label("b", np.zeros(SHAPE, bool), "tester")
    verdict = fine_tune(replace(job, length=Iterations(3)))
    skipped = {event["case"]: event["reason"] for event in read_events(job.out).events if event["event"] == "skipped"}
    assert skipped == {"b": "b: its corrected mask is empty; reject the case instead"}
    assert {case.case for case in verdict.cases} == set(verdict.data) == {"a", "c"}
    assert verdict.held_out.startswith("2 folds of 2 of 3 corrected cases")
    assert find_model(str(job.out / "candidate")).card.data["labelled"] == ["a", "c"]


def test_a_store_that_is_away_stops_the_run_and_costs_it_no_case(job: FineTuning, single: Path, tmp_path: Path) -> None:
    job = replace(job, store=single, length=Iterations(2))
    job.out.mkdir()
    plan_of(job.out, CaseStore(single), job.recipe.seed)
    single.rename(tmp_path / "unmounted")
    with pytest.raises(MtctlError, match="the case store cannot be reached; connect its drive or share, and resume"):
        fine_tune(job)
    (tmp_path / "unmounted").rename(single)
    assert set(fine_tune(job).data) == {"only"}
    assert not [event for event in read_events(job.out).events if event["event"] == "skipped"]


def test_a_disk_that_is_full_at_the_end_leaves_no_candidate_and_the_same_command_writes_it(
    job: FineTuning, single: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, verdict: Any) -> None:
        raise WriteError(f"{folder}: cannot be written: the disk is full; free some space and run again")

    job = replace(job, store=single, length=Iterations(2))
    with monkeypatch.context() as patch, pytest.raises(WriteError, match="the disk is full"):
        patch.setattr(finetune, "write_verdict", full)
        fine_tune(job)
    assert not (job.out / "candidate").exists()
    assert read_events(job.out).events[-1]["event"] == "stopped"
    fine_tune(job)
    assert (job.out / "candidate" / "verdict.json").is_file()


def test_only_what_a_person_looked_at_or_the_old_model_was_sure_of_judges_a_model(filled: Path) -> None:
    reviewed, imported = CaseStore(filled).case("a"), CaseStore(filled).case("b")
    assert trusted(imported).all()
    believed, looked_at = trusted(reviewed), reviewed.looked_at()
    assert looked_at.any() and not looked_at.all()
    assert believed[looked_at].all() and believed[reviewed.changed_voxels()].all()
    unseen = ~(looked_at | reviewed.changed_voxels())
    assert (believed[unseen] == (reviewed.map("entropy")[unseen] <= SURE)).all()


def test_a_single_corrected_case_gives_a_candidate_that_cannot_be_called_better(job: FineTuning, single: Path) -> None:
    verdict = fine_tune(replace(job, store=single, length=Iterations(2)))
    assert not verdict.cases and verdict.against
    assert all(json.dumps(event, allow_nan=False) for event in read_events(job.out).events)


def test_a_run_of_some_minutes_sets_its_iterations_by_its_speed(
    job: FineTuning, single: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "FEWEST_ITERATIONS", 10)
    fine_tune(replace(job, store=single, length=Minutes(0.02)))
    told = [event for event in read_events(job.out).events if event["event"] == "progress"]
    assert all(10 <= event["of"] < 600 for event in told), "nobody is told of a number that was not asked for"
    assert told[0]["seconds_left"] <= 60 * 0.02


def test_replayed_cases_are_read_from_their_folder_and_named_in_the_card(
    job: FineTuning, single: Path, tmp_path: Path
) -> None:
    job = replace(job, store=single, length=Iterations(2))
    volume = scan(SHAPE, 7)
    write_volume(volume, tmp_path / "old.image.nrrd")
    write_volume(Volume(truth().astype(np.uint8), volume.geometry), tmp_path / "old.label.nrrd")
    fine_tune(replace(job, replay=Replay(tmp_path, ("old",)), recipe=replace(job.recipe, replay_share=1.0)))
    assert find_model(str(job.out / "candidate")).card.data["replay"] == ["old"]
    assert (job.out / "prepared" / "replay" / "old.safetensors").is_file()


def test_the_mean_of_networks_leaves_counters_alone() -> None:
    states = [{"w": torch.tensor([value]), "n": torch.tensor(3)} for value in (1.0, 3.0)]
    assert mean_of(states) == {"w": torch.tensor([2.0]), "n": torch.tensor(3)}


def test_a_run_that_is_gone_or_silent_elsewhere_has_stopped_and_a_torn_line_waits(tmp_path: Path) -> None:
    with pytest.raises(MtctlError), working_in(tmp_path):
        raise MtctlError("no")
    status = json.loads((tmp_path / "status.json").read_text("utf-8"))
    assert status["state"] == "failed" and status["message"] == "no"
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    gone = status | {"pid": int(process.stdout), "state": "running"}
    (tmp_path / "status.json").write_text(json.dumps(gone), "utf-8")
    found = read_status(tmp_path)
    assert found is not None and found.state is RunState.STOPPED
    elsewhere = gone | {"machine": "another", "heard": time.time()}
    (tmp_path / "status.json").write_text(json.dumps(elsewhere), "utf-8")
    found = read_status(tmp_path)
    assert found is not None and found.state is RunState.RUNNING
    with pytest.raises(RunError, match="of another computer"), working_in(tmp_path):
        pass
    (tmp_path / "status.json").write_text(json.dumps(elsewhere | {"heard": time.time() - 61}), "utf-8")
    found = read_status(tmp_path)
    assert found is not None and found.state is RunState.STOPPED
    (tmp_path / "progress.jsonl").write_bytes(b'{"event": "start"}\n{"event": "prog')
    events = read_events(tmp_path)
    assert [event["event"] for event in events.events] == ["start"] and events.offset == 19
