"""From Monte-Carlo samples to voxel maps in [0, 1], and to one score for the case.

The paper prints U(x) = -(1/N) sum p log p_i and speaks both of "mean entropy over all N samples" and of
"predictive entropy". Ours is the predictive entropy of the mean, H(1/N sum p_i) / ln 2: the formula as printed
multiplies unlike samples and has no upper bound; this one is bounded by 1, standard, and its parts are mutual
information (what the samples disagree on) and their mean entropy. The mean is calibrated on validation cases first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import expit

from mtctl.geometry import Map
from mtctl.networks.distance_map import mask_probability
from mtctl.uncertainty.kinds import NAMES
from mtctl.uncertainty.voxel_calibration import IDENTITY, VoxelCalibration

#: The default threshold flags this share of the predicted atrium's volume.
FLAGGED_SHARE = 0.10


@dataclass(frozen=True)
class SampleAverages:
    """What is kept of the Monte-Carlo samples, each (z, y, x) float32 in [0, 1].

    Attributes:
        mean: Mean probability of the samples as they are.
        mean_entropy: Mean of the samples' own entropies, in bits.
        probability: `mean`, calibrated.
    """

    mean: Map
    mean_entropy: Map
    probability: Map


def average(sample_logits: Iterable[Map], calibration: VoxelCalibration = IDENTITY) -> SampleAverages:
    """Average one or more samples, which are taken one by one: they need not all be in memory.

    Args:
        sample_logits: Logits (z, y, x) of each sample.
        calibration: Applied to their mean probability.

    Raises:
        ValueError: There is no sample.
    """
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
    return SampleAverages(mean, entropies / np.float32(count), calibration(mean))


def binary_entropy(probability: Map) -> Map:
    """Return the entropy of a binary variable with that probability, in bits: 0 at 0 and 1, 1 at 0.5."""
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return (-(p * np.log(p) + (1 - p) * np.log1p(-p)) / math.log(2)).astype(np.float32)


def predictive_entropy(samples: SampleAverages, f1: Map, f2: Map) -> Map:
    """Return the entropy of the calibrated mean probability, in bits."""
    return binary_entropy(samples.probability)


def mutual_information(samples: SampleAverages, f1: Map, f2: Map) -> Map:
    """Return (H(mean) - mean H(sample)) / ln 2 of the samples as they are: what further training could settle.

    Calibration does not touch it.
    """
    return np.clip(binary_entropy(samples.mean) - samples.mean_entropy, 0, 1)


def disagreement(samples: SampleAverages, f1: Map, f2: Map) -> Map:
    """Return |f1 - pi^-1(f2)|, the disagreement across tasks: where the two decoders draw different masks."""
    return np.abs(f1 - mask_probability(f2)).astype(np.float32)


#: How each of `kinds.KINDS` is worked out, by its name, from the samples, the probability of the segmentation decoder
#: (f1) and the normalised distance (f2).
MEASURES: Mapping[str, Callable[[SampleAverages, Map, Map], Map]] = {
    "entropy": predictive_entropy,
    "mutual_information": mutual_information,
    "disagreement": disagreement,
}


def uncertainty_maps(samples: SampleAverages, f1: Map, f2: Map) -> dict[str, Map]:
    """Return the map of every kind of uncertainty by its name, (z, y, x) float32 in [0, 1].

    Args:
        samples: The averages of the uncertainty decoder's samples.
        f1: Probability of the segmentation decoder.
        f2: Normalised distance of the distance decoder.
    """
    return {name: MEASURES[name](samples, f1, f2) for name in NAMES}


def threshold_for_volume(uncertainty: Map, voxels: float) -> float:
    """Return the threshold that the `voxels` most uncertain voxels of the map reach."""
    flat = uncertainty.reshape(-1)
    count = min(max(round(voxels), 1), flat.size)
    return float(np.partition(flat, flat.size - count)[flat.size - count])


def mean_pairwise_dice(sample_logits: Map) -> float:
    """Return the mean Dice between the masks of all pairs of samples (n, z, y, x).

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
