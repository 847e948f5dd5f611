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
from mtctl_train.data.copy_paste import PseudoLabels, pasted, side_by_side
from mtctl_train.data.sampler import Batch
from mtctl_train.methods import METHODS
from mtctl_train.methods.base import Method, Networks, Objective, entropy, own_statistics
from mtctl_train.methods.losses import gaussian_ramp
from mtctl_train.methods.mtctl import CROSS_TASK, MTCTL, SEMI_SUPERVISED
from mtctl_train.methods.sassnet import SASSNet
from mtctl_train.methods.uamt import UAMT
from mtctl_train.methods.vnet import VNetMethod

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
    box = torch.zeros_like(image)
    box[:, :, :21, :21, :21] = 1
    varied = others + 0.1
    pair = (image, others if unlabelled else image)
    exchanged = torch.cat([torch.where(box > 0, *reversed(pair)), torch.where(box > 0, *pair)])
    if not unlabelled:
        box, exchanged = others, others
    return Batch(
        image, mask, normalised_distance(distance.clone()), weight, others, varied, (1.25, 1.25, 1.25),
        exchanged, box, exchanged - 0.1,
    )  # fmt: skip


def terms(method: Method[Any], data: Batch, progress: float = 1.0) -> tuple[Objective, Networks[Any]]:
    torch.manual_seed(0)
    networks = Networks(method.build(SMALL), method.build(SMALL).eval(), method.build_critic())
    return method.objective(networks, data, progress, torch.Generator().manual_seed(1)), networks


COPY_PASTE = replace(CROSS_TASK, copy_paste_weight=0.5)


EVERY = {
    "vnet": VNetMethod(),
    "uamt": UAMT(samples=2),
    "sassnet": SASSNet(critic_filters=8),
    "mtctl": MTCTL(critic_filters=8, critic_dropout=0.5),
    "cross-task": CROSS_TASK,
    "copy-paste": COPY_PASTE,
    "semi-supervised": SEMI_SUPERVISED,
}


@pytest.mark.parametrize("method", EVERY.values(), ids=EVERY)
def test_every_term_is_a_finite_scalar_and_reaches_the_student_but_not_the_teacher(method: Method[Any]) -> None:
    objective, networks = terms(method, batch())
    assert all(term.ndim == 0 and torch.isfinite(term) for term in objective.student.values())
    torch.stack(list(objective.student.values())).sum().backward()
    assert networks.student.encoder.blocks[0][0].weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in networks.teacher.parameters())
    assert (objective.critic is not None) == method.has_critic


@pytest.mark.parametrize("method", [SASSNet(critic_filters=8), MTCTL()], ids=["SASSNet", "MT-CTL"])
def test_the_critic_s_own_term_leaves_the_student_alone(method: Method[Any]) -> None:
    objective, networks = terms(method, batch())
    assert objective.critic is not None and networks.critic is not None
    objective.critic.backward()
    assert all(parameter.grad is None for parameter in networks.student.parameters())
    assert all(parameter.grad is not None for parameter in networks.critic.parameters())


@pytest.mark.slow
def test_unlabelled_scans_change_what_the_semi_supervised_methods_learn_but_not_the_v_net() -> None:
    data = batch()
    other = replace(
        data,
        unlabelled=data.unlabelled + 1,
        unlabelled_varied=data.unlabelled_varied + 1,
        exchanged=data.exchanged + (data.box == 0).repeat(2, 1, 1, 1, 1),
    )
    for method, changes in (
        (VNetMethod(), False),
        (UAMT(samples=2), True),
        (SASSNet(critic_filters=8), True),
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
    method = replace(CROSS_TASK, pretraining_share=0.5)
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


@pytest.mark.parametrize("method", [UAMT(samples=2), SASSNet(critic_filters=8)], ids=["UA-MT", "SASSNet"])
def test_a_batch_without_unlabelled_patches_has_the_supervised_terms_alone(method: Method[Any]) -> None:
    alone, with_unlabelled = (terms(method, one)[0] for one in (batch().labelled_only(), batch()))
    assert alone.critic is None and all(torch.isfinite(term) for term in alone.student.values())
    assert len(with_unlabelled.student.keys() - alone.student.keys()) == 1
    assert alone.student.keys() < with_unlabelled.student.keys()


def test_labelled_voxels_weigh_one_and_unlabelled_ones_nothing_side_by_side() -> None:
    data = batch()
    truth = side_by_side(data, data.unlabelled)
    assert truth.volume.shape == (4, 1, *SIZE)
    assert (truth.weight[:2] == 1).all() and (truth.weight[2:] == 0).all()
    assert torch.equal(truth.mask[:2], data.mask)


def test_copy_paste_exchanges_a_box_of_scan_mask_and_weight() -> None:
    data = batch()
    guess = torch.zeros(2, 1, *SIZE)
    guess[:, :, 2:12] = 0.9
    guess[:, :, 30, 30, 30] = 0.9  # A speck apart from the largest component.
    label, confidence = PseudoLabels().of(guess)
    truth = pasted(data, label, 0.5 * confidence)
    box = slice(0, 21)  # Two thirds of 32, from the corner.
    assert torch.equal(truth.volume, data.exchanged)
    assert torch.equal(truth.mask[2, 0, box, box, box], data.mask[0, 0, box, box, box])
    assert truth.mask[2, 0, 30, 30, 30] == 0
    assert truth.weight[0, 0, 0, 0, 0] == 0.5 and truth.weight[0, 0, 31, 31, 31] == 1
    assert truth.weight[2, 0, 0, 0, 0] == 1 and truth.weight[2, 0, 31, 31, 31] == 0.5
    assert torch.equal(truth.distance > 0, truth.mask > 0.5)


def test_copy_paste_survives_a_guess_of_nothing() -> None:
    data = replace(batch(), mask=torch.zeros(2, 1, *SIZE))
    nothing = torch.zeros(2, 1, *SIZE)
    truth = pasted(data, nothing, nothing + 0.5)
    assert (truth.distance == -1).all()


def test_the_tensors_entropy_is_the_arrays_entropy() -> None:
    p = np.linspace(0, 1, 101, dtype=np.float32)
    np.testing.assert_allclose(entropy(torch.from_numpy(p)).numpy(), binary_entropy(p), atol=2e-5)


def test_the_student_of_mt_ctl_is_the_network_that_segments() -> None:
    assert isinstance(MTCTL().build(SMALL), MTCTLNet)


def values(method: Method[Any], data: Batch, progress: float = 1.0) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms(method, data, progress)[0].student.items()}


