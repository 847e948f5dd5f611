"""The row of section 1 that shows the scan's spacing, and lets the user correct it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from mtctl import scene
from mtctl.geometry import Triple, spacing_text
from mtctl.io.given_spacing import parse_spacing, same_spacing
from mtctl.scene.types import Node
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.review.current_review import CurrentReview


class SpacingRow(Panel):
    """Show the spacing, and call `changed` with the scan and its new spacing when the user sets one."""

    def __init__(self, ui: Any, current: CurrentReview, changed: Callable[[Node, Triple], None]) -> None:
        super().__init__()
        self._ui, self._current, self._changed = ui, current, changed
        self._shown: tuple[str, Triple] | None = None
        self.connect(
            (ui.spacingEdit, "returnPressed()", self._set),
            (ui.spacingButton, "clicked()", self._set),
            (ui.spacingBackButton, "clicked()", self._set_back),
        )
        self.refresh(True)

    def refresh(self, idle: bool) -> None:
        """Show the chosen scan's spacing; a text that is being typed stays.

        Args:
            idle: Whether it may be changed: no segmentation is under way.
        """
        ui, scan = self._ui, self._scan()
        for widget in (ui.spacingEdit, ui.spacingButton, ui.spacingBackButton):
            widget.enabled = idle and scan is not None
        if scan is None:
            self._shown, ui.spacingEdit.text = None, ""
            ui.spacingBackButton.hide()
            ui.spacingNoteLabel.hide()
            return
        here, filed = scene.spacing_of(scan), scene.file_spacing_of(scan)
        if self._shown != (scan.GetID(), here):
            self._shown, ui.spacingEdit.text = (scan.GetID(), here), spacing_text(here)
        changed = not same_spacing(here, filed)
        ui.spacingBackButton.setVisible(changed)
        ui.spacingNoteLabel.text = (
            _("The spacing {here} mm was given by hand; the file says {filed}.").format(
                here=spacing_text(here), filed=spacing_text(filed)
            )
            if changed
            else ""
        )
        ui.spacingNoteLabel.setVisible(changed)

    def _scan(self) -> Node:
        parameters = self._current.parameters
        return parameters.scan if parameters is not None else None

    def _set(self) -> None:
        scan = self._scan()
        if scan is not None:
            with errors_shown():
                self._change(scan, parse_spacing(self._ui.spacingEdit.text))

    def _set_back(self) -> None:
        scan = self._scan()
        if scan is not None:
            with errors_shown():
                self._change(scan, scene.file_spacing_of(scan))

    def _change(self, scan: Node, spacing: Triple) -> None:
        self._shown = None  # What was typed is shown as it was understood.
        # A spacing that was only shown rounded, and not changed, is none that a person gave.
        if spacing_text(spacing) != spacing_text(scene.spacing_of(scan)):
            self._changed(scan, spacing)
        self.refresh(True)
