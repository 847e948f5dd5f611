"""Errands in a child process: listing and opening cases, publishing; the window never waits for a disk or a share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from MTCTLTrainLib.jobs.request import Errand, Events

_CHILD = "mtctl_train.requests.stores"


class Clerk:
    """Runs errands of `mtctl_train.requests.stores`, one after the other."""

    def __init__(self) -> None:
        self._waiting: deque[Errand] = deque()
        self._errand: Errand | None = None

    def ask(self, request: dict[str, Any], done: Callable[[Events], None], failed: Callable[[str], None]) -> None:
        """Run an errand; `done` with everything that was found, or `failed` with a sentence, comes last."""
        self._waiting.append(Errand(_CHILD, request, partial(self._end, done), partial(self._end, failed)))
        if self._errand is None:
            self._next()

    def close(self) -> None:
        """Drop what is under way."""
        self._waiting.clear()
        errand, self._errand = self._errand, None
        if errand is not None:
            errand.drop()

    def _next(self) -> None:
        if self._waiting:
            self._errand = self._waiting.popleft()
            self._errand.start()

    def _end(self, tell: Callable[[Any], None], said: Any) -> None:
        self._errand = None
        try:
            tell(said)
        finally:
            if self._errand is None:
                self._next()
