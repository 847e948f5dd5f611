"""Saving: soon after each change, and where that fails again until it succeeds. Nothing is dropped meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from mtctl.errors import MtctlError
from mtctl.system.files import reason_of

log = logging.getLogger(__name__)

#: Seconds after the last change until it is saved: a slider or a stroke goes on.
_AFTER = 0.4

#: Seconds until it is tried again at first, and at most; in between twice as long each time.
_FIRST, _LAST = 1.0, 15.0


class Saver:
    """Saves what is on the screen.

    Attributes:
        unsaved: Whether there is something that was not saved yet.
    """

    def __init__(self, state: Any, write: Callable[[], Awaitable[None]]) -> None:
        """Save by `write`; say how that went in trame's `state`: "saved" and "unsaved"."""
        self._state, self._write = state, write
        self.unsaved = False
        self._pause = _FIRST
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._one = asyncio.Lock()

    def mark(self) -> None:
        """Have it saved soon; also when it was saved just now and has to be written anew."""
        self.unsaved = True
        if self._state.unsaved:
            return  # it is being tried already
        self._state.saved = "not saved yet"
        self._start_in(_AFTER)

    async def save(self) -> None:
        """Write what was not written yet.

        Raises:
            MtctlError, OSError, ...: It cannot be written; it is tried again by itself.
        """
        self._stop()
        async with self._one:
            while self.unsaved:
                self.unsaved = False
                try:
                    await self._write()
                except Exception as error:
                    self.unsaved = True
                    if not isinstance(error, MtctlError | OSError):
                        log.exception("while saving")
                    with self._state as state:
                        why = reason_of(error).replace(" and run again", "")  # that is not needed here
                        state.update({"saved": "NOT SAVED", "unsaved": why})
                    self._start_in(self._pause)
                    self._pause = min(2 * self._pause, _LAST)
                    raise
            self._pause = _FIRST
            with self._state as state:
                state.update({"saved": "saved" if state.saved else "", "unsaved": ""})

    def clear(self) -> None:
        """Begin anew with another case, or with what another program stored."""
        self._stop()
        self.unsaved = False
        self._state.update({"saved": "", "unsaved": ""})

    def _start_in(self, seconds: float) -> None:
        self._stop()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._start)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._quietly())

    async def _quietly(self) -> None:
        with suppress(Exception):  # the page says so
            await self.save()
