"""What tests do with the module MTCTLSegment in the test host: scans, made-up results, waiting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from support.scans import scan

from mtctl.geometry import Geometry, Volume


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
    """A scan with larger voxels: its ball is as large as an atrium."""
    volume = scan(shape)
    return Volume(volume.array, Geometry(volume.geometry.size, (spacing,) * 3, (-20.0, 10.0, 30.0)))


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


def check(host: Any, module: Any, name: str | None) -> Any:
    """Choose a segmentation to check by its name, None for the model's own; return its review, which comes later."""
    if name is None:
        module.ui.reviewSelector.setCurrentNode(None)
    else:
        module.ui.reviewSelector.choose(name)
    return compared(host, module)


def compared(host: Any, module: Any) -> Any:
    """The review once its regions were found."""
    host.process_events()
    assert host.wait_until(lambda: module.currentReview.preparing is None, 60)
    return module.currentReview.review


def mask(review: Any) -> Any:
    from mtctl import scene

    return scene.mask_of(review.nodes).copy()


def settle(host: Any, module: Any) -> None:
    """Waits until what the person did is noted and the list has followed."""
    timers = (module.editorPanel._stroke, module.heatmapPanel._rest)
    assert host.wait_until(lambda: not any(timer.isActive() for timer in timers), 5)
