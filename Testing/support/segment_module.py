"""What tests do with the module MTCTLSegment in the test host: scans, made-up results, waiting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from support.scans import scan

from mtctl.geometry import Geometry, Volume
from mtctl.review.answers import ShownQuestion


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
    """Choose a segmentation to check by its name, None for the model's own; return its review."""
    if name is None:
        module.ui.reviewSelector.setCurrentNode(None)
    else:
        module.ui.reviewSelector.choose(name)
    host.process_events()
    return module.currentReview.review


def border_place(review: Any, number: int = 0) -> tuple[float, float, float]:
    """A place (LPS mm) on the border of what is segmented now, each number at another side."""
    inside = np.argwhere(mask(review))[:, ::-1]
    axis, side = number % 3, number // 3 % 2
    at = inside[inside[:, axis].argmin() if side else inside[:, axis].argmax()]
    x, y, z = review.session.maps.geometry.index_to_physical(at.astype(float)).tolist()
    return x, y, z


def dab(host: Any, module: Any, effect: str = "Paint", number: int = 0, millimetres: float = 8.0) -> None:
    """One click of a brush at a border's place: one step of the history."""
    x, y, z = border_place(module.currentReview.review, number)
    module.ui.segmentEditor.setActiveEffectByName(effect)
    module.ui.segmentEditor.activeEffect().paint_at((-x, -y, z), millimetres)
    settle(host, module)


def keep_place(module: Any, number: int = 0) -> None:
    """A person finds the segmentation right at a border's place, as K does where it is asked about."""
    review = module.currentReview.review
    place = border_place(review, number)
    question = ShownQuestion("posterior wall", place, place, "inside", 0.3, 0.5, np.zeros(0, np.int64))
    review.keep(question, module.editorPanel.save_for_undo)
    module.currentReview.save_and_notify()


def mask(review: Any) -> Any:
    from mtctl import scene

    return scene.mask_of(review.nodes).copy()


def settle(host: Any, module: Any) -> None:
    """Waits until what the person did is noted."""
    timers = (module.editorPanel._stroke, module.heatmapPanel._rest)
    assert host.wait_until(lambda: not any(timer.isActive() for timer in timers), 5)
