"""What the tests of the module MTCTLSegment share: the module in the test host, scans, and made-up results."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, scan

from mtctl.geometry import Geometry, Volume

sys.path.insert(0, str(ROOT / "Testing"))

from host.fixtures import host, running_application

__all__ = [
    "add_scan",
    "case",
    "choose_store",
    "host",
    "load_scan",
    "module",
    "module_loaded",
    "running_application",
    "scan_node",
]

SEGMENT = "LeftAtrium"


@pytest.fixture(scope="session")
def module_loaded(running_application: Any) -> str:
    running_application.module(ROOT / "MTCTLSegment" / "MTCTLSegment.py")
    return "MTCTLSegment"


@pytest.fixture
def module(host: Any, module_loaded: str) -> Iterator[Any]:
    """The module, entered in an empty scene; nothing is remembered from before."""
    import qt

    qt.QSettings().remove("MTCTLSegment")
    entered = host.enter(module_loaded)
    entered.ui.storeEdit.currentPath = ""
    yield entered
    widget = current(host)
    if widget.logic.job.running:
        widget.scanPanel.cancel()
    host.leave()
    # What a reloaded module leaves observes its parameter node until it is collected: never while that node has news,
    # for VTK would call an observer that is gone.
    gc.collect()


def choose_store(host: Any, edit: Any, folder: Path) -> None:
    """Types the folder of the case store into a module's field; it counts after a rest, which is none here."""
    import qt

    edit._rest.setInterval(0)
    edit._edit.currentPath = str(folder)
    assert host.wait_until(lambda: qt.QSettings().value("MTCTLSegment/caseStore") == str(folder), 20)


def current(host: Any) -> Any:
    """The module's widget as it is now: reloading makes another."""
    import slicer

    return slicer.util.getModuleWidget("MTCTLSegment")


def add_scan(volume: Volume, name: str = "scan") -> Any:
    """The volume as a node, as a loaded file would be, shown in the slice views."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    geometry = volume.geometry
    matrix = np.eye(4)
    matrix[:3, :3] = geometry.matrix * geometry.spacing
    matrix[:3, 3] = geometry.origin
    matrix[:2] *= -1  # LPS to RAS
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    slicer.util.updateVolumeFromArray(node, volume.array)
    node.CreateDefaultDisplayNodes()
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def ball(shape: tuple[int, int, int] = (40, 48, 56), spacing: float = 1.25) -> Volume:
    """The scan of conftest.py with larger voxels: its ball is as large as an atrium."""
    volume = scan(shape)
    return Volume(volume.array, Geometry(volume.geometry.size, (spacing,) * 3, (-20.0, 10.0, 30.0)))


@pytest.fixture
def scan_node(host: Any, module: Any) -> Any:
    """A scan that was just loaded and chosen in the panel."""
    return load_scan(host, module)


def load_scan(host: Any, module: Any, name: str = "scan", **shape: Any) -> Any:
    """Adds a scan and chooses it, as a person does."""
    node = add_scan(ball(**shape), name)
    host.process_events()
    module.ui.scanSelector.choose(name)
    host.process_events()
    return node


def arrive(host: Any, module: Any, node: Any, seed: int = 0) -> Any:
    """The result of a scan arrives, as if the child process had sent it; returns the review."""
    from mtctl import scene
    from MTCTLSegmentLib.self_test import made_up_result

    volume = scene.volume_of(node)
    module.onResult(node, made_up_result(volume, np.asarray(volume.array) > 60, seed))
    host.process_events()
    return module.currentReview.review


@pytest.fixture
def case(host: Any, module: Any, scan_node: Any) -> Any:
    """The review of a scan whose result has just arrived."""
    return arrive(host, module, scan_node)


def mask(review: Any) -> Any:
    from mtctl import scene

    return scene.mask_of(review.nodes).copy()


def settle(host: Any, module: Any) -> None:
    """Waits until what the person did is noted and the list has followed."""
    timers = (module.editorPanel._stroke, module.heatmapPanel._rest)
    assert host.wait_until(lambda: not any(timer.isActive() for timer in timers), 5)
