"""Work out how sure a mask under questions is: what a reader has settled is certain. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtctl.geometry import Geometry, Map, Mask
from mtctl.guidance.outlook import Outlook
from mtctl.masks import bounding_box
from mtctl.measures.measuring import volume_ml
from mtctl.measures.uncertain_mask import UncertainMask
from mtctl.review.answers import Said
from mtctl.review.places import settled_by
from mtctl.uncertainty.case_score import BAND_MM, self_dice

#: Voxels less likely than that count for nothing, and need not be looked at.
_LEAST = 0.002


@dataclass(frozen=True)
class Expectation:
    """What the model expects of its mask before any review.

    Attributes:
        original: (z, y, x) its mask; where a mask differs from it, a reader has settled it.
        probability: (z, y, x) of the model.
        geometry: The grid of both.
    """

    original: Mask
    probability: Map
    geometry: Geometry

    def outlook(self, mask: Mask, said: Said) -> Outlook:
        """Return how sure a mask is.

        Args:
            mask: (z, y, x) as it is now.
            said: What the reader has said.
        """
        near = (self.probability > _LEAST) | mask | self.original
        if not near.any():
            return Outlook(None, 0.0)
        z, y, x = self.geometry.spacing[::-1]
        box = bounding_box(near, [int(np.ceil(BAND_MM / step)) + 1 for step in (z, y, x)])
        now, first, probability = mask[box], self.original[box], self.probability[box]
        start, size = [part.start for part in box], now.shape
        window = self.geometry.window((start[2], start[1], start[0]), (size[2], size[1], size[0]))
        settled = (now != first) | settled_by(said, window)
        expected = 1 - self_dice(first, probability, (z, y, x))
        left = 1 - self_dice(now, np.where(settled, now, probability).astype(np.float32), (z, y, x))
        doubt = min(max(left / expected, 0.0), 1.0) if expected > 0 else 0.0
        volume = volume_ml(UncertainMask.of(now, probability, window, settled)) if now.any() else None
        return Outlook(volume, doubt)
