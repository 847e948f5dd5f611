"""The trainer: it learns, resumes as if nothing had happened, keeps its averages, stops on nonsense, says how long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import scan

from mtctl.distance_map import signed_distance_mm
from mtctl.geometry import Volume
from mtctl.network import Architecture, MTCTLNet
from mtctl.preprocess import normalise
from mtctl.volume import write_volume
from mtctl_train.checkpoint import CHECKPOINT, CheckpointError
from mtctl_train.dataset import Case, DataError, Sampler, Scan, load_labelled, load_scan
from mtctl_train.methods import SupervisedMTCTL
from mtctl_train.trainer import Recipe, Stage, TrainingError, WeightAverage, train

CPU = torch.device("cpu")
RECIPE = Recipe(
    stages=(Stage(1.25, 6, (48, 16, 32), 1e-2), Stage(0.625, 2, (48, 32, 32), 1e-3)),
    architecture=Architecture(filters=4, uncertainty_filters=2),
    checkpoint_seconds=0.0,
    validate_every=4,
)


def case(seed: int) -> Case:
    volume = scan(seed=seed)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in volume.array.shape], indexing="ij")
    mask = np.sqrt(z**2 + y**2 + x**2) < 0.6
    return Case(f"case{seed}", normalise(volume.array), signed_distance_mm(mask, (0.625,) * 3), 0.625)


CASES = [case(seed) for seed in range(3)]
SCANS = [Scan("unlabelled", CASES[2].image, 0.625)]


def run(
    out: Path, recipe: Recipe = RECIPE, stop_after: int | None = None, scans: list[Scan] = SCANS
) -> tuple[dict[str, torch.Tensor], list[Any]]:
    out.mkdir(exist_ok=True)
    events: list[Any] = []

    def report(event: dict[str, Any]) -> None:
        events.append(event)
        if event["event"] == "validation" and event["iteration"] == stop_after:
            raise KeyboardInterrupt

    return train(recipe, SupervisedMTCTL(), CASES[:2], scans, [], CASES[2:], out, CPU, report), events


def test_it_learns_a_bright_ball_within_a_minute(tmp_path: Path) -> None:
    recipe = replace(RECIPE, stages=(Stage(1.25, 60, (48, 32, 32), 1e-2),), checkpoint_seconds=99, validate_every=20)
    _, events = run(tmp_path, recipe, scans=[])
    dice = [event["dice"] for event in events if event["event"] == "validation"]
    assert dice[-1] > 0.75
    first, last = (event["losses"]["dice"] for event in (events[1], events[-2]))
    assert last < first


def test_a_run_that_was_stopped_goes_on_bit_for_bit_as_if_it_had_not(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    whole, _ = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", stop_after=4)
    resumed, events = run(tmp_path / "stopped")
    assert events[0]["iteration"] == 3  # The event of iteration 4 came before its checkpoint.
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_checkpoint_of_other_settings_or_a_torn_one_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(CheckpointError, match="belongs to a run with other settings"):
        run(tmp_path, replace(RECIPE, seed=5))
    (tmp_path / CHECKPOINT).write_bytes((tmp_path / CHECKPOINT).read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        run(tmp_path)


def test_progress_names_the_losses_and_the_time_left_falls_to_nothing(tmp_path: Path) -> None:
    _, events = run(tmp_path)
    assert events[0]["event"] == "start"
    last = [event for event in events if event["event"] == "progress"][-1]
    assert last["iteration"] == last["of"] == 8
    assert last["seconds_left"] == 0
    assert {"dice", "uncertainty_dice", "distance", "cross_task"} <= set(last["losses"])


def test_a_loss_that_is_not_a_number_stops_the_run_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    class Broken(SupervisedMTCTL):
        def losses(self, *args: Any) -> dict[str, torch.Tensor]:
            losses = super().losses(*args)
            return losses if args[2] < 0.4 else {**losses, "dice": torch.tensor(float("nan"))}

    with pytest.raises(TrainingError, match=r"not a number .* at iteration 4 .*dice nan"):
        train(RECIPE, Broken(), CASES[:2], [], [], [], tmp_path, CPU, lambda event: None)
    assert (tmp_path / CHECKPOINT).is_file()


def test_the_average_follows_the_weights_and_the_batch_norm_statistics() -> None:
    network = MTCTLNet(RECIPE.architecture)
    average = WeightAverage(network, 0.9)
    name = "encoder.blocks.0.1.running_mean"
    before = average.state[name].clone()
    network.state_dict()[name].add_(1.0)
    average.update(network, iteration=1_000_000)
    torch.testing.assert_close(average.state[name], before + 0.1)


def test_patches_that_the_network_or_its_library_cannot_take_are_refused() -> None:
    for patch in ((48, 60, 64), (32, 64, 64)):
        with pytest.raises(TrainingError, match="multiple of 16, z at least 48"):
            Stage(1.25, 1, patch, 1e-3)


def test_a_batch_depends_on_seed_and_iteration_alone_and_its_target_on_the_distance() -> None:
    sampler = Sampler([c.coarse() for c in CASES[:2]], [], [], (16, 16, 16), 2, 0.0, 1.0, seed=4)
    first, again, other = sampler.draw(3), sampler.draw(3), sampler.draw(4)
    assert torch.equal(first.image, again.image) and not torch.equal(first.image, other.image)
    assert first.image.shape == first.mask.shape == first.distance.shape == (2, 1, 16, 16, 16)
    assert torch.equal(first.mask > 0.5, first.distance > 0)
    assert first.unlabelled.shape == (0, 1, 16, 16, 16)
    mixed = replace(sampler, unlabelled=[SCANS[0].coarse()]).draw(3)
    assert torch.equal(mixed.image, first.image) and mixed.unlabelled.shape == first.image.shape


def test_an_unlabelled_scan_is_read_without_its_label(tmp_path: Path) -> None:
    write_volume(scan(), tmp_path / "a.image.nrrd")
    (tmp_path / "a.label.nrrd").write_bytes(b"not even an image")
    assert abs(float(load_scan(tmp_path, "a").image.mean())) < 1e-4


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
