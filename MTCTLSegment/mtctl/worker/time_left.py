"""How long a segmentation still takes: from the stages' usual shares at first, then from what earlier ones took."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

#: What comes before the case itself: a child's start, handing over the scan, loading the model.
PRELUDE = ("start", "send", "load")

#: Stages of a case in order (those of `inference.STAGES`, and the way back of the results) and their usual shares.
SHARES = {"locate": 0.18, "prepare": 0.08, "network": 0.44, "maps": 0.18, "save": 0.08, "receive": 0.04}

#: Stages of a request in order.
STAGES = (*PRELUDE, *SHARES)

# The bar of a session's first case: a fifth for the child's start, which takes some seconds.
_COLD_SHARE = 0.2


@dataclass(frozen=True)
class Timeline:
    """When a case was where.

    Attributes:
        places: Rising; a place is the number of stages done plus the share of the one under way.
        seconds: Since the case began; or, as long as nothing is known, the share of its time.
    """

    places: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def total(self) -> float:
        return self.seconds[-1]

    def at(self, place: float) -> float:
        """Seconds it took to that place."""
        return float(np.interp(place, self.places, self.seconds))

    def after(self, place: float) -> float:
        """Seconds it took to the next place that is known."""
        return self.seconds[min(bisect_right(self.places, place), len(self.places) - 1)]


_USUAL = Timeline(tuple(range(len(SHARES) + 1)), (0.0, *np.cumsum(list(SHARES.values())).tolist()))


class Run:
    """One request on its way."""

    def __init__(self, prelude: dict[str, float], timeline: Timeline, timed: bool, now: float) -> None:
        """Begin.

        Args:
            prelude: Expected seconds of the stages before the case.
            timeline: Of a case like this one.
            timed: Whether such a case was seen before; else the timeline holds shares.
            now: Time, seconds.
        """
        self.prelude: dict[str, float] = {}
        self._expected, self._timeline, self._timed = prelude, timeline, timed
        self._cold = "start" in prelude
        self.stage, self.share = next(iter(prelude)), 0.0
        self._began = self._entered = self._since = now
        self._case_began: float | None = None
        self._places, self._seconds = [0.0], [0.0]
        self._shown = 0.0

    def advance(self, stage: str, share: float, now: float) -> None:
        """Note that `share` of a stage is done. The share may fall: a GPU without memory begins again."""
        if stage != self.stage:
            if self.stage in PRELUDE:
                self.prelude[self.stage] = now - self._entered
            self._entered = now
        self.stage, self.share, self._since = stage, share, now
        if stage in PRELUDE:
            return
        if self._case_began is None:
            self._case_began = now
        place = self._place()
        while len(self._places) > 1 and self._places[-1] >= place:
            self._places.pop()
            self._seconds.pop()
        if place > 0:
            self._places.append(place)
            self._seconds.append(now - self._case_began)

    def finished(self, now: float) -> Timeline:
        """The whole case, at its end."""
        self.advance("receive", 1.0, now)
        return Timeline(tuple(self._places), tuple(self._seconds))

    def overall(self, now: float) -> float:
        """Share of the whole that is done; never falls."""
        left = self.seconds_left(now)
        if self._timed and left is not None:
            elapsed = now - self._began
            share = elapsed / max(elapsed + left, 1e-9)
        else:
            early = _COLD_SHARE if self._cold else 0.0
            share = 0.0 if self._case_began is None else early + (1 - early) * self._timeline.at(self._place())
        self._shown = max(self._shown, min(share, 1.0))
        return self._shown

    def seconds_left(self, now: float) -> float | None:
        """Until the result is there; None as long as nobody can know."""
        total = self._timeline.total
        if self._case_began is None:
            if not self._timed:
                return None
            here = STAGES.index(self.stage)
            later = sum(seconds for stage, seconds in self._expected.items() if STAGES.index(stage) > here)
            return max(self._expected.get(self.stage, 0.0) - (now - self._entered), 0.0) + later + total
        place, elapsed = self._place(), self._since - self._case_began
        done = self._timeline.at(place)
        if self._timed:
            # The further this case is, the more its own pace counts instead of the earlier one's.
            pace = max(0.0, 1 + (elapsed - done) / max(total, 1e-9))
        elif place <= STAGES.index("network") - len(PRELUDE):
            return None  # A scan of the atrium's surroundings alone passes the stages before in no time.
        else:
            pace = elapsed / done
        left = pace * (total - done) - (now - self._since)
        return max(left, pace * (total - self._timeline.after(place)), 0.0)

    def _place(self) -> float:
        return STAGES.index(self.stage) - len(PRELUDE) + self.share


class Timekeeper:
    """What the requests of a session took, by their kind (model, device, number of samples)."""

    def __init__(self) -> None:
        self._prelude = dict.fromkeys(PRELUDE, 0.0)
        self._timelines: dict[Hashable, Timeline] = {}

    def begin(self, kind: Hashable, cold: bool, now: float) -> Run:
        """A new request; `cold` where a child has to be started for it."""
        prelude = {stage: self._prelude[stage] for stage in ("start" if cold else "send", "load")}
        return Run(prelude, self._timelines.get(kind, _USUAL), kind in self._timelines, now)

    def learn(self, kind: Hashable, run: Run, now: float) -> None:
        """Keep what a request took that was answered."""
        self._timelines[kind] = run.finished(now)
        self._prelude |= run.prelude
