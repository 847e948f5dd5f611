"""MT-CTL's training step (section 2 of the paper) and our additions to it, each with a weight of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from mtctl.networks.architecture import Architecture
from mtctl.networks.mtctl_net import MTCTLNet, UncertaintyDecoder
from mtctl_train.data.copy_paste import PseudoLabels, Supervision, pasted, side_by_side
from mtctl_train.data.sampler import Batch, Extras
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
from mtctl_train.networks.discriminator import Discriminator


class MTCTLNetBased:
    """The network of MT-CTL, for the methods that train it or a part of it."""

    labelled_patches: ClassVar[int] = 2

    def build_critic(self) -> Discriminator | None:
        """Return none."""
        return None

    def run_all(self, network: MTCTLNet, volume: Tensor, generator: torch.Generator) -> None:
        """Run the encoder and the three decoders on volumes as in training, for their batch statistics."""
        network(volume, generator)

    def build(self, architecture: Architecture) -> MTCTLNet:
        """Return a new network to train."""
        return MTCTLNet(architecture)

    def segmentation_logits(self, network: MTCTLNet, image: Tensor) -> Tensor:
        """Return the logits of f1, (n, 1, z, y, x) as `image`."""
        return network.segmentation_decoder(network.encoder(image))


@dataclass(frozen=True)
class MTCTL(MTCTLNetBased):
    """The paper's objective. The weights that it does not print are those of the code that it builds on.

    No code of the paper is public; its text is followed. Where it is silent:
    - Weights, ramps, the optimiser and its steps are UA-MT's, SASSNet's and DTC's.
    - Eq. 1 is the discriminator's objective alone; the network gets the opposite target for unlabelled scans. The
      discriminator is SASSNet's with a quarter of its filters and without dropout (`critic_filters`, `critic_dropout`).
    - The narrow uncertainty decoder, soft targets, patches, voxels and what is measured: as in the baselines' list.
    What is our addition has a number that switches it; 0 is the paper's form.

    Attributes:
        distance_weight: Weight of L_dis; 0.3 in SASSNet and DTC.
        cross_task_weight: Weight of L_cross-task when ramped up; 1 in DTC.
        guidance_weight: Weight of L_G when ramped up; the same as L_cross-task's.
        adversarial_weight: Weight of L_adv-GM, constant here; 0.01 in SASSNet with 16 labels, whose code ramps it up.
            Where it is on, labelled and unlabelled patches are varied alike.
        critic_filters: Filters of the discriminator's first level; SASSNet's 64 cost as much as the network.
        critic_dropout: Probability that the discriminator drops a channel while it learns; 0.5 in SASSNet.
        samples: N Monte-Carlo samples that the guidance takes its uncertainty from; the paper does not say how many.
        ramp_share: Fraction of the run over which the unsupervised terms rise, after `pretraining_share`.
        guidance_threshold: t of the guidance, in bits, so from 0 to 1; 0: UA-MT's, which rises from 0.75 to 1 and
            leaves out hardly a voxel.
        cross_entropy_weight: Our addition. Weight of the voxel-wise cross-entropy beside Dice, in both decoders.
        different_views: Our addition. Share of the cross-task and guidance terms that compares f1 of one variation of a
            patch with f2 of another; the rest compares both of the same, where they agree anyway.
        copy_paste_weight: Our addition. Weight of voxels that the averaged network labelled, in bidirectional
            copy-paste, once it has risen as the other unsupervised terms; 0: labelled and unlabelled patches stay
            apart, and no label is predicted. BCP: 0.5 at once, after a supervised start.
        soft_labels: Our addition. See `PseudoLabels.soft`; 0: hard ones, as BCP's.
        least_confidence: Our addition. See `PseudoLabels`; 0: all predicted labels count.
        confidence_power: Our addition. See `PseudoLabels`; 0: they count alike.
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
    guidance_threshold: float = 0.0
    different_views: float = 0.0
    soft_labels: float = 0.0
    least_confidence: float = 0.0
    confidence_power: float = 0.0
    critic_filters: int = 16
    critic_dropout: float = 0.0

    is_shipped: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self, 1, 1000, "samples")
        require(self, 1e-6, math.inf, "ramp_share")
        shares = ("pretraining_share", "guidance_threshold", "different_views", "soft_labels", "least_confidence")
        require(self, 0, 1, *shares)
        require(self, 0, 100, "confidence_power")
        require(self, 1, 1024, "critic_filters")
        require(self, 0, 0.99, "critic_dropout")
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

    @property
    def uses_unlabelled(self) -> bool:
        """Whether a term is on that needs no label."""
        return self.needs_unlabelled or self.cross_task_weight > 0 or self.guidance_weight > 0

    @property
    def extras(self) -> Extras:
        """Patches in two variations, patches that exchanged a box, equal variation for the discriminator."""
        return Extras(self.adversarial_weight > 0, self.different_views > 0, self.copy_paste_weight > 0)

    def build_critic(self) -> Discriminator | None:
        """Return a new discriminator, None where the adversarial term is off."""
        return Discriminator(self.critic_filters, self.critic_dropout) if self.has_critic else None

    def objective(
        self, networks: Networks[MTCTLNet], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        """Return the terms of the paper's section 2 and ours; without a weight a term is not computed."""
        if progress < self.pretraining_share:
            batch = batch.labelled_only()
        labelled, unlabelled = len(batch.image), len(batch.unlabelled)
        ramp = gaussian_ramp((progress - self.pretraining_share) / self.ramp_share)
        truth = self._supervision(networks.teacher, batch, self.copy_paste_weight * ramp)
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
        compared = self._compared(network, f2, batch.second)
        if self.cross_task_weight:
            # Over D, labelled and unlabelled scans alike: it needs no truth.
            cross_task = sum_of(share * cross_task_loss(f1, other) for share, other in compared)
            terms["cross_task"] = self.cross_task_weight * ramp * cross_task
        if uncertainty is not None:
            below = self.guidance_threshold or certain_below(progress)
            guidance = sum_of(share * guidance_loss(f1, other, uncertainty, below) for share, other in compared)
            terms["guidance"] = self.guidance_weight * ramp * guidance
        if not (self.adversarial_weight and unlabelled):
            return Objective(terms)
        critic = required(networks.critic)
        ours, theirs = truth.volume[:labelled], truth.volume[labelled:]
        terms["adversarial"] = self.adversarial_weight * adversarial_loss(critic(theirs, f2[labelled:]))
        fixed = f2.detach()
        if not self.critic_dropout:
            return Objective(terms, critic_loss(critic(ours, fixed[:labelled]), critic(theirs, fixed[labelled:])))
        masks = drawn(critic.masks, labelled, 2, generator)
        first, second = [mask[:labelled] for mask in masks], [mask[labelled:] for mask in masks]
        judged = critic(ours, fixed[:labelled], first), critic(theirs, fixed[labelled:], second)
        return Objective(terms, critic_loss(*judged))

    def _compared(self, network: MTCTLNet, f2: Tensor, second: Tensor) -> list[tuple[float, Tensor]]:
        """Return the maps that f1 should agree with, and with which share: f2, and f2 of other variations."""
        same = 1 - self.different_views if len(second) else 1.0
        compared = [(same, f2)] if same else []
        if len(second) and self.different_views:
            other = torch.tanh(network.distance_decoder(network.encoder(second)).float())
            compared.append((self.different_views, other))
        return compared

    def _supervision(self, teacher: MTCTLNet, batch: Batch, guess_weight: float) -> Supervision:
        """Return the volumes to train on and their targets, mixed by copy-paste where that has a weight."""
        if not (self.copy_paste_weight and len(batch.unlabelled)):
            # The discriminator must not learn which patches were varied. The other terms see unlabelled ones as they
            # are, unless f2 is compared between variations.
            varied = self.has_critic or self.different_views > 0
            return side_by_side(batch, batch.unlabelled_varied if varied else batch.unlabelled)
        with torch.no_grad():
            probability = torch.sigmoid(teacher.segmentation_decoder(teacher.encoder(batch.unlabelled)).float())
        labels = PseudoLabels(self.soft_labels, self.least_confidence, self.confidence_power)
        guess, confidence = labels.of(probability)
        return pasted(batch, guess, guess_weight * confidence)

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


#: The terms of the shipped models: f1, f2 and their agreement, without guidance and discriminator. Of unlabelled scans
#: only the agreement learns.
CROSS_TASK = MTCTL(
    distance_weight=1.0,
    cross_task_weight=0.5,
    guidance_weight=0.0,
    adversarial_weight=0.0,
    ramp_share=0.4,
    cross_entropy_weight=1.0,
)

#: To learn from unlabelled scans: a supervised start of a third, then soft labels of the averaged network, weighted by
#: its confidence, in patches that exchange boxes, and f1 against f2 of another variation. Not measured in a long run
#: yet.
SEMI_SUPERVISED = replace(
    CROSS_TASK,
    guidance_weight=0.5,
    guidance_threshold=0.4,
    pretraining_share=1 / 3,
    ramp_share=0.25,
    different_views=1.0,
    copy_paste_weight=0.5,
    soft_labels=1.0,
    confidence_power=1.0,
)


def sum_of(terms: Iterable[Tensor]) -> Tensor:
    """Return the sum of at least one scalar; one alone is itself, bit for bit."""
    first, *others = terms
    for other in others:
        first = first + other
    return first
