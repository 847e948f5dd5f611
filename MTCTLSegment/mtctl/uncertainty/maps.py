"""From Monte-Carlo samples to voxel maps in [0, 1], and to one score for the case.

The paper prints U(x) = -(1/N) sum p log p_i and speaks both of "mean entropy over all N samples" and of
"predictive entropy". Ours is the predictive entropy of the mean, H(1/N sum p_i) / ln 2: the formula as printed
multiplies unlike samples and has no upper bound; this one is bounded by 1, standard, and its parts are mutual
information (what the samples disagree on) and their mean entropy. The mean is calibrated on validation cases first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import expit

from mtctl.geometry import Map
from mtctl.networks.distance_map import mask_probability
from mtctl.uncertainty.voxel_calibration import IDENTITY, VoxelCalibration

#: The default threshold flags this share of the predicted atrium's volume.
FLAGGED_SHARE = 0.10


@dataclass(frozen=True)
class UncertaintyMaps:
    """Voxel maps, each (z, y, x) float32 in [0, 1].

    Attributes:
        probability: Mean probability of the samples, calibrated.
        entropy: Its entropy, in bits: 1 at probability 0.5.
        mutual_information: (H(mean) - mean H(sample)) / ln 2 of the samples as they are: what further training could
            settle. Calibration does not touch it.
    """

    probability: Map
    entropy: Map
    mutual_information: Map


def binary_entropy(probability: Map) -> Map:
    """Entropy of a yes-or-no with that probability, in bits: 0 at 0 and 1, 1 at 0.5."""
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return (-(p * np.log(p) + (1 - p) * np.log1p(-p)) / math.log(2)).astype(np.float32)


def uncertainty_maps(sample_logits: Iterable[Map], calibration: VoxelCalibration = IDENTITY) -> UncertaintyMaps:
    """Maps from the logits (z, y, x) of one or more samples, taken one by one: they need not all be in memory."""
    total: Map | None = None
    entropies: Map | None = None
    count = 0
    for logits in sample_logits:
        probability = expit(logits).astype(np.float32, copy=False)
        entropy = binary_entropy(probability)
        total = probability if total is None else total + probability
        entropies = entropy if entropies is None else entropies + entropy
        count += 1
    if total is None or entropies is None:
        raise ValueError("no samples")
    mean = total / np.float32(count)
    mutual = np.clip(binary_entropy(mean) - entropies / np.float32(count), 0, 1)
    probability = calibration(mean)
    return UncertaintyMaps(probability, binary_entropy(probability), mutual)


def disagreement(f1: Map, f2: Map) -> Map:
    """Cross-task disagreement |f1 - pi^-1(f2)|: where the two decoders draw different masks."""
    return np.abs(f1 - mask_probability(f2)).astype(np.float32)


def threshold_for_volume(uncertainty: Map, voxels: float) -> float:
    """The threshold that as many voxels of the map reach."""
    flat = uncertainty.reshape(-1)
    count = min(max(round(voxels), 1), flat.size)
    return float(np.partition(flat, flat.size - count)[flat.size - count])


def mean_pairwise_dice(sample_logits: Map) -> float:
    """Mean Dice between the masks of all pairs of samples (n, z, y, x).

    The best simple predictor of a case's Dice (Zenk et al. 2025); sums of entropies scale with the atrium's size.
    Pairs of empty masks agree (1); with fewer than two samples there is nothing to compare and the answer is 1.
    """
    masks = [logits >= 0 for logits in sample_logits]
    sizes = [int(mask.sum()) for mask in masks]
    scores = [
        2 * int((masks[i] & masks[j]).sum()) / (sizes[i] + sizes[j]) if sizes[i] + sizes[j] else 1.0
        for i, j in combinations(range(len(masks)), 2)
    ]
    return float(np.mean(scores)) if scores else 1.0
