"""How long the steps of a run take: for the time left, and for the number of steps of a run of a given time."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean


@dataclass
class StepTimes:
    """Seconds of the iterations of one stage, one by one: of drawing their batches, and of their steps."""

    draws: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)

    def add(self, draw: float, step: float) -> None:
        """Note an iteration."""
        self.draws.append(draw)
        self.steps.append(step)

    @property
    def per_iteration(self) -> float:
        """Seconds; without the first step, which warms up, and without the reading of cases that some draws wait for.

        Raises:
            StatisticsError: No iteration was noted.
        """
        return min(self.draws, default=0.0) + fmean(self.steps[1:] or self.steps)
