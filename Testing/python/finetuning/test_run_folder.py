"""How a fine-tuning run ends is written down, whatever ended it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mtctl.errors import MtctlError
from mtctl.system.files import TEMPORARY_PREFIX, WriteError
from mtctl_train.finetuning import run_folder
from mtctl_train.finetuning.run_folder import STATUS, RunState, read_status, working_in


@contextmanager
def nothing_new(path: Path) -> Iterator[Path]:
    raise WriteError(f"{path}: cannot be written: the disk is full; free some space and run again")
    yield path


@pytest.mark.parametrize("length", [3, 900], ids=["a short message", "a long one"])
def test_on_a_full_disk_the_status_says_why_a_run_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    with pytest.raises(MtctlError), working_in(tmp_path):
        monkeypatch.setattr(run_folder, "replacing", nothing_new)
        raise MtctlError("x" * length)
    status = read_status(tmp_path)
    assert status is not None and (status.state, status.message) == (RunState.FAILED, "x" * length)
    assert json.loads((tmp_path / STATUS).read_text("utf-8"))["pid"] == os.getpid()


def test_without_any_status_to_write_over_the_error_on_its_way_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MtctlError, match="the store is gone"), working_in(tmp_path):
        monkeypatch.setattr(run_folder, "replacing", nothing_new)
        (tmp_path / STATUS).unlink()
        raise MtctlError("the store is gone")
    assert read_status(tmp_path) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory; end other programs, or choose less at once"),
        (OSError(errno.ENOSPC, "No space left on device", "a.nrrd"), "a.nrrd: the disk is full; free some space and"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero (a fault in mtctl)"),
    ],
)
def test_every_kind_of_error_is_named_in_the_status(tmp_path: Path, error: Exception, words: str) -> None:
    with pytest.raises(type(error)), working_in(tmp_path):
        raise error
    status = read_status(tmp_path)
    assert status is not None and status.state is RunState.FAILED and status.message.startswith(words)


def test_a_run_that_begins_removes_what_killed_ones_have_half_written_and_leaves_what_others_write(
    tmp_path: Path,
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "prepared").mkdir()
    (tmp_path / "fold-1" / f"{TEMPORARY_PREFIX}{ended.pid}-0a").mkdir(parents=True)
    for place in ("prepared", "fold-1"):
        for number in (ended.pid, os.getppid()):
            (tmp_path / place / f"{TEMPORARY_PREFIX}{number}-0a0a0a0a-a.safetensors").touch()
    with working_in(tmp_path):
        left = {path.name for path in tmp_path.rglob(f"{TEMPORARY_PREFIX}*")}
    assert left == {f"{TEMPORARY_PREFIX}{os.getppid()}-0a0a0a0a-a.safetensors"}
