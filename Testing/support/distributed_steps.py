"""One training step by every method, in one process or in two: these import this file by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import distributed, nn

from mtctl.networks.architecture import Architecture
from mtctl_train.data.cases import Scan, TrainingCase
from mtctl_train.data.sampler import Sampler
from mtctl_train.distributed import average_gradients, current_team, synchronised
from mtctl_train.methods.base import Method, Networks
from mtctl_train.methods.mtctl import CROSS_TASK, MTCTL, SEMI_SUPERVISED
from mtctl_train.methods.sassnet import SASSNet
from mtctl_train.methods.uamt import UAMT
from mtctl_train.methods.vnet import VNetMethod

VOXEL_MM = (2.5, 1.25, 1.25)

METHODS: dict[str, Method[Any]] = {
    "vnet": VNetMethod(),
    "uamt": UAMT(samples=2),
    "sassnet": SASSNet(critic_filters=16),
    "mtctl": MTCTL(samples=2),
    "mtctl-cross-task": CROSS_TASK,
    "semi-supervised": replace(SEMI_SUPERVISED, samples=2),
}


def step(method: Method[Any]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Gradients and batch-norm statistics after one step on this process's half of a batch, or on all of it.

    In float64: in float32 a rounding error turns some voxel's ReLU round, and gradients differ by a hundredth.
    """
    torch.manual_seed(0)
    architecture = Architecture(filters=4, uncertainty_filters=2)
    networks = Networks(
        synchronised(method.build(architecture)).double(),
        synchronised(method.build(architecture)).eval().double(),
        method.build_critic(),
    )
    rng = np.random.default_rng(0)
    cases = [
        TrainingCase(
            f"{i}",
            rng.normal(size=(48, 40, 40)).astype(np.float32),
            np.float32(9 - abs(rng.normal(9, 4, (48, 40, 40)))),
            VOXEL_MM,
        )
        for i in range(3)
    ]
    sampler = Sampler(cases[:2], [Scan("u", cases[2].image, VOXEL_MM)], [], (32, 16, 16), 2, 0.0, 0.5, seed=3)
    sampler = replace(sampler, extras=method.extras)
    team = current_team()
    part = 2 // team.size
    batch = sampler.draw(1, range(team.rank * part, (team.rank + 1) * part))
    doubled = {name: value.double() for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}
    objective = method.objective(networks, replace(batch, **doubled), 0.9, torch.Generator().manual_seed(1))
    torch.stack(list(objective.student.values())).sum().backward()
    trained: list[nn.Module] = [networks.student]
    if objective.critic is not None and networks.critic is not None:
        networks.critic.zero_grad()
        objective.critic.backward()
        trained.append(networks.critic)
    gradients = {}
    for index, network in enumerate(trained):
        average_gradients(network.parameters())
        gradients |= {
            f"{index}.{name}": parameter.grad
            for name, parameter in network.named_parameters()
            if parameter.grad is not None
        }
    return gradients, dict(networks.student.named_buffers())


def take_part(meeting: str, rank: int) -> None:
    """What each of two processes does: a step by every method, its results in files."""
    distributed.init_process_group("gloo", init_method=Path(meeting).as_uri(), rank=rank, world_size=2)
    for name, method in METHODS.items():
        gradients, buffers = step(method)
        save_file({key: value.contiguous() for key, value in (gradients | buffers).items()}, f"{meeting}.{name}.{rank}")
    distributed.destroy_process_group()
