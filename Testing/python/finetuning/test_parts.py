"""What fine-tuning is made of: weights of voxels, the cache of cases, guards against forgetting, runs of a set time."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.training_cases import CASES, CPU, RECIPE, SCANS

from mtctl.errors import MtctlError
from mtctl.io.labelled import DataError
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl.networks.tensors import write_tensors
from mtctl.system.files import WriteError
from mtctl_train.data.case_cache import CaseCache
from mtctl_train.data.cases import Scan, TrainingCase
from mtctl_train.data.sampler import Sampler
from mtctl_train.methods.losses import cross_entropy_loss, dice_loss
from mtctl_train.methods.mtctl import CROSS_TASK
from mtctl_train.recipe import AdamWPoly, Recipe, Stage
from mtctl_train.training.ema import WeightAverage
from mtctl_train.training.monitor import Monitor
from mtctl_train.training.speed import StepTimes
from mtctl_train.training.step import TrainingState
from mtctl_train.training.trainer import Cohort, train

SUPERVISED = replace(CROSS_TASK, copy_paste_weight=0.0)


def test_voxels_without_weight_teach_nothing() -> None:
    logits = torch.randn(1, 1, 4, 4, 4, requires_grad=True)
    target, weight = torch.ones(1, 1, 4, 4, 4), torch.ones(1, 1, 4, 4, 4)
    weight[..., :2] = 0
    (dice_loss(torch.sigmoid(logits), target, weight) + cross_entropy_loss(logits, target, weight)).backward()
    assert logits.grad is not None
    assert not logits.grad[..., :2].any() and logits.grad[..., 2:].all()


def sampler(labelled: list[TrainingCase], **settings: object) -> Sampler:
    return Sampler(labelled, SCANS, [], (48, 32, 32), 2, 0.0, 0.5, seed=1, **settings)  # type: ignore[arg-type]


def test_the_weights_of_a_case_come_with_its_patches_and_move_with_them() -> None:
    case = CASES[0]
    # Weight = mask: they must stay aligned through turns, warps and pasted boxes.
    weighted = replace(case, weight=case.mask.astype(np.float32))
    batch = sampler([weighted]).draw(0)
    assert batch.weight.shape == batch.image.shape
    agreement = ((batch.weight > 0.5) == (batch.mask > 0.5)).float().mean()
    assert agreement > 0.97
    assert torch.allclose(sampler([case]).draw(0).weight, torch.ones(()))


def test_unlabelled_patches_are_spread_evenly_and_replayed_cases_take_their_share() -> None:
    case = CASES[0]
    counts = [len(sampler([case], unlabelled_share=0.5).draw(i).unlabelled) for i in range(6)]
    assert sorted(counts) == [0, 0, 0, 2, 2, 2] and counts[0] != counts[1]
    heavy = replace(case, weight=np.full_like(case.image, 7))
    every = sampler([case], replay=[heavy], replay_share=1.0).draw(0)
    none = sampler([case], replay=[heavy], replay_share=0.0).draw(0)
    assert torch.allclose(every.weight, torch.tensor(7.0)) and torch.allclose(none.weight, torch.ones(()))


def test_a_cache_reads_what_is_needed_once_and_passes_over_what_cannot_be_used(tmp_path: Path) -> None:
    read, complaints = [], []

    def prepare(name: str) -> TrainingCase:
        read.append(name)
        if name == "bad":
            raise MtctlError("torn")
        return replace(CASES[0], name=name)

    names, folder = ["good", "bad", "other"], tmp_path / "cache"
    cache = CaseCache(TrainingCase, names, prepare, folder, lambda *why: complaints.append(why))
    assert read == [] and len(cache) == 3
    assert cache[1].name == "other" and cache[1].name == "other" and cache[-1].name == "other"
    assert read == ["bad", "other"] and complaints == [("bad", "torn")]

    def gone(name: str) -> TrainingCase:
        read.append(name)
        raise MtctlError("deleted")

    again = CaseCache(TrainingCase, names, gone, folder)
    assert np.array_equal(again[2].image, CASES[0].image) and again[2].voxel_mm == CASES[0].voxel_mm
    assert read == ["bad", "other"]  # Not "bad" once more: the run goes on as it was.
    assert [case.name for case in again.usable()] == ["other"]
    with pytest.raises(DataError, match="the only case cannot be used; "):
        CaseCache(TrainingCase, ["bad"], gone, folder)[0]
    with pytest.raises(IndexError):
        cache[3]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
def test_tensors_that_cannot_be_written_leave_the_old_file_and_say_why(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "weights.safetensors"
    write_tensors(path, {"w": torch.ones(3)})
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(WriteError, match=r"weights\.safetensors: cannot be written: File too large"):
            write_tensors(path, {"w": torch.ones(10000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_average_of_a_fine_tuning_starts_from_the_base() -> None:
    torch.manual_seed(0)
    base, other = (MTCTLNet(RECIPE.architecture) for _ in range(2))
    average = WeightAverage(base, 0.9, warm_up=1.0)
    average.update(other, 0)
    name = "segmentation_decoder.head.weight"
    expected = 0.9 * base.state_dict()[name] + 0.1 * other.state_dict()[name]
    assert torch.allclose(average.network.state_dict()[name], expected)


def distance_from_base(tmp_path: Path, anchor: float) -> float:
    torch.manual_seed(0)
    base = MTCTLNet(RECIPE.architecture).state_dict()
    recipe = replace(RECIPE, stages=(Stage(6, (48, 16, 16), 1e-2),), anchor=anchor, average_warm_up=1.0)
    tmp_path.mkdir()
    network = train(recipe, SUPERVISED, Cohort(CASES[:2]), tmp_path, CPU, Monitor(), base)
    return float(sum((values - base[name]).square().sum() for name, values in network.named_parameters()))


@pytest.mark.slow
def test_the_anchor_keeps_the_weights_near_those_of_the_base(tmp_path: Path) -> None:
    free, held = distance_from_base(tmp_path / "free", 0.0), distance_from_base(tmp_path / "held", 30.0)
    assert 0 < held < 0.7 * free


def test_a_run_of_a_given_time_gets_as_many_iterations_as_fit() -> None:
    recipe = Recipe((Stage(600, (48, 64, 64), 1e-3),), seconds=100.0)
    assert recipe.fitted(8, per_iteration=0.5, spent=20.0).iterations == 8 + 160
    assert recipe.fitted(8, per_iteration=50.0, spent=20.0).iterations == 20
    assert replace(recipe, seconds=None).fitted(8, 0.5, 20.0).iterations == 600
    both = replace(recipe, stages=(*recipe.stages, Stage(100, (96, 128, 128), 1e-3)))
    first, second = both.fitted(8, 0.1, 0.0).stages
    assert 0.1 * (first.iterations - 8) + 0.8 * second.iterations == pytest.approx(100, rel=0.05)


def test_the_rate_of_a_fine_tuning_rises_before_it_falls() -> None:
    rates = [AdamWPoly(warm_up=0.1).rate(1.0, share) for share in (0.0, 0.05, 0.1, 0.5, 1.0)]
    assert rates[0] < 0.02 < rates[1] < 0.6 < rates[2] and rates[2] > rates[3] > rates[4] == 0
    assert AdamWPoly().rate(1.0, 0.0) == 1


def test_the_pace_ignores_the_first_step_and_the_reading_of_cases() -> None:
    pace = StepTimes()
    for draw, step in ((3.0, 9.0), (0.1, 1.0), (2.0, 1.2)):
        pace.add(draw, step)
    assert pace.per_iteration == pytest.approx(0.1 + 1.1)


def test_a_step_with_unlabelled_patches_weighs_the_experts_voxels_alone() -> None:
    case = CASES[0]
    blank = replace(case, weight=np.zeros_like(case.image))
    run = TrainingState.begin(replace(RECIPE, unlabelled_share=1.0), SUPERVISED, CPU, None)
    batch = sampler([blank]).draw(0)
    objective = run.method.objective(run.networks, batch, 0.0, torch.Generator().manual_seed(0))
    assert float(objective.student["cross_entropy"].detach()) == 0
    assert float(objective.student["distance"].detach()) == 0


def unusable(name: str) -> object:
    raise DataError(f"case {name}: a large scan, and no prediction says where its atrium is; segment it first")


@pytest.mark.parametrize("names", [("only",), ("one", "two")])
def test_unlabelled_cases_that_cannot_be_used_are_named_and_the_others_are_learnt_from(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    told: dict[str, str] = {}
    cache = CaseCache(Scan, names, unusable, tmp_path / "unlabelled", told.__setitem__)  # type: ignore[arg-type]
    stage = Stage(4, (48, 16, 16), 1e-2)
    sampler = Sampler.of(RECIPE, stage, CASES, cache, ())
    plain = Sampler.of(RECIPE, stage, CASES, (), ())
    for iteration in range(4):
        batch = sampler.draw(iteration)
        assert len(batch.unlabelled) == 0
        assert torch.equal(batch.image, plain.draw(iteration).image)
    assert sorted(told) == sorted(names) and all("segment it first" in reason for reason in told.values())


def test_one_unlabelled_case_that_can_be_used_stands_in_for_those_that_cannot(tmp_path: Path) -> None:
    told: dict[str, str] = {}

    def prepare(name: str) -> Scan:
        return SCANS[0] if name == "good" else unusable(name)  # type: ignore[return-value]

    cache = CaseCache(Scan, ("bad", "good", "worse"), prepare, tmp_path / "unlabelled", told.__setitem__)
    sampler = Sampler.of(RECIPE, Stage(4, (48, 16, 16), 1e-2), CASES, cache, ())
    assert all(len(sampler.draw(iteration).unlabelled) == RECIPE.batch for iteration in range(4))
    assert set(told) <= {"bad", "worse"}


@pytest.mark.parametrize("content", [b"", b"no tensors", "other arrays", "no size", "endless size"])
def test_a_kept_case_that_is_damaged_is_made_again(tmp_path: Path, content: bytes | str) -> None:
    cache = CaseCache(Scan, ("a",), lambda name: SCANS[0], tmp_path / "kept")
    assert len(cache.usable()) == 1
    path = tmp_path / "kept" / "a.safetensors"
    image = torch.from_numpy(SCANS[0].image)
    if content == "other arrays":
        write_tensors(path, {"picture": image}, {"voxel_mm": "[1, 1, 1]"})
    elif content == "no size":
        write_tensors(path, {"image": image})
    elif content == "endless size":
        write_tensors(path, {"image": image}, {"voxel_mm": "[1e999, 1, 1]"})
    else:
        path.write_bytes(content)  # type: ignore[arg-type]
    (again,) = CaseCache(Scan, ("a",), lambda name: SCANS[0], tmp_path / "kept").usable()
    assert np.array_equal(again.image, SCANS[0].image) and again.voxel_mm == SCANS[0].voxel_mm
