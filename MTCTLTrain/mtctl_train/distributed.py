"""One training step shared by several processes (torchrun): each takes its part of the batch, all take the same step.

Gradients are averaged after the backward pass in one buffer. `DistributedDataParallel` would overlap that with the
backward pass, but hooks into `forward` alone, and the methods call encoder and decoders one by one; a 10 M parameter
network's gradients are 40 MB, milliseconds on any link that such a run is worth. Sums over the whole batch
(Dice, batch-norm statistics) go through `total`, so that a step equals that of one process to rounding.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Team:
    """The processes that train together, and this process's place among them."""

    rank: int = 0
    size: int = 1

    def part_of(self, whole: Tensor, groups: int = 1) -> Tensor:
        """Return this process's part of a tensor (groups * n, ...) of the whole batch: every group is cut alike."""
        if self.size == 1:
            return whole
        grouped = whole.reshape(groups, -1, *whole.shape[1:])
        part = grouped.shape[1] // self.size
        return grouped[:, self.rank * part : (self.rank + 1) * part].flatten(0, 1)


def current_team() -> Team:
    """Return the team of this process; outside torchrun a team of one."""
    if distributed.is_available() and distributed.is_initialized():
        return Team(distributed.get_rank(), distributed.get_world_size())
    return Team()


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that torchrun started, where it did; yields the device that is this process's own."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        distributed.destroy_process_group()


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        whole = part.detach().clone()
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # Every process computes the same loss from the total: each of those losses feels this part.
        gradient = gradients[0].contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient


def total(part: Tensor) -> Tensor:
    """Return the sum of all processes' `part`; gradients flow to all of them."""
    return _Total.apply(part) if current_team().size > 1 else part


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their mean over the team."""
    size = current_team().size
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if size == 1 or not gradients:
        return
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= size
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.reshape(gradient.shape))


def average_values(values: dict[str, Tensor]) -> dict[str, float]:
    """Return the mean of each named scalar over the team, so that every process decides alike."""
    stacked = torch.stack([value.detach().float() for value in values.values()])
    if current_team().size > 1:
        distributed.all_reduce(stacked)
        stacked /= current_team().size
    return dict(zip(values, stacked.tolist(), strict=True))


class TeamBatchNorm(nn.BatchNorm3d):
    """Batch normalisation by the statistics of the whole team's batch; torch's `SyncBatchNorm` is for GPUs only."""

    def forward(self, volume: Tensor) -> Tensor:
        if not self.training:
            return super().forward(volume)
        x = volume.to(torch.promote_types(volume.dtype, torch.float32))
        axes = (0, 2, 3, 4)
        count = x.numel() // x.shape[1] * current_team().size
        mean = total(x.sum(axes)) / count
        variance = total((x - mean[None, :, None, None, None]).square().sum(axes)) / count
        momentum = 0.1 if self.momentum is None else self.momentum
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.lerp_(mean.detach(), momentum)
            self.running_var.lerp_(variance.detach() * count / (count - 1), momentum)
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        wide = (None, slice(None), None, None, None)
        return (x * scale[wide] + shift[wide]).to(volume.dtype)


def synchronised(network: Network) -> Network:
    """Synchronise the batch normalisation of `network` over the team, in place, and return it."""
    if current_team().size == 1:
        return network
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm3d):
            replacement = TeamBatchNorm(child.num_features, child.eps, child.momentum)
            replacement.load_state_dict(child.state_dict())
            setattr(network, name, replacement.to(child.weight.device))
        else:
            synchronised(child)
    return network
