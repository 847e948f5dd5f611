"""The trainer: it learns, resumes as if nothing had happened, keeps its averages, stops on nonsense, says how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from support.scans import scan
from support.training_cases import CASES, CPU, RECIPE, SCANS
from torch.optim.swa_utils import AveragedModel

from mtctl.geometry import Volume
from mtctl.io.labelled import DataError, load_labelled
from mtctl.io.volumes import write_volume
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl_train.data.cases import Scan, load_scan, scan_of
from mtctl_train.data.sampler import Sampler
from mtctl_train.errors import TrainingError
from mtctl_train.methods.base import Method, Objective
from mtctl_train.methods.mtctl import CROSS_TASK, MTCTL, SEMI_SUPERVISED
from mtctl_train.methods.sassnet import SASSNet
from mtctl_train.methods.uamt import UAMT
from mtctl_train.methods.vnet import VNetMethod
from mtctl_train.recipe import AdamWPoly, Recipe, SGDSteps, Stage
from mtctl_train.training import divergence, trainer
from mtctl_train.training.checkpoint import CHECKPOINT, PREVIOUS, CheckpointError
from mtctl_train.training.divergence import Watch
from mtctl_train.training.ema import WeightAverage
from mtctl_train.training.monitor import Monitor
from mtctl_train.training.speed import StepTimes
from mtctl_train.training.trainer import Cohort, train

pytestmark = pytest.mark.slow


def run(
    out: Path,
    recipe: Recipe = RECIPE,
    stop_after: int | None = None,
    scans: Sequence[Scan] = SCANS,
    method: Method[Any] = CROSS_TASK,
) -> tuple[dict[str, torch.Tensor], list[Any]]:
    out.mkdir(exist_ok=True)
    events: list[Any] = []

    def report(event: dict[str, Any]) -> None:
        events.append(event)
        if event["event"] == "validation" and event["iteration"] == stop_after:
            raise KeyboardInterrupt

    cohort = Cohort(CASES[:2], scans, [], CASES[2:])
    return train(recipe, method, cohort, out, CPU, Monitor((report,))).state_dict(), events


def test_it_learns_a_bright_ball(tmp_path: Path) -> None:
    recipe = replace(RECIPE, stages=(Stage(40, (48, 16, 32), 1e-2),), checkpoint_seconds=99, validate_every=40)
    _, events = run(tmp_path, recipe, scans=[])
    dice = [event["dice"] for event in events if event["event"] == "validation"]
    assert dice[-1] > 0.75
    losses = [event["losses"]["dice"] for event in events if event["event"] == "progress"]
    first, last = losses[0], losses[-1]
    assert last < first


METHODS = {
    "vnet": VNetMethod(),
    "uamt": UAMT(samples=2),
    "sassnet": SASSNet(critic_filters=4),
    "mtctl": MTCTL(),
    "best": CROSS_TASK,
    "semi-supervised": replace(SEMI_SUPERVISED, samples=2),
}


#: With a checkpoint to resume from in the middle of the first stage.
SHORT = replace(RECIPE, stages=(Stage(4, (48, 16, 16), 1e-2), Stage(1, (48, 16, 32), 1e-3)), validate_every=3)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_run_that_was_stopped_goes_on_bit_for_bit_as_if_it_had_not(tmp_path: Path, method: Method[Any]) -> None:
    torch.set_num_threads(1)
    whole, _ = run(tmp_path / "whole", SHORT, method=method)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", SHORT, stop_after=3, method=method)
    resumed, events = run(tmp_path / "stopped", SHORT, method=method)
    assert events[0]["iteration"] == 2  # The event of iteration 3 came before its checkpoint.
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(CheckpointError, match="belongs to a run with other settings"):
        run(tmp_path, replace(RECIPE, seed=5))
    (tmp_path / CHECKPOINT).write_bytes((tmp_path / CHECKPOINT).read_bytes()[:1000])
    (tmp_path / PREVIOUS).unlink()
    with pytest.raises(CheckpointError, match=r"damaged .*; delete it to start again"):
        run(tmp_path)


def test_a_run_whose_last_checkpoint_is_damaged_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole, _ = run(tmp_path)
    (tmp_path / CHECKPOINT).write_bytes((tmp_path / CHECKPOINT).read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"damaged .*; the run goes on from the one before it"):
        again, events = run(tmp_path)
    assert events[0]["iteration"] == 7
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())


def test_progress_names_the_losses_and_the_time_left_falls_to_nothing(tmp_path: Path) -> None:
    _, events = run(tmp_path)
    assert events[0]["event"] == "start"
    last = [event for event in events if event["event"] == "progress"][-1]
    assert last["iteration"] == last["of"] == 8
    assert last["seconds_left"] == 0
    assert {"dice", "uncertainty", "distance", "cross_task"} <= set(last["losses"])


def test_a_loss_that_is_not_a_number_stops_the_run_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    class BrokenLater(MTCTL):
        def objective(self, *args: Any) -> Objective:
            objective = super().objective(*args)
            return objective if args[2] < 0.4 else Objective({"dice": torch.tensor(float("nan"), requires_grad=True)})

    events: list[Any] = []
    with pytest.raises(
        TrainingError, match=r"not a number \(dice nan.* at iteration 4; the checkpoint in .* is from before"
    ):
        train(RECIPE, BrokenLater(adversarial_weight=0), Cohort(CASES[:2]), tmp_path, CPU, Monitor((events.append,)))
    assert (tmp_path / CHECKPOINT).is_file()
    assert events[-1]["event"] == "stopped" and "dice nan" in events[-1]["reason"]


@pytest.fixture
def early_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the smoothed loss mean something after ten iterations."""
    monkeypatch.setattr(divergence, "_WARM_UP", 10)


