"""The reviewer: the commands that the page may give, and how they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from mtctl.browser.sources.base import CaseSource
from mtctl.browser.ui.case_commands import CaseCommands
from mtctl.browser.ui.controller import ReviewController
from mtctl.browser.ui.review_commands import ReviewCommands
from mtctl.browser.ui.segmentation import SegmentationRunner
from mtctl.browser.ui.tabs import OldTabError
from mtctl.geometry import Volume


class _Needs(Enum):
    """What a tab must know of before its command is taken."""

    NOTHING = 0
    CASE = 1
    ALL = 2  #: the case and all that was done with it; and the case must be this person's


class ReviewApplication:
    """Answers the commands of the page.

    Attributes:
        commands: Names of all that the page may trigger.
    """

    def __init__(self, server: Any, source: CaseSource, segmentation: SegmentationRunner) -> None:
        self._controller = controller = ReviewController(server, source, segmentation)
        self._cases, review = CaseCommands(controller, segmentation), ReviewCommands(controller)
        cases, questions = self._cases, controller.questions
        change, case, free = _Needs.ALL, _Needs.CASE, _Needs.NOTHING
        answers: dict[str, tuple[_Needs, Callable[..., Any]]] = {
            "open": (free, cases.open),
            "refresh": (free, cases.refresh_if_due),
            "take_over": (case, cases.take_over),
            "prefer_ours": (case, cases.prefer_ours),
            "accept_case": (change, cases.accept),
            "reject_case": (change, cases.reject),
            "reopen_case": (change, cases.reopen),
            "segment": (change, cases.segment),
            "cancel": (free, cases.cancel),
            "threshold": (case, review.set_threshold),
            "opacity": (free, review.set_opacity),
            "heatmap": (free, review.show_heatmap),
            "keep": (change, questions.keep_place),
            "change": (change, questions.change_place),
            "next_question": (case, questions.next),
            "previous_question": (case, questions.previous),
            "ask_again": (case, questions.again),
            "wait_for_click": (case, review.wait_for_click),
            "click": (change, review.click),
            "tool": (case, review.select_tool),
            "brush": (free, review.set_brush),
            "only_uncertain": (free, review.limit_brush),
            "undo": (change, review.undo),
            "redo": (change, review.redo),
            "measure": (case, review.measure),
            "slice": (case, review.move_slice),
            "step": (case, review.step_slice),
            "fit": (free, review.fit),
            "dismiss": (free, review.dismiss),
            "shows": (free, _do_nothing),
        }
        self.commands = frozenset(answers)
        for name, (needs, method) in answers.items():
            server.controller.trigger(name)(self._answering(needs, method))

    async def begin(self) -> None:
        """List the cases and open the first that is left; what goes wrong is said on the page."""
        await self._controller.reported(self._cases.begin())

    async def add_scan(self, volume: Volume, name: str, remarks: Sequence[str] = ()) -> str:
        """Add a scan that came from a browser, and show it with what is remarked of its file; return its key.

        Raises:
            MtctlError: The source of the cases cannot store it.
        """
        return await self._cases.add_scan(volume, name, remarks)

    def redraw(self) -> None:
        """Draw all views anew, for a page that has just come."""
        self._controller.views.redraw()

    def may_press(self) -> bool:
        """Return whether the tab that speaks shows the case on the screen, so that its strokes are taken."""
        return self._controller.tabs.may_press()

    async def save(self) -> None:
        """Save what was not saved yet.

        Raises:
            MtctlError: It cannot be saved; nothing is dropped.
        """
        await self._controller.save()

    async def close(self) -> None:
        """Save what was not saved yet, give the case back, and end the process that segments.

        Raises:
            MtctlError: It cannot be saved.
        """
        await self._cases.close()

    def _answering(self, needs: _Needs, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method as a command for the page: its errors become notices, whatever the page sent.

        The first argument is what the tab shows, see `Tabs.place`; the method gets the others.
        """
        controller = self._controller

        async def answer(place: object = None, *arguments: Any) -> str:
            try:
                if needs is _Needs.NOTHING:
                    controller.tabs.shows(place)
                else:
                    controller.tabs.check(place, whole=needs is _Needs.ALL)
                if needs is _Needs.ALL:
                    controller.check_own()
                    controller.changed_here()
                result = method(*arguments)
                if asyncio.iscoroutine(result):
                    await result
            except OldTabError as error:
                controller.refresh_tabs()
                return controller.report(error)
            except Exception as error:
                return controller.report(error)
            return ""

        return answer


def _do_nothing() -> None:
    """Do nothing: the tab says what it shows, before the mouse is used."""
