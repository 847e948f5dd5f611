"""Calibration of overconfident voxel probabilities; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mtctl.geometry import Map
from mtctl.system.fields import Within

# Probabilities are kept this far from 0 and 1 before logarithms are taken.
_SURE = 1e-6


@dataclass(frozen=True)
class VoxelCalibration:
    """Map the samples' mean probability p to a calibrated one: sigmoid(slope * logit(p) + offset).

    Networks are surer than they are right: slope is below 1 (1 / temperature). The offset corrects an atrium that is
    drawn too large or too small. The default values change nothing.
    """

    slope: Annotated[float, Within(1e-3, 1e3)] = 1.0
    offset: Annotated[float, Within(-100.0, 100.0)] = 0.0

    def __call__(self, probability: Map) -> Map:
        """Return the calibrated probability, float32 (z, y, x)."""
        if self == IDENTITY:
            return probability
        from scipy.special import expit, logit  # A card is read without it, in a window that must not wait.

        p = np.clip(probability, _SURE, 1 - _SURE)
        return np.asarray(expit(np.float32(self.slope) * logit(p) + np.float32(self.offset)), np.float32)


#: Changes nothing: the calibration of a network that was never calibrated.
IDENTITY = VoxelCalibration()