@pytest.mark.usefixtures("early_watch")
def test_a_diverging_run_stops_and_its_checkpoint_is_from_before(tmp_path: Path) -> None:
    class Diverging(VNetMethod):
        def objective(self, *args: Any) -> Objective:
            terms = super().objective(*args).student
            return Objective({name: term * (1 + max(0.0, args[2] - 0.6) * 1000) for name, term in terms.items()})

    recipe = replace(RECIPE, batch=1, stages=(Stage(30, (48, 16, 16), 1e-3),))
    events: list[Any] = []
    with pytest.raises(TrainingError, match=r"the loss diverges: smoothed .* it had been down to"):
        train(recipe, Diverging(), Cohort(CASES[:2]), tmp_path, CPU, Monitor((events.append,)))
    assert 19 <= events[-1]["iteration"] < 24
    with safe_open(tmp_path / CHECKPOINT, "pt") as stream:
        assert int(stream.metadata()["iteration"]) <= 20
    # Started again it knows what the loss had been down to, and stops as before.
    with pytest.raises(TrainingError, match=r"it had been down to .*start anew in another folder"):
        train(recipe, Diverging(), Cohort(CASES[:2]), tmp_path, CPU, Monitor())


@pytest.mark.usefixtures("early_watch")
def test_a_run_whose_loss_has_risen_at_its_end_is_no_result(tmp_path: Path) -> None:
    class Rising(VNetMethod):
        def objective(self, *args: Any) -> Objective:
            terms = super().objective(*args).student
            return Objective({name: term * 10 * (1 + 8 * max(0.0, args[2] - 0.6)) for name, term in terms.items()})

    recipe = replace(RECIPE, batch=1, stages=(Stage(40, (48, 16, 16), 0.0),), checkpoint_seconds=99.0)
    with pytest.raises(TrainingError, match=r"at its end the loss is at .* again, it had been down to"):
        train(recipe, Rising(), Cohort(CASES[:2]), tmp_path, CPU, Monitor())


def test_a_run_that_fails_at_once_does_not_speak_of_a_checkpoint(tmp_path: Path) -> None:
    class BrokenAtOnce(VNetMethod):
        def objective(self, *args: Any) -> Objective:
            return Objective({"dice": torch.tensor(float("nan"), requires_grad=True)})

    with pytest.raises(TrainingError, match=r"not a number.*nothing was saved before"):
        train(RECIPE, BrokenAtOnce(), Cohort(CASES[:2]), tmp_path, CPU, Monitor())


def test_a_watch_forgives_fluctuations_and_ramps_but_not_an_exploding_gradient() -> None:
    watch, rng = Watch(), np.random.default_rng(0)
    for step in range(500):
        assert watch.complaint({"dice": 0.2 * rng.uniform(0.3, 3), "cross_task": step / 5000}, 10.0) is None
        assert not watch.suspect
    assert "explodes" in str(watch.complaint({"dice": 0.2}, 1e7))
    assert "explodes" in str(watch.complaint({"dice": 0.2}, float("nan")))


