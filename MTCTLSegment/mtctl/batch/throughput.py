"""How quickly a run over many scans goes, and how long it still takes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mtctl.system.output import time_span_text

# Of the last scans only: workers join and leave, and the first scans wait for the processes' start.
_WINDOW = 50


@dataclass
class Throughput:
    """Counts scans.

    Attributes:
        total: Number of scans of the run.
        began: Time when it began, seconds.
    """

    total: int
    began: float
    _finished: int = field(default=0, init=False)
    _moments: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW + 1), init=False)

    def __post_init__(self) -> None:
        self._moments.append(self.began)

    def finish(self, now: float, computed: bool) -> None:
        """Note that one more is finished; `computed`: not just found done already, which takes no time."""
        self._finished += 1
        if computed:
            self._moments.append(now)
        elif len(self._moments) == 1:
            self._moments[0] = now  # Nothing was computed yet: what was done already is no part of the pace.

    @property
    def finished(self) -> int:
        return self._finished

    def per_minute(self) -> float | None:
        """Return the number of scans a minute; None as long as nothing was computed."""
        elapsed = self._moments[-1] - self._moments[0]
        return 60 * (len(self._moments) - 1) / elapsed if elapsed > 0 else None

    def __str__(self) -> str:
        rate = self.per_minute()
        left = self.total - self._finished
        if rate is None or not left:
            return ""
        return f"{rate:.1f} scans/min, {time_span_text(60 * left / rate)} left"
