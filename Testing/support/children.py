"""The environment of child processes, and waiting for what they do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence

from support.paths import ROOT, TESTING


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a Python that can import the tests' helpers and the modules of the repository."""
    folders = [str(TESTING), str(ROOT / "MTCTLSegment"), str(ROOT / "MTCTLTrain")]
    if inherited := os.environ.get("PYTHONPATH"):
        folders.append(inherited)
    return os.environ | {"PYTHONPATH": os.pathsep.join(folders)} | variables


def wait_for(condition: Callable[[], bool], seconds: float = 60, pause: float = 0.01) -> None:
    """Wait until the condition holds; ask again after `pause` seconds.

    Raises:
        AssertionError: It does not after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(pause)


def hearing(command: Sequence[object]) -> list[str]:
    """Return a command that hears Ctrl-C even where this process ignores it, as those of a shell's background do."""
    if os.name == "nt":
        return [*map(str, command)]
    program = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
        "signal.pthread_sigmask(signal.SIG_SETMASK, []); os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", program, *map(str, command)]
