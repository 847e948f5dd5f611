"""Fixtures for tests that drive a module in the host: ``from host.fixtures import host, running_application``."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .requirements import missing_requirement

if TYPE_CHECKING:
    from .driving import Host

#: Of the window, pixels: software draws the views, and half of the pixels take half of the time.
TEST_SIZE = (1100, 700)


@pytest.fixture(scope="session")
def running_application() -> Host:
    """The host of this process; skips with what to install where it cannot run."""
    missing = missing_requirement()
    if missing is not None:
        pytest.skip(f"the test host cannot run: {missing}")
    from .driving import running_host

    host = running_host()
    host.window.resize(*TEST_SIZE)
    host.process_events()
    # What the application made lives until the end: the collector, which runs after each test, need not look at it.
    gc.collect()
    gc.freeze()
    return host


@pytest.fixture
def host(running_application: Host) -> Iterator[Host]:
    """The host with an empty scene and no module entered; fails the test for what failed unseen."""
    running_application.leave()
    running_application.clear()
    # In Slicer, too, it is the launcher. Not for good: tests without the host kill what they start by its pid.
    python, sys.executable = sys.executable, str(shutil.which("PythonSlicer"))
    yield running_application
    sys.executable = python
    unseen = [str(failure) for failure in running_application.failures]
    assert not unseen, f"exceptions that the application would only have printed: {unseen}"
