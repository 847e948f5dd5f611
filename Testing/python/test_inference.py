"""The engine as a whole: same input, same answer; orientation, spacing and regions; what it warns of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import scan

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Volume
from mtctl.inference import OUTSIDE, STAGES, Options, Segmenter
from mtctl.model import Model
from mtctl.preprocess import Box, RegionError
from mtctl.uncertainty import VoxelCalibration, binary_entropy

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def segmenter(tiny_model: Model) -> Segmenter:
    return Segmenter(tiny_model, CPU)


def flipped(volume: Volume) -> Volume:
    """The same scan stored from the patient's left to right and from head to feet."""
    geometry = volume.geometry
    x, _, z = (n - 1 for n in geometry.size)
    origin = geometry.index_to_physical((x, 0, z)).tolist()
    direction = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
    return Volume(
        np.ascontiguousarray(volume.array[::-1, :, ::-1]),
        Geometry(geometry.size, geometry.spacing, (origin[0], origin[1], origin[2]), direction),
    )


def test_the_same_volume_and_seed_give_the_same_prediction_and_another_seed_other_uncertainty(
    segmenter: Segmenter,
) -> None:
    first, again = segmenter.predict(scan()), segmenter.predict(scan())
    other = segmenter.predict(scan(), Options(seed=1))
    assert np.array_equal(first.entropy, again.entropy)
    assert not np.array_equal(first.entropy, other.entropy)
    assert np.array_equal(first.segmentation, other.segmentation)


def test_calibration_changes_the_probability_and_its_entropy_but_neither_mask_nor_case_score(tiny_model: Model) -> None:
    calibrated = replace(tiny_model.card, voxel_calibration=VoxelCalibration(0.5, -1.0))
    models = (tiny_model, Model(tiny_model.folder, calibrated))
    plain, changed = (Segmenter(model, CPU).predict(scan()) for model in models)
    expected = VoxelCalibration(0.5, -1.0)(plain.probability)
    np.testing.assert_array_equal(changed.probability, expected)
    np.testing.assert_array_equal(changed.entropy, binary_entropy(expected))
    for name in ("segmentation", "distance", "disagreement", "mutual_information"):
        np.testing.assert_array_equal(getattr(changed, name), getattr(plain, name), err_msg=name)
    assert (changed.self_dice, changed.sample_dice) == (plain.self_dice, plain.sample_dice)


def test_what_the_probabilities_promise_is_between_nothing_and_certainty_and_nothing_without_a_mask(
    segmenter: Segmenter,
) -> None:
    promised = segmenter.predict(scan()).self_dice
    assert 0 <= promised <= 1
    with torch.no_grad():
        head = segmenter._network.segmentation_decoder.head
        kept, head.bias[:] = head.bias.clone(), -1e3
    try:
        empty = segmenter.predict(scan())
    finally:
        with torch.no_grad():
            head.bias[:] = kept
    assert empty.self_dice == 0 and empty.doubts == ("no atrium was found: check the scan, or draw the region (--roi)",)


def test_a_flipped_file_gives_the_same_atrium_at_the_same_place_of_the_patient(segmenter: Segmenter) -> None:
    volume = scan((40, 48, 57))
    straight, turned = segmenter.predict(volume), segmenter.predict(flipped(volume))
    assert np.array_equal(straight.segmentation, turned.segmentation[::-1, :, ::-1])
    np.testing.assert_array_equal(straight.entropy, turned.entropy)


def test_every_map_lies_on_the_input_s_grid_whatever_it_is(segmenter: Segmenter) -> None:
    angle = np.deg2rad(20)
    oblique = (np.cos(angle), -np.sin(angle), 0.0, np.sin(angle), np.cos(angle), 0.0, 0.0, 0.0, 1.0)
    geometry = Geometry((50, 44, 20), (0.7, 0.8, 2.0), (-11.0, 7.0, 33.3), tuple(float(v) for v in oblique))
    volume = Volume(np.random.default_rng(0).normal(50, 9, geometry.shape).astype(np.float32), geometry)
    prediction = segmenter.predict(volume)
    assert prediction.segmentation.shape == geometry.shape
    for name in OUTSIDE:
        result = prediction.on_source(name)
        assert result.geometry == geometry
        low = -1.0 if name == "distance" else 0.0
        assert np.isfinite(result.array).all() and result.array.min() >= low - 1e-6 and result.array.max() <= 1 + 1e-6


def test_outside_a_region_of_interest_nothing_is_said(segmenter: Segmenter) -> None:
    volume = scan()
    box = Box(5.0, 25.0, 5.0, 25.0, 5.0, 20.0)
    prediction = segmenter.predict(volume, Options(region=box))
    probability, distance = prediction.on_source("probability").array, prediction.on_source("distance").array
    outside = np.ones(volume.array.shape, bool)
    outside[7:33, 7:41, 7:41] = False
    assert (probability[outside] == 0).all() and (distance[outside] == -1).all()
    assert (probability[12:28, 12:36, 12:36] > 0).all()
    assert not prediction.segmentation[outside].any()


