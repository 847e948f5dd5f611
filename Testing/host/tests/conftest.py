"""The stand-in with the example of a module in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.host_example import EXAMPLE


@pytest.fixture(scope="session")
def example_loaded(running_application: Any) -> str:
    running_application.module(EXAMPLE)
    return "HostExample"


@pytest.fixture
def example(host: Any, example_loaded: str) -> Iterator[Any]:
    """The example module, entered; its record of calls is empty."""
    widget = host.enter(example_loaded)
    type(widget).calls.clear()
    yield widget
    host.leave()


@pytest.fixture
def qt(host: Any) -> Any:
    import qt

    return qt


@pytest.fixture
def slicer(host: Any) -> Any:
    import slicer

    return slicer


@pytest.fixture
def scan(slicer: Any) -> Any:
    """A bright box (value 1) in a dark volume of 60 x 50 x 40 mm, shown in the slice views."""
    array = np.zeros((40, 50, 60), np.float32)
    array[10:30, 10:40, 10:50] = 1
    node = slicer.util.addVolumeFromArray(array, name="scan")
    node.CreateDefaultDisplayNodes()
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


@pytest.fixture
def editor(example: Any, slicer: Any, scan: Any) -> Any:
    """The embedded Segment Editor on an empty segment; painting is restricted to the bright box."""
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "atrium")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    segmentation.GetSegmentation().AddEmptySegment("LA", "left atrium", [1, 0, 0])
    node = slicer.vtkMRMLSegmentEditorNode()
    node.SetSingletonTag("HostExample")
    node = slicer.mrmlScene.AddNode(node)
    widget = example.ui.editor
    widget.setMRMLSegmentEditorNode(node)
    widget.autoShowSourceVolumeNode = False
    widget.setSegmentationNode(segmentation)
    widget.setSourceVolumeNode(scan)
    node.SetOverwriteMode(node.OverwriteNone)
    node.SetSourceVolumeIntensityMask(True)
    node.SetSourceVolumeIntensityMaskRange(0.5, 1.0)
    widget.maximumNumberOfUndoStates = 20
    widget.setupViewObservations()
    widget.setActiveEffectByName("Paint")
    yield widget
    widget.setSegmentationNode(None)
    widget.removeViewObservations()
