"""An interrupt ends a cohort run whatever it is doing: signals at random times, beside other work.

    python Testing/benchmarks/interrupts.py [--rounds 20] [--load 4] [--workers 2] [--seed 0]

Each round starts `mtctl segment` over small scans with a tiny model in a process of its own and sends it SIGINT or
SIGTERM, in turn, at a random time of its life: while it imports, starts workers, reads, computes, writes, tidies up.
`--load` processes compute beside it all the time. It must end with status 130 and the one line "mtctl: interrupted",
and leave whole results and a table of these; the time that it took to end is measured. With --kill it is killed
(SIGKILL) instead: what it left has to be whole, and the next run completes it to what an undisturbed run writes.

A round whose run was over before the signal came counts as such. So does one in which Python itself had not begun to
run `mtctl`: it ends by the signal, and nothing is there yet. Status 1 if anything is amiss.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from mtctl.batch.cohort import TABLE
from mtctl.geometry import Geometry, Volume
from mtctl.io.results import ResultFiles
from mtctl.io.volumes import write_volume
from mtctl.models.card import Card
from mtctl.models.model import save_model
from mtctl.networks.architecture import Architecture
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl.preprocessing.network_grid import GRID_MM
from mtctl.system.files import TEMPORARY_PREFIX
from mtctl.system.interrupts import INTERRUPTED

#: As a program that hears Ctrl-C: what a shell starts in the background ignores it.
_HEARING = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
_BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"
_ENDINGS = (".seg.nrrd", ".uncertainty.nrrd", ".distance.nrrd", ".png")
_SCANS = 4


def prepare(folder: Path) -> list[str]:
    """Write scans and a model; return the command over them without the folder for results."""
    for seed in range(_SCANS):
        array = np.random.default_rng(seed).normal(100, 20, (24, 28, 32)).astype(np.float32)
        geometry = Geometry((32, 28, 24), (1.25, 1.25, 2.5), (0.0, 0.0, 0.0))
        write_volume(Volume(array, geometry), folder / "scans" / f"s{seed}.nrrd")
    architecture = Architecture(filters=4, uncertainty_filters=2)
    card = Card(id="tiny", version="1", sha256="", architecture=architecture, grid_mm=GRID_MM, samples=2)
    save_model(folder / "model", card, MTCTLNet(architecture).state_dict())
    arguments = ["segment", str(folder / "scans"), "--model", str(folder / "model"), "--device", "cpu", "-o"]
    return [sys.executable, "-m", "mtctl", *arguments]


def started(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _HEARING, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def halves(out: Path) -> list[str]:
    """Return which results in a folder are not whole."""
    if not out.is_dir():
        return []
    stems = {path.stem for path in out.glob("*.json")}
    return [f"{stem}: not whole" for stem in stems if not ResultFiles(out, stem).complete(_ENDINGS)]


def untidy(out: Path) -> list[str]:
    """Return what an interrupted run, which tidies up, should not have left."""
    if not out.is_dir():
        return []
    stems = {path.stem for path in out.glob("*.json")}
    names = {path.name for path in out.iterdir()}
    wrong = [name for name in names if name.startswith(TEMPORARY_PREFIX)]
    wrong += [f"{name}: of no result" for name in names if name.split(".")[0] not in stems | {"cohort"}]
    if stems and (out / TABLE).read_text(encoding="utf-8").count(",done,") != len(stems):
        wrong.append("the table does not name the results")
    return wrong


def interrupt(process: subprocess.Popen[str], number: signal.Signals, out: Path) -> tuple[str, float, list[str]]:
    """Return how a run ended, after how many seconds, and what is wrong."""
    process.send_signal(number)
    sent = time.monotonic()
    try:
        _, errors = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        return "went on", 120.0, ["went on for two minutes"]
    took = time.monotonic() - sent
    if process.returncode == 0 and not errors:
        return "over before", took, []
    if process.returncode == -number or ("KeyboardInterrupt" in errors and not out.exists()):
        return "not begun", took, []
    wrong = halves(out) + untidy(out)
    if (process.returncode, errors) != (INTERRUPTED, "mtctl: interrupted\n"):
        wrong.append(f"status {process.returncode}: {errors.strip()[-300:]}")
    return "interrupted", took, wrong


def main() -> int:
    """Run the rounds and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--load", type=int, default=4, metavar="N", help="processes that compute beside (%(default)s)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    chance = random.Random(args.seed)
    endings, seconds, wrong = Counter[str](), list[float](), list[str]()
    with tempfile.TemporaryDirectory(prefix="mtctl-interrupts-") as name, ExitStack() as others:
        folder = Path(name)
        (folder / "scans").mkdir()
        command = prepare(folder)
        workers = ["--workers", str(args.workers)]
        for _ in range(args.load):
            busy = subprocess.Popen([sys.executable, "-c", _BUSY, str(os.getpid())])
            others.callback(busy.kill)
        began = time.monotonic()
        subprocess.run([*command, str(folder / "whole"), *workers], check=True, stdout=subprocess.DEVNULL)
        life = time.monotonic() - began
        for number in range(args.rounds):
            out = folder / f"out-{number}"
            process = started([*command, str(out), *workers])
            time.sleep(chance.uniform(0, life))
            blow = (signal.SIGINT, signal.SIGTERM)[number % 2]
            ending, took, amiss = interrupt(process, blow, out)
            endings[ending] += 1
            if ending == "interrupted":
                seconds.append(took)
            print(f"round {number + 1}: {blow.name}, {ending} in {took:.1f} s, {len(amiss)} amiss", flush=True)
            wrong += [f"round {number + 1}: {fault}" for fault in amiss]
    told = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items()))
    print(f"{args.rounds} rounds, {args.workers} workers, {args.load} processes beside, a run {life:.0f} s: {told}")
    if seconds:
        print(f"seconds from the signal to the end: median {np.median(seconds):.1f}, longest {max(seconds):.1f}")
    print(f"amiss: {len(wrong)}")
    for fault in wrong:
        print(f"    {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
