"""How long a person works on a review: the time between actions, without long pauses."""

from __future__ import annotations

from collections.abc import Callable

#: A longer pause between two actions counts as this much: a person studies a place, or was called away.
IDLE_SECONDS = 60.0


class ActiveTime:
    """Counts the seconds from one action to the next."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Count nothing before the first action; `clock` gives seconds."""
        self._clock = clock
        self._last_action: float | None = None

    def count(self) -> float:
        """Return the seconds since the last action, 0 to IDLE_SECONDS; 0 for the first one, and after `stop`."""
        now = self._clock()
        spent = 0.0 if self._last_action is None else min(max(now - self._last_action, 0.0), IDLE_SECONDS)
        self._last_action = now
        return spent

    def stop(self) -> None:
        """Count nothing until the next action."""
        self._last_action = None
