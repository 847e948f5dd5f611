"""The shipped model: intact, honest about itself, good on phantoms and a real scan, the same in slabs and whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.paths import shared_names, shared_scans
from support.scans import SPACING_MM

from mtctl.evaluation.segmentation_metrics import dice
from mtctl.geometry import IDENTITY, Geometry, Volume
from mtctl.inference.prediction import Options, Prediction
from mtctl.inference.segmenter import Segmenter
from mtctl.inference.slabs import sample_passes
from mtctl.io.volumes import read_mask, read_volume
from mtctl.models.model import find_model, list_models
from mtctl.models.model_files import WEIGHTS
from mtctl.networks.distance_map import DISTANCE_SCALE_MM
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl.preprocessing.network_grid import canonical_geometry
from mtctl.preprocessing.normalisation import normalise
from mtctl.preprocessing.resampling import to_grid
from mtctl.synthetic.phantom import Phantom, make_full_field, make_phantom

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(find_model("mtctl-la16"), CPU)


def scan_of(phantom: Phantom) -> Volume:
    z, y, x = phantom.image.shape
    return Volume(phantom.image.astype(np.float32), Geometry((x, y, z), phantom.spacing_mm, (0.0, 0.0, 0.0)))


def test_every_shipped_model_is_whole_small_enough_and_exactly_one_is_the_default() -> None:
    models = list_models()
    assert sum(model.card.default for model in models) == 1
    for model in models:
        assert (model.folder / WEIGHTS).stat().st_size < 30e6
        assert isinstance(model.load_network(), MTCTLNet)
        assert model.card.data["labelled"] and model.card.command and model.card.recipe
        assert not set(model.card.data["labelled"]) & set(model.card.data["validation"])


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(3)


@pytest.fixture(scope="module")
def prediction(segmenter: Segmenter, phantom: Phantom) -> Prediction:
    return segmenter.predict(scan_of(phantom))


def test_a_phantom_it_never_saw_is_segmented_well(phantom: Phantom, prediction: Prediction) -> None:
    assert dice(prediction.segmentation, phantom.mask > 0) > 0.85
    assert prediction.sample_dice > 0.9


def test_the_border_is_less_certain_than_the_inside_and_the_outside(prediction: Prediction) -> None:
    depth = np.abs(prediction.maps["distance"]) * DISTANCE_SCALE_MM
    border, far = prediction.maps["entropy"][depth < 1].mean(), prediction.maps["entropy"][depth > 8].mean()
    assert border > 0.3 and far < border / 5


def test_the_atrium_is_found_in_a_whole_thorax(segmenter: Segmenter) -> None:
    phantom = make_full_field(5)
    prediction = segmenter.predict(scan_of(phantom), Options(samples=2))
    assert prediction.located
    assert dice(prediction.segmentation, phantom.mask > 0) > 0.8
    x, y, _ = np.array(prediction.grid.size) * prediction.grid.spacing
    assert x < 250 and y < 200  # mm; 400 x 400 is all of it


def test_noise_gives_no_atrium_or_a_result_that_is_doubted(segmenter: Segmenter) -> None:
    noise = np.random.default_rng(0).normal(50, 10, (64, 96, 128)).astype(np.float32)
    prediction = segmenter.predict(Volume(noise, Geometry((128, 96, 64), SPACING_MM, (0.0, 0.0, 0.0))))
    assert prediction.warnings or prediction.sample_dice < 0.8


def test_slabs_give_the_same_answer_as_one_piece_to_within_bfloat16_rounding(
    segmenter: Segmenter, phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The yardstick is what rounding itself does: the same whole-volume pass in float32."""
    volume = scan_of(phantom)
    array = normalise(*to_grid(volume, canonical_geometry(volume.geometry, segmenter.model.card.grid_mm)))
    network = segmenter._network

    def probability(planes: int) -> np.ndarray:
        maps = sample_passes(network, array, 2, 0, CPU, planes)
        return 1 / (1 + np.exp(-np.stack([maps.segmentation, *maps.samples])))

    whole, slabs = probability(48), probability(16)
    monkeypatch.setattr("mtctl.networks.device.has_bfloat16", lambda device: False)
    exact = probability(48)
    assert np.abs(slabs - whole).mean() <= np.abs(whole - exact).mean() + 1e-7
    assert dice(slabs[0] > 0.5, whole[0] > 0.5) > 0.9999


def test_a_real_scan_of_the_validation_cases_is_segmented_well_flipped_or_not(segmenter: Segmenter) -> None:
    folder, name = shared_scans(), shared_names()[70]
    volume = read_volume(folder / f"{name}.image.nrrd")
    truth = read_mask(folder / f"{name}.label.nrrd").array > 0
    prediction = segmenter.predict(volume, Options(samples=2))
    assert dice(prediction.segmentation, truth) > 0.9
    assert volume.geometry.direction == IDENTITY
    x, y, z = volume.geometry.index_to_physical((volume.geometry.size[0] - 1, 0, 0)).tolist()
    mirrored = Volume(
        np.ascontiguousarray(volume.array[:, :, ::-1]),
        Geometry(volume.geometry.size, volume.geometry.spacing, (x, y, z), (-1, 0, 0, 0, 1, 0, 0, 0, 1)),
    )
    again = segmenter.predict(mirrored, Options(samples=2))
    assert np.array_equal(again.segmentation[:, :, ::-1], prediction.segmentation)
