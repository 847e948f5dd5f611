"""A loss whose gradient is computed at once, so that its activations need not be kept until the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _EarlyBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: Sequence[Tensor], *wanted: Tensor) -> Tensor:
        ctx.save_for_backward(*gradients)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *weight: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(weight[0].to(gradient.dtype) * gradient for gradient in ctx.saved_tensors)


def with_early_backward(
    loss: Callable[[list[Tensor]], Tensor], inputs: Sequence[Tensor], weights: Iterable[Tensor]
) -> Tensor:
    """Return `loss(inputs)` with its gradient, computed now instead of in the backward pass.

    For a branch that has nothing but its `inputs` in common with the others: while those run, only gradients as large
    as its inputs and weights are kept, not its activations.

    Args:
        loss: From the inputs to a scalar, with no other use of tensors that want a gradient than `weights`.
        inputs: Where the branch begins.
        weights: The branch's parameters, all of which the loss depends on.
    """
    leaves = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in inputs]
    value = loss(leaves)
    pairs = [*zip(inputs, leaves, strict=True), *((weight, weight) for weight in weights)]
    wanted = [(outer, inner) for outer, inner in pairs if inner.requires_grad]
    if not value.requires_grad:
        return value
    with torch.autocast(value.device.type, enabled=False):  # The backward pass has the types of the forward one.
        gradients = torch.autograd.grad(value, [inner for _, inner in wanted])
    return _EarlyBackward.apply(value.detach(), gradients, *(outer for outer, _ in wanted))
