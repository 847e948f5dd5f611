"""Section 1: the cases of the store, and the one to correct next."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

from MTCTLSegmentLib import settings as segment_settings
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.widgets.folder_edit import FolderEdit
from MTCTLSegmentLib.widgets.table_columns import set_up_columns
from MTCTLTrainLib.page_state import CaseLine, PageState
from MTCTLTrainLib.text import case_count_text, date_text, sentence, short_names

# Rows filled at a time: 50 take a few milliseconds, the thousands of a large store would hold the window up.
_ROWS_AT_ONCE = 50

_NUMERIC = (2, 3)
_HIDDEN_WHEN_EMPTY = (2, 3, 4)


@dataclass(frozen=True)
class _CaseRow:
    """A row of the table: the case's id, the texts of the columns, and the tool tip."""

    case: str
    texts: tuple[str, ...]
    tip: str


class CasePanel(Panel):
    """The table of cases; `opener` is called with the id of a case that was clicked.

    Attributes:
        storeEdit: The field with the case store.
    """

    def __init__(self, ui: Any, page: PageState, opener: Callable[[str], None]) -> None:
        super().__init__()
        self._ui, self._page, self._table, self._opener = ui, page, ui.caseTable, opener
        self._rows: list[_CaseRow] = []
        self._source: tuple[Any, Any] | None = None
        self._filling: Iterator[None] | None = None
        self._timer = self.make_timer(0, self._fill_on)
        titles = (_("Case"), _("State"), _("Dice old"), _("Dice new"), _("Reviewer"), _("Date (UTC)"))
        set_up_columns(self._table, titles, stretched=(0,))
        self._table.setTextElideMode(qt.Qt.ElideMiddle)  # Names often differ in their ends alone.
        for column in _HIDDEN_WHEN_EMPTY:
            self._table.setColumnHidden(column, True)
        self.storeEdit = FolderEdit(ui.storeEdit, self._store_chosen)
        self.show_store()
        self.connect(
            (ui.refreshButton, "clicked()", page.refresh),
            (ui.nextCaseButton, "clicked()", self._open_next),
            (self._table, "cellClicked(int,int)", self._clicked),
        )
        self.listen(page, self.refresh)

    def close(self) -> None:
        """Close the field of the store and the panel."""
        self.storeEdit.close()
        super().close()

    def show_store(self) -> None:
        """Show the case store, which MTCTLSegment may have changed."""
        segment_settings.show("caseStore", self._ui.storeEdit)

    def refresh(self) -> None:
        """Show the present list."""
        page, ui = self._page, self._ui
        ui.casesLabel.text = self._text()
        troubles = [sentence(text) for text in page.troubles]
        shown = troubles[:2] + ([_("And {count} more.").format(count=len(troubles) - 2)] if len(troubles) > 2 else [])
        ui.troubleLabel.text = "\n".join(f"⚠ {text}" for text in shown)
        ui.troubleLabel.toolTip = "\n".join(troubles)
        ui.troubleLabel.setVisible(bool(troubles))
        following = page.next_best
        ui.nextCaseButton.enabled = following is not None
        ui.nextCaseButton.toolTip = (
            _("Opens the case whose correction should teach most: the one whose own prediction promises least.")
            if following is not None
            else _("There is no case that nobody has begun to correct.")
        )
        ui.nextCaseLabel.text = _next_text(following, short_names(case.id for case in page.cases))
        ui.nextCaseLabel.toolTip = following.id if following is not None else ""
        self._begin_filling()

    def _text(self) -> str:
        page = self._page
        if page.store is None:
            return _("Choose the folder of your case store; MT-CTL Segment saves accepted cases there.")
        if page.listed:
            return sentence(page.listed)
        if not page.cases:
            return _("Reading ...") if page.listing else _("The store holds no cases yet.")
        labelled, count = sum(case.labelled for case in page.cases), case_count_text(len(page.cases))
        if len(page.cases) == 1:
            done = _("corrected or accepted") if labelled else _("not corrected yet")
            return _("{count}, {done}.").format(count=count, done=done)
        return _("{count}, {labelled} of them corrected or accepted.").format(
            count=count, labelled=labelled or _("none")
        )

    def _store_chosen(self, path: str) -> None:
        segment_settings.remember("caseStore", path)
        self._page.refresh()

    def _open_next(self) -> None:
        following = self._page.next_best
        if following is not None:
            self._opener(following.id)

    def _clicked(self, row: int, _column: int) -> None:
        if 0 <= row < len(self._rows):
            self._opener(self._rows[row].case)

    # --- table --------------------------------------------------------------------------------------------------------

    def _begin_filling(self) -> None:
        source = (self._page.cases, self._page.verdict)
        if self._source is not None and all(map(operator.is_, source, self._source)):
            return
        self._source, verdict = source, self._page.verdict
        dice = {case.case: (case.old, case.new) for case in verdict.cases} if verdict is not None else {}
        names = short_names(case.id for case in self._page.cases)
        rows = [_row(case, names[case.id], dice.get(case.id)) for case in self._page.cases]
        for column in _HIDDEN_WHEN_EMPTY:
            self._table.setColumnHidden(column, not any(row.texts[column] for row in rows))
        if rows != self._rows:
            shown, self._rows = self._rows, rows
            self._filling = self._fill(shown)
            self._timer.start()

    def _fill_on(self) -> None:
        if self._filling is not None and next(self._filling, self) is not self:
            self._timer.start()

    def _fill(self, shown: list[_CaseRow]) -> Iterator[None]:
        rows = self._rows
        self._table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            if number >= len(shown) or shown[number] != row or self._table.item(number, 0) is None:
                for column, text in enumerate(row.texts):
                    item = qt.QTableWidgetItem(text)
                    item.setToolTip(row.tip)
                    if column in _NUMERIC:
                        item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                    self._table.setItem(number, column, item)
            if number % _ROWS_AT_ONCE == _ROWS_AT_ONCE - 1:
                yield


def _row(case: CaseLine, name: str, dice: tuple[float, float] | None) -> _CaseRow:
    state = f"{case.state} ({case.version})" if case.version > 1 else case.state
    old, new = (f"{100 * value:.1f}" for value in dice) if dice is not None else ("", "")
    tip = _("Click to open {case} in MT-CTL Segment.").format(case=case.id)
    if case.score is not None:
        tip += " " + _("Its prediction expects a Dice of {score:.2f}.").format(score=case.score)
    tip += " " + _("Changed {date} UTC.").format(date=date_text(case.changed))
    return _CaseRow(case.id, (name, state, old, new, case.reviewer, date_text(case.changed)[:10]), tip)


def _next_text(case: CaseLine | None, names: dict[str, str]) -> str:
    if case is None:
        return ""
    if case.score is None:
        return _("{case}, not segmented yet").format(case=names[case.id])
    return _("{case}, expected Dice {score:.2f}").format(case=names[case.id], score=case.score)
