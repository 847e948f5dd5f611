"""The moving average of a network: what is evaluated and shipped, and the teacher of the methods that have one."""

from __future__ import annotations

import copy
from typing import Generic

import torch

from mtctl_train.methods.base import Student


class WeightAverage(Generic[Student]):
    """Exponential moving average of every floating-point tensor of a network, batch-norm statistics included.

    `torch.optim.swa_utils.AveragedModel` would take as much code around it: for the warm-up of the decay, for integer
    buffers, which it would average too, and for its count of updates, which is in no checkpoint.

    Attributes:
        network: The averaged network, in evaluation mode.
    """

    def __init__(self, network: Student, decay: float, warm_up: float = 10.0) -> None:
        """Begin with the weights of `network`.

        Args:
            network: The network to follow.
            decay: Weight of the average in each update, after the warm-up.
            warm_up: See `Recipe.average_warm_up`; 1: none.
        """
        self.decay, self.warm_up = decay, warm_up
        self.network = copy.deepcopy(network)
        self.network.requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, network: Student, iteration: int) -> None:
        """Move towards `network` after its step `iteration`; at first faster, unless `warm_up` is 1."""
        decay = min(self.decay, (1 + iteration) / (self.warm_up + iteration))
        averaged = self.network.state_dict()
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                averaged[name].lerp_(tensor, 1 - decay)
            else:
                averaged[name].copy_(tensor)
