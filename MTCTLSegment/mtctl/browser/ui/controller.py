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

from mtctl.browser.sources.base import Entry, Shelf
from mtctl.browser.ui import page_state as words
from mtctl.browser.ui.case_view import ShownCase
from mtctl.browser.ui.open_case import OpenCase
from mtctl.browser.ui.views import SLICES, Brush, Views
from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.review.proposals import Proposal

log = logging.getLogger(__name__)

#: Seconds after the last change until the list, the surface and the files follow: a slider or a stroke goes on.
_LIST_AFTER, _SURFACE_AFTER, _SAVE_AFTER = 0.08, 0.5, 0.4

#: The page's state as it begins; the template's names.
_BEGINNING: dict[str, Any] = {
    "busy": "",
    "notice": None,
    "cases": [],
    "left_words": "",
    "shown": None,
    "regions": [],
    "threshold": 0.5,
    "opacity": 0.7,
    "heatmap": True,
    "tool": "look",
    "brush": 6.0,
    "level": 0.5,
    "preview": None,
    "progress": None,
    "saved": "",
    "slices": {},
}


class Desk:
    """One for all tabs. Everything runs in the event loop; files are read and written in a thread.

    Attributes:
        state: trame's, which the page shows.
        shelf: Where the cases are.
        views, brush, shown: What is drawn.
        entries: The work list by key.
        key: Of the case on the screen; None: there is none.
        scan: Its scan.
        proposal: What is previewed.
    """

    def __init__(self, server: Any, shelf: Shelf) -> None:
        self.state, self.shelf = server.state, shelf
        self.entries: dict[str, Entry] = {}
        self.key: str | None = None
        self.scan: Volume | None = None
        self.proposal: Proposal | None = None
        self._case: OpenCase | None = None
        self._unsaved = False
        self._files = ThreadPoolExecutor(max_workers=1, thread_name_prefix="files")
        self._later: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[str]] = set()
        self.state.update(_BEGINNING)
        self.views = Views(server, self._moved)
        self.brush = Brush(self.views, self._stroke)
        self.shown = ShownCase(self.views, self.brush)
        self.state.slices = {name: self.views.position(name) for name in SLICES}

    @property
    def case(self) -> OpenCase:
        """The case under review.

        Raises:
            MtctlError: There is none, or it was not segmented yet.
        """
        if self._case is None:
            raise MtctlError("segment the scan first")
        return self._case

    def entry(self, key: object) -> Entry:
        """A line of the work list.

        Raises:
            MtctlError: There is no such case.
        """
        if not isinstance(key, str) or key not in self.entries:
            raise MtctlError("there is no such case in this folder (any more)")
        return self.entries[key]

    def lay_out(self, key: str, scan: Volume, case: OpenCase | None) -> None:
        """Put another case on the screen; None for one that was not segmented yet."""
        self.key, self.scan, self._case, self.proposal = key, scan, case, None
        if case is None:
            self.shown.show_scan(scan, self.entry(key).name)
        else:
            self.shown.show(case, scan)
            if case.session.current:
                self.shown.jump(case.session.current)
        self.state.update({"preview": None, "saved": ""})
        self.tell()
        gc.collect()  # nodes, signals and their callbacks hold each other: the case before would stay for long

    def tell(self) -> None:
        """Tell the page how the case stands."""
        case, state = self._case, self.state
        if case is None:
            name = self.entry(self.key).name if self.key else ""
            state.update({"shown": words.unsegmented_state(self.key or "", name), "regions": []})
            return
        state.update({"shown": words.case_state(case), "regions": words.regions_state(case)})
        state.threshold = case.session.state.threshold

    def discard(self) -> None:
        """Forget the proposal."""
        self.proposal = None
        self.shown.preview(None)
        self.state.preview = None

    # --- what follows from a change -----------------------------------------------------------------------------------

    def changed(self) -> None:
        """The review is not as it is on the disk."""
        self.tell()
        self._mark_unsaved()

    def threshold_changed(self) -> None:
        """The same while a slider moves: the list follows when the hand rests."""
        self._soon(self._list_soon, _LIST_AFTER)
        self._mark_unsaved()

    def mask_changed(self) -> None:
        """The same after undo, redo or a proposal: the views do not show it yet."""
        self.shown.set_mask(self.case.mask)
        self.changed()
        self._soon(self.shown.color_surface, _SURFACE_AFTER)

    async def save(self) -> None:
        """Write what was not written yet.

        Raises:
            MtctlError: It cannot be written; it is tried again after the next change.
        """
        if handle := self._later.pop(self._save_soon, None):
            handle.cancel()
        case = self._case
        if not case or not self._unsaved:
            return
        self._unsaved = False
        session, mask = case.snapshot()
        try:
            await self.in_thread(partial(self.shelf.save, case.key, session, mask))
        except MtctlError:
            self._unsaved = True
            with self.state as state:
                state.saved = "NOT SAVED"
            raise
        if not self._unsaved:
            with self.state as state:
                state.saved = "saved"

    def save_again(self) -> None:
        """What was written has to be written anew."""
        self._mark_unsaved()

    # --- the machinery ------------------------------------------------------------------------------------------------

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
        """Say on the page what went wrong; returns the sentence."""
        if isinstance(error, MtctlError):
            sentence = str(error)
        elif isinstance(error, TypeError | ValueError | OverflowError):
            sentence = "the page sent something that is no value for this"
            log.warning("%s: %s", sentence, error)
        else:
            sentence = f"unexpected {type(error).__name__}: {error} (a fault in mtctl)"
            log.exception("in the reviewer")
        with self.state as state:
            state.notice = words.notice(sentence)
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

    def _mark_unsaved(self) -> None:
        self._unsaved = True
        self.state.saved = "not saved yet"
        self._soon(self._save_soon, _SAVE_AFTER)

    def _stroke(self, kind: str) -> None:
        """The segment in the views may have changed."""
        case = self._case
        if case and kind != "look" and case.edited(kind, self.shown.mask()):
            with self.state:
                self.changed()
            self._soon(self.shown.color_surface, _SURFACE_AFTER)

    def _list_soon(self) -> None:
        with self.state:
            self.tell()

    def _save_soon(self) -> None:
        self.run(self.save())

    def _moved(self, name: str, position: dict[str, float]) -> None:
        self.state.slices = {**self.state.slices, name: position}

    def _soon(self, what: Callable[[], None], seconds: float) -> None:
        if handle := self._later.pop(what, None):
            handle.cancel()
        self._later[what] = asyncio.get_running_loop().call_later(seconds, what)
