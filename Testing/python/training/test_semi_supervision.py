"""What semi-supervision asks of batches, batch statistics and unlabelled scans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support.training_cases import CASES, CPU, RECIPE, SCANS
from torch import nn

from mtctl.uncertainty.case_score import CaseScore
from mtctl_train.data.sampler import Extras, Sampler
from mtctl_train.errors import TrainingError
from mtctl_train.methods.mtctl import CROSS_TASK
from mtctl_train.methods.vnet import VNetMethod
from mtctl_train.recipe import Stage
from mtctl_train.training import case_selection
from mtctl_train.training.monitor import Monitor
from mtctl_train.training.statistics import estimate_statistics
from mtctl_train.training.trainer import Cohort, train

PATCH = (16, 16, 16)


def sampler(extras: Extras, *, phantoms: float = 0.0, pasted: float = 0.0, varied: float = 1.0) -> Sampler:
    return Sampler(
        CASES[:2], SCANS, CASES[2:], PATCH, 2, phantoms, pasted, seed=4, intensity_share=varied, extras=extras
    )  # fmt: skip


def test_patches_exchange_their_box_as_acquired_and_are_varied_once_afterwards() -> None:
    plain = sampler(Extras(exchanges=True), varied=0.0).draw(3)
    inside = plain.box > 0
    assert inside.float().mean() == pytest.approx((11 / 16) ** 3)
    assert torch.equal(plain.exchanged[:2], torch.where(inside, plain.unlabelled, plain.image))
    assert torch.equal(plain.exchanged[2:], torch.where(inside, plain.image, plain.unlabelled))
    varied = sampler(Extras(exchanges=True)).draw(3)
    assert torch.equal(varied.box, plain.box) and not torch.equal(varied.exchanged, plain.exchanged)
    # Varied together: one grey curve, blur and noise for both sides of the box, not those of either patch.
    for patch, own in ((0, varied.image[0]), (2, varied.unlabelled_varied[0])):
        outside = ~inside[0]
        assert not torch.equal(varied.exchanged[patch][outside], own[outside])


def test_the_second_view_is_the_same_place_varied_anew() -> None:
    still = sampler(Extras(second_views=True), varied=0.0).draw(3)
    assert torch.equal(still.second, torch.cat([still.image, still.unlabelled]))
    moved = sampler(Extras(second_views=True)).draw(3)
    assert not torch.equal(moved.second[:2], moved.image) and not torch.equal(moved.second[2:], moved.unlabelled_varied)
    both = sampler(Extras(second_views=True, exchanges=True), varied=0.0).draw(3)
    assert torch.equal(both.second, both.exchanged)


def test_what_a_batch_holds_besides_changes_nothing_else_and_needs_no_other_process() -> None:
    bare, full = sampler(Extras()).draw(3), sampler(Extras(second_views=True, exchanges=True)).draw(3)
    for name in ("image", "mask", "distance", "unlabelled", "unlabelled_varied"):
        assert torch.equal(getattr(bare, name), getattr(full, name)), name
    assert len(bare.second) == len(bare.exchanged) == len(bare.box) == 0
    halves = [sampler(Extras(second_views=True, exchanges=True)).draw(3, range(i, i + 1)) for i in range(2)]
    for name in ("exchanged", "second"):
        first = torch.stack([getattr(half, name) for half in halves], dim=1).flatten(0, 1)
        assert torch.equal(first, getattr(full, name)), name
    alone = full.labelled_only()
    assert len(alone.second) == len(alone.exchanged) == len(alone.unlabelled) == 0


def test_where_a_discriminator_looks_both_streams_hold_phantoms_and_pasted_patches() -> None:
    both = [sampler(Extras(equal_streams=equal), phantoms=1.0).draw(3).unlabelled for equal in (False, True)]
    assert not torch.equal(*both)
    pasted = [sampler(Extras(equal_streams=True), pasted=share).draw(3).unlabelled for share in (0.0, 1.0)]
    apart = pasted[0] != pasted[1]
    assert 0 < apart.float().mean() < 0.5, "a box of each patch is another's"


def test_statistics_are_the_mean_over_batches_of_what_the_kept_network_sees() -> None:
    torch.manual_seed(0)
    method = VNetMethod()
    network = method.build(RECIPE.architecture).eval()
    source = replace(sampler(Extras(), phantoms=1.0), patch=(32, 32, 32))
    estimate_statistics(method, network, source, range(3), range(2), CPU)
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]
    assert not any(layer.training for layer in layers) and {layer.momentum for layer in layers} == {0.1}
    expected = []
    plain = replace(source, phantom_share=0.0, intensity_share=0.0)
    with torch.no_grad():
        for iteration in range(3):
            batch = plain.draw(iteration)
            seen = network.encoder.blocks[0][0](torch.cat([batch.image, batch.unlabelled]))
            expected.append(seen.mean((0, 2, 3, 4)))
    assert layers[0].running_mean is not None
    np.testing.assert_allclose(layers[0].running_mean, torch.stack(expected).mean(0), atol=0.02)


@pytest.mark.slow
def test_a_run_estimates_statistics_at_its_end_where_that_is_asked_for_and_changes_no_weight(tmp_path: Path) -> None:
    found = []
    for batches in (0, 2):
        recipe = replace(
            RECIPE, stages=(Stage(1, (48, 16, 16), 1e-3),), statistics_batches=batches, checkpoint_seconds=99.0
        )
        out = tmp_path / str(batches)
        out.mkdir()
        found.append(train(recipe, CROSS_TASK, Cohort(CASES[:2], SCANS), out, CPU, Monitor(())).state_dict())
    changed = {name.rpartition(".")[2] for name in found[0] if not torch.equal(found[0][name], found[1][name])}
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}


def start(score: CaseScore | None) -> Any:
    return SimpleNamespace(id="start", card=SimpleNamespace(score=score))


class Promising:
    """A segmenter that promises a Dice by the scan's name."""

    def __init__(self, *_: object) -> None: ...

    def predict(self, name: str) -> Any:
        return SimpleNamespace(self_dice={"sure": 0.96, "unsure": 0.7}[name])


def test_unlabelled_scans_that_the_start_is_unsure_of_are_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(case_selection, "Segmenter", Promising)
    monkeypatch.setattr(case_selection, "read_volume", lambda path: path.name.removesuffix(".image.nrrd"))
    names, base = ("sure", "unsure"), start(CaseScore())
    assert case_selection.poor_scans(Path(), names, 0.0, None, CPU) == {}
    assert case_selection.poor_scans(Path(), names, 0.8, base, CPU) == {"unsure": pytest.approx(0.46)}
    assert "unlabelled scan unsure: left out, its expected Dice by start is 0.46" in capsys.readouterr().out
    with pytest.raises(TrainingError, match=r"every unlabelled scan .*below 0.99 \(best 0.93\)"):
        case_selection.poor_scans(Path(), names, 0.99, base, CPU)


def test_scans_cannot_be_left_out_by_a_score_that_nobody_calibrated() -> None:
    for model, said in ((None, "there is no --base"), (start(None), "the case score of 'start' was never calibrated")):
        with pytest.raises(TrainingError, match=f"least_case_score is 0.8, but {said}"):
            case_selection.poor_scans(Path("nowhere"), ("a",), 0.8, model, CPU)
