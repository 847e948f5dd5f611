"""The reviewer: what the page asks for, what is done, and what the page is told. One case at a time, for all tabs."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.proposals import Proposal
from mtctl.reviewer import words
from mtctl.reviewer.open_case import OpenCase
from mtctl.reviewer.segmenting import Segmenting
from mtctl.reviewer.shelf import Entry, Shelf
from mtctl.reviewer.shown_case import ShownCase
from mtctl.reviewer.views import BRUSHES, SLICES, TOOLS, Brush, Views
from mtctl.worker_request import Progress, Result

log = logging.getLogger(__name__)

#: Seconds after the last change until the list, the surface and the files follow: a slider or a stroke goes on.
_LIST_AFTER, _SURFACE_AFTER, _SAVE_AFTER = 0.08, 0.5, 0.4

#: Seconds between two looks at the folder that the page asks for.
_LOOK_EVERY = 1.0

#: No position in a scan is farther from its origin, mm.
_FAR = 1e5


class Reviewer:
    """Answers the page. All methods run in the event loop; files are read and written in threads, one at a time."""

    def __init__(self, server: Any, shelf: Shelf, segmenting: Segmenting) -> None:
        self._server, self._state, self._shelf, self._segmenting = server, server.state, shelf, segmenting
        self._files = asyncio.Lock()
        self._later: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._entries: dict[str, Entry] = {}
        self._case: OpenCase | None = None
        self._scan: Volume | None = None
        self._key: str | None = None
        self._proposal: Proposal | None = None
        self._unsaved = False
        self._looked = -math.inf
        self._state.update(
            {
                "busy": "",
                "notice": None,
                "cases": [],
                "left_words": "",
                "shown": None,
                "regions": [],
                "threshold": 0.5,
                "opacity": 0.7,
                "tool": "look",
                "brush": 6.0,
                "level": 0.5,
                "preview": None,
                "progress": None,
                "saved": "",
                "slices": {},
                "heatmap": True,
            }
        )
        self.views = Views(server, self._moved)
        self._brush = Brush(self.views, self._stroke)
        self._shown = ShownCase(self.views, self._brush)
        self._state.slices = {name: self.views.position(name) for name in SLICES}
        self.commands: dict[str, Callable[..., Any]] = {
            "open": self.open,
            "refresh": self.look_again,
            "threshold": self.set_threshold,
            "opacity": self.set_opacity,
            "heatmap": self.show_heatmap,
            "jump": self.jump,
            "next": self.next,
            "previous": self.previous,
            "accept_region": self.accept_region,
            "reopen_region": self.reopen_region,
            "tool": self.take_tool,
            "brush": self.set_brush,
            "undo": self.undo,
            "redo": self.redo,
            "level": self.set_level,
            "propose": self.propose,
            "apply": self.apply,
            "discard": self.discard,
            "accept_case": self.accept_case,
            "reject_case": self.reject_case,
            "reopen_case": self.reopen_case,
            "segment": self.segment,
            "cancel": self.cancel,
            "slice": self.move_slice,
            "step": self.step_slice,
            "fit": self.views.fit,
            "dismiss": self.dismiss,
        }
        for name, method in self.commands.items():
            server.controller.trigger(name)(self._answering(method))

    # --- cases --------------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """List the cases and open the first that is left; what goes wrong is said on the page."""
        await self._reported(self._begin())

    async def _begin(self) -> None:
        await self.refresh()
        first = next((entry for entry in self._entries.values() if entry.stage.left), None)
        first = first or next(iter(self._entries.values()), None)
        if first:
            await self.open(first.key)

    async def look_again(self) -> None:
        """Look at the folder anew, where that was not done just now."""
        if time.monotonic() - self._looked > _LOOK_EVERY:
            await self.refresh()

    async def refresh(self) -> None:
        """Look at the folder anew."""
        self._looked = time.monotonic()
        entries = await self._in_thread(self._shelf.entries)
        self._entries = {entry.key: entry for entry in entries}
        with self._state as state:
            state.update(words.work_list_state(entries))

    async def open(self, key: str) -> None:
        """Show a case of the work list.

        Raises:
            MtctlError: It cannot be read.
        """
        entry = self._entry(key)
        await self.save()
        with self._busy(f"Opening {entry.name} …"):
            taken = await self._in_thread(functools.partial(self._shelf.take, key))
            self._proposal = None
            self._key, self._scan = key, taken.scan
            if taken.data is None:
                self._case = None
                self._shown.show_scan(taken.scan, entry.name)
            else:
                self._case = OpenCase(key, entry.name, taken)
                self._shown.show(self._case, taken.scan)
                current = self._case.session.current
                if current:
                    self._shown.jump(current)
            with self._state as state:
                state.update({"preview": None, "saved": "", "notice": _notice(" ".join(taken.notes))})
                self._tell()

    async def add_scan(self, volume: Volume, name: str) -> str:
        """Add a scan that came from a browser, and show it; returns its key."""
        key: str = await self._in_thread(functools.partial(self._shelf.add_scan, volume, name))
        await self.refresh()
        await self.open(key)
        return key

    async def save(self) -> None:
        """Write what was not written yet."""
        self._cancel_later(self._save_soon)
        case = self._case
        if not case or not self._unsaved:
            return
        self._unsaved = False
        session, mask = case.snapshot()
        try:
            await self._in_thread(functools.partial(self._shelf.save, case.key, session, mask))
        except MtctlError:
            self._unsaved = True
            with self._state as state:
                state.saved = "NOT SAVED"
            raise
        if not self._unsaved:
            with self._state as state:
                state.saved = "saved"

    async def accept_case(self) -> None:
        """The person vouches for the segmentation.

        Raises:
            MtctlError: The store cannot take it; the case is then still open.
        """
        await self._decide(lambda case: case.session.accept_case(), self._shelf.accept)

    async def reject_case(self, reason: str) -> None:
        """The case is unusable.

        Raises:
            MtctlError: There is no reason, or the store cannot take it; the case is then still open.
        """
        words_given = str(reason)[:500]
        await self._decide(lambda case: case.session.reject_case(words_given), self._shelf.reject)

    def reopen_case(self) -> None:
        """Take the decision back."""
        self._open_case().session.reopen_case()
        self._changed()

    async def close(self) -> None:
        """Save, and end the child."""
        try:
            await self.save()
        finally:
            self._segmenting.close()

    # --- regions ------------------------------------------------------------------------------------------------------

    def set_threshold(self, threshold: float) -> None:
        """Show and list what is at least so uncertain."""
        case, value = self._open_case(), _within(threshold, 0.0, 1.0)
        self._shown.set_threshold(value)
        case.session.set_threshold(value)
        self._unsaved = True
        self._state.saved = "not saved yet"
        self._state.threshold = value
        self._soon(self._list_soon, _LIST_AFTER)
        self._soon(self._save_soon, _SAVE_AFTER)

    def set_opacity(self, opacity: float) -> None:
        """Of the heatmap."""
        self._state.opacity = _within(opacity, 0.0, 1.0)
        self._shown.set_opacity(self._state.opacity if self._state.heatmap else 0.0)

    def show_heatmap(self, shown: bool) -> None:
        """Show or hide it."""
        self._state.heatmap = bool(shown)
        self._shown.set_opacity(self._state.opacity if shown else 0.0)

    def jump(self, region: int) -> None:
        """Go to a region."""
        self._go(self._open_case().session.jump(int(region)))

    def next(self) -> None:
        """Go to the next region."""
        self._go(self._open_case().session.next())

    def previous(self) -> None:
        """Go to the region before."""
        self._go(self._open_case().session.previous())

    def accept_region(self) -> None:
        """The current region is right as it is; on to the next open one."""
        session = self._open_case().session
        if session.current:
            session.accept_region(session.current.id)
            self._go(session.next_open())

    def reopen_region(self, region: int) -> None:
        """Take the acceptance of a region back."""
        self._open_case().session.reopen_region(int(region))
        self._changed()

    # --- edits --------------------------------------------------------------------------------------------------------

    def take_tool(self, tool: str) -> None:
        """Look, paint or erase."""
        if tool in TOOLS:
            self._brush.take(tool)
            self._state.tool = tool

    def set_brush(self, diameter: float) -> None:
        """Of the ball that paints, mm."""
        self._state.brush = _within(diameter, *BRUSHES)
        self._brush.resize(self._state.brush)

    def undo(self) -> None:
        """Take the last edit back."""
        self.discard()
        if self._open_case().undo():
            self._redraw_mask()

    def redo(self) -> None:
        """Bring it back."""
        self.discard()
        if self._open_case().redo():
            self._redraw_mask()

    def set_level(self, level: float) -> None:
        """Of the consensus; its preview follows."""
        self._state.level = _within(level, 0.0, 1.0)
        if self._proposal and self._proposal.name == "consensus":
            self.propose("consensus")

    def propose(self, name: str) -> None:
        """Show how the current region could be."""
        self._proposal = proposal = self._open_case().propose(name, self._state.level)
        self._shown.preview(proposal)
        added, removed = proposal.added_ml, proposal.removed_ml
        self._state.preview = {
            "name": name,
            "added": f"{added:.2f} mL",
            "removed": f"{removed:.2f} mL",
            "nothing": not added and not removed,
        }

    def apply(self) -> None:
        """Make the proposal the segmentation."""
        proposal, case = self._proposal, self._open_case()
        self.discard()
        if proposal and case.apply(proposal):
            self._redraw_mask()

    def discard(self) -> None:
        """Forget the proposal."""
        self._proposal = None
        self._shown.preview(None)
        self._state.preview = None

    # --- segmentation -------------------------------------------------------------------------------------------------

    def segment(self) -> None:
        """Segment the scan on the screen.

        Raises:
            MtctlError: Another one is under way.
        """
        if self._key is None or self._scan is None:
            return
        if not self._segmenting.start(self._key, self._scan, self._progressed, self._found, self._failed):
            raise MtctlError("another scan is being segmented: wait, or cancel that")
        self._state.progress = {"stage": "Starting", "percent": 0, "left": ""}

    def cancel(self) -> None:
        """Drop the segmentation under way."""
        self._segmenting.cancel()
        self._state.progress = None

    # --- views --------------------------------------------------------------------------------------------------------

    def move_slice(self, name: str, value: float) -> None:
        """Move a slice view, mm."""
        if name in SLICES:
            self.views.move(name, _within(value, -_FAR, _FAR))

    def step_slice(self, name: str, steps: int) -> None:
        """Move a slice view by some slices."""
        if name in SLICES:
            self.views.step(name, round(_within(steps, -50, 50)))

    def dismiss(self) -> None:
        """The notice was read."""
        self._state.notice = None

    # --- what follows -------------------------------------------------------------------------------------------------

    async def _decide(self, decide: Callable[[OpenCase], None], store: Callable[..., str]) -> None:
        self.discard()
        await self.save()
        case = self._open_case()
        before = case.session.state
        decide(case)
        session, mask = case.snapshot()
        with self._busy("Writing to the case store …"):
            try:
                done = await self._in_thread(functools.partial(store, case.key, session, mask))
            except MtctlError:
                case.session.state = before
                self._unsaved = True
                self._soon(self._save_soon, _SAVE_AFTER)
                raise
            with self._state as state:
                state.notice = _notice(f"{case.name}: {done}", "good")
                self._tell()
        await self.refresh()

    def _go(self, region: Any) -> None:
        self.discard()
        if region:
            self._shown.jump(region)
        self._changed()

    def _stroke(self, kind: str) -> None:
        """The segment in the views may have changed."""
        case = self._case
        if case and kind != "look" and case.edited(kind, self._shown.mask()):
            with self._state:
                self._changed()
            self._soon(self._surface_soon, _SURFACE_AFTER)

    def _redraw_mask(self) -> None:
        self._shown.set_mask(self._open_case().mask)
        self._changed()
        self._soon(self._surface_soon, _SURFACE_AFTER)

    def _changed(self) -> None:
        """The review is not as it is on the disk."""
        self._unsaved = True
        self._state.saved = "not saved yet"
        self._tell()
        self._soon(self._save_soon, _SAVE_AFTER)

    def _tell(self) -> None:
        case, state = self._case, self._state
        if case is None:
            name = self._entry(self._key).name if self._key else ""
            state.update({"shown": words.unsegmented_state(self._key or "", name), "regions": []})
            return
        state.update({"shown": words.case_state(case), "regions": words.regions_state(case)})
        state.threshold = case.session.state.threshold

    def _list_soon(self) -> None:
        with self._state:
            self._tell()

    def _surface_soon(self) -> None:
        self._shown.color_surface()

    def _save_soon(self) -> None:
        self._run(self.save())

    def _moved(self, name: str, position: dict[str, float]) -> None:
        self._state.slices = {**self._state.slices, name: position}

    def _progressed(self, progress: Progress) -> None:
        with self._state as state:
            state.progress = words.progress_state(progress)

    def _found(self, key: str, result: Result) -> None:
        self._run(self._keep_result(key, result))

    def _failed(self, key: str, why: str) -> None:
        with self._state as state:
            state.progress = None
            state.notice = _notice(f"The segmentation failed: {why}")

    async def _keep_result(self, key: str, result: Result) -> None:
        try:
            await self._in_thread(functools.partial(self._shelf.add_result, key, result))
        finally:
            with self._state as state:
                state.progress = None
        await self.refresh()
        if self._key == key:
            await self.open(key)

    # --- the machinery ------------------------------------------------------------------------------------------------

    def _open_case(self) -> OpenCase:
        if self._case is None:
            raise MtctlError("segment the scan first")
        return self._case

    def _entry(self, key: str) -> Entry:
        try:
            return self._entries[key]
        except (KeyError, TypeError):
            raise MtctlError("there is no such case in this folder (any more)") from None

    def _busy(self, sentence: str) -> _Busy:
        return _Busy(self._state, sentence)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        async with self._files:
            return await asyncio.to_thread(work)

    def _soon(self, what: Callable[[], None], seconds: float) -> None:
        self._cancel_later(what)
        self._later[what] = asyncio.get_running_loop().call_later(seconds, what)

    def _cancel_later(self, what: Callable[[], None]) -> None:
        if handle := self._later.pop(what, None):
            handle.cancel()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._reported(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reported(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            self._report(error)

    def _answering(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """A command for the page: errors become notices, whatever the page sent."""

        async def answer(*arguments: Any) -> str:
            try:
                result = method(*arguments)
                if asyncio.iscoroutine(result):
                    await result
            except Exception as error:
                return self._report(error)
            return ""

        return answer

    def _report(self, error: Exception) -> str:
        if isinstance(error, MtctlError):
            sentence = str(error)
        elif isinstance(error, TypeError | ValueError | OverflowError):
            sentence = "the page sent something that is no value for this"
            log.warning("%s: %s", sentence, error)
        else:
            sentence = f"unexpected {type(error).__name__}: {error} (a fault in mtctl)"
            log.exception("in the reviewer")
        with self._state as state:
            state.notice = _notice(sentence)
        return sentence


class _Busy:
    """Shows a sentence over the page while something takes its time."""

    def __init__(self, state: Any, sentence: str) -> None:
        self._state, self._sentence = state, sentence

    def __enter__(self) -> None:
        with self._state as state:
            state.busy = self._sentence

    def __exit__(self, *_: object) -> None:
        with self._state as state:
            state.busy = ""


def _within(value: object, low: float, high: float) -> float:
    """A number from the page, moved into a range."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is no number")
    return min(max(float(value), low), high)


def _notice(sentence: str, kind: str = "bad") -> dict[str, str] | None:
    return {"text": sentence[:1].upper() + sentence[1:], "kind": kind} if sentence else None
