"""The network: one encoder pass however many samples, dropout only where it should be, shapes, size."""

from __future__ import annotations

import pytest
import torch

from mtctl.networks.architecture import STRIDE, Architecture
from mtctl.networks.mtctl_net import MTCTLNet

TINY = Architecture(filters=4, uncertainty_filters=2)


def test_the_default_encoder_and_decoder_are_the_literature_s_v_net() -> None:
    network = MTCTLNet()
    backbone = [*network.encoder.parameters(), *network.segmentation_decoder.parameters()]
    assert 9.3e6 < sum(parameter.numel() for parameter in backbone) < 9.5e6  # "9.4 M parameters"


def test_the_whole_model_fits_into_thirty_megabytes_of_float16() -> None:
    assert sum(tensor.numel() for tensor in MTCTLNet().state_dict().values()) * 2 < 30e6


def test_outputs_have_the_input_s_shape_and_the_distance_stays_within_one() -> None:
    torch.manual_seed(0)
    outputs = MTCTLNet(TINY)(torch.randn(2, 1, STRIDE, 2 * STRIDE, STRIDE) * 50)
    for tensor in (outputs.segmentation, outputs.distance, outputs.uncertainty):
        assert tensor.shape == (2, 1, STRIDE, 2 * STRIDE, STRIDE)
    assert outputs.distance.abs().max() <= 1


def test_the_encoder_runs_once_and_only_the_samples_differ() -> None:
    torch.manual_seed(0)
    network = MTCTLNet(TINY).eval()
    calls = []
    network.encoder.register_forward_hook(lambda *_: calls.append(1))
    volume = torch.randn(1, 1, 32, 32, 32)
    with torch.no_grad():
        features = network.encoder(volume)
        projected = network.uncertainty_decoder.project(features)
        samples = [network.uncertainty_decoder(projected, torch.Generator().manual_seed(i)) for i in range(3)]
        again = network.uncertainty_decoder(projected, torch.Generator().manual_seed(1))
        masks = [network.segmentation_decoder(features) for _ in range(2)]
    assert len(calls) == 1
    assert not torch.equal(samples[0], samples[1])
    assert torch.equal(samples[1], again)
    assert torch.equal(masks[0], masks[1])


def test_dropped_channels_are_made_up_for_so_that_the_mean_stays() -> None:
    decoder = MTCTLNet(TINY).uncertainty_decoder
    masks = decoder.masks(500, torch.Generator().manual_seed(0))
    for mask, probability in zip(masks, (0.2, 0.2, 0.2, 0.2, 0.5), strict=True):
        assert mask.unique().tolist() == pytest.approx([0.0, 1 / (1 - probability)])
        assert abs(float(mask.mean()) - 1) < 0.05
