"""The smoothed loss of a run, which shows divergence before a checkpoint is spoilt by it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

from mtctl.system.fields import ANY_NUMBER

#: Gradient norms of good runs stay under 100.
_LARGEST_NORM = 1e6

#: A smoothed loss this many times its lowest, plus a margin for the terms that ramp up, is no fluctuation.
_SUSPECT, _DIVERGED, _MARGIN = 1.5, 2.5, 0.3

#: Weight of the newest loss; and iterations before the smoothed loss means anything.
_NEWEST, _WARM_UP = 0.05, 50

#: Losses that do not tell how the run goes: the discriminator's rises when the student gets better.
_APART = ("critic",)

# Nothing is known of a loss before the first step.
_Figure = Annotated[float, ANY_NUMBER]


@dataclass
class Watch:
    """The smoothed loss of a run, and its lowest value so far.

    Attributes:
        smoothed, lowest: Smoothed sum of the student's losses, now and at its lowest.
        seen: Number of steps seen.
        losses: Each loss by name, smoothed, the discriminator's too.
    """

    smoothed: _Figure = math.nan
    lowest: _Figure = math.inf
    seen: int = 0
    losses: dict[str, _Figure] = field(default_factory=dict)

    def complaint(self, losses: dict[str, float], norm: float) -> str | None:
        """Return why the step with these losses and this gradient norm must not be taken; None when it may."""
        written = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        if not all(math.isfinite(value) for value in losses.values()):
            return f"the loss is not a number ({written})"
        if not norm < _LARGEST_NORM:
            return f"its gradient explodes, norm {norm:.3g} ({written})"
        for name, value in losses.items():
            if name not in self.losses and name not in _APART:
                # A term that joins later (after the pretraining) makes the sum larger, not the run worse.
                self.lowest += value
            self.losses[name] = (1 - _NEWEST) * self.losses.get(name, value) + _NEWEST * value
        self.smoothed = sum(value for name, value in self.losses.items() if name not in _APART)
        self.seen += 1
        if self.seen >= _WARM_UP:
            self.lowest = min(self.lowest, self.smoothed)
        if self.smoothed > _DIVERGED * self.lowest + _MARGIN:
            return f"the loss diverges: smoothed {self.smoothed:.3g}, it had been down to {self.lowest:.3g} ({written})"
        return None

    @property
    def suspect(self) -> bool:
        """Whether the loss is so far up that this is no state to save."""
        return self.smoothed > _SUSPECT * self.lowest + _MARGIN
