"""A reviewer in a process of its own, and the fixtures that the browser tests share."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Chromium, Tab, program

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

    def __init__(self, target: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mtctl", "review", str(target), "--no-browser", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
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

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
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


def ready(tab: Tab) -> Tab:
    """Wait until the page shows a case and its first pictures."""
    tab.wait(f"{STATE}.shown && {STATE}.busy === ''", 60)
    tab.wait("[...document.querySelectorAll('.mt-view img')].filter(i => i.naturalWidth > 20).length === 4", 60)
    return tab


def still(tab: Tab) -> None:
    """Wait until no view has got a new picture for a second."""
    sources = "[...document.querySelectorAll('.mt-view img')].map(i => i.src).join()"
    before, since = tab.value(sources), time.monotonic()
    while time.monotonic() - since < 1.0:
        time.sleep(0.1)
        now = tab.value(sources)
        if now != before:
            before, since = now, time.monotonic()


@pytest.fixture(scope="session")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a phantom and its results; to be copied, not changed."""
    if lacking := missing():
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("segmented")
    for arguments in (
        ["phantom", "-o", str(folder)],
        ["segment", str(folder / "phantom-0.image.nrrd"), "-o", str(folder / "result"), "--maps", "all"],
    ):
        subprocess.run([sys.executable, "-m", "mtctl", *arguments], check=True, capture_output=True, timeout=300)
    (folder / "phantom-0.label.nrrd").unlink()
    return folder


@pytest.fixture
def folder(segmented: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(segmented, tmp_path / "cases"))


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    """A reviewer of that folder."""
    server = Served(folder)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """One browser for all tests; every test opens its own tabs."""
    if lacking := missing():
        pytest.skip(lacking)
    with Chromium() as browser:
        yield browser


@pytest.fixture
def tab(served: Served, chromium: Chromium) -> Tab:
    """The reviewer's page, ready."""
    page = chromium.tab()
    page.open(served.link)
    return ready(page)
