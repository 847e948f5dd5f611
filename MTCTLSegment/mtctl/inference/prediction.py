"""How to predict, and what a prediction holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mtctl.errors import MtctlError, counted
from mtctl.geometry import Geometry, Map, Mask, Volume
from mtctl.preprocessing.region_of_interest import Box
from mtctl.uncertainty.kinds import KINDS

#: Stages of a prediction, in order, with their usual share of the time.
STAGES = {"locate": 0.2, "prepare": 0.1, "network": 0.5, "maps": 0.2}

#: Value of every map outside the region that was looked at: no atrium, no doubt, far outside.
OUTSIDE = {"probability": 0.0, "distance": -1.0, **{kind.name: kind.outside for kind in KINDS}}

#: Called with a stage's name (`STAGES`) and the fraction of the stage that is done.
ProgressCallback = Callable[[str, float], None]


@dataclass(frozen=True)
class Options:
    """How to predict.

    Attributes:
        samples: Monte-Carlo samples, at least 2; None for the card's number.
        region: Box to segment; "auto": found by a coarse pass in scans much larger than the atrium; "none": the whole
            scan.
        seed: Seed of the Monte-Carlo dropout.
    """

    samples: int | None = None
    region: Box | str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < 2:
            raise MtctlError(f"{counted(self.samples, 'sample')} cannot disagree; take at least 2")


@dataclass(frozen=True)
class Prediction:
    """What the network says about one volume. Maps are (z, y, x) float32 on `window`, a part of the input's grid.

    Attributes:
        source: Grid of the input.
        grid: LPS-aligned grid, in the network's voxels, of what it saw of the region, without padding.
        region: The region of the scan that the network saw, in LPS mm.
        window: The input's voxels (z, y, x) in that region.
        located: Whether the region was found by the coarse pass.
        segmentation: Mask on the source grid, (z, y, x) bool: the largest component, holes filled, of where f1 is at
            least 0.5, or its mean with the samples (in logits, weighted by the card's `mask_samples_share`).
        filled_ml: Volume (mL) that filling the holes added.
        maps: By the names of `OUTSIDE`. "probability" of the atrium: the samples' mean, calibrated. "distance": f2 in
            [-1, 1], positive inside; times `distance_map.DISTANCE_SCALE_MM` it is mm. And every kind of uncertainty,
            in [0, 1].
        self_dice: The Dice that the samples' mean, not calibrated, promises the mask (`case_score.self_dice`).
        sample_dice: Mean pairwise Dice of the samples.
        samples, seed, device: Number of samples, seed and device with which it was made.
        seconds: Time per stage.
        warnings: Why the result may be wrong as a whole, in sentences for the reader.
        remarks: What else the reader should know, likewise.
    """

    source: Geometry
    grid: Geometry
    region: Box
    window: tuple[slice, slice, slice]
    located: bool
    segmentation: Mask
    filled_ml: float
    maps: Mapping[str, Map]
    self_dice: float
    sample_dice: float
    samples: int
    seed: int
    device: str
    seconds: dict[str, float]
    warnings: tuple[str, ...]
    remarks: tuple[str, ...]

    def on_source(self, name: str) -> Volume:
        """Return the map of that name on the input's grid."""
        whole = np.full(self.source.shape, OUTSIDE[name], np.float32)
        whole[self.window] = self.maps[name]
        return Volume(whole, self.source)

    @property
    def volume_ml(self) -> float:
        """Volume of the segmentation, mL."""
        return float(self.segmentation.sum()) * self.source.voxel_ml
