"""What the owner of a `client.WorkerClient` says and gets; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtctl.inference.result import Result

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Settings:
    """How to segment, in words that need no torch.

    Attributes:
        model: Id or folder; None for the default model.
        device: One of `device.DEVICES`.
        samples: Monte-Carlo samples, at least 2; None for the model's number.
        region: "auto", "none", or the box "x0,x1,y0,y1,z0,z1" in mm (LPS).
        seed: Seed of the Monte-Carlo dropout.
    """

    model: str | None = None
    device: str = "auto"
    samples: int | None = None
    region: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class SegmentationProgress:
    """Where a request is.

    Attributes:
        stage: One of `time_left.STAGES`.
        fraction: Fraction of the stage that is done.
        overall: Fraction of the whole that is done; never falls.
        seconds_left: Until the result is there; None as long as nobody can know.
    """

    stage: str
    fraction: float
    overall: float
    seconds_left: float | None


def _ignore(_: object) -> None:
    pass


@dataclass(frozen=True)
class Handlers:
    """What to call about a request. Either `done` or `failed` comes last, neither when it was cancelled.

    Attributes:
        progress: Called at every step, and twice a second in between.
        note: Something to tell the person who waits.
        done: The result.
        failed: Why there is none, in words for the person who waits.
    """

    progress: Callable[[SegmentationProgress], None] = _ignore
    note: Callable[[str], None] = _ignore
    done: Callable[[Result], None] = _ignore
    failed: Callable[[str], None] = _ignore
