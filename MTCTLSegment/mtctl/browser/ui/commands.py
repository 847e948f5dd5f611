"""The reviewer: the commands that the page may give, and how they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mtctl.browser.sources.base import CaseSource
from mtctl.browser.ui.case_commands import CaseCommands
from mtctl.browser.ui.controller import ReviewController
from mtctl.browser.ui.review_commands import ReviewCommands
from mtctl.browser.ui.segmentation import SegmentationRunner
from mtctl.geometry import Volume


class ReviewApplication:
    """Answers the commands of the page.

    Attributes:
        commands: Names of all that the page may trigger.
    """

    def __init__(self, server: Any, source: CaseSource, segmentation: SegmentationRunner) -> None:
        self._controller = controller = ReviewController(server, source)
        self._cases, review = CaseCommands(controller, segmentation), ReviewCommands(controller)
        cases = self._cases
        answers: dict[str, Callable[..., Any]] = {
            "open": cases.open,
            "refresh": cases.refresh_if_due,
            "accept_case": cases.accept,
            "reject_case": cases.reject,
            "reopen_case": cases.reopen,
            "segment": cases.segment,
            "cancel": cases.cancel,
            "threshold": review.set_threshold,
            "opacity": review.set_opacity,
            "heatmap": review.show_heatmap,
            "jump": review.jump,
            "next": review.next,
            "previous": review.previous,
            "accept_region": review.accept_region,
            "reopen_region": review.reopen_region,
            "tool": review.select_tool,
            "brush": review.set_brush,
            "undo": review.undo,
            "redo": review.redo,
            "level": review.set_level,
            "propose": review.propose,
            "apply": review.apply,
            "discard": review.discard,
            "slice": review.move_slice,
            "step": review.step_slice,
            "fit": review.fit,
            "dismiss": review.dismiss,
        }
        self.commands = frozenset(answers)
        for name, method in answers.items():
            server.controller.trigger(name)(self._answering(method))

    async def begin(self) -> None:
        """List the cases and open the first that is left; what goes wrong is said on the page."""
        await self._controller.reported(self._cases.begin())

    async def add_scan(self, volume: Volume, name: str) -> str:
        """Add a scan that came from a browser, and show it; return its key.

        Raises:
            MtctlError: The source of the cases cannot store it.
        """
        return await self._cases.add_scan(volume, name)

    def redraw(self) -> None:
        """Draw all views anew, for a page that has just come."""
        self._controller.views.redraw()

    async def close(self) -> None:
        """Save what was not saved yet, and end the process that segments.

        Raises:
            MtctlError: It cannot be saved.
        """
        await self._cases.close()

    def _answering(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method as a command for the page: its errors become notices, whatever the page sent."""

        async def answer(*arguments: Any) -> str:
            try:
                result = method(*arguments)
                if asyncio.iscoroutine(result):
                    await result
            except Exception as error:
                return self._controller.report(error)
            return ""

        return answer
