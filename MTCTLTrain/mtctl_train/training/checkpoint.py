"""The whole state of a training run in one safetensors file, to resume from; no pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from mtctl.errors import MtctlError
from mtctl.networks.tensors import write_tensors
from mtctl.system.files import remove_parts
from mtctl_train.training.divergence import Watch

CHECKPOINT = "checkpoint.safetensors"


class CheckpointError(MtctlError):
    """A checkpoint cannot be resumed from."""


@dataclass(frozen=True)
class TrainingProgress:
    """Where a run stands.

    Attributes:
        iteration: Iterations done.
        seconds: Time spent on them.
        settings: Settings and case names as JSON text; a run resumes only with those that it began with.
        planned: Iterations of each stage; where the run has a time to last, they were derived from its speed.
        watch: The smoothed loss so far, so that a resumed run notices divergence as early as an unbroken one.
    """

    iteration: int
    seconds: float
    settings: str
    planned: tuple[int, ...]
    watch: Watch


def save_checkpoint(
    folder: Path, progress: TrainingProgress, networks: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> None:
    """Write networks and optimiser moments by name; the old checkpoint stays until the new one is whole."""
    tensors: dict[str, Tensor] = {}
    for part, network in networks.items():
        tensors |= {f"{part}.{name}": tensor for name, tensor in network.state_dict().items()}
    for part, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{part}.{index}.{name}": tensor for name, tensor in state.items()}
    metadata = {
        "iteration": str(progress.iteration),
        "seconds": repr(progress.seconds),
        "settings": progress.settings,
        "planned": json.dumps(progress.planned),
        "watch": json.dumps(asdict(progress.watch)),
    }
    write_tensors(folder / CHECKPOINT, tensors, metadata)


def load_checkpoint(
    folder: Path, settings: str, networks: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> TrainingProgress | None:
    """Load the state saved in `folder` into the given objects; return its progress, None without a checkpoint.

    Also remove unfinished checkpoints of runs that were killed. Every process of a team may do so: none can have begun
    a new checkpoint, since saving comes after a step, which needs all processes.

    Raises:
        CheckpointError: The file is damaged, or belongs to a run with other settings.
    """
    path = folder / CHECKPOINT
    remove_parts(path)
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as stream:
            metadata = stream.metadata()
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); delete it to start again") from error
    if json.loads(metadata.get("settings", "null")) != json.loads(settings):
        raise CheckpointError(
            f"{path}: belongs to a run with other settings or cases; use another --out, or the same ones"
        )
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        parts.setdefault(part, {})[rest] = tensor
    for name, network in networks.items():
        network.load_state_dict(parts[name])
    for name, optimizer in optimizers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in parts.get(name, {}).items():
            index, moment = key.split(".", 1)
            moments.setdefault(int(index), {})[moment] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    planned = tuple(json.loads(metadata["planned"]))
    watch = Watch(**json.loads(metadata["watch"]))
    return TrainingProgress(int(metadata["iteration"]), float(metadata["seconds"]), settings, planned, watch)
