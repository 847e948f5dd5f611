"""What the owner of a `worker.WorkerClient` says and gets; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry

if TYPE_CHECKING:
    from mtctl.uncertainty.regions import RegionMap


@dataclass(frozen=True)
class Settings:
    """How to segment, in words that need no torch.

    Attributes:
        model: Id or folder; None for the default model.
        device: One of `device.DEVICES`.
        samples: Monte-Carlo samples, at least 2; None for the model's number.
        region: "auto", "none", or the box "x0,x1,y0,y1,z0,z1" in mm (LPS).
        seed: Of the dropout.
    """

    model: str | None = None
    device: str = "auto"
    samples: int | None = None
    region: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """Where a request is.

    Attributes:
        stage: One of `time_left.STAGES`.
        share: Of the stage that is done.
        overall: Share of the whole that is done; never falls.
        seconds_left: Until the result is there; None as long as nobody can know.
    """

    stage: str
    share: float
    overall: float
    seconds_left: float | None


@dataclass(frozen=True)
class Result:
    """What a request gives, all arrays (z, y, x) on the grid of the scan and in memory.

    Attributes:
        geometry: That grid.
        segmentation: uint8, 1 inside.
        maps: float32, by the names of `inference.OUTSIDE`.
        report: What the case's JSON holds; its "warnings" are meant to be shown.
        places: The uncertain regions by entropy; finding them takes half a second, which a window should not wait.
    """

    geometry: Geometry
    segmentation: NDArray[np.uint8]
    maps: Mapping[str, NDArray[np.float32]]
    report: Mapping[str, Any]
    places: RegionMap | None = None


def _ignore(_: object) -> None:
    pass


@dataclass(frozen=True)
class Handlers:
    """What to call about a request. Either `done` or `failed` comes last, neither when it was cancelled.

    Attributes:
        progress: At every step, and twice a second in between.
        note: Something to tell the person who waits.
        done: The result.
        failed: Why there is none, in words for the person who waits.
    """

    progress: Callable[[Progress], None] = _ignore
    note: Callable[[str], None] = _ignore
    done: Callable[[Result], None] = _ignore
    failed: Callable[[str], None] = _ignore
