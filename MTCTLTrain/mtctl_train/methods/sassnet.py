"""Shape-aware semi-supervised segmentation, SASSNet (Li et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from mtctl_train.data.sampler import Batch, Extras
from mtctl_train.errors import require
from mtctl_train.methods.base import Networks, Objective, drawn, required
from mtctl_train.methods.losses import distance_loss, gaussian_ramp, squared_dice_loss
from mtctl_train.methods.vnet import VNetBased
from mtctl_train.networks.discriminator import Discriminator
from mtctl_train.networks.vnet import VNet


@dataclass(frozen=True)
class SASSNet(VNetBased):
    """V-Net with a distance head and a discriminator on its maps.

    The adversarial weight rises over the whole run, as over all 6000 iterations of its code (train_gan_sdfloss.py). The
    discriminator has its 64 filters and drops half the channels while it learns, not while the student does; it sees
    labelled and unlabelled patches that were varied alike.

    Differs from the published code:
    - The discriminator learns from the maps of the student's step; there from a second pass after that step, without
      dropout and with averaged batch statistics.
    - Distances are in a fixed unit of 20 mm, cut off at 1, positive inside; there the signed distance over its largest
      value in the patch, negative inside. The term's weight, 0.3, is the same.
    - One logit says "labelled or not"; there two, which with softmax are as much.

    Attributes:
        distance_weight: Weight of the distance map's error.
        adversarial_weight: Weight of the adversarial term at the end; 0.01 with 16 labels, 0.015 in print with 8.
        critic_filters: Filters of the discriminator's first level.
        critic_dropout: Its probability of dropping a channel.
    """

    distance_weight: float = 0.3
    adversarial_weight: float = 0.01
    critic_filters: int = 64
    critic_dropout: float = 0.5

    extras: ClassVar[Extras] = Extras(equal_streams=True)
    has_critic: ClassVar[bool] = True
    uses_unlabelled: ClassVar[bool] = True
    needs_unlabelled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self, 0, math.inf, "distance_weight", "adversarial_weight")
        require(self, 1, 1024, "critic_filters")
        require(self, 0, 0.99, "critic_dropout")

    def build_critic(self) -> Discriminator:
        """Return a new discriminator."""
        return Discriminator(self.critic_filters, self.critic_dropout)

    def objective(
        self, networks: Networks[VNet], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        """Return Dice, distance and adversarial terms, and the discriminator's."""
        labelled, critic = len(batch.image), required(networks.critic)
        volume = torch.cat([batch.image, batch.unlabelled_varied])
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
        judged_unlabelled = critic(batch.unlabelled_varied, f2[labelled:])
        judged = critic(volume, f2.detach(), drawn(critic.masks, labelled, groups, generator))
        origin = torch.cat([torch.ones(labelled), torch.zeros(len(volume) - labelled)]).to(judged)
        return Objective(
            {
                **supervised,
                "adversarial": self.adversarial_weight
                * gaussian_ramp(progress)
                * functional.binary_cross_entropy_with_logits(judged_unlabelled, torch.ones_like(judged_unlabelled)),
            },
            functional.binary_cross_entropy_with_logits(judged, origin),
        )