def test_labels_of_the_teacher_can_be_soft_and_count_as_much_as_it_is_sure() -> None:
    probability = torch.zeros(1, 1, 4, 4, 8)
    probability[..., :3] = 0.9
    probability[..., 3] = 0.4
    probability[..., 7] = torch.where(torch.arange(16).reshape(4, 4) == 0, 0.8, 0.0)  # A speck.
    hard, alike = PseudoLabels().of(probability)
    assert hard.unique().tolist() == [0, 1] and hard.sum() == 48 and (alike == 1).all()
    soft, _ = PseudoLabels(soft=1).of(probability)
    assert torch.equal(soft[..., :4], probability[..., :4]) and (soft[..., 7] == 0).all()
    _, masked = PseudoLabels(least_confidence=0.7).of(probability)
    assert (masked[..., 3] == 0).all() and (masked[..., :3] == 1).all()
    _, weighted = PseudoLabels(confidence_power=1).of(probability)
    np.testing.assert_allclose(weighted[0, 0, 0, 1, [0, 3, 7]], [0.8, 0.2, 1], atol=1e-6)


@pytest.mark.slow
def test_guessed_labels_gain_weight_with_the_ramp_after_the_supervised_start() -> None:
    method, data = replace(COPY_PASTE, pretraining_share=0.5, ramp_share=0.25), batch()
    network = method.build(SMALL).eval()
    weights = []
    for progress in (0.5, 0.625, 0.75, 1.0):
        ramp = gaussian_ramp((progress - 0.5) / 0.25)
        weights.append(float(method._supervision(network, data, 0.5 * ramp).weight.min()))
    assert weights[0] < 0.01 and weights == sorted(weights) and weights[2] == weights[3] == 0.5
    assert values(method, data, 0.51)["dice"] != values(method, data, 0.99)["dice"]


@pytest.mark.slow
def test_f1_of_one_variation_is_compared_with_f2_of_another_where_that_is_asked_for() -> None:
    data = replace(batch(), second=torch.cat([batch().image, batch().unlabelled]) * 0.3 + 1)
    data = replace(data, unlabelled_varied=data.unlabelled)
    same, other = (MTCTL(samples=1, adversarial_weight=0, different_views=share) for share in (0, 1))
    plain = replace(data, second=data.unlabelled[:0])
    alike, apart, half = (values(one, data) for one in (same, other, replace(same, different_views=0.5)))
    assert values(same, plain) == alike and values(other, plain)["dice"] == alike["dice"]
    for name in ("cross_task", "guidance"):
        ends = alike[name], apart[name]
        assert ends[0] != ends[1] and half[name] == pytest.approx(sum(ends) / 2, rel=1e-3)
    assert not same.extras.second_views and other.extras.second_views


@pytest.mark.slow
def test_a_threshold_of_the_guidance_in_bits_leaves_voxels_out() -> None:
    found = [values(MTCTL(samples=1, guidance_threshold=t), batch()) for t in (0.3, 1.0, 0.0)]
    assert found[0]["guidance"] != found[1]["guidance"]
    assert found[1] == found[2], "at the end of a run UA-MT's threshold is 1 bit, too"


def test_the_teacher_of_ua_mt_takes_the_statistics_of_its_own_batch_and_forgets_them() -> None:
    network = UAMT().build(SMALL).eval()
    volume, masks = batch().image + 3, network.masks(2, torch.Generator().manual_seed(0))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items() if "running" in name}
    with torch.no_grad():
        averaged = network(volume, masks).segmentation
        with own_statistics(network):
            own = network(volume, masks).segmentation
        assert not torch.allclose(own, averaged)
        assert torch.equal(network(volume, masks).segmentation, averaged)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
    assert not any(module.training for module in network.modules())


@pytest.mark.slow
def test_the_adversarial_term_of_sassnet_rises_and_its_discriminator_drops_channels_only_while_it_learns() -> None:
    method = SASSNet(critic_filters=8)
    early, late = (values(method, batch(), progress)["adversarial"] for progress in (0.0, 1.0))
    assert early == pytest.approx(late * gaussian_ramp(0), rel=1e-3)
    critic = SASSNet().build_critic()
    assert critic.volume_stem.out_channels == 64 and critic.dropout == 0.5
    volume = batch().image
    assert torch.equal(critic(volume, volume), critic(volume, volume))
    masks = critic.masks(2, torch.Generator().manual_seed(0))
    assert not torch.equal(critic(volume, volume, masks), critic(volume, volume))
    assert {round(float(value), 3) for mask in masks for value in mask.unique()} == {0, 2}


def test_the_v_net_sees_as_many_patches_a_step_as_the_semi_supervised_methods() -> None:
    assert {name: method.labelled_patches for name, method in METHODS.items()} == {
        name: 4 if name == "vnet" else 2 for name in METHODS
    }
