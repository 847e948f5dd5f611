"""Bidirectional copy-paste (BCP, Bai et al. 2023): labelled and unlabelled scans exchange a box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from mtctl.networks.distance_map import normalised_distance, signed_distance_mm
from mtctl_train.data.sampler import Batch

#: The box takes two thirds of each axis, as BCP's.
_BOX_FRACTION = 2 / 3


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


def side_by_side(batch: Batch) -> Supervision:
    """Return the labelled patches, then the unlabelled ones with weight 0."""
    image, unlabelled = batch.image, batch.unlabelled
    blank = torch.zeros_like(unlabelled)
    return Supervision(
        torch.cat([image, unlabelled]),
        torch.cat([batch.mask, blank]),
        torch.cat([batch.distance, blank]),
        torch.cat([batch.weight, blank]),
    )


def pasted(batch: Batch, guess: Tensor, guess_weight: float, corners: Tensor) -> Supervision:
    """Exchange a box between each labelled patch and its unlabelled partner; return first the labelled patches.

    Args:
        batch: As many labelled as unlabelled patches.
        guess: The teacher's probability for the unlabelled patches; only its largest component is used.
        guess_weight: How much guessed voxels count.
        corners: (n, 3) in 0..1: where each pair's box lies; 0 and 1 are the ends of the room that it has.
    """
    inside = torch.zeros_like(batch.image)
    for index, corner in enumerate(corners.tolist()):
        inside[index, 0][_box(batch.image.shape[2:], corner)] = 1
    guessed = torch.stack([_largest_component(one[0]) for one in guess])[:, None].to(batch.mask)
    guessed_weight = torch.full_like(batch.weight, guess_weight)
    mask = torch.cat([_exchange(batch.mask, guessed, inside), _exchange(guessed, batch.mask, inside)])
    return Supervision(
        # The strongly varied scan: the teacher saw it as it is.
        torch.cat(
            [
                _exchange(batch.image, batch.unlabelled_varied, inside),
                _exchange(batch.unlabelled_varied, batch.image, inside),
            ]
        ),
        mask,
        torch.stack([_distance(one[0], batch.voxel_mm) for one in mask])[:, None].to(mask),
        torch.cat([_exchange(batch.weight, guessed_weight, inside), _exchange(guessed_weight, batch.weight, inside)]),
    )


def _exchange(outer: Tensor, inner: Tensor, inside: Tensor) -> Tensor:
    return torch.where(inside > 0, inner, outer)


def _box(shape: torch.Size, corner: list[float]) -> tuple[slice, slice, slice]:
    z, y, x = (
        slice(start := round(at * (n - round(n * _BOX_FRACTION))), start + round(n * _BOX_FRACTION))
        for n, at in zip(shape, corner, strict=True)
    )
    return z, y, x


def _largest_component(probability: Tensor) -> Tensor:
    labels, count = ndimage.label((probability >= 0.5).cpu().numpy())
    if count < 2:
        return torch.from_numpy(labels > 0)
    return torch.from_numpy(labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1)


def _distance(mask: Tensor, voxel_mm: tuple[float, float, float]) -> Tensor:
    """Return pi of a pasted mask: pasted distance maps would be wrong along the seam."""
    distance = signed_distance_mm((mask > 0.5).cpu().numpy(), voxel_mm)
    return normalised_distance(torch.from_numpy(distance))
