"""Models on disk: found, checked, refused with a clear reason."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mtctl.models.card import ModelError, write_card
from mtctl.models.model import Model, find_model, list_models, read_model, save_locator
from mtctl.models.model_files import CARD, WEIGHTS
from mtctl.networks.mtctl_net import LocatorNet
from mtctl.system.files import file_sha256
from mtctl.uncertainty.case_score import CaseScore, UsualShape
from mtctl.uncertainty.voxel_calibration import VoxelCalibration


@pytest.fixture
def folder(tiny_model: Model, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model.folder, tmp_path / "model"))


def test_a_saved_model_gives_the_same_answers_again(tiny_model: Model) -> None:
    networks = [tiny_model.load_network() for _ in range(2)]
    volume = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        answers = [network.segmentation_decoder(network.encoder(volume)) for network in networks]
    assert torch.equal(*answers)
    assert not networks[0].training


def test_a_card_comes_back_as_it_was_written(tiny_model: Model) -> None:
    assert read_model(tiny_model.folder).card == tiny_model.card
    assert tiny_model.card.sha256 == file_sha256(tiny_model.folder / WEIGHTS)


def test_a_calibrated_card_comes_back_as_it_was_written(folder: Path) -> None:
    shape = UsualShape((3.1, 2.5, 2.6), ((0.02, 0.01, 0.0), (0.01, 0.03, 0.0), (0.0, 0.0, 0.02)), 4.5)
    card = replace(
        read_model(folder).card,
        voxel_calibration=VoxelCalibration(0.6, -0.3),
        score=CaseScore(1.8, 1.2, 3.4, 0.84),
        usual_shape=shape,
    )
    write_card(folder, card)
    assert read_model(folder).card == card


def test_a_card_from_before_the_calibration_is_read_and_counts_as_not_calibrated(folder: Path) -> None:
    values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    for name in ("voxel_calibration", "usual_shape"):
        del values[name]
    values["score"] = {"intercept": -2.4, "slope": 3.4, "below": 0.03, "above": 0.03, "flag_below": 0.8}
    (folder / CARD).write_text(json.dumps(values), encoding="utf-8")
    card = read_model(folder).card
    assert card.score is None and card.usual_shape is None and card.voxel_calibration == VoxelCalibration()


def test_a_model_of_the_old_geometry_is_refused_with_the_reason(folder: Path) -> None:
    values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    del values["grid_mm"]
    (folder / CARD).write_text(json.dumps(values | {"spacing_mm": 1.25}), encoding="utf-8")
    sentence = "slices were taken to lie half as far apart as they do; it fails on correctly stored scans"
    for read in (read_model, lambda path: find_model(str(path))):
        with pytest.raises(ModelError, match=sentence) as caught:
            read(folder)
        assert str(folder) in str(caught.value) and "train it anew" in str(caught.value)


def test_a_card_without_any_grid_is_no_card(folder: Path) -> None:
    values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    del values["grid_mm"]
    (folder / CARD).write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ModelError, match=r"not a readable model card: 'grid_mm'"):
        read_model(folder)


def test_a_model_with_its_locator_comes_back_as_it_was_saved(folder: Path) -> None:
    saved = save_locator(read_model(folder), 2, (4.0, 4.0, 5.0), LocatorNet(2).state_dict())
    card = read_model(folder).card
    assert card == saved.card and card.locator is not None and card.locator.grid_mm == (4.0, 4.0, 5.0)
    assert not read_model(folder).load_locator(card.locator).training


def test_cut_off_weights_are_refused_by_their_hash(folder: Path) -> None:
    weights = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelError, match=r"weights\.safetensors: the file is damaged or not the one of this model"):
        read_model(folder).load_network()


def test_missing_weights_and_missing_or_torn_cards_are_named(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelError, match="the weights are missing"):
        read_model(folder).load_network()
    (folder / CARD).write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="not a readable model card"):
        read_model(folder)
    (folder / CARD).unlink()
    with pytest.raises(ModelError, match=r"not a model folder, it holds no card\.json"):
        read_model(folder)


def test_a_pickle_is_never_opened_even_if_the_card_has_its_hash(folder: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return (open, (str(folder / "executed"), "w"))

    (folder / WEIGHTS).write_bytes(pickle.dumps(Trap()))
    values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    values["sha256"] = file_sha256(folder / WEIGHTS)
    (folder / CARD).write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ModelError, match="not the weights of an MT-CTL network"):
        read_model(folder).load_network()
    assert not (folder / "executed").exists()


def test_weights_of_another_architecture_are_refused(folder: Path) -> None:
    model = read_model(folder)
    write_card(folder, replace(model.card, architecture=replace(model.card.architecture, filters=8)))
    with pytest.raises(ModelError, match="not the weights of an MT-CTL network"):
        read_model(folder).load_network()


def test_a_model_is_found_by_folder_and_an_unknown_one_lists_what_there_is(folder: Path) -> None:
    assert find_model(str(folder)).id == "tiny"
    with pytest.raises(ModelError, match=r"unknown model 'nosuch'.*installed models") as caught:
        find_model("nosuch")
    for model in list_models():
        assert model.id in str(caught.value)
