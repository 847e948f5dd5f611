"""Requests to the stores, one after the other: the window never waits for a disk or a share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from mtctl.processes.request import Events, RequestProcess
from MTCTLTrainLib.jobs.request import prepare_request

_CHILD = "mtctl_train.requests.stores"


class RequestQueue:
    """Runs requests of `mtctl_train.requests.stores`: to list and open cases, and to publish models."""

    def __init__(self) -> None:
        self._waiting: deque[RequestProcess] = deque()
        self._request: RequestProcess | None = None

    def ask(self, content: dict[str, Any], done: Callable[[Events], None], failed: Callable[[str], None]) -> None:
        """Run a request; `done` with everything that was found, or `failed` with a sentence, comes last."""
        self._waiting.append(prepare_request(_CHILD, content, partial(self._end, done), partial(self._end, failed)))
        if self._request is None:
            self._next()

    def close(self) -> None:
        """Drop what is under way."""
        self._waiting.clear()
        request, self._request = self._request, None
        if request is not None:
            request.cancel()

    def _next(self) -> None:
        if self._waiting:
            self._request = self._waiting.popleft()
            self._request.start()

    def _end(self, tell: Callable[[Any], None], said: Any) -> None:
        self._request = None
        try:
            tell(said)
        finally:
            if self._request is None:
                self._next()
