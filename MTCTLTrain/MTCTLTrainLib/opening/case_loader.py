"""Load an unpacked case into the scene, with its review, in steps that do not block the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from mtctl import scene
from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Volume
from mtctl.inference.result import Result
from mtctl.processes.arrays import ArrayPart, read_steps
from mtctl.processes.request import Events
from mtctl.scene.types import Node
from MTCTLSegmentLib.parameters import Surface
from MTCTLSegmentLib.review.case_review import CaseReview, open_review, open_stored_review
from MTCTLSegmentLib.widgets.scan_selector_filter import LISTED

SEGMENT_MODULE = "MTCTLSegment"

# So that the page's selectors list a node as soon as it is there: they are told of it in a moment.
_LISTED = {LISTED: "1"}


class CaseLoadError(MtctlError):
    """The case could not be loaded; the scene is unchanged."""


class CaseLoader:
    """Load one case into the scene.

    Attributes:
        scan: The node of the scan; None before it is made.
        label: The segmentation that a person accepted, if it is no review of the prediction, or None.
        review: The review of the case; None if it has no prediction, or not all that a review needs.
    """

    def __init__(self, store: Path, folder: Path, events: Events) -> None:
        """Prepare to load a case; nothing is in the scene yet.

        Args:
            store: Where the case is.
            folder: Where it was unpacked; what was read there is removed.
            events: What `mtctl_train.requests.case_opening` said.
        """
        found = {event["event"]: event for event in events}
        self._store, self._folder = store, folder
        self._stored, self._opened, self._prepared = found["stands"], found["opened"], found.get("review")
        self._geometry = Geometry.from_json(self._opened["geometry"])
        self.scan: Node = None
        self.label: Node = None
        self.review: CaseReview | None = None

    def steps(self) -> Iterator[None]:
        """Read the files and make the nodes; most steps take a few milliseconds.

        Raises:
            CaseLoadError: A file is missing or cut off, or the scan was deleted meanwhile.
        """
        arrays: dict[str, NDArray[Any]] = {}
        yield from self._read(arrays)
        self.scan = self._add_scan(arrays["scan"])
        yield from self._pause()
        if self._prepared is not None:
            yield from self._review(self._prepared, arrays)
            yield from self._pause()
        elif "corrected" in arrays:
            self.label = self._add_label(arrays["corrected"])
            yield from self._pause()
        # The module's page is made when it is needed first, which takes a moment of its own.
        slicer.util.getModuleWidget(SEGMENT_MODULE)
        yield from self._pause()
        if self.review is not None and _parameters().surface == Surface.plain:
            scene.set_surface_visible(self.review.nodes, True)
            yield from self._pause()

    def show(self) -> Iterator[None]:
        """Open the case in MTCTLSegment, and switch to it."""
        widget = slicer.util.getModuleWidget(SEGMENT_MODULE)
        if self.review is not None:
            widget.heatmapPanel.hide_cases()
            widget.currentReview.suspend()
            widget.currentReview.review = self.review
            widget.currentReview.save_draft()
            yield from self._pause()
        show_scan(self.scan, self.label)

    def remove_nodes(self) -> None:
        """Remove the nodes that were made so far."""
        if self.scan is None or self.scan.GetScene() is None:
            return
        nodes = scene.find_case(slicer.mrmlScene, self.scan)
        if nodes is not None:
            scene.close_case(nodes)
        for node in (self.label, self.scan):
            if node is not None and node.GetScene() is not None:
                slicer.mrmlScene.RemoveNode(node)

    def _pause(self) -> Iterator[None]:
        """Let the window react; the user may close the scene meanwhile."""
        yield
        if self.scan.GetScene() is None:
            raise CaseLoadError(_("The case was not opened: the scene was closed, or its scan deleted, meanwhile."))

    def _read(self, arrays: dict[str, NDArray[Any]]) -> Iterator[None]:
        """Read the arrays into `arrays`."""
        whole = {name: ArrayPart(start=[0, 0, 0], outside=0.0) for name in self._names()}
        try:
            yield from read_steps(self._folder, whole, self._geometry.shape, arrays)
            yield
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CaseLoadError(_("The case could not be handed over: {reason}").format(reason=reason)) from error

    def _names(self) -> list[str]:
        names = ["scan"] + (["corrected"] if (self._folder / "corrected.npy").is_file() else [])
        if self._prepared is not None:
            begun = [Path(self._prepared["start"]).stem] if self._prepared["start"] else []
            names += ["segmentation", *self._prepared["maps"], *begun]
        return list(dict.fromkeys(names))

    def _add_scan(self, array: NDArray[Any]) -> Node:
        case = self._opened["case"]
        attributes = {
            scene.CASE: case,
            scene.CASE_STORE: str(self._store),
            scene.CASE_RECORD: str(self._stored["record"]),
            **_LISTED,
        }
        name = slicer.mrmlScene.GenerateUniqueName(case)
        return scene.add_scan(slicer.mrmlScene, Volume(array, self._geometry), name, attributes)

    def _add_label(self, array: NDArray[Any]) -> Node:
        name = _("{scan}: corrected").format(scan=self.scan.GetName())
        return scene.add_label(slicer.mrmlScene, self.scan, array != 0, name, _LISTED)

    def _review(self, prepared: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Iterator[None]:
        """Show the segmentation and resume the review of the last draft or decision."""
        maps = {name: arrays[name] for name in prepared["maps"]}
        result = Result(self._geometry, arrays["segmentation"], maps, self._opened["report"])
        nodes = scene.show_result(slicer.mrmlScene, self.scan, result)
        yield from self._pause()
        if prepared["start"]:
            self.label = self._add_label(arrays[Path(prepared["start"]).stem])
            nodes = scene.review_segmentation(nodes, self.label, scene.SEGMENT_ID)
            yield from self._pause()
        if "corrected" in arrays:
            scene.set_mask(nodes, arrays["corrected"] != 0)
            yield from self._pause()
        document = self._opened["review"]
        self.review = open_review(nodes) if document is None else open_stored_review(nodes, document)


def show_scan(scan: Node, label: Node = None) -> None:
    """Switch to MTCTLSegment with a scan, and with the segmentation to review."""
    slicer.util.setSliceViewerLayers(background=scan, foreground=None, fit=True)
    widget, parameters = slicer.util.getModuleWidget(SEGMENT_MODULE), _parameters()
    parameters.scan = scan
    parameters.reviewed = label
    slicer.util.selectModule(SEGMENT_MODULE)
    if label is not None:
        widget.scanPanel.list_segments()


def _parameters() -> Any:
    """Return the parameters of the page: those of another wrapper are not bound to its widgets."""
    widget = slicer.util.getModuleWidget(SEGMENT_MODULE)
    return widget.currentReview.parameters or widget.logic.getParameterNode()
