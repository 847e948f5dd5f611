"""The moving average of a network: what is evaluated and shipped, and the teacher of the methods that have one."""

from __future__ import annotations

import copy
from typing import Generic

import torch

from mtctl_train.methods.base import Student


class WeightAverage(Generic[Student]):
    """Exponential moving average of every floating-point tensor of a network, batch-norm statistics included.

    Attributes:
        network: The averaged network, in evaluation mode.
    """

    def __init__(self, network: Student, decay: float, warm_up: float = 10.0) -> None:
        self.decay, self.warm_up = decay, warm_up
        self.network = copy.deepcopy(network)
        self.network.requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, network: Student, iteration: int) -> None:
        """Move towards `network` after its step `iteration`; early on faster, unless `warm_up` is 1."""
        decay = min(self.decay, (1 + iteration) / (self.warm_up + iteration))
        averaged = self.network.state_dict()
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                averaged[name].lerp_(tensor, 1 - decay)
            else:
                averaged[name].copy_(tensor)
