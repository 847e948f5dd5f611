"""`mtctl segment` over 60 inputs of which 30 are hostile, each kind once, with little memory: is each one named?

    PYTHONPATH=Testing python Testing/benchmarks/hostile_inputs.py [--workers N] [--memory-gb X]

The inputs are those of `support.hostile`, the model is too small to be any good. The address space of the command and
of its processes is bounded as by `ulimit -v` (not on Windows). Expected: status 1, 30 done, 30 named with their cause,
the table and the page there.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from support.children import environment
from support.hostile import unnamed, write_good, write_hostile

from mtctl.batch.cohort import PAGE, TABLE
from mtctl.models.card import Card
from mtctl.models.model import save_model
from mtctl.networks.architecture import Architecture
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl.preprocessing.network_grid import GRID_MM

GOOD = 30


def main() -> int:
    """Run, and print what came of it; 0 where it is what is expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1, metavar="N")
    parser.add_argument("--memory-gb", type=float, default=6.0, metavar="X")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, out, model = (Path(place) / name for name in ("in", "out", "model"))
        folder.mkdir()
        expected = write_hostile(folder)
        write_good(folder, GOOD)
        save_tiny_model(model)
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "mtctl", "segment", str(folder), "-o", str(out), "--model", str(model),
             "--device", "cpu", "--workers", str(args.workers)],
            capture_output=True, encoding="utf-8", errors="replace", env=environment(),
            preexec_fn=lambda: limit(args.memory_gb) if os.name == "posix" else None,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        with open(out / TABLE, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        missed = unnamed(done.stdout, expected)
        finished = sum(row["status"] == "done" for row in rows)
        page = (out / PAGE).is_file()
    failed = len(rows) - finished
    print(
        f"status {done.returncode}, {finished} done, {len(expected) - len(missed)} of {len(expected)} named with cause"
    )
    print(f"table: {len(rows)} rows, {failed} failed; page {'there' if page else 'missing'}; {seconds:.0f} s")
    if missed:
        print(f"not named with the expected cause: {', '.join(missed)}\n{done.stdout}\n{done.stderr}")
    good = (done.returncode, finished, failed, missed, page) == (1, GOOD, len(expected), [], True)
    if not good and not missed:
        print(done.stdout, done.stderr, sep="\n")
    return 0 if good else 1


def save_tiny_model(folder: Path) -> None:
    """Write a model folder with a network that is too small to be any good."""
    architecture = Architecture(filters=4, uncertainty_filters=2)
    torch.manual_seed(3)
    card = Card(id="tiny", version="1", sha256="", architecture=architecture, grid_mm=GRID_MM, samples=2)
    save_model(folder, card, MTCTLNet(architecture).state_dict())


def limit(gigabytes: float) -> None:
    """Bound the address space of this process and of those that it starts."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (int(gigabytes * 2**30),) * 2)


if __name__ == "__main__":
    sys.exit(main())
