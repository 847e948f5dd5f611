"""The case score: the expected Dice with a 90 % interval; and whether the mask is shaped like an atrium.

Candidates were compared by their rank correlation with the Dice, on cases 17-30 of the benchmark's training list, clean
and corrupted (266 predictions): the Dice that the probabilities themselves promise, near the segmentation, 0.92; the
mean Dice between pairs of samples 0.90; Dice between f1 and the samples' mean 0.91, between f1 and f2 0.89; mean
entropy in the band 0.90; how far the deepest features' statistics are from those of training 0.78. Sums of several with
weights of one sign did no better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry, Mask, Triple
from mtctl.system.fields import Share, Within

#: The band around the segmentation in which its probabilities count; farther away other vessels would count as missed.
BAND_MM = 3.0

_Ratio = Annotated[float, Within(0.0, 1e6)]


def self_dice(mask: Mask, probability: NDArray[np.floating], spacing: Triple) -> float:
    """Return the Dice that probabilities promise a mask: 2 sum_mask p / (|mask| + sum p), p summed over mask and band.

    Args:
        mask: The segmentation (z, y, x); an empty one gives 0.
        probability: Probability of the atrium, same shape.
        spacing: Voxel size (z, y, x) in mm.
    """
    from mtctl.masks import surface_band

    size = int(mask.sum())
    if not size:
        return 0.0
    near = surface_band(mask, spacing, BAND_MM) | mask
    inside, all_near = (float(probability[where].sum(dtype=np.float64)) for where in (mask, near))
    return 2 * inside / (size + all_near)


@dataclass(frozen=True)
class CaseScore:
    """Map the self-assessed Dice s (`self_dice`) to the expected Dice, 1 - ratio * (1 - s), for three ratios.

    The ratio (1 - Dice) / (1 - s) has nearly the same distribution for good and for bad predictions (its 5 %,
    50 % and 95 % quantiles on cases 17-30 of the benchmark's training list: 1.3, 1.9, 3.1, much the same in every tenth
    of s). So one ratio serves all predictions, and the interval widens by itself for poor ones.

    Attributes:
        likely: Median of the ratio on validation cases.
        least, most: Its 5 % and 95 % quantiles, which give the ends of the 90 % interval.
        flag_below: Predictions with a lower expected Dice are flagged.
        sensitivity: Share of the failed predictions that should be flagged.
        failed_below: A prediction with a lower Dice has failed.
    """

    likely: _Ratio = 1.8
    least: _Ratio = 1.0
    most: _Ratio = 3.6
    flag_below: Annotated[float, Within(0.0, 2.0)] = 0.85
    sensitivity: Share = 0.95
    failed_below: Share = 0.80

    def expected(self, promised: float) -> float:
        """Return the expected Dice for a self-assessed one."""
        return max(0.0, 1 - self.likely * (1 - promised))

    def interval(self, promised: float) -> tuple[float, float]:
        """Return the lower and the upper end of the 90 % interval of the Dice for a self-assessed one."""
        return max(0.0, 1 - self.most * (1 - promised)), max(0.0, 1 - self.least * (1 - promised))


def spread_mm(mask: Mask, geometry: Geometry) -> Triple:
    """Return the standard deviation of the mask's voxels along LPS x, y and z, mm.

    The extent of a single voxel is included, so that no value is 0.
    """
    index = np.stack(np.nonzero(mask)[::-1], axis=1).astype(np.float64)
    matrix = geometry.matrix * geometry.spacing
    covariance = matrix @ (np.cov(index.T, bias=True) + np.eye(3) / 12) @ matrix.T
    x, y, z = np.sqrt(np.diag(covariance)).tolist()
    return x, y, z


@dataclass(frozen=True)
class UsualShape:
    """How far left atria spread along the patient's axes, as logarithms of `spread_mm`.

    A result that spreads otherwise is no atrium, only a part of one, or lies in a scan that is stored turned.

    Attributes:
        mean: Mean of the logarithms over the good results on validation cases.
        covariance: Their covariance.
        limit: Largest usual Mahalanobis distance: a further case of that population exceeds it once in 50 times
            (Hotelling's T squared).
    """

    mean: Triple
    covariance: tuple[Triple, Triple, Triple]
    limit: Annotated[float, Within(0.0, 1e6)]

    def distance(self, spread: Triple) -> float:
        """Return the Mahalanobis distance of the logarithms of `spread` (LPS x, y, z, mm) from the mean."""
        apart = np.log(spread) - np.array(self.mean)
        return float(np.sqrt(apart @ np.linalg.solve(np.array(self.covariance), apart)))