def test_a_region_beside_the_scan_is_an_error_that_tells_where_the_scan_is(segmenter: Segmenter) -> None:
    with pytest.raises(RegionError, match="lies outside the scan, which spans"):
        segmenter.predict(scan(), Options(region=Box(500, 600, 0, 10, 0, 10)))


def test_more_samples_cost_no_further_encoder_pass(segmenter: Segmenter) -> None:
    calls: list[int] = []
    blocks = segmenter._network.encoder.blocks
    hooks = [block.register_forward_hook(lambda *_: calls.append(1)) for block in blocks]
    segmenter.predict(scan(), Options(samples=5))
    for hook in hooks:
        hook.remove()
    assert len(calls) == len(blocks)


def test_a_gpu_without_memory_is_tried_in_thinner_slabs_and_left_for_the_cpu_which_is_said(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = Segmenter(tiny_model, CPU)
    segmenter.device = torch.device("cuda")  # Pretended: every attempt on it ends as on a full GPU.
    monkeypatch.setattr("mtctl.inference.planes_at_once", lambda device, filters, shape: 64)
    tried: list[tuple[str, int]] = []

    def attempt(network: object, device: torch.device, planes: int) -> str:
        tried.append((device.type, planes))
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "done"

    notes: list[str] = []
    array = np.zeros((60, 16, 16), np.float32)
    assert segmenter._retrying(segmenter._network, attempt, array, notes) == "done"
    assert tried == [("cuda", 64), ("cuda", 32), ("cuda", 16), ("cpu", 64)]
    assert "slabs of 32 planes" in notes[0] and "computed on the CPU" in notes[-1]
    with pytest.raises(RuntimeError, match="something else"):
        segmenter._retrying(segmenter._network, _fail, array, notes)


def test_what_torch_and_itk_say_for_want_of_memory_is_a_memory_error(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = Segmenter(tiny_model, CPU)
    for said in ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes", "something else"):

        def fail(*_: object, words: str = said) -> object:
            raise RuntimeError(words)

        monkeypatch.setattr("mtctl.inference.sample_passes", fail)
        with pytest.raises(RuntimeError if said == "something else" else MemoryError):
            segmenter.predict(scan(), Options(region="none"))


def _fail(network: object, device: torch.device, planes: int) -> str:
    raise RuntimeError("something else")


def test_one_sample_is_refused_because_it_cannot_disagree() -> None:
    with pytest.raises(MtctlError, match="take at least 2"):
        Options(samples=1)


def test_a_region_in_an_empty_corner_of_an_oblique_scan_is_an_error(segmenter: Segmenter) -> None:
    c = float(np.sqrt(0.5))
    geometry = Geometry((60, 60, 40), (1.0,) * 3, (0.0, 0.0, 0.0), (c, -c, 0.0, c, c, 0.0, 0.0, 0.0, 1.0))
    volume = Volume(np.random.default_rng(0).normal(50, 9, geometry.shape).astype(np.float32), geometry)
    with pytest.raises(RegionError, match="holds nothing of the scan"):
        segmenter.predict(volume, Options(region=Box(-42, -30, 0, 12, 0, 12)))


def test_progress_passes_through_the_stages_in_order(segmenter: Segmenter) -> None:
    seen: list[str] = []
    prediction = segmenter.predict(scan(), progress=lambda stage, share: seen.append(stage))
    assert list(dict.fromkeys(seen)) == list(STAGES)
    assert set(prediction.seconds) == set(STAGES)


def test_a_result_of_implausible_size_is_doubted(segmenter: Segmenter) -> None:
    prediction = segmenter.predict(scan((24, 24, 24)))
    assert prediction.volume_ml < 15
    assert any("unusual for a left atrium" in doubt or "no atrium" in doubt for doubt in prediction.doubts)


def test_the_model_s_spacing_decides_at_which_resolution_the_network_works(tiny_model: Model) -> None:
    shapes = []
    for spacing in (1.25, 0.625):
        model = Model(tiny_model.folder, replace(tiny_model.card, spacing_mm=spacing))
        segmenter = Segmenter(model, CPU)
        first = segmenter._network.encoder.blocks[0]
        first.register_forward_hook(lambda _, inputs, __: shapes.append(tuple(inputs[0].shape[2:])))
        assert segmenter.predict(scan((40, 48, 56))).probability.shape == (40, 48, 56)
    assert shapes == [(32, 32, 32), (48, 48, 64)]
