"""Shape-aware semi-supervised segmentation, SASSNet (Li et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from mtctl_train.data.sampler import Batch
from mtctl_train.errors import require
from mtctl_train.methods.base import Networks, Objective, drawn, required
from mtctl_train.methods.losses import distance_loss, squared_dice_loss
from mtctl_train.methods.vnet import VNetBased
from mtctl_train.networks.vnet import VNet


@dataclass(frozen=True)
class SASSNet(VNetBased):
    """V-Net with a distance head and a discriminator on its maps.

    In its code (train_gan_sdfloss.py) the adversarial weight rises over 40 "epochs" as UA-MT's does; here it is
    constant. There the discriminator learns in a second pass after the student's step; here it learns from the maps of
    that step itself.

    Attributes:
        distance_weight: Weight of the distance map's error.
        adversarial_weight: Weight of the adversarial term; 0.01 with 16 labels, its code takes 0.015 with 8.
    """

    distance_weight: float = 0.3
    adversarial_weight: float = 0.01

    has_critic: ClassVar[bool] = True
    needs_unlabelled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self, 0, math.inf, "distance_weight", "adversarial_weight")

    def objective(
        self, networks: Networks[VNet], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        """Return Dice, distance and adversarial terms, and the discriminator's."""
        labelled, critic = len(batch.image), required(networks.critic)
        volume = torch.cat([batch.image, batch.unlabelled])
        groups = 2 if len(batch.unlabelled) else 1
        outputs = networks.student(volume, drawn(networks.student.masks, labelled, groups, generator))
        f1, f2 = torch.sigmoid(outputs.segmentation[:labelled]), outputs.distance
        supervised = {
            "dice": squared_dice_loss(f1, batch.mask),
            "distance": self.distance_weight * distance_loss(f2[:labelled], batch.distance),
        }
        if groups == 1:  # A batch that the recipe's `unlabelled_share` leaves without.
            return Objective(supervised)
        # The cross-entropy of "labelled or not", as published; the Geman-McClure form is MT-CTL's.
        judged_unlabelled = critic(batch.unlabelled, f2[labelled:])
        judged = critic(volume, f2.detach())
        origin = torch.cat([torch.ones(labelled), torch.zeros(len(volume) - labelled)]).to(judged)
        return Objective(
            {
                **supervised,
                "adversarial": self.adversarial_weight
                * functional.binary_cross_entropy_with_logits(judged_unlabelled, torch.ones_like(judged_unlabelled)),
            },
            functional.binary_cross_entropy_with_logits(judged, origin),
        )
