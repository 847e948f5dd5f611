"""Section 6: the measures of the case in view, and the enhancement of its wall."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from mtctl.errors import MtctlError
from mtctl.geometry import Mask
from mtctl.system.fields import read_as
from MTCTLSegmentLib import python_packages
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.jobs.array_request import ArrayRequest
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.review.case_review import CaseReview
from MTCTLSegmentLib.review.current_review import CurrentReview
from MTCTLSegmentLib.widgets.person import typed_body
from MTCTLSegmentLib.widgets.table_columns import set_up_columns

if TYPE_CHECKING:
    from mtctl.measures.document import CaseMeasures
    from mtctl.measures.rows import TableRow

# After the last change: a person who strokes goes on.
_REST_MS = 800

_RESEARCH = _(
    "For research only, not for a diagnosis. Intervals are 90 % intervals by the segmentation's uncertainty alone."
)
_WALL = _(
    "Enhancement is no proof of fibrosis: thresholds hold for the scanners, doses and delays of their studies, and "
    "veins and mitral valve were found by the program."
)


@dataclass(frozen=True)
class _Wanted:
    """What the numbers are of: a review, its segmentation and what else was settled, and where the wall is.

    Attributes:
        review, mask: Compared as objects: a mask is never changed in place.
        settled: Answers (`settled_by_the_person`).
        shell: Outward and inward mm; None: the wall is not measured.
    """

    review: CaseReview
    mask: Mask
    settled: tuple[object, ...]
    shell: tuple[float, float] | None

    def is_still(self, other: _Wanted | None) -> bool:
        """Return whether nothing has changed since."""
        return (
            other is not None
            and self.review is other.review
            and self.mask is other.mask
            and self.settled == other.settled
            and self.shell == other.shell
        )


class MeasurePanel(Panel):
    """Measure by itself while the section is open, in a child process; one request at a time."""

    def __init__(self, ui: Any, current: CurrentReview) -> None:
        super().__init__()
        self._ui, self._current = ui, current
        self._request: ArrayRequest | None = None
        self._asked: _Wanted | None = None  # What is being measured, or was tried last.
        self._shown: tuple[_Wanted, CaseMeasures] | None = None
        self._walled: CaseReview | None = None  # The review whose wall is measured with the rest.
        self._text = ""
        self._person_of: Any = None  # The scan whose patient's size was typed in.
        self._rest = self.make_timer(_REST_MS, self._measure_if_due)
        ui.measureSection.collapsed = True  # Who opens it wants the numbers, which a child process takes seconds for.
        titles = [_("Measure"), _("Value"), _("90 % interval")]
        set_up_columns(ui.measureTable, titles, stretched=(1, 2))
        self.connect(
            (ui.measureSection, "contentsCollapsed(bool)", self._opened),
            (ui.measureButton, "clicked()", self.measure_or_cancel),
            (ui.wallButton, "clicked()", self.measure_wall),
            *((box, "valueChanged(double)", self._typed) for box in (ui.heightBox, ui.weightBox)),
            *((box, "valueChanged(double)", self._typed) for box in (ui.outwardBox, ui.inwardBox)),
        )
        self.listen(current, self.refresh)

    def close(self) -> None:
        """Stop what is under way, and close the panel."""
        self._cancel()
        super().close()

    def refresh(self) -> None:
        """Show the numbers of the open case; measure it anew after a change."""
        review, ui = self._current.review, self._ui
        if self._shown is not None and self._shown[0].review is not review:
            self._shown, self._text = None, ""
        if self._asked is not None and self._asked.review is not review:
            self._asked = self._walled = None
            self._text = ""
            self._cancel()
        if review is not None and review.nodes.scan is not self._person_of:
            self._person_of = review.nodes.scan
            ui.heightBox.value = ui.weightBox.value = 0
        busy = self._request is not None
        ui.measureSection.enabled = review is not None
        ui.measureButton.text = _("Cancel") if busy else _("Measure")
        ui.wallButton.enabled = review is not None and not busy
        self._show()
        if self._is_due():
            self._rest.start()

    def measure_or_cancel(self) -> None:
        """Measure now, or stop what is under way."""
        with errors_shown():
            if self._request is not None:
                self._cancel()
                self._text = _("Cancelled.")
                self.refresh()
            elif python_packages.ensure(python_packages.MEASURING):
                self._measure()

    def measure_wall(self) -> None:
        """Measure the enhancement of the wall, too, now and after each change of this case."""
        with errors_shown():
            if self._current.review is not None and python_packages.ensure(python_packages.MEASURING):
                self._walled = self._current.review
                self._measure()

    # --- measuring ----------------------------------------------------------------------------------------------------

    def _opened(self, collapsed: bool) -> None:
        if not collapsed:
            self.refresh()

    def _is_due(self) -> bool:
        """Return whether the numbers are to be made by themselves: once for each state of the review."""
        if self._ui.measureSection.collapsed or self._request is not None or self._current.parameters is None:
            return False
        wanted = self._wanted()
        return wanted is not None and not wanted.is_still(self._asked)

    def _measure_if_due(self) -> None:
        if self._is_due() and not python_packages.missing(python_packages.MEASURING):
            with errors_shown():
                self._measure()

    def _measure(self) -> None:
        from MTCTLSegmentLib.review import measure_requests

        wanted = self._asked = self._wanted()
        if wanted is None:
            return
        review, shell = wanted.review, wanted.shell
        handed = measure_requests.wall_request(review, *shell) if shell else measure_requests.shape_request(review)
        self._cancel()
        self._text = _("Measuring the wall ...") if shell else _("Measuring ...")
        self._request = ArrayRequest(
            measure_requests.MEASURES, handed.arrays, handed.content, self._measured, self._not_measured
        )
        self._request.start()
        self.refresh()

    def _wanted(self) -> _Wanted | None:
        review, ui = self._current.review, self._ui
        if review is None:
            return None
        from mtctl.measures.case import settled_by_the_person  # Not before a case is open: scipy takes its time.

        shell = (ui.outwardBox.value, ui.inwardBox.value) if self._walled is review else None
        return _Wanted(review, review.mask, settled_by_the_person(review.session), shell)

    def _measured(self, answer: dict[str, Any]) -> None:
        from mtctl.measures.document import CaseMeasures

        self._request = None
        with errors_shown():
            if self._asked is not None:
                self._shown = self._asked, read_as(CaseMeasures, answer["measures"], "the process that measures")
                self._text = ""
        self.refresh()

    def _not_measured(self, reason: str) -> None:
        self._request = None
        self._text = _("Not measured: {reason}").format(reason=reason)
        self.refresh()

    def _cancel(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.cancel()

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _typed(self, _value: float) -> None:
        self.refresh()

    def _show(self) -> None:
        rows: list[TableRow] = []
        note = self._text
        if self._shown is not None:
            from mtctl.measures.rows import shape_rows, wall_rows

            measures = self._shown[1]
            try:
                if body := typed_body(self._ui):
                    measures = replace(measures, volume_ml_per_m2=measures.volume_ml.divided_by(body.area_m2))
            except MtctlError as error:
                note = f"{note} {error}".strip()
            rows = [*shape_rows(measures), *wall_rows(measures.wall)]
            wanted = self._wanted()
            if self._request is None and not self._shown[0].is_still(wanted):
                note = f"{note} {_('The case has changed since.')}".strip()
            if not note:
                note = _("{percent:.0f} % of the uncertainty is settled.").format(percent=measures.settled_percent)
            note = "\n".join([note, *(f"⚠ {warning}" for warning in measures.warnings)])
        self._fill(rows)
        walled = self._shown is not None and self._shown[1].wall is not None
        self._ui.measureLabel.text = note
        self._ui.measureNoteLabel.text = f"{_RESEARCH} {_WALL}" if walled else _RESEARCH

    def _fill(self, rows: list[TableRow]) -> None:
        table = self._ui.measureTable
        table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate((_(row.name), row.value, row.interval)):
                item = qt.QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(number, column, item)