def test_the_average_follows_the_weights_and_the_batch_norm_statistics() -> None:
    network = MTCTLNet(RECIPE.architecture)
    average = WeightAverage(network, 0.9)
    name = "encoder.blocks.0.1.running_mean"
    before = average.network.state_dict()[name].clone()
    network.state_dict()[name].add_(1.0)
    average.update(network, iteration=1_000_000)
    torch.testing.assert_close(average.network.state_dict()[name], before + 0.1)


def test_the_average_is_that_of_torch_with_the_decay_s_warm_up() -> None:
    decay, warm_up = 0.9, 10.0

    def average(averaged: torch.Tensor, current: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
        iteration = int(count) - 1  # The weights that it begins with count as the first.
        rate = min(decay, (1 + iteration) / (warm_up + iteration))
        return torch.lerp(averaged, current, 1 - rate) if current.is_floating_point() else current

    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.BatchNorm3d(2))
    ours, theirs = WeightAverage(network, decay, warm_up), AveragedModel(network, avg_fn=average, use_buffers=True)
    theirs.n_averaged.fill_(1)
    with torch.no_grad():
        for iteration in range(100):
            network(torch.randn(2, 1, 4, 4, 4))
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
            ours.update(network, iteration)
            theirs.update_parameters(network)
    averages = ours.network.state_dict()
    assert int(averages["1.num_batches_tracked"]) == 100
    assert all(torch.equal(averages[name], tensor) for name, tensor in theirs.module.state_dict().items())


def test_a_run_begins_with_the_weights_that_it_is_given(tmp_path: Path) -> None:
    base = MTCTLNet(RECIPE.architecture).state_dict()
    recipe = replace(RECIPE, stages=(Stage(1, (48, 16, 16), 0.0),))
    result = train(recipe, CROSS_TASK, Cohort(CASES[:1]), tmp_path, CPU, Monitor(), base).state_dict()
    weights = [name for name in base if name.endswith("weight")]
    assert all(torch.equal(result[name], base[name]) for name in weights)
    with pytest.raises(CheckpointError, match="other settings"):
        train(recipe, CROSS_TASK, Cohort(CASES[:1]), tmp_path, CPU, Monitor())


def test_the_literature_s_rate_falls_in_steps_and_ours_to_zero() -> None:
    assert [SGDSteps().rate(0.01, i / 6000) for i in (0, 2499, 2500, 5000)] == pytest.approx([0.01, 0.01, 1e-3, 1e-4])
    assert AdamWPoly().rate(1e-3, 0) == 1e-3 and AdamWPoly().rate(1e-3, 1) == 0


def test_patches_that_the_network_or_its_library_cannot_take_are_refused() -> None:
    for patch in ((48, 60, 64), (32, 64, 64)):
        with pytest.raises(TrainingError, match="multiple of 16, z at least 48"):
            Stage(1, patch, 1e-3)


def test_a_batch_depends_on_seed_and_iteration_alone_and_its_target_on_the_distance() -> None:
    sampler = Sampler(CASES[:2], [], [], (16, 16, 16), 2, 0.0, 1.0, seed=4)
    first, again, other = sampler.draw(3), sampler.draw(3), sampler.draw(4)
    assert torch.equal(first.image, again.image) and not torch.equal(first.image, other.image)
    assert first.image.shape == first.mask.shape == first.distance.shape == (2, 1, 16, 16, 16)
    assert torch.equal(first.mask > 0.5, first.distance > 0)
    assert first.unlabelled.shape == (0, 1, 16, 16, 16)
    mixed = replace(sampler, unlabelled=SCANS).draw(3)
    assert torch.equal(mixed.image, first.image) and mixed.unlabelled.shape == first.image.shape
    assert mixed.unlabelled_varied.shape == first.image.shape
    assert not torch.equal(mixed.unlabelled_varied, mixed.unlabelled)
    halves = [replace(sampler, unlabelled=SCANS).draw(3, range(i, i + 1)) for i in range(2)]
    assert torch.equal(torch.cat([half.image for half in halves]), mixed.image)
    assert torch.equal(torch.cat([half.unlabelled_varied for half in halves]), mixed.unlabelled_varied)


def test_an_unlabelled_scan_is_read_without_its_label(tmp_path: Path) -> None:
    write_volume(scan(), tmp_path / "a.image.nrrd")
    (tmp_path / "a.label.nrrd").write_bytes(b"not even an image")
    assert np.array_equal(load_scan(tmp_path, "a").image, scan_of("a", scan()).image)


