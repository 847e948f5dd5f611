"""The losses: values by hand, finite gradients on degenerate patches, agreement with finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtctl.networks.distance_map import TRANSFORM_STEEPNESS
from mtctl_train.methods.losses import (
    adversarial_loss,
    certain_below,
    consistency_loss,
    critic_loss,
    cross_entropy_loss,
    cross_task_loss,
    dice_loss,
    distance_loss,
    gaussian_ramp,
    guidance_loss,
    squared_dice_loss,
)
from mtctl_train.networks.discriminator import Discriminator

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


def test_voxels_of_weight_zero_count_nowhere() -> None:
    generator = torch.Generator().manual_seed(1)
    f1, target, other = (torch.rand(SHAPE, generator=generator) for _ in range(3))
    weight = (torch.rand(SHAPE, generator=generator) > 0.5).float()
    changed = torch.where(weight > 0, target, other)
    for loss in (dice_loss, cross_entropy_loss, distance_loss):
        assert loss(f1, target, weight).item() == pytest.approx(loss(f1, changed, weight).item(), abs=1e-7)
    kept = weight > 0
    assert distance_loss(f1, target, weight).item() == pytest.approx((f1 - target)[kept].square().mean().item())


def test_guidance_looks_only_at_voxels_below_the_threshold() -> None:
    f1 = torch.tensor([0.9, 0.2, 0.7]).reshape(1, 1, 1, 1, 3)
    f2 = torch.zeros_like(f1)  # pi^-1(0) = 0.5
    uncertainty = torch.tensor([0.1, 0.9, 0.5]).reshape(f1.shape)
    assert guidance_loss(f1, f2, uncertainty, 0.4).item() == pytest.approx(0.4**2)
    assert guidance_loss(f1, f2, uncertainty, 0.6).item() == pytest.approx((0.4**2 + 0.2**2) / 2)
    assert guidance_loss(f1, f2, uncertainty, 1.1).item() == pytest.approx(cross_task_loss(f1, f2).item())


def test_no_certain_voxel_gives_no_guidance_and_no_gradient() -> None:
    f1 = torch.full(SHAPE, 0.3, requires_grad=True)
    f2 = torch.zeros(SHAPE, requires_grad=True)
    loss = guidance_loss(f1, f2, torch.ones(SHAPE), 0.5) + consistency_loss(f1, f2, torch.ones(SHAPE), 0.5)
    loss.backward()
    assert loss.item() == 0
    assert not f1.grad.any() and not f2.grad.any()


def test_the_adversarial_losses_are_equation_1_with_beta_one_half() -> None:
    labelled, unlabelled = torch.tensor([0.5, -1.0]), torch.tensor([0.25, 3.0])
    expected = []
    for d_l, d_ul in zip(labelled.tolist(), unlabelled.tolist(), strict=True):
        square = d_l**2 + (d_ul - 1) ** 2
        expected.append(square / (2 * 0.5 + square))
    assert critic_loss(labelled, unlabelled).item() == pytest.approx(sum(expected) / 2)
    assert critic_loss(torch.zeros(2), torch.ones(2)).item() == 0  # Told apart perfectly.
    assert adversarial_loss(torch.zeros(2)).item() == 0  # Taken for labelled.
    # Robust: an outlier costs at most 1, where a least-squares loss would let it rule.
    assert critic_loss(torch.tensor([1e6]), torch.tensor([-1e6])).item() <= 1


def test_the_squared_dice_loss_is_half_way_for_half_a_probability() -> None:
    target = torch.zeros(1, 1, 20, 20, 20)
    target[..., :10] = 1
    assert squared_dice_loss(target, target).item() == pytest.approx(0, abs=1e-6)
    assert squared_dice_loss(target / 2, target).item() == pytest.approx(1 - 2 * 0.5 / 1.25, abs=1e-3)


@pytest.mark.slow
def test_the_discriminator_gives_one_value_a_patch_and_learns_to_tell_maps_apart() -> None:
    torch.manual_seed(0)
    critic = Discriminator()
    volume = torch.randn(2, 1, 32, 32, 32)
    round_map, flat = torch.linspace(-1, 1, 32).expand(2, 1, 32, 32, 32), torch.zeros(2, 1, 32, 32, 32)
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        loss = critic_loss(critic(volume, round_map), critic(volume, flat))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert critic(volume, flat).shape == (2,)
    assert losses[-1] < 0.2 < losses[0]


@pytest.mark.parametrize("target", [torch.zeros(SHAPE), torch.ones(SHAPE)], ids=["no atrium", "nothing but atrium"])
def test_degenerate_patches_give_finite_losses_and_gradients(target: Tensor) -> None:
    f1 = torch.full(SHAPE, 0.3, requires_grad=True)
    f2 = torch.zeros(SHAPE, requires_grad=True)
    losses = [
        dice_loss(f1, target),
        squared_dice_loss(f1, target),
        cross_entropy_loss(torch.logit(f1), target),
        cross_task_loss(f1, f2),
        distance_loss(f2, 2 * target - 1),
        guidance_loss(f1, f2, target, 0.5),
        dice_loss(f1, target, torch.zeros(SHAPE)),
    ]
    assert all(torch.isfinite(loss) for loss in losses)
    torch.stack(losses).sum().backward()
    assert torch.isfinite(f1.grad).all() and torch.isfinite(f2.grad).all()


def test_gradients_agree_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    f1 = torch.rand(SHAPE, generator=generator, dtype=torch.float64, requires_grad=True)
    f2 = (torch.rand(SHAPE, generator=generator, dtype=torch.float64) / 20).requires_grad_()
    target = (torch.rand(SHAPE, generator=generator) > 0.5).double()
    assert torch.autograd.gradcheck(lambda a: dice_loss(a, target), (f1,))
    assert torch.autograd.gradcheck(cross_task_loss, (f1, f2))
    assert torch.autograd.gradcheck(lambda b: distance_loss(b, target), (f2,))
    weight = torch.rand(SHAPE, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a: dice_loss(a, target, weight), (f1,))
    assert torch.autograd.gradcheck(lambda a: squared_dice_loss(a, target), (f1,))
    assert torch.autograd.gradcheck(lambda b: cross_entropy_loss(b, target, weight), (f2,))
    uncertainty = torch.rand(SHAPE, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a, b: guidance_loss(a, b, uncertainty, 0.5), (f1, f2))
    assert torch.autograd.gradcheck(lambda a: consistency_loss(a, target, uncertainty, 0.5), (f1,))
    values = torch.randn(2, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: critic_loss(v[0], v[1]) + adversarial_loss(v[1]), (values,))


def test_the_ramp_starts_near_nothing_and_ends_at_one_and_the_threshold_follows() -> None:
    assert gaussian_ramp(0) == pytest.approx(0.0067, abs=1e-4)
    assert gaussian_ramp(1) == gaussian_ramp(5) == 1
    assert gaussian_ramp(-0.5) == gaussian_ramp(0)
    assert certain_below(0) == pytest.approx(0.75, abs=0.01) and certain_below(1) == 1
