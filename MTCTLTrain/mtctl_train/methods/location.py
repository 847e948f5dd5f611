"""The locator's objective: no method to choose, only `training.locator` uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from mtctl.networks.mtctl_net import MTCTLNet
from mtctl_train.data.sampler import Batch, Extras
from mtctl_train.methods.base import Networks, Objective
from mtctl_train.methods.losses import cross_entropy_loss, dice_loss
from mtctl_train.methods.mtctl import MTCTLNetBased


@dataclass(frozen=True)
class Location(MTCTLNetBased):
    """Dice and cross-entropy of the segmentation alone; the network's other decoders are not run."""

    has_critic: ClassVar[bool] = False
    uses_unlabelled: ClassVar[bool] = False
    needs_unlabelled: ClassVar[bool] = False
    is_shipped: ClassVar[bool] = False
    extras: ClassVar[Extras] = Extras()

    def objective(
        self, networks: Networks[MTCTLNet], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        """Return Dice and cross-entropy of the labelled patches."""
        logits = self.segmentation_logits(networks.student, batch.image).float()
        return Objective(
            {
                "dice": dice_loss(torch.sigmoid(logits), batch.mask),
                "cross_entropy": cross_entropy_loss(logits, batch.mask),
            }
        )
