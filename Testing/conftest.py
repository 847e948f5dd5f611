"""What tests of every folder share: no models of this computer, a tiny model, the host of the Slicer modules."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator

import pytest
import torch

from mtctl.models.card import Card
from mtctl.models.model import Model, save_model
from mtctl.networks.architecture import Architecture
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl.preprocessing.network_grid import GRID_MM

pytest_plugins = ["host.fixtures"]

#: Tests see no models that somebody published on this computer, and publish none there; child processes likewise.
NO_MODELS = tempfile.TemporaryDirectory(prefix="mtctl-no-models-")
os.environ["MTCTL_MODELS"] = NO_MODELS.name

#: Markers of tests that take long, the longest first.
LONG = ("browser", "host_self", "host", "slow", "package")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, so that two workers have short ones left to end together."""
    items.sort(key=lambda item: next((rank for rank, name in enumerate(LONG) if item.get_closest_marker(name)), 9))


def pytest_collection_finish() -> None:
    """Spare the collector what lives until the end: the engine calls it after every scan."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def keeps_its_priority() -> Iterator[None]:
    """Let commands that step back for a window do so in processes of their own alone: the tests after would starve.

    Of the session: fixtures of a module run commands, too, and what a window began may end between two tests.
    """
    with pytest.MonkeyPatch.context() as patched:
        if sys.platform != "win32":
            patched.setattr(os, "nice", lambda step: os.getpriority(os.PRIO_PROCESS, 0))
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A real model folder with a network too small to be any good: for everything but the quality of the result."""
    architecture = Architecture(filters=4, uncertainty_filters=2)
    torch.manual_seed(3)
    network = MTCTLNet(architecture)
    card = Card(id="tiny", version="1", sha256="", architecture=architecture, grid_mm=GRID_MM, samples=2)
    return save_model(tmp_path_factory.mktemp("tiny"), card, network.state_dict())


@pytest.fixture(autouse=True)
def _questions_are_not_answered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the host no child process is started for questions by a case that is opened: tests of questions undo this."""
    if request.node.get_closest_marker("host"):
        monkeypatch.setattr("mtctl.worker.client.WorkerClient.ask", lambda *_: 0)
