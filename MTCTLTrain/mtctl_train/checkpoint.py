"""The whole state of a training run in one safetensors file, to resume from; no pickles."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mtctl.errors import MtctlError
from mtctl.files import replacing

CHECKPOINT = "checkpoint.safetensors"


class CheckpointError(MtctlError):
    """A checkpoint cannot be resumed from."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        iteration: Iterations done.
        seconds: Time spent on them.
        recipe: Settings and case names as JSON text; a run resumes only with those that it began with.
    """

    iteration: int
    seconds: float
    recipe: str


def save_checkpoint(
    folder: Path, progress: Progress, network: nn.Module, average: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> None:
    """Write network, weight average and optimiser moments; the old checkpoint stays until the new one is whole."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    with replacing(folder / CHECKPOINT) as part:
        metadata = {"iteration": str(progress.iteration), "seconds": repr(progress.seconds), "recipe": progress.recipe}
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, part, metadata)


def load_checkpoint(
    folder: Path, recipe: str, network: nn.Module, average: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> Progress | None:
    """Put the state saved in `folder` into the given objects; None where there is no checkpoint.

    Raises:
        CheckpointError: The file is damaged, or belongs to a run with other settings.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as stream:
            metadata = stream.metadata()
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); delete it to start again") from error
    if json.loads(metadata["recipe"]) != json.loads(recipe):
        raise CheckpointError(
            f"{path}: belongs to a run with other settings or cases; use another --out, or the same ones"
        )
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        parts[part][rest] = tensor
    network.load_state_dict(parts["network"])
    for name, tensor in parts["average"].items():
        average[name].copy_(tensor)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return Progress(int(metadata["iteration"]), float(metadata["seconds"]), recipe)
