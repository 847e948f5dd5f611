"""The engine as a whole: same input, same answer; orientation, spacing and regions; what it warns of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.scans import SPACING_MM, scan

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Volume, with_spacing
from mtctl.inference.prediction import OUTSIDE, STAGES, Options
from mtctl.inference.segmenter import Segmenter
from mtctl.inference.slabs import Maps
from mtctl.models.model import Model
from mtctl.preprocessing.network_grid import GRID_MM
from mtctl.preprocessing.region_of_interest import Box, RegionError
from mtctl.uncertainty.maps import binary_entropy
from mtctl.uncertainty.voxel_calibration import VoxelCalibration

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
    assert np.array_equal(first.maps["entropy"], again.maps["entropy"])
    assert not np.array_equal(first.maps["entropy"], other.maps["entropy"])
    assert np.array_equal(first.segmentation, other.segmentation)


def test_calibration_changes_the_probability_and_its_entropy_but_neither_mask_nor_case_score(tiny_model: Model) -> None:
    calibrated = replace(tiny_model.card, voxel_calibration=VoxelCalibration(0.5, -1.0))
    models = (tiny_model, Model(tiny_model.folder, calibrated))
    plain, changed = (Segmenter(model, CPU).predict(scan()) for model in models)
    expected = VoxelCalibration(0.5, -1.0)(plain.maps["probability"])
    np.testing.assert_array_equal(changed.maps["probability"], expected)
    np.testing.assert_array_equal(changed.maps["entropy"], binary_entropy(expected))
    np.testing.assert_array_equal(changed.segmentation, plain.segmentation)
    for name in ("distance", "disagreement", "mutual_information"):
        np.testing.assert_array_equal(changed.maps[name], plain.maps[name], err_msg=name)
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
    assert empty.self_dice == 0 and empty.warnings == (
        "no atrium was found: check the scan, or draw the region (--roi)",
    )


def test_a_flipped_file_gives_the_same_atrium_at_the_same_place_of_the_patient(segmenter: Segmenter) -> None:
    volume = scan((40, 48, 57))
    straight, turned = segmenter.predict(volume), segmenter.predict(flipped(volume))
    assert np.array_equal(straight.segmentation, turned.segmentation[::-1, :, ::-1])
    np.testing.assert_array_equal(straight.maps["entropy"], turned.maps["entropy"][::-1, :, ::-1])


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
    box = Box(5.0, 26.0, 5.0, 26.0, 5.0, 40.0)
    prediction = segmenter.predict(volume, Options(region=box))
    probability, distance = prediction.on_source("probability").array, prediction.on_source("distance").array
    outside = np.ones(volume.array.shape, bool)
    outside[3:33, 7:43, 7:43] = False
    assert (probability[outside] == 0).all() and (distance[outside] == -1).all()
    assert (probability[6:30, 12:38, 12:38] > 0).all()
    assert not prediction.segmentation[outside].any()


def test_a_region_beside_the_scan_is_an_error_that_tells_where_the_scan_is(segmenter: Segmenter) -> None:
    with pytest.raises(RegionError, match="lies outside the scan, which spans"):
        segmenter.predict(scan(), Options(region=Box(500, 600, 0, 10, 0, 10)))


def test_more_samples_cost_no_further_encoder_pass(segmenter: Segmenter) -> None:
    calls: list[int] = []
    blocks = segmenter._network.encoder.blocks
    hooks = [block.register_forward_hook(lambda *_: calls.append(1)) for block in blocks]
    segmenter.predict(scan(), Options(samples=5, region=Box(5.0, 26.0, 5.0, 26.0, 5.0, 40.0)))
    for hook in hooks:
        hook.remove()
    assert len(calls) == len(blocks)


def test_a_gpu_without_memory_is_tried_in_thinner_slabs_and_left_for_the_cpu_which_is_said(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = Segmenter(tiny_model, CPU)
    segmenter.device = torch.device("cuda")  # Pretended: every attempt on it ends as on a full GPU.
    monkeypatch.setattr("mtctl.inference.segmenter.planes_at_once", lambda device, filters, shape: 64)
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

        monkeypatch.setattr("mtctl.inference.segmenter.sample_passes", fail)
        with pytest.raises(RuntimeError if said == "something else" else MemoryError):
            segmenter.predict(scan(), Options(region="none"))


def _fail(network: object, device: torch.device, planes: int) -> str:
    raise RuntimeError("something else")


def test_one_sample_is_refused_because_it_cannot_disagree() -> None:
    with pytest.raises(MtctlError, match="take at least 2"):
        Options(samples=1)


def test_a_region_in_an_empty_corner_of_an_oblique_scan_is_an_error(segmenter: Segmenter) -> None:
    c = float(np.sqrt(0.5))
    geometry = Geometry((90, 90, 40), (1.0,) * 3, (0.0, 0.0, 0.0), (c, -c, 0.0, c, c, 0.0, 0.0, 0.0, 1.0))
    volume = Volume(np.random.default_rng(0).normal(50, 9, geometry.shape).astype(np.float32), geometry)
    with pytest.raises(RegionError, match="holds nothing of the scan"):
        segmenter.predict(volume, Options(region=Box(-63, -38, 0, 25, 0, 25)))


def test_progress_passes_through_the_stages_in_order(segmenter: Segmenter) -> None:
    seen: list[str] = []
    prediction = segmenter.predict(scan(), progress=lambda stage, share: seen.append(stage))
    assert list(dict.fromkeys(seen)) == list(STAGES)
    assert set(prediction.seconds) == set(STAGES)


def test_a_result_of_implausible_size_is_doubted(segmenter: Segmenter) -> None:
    prediction = segmenter.predict(scan((24, 24, 24)))
    assert prediction.volume_ml < 15
    assert any("unusual for a left atrium" in doubt or "no atrium" in doubt for doubt in prediction.warnings)


@pytest.mark.slow
def test_the_model_s_grid_decides_at_which_resolution_the_network_works(tiny_model: Model) -> None:
    shapes = []
    for grid_mm in (GRID_MM, SPACING_MM, (1.25, 1.25, 1.25)):
        model = Model(tiny_model.folder, replace(tiny_model.card, grid_mm=grid_mm))
        segmenter = Segmenter(model, CPU)
        first, seen = segmenter._network.encoder.blocks[0], list[tuple[int, ...]]()
        first.register_forward_hook(lambda _, inputs, __, seen=seen: seen.append(tuple(inputs[0].shape[2:])))
        assert segmenter.predict(scan((40, 48, 56))).maps["probability"].shape == (40, 48, 56)
        shapes.append(seen[0])
    assert shapes == [(32, 32, 32), (48, 48, 64), (48, 32, 32)]  # padded to multiples of 16


# --- an atrium that is known: whatever is bright ---------------------------------------------------------------------


@pytest.fixture
def sure(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    """Takes all that is bright for the atrium."""

    def bright(_: object, array: np.ndarray, samples: int, *__: object) -> Maps:
        logits = np.where(array > 0, 6, -6).astype(np.float32)
        return Maps(logits, np.tanh(logits), np.repeat(logits[None], samples, axis=0))

    monkeypatch.setattr("mtctl.inference.segmenter.sample_passes", bright)
    return Segmenter(tiny_model, CPU)


def bright_ellipsoid(shape: tuple[int, int, int], centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Mask on voxels of `SPACING_MM`; centre and radii (z, y, x) in mm."""
    axes = [np.arange(n) * step for n, step in zip(shape, reversed(SPACING_MM), strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    return np.asarray(sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) < 1)


def as_scan(mask: np.ndarray) -> Volume:
    z, y, x = mask.shape
    noise = np.random.default_rng(0).normal(0, 5, mask.shape)
    return Volume((20 + 80 * mask + noise).astype(np.float32), Geometry((x, y, z), SPACING_MM, (0.0, 0.0, 0.0)))


def test_a_hole_in_the_atrium_is_filled_and_a_piece_apart_is_left_out(sure: Segmenter) -> None:
    shape = (48, 96, 112)
    whole = bright_ellipsoid(shape, (30, 30, 30), (24, 22, 24))
    hole = bright_ellipsoid(shape, (30, 30, 30), (9, 9, 9))
    apart = bright_ellipsoid(shape, (50, 52, 64), (5, 5, 5))
    prediction = sure.predict(as_scan((whole & ~hole) | apart))
    assert prediction.segmentation[hole].all() and not prediction.segmentation[apart].any()
    assert (prediction.segmentation ^ whole).sum() < 0.1 * whole.sum()
    hole_ml = hole.sum() * prediction.source.voxel_ml
    assert prediction.filled_ml == pytest.approx(hole_ml, rel=0.25)
    assert prediction.maps["probability"][hole].mean() < 0.4  # the maps say what the network said
    assert sure.predict(as_scan(whole)).filled_ml < 0.05 * hole_ml


def test_the_mask_may_be_cut_from_f1_and_the_samples_alike(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    atrium = bright_ellipsoid((48, 96, 112), (30, 30, 30), (24, 22, 24))

    def apart(_: object, array: np.ndarray, samples: int, *__: object) -> Maps:
        bright = np.where(array > 0, 1.0, -1.0).astype(np.float32)
        return Maps(2 * bright, np.tanh(bright), np.full((samples, *array.shape), -3, np.float32))

    monkeypatch.setattr("mtctl.inference.segmenter.sample_passes", apart)
    masks = {}
    for share in (0.0, 0.3, 1.0):
        card = replace(tiny_model.card, mask_samples_share=share)
        masks[share] = Segmenter(Model(tiny_model.folder, card), CPU).predict(as_scan(atrium)).segmentation
    assert masks[0.0][atrium].mean() > 0.9
    assert masks[0.3][atrium].mean() > 0.7 and masks[0.3].sum() < masks[0.0].sum()
    assert not masks[1.0].any()


@pytest.mark.slow
def test_where_an_atrium_is_found_only_with_the_slices_twice_as_far_apart_the_spacing_is_doubted(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    atrium = bright_ellipsoid((88, 128, 208), (55, 40, 65), (34, 22, 45))
    true = as_scan(atrium)

    def finds_half(_: object, array: np.ndarray, samples: int, *__: object) -> Maps:
        """In a scan at half its height it finds a piece in the middle, less sure of it."""
        squashed = array.shape[0] < 30
        logits = np.where(array > 0, 6, -6).astype(np.float32)
        if squashed:
            logits = np.where((array > 0) & (np.abs(np.arange(array.shape[2]) - 52) < 9), 1.0, -6).astype(np.float32)
        return Maps(logits, np.tanh(logits), np.repeat(logits[None], samples, axis=0))

    monkeypatch.setattr("mtctl.inference.segmenter.sample_passes", finds_half)
    segmenter = Segmenter(tiny_model, CPU)
    assert not any("spacing" in doubt for doubt in segmenter.predict(true).warnings)
    (doubt,) = segmenter.predict(with_spacing(true, (0.625, 0.625, 0.625))).warnings
    assert "half as high" in doubt and "--spacing 0.625,0.625,1.25" in doubt


LARGE = (44, 160, 320)  # 200 mm along x: searched
ATRIUM = bright_ellipsoid(LARGE, (27, 50, 100), (20, 30, 45))  # from 55 to 145 mm along x


def found_in(monkeypatch: pytest.MonkeyPatch, x0: float, x1: float) -> None:
    """Let the coarse pass find that part of the scan."""
    monkeypatch.setattr(Segmenter, "_locate", lambda self, volume, notes: Box(x0, x1, 5, 95, -1, 60))


def test_where_the_region_that_was_found_cuts_the_atrium_it_is_enlarged_there_and_that_is_noted(
    sure: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_in(monkeypatch, 40, 110)
    prediction = sure.predict(as_scan(ATRIUM))
    enlarged = "the region was enlarged at its left border, which the atrium touched"
    assert [note for note in prediction.remarks if "enlarged" in note] == [enlarged, enlarged]
    assert prediction.located and not any("border of the region" in doubt for doubt in prediction.warnings)
    assert (prediction.segmentation ^ ATRIUM).sum() < 0.1 * ATRIUM.sum()
    assert prediction.region.x0 == pytest.approx(40, abs=2) and prediction.region.x1 == pytest.approx(160, abs=2)


def test_a_region_that_holds_the_atrium_is_not_enlarged(sure: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    found_in(monkeypatch, 40, 160)
    prediction = sure.predict(as_scan(ATRIUM))
    assert not any("enlarged" in note for note in prediction.remarks)
    assert prediction.region.x1 == pytest.approx(160, abs=2)


def test_where_enlarging_twice_does_not_help_the_case_is_doubted(
    sure: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_in(monkeypatch, 40, 80)
    prediction = sure.predict(as_scan(ATRIUM))
    assert len([note for note in prediction.remarks if "enlarged" in note]) == 2
    assert "the segmentation touches the left border of the region: draw a larger one (--roi)" in prediction.warnings
    assert prediction.region.x1 == pytest.approx(130, abs=2)


def test_a_region_that_a_person_drew_stays_and_a_cut_atrium_is_doubted(sure: Segmenter) -> None:
    prediction = sure.predict(as_scan(ATRIUM), Options(region=Box(40, 110, 5, 95, -1, 60)))
    assert not prediction.located and not any("enlarged" in note for note in prediction.remarks)
    assert "the segmentation touches the left border of the region: draw a larger one (--roi)" in prediction.warnings
    assert prediction.region.x1 == pytest.approx(110, abs=2) and not prediction.segmentation[:, :, 180:].any()


def test_where_the_region_ends_with_the_scan_there_is_nothing_to_enlarge(
    sure: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_end = bright_ellipsoid(LARGE, (27, 50, 170), (20, 30, 45))
    found_in(monkeypatch, 110, 250)
    prediction = sure.predict(as_scan(at_the_end))
    assert not any("enlarged" in note for note in prediction.remarks)
    assert not any("border of the region" in doubt for doubt in prediction.warnings)


def test_padding_and_damaged_slices_are_left_out_of_the_grey_levels_and_told(sure: Segmenter) -> None:
    mask = bright_ellipsoid((48, 96, 112), (30, 30, 30), (24, 22, 24))
    sound = as_scan(mask)
    spoilt = Volume(sound.array.copy(), sound.geometry)
    spoilt.array[:, :, 100:] = 0  # padding: the same value everywhere
    spoilt.array[44:46] = -4000  # damaged slices
    notes = sure.predict(spoilt).remarks
    assert any("of the scan is padding" in note for note in notes)
    assert not any("padding" in note or "grey levels" in note for note in sure.predict(sound).remarks)
    spoilt.array[:, :, 100:] = sound.array[:, :, 100:]
    assert any("lie far outside the scan's other grey levels" in note for note in sure.predict(spoilt).remarks)
