"""Training of the guidance network: drafts, clicks of a simulated reader, and a run that goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.scans import scan
from support.training_cases import CASES, CPU

from mtctl.commands.main import main
from mtctl.geometry import Volume
from mtctl.guidance.network import find_guidance
from mtctl.guidance.questions import ChanceModel, QuestionFinder
from mtctl.guidance.refinement import Refiner
from mtctl.inference.segmenter import Segmenter
from mtctl.io.labelled import LabelledVolume
from mtctl.io.volumes import write_volume
from mtctl.models.model import Model
from mtctl.networks.guidance_net import GuidanceNet
from mtctl_train.guidance.chances import fit_chances, segmented
from mtctl_train.guidance.drafts import DraftedCase, error_places, make_drafts
from mtctl_train.guidance.examples import draw_example
from mtctl_train.guidance.simulated_clicks import answer_error, confirm
from mtctl_train.guidance.training import GuidanceRecipe, train_guidance

VOXEL_MM = (2.5, 1.25, 1.25)


@pytest.fixture(scope="module")
def drafts(tiny_model: Model) -> list[DraftedCase]:
    return make_drafts(tiny_model, CASES[:2], 1, CPU)


def two_balls() -> tuple[np.ndarray, np.ndarray]:
    z, y, x = np.indices((24, 48, 48)) * np.reshape(VOXEL_MM, (3, 1, 1, 1))
    truth = (z - 30) ** 2 + (y - 30) ** 2 + (x - 30) ** 2 < 20**2
    extra = (z - 30) ** 2 + (y - 30) ** 2 + (x - 52) ** 2 < 6**2
    return truth, truth | extra


def test_drafts_are_of_each_case_as_it_is_and_changed_with_the_same_truth(drafts: list[DraftedCase]) -> None:
    assert [draft.name for draft in drafts] == ["case0", "case0", "case1", "case1"]
    assert np.array_equal(drafts[0].image, CASES[0].image) and not np.array_equal(drafts[1].image, CASES[0].image)
    assert all(np.array_equal(draft.distance_mm, CASES[0].distance_mm) for draft in drafts[:2])


def test_errors_are_found_where_they_are_thickest() -> None:
    truth, mask = two_balls()
    places, depths = error_places(mask, truth, VOXEL_MM)
    assert len(places) == 1 and depths[0] > 3
    assert np.linalg.norm(places[0] * VOXEL_MM - (30, 30, 54)) < 4


def test_the_reader_clicks_on_the_error_and_says_what_is_true_there() -> None:
    truth, mask = two_balls()
    for seed in range(10):
        answered = answer_error(mask, truth, VOXEL_MM, np.random.default_rng(seed))
        assert answered is not None and not answered.inside
        for click in answered.clicks:
            assert not truth[tuple(np.round(click).astype(int))]
        assert (answered.about & (mask != truth)).sum() == answered.about.sum() > 0


def test_the_reader_says_nothing_about_a_mask_that_is_right_but_confirms_it_truly() -> None:
    truth, _ = two_balls()
    assert answer_error(truth, truth, VOXEL_MM, np.random.default_rng(0)) is None
    distance = np.where(truth, 5, -5).astype(np.float32)
    confirmed = confirm(truth, distance, VOXEL_MM, np.random.default_rng(0))
    assert confirmed is not None
    assert truth[tuple(confirmed.clicks[0].astype(int))] == confirmed.inside


def test_an_example_is_the_same_whenever_it_is_drawn(drafts: list[DraftedCase]) -> None:
    one, other = (draw_example(drafts, 3, 7, 1)[0] for _ in range(2))
    assert np.array_equal(one.channels(), other.channels()) and np.array_equal(one.weight, other.weight)
    assert one.target().min() >= 0 and one.target().max() <= 1


def test_examples_are_of_all_kinds(drafts: list[DraftedCase]) -> None:
    examples = [draw_example(drafts, 0, i, 0)[0] for i in range(30)]
    assert any(example.inside for example in examples) and any(example.outside for example in examples)
    assert any(not example.inside and not example.outside for example in examples)
    assert all((example.weight > 1).any() for example in examples if example.inside or example.outside)


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_one_that_was_not(drafts: list[DraftedCase], tmp_path: Path) -> None:
    def run(folder: str, stop: int | None) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        network, steps = GuidanceNet(2), 0

        def tell(line: str) -> None:
            nonlocal steps
            steps += 1

        recipe = GuidanceRecipe(iterations=3, batch=2, checkpoint_every=1)
        if stop is not None:
            with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr("mtctl_train.guidance.training.draw_example", _until(stop))
                train_guidance(network, drafts, recipe, tmp_path / folder, CPU, tell)
            network = GuidanceNet(2)
        (tmp_path / folder).mkdir(exist_ok=True)
        return train_guidance(network, drafts, recipe, tmp_path / folder, CPU, tell)

    (tmp_path / "stopped").mkdir()
    whole, stopped = run("whole", None), run("stopped", 2)
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def _until(step: int):  # type: ignore[no-untyped-def]
    def draw(drafts: list[DraftedCase], seed: int, iteration: int, item: int):  # type: ignore[no-untyped-def]
        if iteration == step:
            raise KeyboardInterrupt
        return draw_example(drafts, seed, iteration, item)

    return draw


def test_chances_are_fitted_to_what_a_reader_gets_and_are_the_usual_ones_without_cases(tiny_model: Model) -> None:
    finder = QuestionFinder(Refiner(GuidanceNet(2).eval(), CPU), ChanceModel())
    assert fit_chances(finder, []) == ChanceModel()
    volume = scan(seed=1)
    truth = np.zeros(volume.array.shape, bool)
    truth[tuple(slice(n // 4, 3 * n // 4) for n in truth.shape)] = True
    case = segmented(Segmenter(tiny_model, CPU), LabelledVolume("one", volume, truth))
    assert case.distance_mm.shape == case.state.image.shape == case.state.grid.shape
    assert (case.distance_mm > 0).any() and 0 <= fit_chances(finder, [case]).chance(0.1) <= 1


def test_a_model_that_has_learnt_the_cases_is_refused_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learnt = "06SR5RBREL16DQ6M8LWS"
    arguments = ["models", "guidance", str(tmp_path / "out"), "--data", str(tmp_path), "--model", "mtctl-la16"]
    assert main([*arguments, "--labelled", learnt]) != 0
    said = capsys.readouterr().err
    assert "mtctl-la16" in said and learnt in said and "--model" in said


def test_a_case_cannot_be_learnt_from_and_held_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["models", "guidance", str(tmp_path / "out"), "--data", str(tmp_path), "--model", "mtctl-la16"]
    assert main([*arguments, "--labelled", "a", "b", "--held-out", "b"]) != 0
    assert "--held-out" in capsys.readouterr().err


@pytest.mark.slow
def test_a_network_learns_from_the_errors_of_several_models_and_another_goes_on_from_it(
    tiny_model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("a", "b")):
        volume = scan((40, 48, 24), seed)
        z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in volume.array.shape], indexing="ij")
        write_volume(volume, tmp_path / f"{name}.image.nrrd")
        mask = (np.sqrt(z**2 + y**2 + x**2) < 0.6).astype(np.uint8)
        write_volume(Volume(mask, volume.geometry), tmp_path / f"{name}.label.nrrd")
    begun, more = tmp_path / "begun", tmp_path / "more"
    arguments = ["--data", str(tmp_path), "--labelled", "a", "--iterations", "1", "--appearances", "0"]
    model = str(tiny_model.folder)
    assert main(["models", "guidance", str(begun), *arguments, "--model", model, model, "--device", "cpu"]) == 0
    assert find_guidance(begun).card.data == {"drafts_of": ["tiny", "tiny"], "labelled": ["a"], "chances_from": []}
    going_on = [*arguments, "--model", model, "--base", str(begun), "--device", "cpu"]
    assert main(["models", "guidance", str(more), *going_on, "--held-out", "a"]) != 0
    assert main(["models", "guidance", str(more), *going_on, "--held-out", "b"]) == 0
    before, after = find_guidance(begun), find_guidance(more)
    assert after.card.recipe["base"]["sha256"] == before.card.sha256
    # A third would not hold out what the first learnt, whatever the second learnt from.
    assert after.card.known_cases == {"a", "b"}
    old, new = (one.network().encoder.blocks[0][0].weight for one in (before, after))
    assert 0 < (new - old).abs().max() < 0.01
    # A network that learnt a case has no honest chances to tell from it.
    capsys.readouterr()
    assert main(["models", "guidance", str(more), "--data", str(tmp_path), "--labelled", "b", "--held-out", "a",
                 "--model", model, "--base", str(begun)]) != 0  # fmt: skip
    assert "--base" in capsys.readouterr().err


def test_the_shipped_network_says_how_it_was_made() -> None:
    card = find_guidance().card
    assert card.recipe["iterations"] > 0 and card.data["drafts_of"] and "mtctl models guidance" in card.command
