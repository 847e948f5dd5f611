"""What a run that was killed while it wrote a checkpoint leaves, and what becomes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mtctl.system.files import TEMPORARY_PREFIX
from mtctl_train.training.checkpoint import CHECKPOINT, TrainingProgress, load_checkpoint, save_checkpoint
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
