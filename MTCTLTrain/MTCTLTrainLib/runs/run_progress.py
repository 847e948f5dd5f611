"""What a run has reported: its position, curves and last picture. No Qt."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

from mtctl.system.documents import DocumentError
from mtctl.system.fields import ANY_NUMBER, Matching, Share, Within, read_as
from mtctl_train.finetuning.run_folder import PICTURES


@dataclass(frozen=True)
class Point:
    """A value at an iteration of a fold; folds count from 1."""

    fold: int
    iteration: int
    value: float


#: Points of a curve that are shown: more than a plot view has columns of pixels for would only cost time.
MOST_POINTS = 500


def thinned(points: list[Point]) -> list[Point]:
    """Return every point, every second, every fourth ..., at most `MOST_POINTS`; these stay when points are added."""
    every = 1
    while len(points) > MOST_POINTS * every:
        every *= 2
    return points[::every]


@dataclass(frozen=True)
class _Told:
    """What any event may say, within what a run can have."""

    event: str
    fold: Annotated[int, Within(1, 1000)] = 1
    folds: Annotated[int, Within(1, 1000)] = 1
    iteration: Annotated[int, Within(0, 1e9)] = 0
    of: Annotated[int, Within(0, 1e9)] = 0
    share: Share = 0.0
    seconds_left: Annotated[float, Within(0.0, 1e9)] = 0.0
    losses: Mapping[str, Annotated[float, ANY_NUMBER]] | None = None
    # A picture lies in its folder and nowhere else.
    file: (
        Annotated[str, Matching(rf"{PICTURES}/(?!\.{{1,2}}$)[^/\\:\x00-\x1f]{{1,255}}", "a picture of the run")] | None
    ) = None


@dataclass
class RunProgress:
    """The progress of a run, from the events of `mtctl_train.finetuning.run_folder`.

    Attributes:
        fold, folds: The present training, from 1, and the number of trainings.
        iteration, of: The present iteration of the fold, and their number.
        fraction: The finished part of the whole run, 0 to 1.
        device: The device on which it computes, as text.
        comparing: Whether a fold is trained and its held-out cases are compared.
        losses: The losses by fold and name.
        dice: The mean validation Dice.
        skipped: Cases that cannot be used, with the reason.
        stopped: Why it cannot go on, or "".
        picture: File name in the folder of the run, or "".
        pictured: The case in it.
    """

    fold: int = 1
    folds: int = 1
    iteration: int = 0
    of: int = 0
    fraction: float = 0.0
    device: str = ""
    comparing: bool = False
    losses: dict[int, dict[str, list[Point]]] = field(default_factory=dict)
    dice: list[Point] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    stopped: str = ""
    picture: str = ""
    pictured: str = ""
    _ends: dict[int, int] = field(default_factory=dict)
    _left: float | None = None
    _heard: float = 0.0

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Add further events."""
        known = {
            "start": self._start,
            "progress": self._progress,
            "validation": self._validation,
            "picture": self._picture,
            "skipped": self._skipped,
            "end": self._end,
            "stopped": self._stopped,
            "verdict": self._verdict,
        }
        for event in events:
            # One of a later version, or that something else wrote: a point is missing then.
            with suppress(DocumentError, KeyError, TypeError, ValueError):
                told = read_as(_Told, event, "the event")
                if told.event in known:
                    known[told.event](event)

    @property
    def seconds_left(self) -> float | None:
        """Seconds left of the whole run's training; None before the first step."""
        return None if self._left is None else max(0.0, self._left - (time.monotonic() - self._heard))

    @property
    def seconds_per_iteration(self) -> float | None:
        """Seconds per iteration as the run measured them; None before the first step and near the end."""
        to_come = (self.of - self.iteration) + self.of * (self.folds - self.fold)
        return None if self._left is None or to_come < 1 or not self._left else self._left / to_come

    @property
    def present_losses(self) -> dict[str, list[Point]]:
        """The losses of the present fold: with those of the fold before, the loss would seem to jump."""
        return self.losses.get(self.fold, {})

    def curve(self, points: list[Point]) -> list[tuple[int, float]]:
        """Return iterations, counted over all folds, and values."""
        before = dict[int, int]()
        for fold in range(1, self.folds + 1):
            before[fold] = sum(end for earlier, end in self._ends.items() if earlier < fold)
        return [(before.get(point.fold, 0) + point.iteration, point.value) for point in points]

    # --- events -------------------------------------------------------------------------------------------------------

    def _start(self, event: Mapping[str, Any]) -> None:
        self._place(event)
        self.device, self.stopped, self.comparing = str(event["device"]), "", False
        # What was told after the last checkpoint comes again.
        self.dice = [point for point in self.dice if not self._again(point)]
        if self.fold in self.losses:
            told = self.losses[self.fold].items()
            self.losses[self.fold] = {name: [one for one in points if not self._again(one)] for name, points in told}
            self._ends[self.fold] = min(self._ends[self.fold], self.iteration)

    def _progress(self, event: Mapping[str, Any]) -> None:
        self._place(event)
        self.fraction, self._left, self._heard = float(event["share"]), float(event["seconds_left"]), time.monotonic()
        self._ends[self.fold], losses = self.iteration, self.losses.setdefault(self.fold, {})
        for name, value in event["losses"].items():
            losses.setdefault(name, []).append(Point(self.fold, self.iteration, float(value)))

    def _validation(self, event: Mapping[str, Any]) -> None:
        self.dice.append(Point(int(event["fold"]), int(event["iteration"]), float(event["dice"])))

    def _picture(self, event: Mapping[str, Any]) -> None:
        self.picture, self.pictured = str(event["file"]), str(event["case"])

    def _skipped(self, event: Mapping[str, Any]) -> None:
        self.skipped[str(event["case"])] = str(event["reason"])

    def _end(self, event: Mapping[str, Any]) -> None:
        self.comparing = True

    def _stopped(self, event: Mapping[str, Any]) -> None:
        self.stopped = str(event["reason"])

    def _verdict(self, event: Mapping[str, Any]) -> None:
        self.fraction, self._left, self.comparing = 1.0, 0.0, False

    def _place(self, event: Mapping[str, Any]) -> None:
        self.fold, self.folds = int(event["fold"]), int(event["folds"])
        self.iteration, self.of = int(event["iteration"]), int(event.get("of", self.of))

    def _again(self, point: Point) -> bool:
        return point.fold == self.fold and point.iteration > self.iteration
