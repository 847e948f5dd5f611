"""One training step, and everything that it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from mtctl.networks.device import autocast, to_device
from mtctl_train.data.sampler import Batch
from mtctl_train.distributed import average_gradients, average_values, synchronised
from mtctl_train.errors import TrainingError
from mtctl_train.methods.base import Method, Networks, Student
from mtctl_train.recipe import Recipe
from mtctl_train.training.divergence import Watch
from mtctl_train.training.ema import WeightAverage


@dataclass(frozen=True)
class TrainingState(Generic[Student]):
    """Networks, their average and their optimisers.

    Attributes:
        recipe, method, device: How and where to train.
        networks: Student, teacher and critic.
        average: The moving average of the student, which is the teacher.
        start: Weights that the recipe's `anchor` pulls back to; empty without it.
        optimizer: Optimiser of the student.
        critic_optimizer: Optimiser of the critic; None where there is none.
    """

    recipe: Recipe
    method: Method[Student]
    device: torch.device
    networks: Networks[Student]
    average: WeightAverage[Student]
    start: list[Tensor]
    optimizer: torch.optim.Optimizer
    critic_optimizer: torch.optim.Optimizer | None

    @classmethod
    def begin(
        cls, recipe: Recipe, method: Method[Student], device: torch.device, base: dict[str, Tensor] | None
    ) -> TrainingState[Student]:
        torch.manual_seed(recipe.seed)
        student = method.build(recipe.architecture)
        if base is not None:
            student.load_state_dict(base)
        average = WeightAverage(to_device(student, device), recipe.average_decay, recipe.average_warm_up)
        student = synchronised(student)
        synchronised(average.network).requires_grad_(False).eval()
        critic = method.build_critic()
        critic = None if critic is None else to_device(critic, device)
        return cls(
            recipe,
            method,
            device,
            Networks(student, average.network, critic),
            average,
            [parameter.detach().clone() for parameter in student.parameters()] if recipe.anchor else [],
            recipe.optimisation.build(student.parameters()),
            # SASSNet's code.
            torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.9, 0.99)) if critic else None,
        )

    def networks_by_name(self) -> dict[str, torch.nn.Module]:
        networks = {"network": self.networks.student, "average": self.networks.teacher, "critic": self.networks.critic}
        return {name: network for name, network in networks.items() if network is not None}

    def optimizers_by_name(self) -> dict[str, torch.optim.Optimizer]:
        optimizers = {"optimizer": self.optimizer, "critic_optimizer": self.critic_optimizer}
        return {name: optimizer for name, optimizer in optimizers.items() if optimizer is not None}

    def step(self, batch: Batch, iteration: int, rate: float, watch: Watch) -> float:
        """Take one step of the student and of the critic.

        Returns:
            Norm of the student's gradient before it is clipped.

        Raises:
            TrainingError: The loss is not a number or diverges, or the gradient explodes; the step was not taken.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        student, critic = self.networks.student, self.networks.critic
        student.train()
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + iteration)
        with autocast(self.device):
            objective = self.method.objective(self.networks, batch, iteration / self.recipe.iterations, generator)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(objective.student.values())).sum().backward()
        average_gradients(student.parameters())
        norm = float(torch.nn.utils.clip_grad_norm_(student.parameters(), self.recipe.gradient_norm))
        losses = average_values(objective.student)
        if objective.critic is not None and critic is not None and self.critic_optimizer is not None:
            # The student's terms have left gradients in the critic.
            self.critic_optimizer.zero_grad(set_to_none=True)
            objective.critic.backward()
            average_gradients(critic.parameters())
            losses |= average_values({"critic": objective.critic})
        # Before the step: weights that are not numbers must never reach a checkpoint.
        complaint = watch.complaint(losses, norm)
        if complaint:
            raise TrainingError(complaint)
        self.optimizer.step()
        if self.start:
            with torch.no_grad():
                for parameter, start in zip(student.parameters(), self.start, strict=True):
                    parameter.lerp_(start, rate * self.recipe.anchor)
        if objective.critic is not None and self.critic_optimizer is not None:
            self.critic_optimizer.step()
        self.average.update(student, iteration)
        return norm
