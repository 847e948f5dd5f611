"""What a run that was killed while it wrote a checkpoint leaves, and what becomes of it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support.documents import pipe
from torch import nn

from mtctl.system.files import TEMPORARY_PREFIX
from mtctl_train.training.checkpoint import (
    CHECKPOINT,
    PREVIOUS,
    CheckpointError,
    TrainingProgress,
    load_checkpoint,
    save_checkpoint,
)
from mtctl_train.training.divergence import Watch

PROGRESS = TrainingProgress(3, 1.5, "{}", (8,), Watch(0.5, 0.4, 3, {"dice": 0.5}))

#: Ends at once, without any clean-up, as by kill -9, while `replacing` has its part open.
_KILLED = """
import os, sys
from pathlib import Path
from mtctl.system.files import replacing
with replacing(Path(sys.argv[1])) as part:
    part.write_bytes(bytes(1000))
    os._exit(9)
"""


def kill_a_writer_of(path: Path) -> Path:
    """The part that it leaves."""
    before = set(path.parent.iterdir())
    assert subprocess.run([sys.executable, "-c", _KILLED, str(path)]).returncode == 9
    (part,) = set(path.parent.iterdir()) - before
    assert part.name.startswith(TEMPORARY_PREFIX)
    return part


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(2, 3)


def test_the_part_of_a_killed_run_is_removed_when_the_run_goes_on(tmp_path: Path, network: nn.Module) -> None:
    save_checkpoint(tmp_path, PROGRESS, {"student": network}, {})
    kill_a_writer_of(tmp_path / CHECKPOINT)
    saved = network.weight.clone()
    nn.init.zeros_(network.weight)
    assert load_checkpoint(tmp_path, "{}", {"student": network}, {}) == PROGRESS
    assert torch.equal(network.weight, saved)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_part_is_removed_where_the_run_was_killed_in_its_first_checkpoint(tmp_path: Path) -> None:
    kill_a_writer_of(tmp_path / CHECKPOINT)
    assert load_checkpoint(tmp_path, "{}", {}, {}) is None
    assert not list(tmp_path.iterdir())


def test_parts_of_other_files_of_other_folders_and_of_living_processes_are_kept(tmp_path: Path) -> None:
    (tmp_path / "locator-training").mkdir()
    of_weights = kill_a_writer_of(tmp_path / "weights.safetensors")
    of_another_run = kill_a_writer_of(tmp_path / "locator-training" / CHECKPOINT)
    of_the_living = tmp_path / f"{TEMPORARY_PREFIX}{os.getppid()}-0a0a0a0a-{CHECKPOINT}"
    of_the_living.touch()
    kill_a_writer_of(tmp_path / CHECKPOINT)
    load_checkpoint(tmp_path, "{}", {}, {})
    assert set(tmp_path.glob(f"**/{TEMPORARY_PREFIX}*")) == {of_weights, of_another_run, of_the_living}


def change(path: Path, tensor: str = "student.weight", **metadata: str) -> None:
    """Change a weight, or what the file says of itself, so that it can still be opened; "" takes a text away."""
    with safe_open(path, "pt") as stream:
        said = stream.metadata() | metadata
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    if not metadata:
        tensors[tensor].view(-1)[0] += 1
    save_file(tensors, path, {name: text for name, text in said.items() if text})


def test_a_checkpoint_whose_weights_were_changed_is_refused(tmp_path: Path, network: nn.Module) -> None:
    save_checkpoint(tmp_path, PROGRESS, {"student": network}, {})
    change(tmp_path / CHECKPOINT)
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: damaged, or changed since .*delete it"):
        load_checkpoint(tmp_path, "{}", {"student": network}, {})


@pytest.mark.parametrize("damage", ["changed", "torn", "empty", "a pipe"])
def test_where_the_last_checkpoint_is_damaged_the_one_before_it_is_taken_and_kept(
    tmp_path: Path, network: nn.Module, damage: str
) -> None:
    save_checkpoint(tmp_path, PROGRESS, {"student": network}, {})
    before = network.weight.clone()
    nn.init.ones_(network.weight)
    save_checkpoint(tmp_path, dataclasses.replace(PROGRESS, iteration=6), {"student": network}, {})
    path = tmp_path / CHECKPOINT
    if damage == "changed":
        change(path)
    elif damage == "a pipe":
        pipe(path)
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == "torn" else b"")
    with pytest.warns(UserWarning, match=r"checkpoint\.safetensors: damaged.*goes on from the one before it"):
        assert load_checkpoint(tmp_path, "{}", {"student": network}, {}) == PROGRESS
    assert torch.equal(network.weight, before)
    save_checkpoint(tmp_path, dataclasses.replace(PROGRESS, iteration=4), {"student": network}, {})
    found = load_checkpoint(tmp_path, "{}", {"student": network}, {})
    assert found is not None and found.iteration == 4
    assert {path.name for path in tmp_path.iterdir()} <= {CHECKPOINT, PREVIOUS}


def test_a_run_that_was_killed_between_two_checkpoints_goes_on_from_the_first(
    tmp_path: Path, network: nn.Module
) -> None:
    save_checkpoint(tmp_path, PROGRESS, {"student": network}, {})
    os.replace(tmp_path / CHECKPOINT, tmp_path / PREVIOUS)
    assert load_checkpoint(tmp_path, "{}", {"student": network}, {}) == PROGRESS


def test_a_disk_without_hard_links_keeps_the_one_before_too(
    tmp_path: Path, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    for iteration in (3, 6, 9):
        save_checkpoint(tmp_path, dataclasses.replace(PROGRESS, iteration=iteration), {"student": network}, {})
    (tmp_path / CHECKPOINT).write_bytes(b"")
    with pytest.warns(UserWarning, match="goes on from the one before it"):
        found = load_checkpoint(tmp_path, "{}", {"student": network}, {})
    assert found is not None and found.iteration == 6


def test_a_checkpoint_of_an_earlier_version_is_taken_as_it_is_and_that_is_said(
    tmp_path: Path, network: nn.Module
) -> None:
    save_checkpoint(tmp_path, PROGRESS, {"student": network}, {})
    change(tmp_path / CHECKPOINT, sha256="")
    with pytest.warns(UserWarning, match="has no checksum, as an earlier version wrote it"):
        assert load_checkpoint(tmp_path, "{}", {"student": network}, {}) == PROGRESS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("iteration", "-1"), ("iteration", "many"), ("iteration", "[" * 9000), ("seconds", "NaN"),
        ("planned", '{"a": 1}'), ("planned", "[1.5]"), ("watch", "[]"), ("watch", '{"seen": "often"}'),
        ("settings", "[" * 200_000),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*has no checksum")
def test_what_a_checkpoint_says_of_itself_is_checked(tmp_path: Path, network: nn.Module, name: str, text: str) -> None:
    save_checkpoint(tmp_path, PROGRESS, {"student": network}, {})
    change(tmp_path / CHECKPOINT, **{name: text, "sha256": ""})
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: "):
        load_checkpoint(tmp_path, "{}", {"student": network}, {})


@pytest.mark.parametrize("other", ["a missing network", "another shape"])
def test_a_checkpoint_of_other_networks_is_refused(tmp_path: Path, network: nn.Module, other: str) -> None:
    save_checkpoint(tmp_path, PROGRESS, {"student": network}, {})
    asked = {"critic": network} if other == "a missing network" else {"student": nn.Linear(5, 5)}
    with pytest.raises(CheckpointError, match="is of other networks"):
        load_checkpoint(tmp_path, "{}", asked, {})
