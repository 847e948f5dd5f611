"""MT-CTL Segment: the left atrium on late-enhancement MRI, and a review of the places where the model is unsure."""

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

from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.parameters import Binding, Painting, SearchRegion, ShownUncertainty, Surface

HELP = _(
    "Segments the left atrium on late gadolinium enhancement MRI and shows where the model is unsure. <ol><li><b>Scan"
    "</b>: choose one and press Apply.</li><li><b>Uncertainty</b>: the heatmap shows what is at least as uncertain as "
    "the threshold.</li><li><b>Questions</b>: the few places that matter. K keeps what is there, C changes it as shown "
    "in blue and white, N and P go on and back; or click a place that is inside or outside. Z takes an answer "
    "back.</li><li><b>Correct</b>: paint; Z takes a change back.</li><li><b>Finish</b>: accept the case, or reject "
    "it; either is saved into the case store.</li><li><b>Measure</b>: numbers with their intervals, the late "
    "enhancement of the wall, a report, and surfaces as files.</li></ol>For research only, not for clinical use."
)


class MTCTLSegment(ScriptedLoadableModule):
    """Title, help and place of the module in Slicer's menus."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MT-CTL Segment")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.contributors = ["SlicerMTCTL contributors"]
        self.parent.helpText = HELP
        self.parent.acknowledgementText = _(
            "The network follows the paper on multi-task cross-task learning (MT-CTL) for the semi-supervised "
            "segmentation of the left atrium; the shipped models were trained on the 2018 Left Atrium Challenge."
        )
        slicer.app.connect("startupCompleted()", self._registerSampleData)

    def _registerSampleData(self) -> None:
        from mtctl.system.python_version import refusal

        if not refusal():
            from MTCTLSegmentLib import sample_data

            sample_data.register(Path(self.resourcePath("Icons/MTCTLSegment.png")))


@parameterNodeWrapper
class MTCTLSegmentParameterNode:
    """The parameters that are saved with the scene; the review itself is saved with the case (`mtctl.scene`).

    Attributes:
        scan: The scan to segment.
        reviewed: An existing segmentation to review in place of the model's; None for the model's.
        model: Id or folder of the model; "" for the one in use.
        modelChosen: Whether a person chose the model: earlier versions named the shipped default where nobody had.
        device: Device on which the network runs.
        samples: Number of Monte-Carlo samples.
        usualSamples: The number from the model's card; another number in `samples` was chosen by a person.
        place: Where the atrium is searched.
        roi: The box for SearchRegion.box.
        kind: Uncertainty that the heatmap shows.
        heatmap: Whether the heatmap is shown.
        threshold: Lowest uncertainty that the heatmap shows; for the reviewed kind kept with the review.
        opacity: Opacity of the heatmap.
        surface: How the atrium is shown in 3-D.
        painting: Where it is allowed. Earlier versions kept that as `restrict`, which is not read.
    """

    scan: slicer.vtkMRMLScalarVolumeNode
    reviewed: slicer.vtkMRMLSegmentationNode
    model: str = ""
    modelChosen: bool = False
    device: Annotated[str, Choice(["auto", "cpu", "cuda", "mps"])] = "auto"
    samples: Annotated[int, WithinRange(2, 64)] = 8
    usualSamples: int = 8
    place: SearchRegion = SearchRegion.automatic
    roi: slicer.vtkMRMLMarkupsROINode
    kind: ShownUncertainty = next(iter(ShownUncertainty))
    heatmap: bool = True
    threshold: Annotated[float, WithinRange(0, 1)] = 0.5
    opacity: Annotated[float, WithinRange(0, 1)] = 0.7
    surface: Surface = Surface.plain
    painting: Painting = Painting.anywhere


class MTCTLSegmentWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Make the panels, and notify them when a parameter or the scene changes; the panels are in MTCTLSegmentLib."""

    def __init__(self, parent: Any = None) -> None:
        VTKObservationMixin.__init__(self)
        self.logic: Any = None  # Stays None where this Python is too old; then there is no page.
        self._parameterNode: Any = None
        self._binding: Any = None
        self._known: dict[str, Any] = {}
        ScriptedLoadableModuleWidget.__init__(self, parent)  # Last: without a parent it calls setup.

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        from mtctl.system.python_version import refusal

        if refusal():  # Nothing else is made: `logic` stays None, and what follows does nothing.
            label = qt.QLabel(refusal())
            label.wordWrap = True
            self.layout.addWidget(label)
            return
        from MTCTLSegmentLib.jobs.store_job import StoreJob
        from MTCTLSegmentLib.panels.editor import EditorPanel
        from MTCTLSegmentLib.panels.export import ExportPanel
        from MTCTLSegmentLib.panels.finish import FinishPanel
        from MTCTLSegmentLib.panels.heatmap import HeatmapPanel
        from MTCTLSegmentLib.panels.measure import MeasurePanel
        from MTCTLSegmentLib.panels.model import ModelPanel
        from MTCTLSegmentLib.panels.questions import QuestionPanel
        from MTCTLSegmentLib.panels.scan import ScanPanel
        from MTCTLSegmentLib.panels.status import StatusPanel
        from MTCTLSegmentLib.review.current_review import CurrentReview
        from MTCTLSegmentLib.review.draft_saver import DraftSaver
        from MTCTLSegmentLib.scene_follower import SceneFollower
        from MTCTLSegmentLib.widgets.constant_width import keep_width
        from MTCTLSegmentLib.widgets.scan_selector_filter import ScanSelectorFilter
        from MTCTLSegmentLib.widgets.shortcuts import Shortcuts

        panel = slicer.util.loadUI(self.resourcePath("UI/MTCTLSegment.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = MTCTLSegmentLogic()
        self.currentReview = CurrentReview()
        ui, current = self.ui, self.currentReview
        self.scanFilter = ScanSelectorFilter(ui.scanSelector, ui.reviewSelector)
        self.modelPanel = ModelPanel(ui, current)
        self.scanPanel = ScanPanel(ui, current, self.modelPanel, self.logic.job, self.onResult, self.onSpacingGiven)
        self.heatmapPanel = HeatmapPanel(ui, current)
        self.editorPanel = EditorPanel(ui, current, self.heatmapPanel.edited)
        self.questionPanel = QuestionPanel(ui, current, self.logic.worker, self.editorPanel)
        self.storeJob = StoreJob()
        self.draftSaver = DraftSaver(ui, current, self.storeJob)
        decided = self.questionPanel.leave
        self.finishPanel = FinishPanel(ui, current, self.storeJob, self.editorPanel.settle, decided)
        self.measurePanel, self.exportPanel = MeasurePanel(ui, current), ExportPanel(ui, current)
        events = self.onSceneLeaves, self.onSceneStartImport, self.onSceneArrived, self.onNodeRemoved
        self.panels = (  # Each is closed before those above it, which it may use.
            self.scanFilter,
            self.modelPanel,
            self.scanPanel,
            StatusPanel(ui, current),
            self.heatmapPanel,
            self.editorPanel,
            self.questionPanel,
            self.draftSaver,
            self.finishPanel,
            self.measurePanel,
            self.exportPanel,
            SceneFollower(*events, self.editorPanel.keep_attached),
        )
        asked = self.questionPanel
        keys = {"N": asked.next, "P": asked.previous, "K": asked.keep, "C": asked.change}
        self.shortcuts = Shortcuts(keys)
        self.scanPanel.connect((ui.segmentSelector, "activated(int)", self.onSegmentChosen))
        self._reactions = {
            "scan": self.onScanChosen,
            "reviewed": self.onReviewedChosen,
            "place": self.scanPanel.refresh,
            "kind": self.heatmapPanel.show_kind,
            "threshold": self.onThreshold,
            "opacity": self.heatmapPanel.show_opacity,
            "heatmap": self.heatmapPanel.show_heatmap,
            "surface": self.heatmapPanel.show_surface,
            "painting": self.editorPanel.restrict,
        }
        keep_width(panel)
        if self._isEntered():  # Reloaded: Slicer does not enter again.
            self.enter()
        else:
            self.initializeParameterNode()

    def enter(self) -> None:
        if self.logic is None:
            return
        self.finishPanel.show_settings()
        self.initializeParameterNode()
        self.editorPanel.enter()
        self.shortcuts.enable(True)

    def exit(self) -> None:
        if self.logic is None:
            return
        self.shortcuts.enable(False)
        self.questionPanel.leave()
        self.editorPanel.leave()
        self.finishPanel.storeEdit.commit()
        self.currentReview.pause()
        self.setParameterNode(None)

    def cleanup(self) -> None:
        # Reload calls this without exit: whatever would live on is stopped here.
        if self.logic is None:
            return
        self.setParameterNode(None)
        self.removeObservers()
        self.logic.worker.close()
        self.storeJob.close()
        for panel in reversed(self.panels):
            panel.close()
        self.currentReview.close()
        self.shortcuts.close()

    def _isEntered(self) -> bool:
        return bool(getattr(self.parent, "isEntered", False))  # A panel that is no module's has no such thing.

    # --- parameter node -----------------------------------------------------------------------------------------------

    def initializeParameterNode(self) -> None:
        """Bind the page to the scene's parameter node and open the case of its scan."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: Any) -> None:
        if self._parameterNode is not None:
            self._binding.undo()
            self.removeObserver(
                self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified
            )
        self._parameterNode = self.currentReview.parameters = parameterNode
        self._known = {}
        if parameterNode is not None:
            self.scanFilter.tag()
            self._binding = Binding(parameterNode, self.ui)
            self.modelPanel.show()
            self._known = self._values()
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
            with errors_shown():
                self.openCase(parameterNode.scan)

    def onParametersModified(self, caller: Any = None, event: Any = None) -> None:
        if self._parameterNode is None:
            return
        for name, value in self._values().items():
            if self._known.get(name) != value:
                self._known[name] = value
                self._reactions[name]()

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self._parameterNode, name) for name in self._reactions}

    # --- what the user does -------------------------------------------------------------------------------------------

    def onScanChosen(self) -> None:
        """Suspend the open review and open that of the chosen scan, if there is one."""
        with errors_shown():
            scan = self._parameterNode.scan
            self.openCase(scan)
            self.scanPanel.show_reviewed()
            slicer.util.setSliceViewerLayers(label=None)
            if self.currentReview.review is None and scan is not None:
                slicer.util.setSliceViewerLayers(background=scan, foreground=None)

    def openCase(self, scan: Any) -> None:
        """Show the review of a scan, if there is one."""
        nodes = self.currentReview.nodes
        if (nodes is None and scan is not None) or (nodes is not None and nodes.scan is not scan):
            self.heatmapPanel.hide_cases()  # Nothing of a former patient lies over another scan.
            self.currentReview.open(scan)
        self.showCase()

    def onReviewedChosen(self) -> None:
        """Review another segmentation, or the model's again."""
        with errors_shown():
            self.scanPanel.list_segments()
            self.onSegmentChosen()

    def onSegmentChosen(self) -> None:
        """Review the chosen segment of that segmentation."""
        with errors_shown():
            if self.currentReview.nodes is not None:
                self.scanPanel.review_chosen()
                self.showCase()

    def onResult(self, scan: Any, result: Any) -> None:
        """Show a segmentation that has arrived, and open its review."""
        first = self.currentReview.review is None or self.currentReview.review.nodes.scan is not scan
        self.currentReview.take_result(scan, result, (lambda: None) if first else self.editorPanel.save_for_undo)
        self.draftSaver.save_prediction()
        if self._parameterNode is None or self._parameterNode.scan is not scan:
            self.currentReview.suspend()  # The user went on to another scan meanwhile, or to another module.
            if self._parameterNode is not None:
                self.openCase(self._parameterNode.scan)
            return
        self.scanPanel.review_chosen()
        self.ui.scanSection.collapsed = True  # What follows now takes the room.
        self.showCase()
        if first:
            slicer.util.resetThreeDViews()

    def onSpacingGiven(self, scan: Any, spacing: tuple[float, float, float]) -> None:
        """Give the scan another spacing; results for the former spacing are hidden until it is given back."""
        from mtctl import scene

        self.heatmapPanel.hide_cases()
        self.currentReview.suspend()
        scene.set_spacing(slicer.mrmlScene, scan, spacing)
        self.openCase(scan)
        slicer.util.resetSliceViews()
        slicer.util.resetThreeDViews()

    def onThreshold(self) -> None:
        self.heatmapPanel.show_threshold()
        self.editorPanel.restrict()

    def showCase(self) -> None:
        """Show the open case in all panels."""
        self.heatmapPanel.show_case()
        self.editorPanel.attach()
        self.currentReview.notify()

    # --- what the scene does ------------------------------------------------------------------------------------------

    def onSceneLeaves(self) -> None:
        """Release all nodes of a scene that is about to be closed or replaced."""
        if self.logic.job.running:
            self.scanPanel.cancel()
        self.questionPanel.leave()
        self.editorPanel.leave()
        self.editorPanel.detach()
        self.draftSaver.flush()
        self.currentReview.clear()
        self.setParameterNode(None)
        self.currentReview.notify()

    def onSceneStartImport(self) -> None:
        self.currentReview.pause()  # What is there already stays in the scene, but no preview.
        self.onSceneLeaves()

    def onSceneArrived(self) -> None:
        if self._isEntered():
            self.initializeParameterNode()
            self.editorPanel.enter()

    def onNodeRemoved(self) -> None:
        self.scanPanel.check_nodes()
        if not self.currentReview.check_nodes():
            self.editorPanel.detach()
            self.currentReview.notify()


class MTCTLSegmentLogic(ScriptedLoadableModuleLogic):
    """The functions of the module that need no page."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        from MTCTLSegmentLib.jobs.segmentation_job import SegmentationJob
        from MTCTLSegmentLib.jobs.warm_worker import WarmWorker

        self.worker = WarmWorker()
        self.job = SegmentationJob(self.worker)

    def getParameterNode(self) -> Any:
        wrap: Any = MTCTLSegmentParameterNode  # Its decorator makes its constructor.
        return wrap(super().getParameterNode())

    def review(self, scan: Any) -> Any:
        """Return the review of a segmented scan (`review.case_review.CaseReview`); None for a scan without results."""
        from mtctl import scene
        from MTCTLSegmentLib.review.case_review import open_review

        nodes = scene.find_case(slicer.mrmlScene, scan)
        return None if nodes is None else open_review(nodes)


class MTCTLSegmentTest(ScriptedLoadableModuleTest):
    """A test for Slicer's test menu and the project's test host; it needs no internet."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        self.setUp()
        self.test_a_phantom_gets_through_the_review()

    def test_a_phantom_gets_through_the_review(self) -> None:
        """Turn a result into a case, step through it, correct it, undo the correction and save the draft."""
        from mtctl.synthetic.phantom import make_phantom
        from MTCTLSegmentLib import sample_data, self_test

        self.delayDisplay("Computing a phantom")
        scan = sample_data.phantom(sample_data.SEEDS[0])
        mask = make_phantom(sample_data.SEEDS[0]).mask != 0
        self.delayDisplay("Reviewing it")
        self_test.review_a_phantom(self, scan, mask)
        self.delayDisplay("Test passed")
