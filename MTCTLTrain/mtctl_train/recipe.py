"""All settings of a run besides its cases and its method."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import nn

from mtctl.geometry import Triple
from mtctl.networks.architecture import STRIDE, Architecture
from mtctl.preprocessing.network_grid import GRID_MM
from mtctl_train.errors import TrainingError, require

#: Of a run that is to last some time, however short: fewer are no training.
FEWEST_ITERATIONS = 20


@dataclass(frozen=True)
class Stage:
    """A part of the run.

    Attributes:
        iterations: Optimiser steps.
        patch: (z, y, x) voxels, multiples of 16. Not 16 or 32 planes: oneDNN of torch 2.13 leaves garbage in the
            bfloat16 weight gradients of feature maps that are two planes deep.
        learning_rate: Learning rate at the stage's start; `Recipe.optimisation` says how it falls.

    Raises:
        TrainingError: The patch does not suit the network.
    """

    iterations: int
    patch: tuple[int, int, int]
    learning_rate: float

    def __post_init__(self) -> None:
        if any(side % STRIDE or side < STRIDE for side in self.patch) or self.patch[0] < 3 * STRIDE:
            raise TrainingError(
                f"a patch of {self.patch} voxels: each side must be a multiple of {STRIDE}, z at least 48"
            )
        require(self, 0, math.inf, "iterations")
        require(self, 0, 10, "learning_rate")


@dataclass(frozen=True)
class AdamWPoly:
    """AdamW, its rate falling to zero as (1 - t)^0.9: better than SGD with steps in a short run.

    Attributes:
        usual_rate: The rate to begin a training from scratch with.
        weight_decay: AdamW's decoupled weight decay.
        warm_up: Fraction of a stage over which the rate rises. Adam's first steps move every weight by the whole rate,
            which spoils weights that were good.
    """

    weight_decay: float = 1e-2
    warm_up: float = 0.0

    usual_rate: ClassVar[float] = 1e-3

    def __post_init__(self) -> None:
        require(self, 0, 1, "weight_decay", "warm_up")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, weight_decay=self.weight_decay)

    def rate(self, first: float, fraction: float) -> float:
        """Return the rate at `fraction` of a stage that begins with `first`."""
        rising = min((fraction + 1e-3) / self.warm_up, 1.0) if self.warm_up else 1.0
        return rising * first * (1 - fraction) ** 0.9


@dataclass(frozen=True)
class SGDSteps:
    """The literature's SGD: momentum 0.9, a tenth of the rate after 2500 and again after 5000 of 6000 iterations."""

    weight_decay: float = 1e-4
    momentum: float = 0.9

    usual_rate: ClassVar[float] = 1e-2

    def __post_init__(self) -> None:
        require(self, 0, 1, "weight_decay", "momentum")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, momentum=self.momentum, weight_decay=self.weight_decay)

    def rate(self, first: float, fraction: float) -> float:
        """Return the rate at `fraction` of a stage that begins with `first`."""
        return first * 0.1 ** int(fraction * 6000 / 2500)


