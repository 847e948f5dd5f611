"""What all commands of the page share: the case on the screen, the page's state, and what follows from a change."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.browser.sources.base import CaseSource, HeldError, WorkListEntry
from mtctl.browser.ui import page_state
from mtctl.browser.ui.case_view import CaseDisplay
from mtctl.browser.ui.measuring import NOTHING, CaseMeasurer
from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.browser.ui.questions import NO_QUESTIONS, PageQuestions
from mtctl.browser.ui.saving import Saver
from mtctl.browser.ui.segmentation import SegmentationRunner
from mtctl.browser.ui.tabs import Tabs
from mtctl.browser.ui.views import SLICES, Brush, Views
from mtctl.errors import MtctlError
from mtctl.geometry import Triple, Volume
from mtctl.system.files import reason_of
from mtctl.system.holds import Holder

log = logging.getLogger(__name__)

#: Seconds after the last change until the surface follows: a person who strokes goes on.
_SURFACE_AFTER = 0.5

#: The page's state as it begins; the template's names.
_BEGINNING: dict[str, Any] = {
    "busy": "",
    "notice": None,
    "cases": [],
    "remaining": "",
    "shown": None,
    "threshold": 0.5,
    "opacity": 0.7,
    "heatmap": True,
    "tool": "look",
    "brush": 6.0,
    "only_uncertain": False,
    "progress": None,
    "saved": "",
    "unsaved": "",
    "held": "",
    "disputed": "",
    "at": None,
    "slices": {},
    "measures": NOTHING,
    "questions": NO_QUESTIONS,
    "asks": True,
}


class ReviewController:
    """The case on the screen and the state of the page, one for all tabs of the browser.

    Everything runs in the event loop; files are read and written in a thread.

    Attributes:
        state: trame's, which the page shows.
        source: Where the cases are.
        views, brush, display: What is drawn.
        entries: The work list by key.
        key: Of the case on the screen; None: there is none.
        scan: Its scan.
        holder: Who else has the case open: then it is to be looked at only.
        tabs: What each tab shows.
        saver: Saves the review.
        measurer: Measures the case.
        questions: Asks about the case.
    """

    def __init__(self, server: Any, source: CaseSource, segmentation: SegmentationRunner) -> None:
        self.state, self.source = server.state, source
        self.entries: dict[str, WorkListEntry] = {}
        self.key: str | None = None
        self.scan: Volume | None = None
        self.holder: Holder | None = None
        self.tabs = Tabs()
        self._server = server
        self._case: CaseUnderReview | None = None
        self._files = ThreadPoolExecutor(max_workers=1, thread_name_prefix="files")
        self._surface_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[str]] = set()
        self.state.update(_BEGINNING)
        self.saver, self.measurer = Saver(self.state, self._write), CaseMeasurer(self.state)
        self._asks = self.state.asks = segmentation.asks
        self.questions = PageQuestions(self, segmentation.client, segmentation.settings.device)
        self.views = Views(server, self._moved)
        self.brush = Brush(self.views, self._stroke)
        self.display = CaseDisplay(self.views, self.brush)
        self.state.slices = {name: self.views.position(name) for name in SLICES}

    @property
    def case(self) -> CaseUnderReview:
        """The case under review.

        Raises:
            MtctlError: There is none, or it was not segmented yet.
        """
        if self._case is None:
            raise MtctlError("segment the scan first")
        return self._case

    def entry(self, key: object) -> WorkListEntry:
        """Return a line of the work list.

        Raises:
            MtctlError: There is no such case.
        """
        if not isinstance(key, str) or key not in self.entries:
            raise MtctlError("there is no such case in this folder (any more)")
        return self.entries[key]

    def check_own(self) -> None:
        """See that the case on the screen may be changed.

        Raises:
            HeldError: Somebody else has it open.
        """
        if self.holder and self.key:
            raise HeldError(self.entry(self.key).name, self.holder)

    def show_case(self, key: str, scan: Volume, case: CaseUnderReview | None, holder: Holder | None) -> None:
        """Put another case on the screen; None for one that was not segmented yet."""
        self.key, self.scan, self._case = key, scan, case
        self.saver.clear()
        self.tabs.opened(key)
        self.show_holder(holder)
        if case is None:
            self.display.show_scan(scan, self.entry(key).name)
        else:
            self.display.show(case, scan)
        self.state.disputed = ""
        self.update_page()
        gc.collect()  # nodes, signals and their callbacks hold each other: the case before would stay for long

    def show_holder(self, holder: Holder | None) -> None:
        """Show on the page who else has the case open; None: nobody."""
        self.holder = holder
        self.state.held = holder.words() if holder else ""
        if holder:
            self.discard()
            self.brush.select_tool("look")
            self.state.tool = "look"
        self.questions.follow(self._case if self._asks and not holder else None)

    def changed_here(self) -> None:
        """Note that the tab that speaks changes the case: commands of tabs that do not show that are refused."""
        self.tabs.changed()
        self.state.at = self.tabs.place()

    def refresh_tabs(self) -> None:
        """Send all tabs the whole state once more."""
        self._server.force_state_push(*_BEGINNING)

    def update_page(self) -> None:
        """Show on the page how the case stands."""
        self.state.at = self.tabs.place()
        case, state = self._case, self.state
        self.measurer.follow(case)
        self.questions.follow(case if self._asks and not self.holder else None)
        if case is None:
            name = self.entry(self.key).name if self.key else ""
            state.update({"shown": page_state.unsegmented_state(self.key or "", name)})
            return
        state.update({"shown": page_state.case_state(case)})
        state.threshold = case.session.state.threshold

    def discard(self) -> None:
        """Preview nothing any more."""
        self.display.preview(None)

    def look_at(self, place: Triple) -> None:
        """Centre all views on a place, LPS mm."""
        self.display.jump(place)

    def preview_question(self, voxels: NDArray[np.int64] | None) -> None:
        """Show which voxels (flat indices) the opposite answer to a question would change; None: none."""
        self.display.preview(voxels)

    # --- what follows from a change -----------------------------------------------------------------------------------

    def review_changed(self) -> None:
        """Show the review on the page and save it soon, after it changed."""
        self.update_page()
        self.mark_unsaved()

    def mask_changed(self) -> None:
        """Do the same after undo, redo or an answer, and show the mask in the views."""
        self.display.set_mask(self.case.mask)
        self.review_changed()
        self._color_surface_soon()

    def answered(self, tab: str) -> None:
        """Do the same after an answer that a tab gave some time ago."""
        self.tabs.changed(tab)
        self.mask_changed()

    async def save(self) -> None:
        """Write what was not written yet.

        Raises:
            MtctlError: It cannot be written; it is tried again by itself.
        """
        await self.saver.save()

    async def _write(self) -> None:
        if case := self._case:
            session, mask = case.snapshot()
            disputed = await self.in_thread(partial(self.source.save, case.key, session, mask))
            if case is self._case:
                with self.state as state:
                    state.disputed = page_state.as_sentence(disputed)

    # --- threads, tasks, errors ---------------------------------------------------------------------------------------

    async def in_thread(self, work: Callable[[], Any]) -> Any:
        """Read or write files; one piece of work after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._files, work)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin something that takes its time; what goes wrong is said on the page."""
        task = asyncio.get_running_loop().create_task(self.reported(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reported(self, work: Awaitable[None]) -> str:
        """Await something; what goes wrong is said on the page, and returned."""
        try:
            await work
        except Exception as error:
            return self.report(error)
        return ""

    def report(self, error: Exception) -> str:
        """Show on the page what went wrong; return the sentence."""
        if isinstance(error, MtctlError):
            sentence = str(error)
        elif isinstance(error, OSError):
            sentence = reason_of(error)
        elif isinstance(error, TypeError | ValueError | OverflowError):
            sentence = "the page sent something that is no value for this"
            log.warning("%s (%s)", sentence, type(error).__name__)  # its text may quote what a person typed
        else:
            sentence = f"unexpected {type(error).__name__}: {error} (a fault in mtctl)"
            log.exception("in the reviewer")
        with self.state as state:
            state.notice = page_state.notice(sentence)
        return sentence

    @contextmanager
    def busy(self, sentence: str) -> Iterator[None]:
        """Show a sentence over the page while something takes its time."""
        with self.state as state:
            state.busy = sentence
        try:
            yield
        finally:
            with self.state as state:
                state.busy = ""

    def mark_unsaved(self) -> None:
        """Have the review saved soon, unless it is another person's."""
        if not self.holder:
            self.saver.mark()

    def _stroke(self, kind: str) -> None:
        """Take over what was painted or erased in the views."""
        case = self._case
        if case and kind != "look" and case.edited(kind, self.display.mask()):
            with self.state:
                self.tabs.stroked()
                self.review_changed()
            self._color_surface_soon()

    def _moved(self, name: str, position: dict[str, float]) -> None:
        self.state.slices = {**self.state.slices, name: position}

    def _color_surface_soon(self) -> None:
        if self._surface_timer:
            self._surface_timer.cancel()
        self._surface_timer = asyncio.get_running_loop().call_later(_SURFACE_AFTER, self.display.color_surface)
