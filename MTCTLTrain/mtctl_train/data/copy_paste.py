"""Bidirectional copy-paste (BCP, Bai et al. 2023): labelled and unlabelled scans exchange a box.

The sampler exchanges it, before either is varied (`Batch.exchanged`): varied apart, the box would betray itself by its
brightness. Here both get their labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from mtctl.networks.distance_map import normalised_distance, signed_distance_mm
from mtctl_train.data.sampler import Batch


@dataclass(frozen=True)
class Supervision:
    """Volumes to train on, what they should give, and how much each voxel counts; (m, 1, z, y, x) each.

    Attributes:
        volume: z-scored intensities.
        mask, distance: As in `Batch`; any value where `weight` is 0.
        weight: The batch's for voxels that an expert labelled, less for guessed ones, 0 for unlabelled ones.
    """

    volume: Tensor
    mask: Tensor
    distance: Tensor
    weight: Tensor


def side_by_side(batch: Batch, unlabelled: Tensor) -> Supervision:
    """Return the labelled patches, then `unlabelled` ones, one of the batch's two versions of them, with weight 0."""
    blank = torch.zeros_like(unlabelled)
    return Supervision(
        torch.cat([batch.image, unlabelled]),
        torch.cat([batch.mask, blank]),
        torch.cat([batch.distance, blank]),
        torch.cat([batch.weight, blank]),
    )


@dataclass(frozen=True)
class PseudoLabels:
    """How a teacher's probability becomes a label.

    Attributes:
        soft: 0: the label is the mask of the largest component, as BCP's; 1: the probability itself, 0 in what that
            mask leaves out; between, a mixture.
        least_confidence: Voxels whose likelier class has a smaller probability do not count; 0: all count.
        confidence_power: Voxels count as |2 p - 1| to this power; 0: all alike.
    """

    soft: float = 0.0
    least_confidence: float = 0.0
    confidence_power: float = 0.0

    def of(self, probability: Tensor) -> tuple[Tensor, Tensor]:
        """Return targets and weights in 0..1 for a probability, (n, 1, z, y, x) all."""
        largest = torch.stack([_largest_component(one[0]) for one in probability])[:, None].to(probability.device)
        specks = (probability >= 0.5) & ~largest
        hard = largest.to(probability.dtype)
        target = hard if not self.soft else torch.lerp(hard, torch.where(specks, 0.0, probability), self.soft)
        surer = torch.maximum(probability, 1 - probability)
        weight = (surer >= self.least_confidence).to(probability.dtype)
        if self.confidence_power:
            weight = weight * (2 * surer - 1) ** self.confidence_power
        return target, weight


def pasted(batch: Batch, guess: Tensor, guess_weight: Tensor) -> Supervision:
    """Return the batch's `exchanged` patches with their labels: outside the box those of the one, inside the other's.

    Args:
        batch: As many labelled as unlabelled patches, and what they gave each other.
        guess: Labels of the unlabelled patches, in 0..1.
        guess_weight: How much each of those voxels counts.
    """
    guess, guess_weight, inside = guess.to(batch.mask), guess_weight.to(batch.weight), batch.box
    mask = torch.cat([_exchange(batch.mask, guess, inside), _exchange(guess, batch.mask, inside)])
    return Supervision(
        batch.exchanged,
        mask,
        torch.stack([_distance(one[0], batch.voxel_mm) for one in mask])[:, None].to(mask),
        torch.cat([_exchange(batch.weight, guess_weight, inside), _exchange(guess_weight, batch.weight, inside)]),
    )


def _exchange(outer: Tensor, inner: Tensor, inside: Tensor) -> Tensor:
    return torch.where(inside > 0, inner, outer)


def _largest_component(probability: Tensor) -> Tensor:
    labels, count = ndimage.label((probability >= 0.5).cpu().numpy())
    if count < 2:
        return torch.from_numpy(labels > 0)
    return torch.from_numpy(labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1)


def _distance(mask: Tensor, voxel_mm: tuple[float, float, float]) -> Tensor:
    """Return pi of a pasted mask: pasted distance maps would be wrong along the seam."""
    distance = signed_distance_mm((mask > 0.5).cpu().numpy(), voxel_mm)
    return normalised_distance(torch.from_numpy(distance))
