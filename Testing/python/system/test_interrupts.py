"""An interrupt ends the program, whatever it is doing."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.children import environment, hearing, wait_for
from support.segment_command import run

import mtctl
from mtctl.batch import runner
from mtctl.batch.cohort import TABLE
from mtctl.batch.runner import Failure
from mtctl.commands.main import main
from mtctl.models.model import Model
from mtctl.system import interrupts
from mtctl.system.interrupts import INTERRUPTED, check, deferred, ended_by_signals

BLOWS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP] if sys.platform != "win32" else [signal.SIGINT]


@pytest.fixture(autouse=True)
def hears(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let this process hear Ctrl-C, as one that a shell starts in the background does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def strike() -> None:
    """Let Ctrl-C come now."""
    signal.raise_signal(signal.SIGINT)


def go_on(seconds: float = 20.0) -> None:
    """Work until it is interrupted.

    Raises:
        AssertionError: Nothing came.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.001)
    raise AssertionError("the interrupt was forgotten")


class WatchedThing:
    pass


class _StruckAtItsEnd:
    def __del__(self) -> None:
        strike()
        time.sleep(0)


def in_a_destructor() -> None:
    _StruckAtItsEnd()


def in_a_callback_of_a_weak_reference() -> None:
    thing = WatchedThing()
    reference = weakref.ref(thing, lambda _: strike())
    del thing
    assert reference() is None


def in_a_callback_of_the_garbage_collector() -> None:
    def struck(phase: str, details: dict[str, int]) -> None:
        gc.callbacks.remove(struck)
        strike()

    gc.callbacks.append(struck)
    gc.collect()


def in_a_callback_of_code_in_c() -> None:
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    numbers = (ctypes.c_int * 2)(2, 1)

    def compare(first: object, second: object) -> int:
        strike()
        return 0

    ctypes.CDLL(None).qsort(numbers, 2, ctypes.sizeof(ctypes.c_int), kind(compare))


FORGETTING = [in_a_destructor, in_a_callback_of_a_weak_reference, in_a_callback_of_the_garbage_collector]
if sys.platform != "win32":
    FORGETTING.append(in_a_callback_of_code_in_c)


@pytest.mark.parametrize("place", FORGETTING, ids=lambda place: place.__name__)
def test_an_interrupt_that_is_forgotten_where_it_was_raised_comes_again_and_nothing_of_that_is_printed(
    place: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    with ended_by_signals():
        place()
        go_on()
    assert capfd.readouterr().err == "mtctl: interrupted\n"


def test_an_interrupt_that_a_library_has_caught_ends_the_work_at_its_next_piece() -> None:
    with ended_by_signals():
        with suppress(BaseException):  # as libraries do
            strike()
        check()
        raise AssertionError("the interrupt was forgotten")


def test_an_interrupt_waits_until_what_must_not_be_cut_short_is_done() -> None:
    done = []
    with ended_by_signals(), deferred():
        with deferred():
            strike()
            check()
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_a_signal_that_is_sent_twice_at_once_is_one_and_does_not_cut_short_what_is_put_in_order() -> None:
    order = []
    with ended_by_signals():
        try:
            strike()
        finally:
            strike()  # as `timeout` does
            order.append("in order")
    assert order == ["in order"]


@pytest.mark.parametrize("blow", BLOWS, ids=lambda blow: blow.name)
def test_handlers_and_hooks_are_as_before_when_the_work_is_over(blow: signal.Signals) -> None:
    before = signal.getsignal(blow), sys.unraisablehook, signal.set_wakeup_fd(-1)
    with ended_by_signals():
        signal.raise_signal(blow)
        go_on()
    assert (signal.getsignal(blow), sys.unraisablehook, signal.set_wakeup_fd(-1)) == before


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with ended_by_signals():
        strike()
        check()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


_ENGINE = str(Path(mtctl.__file__).parent)


class _Strike:
    """Lets Ctrl-C come at the n-th line of the engine's that is run from where on it is heard."""

    def __init__(self, at: int) -> None:
        self._at, self.lines = at, 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_ENGINE) or frame.f_code.co_filename == interrupts.__file__:
            return None
        if event == "line" and signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            self.lines += 1
            if self.lines == self._at:
                sys.settrace(None)
                strike()
        return self


