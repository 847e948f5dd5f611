"""The lock of the stores: one at a time, nobody waits for the dead, and who slept too long changes nothing."""

from __future__ import annotations

import errno
import math
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from mtctl.system import locks as store_lock
from mtctl.system import machine
from mtctl.system.locks import LOCK_PREFIX, LockError, locked
from mtctl.system.machine import this_machine

HOLD = "import sys, time\nfrom pathlib import Path\nfrom mtctl.system.locks import locked\n"


def holder(folder: Path, program: str) -> subprocess.Popen[str]:
    """A process that has taken the lock."""
    code = f"{HOLD}with locked(Path({str(folder)!r})):\n    print('held', flush=True)\n    {program}"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_lock_of_a_process_that_was_killed_is_taken_over_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = holder(tmp_path, "time.sleep(60)")
    process.kill()
    process.wait()
    monkeypatch.setattr(store_lock, "EXPIRY", math.inf)  # not because it was watched for long enough
    with locked(tmp_path) as held:
        held.check()


def test_who_waits_gets_the_lock_when_its_owner_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = holder(tmp_path, "sys.stdin.readline()")
    assert process.stdin is not None
    monkeypatch.setattr(store_lock, "EXPIRY", math.inf)  # not because it was watched for long enough
    released = threading.Event()

    def release() -> None:
        released.set()
        process.stdin.write("\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]

    threading.Timer(0.3, release).start()
    with locked(tmp_path):
        assert released.is_set()
    assert process.wait(10) == 0


def test_a_lock_of_another_machine_expires_and_its_owner_notices_when_it_wakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    with locked(tmp_path) as asleep:
        monkeypatch.setattr(store_lock, "this_machine", lambda: "another")
        monkeypatch.setattr(store_lock, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
        with locked(tmp_path) as awake:
            assert store_lock.EXPIRY < clock[0] < store_lock.PATIENCE  # It was watched for so long, not taken at once.
            awake.check()
            with pytest.raises(LockError, match="this took too long"):
                asleep.check()
        with pytest.raises(LockError):
            asleep.check()
    with locked(tmp_path) as later:  # What the late owner releases is not the lock of the next.
        later.check()


def test_an_owner_that_died_before_it_wrote_its_name_is_waited_for_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_lock, "EXPIRY", 0.2)
    (tmp_path / f"{LOCK_PREFIX}00000001").touch()
    with locked(tmp_path) as held:
        assert held.generation == 2


def test_who_waits_in_vain_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_lock, "PATIENCE", 0.2)
    with locked(tmp_path), pytest.raises(LockError, match="other programs keep it locked; try again"), locked(tmp_path):
        pass


def test_many_threads_and_processes_hold_it_one_at_a_time(tmp_path: Path) -> None:
    counter, lock = tmp_path / "counter", tmp_path / "lock"
    lock.mkdir()
    counter.write_text("0")
    count = (
        f"{HOLD}counter = Path({str(counter)!r})\n"
        f"for _ in range(40):\n    with locked(Path({str(lock)!r})):\n"
        "        value = int(counter.read_text()); time.sleep(0.001); counter.write_text(str(value + 1))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", count]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert counter.read_text() == "120"
    assert [name for name in os.listdir(lock) if not name.endswith(".free")] == []


def test_a_lock_is_freed_although_who_waits_is_reading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows a file that is open cannot be renamed."""
    rename, refusals = os.rename, [PermissionError(errno.EACCES, "used by another process")] * 3

    def read_by_another(source: Path, target: Path) -> None:
        if refusals:
            raise refusals.pop()
        rename(source, target)

    with locked(tmp_path):
        monkeypatch.setattr(os, "rename", read_by_another)
        monkeypatch.setattr(sys, "platform", "win32")
    assert os.listdir(tmp_path) == [f"{LOCK_PREFIX}00000001.free"]


def test_few_files_remain(tmp_path: Path) -> None:
    for _ in range(5):
        with locked(tmp_path):
            pass
    assert os.listdir(tmp_path) == [f"{LOCK_PREFIX}00000005.free"]


def test_a_generation_that_others_used_up_in_the_meantime_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at a network folder may be seconds old: what it shows as the next generation was taken and freed."""
    with locked(tmp_path):
        pass
    (tmp_path / f"{LOCK_PREFIX}00000002.free").touch()
    newest, looks = store_lock._newest, iter([(1, True)])
    monkeypatch.setattr(store_lock, "_newest", lambda folder: next(looks, None) or newest(folder))
    with locked(tmp_path) as held:
        assert held.generation == 3


@pytest.fixture
def fresh_name() -> Iterator[None]:
    """What a process finds that has not asked yet."""
    this_machine.cache_clear()
    yield
    this_machine.cache_clear()


def name_of_a_new_process(monkeypatch: pytest.MonkeyPatch, host: str) -> str:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    monkeypatch.setattr(uuid, "getnode", lambda: hash(host))
    this_machine.cache_clear()
    return this_machine()


class TestTheNameOfThisMachine:
    @pytest.fixture(autouse=True, params=["as it is", "not Linux"])
    def system(
        self, request: pytest.FixtureRequest, fresh_name: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(machine, "user_data", lambda: tmp_path / "data")
        if request.param == "not Linux":
            monkeypatch.setattr(machine, "_PROC", tmp_path / "proc")

    def test_stays_when_the_host_gets_another_name_and_another_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert name_of_a_new_process(monkeypatch, "mac.local") == name_of_a_new_process(monkeypatch, "mac.hospital.org")


class TestTheKeptNameOfThisMachine:
    @pytest.fixture(autouse=True)
    def system(self, fresh_name: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "_PROC", tmp_path / "proc")
        monkeypatch.setattr(machine, "user_data", lambda: tmp_path / "data")

    def test_is_another_one_for_another_machine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = name_of_a_new_process(monkeypatch, "mac")
        monkeypatch.setattr(machine, "user_data", lambda: tmp_path / "of another machine")
        assert name_of_a_new_process(monkeypatch, "mac") != first

    def test_is_the_same_for_processes_that_ask_for_the_first_time_at_once(self, tmp_path: Path) -> None:
        code = (
            "import pathlib, sys; from mtctl.system import machine; data = pathlib.Path(sys.argv[1]);"
            "machine._PROC, machine.user_data = data / 'proc', lambda: data; sys.stdin.readline();"
            "print(machine.this_machine())"
        )
        command = [sys.executable, "-c", code, str(tmp_path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        processes = [subprocess.Popen(command, **pipes) for _ in range(4)]  # type: ignore[call-overload]
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        assert len({process.communicate(timeout=60)[0] for process in processes}) == 1
        assert [path.name for path in (tmp_path / "mtctl").iterdir()] == ["machine"]

    def test_is_that_of_the_host_where_nothing_can_be_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "data").write_text("a file")
        first = name_of_a_new_process(monkeypatch, "one")
        assert first == name_of_a_new_process(monkeypatch, "one") != name_of_a_new_process(monkeypatch, "two")
