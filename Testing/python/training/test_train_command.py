"""`mtctl train` from files to a model that `mtctl segment` takes; calibration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.scans import scan

from mtctl.commands.main import main
from mtctl.evaluation.calibrate import Calibration
from mtctl.geometry import Volume
from mtctl.io.volumes import read_mask, write_volume
from mtctl.models.model import read_model
from mtctl.networks.architecture import Architecture
from mtctl.preprocessing.network_grid import GRID_MM
from mtctl.uncertainty.voxel_calibration import VoxelCalibration
from mtctl_train import recipe
from mtctl_train.methods import METHODS
from mtctl_train.training import job

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both recipes with a network that takes a step in no time, and no pictures."""
    monkeypatch.setattr("mtctl_train.training.monitor.draw", lambda sample: np.zeros((4, 4, 3), np.uint8))
    for name in ("OURS", "PUBLISHED"):
        small = replace(getattr(recipe, name), architecture=Architecture(filters=4, uncertainty_filters=2))
        monkeypatch.setattr(recipe, name, small)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, name in enumerate(("a", "b", "c")):
        volume = scan((40, 48, 56), seed)
        z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in volume.array.shape], indexing="ij")
        mask = (np.sqrt(z**2 + y**2 + x**2) < 0.6).astype(np.uint8)
        write_volume(volume, folder / f"{name}.image.nrrd")
        write_volume(Volume(mask, volume.geometry), folder / f"{name}.label.nrrd")
    return folder


def run(data: Path, *arguments: str) -> int:
    quick = "--iterations 2 --locator-iterations 0 --phantoms 0 --full-fields 0 --batch 1 --patch 48,16,16"
    return main(["train", "--data", str(data), *quick.split(), "--device", "cpu", *arguments])


def test_two_cases_become_a_model_with_its_card_that_segments(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labelled.txt").write_text("a\nb\n", encoding="utf-8")
    out = str(tmp_path / "model")
    arguments = ("--labelled", str(tmp_path / "labelled.txt"), "--validation", "c", "--out", out, "--id", "mine")
    assert run(data, *arguments) == 0
    printed = capsys.readouterr().out
    assert "training supervised, on the labelled cases alone: no unlabelled scan is listed" in printed
    assert "2 labelled, 0 unlabelled, 1 validation" in printed and "iteration 0 of 2" in printed
    card = read_model(Path(out)).card
    assert (card.id, card.grid_mm, card.data["labelled"], card.data["validation"]) == (
        "mine",
        GRID_MM,
        ["a", "b"],
        ["c"],
    )
    assert card.validation["cases"] == 1 and 0 < card.threshold <= 1
    assert card.score is not None
    events = [json.loads(line) for line in (tmp_path / "model" / "progress.jsonl").read_text("utf-8").splitlines()]
    # The first step is told of at once, the last with its validation.
    assert [event["event"] for event in events] == ["start", "progress", "progress", "validation", "end"]
    assert main(["evaluate", "--prediction", str(Path(out) / "validation"), "--truth", str(data)]) == 0
    capsys.readouterr()
    assert main(["segment", str(data / "c.image.nrrd"), "-o", str(tmp_path / "out"), "--model", out]) == 0
    assert run(data, *arguments) == 0  # Again: finds the finished run and writes the same model.
    assert "iteration 2 of 2" in capsys.readouterr().out
    assert read_model(Path(out)).card.sha256 == card.sha256


def test_the_card_has_the_whole_calibration_as_its_threshold_is_one_of_calibrated_probabilities(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = VoxelCalibration(0.5, -0.1)  # Two steps of training give nothing that a slope could be fitted to.

    def calibrate(*arguments: Any) -> Calibration:
        return replace(calibrate_really(*arguments), voxel_calibration=found)

    calibrate_really = job.calibrate
    monkeypatch.setattr(job, "calibrate", calibrate)
    assert run(data, "--labelled", "a", "--validation", "c", "--out", str(tmp_path / "model")) == 0
    assert read_model(tmp_path / "model").card.voxel_calibration == found


def test_cases_in_two_roles_and_missing_files_are_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "model")
    assert run(data, "--labelled", "a", "b", "--validation", "b", "--out", out) == 1
    assert "case b: is listed 2 times, as labelled, validation; list it once" in capsys.readouterr().err
    assert run(data, "--labelled", "a", "nosuch", "--out", out) == 1
    assert "nosuch.image.nrrd" in capsys.readouterr().err


def test_an_empty_list_an_unusable_folder_and_senseless_numbers_are_said_in_a_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").touch()
    for arguments, message in (
        (("--labelled", str(tmp_path / "empty"), "--out", str(tmp_path / "model")), "labelled cases: none is listed"),
        (("--labelled", "a", "--out", str(tmp_path / "empty")), "is a file, not a folder"),
        (("--labelled", "a", "--out", str(tmp_path / "model"), "--batch", "0"), "--batch and --iterations must be"),
    ):
        assert run(data, *arguments) == 1
        assert message in capsys.readouterr().err


def test_a_folder_of_a_run_with_other_cases_is_not_resumed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data, "--labelled", "a", "--out", str(tmp_path / "model")) == 0
    assert run(data, "--labelled", "b", "--out", str(tmp_path / "model")) == 1
    assert "other settings or cases" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["vnet", "uamt", "sassnet", "mtctl"])
