"""The base of all panels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

from MTCTLSegmentLib.observable import Observable


class Panel:
    """A part of the page that reacts to signals and changes until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self._connections: list[tuple[Any, str, Callable[..., None]]] = []
        self._timers: list[qt.QTimer] = []
        self._observed: list[tuple[Observable, Callable[[], None]]] = []

    def connect(self, *connections: tuple[Any, str, Callable[..., None]]) -> None:
        """Call functions at Qt signals.

        Args:
            connections: Sender, signal with its types, as "clicked()", and function.
        """
        for sender, signal, function in connections:
            sender.connect(signal, function)
            self._connections.append((sender, signal, function))

    def listen(self, observed: Observable, listener: Callable[[], None]) -> None:
        """Call a function whenever some state has changed."""
        observed.listen(listener)
        self._observed.append((observed, listener))

    def make_timer(self, milliseconds: int, function: Callable[[], None]) -> qt.QTimer:
        """Return a timer, not yet started, that calls a function once after the given time."""
        timer = qt.QTimer()
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        self._timers.append(timer)
        self.connect((timer, "timeout()", function))
        return timer

    def close(self) -> None:
        """Disconnect all signals and stop all timers: a connection would keep the panel alive after a reload."""
        for timer in self._timers:
            timer.stop()
        for sender, signal, function in self._connections:
            sender.disconnect(signal, function)
        for observed, listener in self._observed:
            observed.stop_listening(listener)
        self._connections, self._timers, self._observed = [], [], []
