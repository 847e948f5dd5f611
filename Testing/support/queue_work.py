"""What the processes of a work queue are given to do: they import this file by its name."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from mtctl.processes.work_queue import Say, ended_after


def square(item: int, say: Say) -> tuple[int, int]:
    return item * item, os.getpid()


def square_or_die(marks: Path, item: int, say: Say) -> int:
    """Item 3 always ends its process, item 5 the first time only."""
    mark = marks / f"{item}-{os.getpid()}-{time.monotonic_ns()}"
    mark.touch()
    if item == 3 or (item == 5 and len(list(marks.glob("5-*"))) == 1):
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return item * item


def variable(item: str, say: Say) -> str | None:
    return os.environ.get(item)


def sleep_long(marks: Path, item: int, say: Say) -> int:
    (marks / f"{os.getpid()}").touch()
    time.sleep(60)
    return item


def stuck(item: str, say: Say) -> str:
    """Do not come back from "stuck", and hear no signal meanwhile."""
    say(f"stage of {item}", 0.5)
    with ended_after(1):
        if item == "stuck":
            re.match("(a+)+$", "a" * 60 + "b")
    return item
