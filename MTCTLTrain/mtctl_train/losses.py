"""The losses of the paper, one small function each, in the order of its text.

Tensors are (n, 1, z, y, x). f1 is a probability, f2 the normalised signed distance; means are taken over voxels where
the paper writes sums, so that a loss does not depend on the patch size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mtctl.distance_map import mask_probability

#: Keeps the Dice loss finite when neither prediction nor truth has foreground; one voxel's worth.
_SMOOTH = 1.0


def dice_loss(f1: Tensor, target: Tensor) -> Tensor:
    """L_seg, section 2: 1 - 2 sum(f1 y) / (sum f1 + sum y), over all voxels of the batch.

    The sums run over the whole batch: a patch without foreground then still has a useful gradient.
    """
    return 1 - (2 * (f1 * target).sum() + _SMOOTH) / (f1.sum() + target.sum() + _SMOOTH)


def cross_entropy_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Voxel-wise cross-entropy; not in the paper's sum, but in that of its V-Net baseline (UA-MT's code).

    Dice alone rewards saturated probabilities, which leaves the uncertainty without meaning.
    """
    return functional.binary_cross_entropy_with_logits(logits, target)


def distance_loss(f2: Tensor, target: Tensor) -> Tensor:
    """L_dis, section 2: mean of |f2 - pi(y)|^2."""
    return functional.mse_loss(f2, target)


def cross_task_loss(f1: Tensor, f2: Tensor) -> Tensor:
    """L_cross-task, section 2 ("smoothing loss"): mean of |f1 - pi^-1(f2)|^2; needs no label."""
    return functional.mse_loss(f1, mask_probability(f2))


def gaussian_ramp(step: int, length: int) -> float:
    """exp(-5 (1 - t)^2), t = step / length up to 1: the ramp-up of UA-MT and DTC for terms that need a sane network."""
    t = min(max(step / length, 0.0), 1.0) if length else 1.0
    return math.exp(-5 * (1 - t) ** 2)


def is_finite(losses: dict[str, Tensor]) -> bool:
    """Whether every named loss is a number."""
    return all(bool(torch.isfinite(value)) for value in losses.values())
