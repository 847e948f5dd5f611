"""Commands of the page about whole cases: the work list, opening, deciding, segmenting."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

from mtctl.browser.ui import page_state as words
from mtctl.browser.ui.controller import Desk
from mtctl.browser.ui.open_case import OpenCase
from mtctl.browser.ui.segmentation import Segmenting
from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.worker.requests import Progress, Result

#: Seconds between two looks at the folder that the page asks for.
_LOOK_EVERY = 1.0

#: Letters of a reason: a few words.
_LONGEST_REASON = 500


class CaseCommands:
    """Errors of all commands are `MtctlError`s; `app` shows them."""

    def __init__(self, desk: Desk, segmenting: Segmenting) -> None:
        self._desk, self._segmenting = desk, segmenting
        self._looked = -math.inf

    async def begin(self) -> None:
        """List the cases and open the first that is left."""
        await self.refresh()
        entries = list(self._desk.entries.values())
        first = next((entry for entry in entries if entry.stage.left), entries[0] if entries else None)
        if first:
            await self.open(first.key)

    async def look_again(self) -> None:
        """Look at the folder anew, where that was not done just now."""
        if time.monotonic() - self._looked > _LOOK_EVERY:
            await self.refresh()

    async def refresh(self) -> None:
        """Look at the folder anew."""
        self._looked = time.monotonic()
        entries = await self._desk.in_thread(self._desk.shelf.entries)
        self._desk.entries = {entry.key: entry for entry in entries}
        with self._desk.state as state:
            state.update(words.work_list_state(entries))

    async def open(self, key: str) -> None:
        """Show a case of the work list."""
        desk, entry = self._desk, self._desk.entry(key)
        await desk.save()
        with desk.busy(f"Opening {entry.name} …"):
            taken = await desk.in_thread(partial(desk.shelf.take, key))
            desk.lay_out(key, taken.scan, OpenCase(key, entry.name, taken) if taken.data else None)
            desk.state.notice = words.notice(" ".join(taken.notes))

    async def add_scan(self, volume: Volume, name: str) -> str:
        """Add a scan that came from a browser, and show it; returns its key."""
        key: str = await self._desk.in_thread(partial(self._desk.shelf.add_scan, volume, name))
        await self.refresh()
        await self.open(key)
        return key

    async def accept(self) -> None:
        """The person vouches for the segmentation."""
        await self._decide(lambda case: case.session.accept_case(), self._desk.shelf.accept)

    async def reject(self, reason: str) -> None:
        """The case is unusable."""
        words_given = str(reason)[:_LONGEST_REASON]
        await self._decide(lambda case: case.session.reject_case(words_given), self._desk.shelf.reject)

    def reopen(self) -> None:
        """Take the decision back."""
        self._desk.case.session.reopen_case()
        self._desk.changed()

    def segment(self) -> None:
        """Segment the scan on the screen."""
        desk = self._desk
        if desk.key is None or desk.scan is None:
            raise MtctlError("drop a scan on the page first")
        if not self._segmenting.start(desk.key, desk.scan, self._progressed, self._found, self._failed):
            raise MtctlError("another scan is being segmented: wait, or cancel that")
        desk.state.progress = {"stage": "Starting", "percent": 0, "left": ""}

    def cancel(self) -> None:
        """Drop the segmentation under way."""
        self._segmenting.cancel()
        self._desk.state.progress = None

    async def close(self) -> None:
        """Save, and end the child."""
        try:
            await self._desk.save()
        finally:
            self._segmenting.close()

    async def _decide(self, decide: Callable[[OpenCase], None], store: Callable[..., str]) -> None:
        """Where the store cannot take it, the case is as open as it was."""
        desk = self._desk
        desk.discard()
        await desk.save()
        case = desk.case
        before = case.session.state
        decide(case)
        session, mask = case.snapshot()
        with desk.busy("Writing to the case store …"):
            try:
                done = await desk.in_thread(partial(store, case.key, session, mask))
            except MtctlError:
                case.session.state = before
                desk.save_again()
                raise
            desk.state.notice = words.notice(f"{case.name}: {done}", "good")
            desk.tell()
        await self.refresh()

    def _progressed(self, progress: Progress) -> None:
        with self._desk.state as state:
            state.progress = words.progress_state(progress)

    def _found(self, key: str, result: Result) -> None:
        self._desk.run(self._keep(key, result))

    def _failed(self, key: str, why: str) -> None:
        with self._desk.state as state:
            state.progress = None
            state.notice = words.notice(f"The segmentation failed: {why}")

    async def _keep(self, key: str, result: Result) -> None:
        desk = self._desk
        try:
            await desk.in_thread(partial(desk.shelf.add_result, key, result))
        finally:
            with desk.state as state:
                state.progress = None
        await self.refresh()
        if desk.key == key:
            await self.open(key)
