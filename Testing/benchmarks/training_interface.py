"""How soon MTCTLTrain shows a first loss, and whether its window ever stands still, in the stand-in for Slicer.

    PYTHONPATH=Testing python Testing/benchmarks/training_interface.py [--watch 120] [--picture FILE]

A case store with the first 5 names of `train.list` below $MTCTL_SHARED/data/la2018 as corrected cases and the next 5
as unlabelled ones (phantoms where that is absent, or with --picture: no patient is shown in one) is chosen; Start is
clicked with the default model and settings; the window is watched for --watch seconds more, in which it draws curves
and a validation's picture; then Stop, Resume and Stop. The heartbeat is a timer of 20 ms in the window's thread; how
late it was is how long the window stood still. --picture keeps a picture of the window before the first Stop.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from host import missing_requirement, start
from interface import ROOT, Figures

from mtctl.cases.store import CaseStore
from mtctl.geometry import Geometry, Mask, Volume
from mtctl.io.labelled import load_labelled
from mtctl.synthetic.phantom import make_phantom

CORRECTED, UNLABELLED = 5, 5
FIRST_LOSS_SECONDS, LATE_MS = 20.0, 100.0
PATIENCE = 300.0  # seconds; on a machine that has other work


def real_cases() -> Iterator[tuple[Volume, Mask]]:
    data = Path(os.environ.get("MTCTL_SHARED", ROOT.parent / "shared")) / "data" / "la2018"
    for name in (data / "train.list").read_text(encoding="utf-8").split():
        labelled = load_labelled(data / "train", name)
        yield labelled.volume, labelled.mask


def phantoms() -> Iterator[tuple[Volume, Mask]]:
    for seed in range(CORRECTED + UNLABELLED):
        phantom = make_phantom(seed)
        z, y, x = phantom.image.shape
        geometry = Geometry((x, y, z), phantom.spacing_mm, (0.0, 0.0, 0.0))
        yield Volume(phantom.image, geometry), phantom.mask.astype(bool)


def filled(folder: Path, cases: Iterator[tuple[Volume, Mask]]) -> CaseStore:
    """A store with corrected cases, and others."""
    store = CaseStore(folder)
    for number, (volume, mask) in zip(range(CORRECTED + UNLABELLED), cases, strict=False):
        case = store.add(volume, f"case-{number + 1}")
        if number < CORRECTED:
            store.add_label(case, mask, "reader")
    return store


class TrainWindow:
    """The module in the host, on a store."""

    def __init__(self, store: CaseStore, runs: Path) -> None:
        self.host = start()
        for name in ("MTCTLSegment", "MTCTLTrain"):
            self.host.module(ROOT / name / f"{name}.py")
        from MTCTLSegmentLib import settings as segment_settings
        from MTCTLTrainLib import settings

        segment_settings.remember("caseStore", str(store.folder))
        settings.choose_runs_folder(str(runs))
        self.module = self.host.enter("MTCTLTrain")
        self.ui, self.page = self.module.ui, self.module.page
        self.until(lambda: self.page.cases and not self.page.listing, "the cases are listed")

    def until(self, is_so: Callable[[], Any], what: str) -> None:
        if not self.host.wait_until(is_so, PATIENCE):
            raise SystemExit(f"it never came to this: {what}; {[message.text for message in self.host.messages]}")

    def phase(self) -> str:
        self.page.poll()
        return self.page.status.phase.value if self.page.status is not None else ""

    def lines(self) -> list[Any]:
        """What the plot views draw."""
        import slicer

        manager = slicer.app.layoutManager()
        views = [manager.plotWidget(index).plotView() for index in range(manager.plotViewCount)]
        return [line for view in views for line in view.lines() if line.points]

    def begin(self) -> tuple[float, float]:
        """Start: seconds to the first loss on the screen, and how late the heartbeat was (ms)."""
        began = time.perf_counter()
        with self.host.heartbeat() as beat:
            self.ui.startButton.click()
            self.until(self.lines, "a first loss is drawn")
            self.host.process_events()
        return time.perf_counter() - began, beat.worst_ms

    def watch(self, seconds: float) -> float:
        """How late the heartbeat was at most (ms)."""
        with self.host.heartbeat() as beat:
            self.host.wait(seconds)
        return float(beat.worst_ms)

    def stop(self) -> float:
        """Seconds until it has stopped."""
        began = time.perf_counter()
        self.ui.stopButton.click()
        self.until(lambda: self.phase() in ("stopped", "finished"), "the run stops")
        return time.perf_counter() - began

    def resume(self) -> float:
        """Seconds until it is further than it was."""
        began, reached = time.perf_counter(), self.page.progress.iteration
        self.ui.resumeButton.click()
        self.until(lambda: self.page.progress.iteration > reached, "it goes on")
        return time.perf_counter() - began


def main() -> int:
    """Print the figures; 1 when a limit is not kept, 2 when the host cannot run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watch", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("--picture", type=Path, metavar="FILE")
    args = parser.parse_args()
    if lacking := missing_requirement():
        print(lacking)
        return 2
    data = Path(os.environ.get("MTCTL_SHARED", ROOT.parent / "shared")) / "data" / "la2018"
    real = data.is_dir() and args.picture is None
    figures = Figures()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        store = filled(Path(folder) / "store", real_cases() if real else phantoms())
        print(f"{CORRECTED} corrected and {UNLABELLED} unlabelled {'scans' if real else 'phantoms'}")
        window = TrainWindow(store, Path(folder) / "runs")
        first, late = window.begin()
        figures.put("Start to the first loss on the screen", first, FIRST_LOSS_SECONDS, "s")
        figures.put("heartbeat late until then, at most", late, LATE_MS)
        figures.put(f"heartbeat late in {args.watch:g} s of training, at most", window.watch(args.watch), LATE_MS)
        figures.put("iterations reached", window.page.progress.iteration, unit="")
        if args.picture:
            window.host.screenshot(args.picture)
        figures.put("Stop until it has stopped", window.stop(), unit="s")
        figures.put("Resume until it is further", window.resume(), unit="s")
        window.stop()
        return figures.end(window.host.failures)


if __name__ == "__main__":
    sys.exit(main())
