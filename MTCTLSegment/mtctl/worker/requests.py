"""What the owner of a `client.WorkerClient` says and gets; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Map, Mask, Volume
from mtctl.guidance.outlook import Outlook
from mtctl.inference.result import Result
from mtctl.review.answers import ShownQuestion


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
        overall: Fraction of the whole that is done; never falls.
        seconds_left: Until the result is there; None as long as nobody can know.
    """

    stage: str
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


@dataclass(frozen=True)
class QuestionedCase:
    """A case under questions, as it was before any review.

    Attributes:
        key: Names this very scan and result: the same key, the same arrays.
        volume: The scan.
        original: (z, y, x) mask of the model.
        probability: (z, y, x) of the model.
        device: One of `device.DEVICES`.
    """

    key: str
    volume: Volume
    original: Mask
    probability: Map
    device: str = "auto"


@dataclass(frozen=True)
class QuestionHandlers:
    """What to call about questions. Either `done` or `failed` comes last, neither when the request was cancelled.

    Attributes:
        progress, note: As of `Handlers`.
        answered: The voxels (flat indices) that change side by the answer; before `done`, and only after an answer.
        outlook: How sure the mask after it is; before `done`.
        done: The questions worth asking about the mask after it, most to be expected first; none: nothing is.
        failed: Why there is no answer, in words for the person who waits.
    """

    progress: Callable[[SegmentationProgress], None] = _ignore
    note: Callable[[str], None] = _ignore
    answered: Callable[[NDArray[np.int64]], None] = _ignore
    outlook: Callable[[Outlook], None] = _ignore
    done: Callable[[list[ShownQuestion]], None] = _ignore
    failed: Callable[[str], None] = _ignore
