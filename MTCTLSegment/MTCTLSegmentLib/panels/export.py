"""Section 6, below the numbers: the report and the surfaces of the case in view, as files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from mtctl.errors import MtctlError
from MTCTLSegmentLib import python_packages, settings
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.jobs.array_request import ArrayRequest, ChildProgram
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.review.current_review import CurrentReview
from MTCTLSegmentLib.widgets.person import typed_body

if TYPE_CHECKING:
    from mtctl.measures.hand_over import HandedCase


class ExportPanel(Panel):
    """Write the report or the surfaces in a child process, one at a time; its button is Cancel meanwhile."""

    def __init__(self, ui: Any, current: CurrentReview) -> None:
        super().__init__()
        self._ui, self._current = ui, current
        self._request: ArrayRequest | None = None
        self._button: Any = None  # The one that was pressed for what is being written.
        self._place = Path()
        self._about: Any = None  # The review that the text below is about.
        self._texts = {"reportButton": _("Write report ..."), "surfaceButton": _("Write surfaces ...")}
        self.connect(
            (ui.reportButton, "clicked()", self.write_report),
            (ui.surfaceButton, "clicked()", self.write_surfaces),
        )
        self.listen(current, self.refresh)

    def close(self) -> None:
        """Stop what is under way, and close the panel."""
        self._cancel()
        super().close()

    def refresh(self) -> None:
        """Enable what can be done now."""
        review = self._current.review
        if self._request is None and self._about is not review:
            self._ui.exportLabel.text = ""
        for name, text in self._texts.items():
            button, mine = getattr(self._ui, name), self._request is not None and name == self._button
            button.text = _("Cancel") if mine else text
            button.enabled = mine or (review is not None and self._request is None)

    def write_report(self) -> None:
        """Ask for a file, and write the report there; or stop."""
        from MTCTLSegmentLib.review import measure_requests

        with errors_shown():
            review = self._current.review
            if self._cancelled() or review is None or not python_packages.ensure(python_packages.REPORT):
                return
            body = typed_body(self._ui)
            suggested = Path(settings.setting("exportFolder")) / measure_requests.case_name(review.nodes.scan)
            chosen = qt.QFileDialog.getSaveFileName(
                self._ui.reportButton, _("Report"), f"{suggested}.report.pdf", _("PDF (*.pdf)")
            )
            if chosen:
                path = Path(chosen if chosen.lower().endswith(".pdf") else f"{chosen}.pdf")
                settings.remember("exportFolder", str(path.parent))
                handed = measure_requests.report_request(review, path, asdict(body) if body else None)
                self._start("reportButton", measure_requests.REPORT, handed, path)

    def write_surfaces(self) -> None:
        """Ask for a folder, and write the surfaces there; or stop."""
        from MTCTLSegmentLib.review import measure_requests

        with errors_shown():
            review, ui = self._current.review, self._ui
            if self._cancelled() or review is None or not python_packages.ensure(python_packages.MEASURING):
                return
            boxes = {"vtp": ui.vtpBox, "stl": ui.stlBox, "ply": ui.plyBox, "obj": ui.objBox}
            formats = [ending for ending, box in boxes.items() if box.checked]
            if not formats:
                raise MtctlError(_("no format is chosen for the surfaces: tick VTP, STL, PLY or OBJ"))
            chosen = qt.QFileDialog.getExistingDirectory(
                ui.surfaceButton, _("Folder for the surfaces"), settings.setting("exportFolder")
            )
            if chosen and _may_write(Path(chosen), measure_requests.case_name(review.nodes.scan), formats):
                settings.remember("exportFolder", chosen)
                handed = measure_requests.surface_request(review, Path(chosen), formats, ui.spaceSelector.currentText)
                self._start("surfaceButton", measure_requests.MEASURES, handed, Path(chosen))

    def _start(self, button: str, program: ChildProgram, handed: HandedCase, place: Path) -> None:
        self._button, self._place, self._about = button, place, self._current.review
        self._ui.exportLabel.text = _("Writing {place} ...").format(place=place)
        self._request = ArrayRequest(program, handed.arrays, handed.content, self._written, self._not_written)
        self._request.start()
        self.refresh()

    def _written(self, answer: dict[str, Any]) -> None:
        self._request = None
        remarks = [answer["words"]] if "words" in answer else list(answer.get("remarks", ()))
        said = "".join(f"\n{remark}" for remark in remarks)
        self._ui.exportLabel.text = _("Written: {place}").format(place=self._place) + said
        self._about = self._current.review
        self.refresh()

    def _not_written(self, reason: str) -> None:
        self._request = None
        self._ui.exportLabel.text = _("Not written.")
        self._about = self._current.review
        self.refresh()
        slicer.util.errorDisplay(_("{place} was not written: {reason}").format(place=self._place, reason=reason))

    def _cancelled(self) -> bool:
        """Stop what is under way; return whether there was something."""
        if self._request is None:
            return False
        self._cancel()
        self._ui.exportLabel.text = _("Cancelled.")
        self.refresh()
        return True

    def _cancel(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.cancel()


def _may_write(folder: Path, case: str, formats: list[str]) -> bool:
    """Ask before surfaces that are there are replaced."""
    names = [f"{case}.{kind}.{ending}" for kind in ("closed", "open") for ending in formats]
    there = [name for name in names if (folder / name).exists()]
    question = _("These files are there already:\n\n{files}\n\nReplace them?").format(files="\n".join(there))
    return not there or bool(slicer.util.confirmOkCancelDisplay(question, _("Write surfaces")))
