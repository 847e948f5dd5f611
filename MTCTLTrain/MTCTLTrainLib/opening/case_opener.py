"""Open a stored case in MTCTLSegment."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from mtctl import scene
from mtctl.io.checksums import mask_sum
from mtctl.processes.request import Events, RequestProcess
from mtctl.scene import SceneError
from mtctl.scene.types import Node
from mtctl.system.temporary import make_own_folder
from mtctl_train.requests.case_opening import FOLDER_KIND
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLTrainLib.jobs.request import prepare_request
from MTCTLTrainLib.opening.case_loader import SEGMENT_MODULE, CaseLoader, show_scan
from MTCTLTrainLib.page_state import PageState
from MTCTLTrainLib.text import date_text, sentence

_CHILD = "mtctl_train.requests.case_opening"


class CaseOpener:
    """Open one case at a time; a child process checks and unpacks the files."""

    def __init__(self, ui: Any, page: PageState) -> None:
        self._ui, self._page = ui, page
        self._request: RequestProcess | None = None
        self._folder: Path | None = None
        self._loader: CaseLoader | None = None
        self._steps: Iterator[object] = iter(())
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._go_on)

    def close(self) -> None:
        """Stop, and remove a case that is loaded in part, as the module is about to be unloaded."""
        self._timer.disconnect("timeout()", self._go_on)
        if self._loader is not None:
            self._loader.remove_nodes()
        self._clear()

    def open(self, case: str) -> None:
        """Load a case into the scene and switch to MTCTLSegment."""
        with errors_shown():
            if not hasattr(slicer.modules, SEGMENT_MODULE.lower()):
                slicer.util.errorDisplay(
                    _("Cases are corrected in the module MT-CTL Segment, which is not installed in this Slicer.")
                )
                return
            store = self._page.store
            if store is None or self._request is not None or self._loader is not None:
                return
            node = self._in_scene(store, case)
            if node is None:
                self._unpack(store, case)
            else:
                self._look(store, case, node)
            self._ui.casesLabel.text = _("Opening {case} ...").format(case=case)

    # --- a case that is in the scene ----------------------------------------------------------------------------------

    def _look(self, store: Path, case: str, node: Node) -> None:
        self._request = prepare_request(
            _CHILD,
            {"do": "look", "store": str(store), "case": case},
            lambda events: self._looked(store, case, node, events),
            lambda reason: self._look_failed(node, reason),
        )
        self._request.start()

    def _looked(self, store: Path, case: str, node: Node, events: Events) -> None:
        with errors_shown():
            self._clear()
            if node.GetScene() is None:  # Deleted meanwhile.
                self._unpack(store, case)
                return
            stored = events[0]
            if not _is_shown(node, stored) and slicer.util.confirmYesNoDisplay(
                _other_state(case, stored), _("Open case")
            ):
                self._unpack(store, case)
                return
            node.SetAttribute(scene.CASE_RECORD, str(stored["record"]))  # The person knows of it.
            self._page.notify()
            show_scan(node, _label_of(node))

    def _look_failed(self, node: Node, reason: str) -> None:
        self._clear()
        self._page.notify()
        text = _("The case is shown as it is in the scene. Whether the store holds a newer one is not known: {reason}")
        slicer.util.errorDisplay(text.format(reason=sentence(reason)))
        if node.GetScene() is not None:
            show_scan(node, _label_of(node))

    def _in_scene(self, store: Path, case: str) -> Node:
        """Return the scan as which the case was opened last in this scene; None if it was not."""
        volumes = reversed(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
        here = (node for node in volumes if node.GetAttribute(scene.CASE) == case)
        return next((node for node in here if node.GetAttribute(scene.CASE_STORE) == str(store)), None)

    # --- one that is not ----------------------------------------------------------------------------------------------

    def _unpack(self, store: Path, case: str) -> None:
        self._folder = make_own_folder(FOLDER_KIND)
        request = {"do": "open", "store": str(store), "case": case, "to": str(self._folder)}
        self._request = prepare_request(_CHILD, request, lambda events: self._opened(store, events), self._failed)
        self._request.start()

    def _opened(self, store: Path, events: Events) -> None:
        with errors_shown():
            assert self._folder is not None
            try:
                loader = self._loader = CaseLoader(store, self._folder, events)
            except Exception:
                self._end()
                raise
            self._request = None
            self._steps = chain(loader.steps(), loader.show())
            self._timer.start()

    def _go_on(self) -> None:
        """Do one step, so that the window reacts between two steps."""
        loader = self._loader
        if loader is None:
            return
        with errors_shown():
            try:
                if next(self._steps, self) is not self:
                    return
            except Exception:
                self._end()
                loader.remove_nodes()
                raise
            self._end()

    def _failed(self, reason: str) -> None:
        self._end()
        slicer.util.errorDisplay(_("The case cannot be opened: {reason}").format(reason=sentence(reason)))

    def _end(self) -> None:
        self._clear()
        self._page.notify()

    def _clear(self) -> None:
        self._timer.stop()
        request, self._request = self._request, None
        folder, self._folder = self._folder, None
        self._loader, self._steps = None, iter(())
        if request is not None:
            request.cancel()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _is_shown(scan: Node, stored: dict[str, Any]) -> bool:
    """Return whether the scene shows the state in the store, for example because it was accepted here."""
    if scan.GetAttribute(scene.CASE_RECORD) == str(stored["record"]):
        return True
    nodes = scene.find_case(slicer.mrmlScene, scan)
    try:
        return nodes is not None and mask_sum(scene.mask_of(nodes)) == stored["segmentation_sha256"]
    except SceneError:  # Something of it was deleted.
        return False


def _label_of(scan: Node) -> Node:
    """Return the reviewed segmentation; None for the model's."""
    nodes = scene.find_case(slicer.mrmlScene, scan)
    return None if nodes is None or nodes.reviewed is nodes.segmentation else nodes.reviewed


def _other_state(case: str, stored: dict[str, Any]) -> str:
    by = _(" by {reviewer}").format(reviewer=stored["reviewer"]) if stored["reviewer"] else ""
    return _(
        "The store holds another state of {case} than the scene: {state}{by}, {date} UTC. Open that one as well? "
        "Otherwise you go on with what is in the scene, and accepting it adds a version after that one."
    ).format(case=case, state=stored["state"], by=by, date=date_text(stored["changed"]))
