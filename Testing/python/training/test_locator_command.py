"""Training of the locator: thoraxes, their parts, the command that trains one alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtctl.commands.main import main
from mtctl.commands.phantom import write_phantom
from mtctl.models.card import Card
from mtctl.models.model import read_model, save_model
from mtctl.networks.architecture import Architecture
from mtctl.networks.mtctl_net import LocatorNet, MTCTLNet
from mtctl.synthetic.phantom import Phantom, make_phantom
from mtctl_train.data.cases import TrainingCase, phantom_case
from mtctl_train.training import locator

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
    whole, *parts = locator._composed([case], 1)
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
    with pytest.warns(UserWarning, match="giant: left out"):
        shown = locator._composed([large, case], 1)
    assert len(shown) == 1 + locator._PARTS


def test_the_command_trains_a_locator_alone_and_adds_it_to_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = []

    def weights(training: locator.LocatorTraining, *rest: object) -> dict[str, object]:
        written.append(([case.name for case in training.cases], training.phantoms, training.iterations))
        return dict(LocatorNet(locator.FILTERS).state_dict())

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
