"""Cohorts with `mtctl segment`: throughput of two processes against one, memory over many scans, and kill -9 at random.

    python Testing/benchmarks/cohort.py [--cases N] [--kills N] [--kill-cases N] [--workers N]

Throughput is that of whole commands, from their start to their end, on the real scans of $MTCTL_SHARED (default
../shared): one at a time with all threads, and with --workers. Memory is the resident set of every process of the
command, looked at five times a second; growth is that of the largest process between the first and the last quarter of
the scans. A kill ends the command, one of its workers, or all of them, at a moment that is anywhere in the time that an
undisturbed run takes; then the command is run again, and all files are compared with those of the undisturbed run, the
times in the JSON aside.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtctl.batch.cohort import PAGE, TABLE
from mtctl.system.files import TEMPORARY_PREFIX
from mtctl.system.machine import cores
from mtctl.system.process_tree import family_of, is_running

LOOK_SECONDS = 0.2
MANY = 30_000


@dataclass
class WatchedCommand:
    """A command that runs, and the memory of its processes."""

    process: subprocess.Popen[bytes]
    out: Path
    looks: list[tuple[int, int]] = field(default_factory=list)  # scans done, kB of the largest process

    def __post_init__(self) -> None:
        self.began = time.perf_counter()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while self.process.poll() is None:
            sizes = [memory_kb(pid) for pid in family_of(self.process.pid)]
            self.looks.append((len(list(self.out.glob("*.json"))), max(sizes, default=0)))
            time.sleep(LOOK_SECONDS)

    def wait(self) -> float:
        """Seconds that it took."""
        self.process.wait()
        seconds = time.perf_counter() - self.began
        self._thread.join()
        return seconds

    def quarters_mb(self, cases: int) -> tuple[float, float]:
        """Largest resident set in the first and in the last quarter of the scans."""
        first = [kb for done, kb in self.looks if done <= cases / 4]
        last = [kb for done, kb in self.looks if done >= 3 * cases / 4]
        return max(first, default=0) / 1000, max(last, default=0) / 1000


def memory_kb(pid: int) -> int:
    """Resident set of a process; 0 where it has ended, or where the system does not say it in this way."""
    with suppress(OSError, ValueError, IndexError):
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        return int(status.split("VmRSS:")[1].split()[0])
    return 0


def start(sources: list[Path], out: Path, workers: int, model: str | None) -> WatchedCommand:
    manifest = out.with_suffix(".csv")
    manifest.write_text("input\n" + "".join(f"{path.resolve()}\n" for path in sources), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mtctl",
        "segment",
        "--manifest",
        str(manifest),
        "-o",
        str(out),
        "--workers",
        str(workers),
    ]
    if model:
        command += ["--model", model]
    return WatchedCommand(subprocess.Popen(command, stdout=subprocess.DEVNULL), out)


def contents(folder: Path) -> dict[str, Any]:
    """All results; of reports what does not tell the time."""
    found: dict[str, Any] = {}
    for path in folder.iterdir():
        if path.suffix == ".json":
            report = json.loads(path.read_text(encoding="utf-8"))
            del report["seconds"]
            found[path.name] = report
        elif path.name not in (TABLE, PAGE):
            found[path.name] = path.read_bytes()
    return found


def kill(watch: WatchedCommand, victim: str) -> None:
    family = family_of(watch.process.pid)
    # Workers are its grandchildren-to-be: what multiprocessing starts beside them (the resource tracker) is spared.
    workers = [pid for pid in family - {watch.process.pid} if memory_kb(pid) > 50_000]
    chosen = {
        "command": [watch.process.pid],
        "worker": random.sample(workers, min(1, len(workers))),
        "all": sorted(family),
    }
    for pid in chosen[victim]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if victim == "worker":
        watch.process.wait()
    deadline = time.monotonic() + 30
    while any(is_running(pid) for pid in family) and time.monotonic() < deadline:
        time.sleep(0.01)


def throughput(sources: list[Path], folder: Path, args: argparse.Namespace) -> None:
    rates = {}
    for workers in (1, args.workers):
        watch = start(sources, folder / f"workers-{workers}", workers, args.model)
        seconds = watch.wait()
        if watch.process.returncode:
            raise SystemExit(f"the run with {workers} workers ended with status {watch.process.returncode}")
        rates[workers] = 60 * len(sources) / seconds
        first, last = watch.quarters_mb(len(sources))
        print(
            f"{workers} process{'es' if workers > 1 else ''}: {len(sources)} scans in {seconds:.1f} s, "
            f"{rates[workers]:.2f} scans/min; largest process {first:.0f} MB in the first quarter of the scans, "
            f"{last:.0f} MB in the last ({last - first:+.0f} MB)",
            flush=True,
        )
    print(f"throughput with --workers {args.workers}: {100 * rates[args.workers] / rates[1]:.0f} % of one at a time")
    hours = MANY / max(rates.values()) / 60
    size = sum(path.stat().st_size for path in (folder / "workers-1").iterdir()) / len(sources)
    print(
        f"{MANY} scans at the better rate: {hours:.1f} h on this machine, {hours * cores():.0f} core-hours; "
        f"results {size / 1e6:.1f} MB a scan, {MANY * size / 1e9:.0f} GB"
    )


def kills(sources: list[Path], folder: Path, args: argparse.Namespace) -> int:
    """Number of trials after which something was wrong."""
    whole = folder / "whole"
    seconds = start(sources, whole, args.workers, args.model).wait()
    expected, bad, cut_short, left = contents(whole), 0, 0, 0
    for trial in range(args.kills):
        out = folder / f"trial-{trial}"
        watch = start(sources, out, args.workers, args.model)
        time.sleep(random.uniform(0, seconds))
        victim = random.choice(("command", "worker", "all"))
        if watch.process.poll() is None:
            kill(watch, victim)
        done = len(list(out.glob("*.json"))) if out.is_dir() else 0
        hidden = sum(path.name.startswith(TEMPORARY_PREFIX) for path in out.glob("*")) if out.is_dir() else 0
        cut_short += done < len(sources)
        left += hidden > 0
        start(sources, out, args.workers, args.model).wait()
        same = contents(out) == expected and {path.name for path in out.iterdir()} == {
            path.name for path in whole.iterdir()
        }
        bad += not same
        print(
            f"trial {trial + 1}: {victim} killed with {done} of {len(sources)} scans done and {hidden} hidden left; "
            f"after another run {'all files equal, none left over' if same else 'FILES DIFFER'}",
            flush=True,
        )
    print(
        f"kill -9: {args.kills - bad} of {args.kills} times complete and bit-equal after another run "
        f"({cut_short} times with scans undone, {left} times with a hidden folder left)"
    )
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("MTCTL_SHARED", "../shared")) / "data" / "la2018"
    parser.add_argument("--data", type=Path, default=shared / "train")
    parser.add_argument("--cases", type=int, default=80, help="scans for the throughput; 0: none")
    parser.add_argument("--kills", type=int, default=20, help="trials; 0: none")
    parser.add_argument("--kill-cases", type=int, default=6, help="scans in each of them")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    random.seed(args.seed)
    names = (shared / "train.list").read_text(encoding="utf-8").split()
    sources = [args.data / f"{name}.image.nrrd" for name in names]
    print(f"{cores()} cores, {args.workers} workers", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if args.cases:
            throughput(sources[: args.cases], Path(folder), args)
        return 1 if args.kills and kills(sources[: args.kill_cases], Path(folder), args) else 0


if __name__ == "__main__":
    sys.exit(main())
