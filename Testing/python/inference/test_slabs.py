"""Whole volumes and slabs give the same answer; samples are seeded; memory decides the slabs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.scans import scan

from mtctl.inference.slabs import locator_pass, planes_at_once, sample_passes
from mtctl.models.model import Model
from mtctl.networks.mtctl_net import LocatorNet, MTCTLNet
from mtctl.preprocessing.normalisation import normalise

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network(tiny_model: Model) -> MTCTLNet:
    return tiny_model.load_network()


@pytest.fixture(scope="module")
def array() -> np.ndarray:
    return normalise(scan((75, 50, 61)).array)


def test_the_passes_compute_what_the_network_s_own_forward_does(network: MTCTLNet, array: np.ndarray) -> None:
    part = array[:32, :48, :48]
    maps = sample_passes(network, part, 1, 5, CPU, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=False):
        generator = torch.Generator().manual_seed(5 * 4096)
        outputs = network(torch.from_numpy(part.copy())[None, None], generator)
    for ours, plain in (
        (maps.segmentation, outputs.segmentation),
        (maps.distance, outputs.distance),
        (maps.samples[0], outputs.uncertainty),
    ):
        scale = float(plain.std())
        assert np.abs(ours - plain[0, 0].numpy()).mean() < 0.02 * scale  # bfloat16 keeps eight bits.


@pytest.mark.slow
def test_the_same_seed_gives_the_same_samples_and_another_seed_others(network: MTCTLNet, array: np.ndarray) -> None:
    first, again, other = (sample_passes(network, array, 2, seed, CPU, 80) for seed in (1, 1, 2))
    assert np.array_equal(first.samples, again.samples)
    assert not np.array_equal(first.samples, other.samples)
    assert not np.array_equal(first.samples[0], first.samples[1])
    assert np.array_equal(first.segmentation, other.segmentation)


@pytest.mark.slow
def test_slabs_of_any_thickness_give_the_answer_of_the_whole_to_within_rounding(
    network: MTCTLNet, array: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sample_passes(network, array, 2, 0, CPU, 80)
    for planes in (16, 32, 48):
        slabs = sample_passes(network, array, 2, 0, CPU, planes)
        for name in ("segmentation", "distance", "samples"):
            np.testing.assert_allclose(getattr(slabs, name), getattr(whole, name), atol=0.02, err_msg=name)
    monkeypatch.setattr("mtctl.networks.device.has_bfloat16", lambda device: False)
    whole, slabs = (sample_passes(network, array, 2, 0, CPU, planes) for planes in (80, 16))
    np.testing.assert_allclose(slabs.samples, whole.samples, atol=1e-4)


def test_all_maps_have_the_volume_s_shape_whatever_the_padding(network: MTCTLNet, array: np.ndarray) -> None:
    maps = sample_passes(network, array[:33], 3, 0, CPU, 16)
    assert maps.segmentation.shape == maps.distance.shape == (33, 50, 61)
    assert maps.samples.shape == (3, 33, 50, 61)


@pytest.mark.slow
def test_progress_rises_to_one(network: MTCTLNet, array: np.ndarray) -> None:
    shares: list[float] = []
    sample_passes(network, array, 4, 0, CPU, 80, shares.append)
    assert shares == [0.25, 0.5, 0.75, 1]


def test_a_locator_in_slabs_gives_what_it_gives_in_one_piece(array: np.ndarray) -> None:
    torch.manual_seed(0)
    network = LocatorNet(4).eval()
    np.testing.assert_allclose(locator_pass(network, array, CPU, 16), locator_pass(network, array, CPU, 80), atol=0.02)


def test_a_crop_is_one_slab_and_a_thorax_at_full_resolution_several() -> None:
    assert planes_at_once(CPU, 16, (44, 70, 95)) >= 48  # 1.25 x 1.25 x 2.5 mm
    assert planes_at_once(CPU, 16, (88, 70, 95)) >= 96  # 1.25 mm
    assert 16 <= planes_at_once(CPU, 16, (88, 640, 640)) < 88
    assert planes_at_once(CPU, 16, (88, 5000, 5000)) == 16
