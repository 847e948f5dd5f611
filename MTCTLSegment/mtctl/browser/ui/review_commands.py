"""Commands of the page about the case on the screen: heatmap, edits, views."""

from __future__ import annotations

import math
from typing import get_args

from mtctl.browser.ui.controller import ReviewController
from mtctl.browser.ui.views import BRUSHES, SLICES, TOOLS
from mtctl.review.answers import Side

#: No position in a scan is farther from its origin, mm.
_FAR = 1e5

#: Slices that one command moves over at most.
_STEPS = 50


class ReviewCommands:
    """Commands about the case on the screen.

    They raise `MtctlError`s, and `ValueError`s for what is no value; `ReviewApplication` shows both on the page.
    """

    def __init__(self, controller: ReviewController) -> None:
        self._controller = controller

    # --- heatmap ------------------------------------------------------------------------------------------------------

    def set_threshold(self, threshold: float) -> None:
        """Show what is at least as uncertain."""
        controller, value = self._controller, within(threshold, 0.0, 1.0)
        session = controller.case.session
        controller.display.set_threshold(value)
        session.set_threshold(value)
        controller.state.threshold = value
        controller.mark_unsaved()

    def set_opacity(self, opacity: float) -> None:
        """Set the opacity of the heatmap."""
        self._controller.state.opacity = within(opacity, 0.0, 1.0)
        self._show_heatmap()

    def show_heatmap(self, visible: bool) -> None:
        """Show or hide the heatmap."""
        self._controller.state.heatmap = bool(visible)
        self._show_heatmap()

    # --- edits --------------------------------------------------------------------------------------------------------

    def wait_for_click(self, side: str) -> None:
        """Take the next click in a slice for an answer, "inside" or "outside" the atrium; else for none."""
        wanted = next((one for one in get_args(Side) if one == side), None)
        if wanted:
            self._controller.check_own()
            self.select_tool("look")  # A brush would take the click.
            self._controller.questions.stay()
        self._controller.questions.wait_for_click(wanted)

    def click(self, name: str, right: float, down: float) -> None:
        """Answer by a click in a slice view, where one is waited for; see `Views.place_at`."""
        if name in SLICES:
            place = self._controller.views.place_at(name, within(right, 0.0, 1.0), within(down, 0.0, 1.0))
            self._controller.questions.click(place)

    def select_tool(self, tool: str) -> None:
        """Select a tool: look, paint or erase."""
        if tool in TOOLS:
            self._controller.questions.wait_for_click(None)
            if tool != "look":
                self._controller.check_own()
                self._controller.questions.stay()
            self._controller.brush.select_tool(tool)
            self._controller.state.tool = tool

    def set_brush(self, diameter: float) -> None:
        """Set the diameter of the ball that paints, mm."""
        self._controller.state.brush = within(diameter, *BRUSHES)
        self._controller.brush.resize(self._controller.state.brush)

    def limit_brush(self, only_uncertain: bool) -> None:
        """Paint uncertain voxels alone, or anywhere."""
        self._controller.state.only_uncertain = bool(only_uncertain)
        self._controller.brush.limit(bool(only_uncertain))

    def undo(self) -> None:
        """Take back an answer on its way, or else undo the last step."""
        if not self._controller.questions.take_back() and self._controller.case.undo():
            self._controller.mask_changed()

    def redo(self) -> None:
        """Redo the edit that was undone last."""
        if self._controller.case.redo():
            self._controller.mask_changed()

    # --- numbers ------------------------------------------------------------------------------------------------------

    def measure(self) -> None:
        """Measure the case, now and after each change of it."""
        self._controller.measurer.ask(self._controller.case)

    # --- views --------------------------------------------------------------------------------------------------------

    def move_slice(self, name: str, value: float) -> None:
        """Move a slice view, mm."""
        if name in SLICES:
            self._controller.questions.stay()
            self._controller.views.move(name, within(value, -_FAR, _FAR))

    def step_slice(self, name: str, steps: int) -> None:
        """Move a slice view by some slices."""
        if name in SLICES:
            self._controller.questions.stay()
            self._controller.views.step(name, round(within(steps, -_STEPS, _STEPS)))

    def fit(self) -> None:
        """Show all of the scan."""
        self._controller.views.zoom_out()

    def dismiss(self) -> None:
        """Remove the notice."""
        self._controller.state.notice = None

    def _show_heatmap(self) -> None:
        state = self._controller.state
        self._controller.display.set_opacity(state.opacity if state.heatmap else 0.0)


def within(value: object, low: float, high: float) -> float:
    """Return a number from the page, moved into a range.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is no number")
    return min(max(float(value), low), high)
