"""A reviewer in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from playwright.sync_api import Page
from support.chromium import program, wait
from support.paths import TESTING

#: The page's state, for scripts.
STATE = "window.trame.state.state"

#: Seconds that a server may take to start on a busy machine.
PATIENCE = 90.0


def missing() -> str | None:
    """What the browser tests need and this machine lacks; None: nothing."""
    if importlib.util.find_spec("trame_slicer") is None:
        return "trame-slicer is not installed: pip install 'slicer-mtctl[review]'"
    if program() is None:
        return "no Chromium to drive: sudo apt-get install chromium"
    return None


class Served:
    """`mtctl review`, started.

    Attributes:
        process: See there.
        lines: What it printed.
    """

    def __init__(self, target: Path, *options: str, asks: bool = False, program: str = "mtctl") -> None:
        """Start it; without `asks` no child process looks for questions, which takes seconds of each case.

        Args:
            target: What to review.
            options: Further ones of `mtctl review`.
            asks: Whether there are questions.
            program: The module that is run: `mtctl`, or one of `support` in its place.
        """
        options = options if asks else (*options, "--no-questions")
        paths = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(TESTING)]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", program, "review", str(target), "--no-browser", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "PYTHONPATH": paths},
        )
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        end = time.monotonic() + PATIENCE
        while not self._links():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the reviewer does not start:\n" + "".join(self.lines))
            time.sleep(0.05)

    @property
    def link(self) -> str:
        """The link that was printed last."""
        return self._links()[-1]

    @property
    def address(self) -> str:
        """http://127.0.0.1:port"""
        return self.link.split("/?")[0]

    def stop(self, blow: signal.Signals = signal.SIGINT) -> int:
        """End it as Ctrl-C does, or by another signal; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(blow)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)

    def _links(self) -> list[str]:
        return re.findall(r"http://\S+/\?token=\S+", "".join(self.lines))


def ready(tab: Page) -> Page:
    """Wait until the page shows a case and its first pictures."""
    wait(tab, f"{STATE}.shown && {STATE}.busy === ''", 60)
    wait(tab, "[...document.querySelectorAll('.mt-view img')].filter(i => i.naturalWidth > 20).length === 4", 60)
    return tab


def still(tab: Page) -> None:
    """Wait until no view has got a new picture for 0.6 s."""
    sources = "[...document.querySelectorAll('.mt-view img')].map(i => i.src).join()"
    before, since = tab.evaluate(sources), time.monotonic()
    while time.monotonic() - since < 0.6:
        time.sleep(0.05)
        now = tab.evaluate(sources)
        if now != before:
            before, since = now, time.monotonic()