@dataclass(frozen=True)
class Recipe:
    """All settings of a run besides its cases and its method.

    Attributes:
        stages: The stages in order.
        grid_mm: Size (x, y, z) of the voxels that the network sees, mm.
        architecture: Architecture of the network.
        batch: Labelled patches a step, of all processes together; as many unlabelled ones where there are such scans.
        optimisation: Optimiser and fall of its rate.
        average_decay: Decay of the exponential moving average of weights and batch-norm statistics, reached by a
            warm-up min(decay, (1 + i) / (10 + i)), so that the start is forgotten. The average is teacher and result.
        average_warm_up: The 10 in that; 1: no warm-up, the average starts from the weights that were handed in.
        phantom_share, paste_share, intensity_share, unlabelled_share, replay_share: See `Sampler`.
        anchor: Pull of every weight back to where it started (L2-SP, Li et al. 2018), decoupled from the gradient as
            AdamW's decay is: a step moves it by the learning rate times `anchor` of the way.
        base_share: Fraction of the weights that the run started from in those that it ends with (WiSE-FT, Wortsman et
            al. 2022): what a short run on varied scans forgot comes back.
        statistics_batches: Batches of unvaried real patches from which the result's batch statistics are estimated anew
            when the run is over; 0: those of the moving average stay.
        least_case_score: Unlabelled scans whose predicted Dice by the run's `--base` model is lower are left out; 0:
            none is, and nothing is predicted.
        gradient_norm: Gradients are clipped to this norm.
        seed: Seed of everything random.
        checkpoint_seconds, validate_every: How often to save (s) and to measure validation Dice (iterations).
        seconds: How long the run is to last; its iterations are set once a few steps were timed (`fitted`). None: as
            many as the stages say.
    """

    stages: tuple[Stage, ...]
    grid_mm: Triple = GRID_MM
    architecture: Architecture = Architecture()
    batch: int = 2
    optimisation: AdamWPoly | SGDSteps = AdamWPoly()
    average_decay: float = 0.998
    average_warm_up: float = 10.0
    phantom_share: float = 0.2
    paste_share: float = 0.3
    intensity_share: float = 1.0
    unlabelled_share: float = 1.0
    replay_share: float = 0.0
    anchor: float = 0.0
    base_share: float = 0.0
    statistics_batches: int = 0
    least_case_score: float = 0.0
    gradient_norm: float = 5.0
    seed: int = 0
    checkpoint_seconds: float = 180.0
    validate_every: int = 250
    seconds: float | None = None

    def __post_init__(self) -> None:
        require(self, 1, math.inf, "batch", "average_warm_up", "validate_every")
        shares = ("phantom_share", "paste_share", "intensity_share", "unlabelled_share", "replay_share", "base_share")
        require(self, 0, 1, "least_case_score")
        require(self, 0, 100_000, "statistics_batches")
        require(self, 0, 1, "average_decay", *shares)
        require(self, 0, math.inf, "anchor", "gradient_norm", "checkpoint_seconds")
        require(self, 0, 2**31, "seed")

    @property
    def iterations(self) -> int:
        return sum(stage.iterations for stage in self.stages)

    def at(self, iteration: int) -> tuple[Stage, float]:
        """Return the stage that `iteration` belongs to and how much of it is done, 0..1."""
        for stage in self.stages:
            if iteration < stage.iterations:
                return stage, iteration / stage.iterations
            iteration -= stage.iterations
        raise IndexError("beyond the last stage")

    def with_iterations(self, iterations: Sequence[int]) -> Recipe:
        """Return the recipe with other numbers of iterations, one for each stage."""
        pairs = zip(self.stages, iterations, strict=True)
        return replace(self, stages=tuple(replace(stage, iterations=count) for stage, count in pairs))

    def fitted(self, finished: int, per_iteration: float, spent: float) -> Recipe:
        """Return the recipe with as many iterations as fit into `seconds`, at least 20; all stages are stretched alike.

        Args:
            finished: Iterations done, of the first stage.
            per_iteration: Seconds that one of them took.
            spent: Seconds that the run has taken so far.
        """
        if self.seconds is None:
            return self
        stretch = max(self.seconds - spent, 0.0) / max(self.seconds_left(finished, per_iteration), 1e-9)
        first, *others = (stage.iterations for stage in self.stages)
        first = max(finished + round((first - finished) * stretch), FEWEST_ITERATIONS)
        return self.with_iterations([first, *(max(round(count * stretch), 1) for count in others)])

    def seconds_left(self, finished: int, per_iteration: float) -> float:
        """Return the time of the remaining iterations; another stage's cost is taken in proportion to its patch."""
        left, seen = 0.0, 0
        voxels_now = _voxels(self.at(finished - 1)[0])
        for stage in self.stages:
            remaining = max(0, seen + stage.iterations - max(finished, seen))
            left += remaining * per_iteration * _voxels(stage) / voxels_now
            seen += stage.iterations
        return left


#: Of MT-CTL in our form; without stages.
OURS = Recipe(())

#: That of the published methods: UA-MT's code, from which the others were made. Gradients are not clipped: no good run
#: reaches that norm. Unlike there, patches are not mirrored or turned by 90 degrees but turned, scaled and warped a
#: little, as ours (see `augmentation`), and what is measured is the moving average, the last hundred steps or so.
PUBLISHED = Recipe(
    (),
    optimisation=SGDSteps(),
    average_decay=0.99,
    phantom_share=0.0,
    paste_share=0.0,
    intensity_share=0.0,
    gradient_norm=1e6,
)


def _voxels(stage: Stage) -> int:
    return stage.patch[0] * stage.patch[1] * stage.patch[2]
