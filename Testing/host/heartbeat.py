"""How responsive the user interface stays: a timer that should fire every 20 ms, and how late it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6 import QtCore

INTERVAL_MS = 20


class Heartbeat:
    """Lateness of every beat, in milliseconds."""

    def __init__(self) -> None:
        self.lateness_ms: list[float] = []
        self.busy_ms: list[float] = []
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._beat)
        self._last = self._last_busy = 0.0

    @property
    def worst_ms(self) -> float:
        """The longest that the user interface was blocked."""
        return max(self.lateness_ms, default=0.0)

    @property
    def busiest_ms(self) -> float:
        """The longest that its thread computed between two beats, whatever else the machine had to do."""
        return max(self.busy_ms, default=0.0)

    @contextmanager
    def beating(self) -> Iterator[Heartbeat]:
        """Measures while the block runs; what is still pending at its end counts, too."""
        self._last, self._last_busy = time.perf_counter(), time.thread_time()
        self._timer.start()
        try:
            yield self
        finally:
            self._timer.stop()
            self._note()

    def _beat(self) -> None:
        self._note()

    def _note(self) -> None:
        now, busy = time.perf_counter(), time.thread_time()
        self.lateness_ms.append(max(0.0, (now - self._last) * 1000 - INTERVAL_MS))
        self.busy_ms.append((busy - self._last_busy) * 1000)
        self._last, self._last_busy = now, busy
