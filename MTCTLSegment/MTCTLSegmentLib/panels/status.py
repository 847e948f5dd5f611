"""Between the sections: the summary of the case, and its warnings."""

from __future__ import annotations

from typing import Any

from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.review.current_review import CurrentReview

# Half-transparent, so that it fits Slicer's light and dark style alike.
_WARNING_STYLE = "background: rgba(240, 160, 0, 70); border-radius: 4px; padding: 6px;"


class StatusPanel(Panel):
    """The summary and the warnings of the open case."""

    def __init__(self, ui: Any, current: CurrentReview) -> None:
        super().__init__()
        self._ui, self._current = ui, current
        ui.summaryLabel.setStyleSheet("font-weight: bold; font-size: 15px;")
        ui.warningLabel.setStyleSheet(_WARNING_STYLE)
        self.listen(current, self.refresh)

    def refresh(self) -> None:
        """Show the open case; hide the panel without one."""
        review = self._current.review
        text = review.summary() if review is not None else ""
        warnings = review.warnings() if review is not None else [self._current.problem] if self._current.problem else []
        self._ui.summaryLabel.text = text[:1].upper() + text[1:]
        self._ui.summaryLabel.setVisible(bool(text))
        self._ui.warningLabel.text = "\n".join(f"⚠ {each[:1].upper()}{each[1:]}" for each in warnings)
        self._ui.warningLabel.setVisible(bool(warnings))
        self._ui.statusFrame.setVisible(bool(text or warnings))
