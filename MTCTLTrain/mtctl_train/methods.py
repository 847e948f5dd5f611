"""What one training step computes: one small class a method."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mtctl.network import MTCTLNet
from mtctl_train.dataset import Batch
from mtctl_train.losses import cross_entropy_loss, cross_task_loss, dice_loss, distance_loss, gaussian_ramp


@dataclass(frozen=True)
class SupervisedMTCTL:
    """The supervised part of MT-CTL, L_L: segmentation, uncertainty decoder, distance map, cross-task smoothing.

    Attributes:
        distance_weight: Weight of L_dis. One, not the 0.3 of SASSNet and DTC: in millimetres over
            `DISTANCE_SCALE_MM` a typical error of 2 mm costs 0.01, less than on their scale.
        cross_task_weight: Weight of L_cross-task when ramped up.
        ramp_share: Share of the run over which the cross-task weight rises.
    """

    distance_weight: float = 1.0
    cross_task_weight: float = 0.5
    ramp_share: float = 0.4

    def losses(self, network: MTCTLNet, batch: Batch, progress: float, generator: torch.Generator) -> dict[str, Tensor]:
        """The weighted terms of the objective, to be summed; `progress` in 0..1 is how much of the run is done."""
        labelled = len(batch.image)
        outputs = network(torch.cat([batch.image, batch.unlabelled]), generator)
        f1, f2 = torch.sigmoid(outputs.segmentation), outputs.distance
        logits, sample_logits = outputs.segmentation[:labelled], outputs.uncertainty[:labelled]
        ramp = self.cross_task_weight * gaussian_ramp(round(1000 * progress), round(1000 * self.ramp_share))
        return {
            "dice": dice_loss(f1[:labelled], batch.mask),
            "cross_entropy": cross_entropy_loss(logits, batch.mask),
            "uncertainty_dice": dice_loss(torch.sigmoid(sample_logits), batch.mask),
            "uncertainty_cross_entropy": cross_entropy_loss(sample_logits, batch.mask),
            "distance": self.distance_weight * distance_loss(f2[:labelled], batch.distance),
            # Over D, labelled and unlabelled scans alike: it needs no truth.
            "cross_task": ramp * cross_task_loss(f1, f2),
        }


@dataclass(frozen=True)
class Location:
    """The locator's objective: Dice and cross-entropy of the segmentation alone."""

    def losses(self, network: MTCTLNet, batch: Batch, progress: float, generator: torch.Generator) -> dict[str, Tensor]:
        """The terms of the objective, to be summed; the network's other decoders are not run."""
        logits = network.segmentation_decoder(network.encoder(batch.image)).float()
        return {
            "dice": dice_loss(torch.sigmoid(logits), batch.mask),
            "cross_entropy": cross_entropy_loss(logits, batch.mask),
        }
