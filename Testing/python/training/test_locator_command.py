"""Training of the locator: thoraxes, their parts, the command that trains one alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from mtctl.commands.main import main
from mtctl.commands.phantom import write_phantom
from mtctl.models.card import Card
from mtctl.models.model import read_model, save_model
from mtctl.networks.architecture import Architecture
from mtctl.networks.mtctl_net import LocatorNet, MTCTLNet
from mtctl.synthetic.phantom import Phantom, make_phantom
from mtctl_train.data.cases import TrainingCase, phantom_case
from mtctl_train.errors import TrainingError
from mtctl_train.training import locator
from mtctl_train.training.monitor import Monitor

pytestmark = pytest.mark.slow


@pytest.fixture
def body(monkeypatch: pytest.MonkeyPatch) -> Phantom:
    """What every thorax is here: noise with an atrium."""
    image = np.random.default_rng(0).normal(60, 20, (44, 160, 200)).clip(0, 255).astype(np.uint8)
    mask = np.zeros(image.shape, np.uint8)
    mask[10:34, 60:90, 80:120] = 1
    made = Phantom(image, mask, (1.25, 1.25, 2.5))
    monkeypatch.setattr(locator, "make_acquired_field", lambda seed, height, any_contrast=False: made)
    return made


@pytest.fixture(scope="module")
def case() -> TrainingCase:
    return phantom_case(3, (1.25, 1.25, 2.5))


def test_a_case_in_a_thorax_has_its_atrium_where_the_crop_was_put(body: Phantom, case: TrainingCase) -> None:
    (whole, *parts), _ = locator._composed([case], 1)
    assert whole.voxel_mm == (4.0, 4.0, 4.0)
    phantom = make_phantom(3)
    true_ml = phantom.mask.sum() * np.prod(phantom.spacing_mm) / 1000
    assert whole.mask.sum() * 4**3 / 1000 == pytest.approx(true_ml, rel=0.1)
    y, x = (float(v.mean()) * 4 for v in np.nonzero(whole.mask)[1:])
    assert (y, x) == pytest.approx((75 * 1.25, 100 * 1.25), abs=16)
    for part in parts:  # Each holds the whole atrium and what lies around it, and less than all.
        assert part.mask.sum() == whole.mask.sum() and part.image.size < whole.image.size
        assert np.isfinite(part.image).all()


def test_a_case_that_does_not_fit_is_left_out_and_named(body: Phantom, case: TrainingCase) -> None:
    image = np.zeros((44, 300, 90), np.float32)
    image[:, ::2] = 1
    large = TrainingCase("giant", image, image - 0.5, case.voxel_mm)
    blank = TrainingCase("blank", case.image, np.full_like(case.distance_mm, -9), case.voxel_mm)
    shown, left_out = locator._composed([large, blank, case], 1)
    assert len(shown) == 1 + locator._PARTS
    assert "does not fit into a thorax" in left_out["giant"] and "is empty" in left_out["blank"]
    note = locator.LocatorTraining([large, blank, case], 0, 1, 0).note(left_out)
    assert (note.labelled, note.left_out) == ((case.name,), left_out)


def test_who_trains_a_locator_is_told_which_cases_it_was_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: TrainingCase
) -> None:
    class Here(ThreadPoolExecutor):
        def __init__(self, *_: object) -> None:
            super().__init__(1)

    class NetworkOnly:
        def state_dict(self) -> dict[str, object]:
            return {"encoder.x": 1, "distance_decoder.x": 2}

    monkeypatch.setattr(locator, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(locator, "_composed", lambda cases, seed: ([case] * fits, {"giant": "it does not fit"}))
    monkeypatch.setattr(locator, "train", lambda *_: NetworkOnly())
    fits, training = 1, locator.LocatorTraining([case], 0, 1, 0)
    weights, left_out = locator.locator_weights(training, tmp_path, torch.device("cpu"), Monitor(()))
    assert weights == {"encoder.x": 1} and left_out == {"giant": "it does not fit"}
    assert "case giant: left out of the locator's training: it does not fit" in capsys.readouterr().out
    fits = 0
    with pytest.raises(TrainingError, match="nothing to learn from: every case was left out"):
        locator.locator_weights(training, tmp_path, torch.device("cpu"), Monitor(()))


def test_the_command_trains_a_locator_alone_and_adds_it_to_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = []

    def weights(training: locator.LocatorTraining, *rest: object) -> tuple[dict[str, object], dict[str, str]]:
        written.append(([case.name for case in training.cases], training.phantoms, training.iterations))
        return dict(LocatorNet(locator.FILTERS).state_dict()), {}

    monkeypatch.setattr(locator, "locator_weights", weights)
    (tmp_path / "data").mkdir()
    write_phantom(make_phantom(0), tmp_path / "data" / "a")
    out, model = tmp_path / "alone", tmp_path / "model"
    command = ["models", "locator", str(out), "--data", str(tmp_path / "data"), "--labelled", "a"]
    assert main([*command, "--iterations", "7", "--phantoms", "2"]) == 0
    assert written == [(["a"], 2, 7)]
    architecture = Architecture(filters=4, uncertainty_filters=2)
    card = Card(id="tiny", version="1", sha256="", architecture=architecture, grid_mm=(1.25, 1.25, 2.5))
    save_model(model, card, MTCTLNet(architecture).state_dict())
    assert main(["models", "locator", str(model), "--from", str(out)]) == 0
    found = read_model(model)
    assert found.card.locator is not None and found.card.locator.grid_mm == locator.LOCATOR_GRID_MM
    assert found.card.data["locator"]["labelled"] == ["a"]
    found.load_locator(found.card.locator)
    capsys.readouterr()
    assert main(["models", "locator", str(model), "--from", str(tmp_path / "data")]) == 1
    assert "holds no locator" in capsys.readouterr().err
    assert main(["models", "locator", str(model), "--labelled", "a"]) == 1
    assert "--labelled needs --data" in capsys.readouterr().err
