"""A case of the store in the scene, and MTCTLSegment with it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from mtctl import scene
from mtctl.worker_protocol import geometry_of
from mtctl.worker_request import Result
from MTCTLSegmentLib.messages import telling
from MTCTLTrainLib.clerk import Events
from MTCTLTrainLib.words import sentence
from MTCTLTrainLib.workbench import Workbench

SEGMENT_MODULE = "MTCTLSegment"


class CaseOpener:
    """Opens one case at a time; the child process checks and unpacks the files."""

    def __init__(self, ui: Any, bench: Workbench) -> None:
        self._ui, self._bench = ui, bench
        self._folder: Path | None = None

    def close(self) -> None:
        """The module is about to be reloaded or unloaded."""
        self._clear()

    def open(self, case: str) -> None:
        """Bring a case into the scene and switch to MTCTLSegment."""
        with telling():
            if not hasattr(slicer.modules, SEGMENT_MODULE.lower()):
                slicer.util.errorDisplay(
                    _("Cases are corrected in the module MT-CTL Segment, which is not installed in this Slicer.")
                )
                return
            store = self._bench.store
            if store is None or self._folder is not None:
                return
            there = self._in_scene(store, case)
            if there is not None:
                self._show(there)
                return
            self._folder = Path(tempfile.mkdtemp(prefix="mtctl-case-"))
            self._ui.casesLabel.text = _("Opening {case} ...").format(case=case)
            request = {"do": "open", "store": str(store), "case": case, "to": str(self._folder)}
            self._bench.clerk.ask(request, lambda events: self._opened(store, events), self._failed)

    def _opened(self, store: Path, events: Events) -> None:
        with telling():
            try:
                found = next(event for event in events if event["event"] == "opened")
                scan = self._add_scan(store, found)
                if found["report"] is not None:
                    self._add_prediction(scan, found)
            finally:
                self._clear()
            self._bench.changed()
            self._show(scan)

    def _failed(self, reason: str) -> None:
        self._clear()
        self._bench.changed()
        slicer.util.errorDisplay(_("The case cannot be opened: {reason}").format(reason=sentence(reason)))

    def _add_scan(self, store: Path, found: dict[str, Any]) -> Any:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", found["case"])
        geometry = geometry_of(found["geometry"])
        matrix = np.eye(4)
        matrix[:3, :3] = geometry.matrix * geometry.spacing
        matrix[:3, 3] = geometry.origin
        matrix[:2] *= -1  # LPS to RAS
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        slicer.util.updateVolumeFromArray(node, self._array("scan"))
        node.CreateDefaultDisplayNodes()
        node.SetAttribute(scene.CASE, found["case"])
        node.SetAttribute(scene.CASE_STORE, str(store))
        return node

    def _add_prediction(self, scan: Any, found: dict[str, Any]) -> None:
        """The case as it was left: with the segmentation and the review of the last draft or decision."""
        maps = {name: self._array(name) for name in found["maps"]}
        if not {"probability", "distance"} <= maps.keys():
            return  # Imported with its mask alone: it is segmented anew.
        result = Result(geometry_of(found["geometry"]), self._array("segmentation"), maps, found["report"])
        nodes = scene.show_result(slicer.mrmlScene, scan, result)
        if (self._folder_path / "corrected.npy").is_file():
            scene.set_mask(nodes, self._array("corrected") != 0)
            if found["review"] is not None:
                scene.keep(nodes, f"review {scene.SEGMENT_ID}", found["review"])

    def _show(self, scan: Any) -> None:
        slicer.util.setSliceViewerLayers(background=scan, foreground=None, fit=True)
        slicer.util.getModuleLogic(SEGMENT_MODULE).getParameterNode().scan = scan
        slicer.util.selectModule(SEGMENT_MODULE)

    def _in_scene(self, store: Path, case: str) -> Any:
        volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        here = (node for node in volumes if node.GetAttribute(scene.CASE) == case)
        return next((node for node in here if node.GetAttribute(scene.CASE_STORE) == str(store)), None)

    def _array(self, name: str) -> Any:
        return np.load(self._folder_path / f"{name}.npy", allow_pickle=False)

    @property
    def _folder_path(self) -> Path:
        assert self._folder is not None
        return self._folder

    def _clear(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
