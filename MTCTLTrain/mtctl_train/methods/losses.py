"""The losses of the paper, one small function each, in the order of its text, and those of its baselines.

Tensors are (n, 1, z, y, x). f1 is a probability, f2 the normalised signed distance; means are taken over voxels where
the paper writes sums, so that a loss does not depend on the patch size. `weight` says how much each voxel counts: 1
where an expert drew, less where a network predicted, 0 where the truth is unknown. Sums run over the team's whole
batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mtctl.networks.distance_map import mask_probability
from mtctl_train.distributed import total

#: Keeps the Dice loss finite when neither prediction nor truth has foreground; one voxel's worth.
_SMOOTH = 1.0

#: beta of Eq. 1: "we set beta = 0.5 in our experiment".
GEMAN_MCCLURE_BETA = 0.5


def dice_loss(f1: Tensor, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Return L_seg of the paper's section 2: 1 - 2 sum(f1 y) / (sum f1 + sum y).

    The sums run over the whole batch: a patch without foreground then still has a useful gradient.
    """
    return 1 - (2 * total((weight * f1 * target).sum()) + _SMOOTH) / (total((weight * (f1 + target)).sum()) + _SMOOTH)


def squared_dice_loss(f1: Tensor, target: Tensor) -> Tensor:
    """Return the Dice loss with squared denominators of UA-MT and SASSNet: 1 - 2 sum(f1 y) / (sum f1^2 + sum y^2)."""
    both = total((f1.square() + target.square()).sum())
    return 1 - (2 * total((f1 * target).sum()) + _SMOOTH) / (both + _SMOOTH)


def cross_entropy_loss(logits: Tensor, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Return the voxel-wise cross-entropy; not a term of the paper, but of its V-Net baseline (UA-MT's code).

    Dice alone rewards saturated probabilities, which leaves the uncertainty without meaning.
    """
    return _mean(functional.binary_cross_entropy_with_logits(logits, target, reduction="none"), weight)


def distance_loss(f2: Tensor, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Return L_dis of the paper's section 2: mean of |f2 - pi(y)|^2."""
    return _mean((f2 - target).square(), weight)


def cross_task_loss(f1: Tensor, f2: Tensor) -> Tensor:
    """Return L_cross-task of the paper's section 2 ("smoothing loss"): mean of |f1 - pi^-1(f2)|^2; needs no label."""
    return _mean((f1 - mask_probability(f2)).square(), 1.0)


def guidance_loss(f1: Tensor, f2: Tensor, uncertainty: Tensor, threshold: float) -> Tensor:
    """Return L_G of the paper's section 2: mean of |f1 - pi^-1(f2)|^2 over the voxels with U < t; 0 without any.

    Args:
        uncertainty: U, without gradient, in [0, 1].
        threshold: t, in the same unit.
    """
    return _mean((f1 - mask_probability(f2)).square(), (uncertainty < threshold).to(f1.dtype))


def consistency_loss(p: Tensor, teacher: Tensor, uncertainty: Tensor, threshold: float) -> Tensor:
    """Return the consistency loss of UA-MT: mean of |p - p_teacher|^2 over the voxels of which the teacher is sure.

    Args:
        p: Probability of the student.
        teacher: That of the teacher, without gradient.
        uncertainty: Entropy of the teacher's samples, in [0, 1].
        threshold: Below it the teacher counts as sure.
    """
    return _mean((p - teacher).square(), (uncertainty < threshold).to(p.dtype))


def critic_loss(labelled: Tensor, unlabelled: Tensor) -> Tensor:
    """Return L_adv-GM, Eq. 1, as the discriminator minimises it: labelled maps towards 0, unlabelled ones towards 1.

    Args:
        labelled, unlabelled: D's values, (n,) each, paired.
    """
    return _geman_mcclure(labelled.square() + (unlabelled - 1).square()).mean()


def adversarial_loss(unlabelled: Tensor) -> Tensor:
    """Return the network's side of Eq. 1: D of unlabelled maps towards 0, as if they were of labelled scans.

    Eq. 1 is the discriminator's objective alone. For the network its unlabelled term gets the opposite target, as in a
    least-squares GAN; its labelled term does not depend on what the network does with unlabelled scans.
    """
    return _geman_mcclure(unlabelled.square()).mean()


def gaussian_ramp(fraction: float) -> float:
    """Return exp(-5 (1 - t)^2) for t in 0..1: the ramp-up of UA-MT and DTC for terms that need a trained network."""
    return math.exp(-5 * (1 - min(max(fraction, 0.0), 1.0)) ** 2)


def certain_below(fraction: float) -> float:
    """Return UA-MT's threshold on the entropy, 3/4 + 1/4 ramp of its largest value: at the end few are excluded."""
    return 0.75 + 0.25 * gaussian_ramp(fraction)


def _geman_mcclure(squares: Tensor) -> Tensor:
    """Return x^2 / (2 beta + x^2): least squares for small x, never above 1 for outliers (Geman and McClure)."""
    return squares / (2 * GEMAN_MCCLURE_BETA + squares)


def _mean(values: Tensor, weight: Tensor | float) -> Tensor:
    """Return the weighted mean over the team's batch; 0, with zero gradients, where every weight is 0."""
    weights = torch.as_tensor(weight, dtype=values.dtype, device=values.device).expand_as(values)
    return total((weights * values).sum()) / total(weights.sum()).clamp_min(torch.finfo(values.dtype).tiny)
