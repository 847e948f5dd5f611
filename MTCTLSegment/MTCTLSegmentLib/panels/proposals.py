"""Section 4, upper part: suggestions for the current region, shown before they are applied."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

from slicer.i18n import tr as _

from MTCTLSegmentLib import python_packages
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.panels.editor import EditorPanel
from MTCTLSegmentLib.review.current_review import CurrentReview
from MTCTLSegmentLib.text import change_text

_LOOKING_MS = 700


class ProposalPanel(Panel):
    """One button per suggestion; that of the shown one is pressed."""

    def __init__(self, ui: Any, current: CurrentReview, editor: EditorPanel) -> None:
        super().__init__()
        self._ui, self._current, self._editor = ui, current, editor
        self._shown = ""
        self._buttons = {
            "add": ui.proposalAddButton,
            "remove": ui.proposalRemoveButton,
            "distance": ui.proposalDistanceButton,
            "fill": ui.proposalFillButton,
            "consensus": ui.proposalConsensusButton,
        }
        self.connect(
            (ui.applyProposalButton, "clicked()", self.use),
            (ui.discardProposalButton, "clicked()", self.discard),
            *((button, "clicked()", partial(self.show, kind)) for kind, button in self._buttons.items()),
        )
        # scikit-image takes a moment to load: while the person looks at the result, not at the first click.
        self._warm_up = self.make_timer(_LOOKING_MS, _load_proposals)
        self.listen(current, self.refresh)

    def refresh(self) -> None:
        """Show which suggestions there are, and which one is shown."""
        review = self._current.review
        preview = review.preview if review is not None else None
        if preview is None:
            self._shown = ""
        current = review.session.current if review is not None else None
        self._ui.correctSection.enabled = review is not None
        if review is not None and "mtctl.review.proposals" not in sys.modules:
            self._warm_up.start()
        for kind, button in self._buttons.items():
            button.enabled = current is not None
            button.checked = kind == self._shown
        self._ui.consensusSlider.enabled = current is not None
        self._ui.proposalFrame.setVisible(preview is not None)
        if preview is not None:
            self._ui.proposalLabel.text = _("Shown in blue (added) and white (removed): {change}.").format(
                change=change_text(preview.added_ml, preview.removed_ml)
            )
            self._ui.applyProposalButton.enabled = bool(preview.added_ml or preview.removed_ml)
        self._ui.suggestionsLabel.text = (
            _("Suggestions for this region, shown before anything changes:")
            if current is not None
            else _("Choose a region above to get suggestions for it.")
        )

    def show(self, kind: str, *_signal: Any) -> None:
        """Show a suggestion, or hide it if it is shown."""
        with errors_shown():
            review = self._current.review
            if review is None or self._current.parameters is None:
                return
            if self._shown == kind:
                self.discard()
                return
            self._shown = ""
            if kind != "fill" or python_packages.ensure(python_packages.FILLING):
                review.propose(kind, self._current.parameters.consensus)
                self._shown = kind
        self._current.notify()

    def level_changed(self) -> None:
        """Show the consensus at the chosen level."""
        review = self._current.review
        if self._shown == "consensus" and review is not None:
            with errors_shown():
                review.propose("consensus", self._current.parameters.consensus)
            self._current.notify()

    def discard(self) -> None:
        """Hide the shown suggestion."""
        self._shown = ""
        if self._current.review is not None:
            self._current.review.discard()
        self._current.notify()

    def use(self) -> None:
        """Apply the shown suggestion as one undo step."""
        with errors_shown():
            if self._current.review is not None:
                self._current.review.use(self._editor.save_for_undo)
                self._editor.note_proposal()


def _load_proposals() -> None:
    with suppress(ImportError):
        import_module("mtctl.review.proposals")
        import_module("skimage.segmentation")
