"""A small scripted module in the style of the application's template: what the tests of the host drive."""

import enum
import pathlib
from typing import Annotated

import qt
import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class HostExample(ScriptedLoadableModule):
    """The module."""

    def __init__(self, parent):
        super().__init__(parent)
        self.parent.title = _("Host example")
        self.parent.categories = ["Testing"]
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Runs once, when the application has started."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="HostExample",
        sampleName="HostExample1",
        uris="https://example.org/scan.nrrd",
        fileNames="scan.nrrd",
        nodeNames="scan",
    )


class Kind(enum.Enum):
    """Kinds of uncertainty."""

    entropy = "entropy"
    disagreement = "disagreement"


@parameterNodeWrapper
class HostExampleParameterNode:
    """One parameter of each type."""

    scan: slicer.vtkMRMLScalarVolumeNode
    threshold: Annotated[float, WithinRange(0, 1)] = 0.5
    samples: Annotated[int, WithinRange(1, 100)] = 8
    visible: bool = True
    kind: Kind = Kind.entropy
    device: Annotated[str, Choice(["auto", "cpu"])] = "auto"
    note: Annotated[str, Default("none")]
    folder: pathlib.Path


class HostExampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Notes every call of its life cycle in ``calls``."""

    calls = []  # noqa: RUF012  of all widgets of this class

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.calls.append("__init__")
        self.logic = None
        self._parameterNode = None
        self._guiTag = None
        self.applied = 0

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.calls.append("setup")
        panel = slicer.util.loadUI(self.resourcePath("UI/HostExample.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = HostExampleLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.next = qt.QShortcut(slicer.util.mainWindow())
        self.next.setKey(qt.QKeySequence("N"))
        self.next.connect("activated()", self.onApply)
        self.next.enabled = False
        self.initializeParameterNode()

    def cleanup(self):
        self.calls.append("cleanup")
        self.removeObservers()
        self.next.enabled = False

    def enter(self):
        self.calls.append("enter")
        self.next.enabled = True
        self.initializeParameterNode()

    def exit(self):
        self.calls.append("exit")
        self.next.enabled = False
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, node):
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
        self._parameterNode = node
        if node is not None:
            self._guiTag = node.connectGui(self.ui)

    def onApply(self):
        self.applied += 1


class HostExampleLogic(ScriptedLoadableModuleLogic):
    """The logic."""

    def getParameterNode(self):
        return HostExampleParameterNode(super().getParameterNode())


class HostExampleTest(ScriptedLoadableModuleTest):
    """Runs in the application's menu, and here."""

    def test_scene_is_empty(self):
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"), 0)
