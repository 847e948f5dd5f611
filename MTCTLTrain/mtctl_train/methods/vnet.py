"""V-Net (Milletari et al. 2016), and what all methods on its network share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mtctl.networks.architecture import Architecture
from mtctl_train.data.sampler import Batch, Extras
from mtctl_train.methods.base import Networks, Objective, drawn
from mtctl_train.methods.losses import cross_entropy_loss, squared_dice_loss
from mtctl_train.networks.discriminator import Discriminator
from mtctl_train.networks.vnet import VNet


class VNetBased:
    """The network of the baselines; for comparison only, so that it is never shipped.

    Differs from the published code, in all three:
    - Weights begin as He et al.'s; there as PyTorch's default.
    - Patches are turned by up to 20 degrees, scaled and warped a little; there turned by 90 degrees and mirrored.
    - Voxels of 1.25 x 1.25 x 2.5 mm and patches of 48 x 64 x 80 (z, y, x) unless --grid and --patch say otherwise;
      there 112 x 112 x 80 of the file's own voxels.
    - Targets are soft at the border (the fraction of a voxel inside the surface); there 0 or 1.
    - What is measured is the moving average (decay 0.99) of weights and batch statistics; there the last weights.
    - A whole scan goes through the network at once; there windows at a stride of 18 x 18 x 4 are averaged, and masks
      are left as they are, where ours are one solid piece.
    - Ramps and steps of the learning rate are fractions of the run, as there with 6000 iterations.
    """

    is_shipped: ClassVar[bool] = False
    labelled_patches: ClassVar[int] = 2
    extras: ClassVar[Extras] = Extras()

    def build(self, architecture: Architecture) -> VNet:
        """Return a new network to train."""
        return VNet(architecture.filters)

    def build_critic(self) -> Discriminator | None:
        """Return none."""
        return None

    def run_all(self, network: VNet, volume: Tensor, generator: torch.Generator) -> None:
        """Run the network on volumes as in training, for its batch statistics."""
        network(volume, network.masks(len(volume), generator))

    def segmentation_logits(self, network: VNet, image: Tensor) -> Tensor:
        """Return the logits of the mask, (n, 1, z, y, x) as `image`."""
        return network.segmentation_decoder(network.encoder(image))


@dataclass(frozen=True)
class VNetMethod(VNetBased):
    """V-Net on the labelled patches alone, as the code of UA-MT trains it: four of them a step, no unlabelled one."""

    labelled_patches: ClassVar[int] = 4
    has_critic: ClassVar[bool] = False
    uses_unlabelled: ClassVar[bool] = False
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
