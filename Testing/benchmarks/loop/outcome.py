"""What an experiment of the loop has found, and how it is printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def interval(differences: NDArray[np.float64], draws: int = 10000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over cases; (seeds, cases), seeds are averaged, cases drawn."""
    rng, by_case = np.random.default_rng(0), differences.mean(axis=0)
    means = by_case[rng.integers(len(by_case), size=(draws, len(by_case)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class ExperimentOutcome:
    """What an experiment has found: Dice by case, one dictionary a seed, by arm; and what is to be said of them."""

    title: str
    arms: Mapping[str, list[dict[str, float]]]
    findings: Sequence[str]

    def text(self) -> str:
        """As a table; differences are from the first arm."""
        lines = [self.title, f"{'':<44}{'Dice %':>8}{'lowest':>8}{'diff.':>8}{'95 % interval':>18}"]
        first = as_array(next(iter(self.arms.values())))
        for name, values in self.arms.items():
            array = as_array(values)
            line = f"{name:<44}{array.mean():>8.2f}{array.mean(axis=0).min():>8.2f}"
            if array is not first and name != next(iter(self.arms)):
                change = array - first if len(array) == len(first) else array - first.mean(axis=0)
                low, high = interval(change)
                line += f"{change.mean():>+8.2f}{f'[{low:+.2f}, {high:+.2f}]':>18}"
            lines.append(line)
        return "\n".join([*lines, *self.findings])


def as_array(values: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    return 100 * np.array([list(one.values()) for one in values])


def mean(values: Sequence[Mapping[str, float]]) -> float:
    return float(as_array(values).mean())
