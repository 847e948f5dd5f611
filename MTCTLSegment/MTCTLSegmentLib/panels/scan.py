"""Section 1: the scan, and the button Apply, which becomes Cancel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import slicer
from slicer.i18n import tr as _

from mtctl import scene
from mtctl.geometry import Triple
from mtctl.inference.result import Result
from mtctl.io.given_spacing import with_given_spacing
from mtctl.scene.types import Node
from mtctl.worker.requests import SegmentationProgress, Settings
from MTCTLSegmentLib import python_packages
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.jobs.segmentation_job import SegmentationJob
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.panels.model import ModelPanel
from MTCTLSegmentLib.parameters import SearchRegion
from MTCTLSegmentLib.review.current_review import CurrentReview
from MTCTLSegmentLib.roi import box_of, draw_as_frame, hide_box, place_box
from MTCTLSegmentLib.text import progress_text
from MTCTLSegmentLib.widgets.spacing_row import SpacingRow

# What the review of the result needs and the opening of the module does not: scipy takes a second and more to load. One
# at a time while the child process computes, so that the window never stands still for long.
_LATER = ("scipy.ndimage", "scipy.fft", "scipy.spatial")
_BETWEEN_MS = 300


class ScanPanel(Panel):
    """Request segmentations; `arrived` gets scan and result, `respaced` a scan and its new spacing."""

    def __init__(
        self,
        ui: Any,
        current: CurrentReview,
        models: ModelPanel,
        job: SegmentationJob,
        arrived: Callable[[Node, Result], None],
        respaced: Callable[[Node, Triple], None],
    ) -> None:
        super().__init__()
        self._ui, self._current, self._models, self._job, self._arrived = ui, current, models, job, arrived
        self._scan: Any = None
        self._notes: list[str] = []
        self._told: Any = None  # The scan that the text below the button is about.
        self._reviewed = False
        self._to_load = list(_LATER)
        self._segment_ids: list[str] = []
        self._spacing = SpacingRow(ui, current, respaced)
        ui.progressBar.hide()
        ui.progressLabel.hide()
        ui.segmentSelector.hide()
        self.connect(
            (ui.applyButton, "clicked()", self.apply_or_cancel),
            (ui.centerRoiButton, "clicked()", self._center_box),
            (ui.roiSelector, "nodeAddedByUser(vtkMRMLNode*)", draw_as_frame),
            (ui.roiSelector, "nodeActivated(vtkMRMLNode*)", _show_box),
        )
        self._load = self.make_timer(_BETWEEN_MS, self._load_next)
        self._reveal = self.make_timer(0, self._bring_into_sight)
        self.listen(current, self.refresh)

    def close(self) -> None:
        """Close the row of the spacing and the panel."""
        self._spacing.close()
        super().close()

    def refresh(self) -> None:
        """Enable what can be done now."""
        ui, parameters = self._ui, self._current.parameters
        scan = parameters.scan if parameters is not None else None
        button = ui.applyButton
        button.text = _("Cancel") if self._job.running else _("Apply")
        button.enabled = self._job.running or scan is not None
        if self._job.running:
            button.toolTip = _("Stop the segmentation; nothing is changed.")
        elif scan is None:
            button.toolTip = _("Choose a scan first.")
        else:
            button.toolTip = _("Segment the scan. Done again, your edits stay as a backup segment.")
        for widget in (ui.scanSelector, ui.modelSelector, ui.modelFolderButton, ui.advancedBox, ui.reviewSelector):
            widget.enabled = not self._job.running
        self._spacing.refresh(not self._job.running)
        boxed = parameters is not None and parameters.place == SearchRegion.box
        ui.roiSelector.enabled = boxed
        ui.roiLabel.enabled = boxed
        if not self._job.running and scan is not self._told:
            ui.progressLabel.hide()  # It was about another scan.
            self._told = scan
        reviewed, self._reviewed = self._reviewed, self._current.nodes is not None
        if reviewed and not self._reviewed:
            ui.scanSection.collapsed = False
            self._reveal.start()

    def apply_or_cancel(self) -> None:
        """Start a segmentation, or cancel the one under way."""
        with errors_shown():
            if self._job.running:
                self.cancel()
            else:
                self.apply()

    def cancel(self) -> None:
        """Stop the segmentation under way; its process has ended on return."""
        self._job.cancel()
        self._show_box_again()
        self._show_end(_("Cancelled."))

    def check_nodes(self) -> None:
        """Stop the segmentation of a scan that was deleted."""
        if self._job.running and slicer.mrmlScene.GetNodeByID(self._scan.GetID() or "") is None:
            self._job.cancel()
            self._scan = None
            self._show_end(_("Cancelled: the scan was deleted."))

    def apply(self) -> None:
        """Start to segment the chosen scan in the child process.

        Raises:
            MtctlError: It cannot be segmented.
        """
        parameters = self._current.parameters
        if parameters is None or parameters.scan is None or not python_packages.ensure():
            return
        if not parameters.model:
            self._models.show()  # Another program may have published one meanwhile.
        self._scan, self._notes = parameters.scan, []
        volume = scene.volume_of(self._scan)
        self._job.start(volume, self._settings(), self._progressed, self._noted, self._done, self._failed)
        self._ui.progressBar.value = 0
        self._ui.progressBar.show()
        self._ui.progressLabel.show()
        self._ui.progressLabel.text = _("Starting")
        hide_box(parameters.roi)
        self._load.start()
        self.refresh()

    def _settings(self) -> Settings:
        parameters = self._current.parameters
        region = parameters.place.value if parameters.place != SearchRegion.box else box_of(parameters.roi)
        return Settings(parameters.model or None, parameters.device, parameters.samples, region)

    def _progressed(self, progress: SegmentationProgress) -> None:
        self._ui.progressBar.value = int(1000 * progress.overall)
        self._ui.progressLabel.text = progress_text(progress)

    def _noted(self, text: str) -> None:
        self._notes.append(text)

    def _done(self, result: Result) -> None:
        scan = self._scan
        self._show_end("; ".join(self._notes))
        self._scan = None
        report = with_given_spacing(result.report, scene.spacing_of(scan), scene.file_spacing_of(scan))
        with errors_shown():
            self._arrived(scan, replace(result, report=report))

    def _failed(self, message: str) -> None:
        self._show_box_again()
        self._show_end(_("Failed."))
        slicer.util.errorDisplay(message[:1].upper() + message[1:])

    def _show_end(self, text: str) -> None:
        self._ui.progressBar.hide()
        self._ui.progressLabel.text = text
        self._ui.progressLabel.setVisible(bool(text))
        self._told = self._scan
        self.refresh()

    def _load_next(self) -> None:
        if self._to_load:
            import_module(self._to_load.pop(0))
            self._load.start()

    def _bring_into_sight(self) -> None:
        """Scroll to Apply: with the case gone, that is what can be done."""
        area = self._ui.applyButton.parent()
        while area and not area.inherits("QScrollArea"):
            area = area.parent()
        if area:
            area.ensureWidgetVisible(self._ui.applyButton)

    # --- what is checked ----------------------------------------------------------------------------------------------

    def list_segments(self) -> None:
        """List the segments of the segmentation to review."""
        parameters, nodes, box = self._current.parameters, self._current.nodes, self._ui.segmentSelector
        self._segment_ids, names = [], []
        if parameters.reviewed is not None:
            segmentation = parameters.reviewed.GetSegmentation()
            self._segment_ids = list(segmentation.GetSegmentIDs())
            names = [segmentation.GetSegment(each).GetName() for each in self._segment_ids]
        box.blockSignals(True)
        box.clear()
        box.addItems(names)
        if nodes is not None and nodes.reviewed is parameters.reviewed:
            box.currentIndex = self._segment_ids.index(nodes.segment_id)
        box.blockSignals(False)
        box.setVisible(len(self._segment_ids) > 1)

    def show_reviewed(self) -> None:
        """Show which segmentation of the chosen scan is reviewed."""
        parameters, review = self._current.parameters, self._current.review
        if review is None or review.own:
            parameters.reviewed = None
        elif review.nodes.reviewed is not review.nodes.segmentation:  # Else a copy, whose original may be gone.
            parameters.reviewed = review.nodes.reviewed

    def review_chosen(self) -> None:
        """Review the chosen segment in the open case.

        Raises:
            SceneError: It is empty on the scan, or was deleted.
        """
        parameters, nodes = self._current.parameters, self._current.nodes
        if nodes is None or parameters is None:
            return
        index = self._ui.segmentSelector.currentIndex
        if parameters.reviewed is None or not 0 <= index < len(self._segment_ids):
            self._current.review_other(nodes.segmentation, scene.SEGMENT_ID)
        else:
            self._current.review_other(parameters.reviewed, self._segment_ids[index])

    # --- box ----------------------------------------------------------------------------------------------------------

    def _center_box(self) -> None:
        parameters = self._current.parameters
        if parameters is None:
            return
        with errors_shown():
            parameters.roi = place_box(parameters.roi)
            parameters.place = SearchRegion.box

    def _show_box_again(self) -> None:
        parameters = self._current.parameters
        if parameters is not None and parameters.place == SearchRegion.box:
            _show_box(parameters.roi)


def _show_box(roi: Node) -> None:
    if roi is not None:
        draw_as_frame(roi)
