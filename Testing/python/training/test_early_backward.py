"""A branch whose gradient is worked out at once: the same gradients as any other, and nothing of it is kept."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from mtctl_train.methods.early_backward import with_early_backward


def branch(seed: int = 0) -> tuple[nn.Conv3d, nn.Sequential, Tensor]:
    """What comes before the branch, the branch, and data."""
    torch.manual_seed(seed)
    layers = (nn.Conv3d(2, 3, 3, bias=False), nn.BatchNorm3d(3), nn.ReLU(inplace=True), nn.Conv3d(3, 1, 1))
    return nn.Conv3d(1, 2, 3), nn.Sequential(*layers), torch.randn(2, 1, 8, 8, 8)


@pytest.mark.parametrize("types", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_gradients_before_and_in_the_branch_are_those_of_a_plain_backward_pass(types: torch.dtype) -> None:
    found = []
    for settle in (False, True):
        stem, decoder, volume = branch()
        with torch.autocast("cpu", types, enabled=types != torch.float32):
            features = stem(volume)

            def loss(inputs: list[Tensor], decoder: nn.Sequential = decoder) -> Tensor:
                return decoder(inputs[0]).float().square().mean()

            own = with_early_backward(loss, [features], decoder.parameters()) if settle else loss([features])
            whole = 0.3 * own + features.float().sum()
        whole.backward()
        found.append(
            [whole.detach(), *(p.grad for p in (*stem.parameters(), *decoder.parameters())), decoder[1].running_mean]
        )
    for plain, at_once in zip(*found, strict=True):
        assert plain is not None and at_once is not None and plain.norm() > 0
        assert (at_once - plain).norm() < (1e-5 if types == torch.float32 else 0.02) * plain.norm()


def test_nothing_that_was_computed_in_the_branch_outlives_it() -> None:
    stem, decoder, volume = branch()
    kept: list[weakref.ref[Tensor]] = []

    def loss(inputs: list[Tensor]) -> Tensor:
        within = inputs[0]
        for layer in decoder:
            within = layer(within)
            kept.append(weakref.ref(within))
        return within.square().mean()

    value = with_early_backward(loss, [stem(volume)], decoder.parameters())
    gc.collect()
    assert len(kept) == 4 and all(tensor() is None for tensor in kept)
    value.backward()


def test_frozen_weights_and_validation_want_no_gradient() -> None:
    stem, decoder, volume = branch()
    decoder[0].requires_grad_(False)
    with_early_backward(lambda inputs: decoder(inputs[0]).mean(), [stem(volume)], decoder.parameters()).backward()
    assert decoder[0].weight.grad is None and decoder[3].weight.grad is not None and stem.weight.grad is not None
    with torch.no_grad():
        value = with_early_backward(lambda inputs: decoder(inputs[0]).mean(), [stem(volume)], decoder.parameters())
        assert not value.requires_grad
