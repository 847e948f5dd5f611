"""The losses: values by hand, finite gradients on degenerate patches, agreement with finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtctl.distance_map import TRANSFORM_STEEPNESS
from mtctl_train.losses import cross_task_loss, dice_loss, distance_loss, gaussian_ramp, is_finite

SHAPE = (2, 1, 3, 4, 5)


def test_dice_loss_is_zero_for_the_truth_and_one_half_when_half_is_missed() -> None:
    target = torch.zeros(1, 1, 20, 20, 20)
    target[..., :10] = 1
    assert dice_loss(target, target).item() == pytest.approx(0, abs=1e-6)
    half = target.clone()
    half[:, :, :10] = 0
    assert dice_loss(half, target).item() == pytest.approx(1 - 2 * 2000 / 6000, abs=1e-3)


def test_cross_task_loss_vanishes_when_the_transformed_distance_is_the_mask() -> None:
    f2 = torch.linspace(-1, 1, 11).reshape(1, 1, 1, 1, 11)
    assert cross_task_loss(torch.sigmoid(TRANSFORM_STEEPNESS * f2), f2).item() == pytest.approx(0, abs=1e-12)
    assert cross_task_loss(torch.ones_like(f2), -torch.ones_like(f2)).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("target", [torch.zeros(SHAPE), torch.ones(SHAPE)], ids=["no atrium", "nothing but atrium"])
def test_degenerate_patches_give_finite_losses_and_gradients(target: Tensor) -> None:
    f1 = torch.full(SHAPE, 0.3, requires_grad=True)
    f2 = torch.zeros(SHAPE, requires_grad=True)
    losses = {"a": dice_loss(f1, target), "b": cross_task_loss(f1, f2), "c": distance_loss(f2, 2 * target - 1)}
    assert is_finite(losses)
    torch.stack(list(losses.values())).sum().backward()
    assert torch.isfinite(f1.grad).all() and torch.isfinite(f2.grad).all()


def test_gradients_agree_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    f1 = torch.rand(SHAPE, generator=generator, dtype=torch.float64, requires_grad=True)
    f2 = (torch.rand(SHAPE, generator=generator, dtype=torch.float64) / 20).requires_grad_()
    target = (torch.rand(SHAPE, generator=generator) > 0.5).double()
    assert torch.autograd.gradcheck(lambda a: dice_loss(a, target), (f1,))
    assert torch.autograd.gradcheck(cross_task_loss, (f1, f2))
    assert torch.autograd.gradcheck(lambda b: distance_loss(b, target), (f2,))


def test_the_ramp_starts_near_nothing_and_ends_at_one() -> None:
    assert gaussian_ramp(0, 100) == pytest.approx(0.0067, abs=1e-4)
    assert gaussian_ramp(100, 100) == gaussian_ramp(500, 100) == gaussian_ramp(3, 0) == 1


def test_a_loss_that_is_not_a_number_is_noticed() -> None:
    assert not is_finite({"good": torch.tensor(1.0), "bad": torch.tensor(float("nan"))})
