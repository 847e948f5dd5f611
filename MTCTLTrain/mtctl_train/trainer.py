"""The training loop: stages from coarse to fine, weight average, checkpoints, progress."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from mtctl.device import autocast, describe, place
from mtctl.errors import MtctlError
from mtctl.metrics import dice
from mtctl.network import STRIDE, Architecture, MTCTLNet
from mtctl.preprocess import NETWORK_SPACING, pad_to_multiple
from mtctl_train.checkpoint import Progress, load_checkpoint, save_checkpoint
from mtctl_train.dataset import Batch, Case, Sampler, Scan
from mtctl_train.losses import is_finite

#: Gradient norms of good runs stay under 100.
_LARGEST_NORM = 1e6

AnyCase = TypeVar("AnyCase", Case, Scan)
Report = Callable[[dict[str, Any]], None]


class TrainingError(MtctlError):
    """The run had to stop; the last checkpoint is good."""


class Method(Protocol):
    """What the trainer needs to know of a training method."""

    def losses(
        self, network: MTCTLNet, batch: Batch, progress: float, generator: torch.Generator
    ) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class Stage:
    """A part of the run at one resolution.

    Attributes:
        spacing: mm; 1.25 or 0.625. A 1.25 mm iteration costs an eighth of a 0.625 mm one.
        iterations: Optimiser steps.
        patch: (z, y, x) voxels, multiples of 16. Not 16 or 32 planes: oneDNN of torch 2.13 leaves garbage in the
            bfloat16 weight gradients of feature maps that are two planes deep.
        learning_rate: At the stage's start; falls to zero as (1 - t)^0.9 (poly).

    Raises:
        TrainingError: The patch does not suit the network.
    """

    spacing: float
    iterations: int
    patch: tuple[int, int, int]
    learning_rate: float

    def __post_init__(self) -> None:
        if any(side % STRIDE for side in self.patch) or self.patch[0] < 3 * STRIDE:
            raise TrainingError(
                f"a patch of {self.patch} voxels: each side must be a multiple of {STRIDE}, z at least 48"
            )


@dataclass(frozen=True)
class Recipe:
    """All settings of a run besides its cases.

    Attributes:
        stages: In order.
        architecture: Of the network.
        batch: Patches a step.
        weight_decay: AdamW's.
        average_decay: Of the exponential moving average of weights and batch-norm statistics, reached by a warm-up
            min(decay, (1 + i) / (10 + i)), so that the start is forgotten.
        phantom_share, paste_share: See `Sampler`.
        gradient_norm: Gradients are clipped to it.
        seed: Of everything random.
        checkpoint_seconds, validate_every: How often to save (s) and to measure validation Dice (iterations).
    """

    stages: tuple[Stage, ...]
    architecture: Architecture = Architecture()
    batch: int = 2
    weight_decay: float = 1e-2
    average_decay: float = 0.998
    phantom_share: float = 0.2
    paste_share: float = 0.3
    gradient_norm: float = 5.0
    seed: int = 0
    checkpoint_seconds: float = 180.0
    validate_every: int = 250

    @property
    def iterations(self) -> int:
        return sum(stage.iterations for stage in self.stages)

    def at(self, iteration: int) -> tuple[Stage, float]:
        """The stage that `iteration` belongs to and how far it is through it, 0..1."""
        for stage in self.stages:
            if iteration < stage.iterations:
                return stage, iteration / stage.iterations
            iteration -= stage.iterations
        raise IndexError("beyond the last stage")


class WeightAverage:
    """Exponential moving average of every floating-point tensor of a network, batch-norm statistics included."""

    def __init__(self, network: MTCTLNet, decay: float) -> None:
        self.decay = decay
        self.state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: MTCTLNet, iteration: int) -> None:
        decay = min(self.decay, (1 + iteration) / (10 + iteration))
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor, 1 - decay)
            else:
                self.state[name].copy_(tensor)


def train(
    recipe: Recipe,
    method: Method,
    labelled: Sequence[Case],
    unlabelled: Sequence[Scan],
    phantoms: Sequence[Case],
    validation: Sequence[Case],
    out: Path,
    device: torch.device,
    report: Report,
) -> dict[str, Tensor]:
    """Run `recipe` to its end, from the checkpoint in `out` where there is one.

    Args:
        labelled, unlabelled, phantoms, validation: Cases at `NETWORK_SPACING`, or, phantoms only, at twice that; those
            that do not reach a stage's resolution are left out of it. Validation cases are only measured, never
            chosen by.
        report: Called with every progress event, a JSON-ready dictionary with the key "event".

    Returns:
        The averaged weights of the last iteration.

    Raises:
        TrainingError: A loss is not a number.
        CheckpointError: `out` holds the checkpoint of a run with other settings or cases.
    """
    torch.manual_seed(recipe.seed)
    network = place(MTCTLNet(recipe.architecture), device)
    average = WeightAverage(network, recipe.average_decay)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=recipe.weight_decay)
    roles: dict[str, Sequence[Case] | Sequence[Scan]]
    roles = {"labelled": labelled, "unlabelled": unlabelled, "phantoms": phantoms, "validation": validation}
    cases = {role: [case.name for case in members] for role, members in roles.items()}
    settings = json.dumps({"recipe": dataclasses.asdict(recipe), "method": repr(method), **cases})
    done = load_checkpoint(out, settings, network, average.state, optimizer) or Progress(0, 0.0, settings)
    report({"event": "start", "iteration": done.iteration, "of": recipe.iterations, "device": describe(device)})

    began, saved, stage = time.monotonic() - done.seconds, time.monotonic(), None
    recent: dict[str, float] = {}
    for iteration in range(done.iteration, recipe.iterations):
        current, share = recipe.at(iteration)
        if current is not stage:
            stage, sampler = current, _sampler(recipe, current, labelled, unlabelled, phantoms)
            watched = [_at(case, stage.spacing) for case in validation]
            stage_began, stage_first = time.monotonic(), iteration
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * (1 - share) ** 0.9
        batch = _to(sampler.draw(iteration), device)
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + iteration)
        network.train()
        with autocast(device):
            losses = method.losses(network, batch, iteration / recipe.iterations, generator)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_norm)
        # Before the step: weights that are not numbers must never reach a checkpoint.
        if not is_finite(losses) or not norm < _LARGEST_NORM:
            raise TrainingError(
                f"the loss is not a number or its gradient explodes (norm {norm:.3g}) at iteration {iteration} "
                f"({_written(losses)}); the checkpoint in {out} is from before: lower the learning rate and resume"
            )
        optimizer.step()
        average.update(network, iteration)

        for name, value in losses.items():
            recent[name] = 0.95 * recent.get(name, float(value.detach())) + 0.05 * float(value.detach())
        finished = iteration + 1
        if finished % 10 == 0 or finished == recipe.iterations:
            per_iteration = (time.monotonic() - stage_began) / (finished - stage_first)
            report(
                {
                    "event": "progress",
                    "iteration": finished,
                    "of": recipe.iterations,
                    "losses": {name: round(value, 5) for name, value in recent.items()},
                    "seconds_left": round(_seconds_left(recipe, finished, per_iteration)),
                }
            )
        if watched and (finished % recipe.validate_every == 0 or finished == recipe.iterations):
            scores = validation_dice(recipe.architecture, average.state, watched, device)
            mean = sum(scores.values()) / len(scores)
            report({"event": "validation", "iteration": finished, "dice": round(mean, 4), "cases": scores})
        if time.monotonic() - saved > recipe.checkpoint_seconds or finished == recipe.iterations:
            saved = time.monotonic()
            save_checkpoint(out, Progress(finished, saved - began, settings), network, average.state, optimizer)
    return average.state


def validation_dice(
    architecture: Architecture, state: dict[str, Tensor], cases: Iterable[Case], device: torch.device
) -> dict[str, float]:
    """Dice of f1 >= 0.5 on each case at its own spacing, with the weights `state`."""
    network = MTCTLNet(architecture)
    network.load_state_dict(state)
    network = place(network, device).eval()
    scores = {}
    for case in cases:
        padded, inner = pad_to_multiple(case.image)
        with torch.no_grad(), autocast(device):
            volume = torch.from_numpy(padded)[None, None].to(device, memory_format=torch.channels_last_3d)
            logits = network.segmentation_decoder(network.encoder(volume))
        scores[case.name] = round(dice(logits[0, 0].float().cpu().numpy()[inner] >= 0, case.mask), 4)
    return scores


def _at(case: AnyCase, spacing: float) -> AnyCase:
    return case if case.spacing == spacing else case.coarse()


def _sampler(
    recipe: Recipe, stage: Stage, labelled: Sequence[Case], unlabelled: Sequence[Scan], phantoms: Sequence[Case]
) -> Sampler:
    return Sampler(
        labelled=[_at(case, stage.spacing) for case in labelled],
        unlabelled=[_at(scan, stage.spacing) for scan in unlabelled],
        phantoms=[_at(case, stage.spacing) for case in phantoms if case.spacing in (stage.spacing, NETWORK_SPACING)],
        patch=stage.patch,
        batch=recipe.batch,
        phantom_share=recipe.phantom_share,
        paste_share=recipe.paste_share,
        seed=recipe.seed,
    )


def _to(batch: Batch, device: torch.device) -> Batch:
    image, unlabelled = (
        tensor.to(device, memory_format=torch.channels_last_3d) for tensor in (batch.image, batch.unlabelled)
    )
    return Batch(image, batch.mask.to(device), batch.distance.to(device), unlabelled)


def _seconds_left(recipe: Recipe, finished: int, per_iteration: float) -> float:
    """Time of the remaining iterations; another stage's cost is taken in proportion to its patch."""
    left, seen = 0.0, 0
    voxels_now = _voxels(recipe.at(finished - 1)[0])
    for stage in recipe.stages:
        remaining = max(0, seen + stage.iterations - max(finished, seen))
        left += remaining * per_iteration * _voxels(stage) / voxels_now
        seen += stage.iterations
    return left


def _voxels(stage: Stage) -> int:
    return stage.patch[0] * stage.patch[1] * stage.patch[2]


def _written(losses: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {float(value.detach()):.4g}" for name, value in losses.items())
