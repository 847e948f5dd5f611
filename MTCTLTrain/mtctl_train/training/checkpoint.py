"""The whole state of a training run in one safetensors file, to resume from; no pickles."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from mtctl.errors import MtctlError
from mtctl.networks.tensors import write_tensors
from mtctl.system.documents import DocumentError, parse_object
from mtctl.system.fields import Within, read_as
from mtctl.system.files import remove_parts
from mtctl.system.regular_files import check_regular
from mtctl_train.training.divergence import Watch

CHECKPOINT = "checkpoint.safetensors"

#: The checkpoint before the last one.
PREVIOUS = "checkpoint.previous.safetensors"

_SUM = "sha256"


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
    """Write networks and optimiser moments by name, with a checksum; the checkpoint before stays as `PREVIOUS`.

    Raises:
        WriteError: The folder is not writable or the disk is full; the old checkpoint is left.
    """
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
    metadata[_SUM] = _sum(tensors, metadata)
    _keep_previous(folder)
    write_tensors(folder / CHECKPOINT, tensors, metadata)


def forget_previous(folder: Path) -> None:
    """Remove the checkpoint before the last one, which a run that has ended needs no more."""
    with suppress(OSError):
        (folder / PREVIOUS).unlink(missing_ok=True)


def load_checkpoint(
    folder: Path, settings: str, networks: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> TrainingProgress | None:
    """Load the state saved in `folder` into the given objects; return its progress, None without a checkpoint.

    Where the last checkpoint is damaged, the one before it is taken, with a warning.

    Also remove unfinished checkpoints of runs that were killed. Every process of a team may do so: none can have begun
    a new checkpoint, since saving comes after a step, which needs all processes.

    Raises:
        CheckpointError: The files are damaged, or belong to a run with other settings.
    """
    path = folder / CHECKPOINT
    remove_parts(path)
    saved = _last_whole(path, folder / PREVIOUS)
    if saved is None:
        return None
    if not _same_settings(saved.metadata.get("settings", "null"), settings):
        raise CheckpointError(
            f"{saved.path}: belongs to a run with other settings or cases; use another --out, or the same ones"
        )
    state = saved.state()
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in saved.tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    try:
        for name, network in networks.items():
            network.load_state_dict(parts[name])
        for name, optimizer in optimizers.items():
            moments: dict[int, dict[str, Tensor]] = {}
            for key, tensor in parts.get(name, {}).items():
                index, moment = key.split(".", 1)
                moments.setdefault(int(index), {})[moment] = tensor
            optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    except (KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{saved.path}: is of other networks ({error}); delete it to start again") from error
    return TrainingProgress(state.iteration, state.seconds, settings, state.planned, state.watch)


@dataclass(frozen=True)
class _State:
    """The numbers in a checkpoint's metadata."""

    iteration: Annotated[int, Within(0, 1e12)]
    seconds: Annotated[float, Within(0.0, 1e12)]
    planned: tuple[Annotated[int, Within(0, 1e12)], ...]
    watch: Watch


@dataclass(frozen=True)
class _Saved:
    """What a file holds."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]

    def state(self) -> _State:
        """Return the numbers in the metadata.

        Raises:
            CheckpointError: They are none of a checkpoint.
        """
        names = [field.name for field in fields(_State)]
        text = ", ".join(f'"{name}": {self.metadata.get(name, "null")}' for name in names)
        try:
            return read_as(_State, parse_object(f"{{{text}}}", str(self.path)), str(self.path))
        except DocumentError as error:
            raise CheckpointError(f"{error}; delete it to start again") from error


def _last_whole(path: Path, previous: Path) -> _Saved | None:
    """Read the last checkpoint or, where it is damaged, the one before it; None where there is none.

    Raises:
        CheckpointError: It is damaged, and there is none before it.
    """
    if not path.exists() and not previous.exists():
        return None
    try:
        # The last one is missing where a run was killed while it kept the one before.
        return _read(path if path.exists() else previous)
    except CheckpointError as damage:
        try:
            earlier = _read(previous)
        except CheckpointError:
            raise CheckpointError(f"{damage}; delete it to start again") from None
        warnings.warn(f"{damage}; the run goes on from the one before it, {previous.name}", stacklevel=3)
        path.unlink(missing_ok=True)  # Else the next checkpoint would keep this one instead of the good one.
        return earlier


def _read(path: Path) -> _Saved:
    """Read a file and compare it with its checksum.

    Raises:
        CheckpointError: It is missing, cut off, or not what was written.
    """
    try:
        check_regular(path)
        with safe_open(path, "pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged ({error})") from error
    if _SUM not in metadata:
        warnings.warn(f"{path}: has no checksum, as an earlier version wrote it: it is taken as it is", stacklevel=4)
    elif metadata[_SUM] != _sum(tensors, metadata):
        raise CheckpointError(f"{path}: damaged, or changed since (its checksum differs)")
    return _Saved(path, tensors, metadata)


def _keep_previous(folder: Path) -> None:
    """Keep the checkpoint that is there as the previous one, until a newer one is whole and longer."""
    path, previous = folder / CHECKPOINT, folder / PREVIOUS
    if not path.exists():
        return
    with suppress(OSError):
        previous.unlink(missing_ok=True)
        try:
            os.link(path, previous)  # Two names of one file: the disk needs no room for it while the next is written.
        except OSError:  # Not every disk has such names.
            os.replace(path, previous)


def _same_settings(saved: str, wanted: str) -> bool:
    try:
        return bool(json.loads(saved) == json.loads(wanted))
    except (ValueError, RecursionError):
        return False


def _sum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 over all that a checkpoint holds."""
    digest = hashlib.sha256()
    for name in sorted(metadata.keys() - {_SUM}):
        digest.update(f"{name} {metadata[name]}\n".encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
