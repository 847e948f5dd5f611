"""The guidance network: as the model without guidance, whole or refused, and shipped with a card that is true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.paths import shared_names

from mtctl.guidance.channels import WINDOW, click_channel, guidance_channels
from mtctl.guidance.network import CARD, WEIGHTS, GuidanceCard, find_guidance, save_guidance
from mtctl.models.card import ModelError
from mtctl.networks.architecture import Architecture
from mtctl.networks.guidance_net import GuidanceNet
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl.preprocessing.network_grid import GRID_MM

CPU = torch.device("cpu")
VOXEL_MM = (2.5, 1.25, 1.25)


def test_made_of_a_model_it_answers_like_that_model_whatever_it_is_told() -> None:
    model = MTCTLNet(Architecture(filters=2, uncertainty_filters=2)).eval()
    guided = GuidanceNet.from_model(model).eval()
    rng = np.random.default_rng(0)
    image = rng.normal(size=(16, 32, 32)).astype(np.float32)
    clicks = [np.array([8.0, 10.0, 12.0])]
    told = guidance_channels(image, rng.random(image.shape).astype(np.float32), clicks, clicks, VOXEL_MM)
    with torch.inference_mode():
        plain = model.segmentation_decoder(model.encoder(torch.from_numpy(image)[None, None]))
        assert torch.equal(guided(torch.from_numpy(told)[None]), plain)


def test_a_click_is_a_ball_of_height_one_as_wide_along_every_axis_in_millimetres() -> None:
    channel = click_channel([np.array([10.0, 20.0, 20.0])], (21, 41, 41), VOXEL_MM)
    assert channel.max() == channel[10, 20, 20] == 1
    assert channel[12, 20, 20] == pytest.approx(channel[10, 24, 20]) == pytest.approx(channel[10, 20, 16])
    assert not click_channel([], (4, 5, 6), VOXEL_MM).any()


def test_a_stroke_is_the_highest_of_its_balls() -> None:
    first, second = np.array([3.0, 8.0, 8.0]), np.array([5.0, 12.0, 9.0])
    both = click_channel([first, second], (8, 16, 16), VOXEL_MM)
    each = [click_channel([one], (8, 16, 16), VOXEL_MM) for one in (first, second)]
    assert np.array_equal(both, np.maximum(*each))


def test_what_was_saved_is_found_with_its_card(tmp_path: Path) -> None:
    network = GuidanceNet(2)
    saved = save_guidance(tmp_path / "kept", GuidanceCard("1", "", filters=2), network.state_dict())
    assert find_guidance(tmp_path / "kept").card == saved.card
    kept = load_file(tmp_path / "kept" / WEIGHTS)
    assert all(torch.equal(kept[name], value.half()) for name, value in network.state_dict().items())
    assert saved.finder(CPU).refiner.network.training is False


@pytest.mark.parametrize("what", ["cut", "other", "missing"])
def test_weights_that_are_not_those_of_the_card_are_refused_with_their_name(tmp_path: Path, what: str) -> None:
    saved = save_guidance(tmp_path, GuidanceCard("1", "", filters=2), GuidanceNet(2).state_dict())
    path = tmp_path / WEIGHTS
    if what == "missing":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[:-4] if what == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"guidance\.safetensors.*install"):
        saved.finder(CPU)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    saved = save_guidance(tmp_path, GuidanceCard("1", "", filters=4), GuidanceNet(2).state_dict())
    with pytest.raises(ModelError, match="not the weights of an MT-CTL network"):
        saved.finder(CPU)


@pytest.mark.parametrize("text", [None, "{", '{"version": 3}', '{"version": "1", "sha256": "", "grid_mm": [0, 1, 1]}'])
def test_a_card_that_is_missing_or_damaged_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / CARD).write_text(text)
    with pytest.raises(ModelError, match=r"guidance"):
        find_guidance(tmp_path)


def test_the_shipped_one_has_learnt_none_of_the_cases_that_figures_are_told_of() -> None:
    card = find_guidance().card
    assert card.grid_mm == GRID_MM and card.filters == 16
    told = set(shared_names()[66:80])
    assert not told & {*card.data["labelled"], *card.data["chances_from"]}
    assert not set(card.data["labelled"]) & set(card.data["chances_from"])


def test_the_shipped_one_fits_its_window_and_listens_to_clicks() -> None:
    network = find_guidance().finder(CPU).refiner.network
    assert all(n % 16 == 0 for n in WINDOW)
    z, y, x = (np.arange(n) - n / 2 for n in WINDOW)
    away = np.sqrt((z[:, None, None] * 2.5) ** 2 + (y[:, None] * 1.25) ** 2 + (x * 1.25) ** 2)
    rng = np.random.default_rng(1)
    image = (np.where(away < 22, 1.0, -0.5) + rng.normal(0, 0.3, away.shape)).astype(np.float32)
    probability = (1 / (1 + np.exp((away - 22) / 1.5))).astype(np.float32)
    click = [np.array([WINDOW[0] / 2, WINDOW[1] / 2, WINDOW[2] / 2 + 26 / 1.25])]
    answers = []
    for inside, outside in ((click, []), ([], click)):
        told = guidance_channels(image, probability, inside, outside, VOXEL_MM)
        with torch.inference_mode():
            answers.append(torch.sigmoid(network(torch.from_numpy(told)[None]))[0, 0].numpy())
    here = tuple(np.round(click[0]).astype(int))
    assert answers[0][here] > answers[1][here] + 0.2
