"""MT-CTL Train: fine-tuning on the cases of a case store, and the verdict whether the new model is better."""

from pathlib import Path
from typing import Annotated, Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from MTCTLTrainLib.parameters import Length

HELP = _(
    "Continues the training of a model on the cases that you corrected in MT-CTL Segment."
    "<ol><li><b>Cases</b>: what is in the case store; click a case to open it. <i>Next best case</i> is the one whose "
    "correction should teach most.</li>"
    "<li><b>Fine-tune</b>: choose how long, and press Start. The training is a program of its own: it goes on when "
    "Slicer is closed, and is found again.</li>"
    "<li><b>Progress</b>: curves in the views, time left, and the present prediction on a held-out case.</li>"
    "<li><b>Verdict</b>: old against new model on held-out cases. Publish the new one, discard it, or roll back to the "
    "one before.</li></ol>"
    "For research only, not for clinical use."
)


class MTCTLTrain(ScriptedLoadableModule):
    """Title, help and place of the module in Slicer's menus."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MT-CTL Train")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["SlicerMTCTL contributors"]
        self.parent.helpText = HELP
        self.parent.acknowledgementText = _(
            "The training follows the paper on multi-task cross-task learning (MT-CTL) for the semi-supervised "
            "segmentation of the left atrium."
        )


@parameterNodeWrapper
class MTCTLTrainParameterNode:
    """The parameters that are saved with the scene; runs, cases and models are in folders of their own.

    Attributes:
        model: Id of the model to start from; "" for the one in use.
        length: Which of the next two limits the run.
        minutes: Length of the whole run in minutes.
        iterations: Length of the whole run in iterations.
        device: Device on which the network is trained.
        curves: Whether the curves are shown in the views.
    """

    model: str = ""
    length: Length = Length.minutes
    minutes: Annotated[int, WithinRange(1, 1440)] = 30
    iterations: Annotated[int, WithinRange(2, 100000)] = 600
    device: Annotated[str, Choice(["auto", "cpu", "cuda", "mps"])] = "auto"
    curves: bool = True


class MTCTLTrainWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Make the panels, and notify them when a parameter or the scene changes; the panels are in MTCTLTrainLib."""

    def __init__(self, parent: Any = None) -> None:
        VTKObservationMixin.__init__(self)
        self.logic: Any = None  # Stays None where this Python is too old; then there is no page.
        self._parameterNode: Any = None
        self._binding: Any = None
        self._ending = ""  # What the status bar was told of the end of a run.
        ScriptedLoadableModuleWidget.__init__(self, parent)  # Last: without a parent it calls setup.

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        from mtctl.system.python_version import refusal

        if refusal():  # Nothing else is made: `logic` stays None, and what follows does nothing.
            label = qt.QLabel(refusal())
            label.wordWrap = True
            self.layout.addWidget(label)
            return
        from MTCTLTrainLib.opening.case_opener import CaseOpener
        from MTCTLTrainLib.page_state import PageState
        from MTCTLTrainLib.panels.cases import CasePanel
        from MTCTLTrainLib.panels.progress import ProgressPanel
        from MTCTLTrainLib.panels.training import TrainingPanel
        from MTCTLTrainLib.panels.verdict import VerdictPanel

        panel = slicer.util.loadUI(self.resourcePath("UI/MTCTLTrain.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = MTCTLTrainLogic()
        self.page = PageState()
        self.caseOpener = CaseOpener(self.ui, self.page)
        self.casePanel = CasePanel(self.ui, self.page, self.caseOpener.open)
        self.trainingPanel = TrainingPanel(self.ui, self.page, self.casePanel.storeEdit.commit)
        self.progressPanel = ProgressPanel(self.ui, self.page)
        self.verdictPanel = VerdictPanel(self.ui, self.page)
        self.panels = (self.casePanel, self.trainingPanel, self.progressPanel, self.verdictPanel)
        self.page.when_run_begins(self.clearEnding)
        self.page.when_run_ends(self.onRunEnds)
        events = slicer.vtkMRMLScene
        for event, slot in (
            (events.StartCloseEvent, self.onSceneLeaves),
            (events.EndCloseEvent, self.onSceneArrived),
            (events.StartImportEvent, self.onSceneLeaves),
            (events.EndImportEvent, self.onSceneArrived),
            (events.StartSaveEvent, self.onSceneSaves),
            (events.EndSaveEvent, self.onSceneSaved),
        ):
            self.addObserver(slicer.mrmlScene, event, slot)
        if self._isEntered():  # Reloaded: enter is not called.
            self.enter()

    def enter(self) -> None:
        if self.logic is None:
            return
        self.clearEnding()
        self.initializeParameterNode()
        self.casePanel.show_store()
        self.page.find_run()
        self.page.refresh()
        self.progressPanel.enter()

    def exit(self) -> None:
        if self.logic is None:
            return
        self.casePanel.storeEdit.commit()
        self.trainingPanel.runsEdit.commit()
        self.progressPanel.leave()
        self.setParameterNode(None)

    def cleanup(self) -> None:
        # Reload calls this without exit: whatever would live on is stopped here. A run goes on.
        if self.logic is None:
            return
        self.setParameterNode(None)
        self.removeObservers()
        self.caseOpener.close()
        self.page.close()
        for panel in self.panels:
            panel.close()

    def _isEntered(self) -> bool:
        return bool(getattr(self.parent, "isEntered", False))  # A panel that is no module's has no such thing.

    # --- parameter node -----------------------------------------------------------------------------------------------

    def initializeParameterNode(self) -> None:
        """Bind the page to the scene's parameter node."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: Any) -> None:
        from MTCTLSegmentLib.parameters import Binding

        if self._parameterNode is not None:
            self._binding.undo()
            self.removeObserver(
                self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified
            )
        self._parameterNode = self.page.parameters = parameterNode
        if parameterNode is not None:
            self._binding = Binding(parameterNode, self.ui)
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)

    def onParametersModified(self, caller: Any = None, event: Any = None) -> None:
        self.page.notify()

    # --- what happens -------------------------------------------------------------------------------------------------

    def onRunEnds(self) -> None:
        """Show in the status bar that the run has ended, also when another module is open."""
        from MTCTLTrainLib.text import state_text

        if self.page.status is not None:
            text = state_text(self.page.status, self.page.progress)
            self._ending = _("MT-CTL Train: {text}").format(text=text)
            slicer.util.showStatusMessage(self._ending, 0)
        self.page.refresh()

    def clearEnding(self) -> None:
        """Take the end of a run out of the status bar, as its page is shown or another run begins."""
        bar = slicer.util.mainWindow().statusBar() if self._ending and slicer.util.mainWindow() is not None else None
        if bar is not None and bar.currentMessage() == self._ending:
            bar.clearMessage()
        self._ending = ""

    def onSceneLeaves(self, caller: Any = None, event: Any = None) -> None:
        """Release the nodes of a scene that is about to be closed or replaced; the run goes on."""
        self.progressPanel.scene_leaves()
        self.setParameterNode(None)

    def onSceneArrived(self, caller: Any = None, event: Any = None) -> None:
        if self._isEntered():
            self.initializeParameterNode()
            self.progressPanel.enter()

    def onSceneSaves(self, caller: Any = None, event: Any = None) -> None:
        """Save the scene with the user's layout, not with that of the curves."""
        self.progressPanel.leave()

    def onSceneSaved(self, caller: Any = None, event: Any = None) -> None:
        if self._isEntered():
            self.progressPanel.enter()


class MTCTLTrainLogic(ScriptedLoadableModuleLogic):
    """The functions of the module that need no page."""

    def getParameterNode(self) -> Any:
        wrap: Any = MTCTLTrainParameterNode  # Its decorator makes its constructor.
        return wrap(super().getParameterNode())

    def start(self, store: Any, out: Any, minutes: int = 30, model: str = "", device: str = "auto") -> Any:
        """Start to fine-tune on the corrected cases of a store, in a process of its own.

        Args:
            store: Folder of the case store.
            out: Folder in which a folder for the run is made.
            minutes: Length of the run.
            model: Id or folder of the model to start from; "" for the one in use.
            device: "auto", "cpu", "cuda" or "mps".

        Returns:
            The run (`MTCTLTrainLib.runs.training_run.TrainingRun`).
        """
        from MTCTLTrainLib.runs.training_run import RunSettings, TrainingRun

        settings = RunSettings(str(store), model, ("--minutes", str(minutes)), device)
        return TrainingRun.begin(Path(out), settings)


class MTCTLTrainTest(ScriptedLoadableModuleTest):
    """A test for Slicer's test menu and the project's test host; it needs no internet."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        self.setUp()
        self.test_curves_are_drawn_and_the_layout_comes_back()

    def test_curves_are_drawn_and_the_layout_comes_back(self) -> None:
        """Draw the progress of a run as curves in the plot views, without a training."""
        from MTCTLTrainLib import self_test

        self.delayDisplay("Drawing the curves of a run")
        self_test.draw_curves(self)
        self.delayDisplay("Test passed")
