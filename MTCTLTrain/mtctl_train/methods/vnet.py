"""V-Net (Milletari et al. 2016), and what all methods on its network share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mtctl.networks.architecture import Architecture
from mtctl_train.data.sampler import Batch
from mtctl_train.methods.base import Networks, Objective, drawn
from mtctl_train.methods.losses import cross_entropy_loss, squared_dice_loss
from mtctl_train.networks.vnet import VNet


class VNetBased:
    """The network of the baselines; for comparison only, so that it is never shipped."""

    is_shipped: ClassVar[bool] = False

    def build(self, architecture: Architecture) -> VNet:
        """Return a new network to train."""
        return VNet(architecture.filters)

    def segmentation_logits(self, network: VNet, image: Tensor) -> Tensor:
        """Return the logits of the mask, (n, 1, z, y, x) as `image`."""
        return network.segmentation_decoder(network.encoder(image))


@dataclass(frozen=True)
class VNetMethod(VNetBased):
    """V-Net on the labelled patches alone, as the code of UA-MT trains it."""

    has_critic: ClassVar[bool] = False
    needs_unlabelled: ClassVar[bool] = False

    def objective(
        self, networks: Networks[VNet], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        """Return Dice and cross-entropy of the labelled patches."""
        outputs = networks.student(batch.image, drawn(networks.student.masks, len(batch.image), 1, generator))
        return Objective(supervised_terms(outputs.segmentation, batch.mask))


def supervised_terms(logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Return the terms of 0.5 (cross-entropy + Dice), the supervised loss in UA-MT's code."""
    return {
        "dice": 0.5 * squared_dice_loss(torch.sigmoid(logits), mask),
        "cross_entropy": 0.5 * cross_entropy_loss(logits, mask),
    }