def traced(at: int, model: Model, sources: list[Path], out: Path) -> tuple[int, int]:
    """Return status and number of lines of a run that is interrupted at that line."""
    trace = _Strike(at)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return run(model, *sources, "-o", out), trace.lines
    finally:
        sys.settrace(before)


POINTS = 40


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Inputs that are found wanting at once."""
    made = [tmp_path / f"{number}.nrrd" for number in range(4)]
    for path in made:
        path.touch()
    monkeypatch.setattr(runner, "attempt", lambda task, source, progress: Failure(source, "is empty"))
    return made


@pytest.mark.slow
def test_at_any_of_its_lines_an_interrupt_ends_a_cohort_run(
    tiny_model: Model, sources: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(tiny_model, *sources, "-o", tmp_path / "whole")  # What is imported first has lines of its own.
    status, lines = traced(0, tiny_model, sources, tmp_path / "whole")
    assert status == 1 and lines > 10 * POINTS
    capfd.readouterr()
    for at in range(1, lines, lines // POINTS):
        status, _ = traced(at, tiny_model, sources, tmp_path / "out")
        printed = capfd.readouterr().err.splitlines()
        assert status == INTERRUPTED, f"line {at} of {lines}"
        assert printed[-1] == "mtctl: interrupted" and all("error" in line for line in printed[:-1])


def test_an_interrupt_while_the_table_is_written_leaves_the_table_whole(
    tiny_model: Model, sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mtctl.batch import cohort

    real = cohort.write_cohort

    def struck(*arguments: Any) -> None:
        strike()
        real(*arguments)

    monkeypatch.setattr(cohort, "write_cohort", struck)
    assert run(tiny_model, *sources, "-o", tmp_path / "out") == INTERRUPTED
    assert (tmp_path / "out" / TABLE).read_text(encoding="utf-8").count("is empty") == len(sources)


class _Command:
    """A subcommand of a test's own."""

    HELP = "works"

    def __init__(self, work: Callable[[], int]) -> None:
        self._work = work

    def add_parser(self, subparsers: Any) -> None:
        subparsers.add_parser("work", help=self.HELP).set_defaults(run=lambda args: self._work())


@pytest.mark.parametrize("blow", BLOWS, ids=lambda blow: blow.name)
def test_every_command_is_ended_by_every_signal_that_asks_it_to(
    blow: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        signal.raise_signal(blow)
        go_on()
        return 0

    assert main(["work"], {"work": lambda: _Command(work)}) == INTERRUPTED
    assert capsys.readouterr().err == "mtctl: interrupted\n"


def child(tmp_path: Path, body: str, deafness: float) -> subprocess.Popen[str]:
    """Start a program that is interrupted in `body` and may be deaf for so many seconds; impatience begins at 0.3 s."""
    program = (
        "import hashlib, pathlib, sys, time; from mtctl.system import interrupts\n"
        f"interrupts._DEAFNESS, interrupts._IMPATIENCE = {deafness}, 0.3\n"
        "with interrupts.ended_by_signals():\n"
        "    try:\n"
        "        pathlib.Path(sys.argv[1]).touch()\n"
        f"        {body}\n"
        "    finally:\n"
        "        pathlib.Path(sys.argv[1]).unlink()\n"
        "        time.sleep(60)\n"
    )
    mark = tmp_path / "mark"
    process = subprocess.Popen(
        hearing([sys.executable, "-c", program, mark]), env=environment(), stderr=subprocess.PIPE, text=True
    )
    wait_for(mark.exists)
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process there")
def test_a_program_that_computes_in_c_and_never_looks_up_is_ended_after_a_while(tmp_path: Path) -> None:
    process = child(tmp_path, "hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)", deafness=0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (INTERRUPTED, "mtctl: interrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process there")
def test_a_person_who_interrupts_again_does_not_wait_for_what_is_put_in_order(tmp_path: Path) -> None:
    process = child(tmp_path, "time.sleep(60)", deafness=60.0)
    os.kill(process.pid, signal.SIGINT)
    wait_for(lambda: not (tmp_path / "mark").exists())
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (INTERRUPTED, "mtctl: interrupted\n")
