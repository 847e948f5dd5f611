"""The loop that trains a `GuidanceNet`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from mtctl.networks.device import autocast, to_device
from mtctl.networks.guidance_net import GuidanceNet
from mtctl_train.errors import TrainingError
from mtctl_train.guidance.drafts import DraftedCase
from mtctl_train.guidance.examples import Example, GuidedBatch, batch_of, draw_example
from mtctl_train.methods.losses import cross_entropy_loss, dice_loss
from mtctl_train.training.checkpoint import TrainingProgress, load_checkpoint, save_checkpoint
from mtctl_train.training.divergence import Watch
from mtctl_train.training.ema import WeightAverage


@dataclass(frozen=True)
class GuidanceRecipe:
    """Settings of a run.

    Attributes:
        iterations: Steps.
        batch: Patches a step.
        learning_rate: Of AdamW, at first; it falls to 0 like (1 - t)^0.9.
        second_answer: Fraction of the steps whose patches get a second answer, about what the first has left wrong.
        average_decay: Of the moving average of the weights, which is the result.
        checkpoint_every: Steps between checkpoints.
        seed: Of everything that is drawn.
    """

    iterations: int = 1600
    batch: int = 4
    learning_rate: float = 6e-4
    second_answer: float = 0.5
    average_decay: float = 0.99
    checkpoint_every: int = 50
    seed: int = 0


def train_guidance(
    network: GuidanceNet,
    drafts: Sequence[DraftedCase],
    recipe: GuidanceRecipe,
    out: Path,
    device: torch.device,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Tensor]:
    """Train a network on drafts; go on from the checkpoint in `out` where there is one.

    Batch statistics stay those of the model that it began as: patches around errors have others than whole scans.

    Args:
        network: It begins here (`GuidanceNet.from_model`).
        drafts: Of a model that has not learnt these scans.
        recipe: Settings.
        out: Folder for checkpoints.
        device: Where to train.
        tell: Called with a line every ten steps.

    Returns:
        The averaged weights.

    Raises:
        TrainingError: The loss is not a number.
    """
    network = to_device(network, device).eval()
    average = WeightAverage(network, recipe.average_decay)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=1e-4)
    settings = json.dumps({**asdict(recipe), "cases": sorted({draft.name for draft in drafts})})
    parts = {"network": network, "average": average.network}
    progress = load_checkpoint(out, settings, parts, {"optimizer": optimizer})
    first, before = (progress.iteration, progress.seconds) if progress else (0, 0.0)
    began, losses = time.monotonic() - before, []
    for iteration in range(first, recipe.iterations):
        share = iteration / recipe.iterations
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * (1 - share) ** 0.9 * min(1.0, (iteration + 1) / 50)
        batch = _batch(network, drafts, recipe, iteration, device)
        with autocast(device):
            logits = network(batch.channels)
        loss = dice_loss(torch.sigmoid(logits), batch.target, batch.weight)
        loss = loss + cross_entropy_loss(logits, batch.target, batch.weight)
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss is {float(loss)} at step {iteration}; the checkpoint before it is kept")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        average.update(network, iteration)
        losses.append(float(loss.detach()))
        done = iteration + 1
        if done % 10 == 0:
            seconds = (time.monotonic() - began) / done
            tell(f"step {done} of {recipe.iterations}: loss {sum(losses[-10:]) / 10:.4f}, {seconds:.2f} s a step")
        if done % recipe.checkpoint_every == 0 or done == recipe.iterations:
            state = TrainingProgress(done, time.monotonic() - began, settings, (recipe.iterations,), Watch())
            save_checkpoint(out, state, parts, {"optimizer": optimizer})
    return {name: tensor.detach().cpu().clone() for name, tensor in average.network.state_dict().items()}


def _batch(
    network: GuidanceNet, drafts: Sequence[DraftedCase], recipe: GuidanceRecipe, iteration: int, device: torch.device
) -> GuidedBatch:
    """Return a step's patches, each with its answers."""
    drawn = [draw_example(drafts, recipe.seed, iteration, item) for item in range(recipe.batch)]
    examples = [example for example, _ in drawn]
    before, after = (int((iteration + one) * recipe.second_answer) for one in (0, 1))
    if after > before:
        _answer(network, examples, device)
        for example, rng in drawn:
            if example.inside or example.outside:
                example.answer_next(rng)
    return batch_of(examples, device)


@torch.no_grad()
def _answer(network: GuidanceNet, examples: Sequence[Example], device: torch.device) -> None:
    """Let the network take in the answers so far."""
    with autocast(device):
        probability = torch.sigmoid(network(batch_of(examples, device).channels))
    for example, answer in zip(examples, probability, strict=True):
        example.probability = answer[0].float().cpu().numpy()
