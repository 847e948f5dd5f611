"""The training loop, one for all methods: stages, weight average, checkpoints, progress."""

from __future__ import annotations

import dataclasses
import json
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mtctl.networks.device import describe
from mtctl.system.interrupts import check
from mtctl_train.data.cases import Scan, TrainingCase
from mtctl_train.data.sampler import Sampler
from mtctl_train.distributed import average_values, current_team
from mtctl_train.errors import TrainingError
from mtctl_train.methods.base import Method, Student
from mtctl_train.recipe import Recipe, Stage
from mtctl_train.training.checkpoint import CHECKPOINT, TrainingProgress, load_checkpoint, save_checkpoint
from mtctl_train.training.divergence import Watch
from mtctl_train.training.monitor import Monitor
from mtctl_train.training.speed import StepTimes
from mtctl_train.training.statistics import estimate_statistics
from mtctl_train.training.step import TrainingState
from mtctl_train.training.validation import Predictor, picture_of, validation_dice

#: After so many steps the speed of a run is known well enough to say how many of them fit into the time that it has.
_TIMED_STEPS = 8


class Source(Protocol):
    """Where the cases of a run come from.

    Attributes:
        validation: Only measured, never chosen by.
    """

    @property
    def validation(self) -> Sequence[TrainingCase]: ...

    def names(self) -> dict[str, list[str]]:
        """Return case names by role and what else tells these cases from others; a run resumes only with the same."""

    def sampler(self, recipe: Recipe, stage: Stage) -> Sampler:
        """Return the stream of batches of a stage."""


@dataclass(frozen=True)
class Cohort:
    """The cases of a run, all on the grid of its recipe.

    Attributes:
        validation: Only measured, never chosen by.
    """

    labelled: Sequence[TrainingCase]
    unlabelled: Sequence[Scan] = ()
    phantoms: Sequence[TrainingCase] = ()
    validation: Sequence[TrainingCase] = ()

    def names(self) -> dict[str, list[str]]:
        """Return case names by role, and checksums of their voxels: files of these names may have changed."""
        names = {name: [case.name for case in getattr(self, name)] for name in vars(self)}
        voxels = [array for case in self.labelled for array in (case.image, case.distance_mm)]
        voxels += [scan.image for scan in self.unlabelled]
        return names | {"voxels": [f"{zlib.crc32(np.ascontiguousarray(array).data):08x}" for array in voxels]}

    def sampler(self, recipe: Recipe, stage: Stage) -> Sampler:
        """Return the stream of batches of a stage."""
        return Sampler.of(recipe, stage, self.labelled, self.unlabelled, self.phantoms)


