"""The methods: which networks their terms reach, what switches an addition on, what copy-paste makes of two patches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mtctl.networks.architecture import Architecture
from mtctl.networks.distance_map import normalised_distance, signed_distance_mm
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl.uncertainty.maps import binary_entropy
from mtctl_train.data.copy_paste import pasted, side_by_side
from mtctl_train.data.sampler import Batch
from mtctl_train.methods.base import Method, Networks, Objective, entropy
from mtctl_train.methods.mtctl import BEST, MTCTL
from mtctl_train.methods.sassnet import SASSNet
from mtctl_train.methods.uamt import UAMT
from mtctl_train.methods.vnet import VNetMethod
from mtctl_train.networks.discriminator import Discriminator

SIZE = (32, 32, 32)
SMALL = Architecture(filters=4, uncertainty_filters=2)


def batch(seed: int = 0, unlabelled: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*[torch.linspace(-1, 1, n) for n in SIZE], indexing="ij")
    mask = (torch.stack(axes).square().sum(0).sqrt() < 0.6).float().expand(2, 1, *SIZE).clone()
    distance = torch.from_numpy(signed_distance_mm(mask[0, 0].numpy() > 0, (1.25,) * 3)).expand(2, 1, *SIZE)
    image = mask + 0.3 * torch.randn(2, 1, *SIZE, generator=generator)
    others = torch.randn(unlabelled, 1, *SIZE, generator=generator)
    weight = torch.ones_like(image)
    return Batch(image, mask, normalised_distance(distance.clone()), weight, others, others + 0.1, (1.25, 1.25, 1.25))


def terms(method: Method[Any], data: Batch, progress: float = 1.0) -> tuple[Objective, Networks[Any]]:
    torch.manual_seed(0)
    networks = Networks(method.build(SMALL), method.build(SMALL).eval(), Discriminator() if method.has_critic else None)
    return method.objective(networks, data, progress, torch.Generator().manual_seed(1)), networks


COPY_PASTE = replace(BEST, copy_paste_weight=0.5)


@pytest.mark.parametrize("method", [VNetMethod(), UAMT(samples=2), SASSNet(), MTCTL(), BEST, COPY_PASTE], ids=repr)
def test_every_term_is_a_finite_scalar_and_reaches_the_student_but_not_the_teacher(method: Method[Any]) -> None:
    objective, networks = terms(method, batch())
    assert all(term.ndim == 0 and torch.isfinite(term) for term in objective.student.values())
    torch.stack(list(objective.student.values())).sum().backward()
    assert networks.student.encoder.blocks[0][0].weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in networks.teacher.parameters())
    assert (objective.critic is not None) == method.has_critic


@pytest.mark.parametrize("method", [SASSNet(), MTCTL()], ids=["SASSNet", "MT-CTL"])
def test_the_critic_s_own_term_leaves_the_student_alone(method: Method[Any]) -> None:
    objective, networks = terms(method, batch())
    assert objective.critic is not None and networks.critic is not None
    objective.critic.backward()
    assert all(parameter.grad is None for parameter in networks.student.parameters())
    assert all(parameter.grad is not None for parameter in networks.critic.parameters())


@pytest.mark.slow
def test_unlabelled_scans_change_what_the_semi_supervised_methods_learn_but_not_the_v_net() -> None:
    data = batch()
    other = replace(data, unlabelled=data.unlabelled + 1, unlabelled_varied=data.unlabelled_varied + 1)
    for method, changes in (
        (VNetMethod(), False),
        (UAMT(samples=2), True),
        (SASSNet(), True),
        (MTCTL(), True),
        (COPY_PASTE, True),
    ):
        first, second = (
            sum(float(term.detach()) for term in terms(method, one)[0].student.values()) for one in (data, other)
        )
        assert (first != second) == changes, method


@pytest.mark.slow
def test_each_addition_of_ours_is_one_number_that_switches_its_term() -> None:
    assert "cross_entropy" not in terms(MTCTL(), batch())[0].student
    assert "cross_entropy" in terms(MTCTL(cross_entropy_weight=1), batch())[0].student
    for name in ("cross_task", "guidance", "adversarial"):
        assert name in terms(MTCTL(), batch())[0].student
        assert name not in terms(replace(MTCTL(), **{f"{name}_weight": 0}), batch())[0].student
    assert not MTCTL(adversarial_weight=0).has_critic


def test_pretraining_sees_labelled_patches_alone() -> None:
    method = replace(BEST, pretraining_share=0.5)
    data = batch()
    early, alone = (terms(method, one, progress=0.2)[0].student for one in (data, data.labelled_only()))
    late = terms(method, data, progress=0.7)[0].student
    assert {name: float(term.detach()) for name, term in early.items()} == {
        name: float(term.detach()) for name, term in alone.items()
    }
    assert float(late["dice"].detach()) != float(early["dice"].detach())


def test_with_no_unlabelled_scan_mt_ctl_is_supervised_and_says_nothing_adversarial() -> None:
    objective, _ = terms(MTCTL(), batch(unlabelled=0))
    assert objective.critic is None and "adversarial" not in objective.student


@pytest.mark.parametrize("method", [UAMT(samples=2), SASSNet()], ids=["UA-MT", "SASSNet"])
def test_a_batch_without_unlabelled_patches_has_the_supervised_terms_alone(method: Method[Any]) -> None:
    alone, with_unlabelled = (terms(method, one)[0] for one in (batch().labelled_only(), batch()))
    assert alone.critic is None and all(torch.isfinite(term) for term in alone.student.values())
    assert len(with_unlabelled.student.keys() - alone.student.keys()) == 1
    assert alone.student.keys() < with_unlabelled.student.keys()


def test_labelled_voxels_weigh_one_and_unlabelled_ones_nothing_side_by_side() -> None:
    data = batch()
    truth = side_by_side(data)
    assert truth.volume.shape == (4, 1, *SIZE)
    assert (truth.weight[:2] == 1).all() and (truth.weight[2:] == 0).all()
    assert torch.equal(truth.mask[:2], data.mask)


def test_copy_paste_exchanges_a_box_of_scan_mask_and_weight() -> None:
    data = batch()
    guess = torch.zeros(2, 1, *SIZE)
    guess[:, :, 2:12] = 0.9
    guess[:, :, 30, 30, 30] = 0.9  # A speck apart from the largest component.
    truth = pasted(data, guess, 0.5, torch.zeros(2, 3))
    box = slice(0, 21)  # Two thirds of 32, from the corner.
    assert torch.equal(truth.volume[0, 0, box, box, box], data.unlabelled_varied[0, 0, box, box, box])
    assert torch.equal(truth.volume[0, 0, 21:], data.image[0, 0, 21:])
    assert torch.equal(truth.volume[2, 0, box, box, box], data.image[0, 0, box, box, box])
    assert torch.equal(truth.mask[2, 0, box, box, box], data.mask[0, 0, box, box, box])
    assert truth.mask[2, 0, 30, 30, 30] == 0
    assert truth.weight[0, 0, 0, 0, 0] == 0.5 and truth.weight[0, 0, 31, 31, 31] == 1
    assert truth.weight[2, 0, 0, 0, 0] == 1 and truth.weight[2, 0, 31, 31, 31] == 0.5
    assert torch.equal(truth.distance > 0, truth.mask > 0.5)


def test_copy_paste_survives_a_guess_of_nothing() -> None:
    data = replace(batch(), mask=torch.zeros(2, 1, *SIZE))
    truth = pasted(data, torch.zeros(2, 1, *SIZE), 0.5, torch.zeros(2, 3))
    assert (truth.distance == -1).all()


def test_the_tensors_entropy_is_the_arrays_entropy() -> None:
    p = np.linspace(0, 1, 101, dtype=np.float32)
    np.testing.assert_allclose(entropy(torch.from_numpy(p)).numpy(), binary_entropy(p), atol=2e-5)


def test_the_student_of_mt_ctl_is_the_network_that_segments() -> None:
    assert isinstance(MTCTL().build(SMALL), MTCTLNet)
