"""What one training step computes: the paper's baselines and the locator, one small class each; MT-CTL: mtctl_method.

Fields are the published hyper-parameters of each method's code. Ramps, there counted in iterations of a run of 6000,
are shares of the run here, so that a run of any length has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from mtctl.networks.architecture import Architecture
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl_train.data.cases import Batch
from mtctl_train.distributed import team
from mtctl_train.methods.losses import (
    certain_below,
    consistency_loss,
    cross_entropy_loss,
    dice_loss,
    distance_loss,
    gaussian_ramp,
    squared_dice_loss,
)
from mtctl_train.networks.discriminator import Discriminator
from mtctl_train.networks.vnet import VNet
from mtctl_train.training.recipe import require

Student = TypeVar("Student", bound=MTCTLNet | VNet)

#: Share of the literature's 6000 iterations over which it ramps up: 40 "epochs" of 150, all of them.
_WHOLE_RUN = 1.0


@dataclass(frozen=True)
class Networks(Generic[Student]):
    """The networks of a run.

    Attributes:
        student: What is trained.
        teacher: Moving average of the student, in evaluation mode; never trained.
        critic: The discriminator; None unless the method has one.
    """

    student: Student
    teacher: Student
    critic: Discriminator | None


@dataclass(frozen=True)
class Objective:
    """The weighted terms to be minimised, each a scalar: the student's and, where there is one, the critic's."""

    student: dict[str, Tensor]
    critic: Tensor | None = None


class Method(Protocol[Student]):
    """What the trainer needs to know of a training method.

    Attributes:
        has_critic: Whether it trains a discriminator.
        needs_unlabelled: Whether it is that method only with unlabelled scans.
    """

    @property
    def has_critic(self) -> bool: ...

    @property
    def needs_unlabelled(self) -> bool: ...

    def build(self, architecture: Architecture) -> Student:
        """A new network to train."""

    def objective(
        self, networks: Networks[Student], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        """The terms for one batch; `progress` in 0..1 is how much of the run is done, `generator` draws dropout."""


@dataclass(frozen=True)
class VNetMethod:
    """V-Net on the labelled patches alone (Milletari 2016, as UA-MT's code trains it)."""

    has_critic: ClassVar[bool] = False
    needs_unlabelled: ClassVar[bool] = False

    def build(self, architecture: Architecture) -> VNet:
        return VNet(architecture.filters)

    def objective(
        self, networks: Networks[VNet], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        outputs = networks.student(batch.image, drawn(networks.student.masks, len(batch.image), 1, generator))
        return Objective(_supervised(outputs.segmentation, batch.mask))


@dataclass(frozen=True)
class UAMT:
    """Uncertainty-aware mean teacher (Yu et al. 2019).

    Attributes:
        consistency_weight: Of the agreement with the teacher, when ramped up.
        samples: T, Monte-Carlo dropout passes of the teacher; a student step costs four of them.
        noise: Standard deviation of what is added to the teacher's input, cut off at twice that.
    """

    consistency_weight: float = 0.1
    samples: int = 8
    noise: float = 0.1

    has_critic: ClassVar[bool] = False
    needs_unlabelled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self, 1, 1000, "samples")
        require(self, 0, math.inf, "consistency_weight", "noise")

    def build(self, architecture: Architecture) -> VNet:
        return VNet(architecture.filters)

    def objective(
        self, networks: Networks[VNet], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        labelled, unlabelled = len(batch.image), len(batch.unlabelled)
        volume = torch.cat([batch.image, batch.unlabelled])
        groups = 2 if unlabelled else 1
        logits = networks.student(volume, drawn(networks.student.masks, labelled, groups, generator)).segmentation
        if not unlabelled:  # A batch that the recipe's `unlabelled_share` leaves without.
            return Objective(_supervised(logits, batch.mask))
        with torch.no_grad():

            def teach() -> Tensor:
                noise = drawn(lambda n: [torch.randn((n, *volume.shape[1:]), generator=generator)], unlabelled, 1)[0]
                noisy = batch.unlabelled + (self.noise * noise).clamp(-2 * self.noise, 2 * self.noise).to(volume)
                masks = drawn(networks.teacher.masks, unlabelled, 1, generator)
                return torch.sigmoid(networks.teacher(noisy, masks).segmentation)

            taught = teach()
            uncertainty = entropy(torch.stack([teach() for _ in range(self.samples)]).mean(0))
        agreement = consistency_loss(
            torch.sigmoid(logits[labelled:]), taught, uncertainty, certain_below(progress / _WHOLE_RUN)
        )
        weight = self.consistency_weight * gaussian_ramp(progress / _WHOLE_RUN)
        return Objective({**_supervised(logits[:labelled], batch.mask), "consistency": weight * agreement})


@dataclass(frozen=True)
class SASSNet:
    """Shape-aware semi-supervision (Li et al. 2020): a distance head and a discriminator on its maps.

    Unlike its code (train_gan_sdfloss.py), where the adversarial weight rises over 40 "epochs" as UA-MT's does, ours is
    constant; and the discriminator learns from the maps of the student's own step, not from a second pass after it.

    Attributes:
        distance_weight: Of the distance map's error.
        adversarial_weight: 0.01 with 16 labels; its code takes 0.015 with 8.
    """

    distance_weight: float = 0.3
    adversarial_weight: float = 0.01

    has_critic: ClassVar[bool] = True
    needs_unlabelled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self, 0, math.inf, "distance_weight", "adversarial_weight")

    def build(self, architecture: Architecture) -> VNet:
        return VNet(architecture.filters)

    def objective(
        self, networks: Networks[VNet], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
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
        taken_for = critic(batch.unlabelled, f2[labelled:])
        told = critic(volume, f2.detach())
        origin = torch.cat([torch.ones(labelled), torch.zeros(len(volume) - labelled)]).to(told)
        return Objective(
            {
                **supervised,
                "adversarial": self.adversarial_weight
                * functional.binary_cross_entropy_with_logits(taken_for, torch.ones_like(taken_for)),
            },
            functional.binary_cross_entropy_with_logits(told, origin),
        )


@dataclass(frozen=True)
class Location:
    """The locator's objective: Dice and cross-entropy of the segmentation alone."""

    has_critic: ClassVar[bool] = False
    needs_unlabelled: ClassVar[bool] = False

    def build(self, architecture: Architecture) -> MTCTLNet:
        return MTCTLNet(architecture)

    def objective(
        self, networks: Networks[MTCTLNet], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        """The network's other decoders are not run."""
        logits = networks.student.segmentation_decoder(networks.student.encoder(batch.image)).float()
        return Objective(
            {
                "dice": dice_loss(torch.sigmoid(logits), batch.mask),
                "cross_entropy": cross_entropy_loss(logits, batch.mask),
            }
        )


def drawn(draw: Callable[..., list[Tensor]], part: int, groups: int, *arguments: torch.Generator) -> list[Tensor]:
    """This process's part of random tensors that are drawn for the whole team's batch, the same in every process.

    Args:
        draw: Called with the number of volumes and `arguments`; tensors with that first axis.
        part: Volumes of this process in each group.
        groups: Labelled alone, or labelled and unlabelled.
    """
    crew = team()
    return [crew.share(whole, groups) for whole in draw(groups * part * crew.size, *arguments)]


def entropy(probability: Tensor) -> Tensor:
    """Entropy of a yes-or-no with that probability, in bits; the tensors' `mtctl.uncertainty.maps.binary_entropy`."""
    p = probability.clamp(1e-6, 1 - 1e-6)
    return -(p * p.log() + (1 - p) * (1 - p).log()) / math.log(2)


def required(critic: Discriminator | None) -> Discriminator:
    """The critic of a method that has one."""
    assert critic is not None
    return critic


def _supervised(logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """0.5 (CE + Dice), of V-Net and UA-MT."""
    return {
        "dice": 0.5 * squared_dice_loss(torch.sigmoid(logits), mask),
        "cross_entropy": 0.5 * cross_entropy_loss(logits, mask),
    }
