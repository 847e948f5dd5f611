"""Section 3, lower part: the ranked list of uncertain regions."""

from __future__ import annotations

import time
from typing import Any

import qt
from slicer.i18n import tr as _

from mtctl import scene
from mtctl.uncertainty.regions import Region
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.review.current_review import CurrentReview
from MTCTLSegmentLib.text import region_count_text
from MTCTLSegmentLib.widgets.table_columns import set_up_columns

# A click on another row moves to it first and then says where it was: both in one event.
_SAME_EVENT_SECONDS = 0.05


class RegionPanel(Panel):
    """The table of regions and its buttons; the key A calls `accept`."""

    def __init__(self, ui: Any, current: CurrentReview) -> None:
        super().__init__()
        self._ui, self._current, self._table = ui, current, ui.regionTable
        self._ids: list[int] = []
        self._shown: list[tuple[str, ...]] = []
        self._moved_at = 0.0
        titles = [_("#"), _("State"), _("Volume"), _("Likely wrong"), _("Uncertainty")]
        set_up_columns(self._table, titles, stretched=range(1, len(titles)))
        self.connect(
            (self._table, "currentCellChanged(int,int,int,int)", self._moved),
            (self._table, "cellPressed(int,int)", self._pressed),
            (ui.nextButton, "clicked()", self.next),
            (ui.previousButton, "clicked()", self.previous),
            (ui.acceptRegionButton, "clicked()", self.accept),
        )
        self.listen(current, self.refresh)

    def refresh(self) -> None:
        """Show the present regions."""
        review = self._current.review
        regions = review.session.regions if review is not None else ()
        self._ui.regionsSection.enabled = review is not None
        self._fill(regions)
        current = review.session.current if review is not None else None
        self._select(self._ids.index(current.id) if current is not None else -1)
        for button in (self._ui.nextButton, self._ui.previousButton):
            button.enabled = bool(regions)
        self._ui.acceptRegionButton.enabled = current is not None
        again = current is not None and current.accepted
        self._ui.acceptRegionButton.text = _("Open again (A)") if again else _("Accept (A)")
        self._ui.leftLabel.text = self._text()

    def next(self) -> None:
        """Go to the region after the current one."""
        with errors_shown():
            if self._current.review is not None:
                self._current.review.go_to(self._current.review.session.next())
                self._current.save_and_notify()

    def previous(self) -> None:
        """Go to the region before the current one."""
        with errors_shown():
            if self._current.review is not None:
                self._current.review.go_to(self._current.review.session.previous())
                self._current.save_and_notify()

    def accept(self) -> None:
        """Accept the current region and go to the next open one; open it again if it was accepted."""
        with errors_shown():
            review = self._current.review
            current = review.session.current if review is not None else None
            if review is None or current is None:
                return
            if current.accepted:
                review.session.reopen_region(current.id)
            else:
                review.session.accept_region(current.id)
                following = review.session.next_open()
                if following is not None and following.id != current.id:
                    review.go_to(following)
            self._current.save_and_notify()

    def _jump(self, row: int) -> None:
        with errors_shown():
            review = self._current.review
            if review is not None and 0 <= row < len(self._ids):
                review.go_to(review.session.jump(self._ids[row]))
                self._current.save_and_notify()

    def _moved(self, row: int, _column: int, before: int, _column_before: int) -> None:
        if row != before:
            self._jump(row)
            self._moved_at = time.monotonic()

    def _pressed(self, row: int, _column: int) -> None:
        if time.monotonic() - self._moved_at > _SAME_EVENT_SECONDS:  # The row was the current one already.
            self._jump(row)

    # --- table --------------------------------------------------------------------------------------------------------

    def _fill(self, regions: tuple[Region, ...]) -> None:
        rows = [_row(number, region) for number, region in enumerate(regions, 1)]
        self._ids = [region.id for region in regions]
        if rows == self._shown:
            return
        table = self._table
        table.blockSignals(True)
        table.setRowCount(len(rows))
        for number, (row, region) in enumerate(zip(rows, regions, strict=True)):
            if number >= len(self._shown) or self._shown[number] != row:
                self._fill_row(number, row, region)
        table.blockSignals(False)
        self._shown = rows

    def _fill_row(self, number: int, texts: tuple[str, ...], region: Region) -> None:
        font = qt.QFont(self._table.font)
        font.setBold(not region.visited)
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setFont(font)
            if column != 1:
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            if region.accepted:
                item.setForeground(qt.QBrush(qt.QColor("#3a9d5d" if column == 1 else "#808080")))
            self._table.setItem(number, column, item)

    def _select(self, row: int) -> None:
        table = self._table
        if table.currentRow() == row:
            return
        table.blockSignals(True)
        if row < 0:
            table.setCurrentCell(-1, -1)
            table.clearSelection()
        else:
            table.selectRow(row)
            table.scrollToItem(table.item(row, 0))
        table.blockSignals(False)

    def _text(self) -> str:
        review = self._current.review
        if review is None:
            return self._current.problem
        session = review.session
        if not session.regions:
            return _("No region is so uncertain: lower the threshold to see more.")
        accepted = sum(region.accepted for region in session.regions)
        return _("{accepted} of {regions} accepted, {ml:.1f} mL left to check; looked at {looked:.1f} mL.").format(
            accepted=accepted,
            regions=region_count_text(len(session.regions)),
            ml=session.remaining.ml,
            looked=session.looked_at_ml,
        )


def _row(number: int, region: Region) -> tuple[str, ...]:
    titles = {
        "accepted": _("✓ accepted"),
        "edited": _("edited"),
        "visited": _("visited"),
        "open": _("open"),
    }
    return (
        str(number),
        titles[scene.state_of(region)],
        _("{ml:.2f} mL").format(ml=region.volume_mm3 / 1000),
        _("{ml:.2f} mL").format(ml=region.expected_error_mm3 / 1000),
        f"{region.mean_uncertainty:.2f}",
    )
