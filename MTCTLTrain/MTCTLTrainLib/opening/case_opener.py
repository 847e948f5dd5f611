"""A case of the store in the scene, and MTCTLSegment with it."""

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
from mtctl.io.volumes import mask_sum
from mtctl.processes.request import Events, RequestProcess
from mtctl.scene import SceneError
from mtctl.system.temporary import make_own_folder
from mtctl_train.requests.case_opening import FOLDER_KIND
from MTCTLSegmentLib.error_display import telling
from MTCTLTrainLib.jobs.request import prepare_request
from MTCTLTrainLib.opening.case_loader import SEGMENT_MODULE, CaseArrival, show_scan
from MTCTLTrainLib.page_state import Workbench
from MTCTLTrainLib.text import date_words, sentence

_CHILD = "mtctl_train.requests.case_opening"


class CaseOpener:
    """Opens one case at a time; the child process checks and unpacks the files, and finds the regions."""

    def __init__(self, ui: Any, bench: Workbench) -> None:
        self._ui, self._bench = ui, bench
        self._request: RequestProcess | None = None
        self._folder: Path | None = None
        self._arrival: CaseArrival | None = None
        self._steps: Iterator[object] = iter(())
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._go_on)

    def close(self) -> None:
        """The module is about to be reloaded or unloaded."""
        self._timer.disconnect("timeout()", self._go_on)
        if self._arrival is not None:
            self._arrival.take_back()
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
            if store is None or self._request is not None or self._arrival is not None:
                return
            there = self._in_scene(store, case)
            if there is None:
                self._unpack(store, case)
            else:
                self._look(store, case, there)
            self._ui.casesLabel.text = _("Opening {case} ...").format(case=case)

    # --- a case that is in the scene ----------------------------------------------------------------------------------

    def _look(self, store: Path, case: str, there: Any) -> None:
        self._request = prepare_request(
            _CHILD,
            {"do": "look", "store": str(store), "case": case},
            lambda events: self._looked(store, case, there, events),
            lambda reason: self._unseen(there, reason),
        )
        self._request.start()

    def _looked(self, store: Path, case: str, there: Any, events: Events) -> None:
        with telling():
            self._clear()
            if there.GetScene() is None:  # Deleted meanwhile.
                self._unpack(store, case)
                return
            stands = events[0]
            if not _is_shown(there, stands) and slicer.util.confirmYesNoDisplay(
                _other_state(case, stands), _("Open case")
            ):
                self._unpack(store, case)
                return
            there.SetAttribute(scene.CASE_RECORD, str(stands["record"]))  # The person knows of it.
            self._bench.changed()
            show_scan(there, _label_of(there))

    def _unseen(self, there: Any, reason: str) -> None:
        self._clear()
        self._bench.changed()
        text = _("The case is shown as it is in the scene. Whether the store holds a newer one is not known: {reason}")
        slicer.util.errorDisplay(text.format(reason=sentence(reason)))
        if there.GetScene() is not None:
            show_scan(there, _label_of(there))

    def _in_scene(self, store: Path, case: str) -> Any:
        """The node as which the case was opened last; None where it was not, or not in this scene."""
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
        with telling():
            assert self._folder is not None
            try:
                arrival = self._arrival = CaseArrival(store, self._folder, events)
            except Exception:
                self._end()
                raise
            self._request = None
            self._steps = chain(arrival.steps(), arrival.show())
            self._timer.start()

    def _go_on(self) -> None:
        """One step: what else happens in the window has its turn in between."""
        arrival = self._arrival
        if arrival is None:
            return
        with telling():
            try:
                if next(self._steps, self) is not self:
                    return
            except Exception:
                self._end()
                arrival.take_back()
                raise
            self._end()

    def _failed(self, reason: str) -> None:
        self._end()
        slicer.util.errorDisplay(_("The case cannot be opened: {reason}").format(reason=sentence(reason)))

    def _end(self) -> None:
        self._clear()
        self._bench.changed()

    def _clear(self) -> None:
        self._timer.stop()
        request, self._request = self._request, None
        folder, self._folder = self._folder, None
        self._arrival, self._steps = None, iter(())
        if request is not None:
            request.cancel()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _is_shown(scan: Any, stands: dict[str, Any]) -> bool:
    """Whether the scene shows what the store holds, for example because it was accepted here."""
    if scan.GetAttribute(scene.CASE_RECORD) == str(stands["record"]):
        return True
    nodes = scene.find_case(slicer.mrmlScene, scan)
    try:
        return nodes is not None and mask_sum(scene.mask_of(nodes)) == stands["segmentation_sha256"]
    except SceneError:  # Something of it was deleted.
        return False


def _label_of(scan: Any) -> Any:
    """Somebody else's segmentation that is reviewed; None for the model's own."""
    nodes = scene.find_case(slicer.mrmlScene, scan)
    return None if nodes is None or nodes.reviewed is nodes.segmentation else nodes.reviewed


def _other_state(case: str, stands: dict[str, Any]) -> str:
    by = _(" by {reviewer}").format(reviewer=stands["reviewer"]) if stands["reviewer"] else ""
    return _(
        "The store holds another state of {case} than the scene: {state}{by}, {date} UTC. Open that one as well? "
        "Otherwise you go on with what is in the scene, and accepting it adds a version after that one."
    ).format(case=case, state=stands["state"], by=by, date=date_words(stands["changed"]))
