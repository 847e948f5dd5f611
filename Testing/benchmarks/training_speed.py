"""A training step of MT-CTL as we run it against a plain float32 step of UA-MT (T = 8): seconds and peak memory.

    python Testing/benchmarks/training_speed.py [--patch 80,112,112] [--steps 3]

Both see two labelled and two unlabelled patches of the same synthetic cases, in one process, on the scans' own voxels
(0.625 x 0.625 x 1.25 mm) as in the literature. The plain step is UA-MT's own: default memory layout, float32, SGD,
eight Monte-Carlo passes of the whole teacher. Ours is `mtctl train`'s default: bfloat16 where the processor has it,
channels last, AdamW, and freed memory that is kept. That is of the whole process, so the plain step is measured before
it, and once more after it. Drawing the batch, the same, is not timed.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mtctl.networks.device import describe
from mtctl.synthetic.phantom import SPACING_MM
from mtctl.system.memory import release_memory
from mtctl_train.data.cases import Scan, phantom_case
from mtctl_train.data.sampler import Batch, Sampler
from mtctl_train.methods.base import Networks
from mtctl_train.methods.mtctl import CROSS_TASK, MTCTL
from mtctl_train.methods.uamt import UAMT
from mtctl_train.networks.vnet import VNet
from mtctl_train.recipe import Recipe, Stage
from mtctl_train.training.divergence import Watch
from mtctl_train.training.step import TrainingState

CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patch", default="80,112,112", help="(z, y, x) voxels; default: the literature's")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of each, after one that is not timed")
    args = parser.parse_args()
    z, y, x = map(int, args.patch.split(","))
    recipe = Recipe((Stage(100, (z, y, x), 1e-3),))
    cases = [phantom_case(seed, SPACING_MM) for seed in range(3)]
    scans = [Scan(cases[2].name, cases[2].image, cases[2].voxel_mm)]
    batch = Sampler(cases[:2], scans, [], (z, y, x), 2, 0.0, 0.0, seed=0).draw(0)

    steps = {
        "UA-MT, plain, float32": lambda: plain_uamt(batch),
        f"MT-CTL, our best form, {describe(CPU)}": lambda: ours(recipe, CROSS_TASK, batch),
        f"MT-CTL, the paper's terms, {describe(CPU)}": lambda: ours(recipe, MTCTL(), batch),
        "UA-MT, plain, float32, freed memory kept": lambda: plain_uamt(batch),
    }
    found = {name: measure(prepare(), args.steps) for name, prepare in steps.items()}
    baseline_seconds, baseline_gigabytes = found["UA-MT, plain, float32"]
    print(f"batch 2 + 2, patch {z}x{y}x{x}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'':<50}{'s a step':>10}{'ratio':>8}{'peak GB':>10}{'ratio':>8}")
    for name, (seconds, gigabytes) in found.items():
        ratios = f"{baseline_seconds / seconds:>8.1f}{gigabytes:>10.2f}{baseline_gigabytes / gigabytes:>8.1f}"
        print(f"{name:<50}{seconds:>10.2f}{ratios}")


def ours(recipe: Recipe, method: MTCTL, batch: Batch) -> Callable[[], None]:
    """A step as the trainer takes it, half way through a run: all terms are ramped up."""
    run, here, watch = TrainingState.begin(recipe, method, CPU, None), batch.to(CPU), Watch()
    return lambda: void(run.step(here, 50, 1e-4, watch))


def plain_uamt(batch: Batch) -> Callable[[], None]:
    torch.manual_seed(0)
    student = VNet()
    networks = Networks(student, copy.deepcopy(student).requires_grad_(False).eval(), None)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        objective = UAMT().objective(networks, batch, 0.5, torch.Generator().manual_seed(0))
        optimizer.zero_grad()
        torch.stack(list(objective.student.values())).sum().backward()
        optimizer.step()
        with torch.no_grad():
            for averaged, trained in zip(networks.teacher.parameters(), student.parameters(), strict=True):
                averaged.lerp_(trained, 0.01)

    return step


def measure(step: Callable[[], None], count: int) -> tuple[float, float]:
    """Median seconds of a step, and the peak of the process's memory in GB while it runs (Linux; else NaN)."""
    release_memory()  # What the one before has freed is not this one's.
    step()
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5", encoding="ascii")
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    peak = next((int(line.split()[1]) / 1e6 for line in lines if line.startswith("VmHWM")), float("nan"))
    return statistics.median(seconds), peak


def void(value: object) -> None:
    """Discard a value where a function of no result is wanted."""


if __name__ == "__main__":
    main()
