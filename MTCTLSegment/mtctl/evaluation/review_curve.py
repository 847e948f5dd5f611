"""What a reviewer gains: Dice against the millilitres looked at, when an oracle sets right what the person looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import integrate

from mtctl.geometry import Mask
from mtctl.masks import same_shape

#: Random orders of the regions that are averaged.
ORDERS = 20

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class ReviewCurve:
    """Dice after each step of a review.

    Attributes:
        ml: Volume looked at, rising from 0.
        dice: Dice then.
    """

    ml: Numbers
    dice: Numbers

    @property
    def mean_gain(self) -> float:
        """Mean Dice gained over all that was looked at: area under the curve above its start, by the last volume."""
        if self.ml[-1] <= 0:
            return 0.0
        return float(integrate.trapezoid(self.dice, self.ml) / self.ml[-1] - self.dice[0])


@dataclass(frozen=True)
class ReviewCurves:
    """The same flagged volume looked at in three orders.

    Attributes:
        regions: Region after region as listed.
        random: Region after region in random order, mean of `ORDERS` orders, at the volumes of `regions`.
        voxels: Voxel after voxel, the most uncertain of the whole scan first, at the volumes of `regions`.
    """

    regions: ReviewCurve
    random: ReviewCurve
    voxels: ReviewCurve


def review_curves(
    prediction: Mask,
    truth: Mask,
    labels: NDArray[np.integer],
    order: Sequence[int],
    uncertainty: NDArray[np.floating],
    voxel_ml: float,
    seed: int = 0,
) -> ReviewCurves:
    """Correct a prediction region after region.

    Args:
        prediction, truth: Masks (z, y, x).
        labels: Region id of each flagged voxel, 0 elsewhere; the oracle changes nothing outside the regions.
        order: The ids, first looked at first.
        uncertainty: Map (z, y, x) for the voxelwise order.
        voxel_ml: Volume of a voxel.
        seed: Seed of the random orders.
    """
    prediction, truth = same_shape(prediction, truth)
    gone, found = prediction & ~truth, truth & ~prediction
    ids = np.asarray(order, dtype=np.intp)
    length = int(max(labels.max(), ids.max(initial=0))) + 1
    seen, fewer, more = (
        np.bincount(labels[mask].ravel(), minlength=length)[ids] for mask in (np.ones_like(gone), gone, found)
    )
    counts = _Counts(int((prediction & truth).sum()), int(gone.sum()), int(found.sum()))
    regions = counts.curve(seen, fewer, more, voxel_ml)

    rng, curves = np.random.default_rng(seed), []
    for _ in range(ORDERS):
        drawn = rng.permutation(len(ids))
        curve = counts.curve(seen[drawn], fewer[drawn], more[drawn], voxel_ml)
        curves.append(np.interp(regions.ml, curve.ml, curve.dice))

    falling = np.argsort(-uncertainty.ravel(), kind="stable")[: int(seen.sum())]
    steps = np.cumsum(seen)
    by_voxel = [np.diff(np.append(0, np.append(0, np.cumsum(mask.ravel()[falling]))[steps])) for mask in (gone, found)]
    return ReviewCurves(
        regions=regions,
        random=ReviewCurve(regions.ml, np.asarray(np.mean(curves, axis=0), dtype=np.float64)),
        voxels=counts.curve(seen, by_voxel[0], by_voxel[1], voxel_ml),
    )


@dataclass(frozen=True)
class _Counts:
    """Voxels in both masks, only in the prediction, only in the truth."""

    common: int
    superfluous: int
    missed: int

    def curve(
        self, seen: NDArray[np.intp], gone: NDArray[np.intp], found: NDArray[np.intp], voxel_ml: float
    ) -> ReviewCurve:
        """Return the Dice after each step that looks at `seen` voxels, `gone` of them superfluous, `found` missed."""
        seen, gone, found = (np.append(0, np.cumsum(part)).astype(float) for part in (seen, gone, found))
        twice = 2 * (self.common + found)
        total = twice + self.superfluous - gone + self.missed - found
        dice = np.divide(twice, total, out=np.ones_like(twice), where=total > 0)
        return ReviewCurve(np.asarray(seen * voxel_ml, np.float64), dice)
