"""What the trainer needs to know of a training method, and what several methods use.

The fields of a method are the published hyper-parameters of its code. Ramps, which that code counts in iterations of a
run of 6000, are fractions of the run here, so that a run of any length has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from mtctl.networks.architecture import Architecture
from mtctl_train.data.sampler import Batch, Extras
from mtctl_train.distributed import current_team
from mtctl_train.networks.discriminator import Discriminator

Student = TypeVar("Student", bound=nn.Module)


@dataclass(frozen=True)
class Networks(Generic[Student]):
    """The networks of a run.

    Attributes:
        student: What is trained.
        teacher: Moving average of the student, in evaluation mode (but see `own_statistics`); never trained.
        critic: The discriminator; None unless the method has one.
    """

    student: Student
    teacher: Student
    critic: Discriminator | None


@dataclass(frozen=True)
class Objective:
    """The weighted terms to minimise, each a scalar: the student's and, where there is one, the critic's."""

    student: dict[str, Tensor]
    critic: Tensor | None = None


class Method(Protocol[Student]):
    """A training method: which network it trains, and what one step minimises.

    Attributes:
        has_critic: Whether it trains a discriminator.
        labelled_patches: Labelled patches a step, where `--batch` says nothing.
        extras: What it wants of a batch besides plain patches.
        uses_unlabelled: Whether unlabelled patches change what it learns.
        needs_unlabelled: Whether it is that method only with unlabelled scans.
        is_shipped: Whether its network is the `MTCTLNet` that models ship: only those get a locator and a calibration.
    """

    @property
    def has_critic(self) -> bool: ...

    @property
    def labelled_patches(self) -> int: ...

    @property
    def extras(self) -> Extras: ...

    @property
    def uses_unlabelled(self) -> bool: ...

    @property
    def needs_unlabelled(self) -> bool: ...

    @property
    def is_shipped(self) -> bool: ...

    def build(self, architecture: Architecture) -> Student:
        """Return a new network to train."""

    def build_critic(self) -> Discriminator | None:
        """Return a new discriminator, None where the method has none."""

    def run_all(self, network: Student, volume: Tensor, generator: torch.Generator) -> None:
        """Run every part of the network on volumes (n, 1, z, y, x) as in training, for its batch statistics."""

    def segmentation_logits(self, network: Student, image: Tensor) -> Tensor:
        """Return the logits of the mask for z-scored volumes, (n, 1, z, y, x) both, without dropout."""

    def objective(
        self, networks: Networks[Student], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        """Return the terms for one batch.

        Args:
            networks: The networks of the run.
            batch: This process's patches.
            progress: How much of the run is done, 0..1.
            generator: Draws everything random, such as dropout.
        """


def drawn(draw: Callable[..., list[Tensor]], part: int, groups: int, *arguments: torch.Generator) -> list[Tensor]:
    """Return this process's part of random tensors that every process draws alike for the whole team's batch.

    Args:
        draw: Called with the number of volumes and `arguments`; returns tensors with that first axis.
        part: Volumes of this process in each group.
        groups: 1: labelled patches alone; 2: labelled and unlabelled ones.
        arguments: What `draw` gets besides.
    """
    team = current_team()
    return [team.part_of(whole, groups) for whole in draw(groups * part * team.size, *arguments)]


@contextmanager
def own_statistics(network: nn.Module) -> Iterator[None]:
    """Let batch normalisation take the statistics of what it sees, without remembering them: a network "in train mode".

    Dropout is none of a module's here (masks are arguments), so that nothing else depends on the mode.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]
    before = [(layer, layer.training, layer.momentum) for layer in layers]
    try:
        for layer in layers:
            layer.train()
            layer.momentum = 0.0
        yield
    finally:
        for layer, training, momentum in before:
            layer.train(training)
            layer.momentum = momentum


def entropy(probability: Tensor) -> Tensor:
    """Return the entropy of a binary variable with that probability, in bits.

    The same as `mtctl.uncertainty.maps.binary_entropy`, for tensors.
    """
    p = probability.clamp(1e-6, 1 - 1e-6)
    return -(p * p.log() + (1 - p) * (1 - p).log()) / math.log(2)


def required(critic: Discriminator | None) -> Discriminator:
    """Return the critic of a method that has one."""
    assert critic is not None
    return critic
