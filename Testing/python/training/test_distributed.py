"""Several processes: a step of two equals one of one with the same batch; a run by torchrun; kill -9 and resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from support.children import environment, wait_for
from support.distributed_steps import METHODS, step
from support.scans import scan
from torch import distributed

from mtctl.commands.main import main
from mtctl.geometry import Volume
from mtctl.io.volumes import write_volume
from mtctl.models.model import Model, read_model
from mtctl.system.process_tree import kill_tree
from mtctl_train.distributed import Team
from mtctl_train.training.checkpoint import CHECKPOINT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not distributed.is_gloo_available(), reason="this torch has no gloo"),
]


#: Of each of two processes: a step by every method, then `mtctl train`.
PROGRAM = """
import os, sys
from mtctl.commands.main import main
from mtctl_train.training import job
from mtctl_train.distributed import current_team
from support.distributed_steps import take_part
def locator(model, *rest):
    print('locator trained by', current_team().size)
    return model
job.train_locator = locator
take_part(sys.argv[1], int(os.environ["RANK"]))
sys.exit(main(sys.argv[2:]))
"""
ONE_THREAD = {**environment(), "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class TwoProcesses:
    """What two processes did under torchrun: where their steps are, the model, and what they printed."""

    meeting: Path
    model: Path
    printed: str


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> TwoProcesses:
    folder = tmp_path_factory.mktemp("two")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(folder / "program.py"), str(folder / "meeting"), *arguments, "--validation", "d"]
    command += ["--locator-iterations", "5", "--method", "mtctl", "--iterations", "3", "--out", str(folder / "model")]
    process = subprocess.Popen(command, env=ONE_THREAD, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        printed, errors = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        kill_tree(process.pid)  # Else the two would look for the process that started them for half an hour.
        raise
    assert process.returncode == 0, errors
    return TwoProcesses(folder / "meeting", folder / "model", printed)


def test_one_step_of_two_processes_is_one_step_of_one_with_the_same_batch(two: TwoProcesses) -> None:
    for name, method in METHODS.items():
        gradients, buffers = step(method)
        for rank in range(2):
            found = load_file(f"{two.meeting}.{name}.{rank}")
            assert set(found) == {*gradients, *buffers}
            for key, expected in (gradients | buffers).items():
                # The critic works in float32 whatever it is given.
                tolerance = 1e-8 if expected.dtype == torch.float64 else 1e-4
                scale = float(expected.abs().max()) or 1.0
                torch.testing.assert_close(
                    found[key], expected, rtol=tolerance, atol=tolerance * scale, msg=f"{name} {key}"
                )


def test_a_team_of_one_takes_everything_and_two_take_halves_of_each_group() -> None:
    whole = torch.arange(8)
    assert torch.equal(Team().part_of(whole, 2), whole)
    assert Team(0, 2).part_of(whole, 2).tolist() == [0, 1, 4, 5]
    assert Team(1, 2).part_of(whole, 2).tolist() == [2, 3, 6, 7]


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory, tiny_model: Model) -> list[str]:
    """Of `mtctl train` on three of four small cases; the network is as small as the model that it starts from."""
    data = tmp_path_factory.mktemp("data")
    for seed, name in enumerate(("a", "b", "c", "d")):
        volume = scan((40, 48, 56), seed)
        z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in volume.array.shape], indexing="ij")
        write_volume(volume, data / f"{name}.image.nrrd")
        mask = (np.sqrt(z**2 + y**2 + x**2) < 0.6).astype(np.uint8)
        write_volume(Volume(mask, volume.geometry), data / f"{name}.label.nrrd")
    return [
        *("train", "--data", str(data), "--labelled", "a", "b", "--unlabelled", "c"),
        *("--patch", "48,16,16", "--locator-iterations", "0", "--phantoms", "0", "--full-fields", "0"),
        *("--device", "cpu", "--base", str(tiny_model.folder)),
    ]  # fmt: skip


def test_two_processes_under_torchrun_train_a_model_and_the_first_does_alone_what_follows(two: TwoProcesses) -> None:
    # It would wait for the other for ever, or find it gone, if it were still in a team with it.
    out = two.model
    assert (out / "weights.safetensors").is_file() and (out / "card.json").is_file()
    events = [json.loads(line) for line in (out / "progress.jsonl").read_text("utf-8").splitlines()]
    # One process writes, not both.
    assert [event["event"] for event in events] == ["start", "progress", "progress", "validation", "end"]
    assert two.printed.count("locator trained by 1") == 1
    assert read_model(out).card.score is not None, "the model is calibrated"


def test_a_batch_that_two_processes_cannot_share_is_refused(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mtctl_train.training.trainer.current_team", lambda: Team(0, 2))
    assert main([*arguments, "--batch", "3", "--iterations", "3", "--out", str(tmp_path / "model")]) == 1
    assert "a batch of 3 cannot be shared by 2 processes" in capsys.readouterr().err


def test_a_run_killed_in_the_middle_ends_bit_for_bit_as_one_that_was_not(tmp_path: Path, arguments: list[str]) -> None:
    common = [*arguments, "--iterations", "10", "--option", "checkpoint_seconds=0"]

    def at(folder: Path) -> int:
        try:
            with safe_open(folder / CHECKPOINT, "pt") as stream:
                return int(stream.metadata()["iteration"])
        except (OSError, RuntimeError):  # Not there yet, or exchanged between two looks at it.
            return 0

    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "mtctl", *common, "--out", str(killed)]
    child = subprocess.Popen(command, env=ONE_THREAD, stdout=subprocess.DEVNULL)
    wait_for(lambda: at(killed) >= 3 or child.poll() is not None, 240)
    child.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    child.wait()
    assert 3 <= at(killed) < 10, "the run was over before it could be killed"
    torch.set_num_threads(1)
    for folder in (killed, tmp_path / "whole"):
        assert main([*common, "--out", str(folder)]) == 0
    first, second = (load_file(folder / "weights.safetensors") for folder in (killed, tmp_path / "whole"))
    assert all(torch.equal(first[name], second[name]) for name in second)