def test_unusable_cases_are_named_before_training(tmp_path: Path) -> None:
    volume = scan()
    write_volume(volume, tmp_path / "a.image.nrrd")
    write_volume(Volume(np.zeros(volume.array.shape, np.uint8), volume.geometry), tmp_path / "a.label.nrrd")
    with pytest.raises(DataError, match=r"a\.label\.nrrd: the mask is empty"):
        load_labelled(tmp_path, "a")
    moved = replace(volume.geometry, origin=(5.0, 0.0, 0.0))
    write_volume(Volume(np.ones(volume.array.shape, np.uint8), moved), tmp_path / "a.label.nrrd")
    with pytest.raises(DataError, match=r"a\.label\.nrrd: lies on another grid"):
        load_labelled(tmp_path, "a")


def test_what_a_team_agrees_on_for_a_timed_run_lies_on_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    # NCCL takes no tensors of the CPU: a timed run on several GPUs would end at its eighth step.
    seen = []

    def agreed(values: dict[str, torch.Tensor]) -> dict[str, float]:
        seen.extend(value.device.type for value in values.values())
        return {"pace": 0.5, "spent": 20.0}

    monkeypatch.setattr(trainer, "average_values", agreed)
    recipe = replace(RECIPE, seconds=100.0)
    fitted = trainer._fitted(recipe, StepTimes([0.0], [0.5]), 8, 20.0, torch.device("meta"))
    assert seen == ["meta", "meta"] and fitted == recipe.fitted(8, 0.5, 20.0)


@pytest.mark.parametrize(("finished", "step"), [(1, 0.1), (1, 30.0), (7, 2.0)])
def test_the_time_left_of_a_timed_run_is_no_longer_than_what_was_asked_for_until_its_speed_is_known(
    finished: int, step: float
) -> None:
    recipe, times = replace(RECIPE, seconds=100.0), StepTimes([0.0] * finished, [step] * finished)
    count, left = trainer._foreseen(recipe, times, finished, 20.0)
    assert 0 < left <= 80 and count == recipe.fitted(finished, step, 20.0).iterations
    assert trainer._foreseen(replace(recipe, seconds=None), times, finished, 20.0) == (
        RECIPE.iterations,
        RECIPE.seconds_left(finished, step),
    )


def test_a_term_that_joins_after_the_pretraining_is_no_divergence_and_what_follows_still_can_be() -> None:
    watch = Watch()
    assert not any(watch.complaint({"dice": 0.1}, 1.0) for _ in range(100))
    assert not any(watch.complaint({"dice": 0.1, "adversarial": 0.5}, 1.0) for _ in range(100))
    assert not watch.suspect
    assert any(watch.complaint({"dice": 0.9, "adversarial": 1.9}, 1.0) for _ in range(100))


def test_the_discriminator_s_loss_may_rise_and_hides_no_student_that_diverges() -> None:
    watch = Watch()
    assert not any(watch.complaint({"dice": 0.1, "critic": 0.05}, 1.0) for _ in range(100))
    assert not any(watch.complaint({"dice": 0.1, "critic": 0.69}, 1.0) for _ in range(100))
    assert not watch.suspect and watch.losses["critic"] == pytest.approx(0.69, abs=0.01)
    assert any(watch.complaint({"dice": 1.0, "critic": 0.69}, 1.0) for _ in range(100))
    assert "not a number" in str(Watch().complaint({"dice": 0.1, "critic": float("nan")}, 1.0))


def test_a_run_may_end_part_of_the_way_back_to_the_weights_that_it_started_from(tmp_path: Path) -> None:
    recipe, cohort = replace(RECIPE, stages=(Stage(2, (48, 16, 16), 1e-2),)), Cohort(CASES[:2])
    base = CROSS_TASK.build(RECIPE.architecture).state_dict()

    def weights(share: float) -> dict[str, torch.Tensor]:
        out = tmp_path / str(share)
        out.mkdir()
        return train(replace(recipe, base_share=share), CROSS_TASK, cohort, out, CPU, Monitor(()), base).state_dict()

    ended, mixed = weights(0.0), weights(0.25)
    name = "encoder.blocks.0.0.weight"
    assert not torch.equal(ended[name], base[name])
    assert torch.allclose(mixed[name], 0.75 * ended[name] + 0.25 * base[name], atol=1e-6)
    whole = next(name for name in ended if name.endswith("num_batches_tracked"))
    assert torch.equal(mixed[whole], ended[whole])
