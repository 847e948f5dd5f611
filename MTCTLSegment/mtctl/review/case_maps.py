"""What a review looks at: the maps of a case on one grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Map, Mask


class ReviewError(MtctlError):
    """A review cannot go on like that."""


@dataclass(frozen=True)
class CaseMaps:
    """What is known of a case, on one grid; arrays are (z, y, x).

    Attributes:
        segmentation: The mask under review, as it is before the review.
        uncertainty: 0 to 1.
        probability: Of the atrium, by the samples' consensus.
        geometry: The grid.
        outline: The mask from whose surface distances count; None for `segmentation`.

    Raises:
        ReviewError: The shapes differ.
    """

    segmentation: Mask
    uncertainty: Map
    probability: Map
    geometry: Geometry
    outline: Mask | None = None

    def __post_init__(self) -> None:
        for name in ("segmentation", "uncertainty", "probability", "outline"):
            array = getattr(self, name)
            if array is not None and array.shape != self.geometry.shape:
                raise ReviewError(f"{name}: {array.shape} voxels on a grid of {self.geometry.shape} (z, y, x)")

    def reviewing(self, mask: Mask) -> CaseMaps:
        """Return the maps for the review of somebody else's segmentation.

        Where it and the prediction differ, one of them is wrong: the uncertainty is 1 there. Distances count from the
        border of what either holds.

        Raises:
            ReviewError: The mask is on another grid.
        """
        if mask.shape != self.geometry.shape:
            raise ReviewError(
                f"the segmentation has {mask.shape} voxels, the scan {self.geometry.shape} (z, y, x): "
                "resample it to the scan first"
            )
        mask = np.asarray(mask, dtype=bool)
        uncertainty = np.where(mask != self.segmentation, np.float32(1), self.uncertainty)
        return replace(self, segmentation=mask, uncertainty=uncertainty, outline=mask | self.segmentation)


def probability_of(uncertainty: Map, mask: Mask) -> Map:
    """Return the consensus probability from its entropy / ln 2; the mask says on which side of 0.5 it is."""
    rarer = np.linspace(0.0, 0.5, 4097)
    inner = rarer[1:]
    entropy = np.append(0.0, -(inner * np.log2(inner) + (1 - inner) * np.log2(1 - inner)))
    low = np.interp(uncertainty, entropy, rarer).astype(np.float32)
    return np.where(mask, 1 - low, low)
