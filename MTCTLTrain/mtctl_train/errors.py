"""The error of a run that cannot start or go on, and the check of its numbers."""

from __future__ import annotations

import math

from mtctl.errors import MtctlError


class TrainingError(MtctlError):
    """The run cannot start, or had to stop; the last checkpoint is good."""


def require(settings: object, low: float, high: float, *names: str) -> None:
    """Refuse numbers that make no sense, NaN among them.

    Args:
        settings: The object that has them as attributes.
        low, high: Bounds, themselves allowed.
        names: Names of the attributes.

    Raises:
        TrainingError: One lies outside; the message names it.
    """
    for name in names:
        value = getattr(settings, name)
        if not low <= value <= high:
            allowed = f"at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
            raise TrainingError(f"{name} is {value:g}; it must be {allowed}")
