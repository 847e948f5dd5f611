"""Which processes are alive, other users' ones too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mtctl.system import process_tree
from mtctl.system.process_tree import is_running, kill_tree, lower_priority


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """As a user to whom process 1 does not belong."""
    root = os.geteuid() == 0
    if root:
        os.setresuid(65534, 65534, 0)  # The real one, too: signals go by either.
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can hide processes in /proc")
def test_a_process_of_another_user_that_proc_hides_is_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_tree, "_PROC", tmp_path)  # as with hidepid=2: nothing of others is there
    with as_somebody_else():
        assert is_running(1)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no signal is needed to tell")
def test_a_process_that_ended_is_not_running_although_it_was_not_collected() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with as_somebody_else():
        assert not is_running(process.pid)
    process.wait()
    assert not is_running(process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a number is looked up in a list")
def test_a_number_that_no_process_can_have_is_not_running() -> None:
    assert not is_running(10**12)


@pytest.mark.skipif(sys.platform != "win32", reason="process 4, the system's, is Windows' alone")
def test_a_process_of_windows_that_may_not_be_opened_is_running() -> None:
    assert is_running(4)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to ask with")
def test_on_macos_a_look_at_a_process_starts_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object, **__: object) -> None:
        raise AssertionError("a look twice a second starts no program")

    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        patch.setattr(subprocess, "run", started)
        assert is_running(process.pid)
        with as_somebody_else():
            assert is_running(1), "it is not ours to signal, but it is there"
        assert not is_running(10**12)
    process.communicate(b"\n")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not is_running(process.pid)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no zombies")
def test_on_macos_a_tree_is_gone_when_only_its_zombies_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert kill_tree(process.pid, patience=5)
    process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="os.nice")
def test_a_program_steps_back_in_its_own_process_and_the_tests_keep_their_priority() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    lower_priority()
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
    program = (
        "import os; from mtctl.system.process_tree import lower_priority\n"
        "before = os.getpriority(os.PRIO_PROCESS, 0); lower_priority()\n"
        "print(os.getpriority(os.PRIO_PROCESS, 0) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) == min(5, 19 - before)
