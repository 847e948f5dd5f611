"""`mtctl train` from files to a model that `mtctl segment` takes; calibration; the locator's thoraxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import scan
from safetensors.torch import load_file

from mtctl.commandline.main import main
from mtctl.commandline.train import case_names
from mtctl.geometry import Volume
from mtctl.model import read_model
from mtctl.phantom import Phantom, make_phantom
from mtctl.volume import read_mask, write_volume
from mtctl_train import thorax
from mtctl_train.dataset import phantom_case
from mtctl_train.locator import LOCATOR_SPACING, _composed, _grey_levels


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
    quick = "--coarse-iterations 2 --fine-iterations 0 --locator-iterations 0 --phantoms 0 --full-fields 0 --batch 1"
    return main(["train", "--data", str(data), *quick.split(), "--device", "cpu", *arguments])


def test_two_cases_become_a_model_with_its_card_that_segments(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labelled.txt").write_text("a\nb\n", encoding="utf-8")
    out = str(tmp_path / "model")
    arguments = ("--labelled", str(tmp_path / "labelled.txt"), "--validation", "c", "--out", out, "--id", "mine")
    assert run(data, *arguments) == 0
    printed = capsys.readouterr().out
    assert "2 labelled, 0 unlabelled, 1 validation" in printed and "iteration 0 of 2" in printed
    card = read_model(Path(out)).card
    assert (card.id, card.spacing_mm, card.data["labelled"], card.data["validation"]) == (
        "mine",
        1.25,
        ["a", "b"],
        ["c"],
    )
    assert card.validation["cases"] == 1 and 0 < card.threshold <= 1
    events = [json.loads(line) for line in (tmp_path / "model" / "progress.jsonl").read_text("utf-8").splitlines()]
    # The first step is told of at once, the last with its validation.
    assert [event["event"] for event in events] == ["start", "progress", "progress", "validation", "end"]
    assert main(["evaluate", "--prediction", str(Path(out) / "validation"), "--truth", str(data)]) == 0
    capsys.readouterr()
    assert main(["segment", str(data / "c.image.nrrd"), "-o", str(tmp_path / "out"), "--model", out]) == 0
    assert run(data, *arguments) == 0  # Again: finds the finished run and writes the same model.
    assert "iteration 2 of 2" in capsys.readouterr().out
    assert read_model(Path(out)).card.sha256 == card.sha256


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
        (("--labelled", "a", "--out", str(tmp_path / "model"), "--batch", "0"), "--batch must be at least 1"),
    ):
        assert run(data, *arguments) == 1
        assert message in capsys.readouterr().err


def test_a_folder_of_a_run_with_other_cases_is_not_resumed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data, "--labelled", "a", "--out", str(tmp_path / "model")) == 0
    assert run(data, "--labelled", "b", "--out", str(tmp_path / "model")) == 1
    assert "other settings or cases" in capsys.readouterr().err


def test_names_come_from_files_and_arguments_each_once(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("a\nb\n\nc\n", encoding="utf-8")
    assert case_names([str(tmp_path / "list"), "d", "a"]) == ("a", "b", "c", "d")


@pytest.mark.parametrize("method", ["vnet", "uamt", "sassnet", "mtctl"])
def test_every_method_leaves_masks_of_the_validation_cases_to_compare(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    out = tmp_path / "model"
    cases = ("--labelled", "a", "--unlabelled", "b", "--validation", "c")
    assert run(data, "--method", method, *cases, "--coarse-patch", "48,16,16", "--out", str(out)) == 0
    assert read_mask(out / "validation" / "c.seg.nrrd").geometry == read_mask(data / "c.label.nrrd").geometry
    card = read_model(out).card
    assert card.recipe["method"] == method and list(card.data["unlabelled"]) == ["b"]


def test_a_method_that_learns_from_unlabelled_scans_asks_for_them(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data, "--method", "uamt", "--labelled", "a", "--out", str(tmp_path / "model")) == 1
    assert "unlabelled cases: none is listed, but uamt learns from them" in capsys.readouterr().err


def test_a_model_can_be_the_start_of_another(data: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(data, "--labelled", "a", "--out", str(first)) == 0
    still = ("--learning-rate", "0", "--base", str(first))
    assert run(data, "--labelled", "b", "--out", str(second), *still) == 0
    name = "segmentation_decoder.head.weight"
    assert torch.equal(*(load_file(folder / "weights.safetensors")[name] for folder in (first, second)))
    assert read_model(second).card.recipe["base"] == str(first)


def test_options_change_the_method_s_and_the_recipe_s_numbers_and_wrong_ones_are_explained(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--labelled", "a", "--out", str(tmp_path / "model"))
    assert run(data, *out, "--option", "guidance_weight=0.25", "--option", "average_decay=0.9") == 0
    recipe = read_model(tmp_path / "model").card.recipe
    assert (recipe["guidance_weight"], recipe["average_decay"]) == (0.25, 0.9)
    for option, message in (("nosuch=1", "this method has adversarial_weight"), ("samples=x", "'x' is no number")):
        assert run(data, *out, "--option", option) == 1
        assert message in capsys.readouterr().err


def test_a_case_in_a_thorax_for_the_locator_has_its_atrium_where_the_crop_was_put(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = np.random.default_rng(0).normal(60, 20, (88, 320, 400)).clip(0, 255).astype(np.uint8)
    middle = np.zeros(body.shape, np.uint8)
    middle[30:60, 120:180, 160:240] = 1
    monkeypatch.setattr(thorax, "make_full_field", lambda seed: Phantom(body, middle))
    case = phantom_case(3)
    placed = _composed(_grey_levels(case), case.mask, 1)
    assert placed.spacing == LOCATOR_SPACING
    true_ml = make_phantom(3).mask.sum() * 0.625**3 / 1000
    assert placed.mask.sum() * LOCATOR_SPACING**3 / 1000 == pytest.approx(true_ml, rel=0.15)
    y, x = (int(v.mean()) for v in np.nonzero(placed.mask)[1:])
    assert abs(y - 150 / 4) < 6 and abs(x - 200 / 4) < 6
