"""How long a segmentation still takes: by the usual fractions of its stages at first, then by what it took before."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

#: What comes before the case itself: a child's start, handing over the scan, loading the model.
PRELUDE = ("start", "send", "load")

#: Stages of a case in order (those of `segmenter.STAGES`, and the way back of the results) and their usual fractions.
FRACTIONS = {"locate": 0.18, "prepare": 0.08, "network": 0.44, "maps": 0.18, "save": 0.08, "receive": 0.04}

#: Stages of a request in order.
STAGES = (*PRELUDE, *FRACTIONS)

# Of the bar of a session's first case: the child's start, which takes some seconds.
_COLD_FRACTION = 0.2


@dataclass(frozen=True)
class Timeline:
    """When a case was where.

    Attributes:
        positions: Rising; a position is the number of stages done plus the fraction of the one under way.
        seconds: Since the case began; or, as long as nothing is known, the fraction of its time.
    """

    positions: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def total(self) -> float:
        return self.seconds[-1]

    def at(self, position: float) -> float:
        """Return the seconds that it took to that position."""
        return float(np.interp(position, self.positions, self.seconds))

    def after(self, position: float) -> float:
        """Return the seconds that it took to the next position that is known."""
        return self.seconds[min(bisect_right(self.positions, position), len(self.positions) - 1)]


_USUAL = Timeline(tuple(range(len(FRACTIONS) + 1)), (0.0, *np.cumsum(list(FRACTIONS.values())).tolist()))


class Run:
    """One request on its way, and the time that it takes."""

    def __init__(self, prelude: dict[str, float], timeline: Timeline, timed: bool, now: float) -> None:
        """Begin.

        Args:
            prelude: Expected seconds of the stages before the case.
            timeline: Timeline of a case like this one.
            timed: Whether such a case was seen before; else the timeline holds fractions.
            now: Time, seconds.
        """
        self.prelude: dict[str, float] = {}
        self._expected, self._timeline, self._timed = prelude, timeline, timed
        self._cold = "start" in prelude
        self.stage, self.fraction = next(iter(prelude)), 0.0
        self._began = self._entered = self._since = now
        self._case_began: float | None = None
        self._positions, self._seconds = [0.0], [0.0]
        self._shown = 0.0

    def advance(self, stage: str, fraction: float, now: float) -> None:
        """Note that `fraction` of a stage is done. The fraction may fall: a GPU without memory begins again."""
        if stage != self.stage:
            if self.stage in PRELUDE:
                self.prelude[self.stage] = now - self._entered
            self._entered = now
        self.stage, self.fraction, self._since = stage, fraction, now
        if stage in PRELUDE:
            return
        if self._case_began is None:
            self._case_began = now
        position = self._position()
        while len(self._positions) > 1 and self._positions[-1] >= position:
            self._positions.pop()
            self._seconds.pop()
        if position > 0:
            self._positions.append(position)
            self._seconds.append(now - self._case_began)

    def finished(self, now: float) -> Timeline:
        """End the request and return the timeline of its case."""
        self.advance("receive", 1.0, now)
        return Timeline(tuple(self._positions), tuple(self._seconds))

    def overall(self, now: float) -> float:
        """Return the fraction of the whole that is done; it never falls."""
        left = self.seconds_left(now)
        if self._timed and left is not None:
            elapsed = now - self._began
            fraction = elapsed / max(elapsed + left, 1e-9)
        else:
            early = _COLD_FRACTION if self._cold else 0.0
            fraction = 0.0 if self._case_began is None else early + (1 - early) * self._timeline.at(self._position())
        self._shown = max(self._shown, min(fraction, 1.0))
        return self._shown

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds until the result is there; None as long as nobody can know."""
        total = self._timeline.total
        if self._case_began is None:
            if not self._timed:
                return None
            here = STAGES.index(self.stage)
            later = sum(seconds for stage, seconds in self._expected.items() if STAGES.index(stage) > here)
            return max(self._expected.get(self.stage, 0.0) - (now - self._entered), 0.0) + later + total
        position, elapsed = self._position(), self._since - self._case_began
        done = self._timeline.at(position)
        if self._timed:
            # The further this case is, the more its own pace counts instead of the earlier one's.
            pace = max(0.0, 1 + (elapsed - done) / max(total, 1e-9))
        elif position <= STAGES.index("network") - len(PRELUDE):
            return None  # A scan of the atrium's surroundings alone passes the stages before in no time.
        else:
            pace = elapsed / done
        left = pace * (total - done) - (now - self._since)
        return max(left, pace * (total - self._timeline.after(position)), 0.0)

    def _position(self) -> float:
        return STAGES.index(self.stage) - len(PRELUDE) + self.fraction


class TimeEstimator:
    """What the requests of a session took, by their kind (model, device, number of samples)."""

    def __init__(self) -> None:
        self._prelude = dict.fromkeys(PRELUDE, 0.0)
        self._timelines: dict[Hashable, Timeline] = {}

    def begin(self, kind: Hashable, cold: bool, now: float) -> Run:
        """Begin a request; `cold` where a child has to be started for it."""
        prelude = {stage: self._prelude[stage] for stage in ("start" if cold else "send", "load")}
        return Run(prelude, self._timelines.get(kind, _USUAL), kind in self._timelines, now)

    def learn(self, kind: Hashable, run: Run, now: float) -> None:
        """Keep what a request took that was answered."""
        self._timelines[kind] = run.finished(now)
        self._prelude |= run.prelude
