"""Does `--roi auto` find the atrium in a whole thorax? Real crops set into phantoms, crop against full field.

    python Testing/benchmarks/full_field.py [--names FILE] [--device cpu] [--keep DIR]

Each real crop of the benchmark (names 67-80 by default, never trained on) is set, feathered, into a synthetic thorax of
400 x 400 x 110 mm, in the place of its heart. Both files go through `mtctl segment --roi auto`; printed are Dice in
the crop and in the full field, the seconds of the inference's stages and of the whole command (start of Python,
reading, writing and the picture included), and the command's peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry, Volume
from mtctl.io.volumes import read_mask, read_volume, write_volume
from mtctl.synthetic.full_field import set_into_thorax
from mtctl.synthetic.phantom import make_full_field

ROOT = Path(__file__).resolve().parents[2]

COLUMNS = (
    ("crop Dice", ".2f"), ("full Dice", ".2f"), ("full-crop", ".2f"), ("crop s", ".1f"), ("full s", ".1f"),
    ("ratio", ".2f"), ("crop cmd s", ".1f"), ("full cmd s", ".1f"), ("cmd ratio", ".2f"),
    ("crop GB", ".2f"), ("full GB", ".2f"),
)  # fmt: skip


@dataclass(frozen=True)
class CommandRun:
    """One `mtctl segment`: Dice in %, seconds of the inference's stages and of the command, its peak memory (GB)."""

    dice: float
    seconds: float
    command_seconds: float
    gigabytes: float


def segment(image: Path, truth: NDArray[np.bool_], out: Path, options: Sequence[str]) -> CommandRun:
    """Segment one file in a process of its own and compare the result with `truth`.

    Raises:
        RuntimeError: The command failed; its output is in the message.
    """
    command = [sys.executable, "-m", "mtctl", "segment", str(image), "-o", str(out), "--roi", "auto", "--overwrite"]
    paths = os.pathsep.join([str(ROOT / "MTCTLSegment"), os.environ.get("PYTHONPATH", "")])
    out.mkdir(parents=True, exist_ok=True)
    log = out / "log.txt"
    began = time.perf_counter()
    with open(log, "w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [*command, *options], env={**os.environ, "PYTHONPATH": paths}, stdout=stream, stderr=subprocess.STDOUT
        )
        status, gigabytes = _wait(process)
    command_seconds = time.perf_counter() - began
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {status}:\n{log.read_text(encoding='utf-8')}")
    stem = image.name.removesuffix(".image.nrrd")
    found = read_mask(out / f"{stem}.seg.nrrd").array > 0
    seconds = json.loads((out / f"{stem}.json").read_text(encoding="utf-8"))["seconds"]
    return CommandRun(100 * dice(found, truth), sum(seconds.values()), command_seconds, gigabytes)


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Exit status and peak memory in GB (0 where the system does not tell it, as on Windows)."""
    if not hasattr(os, "wait4"):
        return process.wait(), 0.0
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Overlap of two masks; 1 when both are empty."""
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * np.count_nonzero(a & b) / total if total else 1.0


def compare(name: str, folder: Path, work: Path, seed: int, options: Sequence[str]) -> tuple[CommandRun, CommandRun]:
    """Segment a case as it is and set into the thorax of phantom `seed`; files go to `work`."""
    source = read_volume(folder / f"{name}.image.nrrd")
    image = np.clip(np.rint(source.array), 0, 255).astype(np.uint8)
    spacing = source.geometry.spacing
    label = read_mask(folder / f"{name}.label.nrrd").array > 0
    big, offset = set_into_thorax(image, (spacing[2], spacing[1], spacing[0]), make_full_field(seed))
    truth = np.zeros(big.shape, bool)
    truth[tuple(slice(o, o + n) for o, n in zip(offset, image.shape, strict=True))] = label
    runs = []
    for part, array, mask, first in (("crop", image, label, (0, 0, 0)), ("full", big, truth, offset)):
        path = work / part / f"{name}.image.nrrd"
        path.parent.mkdir(parents=True, exist_ok=True)
        # The same voxel lies at the same place in both.
        origin = (-spacing[0] * first[2], -spacing[1] * first[1], -spacing[2] * first[0])
        depth, rows, columns = array.shape
        write_volume(Volume(array, Geometry((columns, rows, depth), spacing, origin)), path)
        runs.append(segment(path, mask, work / f"{part}-results", options))
    return runs[0], runs[1]


def main() -> None:
    """Print one line a case and the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=Path, help="file with one case name a line (default: names 67-80)")
    parser.add_argument("--device", default="auto", help="for `mtctl segment` (%(default)s)")
    # Not the default model: that has learnt from these names.
    parser.add_argument("--model", default="mtctl-la16", help="for `mtctl segment` (%(default)s)")
    parser.add_argument("--keep", type=Path, help="folder for files and results (default: a temporary one)")
    args = parser.parse_args()
    data = Path(os.environ.get("MTCTL_SHARED", ROOT.parent / "shared")) / "data" / "la2018"
    names = args.names.read_text().split() if args.names else (data / "train.list").read_text().split()[66:80]
    options = ["--device", args.device, "--model", args.model]
    with tempfile.TemporaryDirectory() as temporary:
        report(names, data / "train", args.keep or Path(temporary), options)


def report(names: Sequence[str], folder: Path, work: Path, options: Sequence[str]) -> None:
    """Run all cases and print the table."""
    print(f"{'case':24s}" + "".join(f"{heading:>11s}" for heading, _ in COLUMNS))
    rows = []
    for seed, name in enumerate(names):
        crop, full = compare(name, folder, work, seed, options)
        times = [crop.seconds, full.seconds, full.seconds / crop.seconds]
        times += [crop.command_seconds, full.command_seconds, full.command_seconds / crop.command_seconds]
        rows.append([crop.dice, full.dice, full.dice - crop.dice, *times, crop.gigabytes, full.gigabytes])
        _print_row(name, rows[-1])
    table = np.asarray(rows)
    _print_row("mean", table.mean(axis=0))
    _print_row("worst", [*table[:, :3].min(axis=0), *table[:, 3:].max(axis=0)])


def _print_row(name: str, row: Sequence[float] | NDArray[np.float64]) -> None:
    cells = (f"{value:11{form}}" for value, (_, form) in zip(row, COLUMNS, strict=True))
    print(f"{name:24s}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