def train(
    recipe: Recipe,
    method: Method[Student],
    cohort: Source,
    out: Path,
    device: torch.device,
    monitor: Monitor,
    base: dict[str, Tensor] | None = None,
) -> Student:
    """Run `recipe` to its end, from the checkpoint in `out` where there is one.

    Inside `distributed.joined` all processes of the team call this alike; the first one writes and reports.

    Args:
        base: Weights to start from; by default random ones.

    Returns:
        The averaged network after the last iteration, in evaluation mode.

    Raises:
        TrainingError: The loss is not a number or diverges, or the batch cannot be shared evenly.
        CheckpointError: `out` holds the checkpoint of a run with other settings or cases.
    """
    team = current_team()
    if recipe.batch % team.size:
        raise TrainingError(f"a batch of {recipe.batch} cannot be shared by {team.size} processes; take a multiple")
    items = range(team.rank * recipe.batch // team.size, (team.rank + 1) * recipe.batch // team.size)
    run = TrainingState.begin(recipe, method, device, base)
    settings = json.dumps(
        {"recipe": dataclasses.asdict(recipe), "method": repr(method), "base": _checksum_of(base), **cohort.names()}
    )
    begun = TrainingProgress(0, 0, settings, tuple(stage.iterations for stage in recipe.stages), Watch())
    done = load_checkpoint(out, settings, run.networks_by_name(), run.optimizers_by_name()) or begun
    recipe = recipe.with_iterations(done.planned)
    run, first = replace(run, recipe=recipe), team.rank == 0
    if first:
        monitor.report(
            {"event": "start", "iteration": done.iteration, "of": recipe.iterations, "device": describe(device)}
        )
    began, saved, stage, watch = time.monotonic() - done.seconds, time.monotonic(), None, done.watch
    finished = done.iteration
    while finished < recipe.iterations:
        check()  # A library may have caught the interrupt.
        iteration = finished
        current, fraction = recipe.at(iteration)
        if current is not stage:
            stage, sampler, times = current, _sampler(cohort, recipe, current, method), StepTimes()
        rate = recipe.optimisation.rate(stage.learning_rate, fraction)
        before = time.monotonic()
        batch = sampler.draw(iteration, items).to(device)
        drawn = time.monotonic()
        try:
            norm = run.step(batch, iteration, rate, watch)
        except TrainingError as error:
            if first:
                monitor.report({"event": "stopped", "iteration": iteration, "reason": str(error)})
            raise TrainingError(f"{error} at iteration {iteration}; {_after(out)}") from None

        finished = iteration + 1
        times.add(drawn - before, time.monotonic() - drawn)
        if finished == _TIMED_STEPS and recipe.seconds is not None:
            recipe = _fitted(recipe, times, finished, time.monotonic() - began, device)
            run, stage = replace(run, recipe=recipe), recipe.at(iteration)[0]
        last = finished == recipe.iterations
        if last and watch.suspect:
            reason = f"at its end the loss is at {watch.smoothed:.3g} again, it had been down to {watch.lowest:.3g}"
            if first:
                monitor.report({"event": "stopped", "iteration": iteration, "reason": reason})
            raise TrainingError(f"{reason}; {_after(out)}")
        if not first:
            continue
        if finished % 10 == 0 or last or iteration == done.iteration:
            planned_iterations, seconds_left = _foreseen(recipe, times, finished, time.monotonic() - began)
            monitor.report(
                {
                    "event": "progress",
                    "iteration": finished,
                    "of": planned_iterations,
                    "losses": {name: round(value, 5) for name, value in watch.losses.items()},
                    "learning_rate": rate,
                    "gradient_norm": round(norm, 4),
                    "seconds_left": round(seconds_left),
                }
            )
        if (finished % recipe.validate_every == 0 or last) and cohort.validation:
            watched, predictor = cohort.validation, Predictor(method, run.average.network, device)
            scores = validation_dice(predictor, watched)
            mean = round(sum(scores.values()) / len(scores), 4)
            monitor.report({"event": "validation", "iteration": finished, "dice": mean, "cases": scores})
            if monitor.pictures:
                monitor.picture(finished, picture_of(predictor, watched[0]))
        if (time.monotonic() - saved > recipe.checkpoint_seconds and not watch.suspect) or last:
            saved = time.monotonic()
            planned = tuple(stage.iterations for stage in recipe.stages)
            progress = TrainingProgress(finished, saved - began, settings, planned, watch)
            save_checkpoint(out, progress, run.networks_by_name(), run.optimizers_by_name())
    if first:
        monitor.report({"event": "end", "iteration": recipe.iterations})
    if base is not None and recipe.base_share:
        run.average.network.load_state_dict(_mixed(run.average.network.state_dict(), base, recipe.base_share))
    if recipe.statistics_batches:
        sampler = cohort.sampler(recipe, recipe.stages[-1])
        batches = range(recipe.iterations, recipe.iterations + recipe.statistics_batches)
        estimate_statistics(method, run.average.network, sampler, batches, items, device)
    return run.average.network


def _sampler(cohort: Source, recipe: Recipe, stage: Stage, method: Method[Student]) -> Sampler:
    return replace(cohort.sampler(recipe, stage), extras=method.extras)


def _mixed(ended: dict[str, Tensor], base: dict[str, Tensor], base_share: float) -> dict[str, Tensor]:
    """Return weights that are `base_share` of the way back to those that the run started from; integers stay."""
    return {
        name: torch.lerp(tensor, base[name].to(tensor), base_share) if tensor.is_floating_point() else tensor
        for name, tensor in ended.items()
    }


def _after(out: Path) -> str:
    """Return what is left of a run that went wrong, and what to do: resumed, it would go wrong again."""
    kept = f"the checkpoint in {out} is from before" if (out / CHECKPOINT).exists() else "nothing was saved before"
    return f"{kept}; start anew in another folder with a lower learning rate"


def _foreseen(recipe: Recipe, times: StepTimes, finished: int, spent: float) -> tuple[int, float]:
    """Return the number of iterations of the run, and the seconds that it has left.

    Until its speed is known well enough for the number, that of the recipe is none that anybody asked for: what fits
    into the time then, and never more seconds than that leaves.
    """
    pace = times.per_iteration
    if recipe.seconds is None or finished >= _TIMED_STEPS:
        return recipe.iterations, recipe.seconds_left(finished, pace)
    fitting = recipe.fitted(finished, pace, spent)
    return fitting.iterations, min(fitting.seconds_left(finished, pace), max(recipe.seconds - spent, 0.0))


def _fitted(recipe: Recipe, times: StepTimes, finished: int, spent: float, device: torch.device) -> Recipe:
    """Return the recipe for the time that the run has, the same in all processes."""
    # On the run's device: NCCL, by which GPUs agree, takes no tensors of the CPU.
    figures = {"pace": times.per_iteration, "spent": spent}
    measured = {name: torch.tensor(value, device=device) for name, value in figures.items()}
    agreed = average_values(measured)
    return recipe.fitted(finished, agreed["pace"], agreed["spent"])


def _checksum_of(base: dict[str, Tensor] | None) -> float | None:
    """Return a number that tells starting weights apart in a checkpoint's settings; None for random ones."""
    return None if base is None else float(sum(tensor.double().abs().sum() for tensor in base.values()))
