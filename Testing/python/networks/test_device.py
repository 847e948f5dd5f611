"""The device and its number format are found with every torch that is allowed, from 2.6 on."""

from __future__ import annotations

import pytest
import torch

from mtctl.networks.device import autocast, describe, has_bfloat16

CPU = torch.device("cpu")
OLDER = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


@pytest.fixture
def older_torch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A torch that does not list a processor's capabilities yet."""
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    return monkeypatch


def test_a_torch_that_lists_capabilities_is_asked_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("avx512_bf16", "amx_bf16", "bf16"):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=name: {name: True}, raising=False)
        assert has_bfloat16(CPU) and describe(CPU) == "cpu (bfloat16)"
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert not has_bfloat16(CPU) and describe(CPU) == "cpu (float32)"


@pytest.mark.parametrize("has_it", OLDER)
def test_an_older_torch_is_asked_for_one_capability_at_a_time(older_torch: pytest.MonkeyPatch, has_it: str) -> None:
    for name in OLDER:
        older_torch.setattr(torch.cpu, name, lambda name=name: name == has_it, raising=False)
    assert has_bfloat16(CPU)
    older_torch.setattr(torch.cpu, has_it, lambda: False, raising=False)
    assert not has_bfloat16(CPU)


def test_a_torch_that_says_nothing_computes_in_float32(older_torch: pytest.MonkeyPatch) -> None:
    for name in OLDER:
        older_torch.delattr(torch.cpu, name, raising=False)
    assert not has_bfloat16(CPU)
    with autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
