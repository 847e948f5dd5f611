"""How long a module of Slicer takes to open the first time, in the stand-in (Testing/host), and what it loads for that.

    PYTHONPATH=Testing python Testing/benchmarks/module_opening.py [--repeat 3]

Each opening is in a process of its own: from asking for the module to the event loop being idle. Then a scan is loaded
and chosen, as before Apply. Packages that the page has loaded by then and the stand-in had not are listed; all but
numpy are heavier than it or should wait. The status is 1 where even the quickest opening takes more than 1.5 s (slower
ones tell what else the machine had to do), or something else is loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = {"MTCTLSegment": "MTCTLSegment", "MTCTLTrain": "MTCTLTrain"}
LIMIT = 1.5  # seconds
ALLOWED = {"numpy"}
OURS = {"MTCTLSegment", "MTCTLSegmentLib", "MTCTLTrain", "MTCTLTrainLib", "mtctl", "mtctl_train"}


def open_here(name: str) -> dict[str, object]:
    """Open a module in this process; return the seconds, and the packages loaded until it is open and until Apply."""
    from host import missing_requirement, start

    if lacking := missing_requirement():
        raise SystemExit(lacking)
    os.environ.setdefault("LIBGL_ALWAYS_SOFTWARE", "1")
    host = start()
    for needed, folder in MODULES.items():
        host.module(ROOT / folder / f"{needed}.py")
    host.process_events()
    for package in ("scipy", "SimpleITK", "torch", "skimage"):  # else nothing of theirs would be noticed
        assert package not in sys.modules, f"the stand-in itself loads {package}"
    before = set(sys.modules)
    begin = time.perf_counter()
    module = host.enter(name)
    host.process_events()
    seconds = time.perf_counter() - begin
    opened = packages(before)
    if name == "MTCTLSegment":
        choose_a_scan(module, host)
    return {"seconds": seconds, "opened": opened, "before Apply": packages(before)}


def choose_a_scan(module: object, host: object) -> None:
    """Load a scan and choose it."""
    import numpy as np
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    slicer.util.updateVolumeFromArray(node, np.arange(24 * 40 * 44, dtype=np.int16).reshape(24, 40, 44))
    host.process_events()  # type: ignore[attr-defined]
    module.ui.scanSelector.choose("scan")  # type: ignore[attr-defined]
    host.process_events()  # type: ignore[attr-defined]


def packages(before: set[str]) -> list[str]:
    """Return the packages loaded since, but ours and those of Python itself."""
    found = {name.partition(".")[0] for name in set(sys.modules) - before}
    return sorted(found - OURS - set(sys.stdlib_module_names) - {name.partition(".")[0] for name in before})


def in_a_process(name: str) -> dict[str, list[str] | float]:
    """Do `open_here` in a process of its own, with no settings of this computer's user."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MTCTL_MODELS": folder}
        told = subprocess.run(
            [sys.executable, __file__, "--here", name], env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    answer: dict[str, list[str] | float] = json.loads(told.stdout.splitlines()[-1])
    return answer


def main() -> int:
    """Print a line for each module; return 1 where one is too slow or loads too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="openings of each (%(default)s)")
    parser.add_argument("--here", choices=MODULES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        print(json.dumps(open_here(args.here)))
        return 0
    good = True
    for name in MODULES:
        runs = [in_a_process(name) for _ in range(args.repeat)]
        seconds = [float(run["seconds"]) for run in runs]  # type: ignore[arg-type]
        loaded = runs[0]["before Apply"]
        good &= min(seconds) <= LIMIT and set(loaded) <= ALLOWED  # type: ignore[arg-type]
        print(
            f"{name}: opened in {min(seconds):.2f} to {max(seconds):.2f} s in {len(runs)} times (wanted {LIMIT}); "
            f"loaded by then: {listed(runs[0]['opened'])}; before Apply: {listed(loaded)}"
        )
    return 0 if good else 1


def listed(names: object) -> str:
    """Return names in a line."""
    return ", ".join(names) if isinstance(names, list) and names else "nothing but Python's own"


if __name__ == "__main__":
    sys.exit(main())
