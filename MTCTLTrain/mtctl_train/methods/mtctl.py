"""MT-CTL's training step (section 2 of the paper) and our additions to it, each with a weight of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mtctl.networks.architecture import Architecture
from mtctl.networks.mtctl_net import MTCTLNet, UncertaintyDecoder
from mtctl_train.data.copy_paste import Supervision, pasted, side_by_side
from mtctl_train.data.sampler import Batch
from mtctl_train.errors import require
from mtctl_train.methods.base import Networks, Objective, drawn, entropy, required
from mtctl_train.methods.early_backward import with_early_backward
from mtctl_train.methods.losses import (
    adversarial_loss,
    certain_below,
    critic_loss,
    cross_entropy_loss,
    cross_task_loss,
    dice_loss,
    distance_loss,
    gaussian_ramp,
    guidance_loss,
)


class MTCTLNetBased:
    """The network of MT-CTL, for the methods that train it or a part of it."""

    def build(self, architecture: Architecture) -> MTCTLNet:
        """Return a new network to train."""
        return MTCTLNet(architecture)

    def segmentation_logits(self, network: MTCTLNet, image: Tensor) -> Tensor:
        """Return the logits of f1, (n, 1, z, y, x) as `image`."""
        return network.segmentation_decoder(network.encoder(image))


@dataclass(frozen=True)
class MTCTL(MTCTLNetBased):
    """The paper's objective. The weights that it does not print are those of the code that it builds on.

    Attributes:
        distance_weight: Weight of L_dis; 0.3 in SASSNet and DTC.
        cross_task_weight: Weight of L_cross-task when ramped up; 1 in DTC.
        guidance_weight: Weight of L_G when ramped up; the same as L_cross-task's.
        adversarial_weight: Weight of L_adv-GM, constant here; 0.01 in SASSNet with 16 labels, whose code ramps it up.
        samples: N Monte-Carlo samples that the guidance takes its uncertainty from; the paper does not say how many.
        ramp_share: Fraction of the run over which the unsupervised terms rise.
        cross_entropy_weight: Our addition. Weight of the voxel-wise cross-entropy beside Dice, in both decoders.
        copy_paste_weight: Our addition. Weight of voxels that the averaged network labelled, in bidirectional
            copy-paste; 0: labelled and unlabelled patches stay apart, and no label is predicted.
        pretraining_share: Our addition. Fraction of the run, from its start, that sees labelled patches alone; the
            sampler's copy-paste among them goes on.
    """

    distance_weight: float = 0.3
    cross_task_weight: float = 1.0
    guidance_weight: float = 1.0
    adversarial_weight: float = 0.01
    samples: int = 4
    ramp_share: float = 1.0
    cross_entropy_weight: float = 0.0
    copy_paste_weight: float = 0.0
    pretraining_share: float = 0.0

    is_shipped: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self, 1, 1000, "samples")
        require(self, 1e-6, math.inf, "ramp_share")
        require(self, 0, 1, "pretraining_share")
        weights = ("distance", "cross_task", "guidance", "adversarial", "cross_entropy", "copy_paste")
        require(self, 0, math.inf, *(f"{name}_weight" for name in weights))

    @property
    def has_critic(self) -> bool:
        """Whether the adversarial term is on."""
        return self.adversarial_weight > 0

    @property
    def needs_unlabelled(self) -> bool:
        """Whether discriminator or copy-paste is on; all other terms do without unlabelled scans."""
        return self.has_critic or self.copy_paste_weight > 0

    def objective(
        self, networks: Networks[MTCTLNet], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        """Return the terms of the paper's section 2 and ours; without a weight a term is not computed."""
        if progress < self.pretraining_share:
            batch = batch.labelled_only()
        labelled, unlabelled = len(batch.image), len(batch.unlabelled)
        truth = self._supervision(networks.teacher, batch, generator)
        network = networks.student
        features = network.encoder(truth.volume)
        sampled, uncertainty = self._samples(network.uncertainty_decoder, features, truth, labelled, generator)
        logits = network.segmentation_decoder(features).float()
        f2 = torch.tanh(network.distance_decoder(features).float())
        f1 = torch.sigmoid(logits)

        terms = {
            "dice": dice_loss(f1, truth.mask, truth.weight),
            "uncertainty": sampled,
            "distance": self.distance_weight * distance_loss(f2, truth.distance, truth.weight),
        }
        if self.cross_entropy_weight:
            terms["cross_entropy"] = self.cross_entropy_weight * cross_entropy_loss(logits, truth.mask, truth.weight)
        ramp = gaussian_ramp((progress - self.pretraining_share) / self.ramp_share)
        if self.cross_task_weight:
            # Over D, labelled and unlabelled scans alike: it needs no truth.
            terms["cross_task"] = self.cross_task_weight * ramp * cross_task_loss(f1, f2)
        if uncertainty is not None:
            guidance = guidance_loss(f1, f2, uncertainty, certain_below(progress))
            terms["guidance"] = self.guidance_weight * ramp * guidance
        if not (self.adversarial_weight and unlabelled):
            return Objective(terms)
        critic = required(networks.critic)
        ours, theirs = truth.volume[:labelled], truth.volume[labelled:]
        terms["adversarial"] = self.adversarial_weight * adversarial_loss(critic(theirs, f2[labelled:]))
        fixed = f2.detach()
        return Objective(terms, critic_loss(critic(ours, fixed[:labelled]), critic(theirs, fixed[labelled:])))

    def _supervision(self, teacher: MTCTLNet, batch: Batch, generator: torch.Generator) -> Supervision:
        """Return the volumes to train on and their targets, mixed by copy-paste where that has a weight."""
        if not (self.copy_paste_weight and len(batch.unlabelled)):
            return side_by_side(batch)
        with torch.no_grad():
            guess = torch.sigmoid(teacher.segmentation_decoder(teacher.encoder(batch.unlabelled)).float())
        corners = drawn(lambda n: [torch.rand((n, 3), generator=generator)], len(batch.image), 1)[0]
        return pasted(batch, guess, self.copy_paste_weight, corners)

    def _samples(
        self, decoder: UncertaintyDecoder, features: list[Tensor], truth: Supervision, part: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Return the loss of one Monte-Carlo sample and, for the guidance, U: entropy of the samples' mean, in bits."""
        groups = len(truth.volume) // part
        projected = decoder.project(features)
        masks = drawn(decoder.masks, part, groups, generator)

        def loss(projected: list[Tensor]) -> Tensor:
            sample = decoder.sample(projected, masks).float()
            overlap = dice_loss(torch.sigmoid(sample), truth.mask, truth.weight)
            if not self.cross_entropy_weight:
                return overlap
            return overlap + self.cross_entropy_weight * cross_entropy_loss(sample, truth.mask, truth.weight)

        # A tenth of a step's memory, which nothing else needs while the two wide decoders run.
        sampled = with_early_backward(loss, projected, decoder.decoder.parameters())
        if not self.guidance_weight:
            return sampled, None
        with torch.no_grad():
            total = torch.zeros((), device=sampled.device)
            for _ in range(self.samples):
                masks = drawn(decoder.masks, part, groups, generator)
                total = total + torch.sigmoid(decoder.sample(projected, masks).float())
        return sampled, entropy(total / self.samples)


#: Ours: the terms of the shipped models. Copy-paste with unlabelled scans is off: on cases 67-80 it cost 9.3 Dice
#: points in 400 iterations from scratch and 0.3 in 300 from a good network (Testing/benchmarks/RESULTS.md).
BEST = MTCTL(
    distance_weight=1.0,
    cross_task_weight=0.5,
    guidance_weight=0.0,
    adversarial_weight=0.0,
    ramp_share=0.4,
    cross_entropy_weight=1.0,
)