def test_every_method_leaves_masks_of_the_validation_cases_to_compare(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    out = tmp_path / "model"
    cases = ("--labelled", "a", "--unlabelled", "b", "--validation", "c")
    assert run(data, "--method", method, *cases, "--out", str(out)) == 0
    assert read_mask(out / "validation" / "c.seg.nrrd").geometry == read_mask(data / "c.label.nrrd").geometry
    card = read_model(out).card
    assert card.recipe["method"] == method and list(card.data["unlabelled"]) == ["b"]
    assert (card.recipe["members"], card.recipe["folds"]) == (1, 1)
    printed = capsys.readouterr().out
    supervised = "training supervised, on the labelled cases alone: vnet does not look at unlabelled scans"
    assert (supervised if method == "vnet" else f"training semi-supervised, by {method}, on 1 unlabelled") in printed


@pytest.mark.parametrize("method", ["uamt", "sassnet", "mtctl"])
def test_a_method_that_learns_from_unlabelled_scans_asks_for_them(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    assert run(data, "--method", method, "--labelled", "a", "--out", str(tmp_path / "model")) == 1
    assert f"unlabelled cases: none is listed, but {method} learns from them" in capsys.readouterr().err


def test_a_mask_that_was_mended_begins_no_run_that_is_over(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--labelled", "a", "b", "--out", str(tmp_path / "model"))
    assert run(data, *arguments) == 0
    mask = read_mask(data / "a.label.nrrd")
    write_volume(Volume((mask.array > 0).astype(np.uint8)[:, ::-1], mask.geometry), data / "a.label.nrrd")
    assert run(data, *arguments) == 0, "turned round, the ball is the same"
    mended = (mask.array > 0).astype(np.uint8)
    mended[: mended.shape[0] // 2] = 0
    write_volume(Volume(mended, mask.geometry), data / "a.label.nrrd")
    assert run(data, *arguments) == 1
    assert "belongs to a run with other settings or cases" in capsys.readouterr().err


def test_a_method_comes_with_its_published_recipe_unless_ours_is_asked_for(data: Path, tmp_path: Path) -> None:
    quick = ("--labelled", "a", "--method", "vnet")
    found = {}
    for name, arguments in (("published", ()), ("ours", ("--recipe", "ours")), ("one", ("--option", "momentum=0.5"))):
        assert run(data, *quick, *arguments, "--out", str(tmp_path / name)) == 0
        found[name] = read_model(tmp_path / name).card.recipe
    published, ours = found["published"], found["ours"]
    assert published["optimisation"] == {"weight_decay": 1e-4, "momentum": 0.9}
    assert (published["stages"][0]["learning_rate"], ours["stages"][0]["learning_rate"]) == (0.01, 0.001)
    shares = ("paste_share", "intensity_share", "phantom_share")
    assert [published[name] for name in shares] == [0, 0, 0] and all(ours[name] > 0 for name in shares)
    assert found["one"]["optimisation"]["momentum"] == 0.5


def test_a_model_can_be_the_start_of_another(data: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(data, "--labelled", "a", "--out", str(first)) == 0
    still = ("--learning-rate", "0", "--base", str(first))
    assert run(data, "--labelled", "b", "--out", str(second), *still) == 0
    name = "segmentation_decoder.head.weight"
    assert torch.equal(*(load_file(folder / "weights.safetensors")[name] for folder in (first, second)))
    card = read_model(second).card
    assert card.recipe["base"] == str(first)
    assert card.data["learnt_before"] == ["a"]


def test_a_model_is_not_judged_by_cases_that_the_one_before_it_has_learnt(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    assert run(data, "--labelled", "a", "--out", first) == 0
    assert run(data, "--labelled", "b", "--base", first, "--out", second) == 0
    for base in (first, second):  # Learnt by the model itself, and by the one before it.
        assert run(data, "--labelled", "c", "--validation", "a", "--base", base, "--out", str(tmp_path / "x")) == 1
        told = capsys.readouterr().err
        assert "case a: is listed as validation, but the model" in told and "was trained on it" in told
    assert main(["models", "calibrate", second, "--data", str(data), "--validation", "a"]) == 1
    assert "was trained on a" in capsys.readouterr().err


def test_a_model_of_another_network_is_no_start(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = str(tmp_path / "first")
    assert run(data, "--labelled", "a", "--out", first) == 0
    assert run(data, "--labelled", "b", "--method", "vnet", "--base", first, "--out", str(tmp_path / "x")) == 1
    assert "a model of method 'mtctl-cross-task', whose weights do not fit the network of --method vnet" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("mtctl-cross-task", ("--option", "validate_every=0"), "validate_every is 0; it must be at least 1"),
        ("mtctl-cross-task", ("--option", "ramp_share=0"), "ramp_share is 0"),
        ("mtctl-cross-task", ("--option", "average_decay=1.5"), "average_decay is 1.5; it must be from 0 to 1"),
        ("mtctl-cross-task", ("--option", "phantom_share=nan"), "phantom_share is nan"),
        ("mtctl-cross-task", ("--option", "warm_up=-1"), "warm_up is -1"),
        ("mtctl-cross-task", ("--learning-rate", "-1"), "learning_rate is -1"),
        ("uamt", ("--option", "samples=0"), "samples is 0; it must be from 1 to 1000"),
        ("sassnet", ("--option", "adversarial_weight=-1"), "adversarial_weight is -1"),
        ("vnet", ("--seed", "-1"), "seed is -1; it must be from 0"),
        ("vnet", ("--patch", "48,0,16"), "each side must be a multiple of 16"),
        ("vnet", ("--patch", "48,-16,16"), "each side must be a multiple of 16"),
        ("mtctl-cross-task", ("--option", "replay_share=0.5"), "replay_share=0.5: this method has"),
        ("mtctl-semi-supervised", (), "none is listed, but mtctl-semi-supervised learns from them"),
        ("uamt", ("--unlabelled", "b", "--option", "unlabelled_share=0"), "unlabelled_share is 0, but uamt learns"),
    ],
)
def test_a_number_that_makes_no_sense_is_named_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str, arguments: tuple[str, ...], message: str
) -> None:
    nowhere = ("--labelled", "a", "--out", str(tmp_path / "model"))
    assert run(tmp_path, *nowhere, "--method", method, *arguments) == 1
    assert message in capsys.readouterr().err


def test_options_change_the_method_s_and_the_recipe_s_numbers_and_wrong_ones_are_explained(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--labelled", "a", "--out", str(tmp_path / "model"))
    assert run(data, *out, "--option", "guidance_weight=0.25", "--option", "average_decay=0.9") == 0
    used = read_model(tmp_path / "model").card.recipe
    assert (used["guidance_weight"], used["average_decay"]) == (0.25, 0.9)
    for option, message in (("nosuch=1", "this method has adversarial_weight"), ("samples=x", "'x' is no number")):
        assert run(data, *out, "--option", option) == 1
        assert message in capsys.readouterr().err


def test_each_method_and_its_deviations_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--list-methods"])
    printed = capsys.readouterr().out
    assert not ended.value.code
    for name, method in METHODS.items():
        assert f"\n{name}: " in f"\n{printed}" and f"{method.labelled_patches} labelled patches a step" in printed
    assert printed.count("Differs from the published code") == 3
    for deviation in ("turned by up to 20 degrees", "He et al.", "largest\n  value in the patch", "second pass"):
        assert deviation in printed
    assert "mtctl-best: the former name of mtctl-cross-task" in printed


def test_the_former_name_of_a_method_is_still_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--labelled", "a", "--out", str(tmp_path), "--method", "mtctl-best", "--option", "x=1") == 1
    assert "--option x=1: this method has adversarial_weight" in capsys.readouterr().err
