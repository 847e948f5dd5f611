"""How quick the module's window is, measured in the module itself, in the stand-in for Slicer (Testing/host).

    PYTHONPATH=Testing python Testing/benchmarks/interface.py [--model mtctl-la16] [--scan FILE] [--moves 60]

The scan is name 67 of `train.list` below $MTCTL_SHARED/data/la2018, or a phantom where that is absent. It is segmented
by Apply, as a person does it, and once more when the child process is warm; then the slider is moved.
A third segmentation is cancelled in the middle of the network. Rendering is in software, off screen.

Every time runs from the action to the event loop being idle with all views drawn that it touches. A limit without
"median" or "95th percentile" holds for the slowest. The heartbeat is a timer of 20 ms in the window's thread; how late
it was is how long the window stood still.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from host import missing_requirement, start

os.environ.setdefault("LIBGL_ALWAYS_SOFTWARE", "1")

ROOT = Path(__file__).resolve().parents[2]

VIEWS = ("Red", "Green", "Yellow")
PATIENCE = 900.0  # seconds for one segmentation on a machine that has other work
CANCEL_SECONDS = 0.5
LOOKING_SECONDS = 1.5  # a person looks at a new result before the first click


class LimitedFigures:
    """Prints each figure beside its limit, and remembers whether all were kept."""

    def __init__(self) -> None:
        self.kept = True

    def put(self, name: str, value: float, limit: float | None = None, unit: str = "ms") -> None:
        """One figure; without a limit it is for information."""
        good = limit is None or value <= limit
        self.kept &= good
        words = "" if limit is None else f"  <= {limit:g}: {'yes' if good else 'NO'}"
        print(f"{name:<58}{value:>8.{2 if unit == 's' else 0}f} {unit}{words}", flush=True)

    def spread(self, name: str, times: list[float], slowest: float | None = None) -> None:
        """Median for information, and the slowest."""
        self.put(f"{name}, median of {len(times)}", float(np.median(times)))
        self.put(f"{name}, slowest", max(times), slowest)

    def end(self, failures: Sequence[object]) -> int:
        """What the application would only have printed is a figure, too; returns the exit status."""
        self.put("exceptions that the application would only have printed", len(failures), 0, "")
        for failure in failures:
            print(failure)
        return 0 if self.kept else 1


class SegmentWindow:
    """The module in the host, with what the benchmark does to it."""

    def __init__(self, model: str) -> None:
        self.host = start()
        self.host.module(ROOT / "MTCTLSegment" / "MTCTLSegment.py")
        self.module = self.host.enter("MTCTLSegment")
        self.ui = self.module.ui
        self._model = model
        self._before_any = _processes()

    @property
    def session(self) -> Any:
        """The open review's."""
        return self.module.currentReview.review.session

    def load(self, scan: Path | None) -> str:
        """Loads and chooses a scan, or a phantom, and the model; returns what it is, in words."""
        import slicer

        from MTCTLSegmentLib import sample_data

        if scan is None:
            node = sample_data.phantom(sample_data.SEEDS[0])
        else:
            node = slicer.util.loadVolume(str(scan), {"name": scan.name.split(".")[0]})
        self.host.process_events()
        self.ui.scanSelector.choose(node.GetName())
        choices = [self.ui.modelSelector.itemText(index) for index in range(self.ui.modelSelector.count)]
        index = next((index for index, text in enumerate(choices) if text.startswith(self._model)), None)
        if index is None:
            raise SystemExit(f"there is no model {self._model} among {', '.join(choices)}")
        self.ui.modelSelector.currentIndex = index
        self.ui.modelSelector.activated.emit(index)
        self.host.process_events()
        return f"{node.GetName()}, {' x '.join(map(str, node.GetImageData().GetDimensions()))} voxels"

    def segment(self) -> tuple[float, float, float]:
        """Apply; seconds until the result is there, and how long the window stood still at most before and after (ms).

        "After" is while the result is taken into the scene and drawn.
        """
        before, after = ExitStack(), ExitStack()
        panel = self.module.scanPanel
        take: Callable[..., None] = panel._arrived
        arrived: list[float] = []
        second = []

        def arrival(*result: Any) -> None:
            arrived.append(time.perf_counter())
            before.close()
            second.append(after.enter_context(self.host.heartbeat()))
            take(*result)

        panel._arrived = arrival
        try:
            with before, after:
                begin = time.perf_counter()
                first = before.enter_context(self.host.heartbeat())
                self.ui.applyButton.click()
                self.host.wait_until(lambda: not self.module.logic.job.running, PATIENCE)
                self.host.process_events()
        finally:
            panel._arrived = take
        if not arrived:
            raise SystemExit(f"no result: {[message.text for message in self.host.messages]}")
        return arrived[0] - begin, first.worst_ms, second[0].worst_ms

    def cancel(self) -> tuple[float, int]:
        """Apply, and Cancel in the middle of the network: seconds until it is over, and processes left."""
        from mtctl.system.process_tree import is_running

        self.ui.applyButton.click()
        if not self.host.wait_until(lambda: self.ui.progressLabel.text.startswith("Segmenting"), PATIENCE):
            raise SystemExit("the network was never reached: nothing to cancel")
        self.host.wait(0.2)
        children = _processes() - self._before_any
        begin = time.perf_counter()
        self.ui.applyButton.click()
        self.host.process_events()
        while any(map(is_running, children)) and time.perf_counter() - begin < 5:
            time.sleep(0.001)
        seconds = time.perf_counter() - begin
        if self.module.logic.job.running or not children:
            raise SystemExit("the segmentation was not cancelled in its middle")
        return seconds, len(_processes() - self._before_any)

    def slide(self, moves: int) -> list[float]:
        """Moves the slider up and down, as fast as the pictures follow."""
        low, high = 0.25, 0.95
        wave = (low + high) / 2 + (high - low) / 2 * np.sin(np.linspace(0, 4 * np.pi, moves, endpoint=False) + 0.1)
        times = []
        for value in wave:
            with self._drawn(VIEWS):
                times.append(self.host.time_to_paint(lambda value=value: self._slide_to(value)))
        return times

    def _slide_to(self, value: float) -> None:
        self.ui.thresholdSlider.value = float(value)

    @contextmanager
    def _drawn(self, views: tuple[str, ...]) -> Iterator[None]:
        before = [self.host.renders(view) for view in views]
        yield
        idle = [view for view, count in zip(views, before, strict=True) if self.host.renders(view) == count]
        if idle:
            raise SystemExit(f"not drawn again, so that nothing was measured: {', '.join(idle)}")


def _processes() -> set[int]:
    """This process and all below it."""
    from mtctl.system.process_tree import family_of

    return family_of(os.getpid())


def real_scan() -> Path | None:
    """Name 67 of the benchmark's list, which the models with 16 and 66 labels were not trained on."""
    data = Path(os.environ.get("MTCTL_SHARED", ROOT.parent / "shared")) / "data" / "la2018"
    if not (data / "train.list").is_file():
        return None
    name = (data / "train.list").read_text(encoding="utf-8").split()[66]
    return data / "train" / f"{name}.image.nrrd"


def main() -> int:
    """Print the figures; 1 when a limit is not kept, 2 when the host cannot run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mtctl-la16")
    parser.add_argument("--scan", type=Path, help="another scan")
    parser.add_argument("--moves", type=int, default=60, help="of the slider")
    args = parser.parse_args()
    if lacking := missing_requirement():
        print(lacking)
        return 2
    window, figures = SegmentWindow(args.model), LimitedFigures()
    print(window.load(args.scan or real_scan()) + f", {args.model}")
    for words in ("Apply", "Apply with a warm child"):
        seconds, before, after = window.segment()
        figures.put(f"{words}: to the result's arrival", seconds, unit="s")
        figures.put(f"{words}: heartbeat late until then, at most", before, 100)
        figures.put(f"{words}: window still while the result is taken in", after)
    window.host.wait(LOOKING_SECONDS)
    moves = window.slide(args.moves)
    figures.put(f"slider to three drawn slice views, median of {len(moves)}", float(np.median(moves)), 90)
    figures.put("slider to three drawn slice views, 95th percentile", float(np.percentile(moves, 95)), 140)
    seconds, left = window.cancel()
    figures.put("cancel in the middle of the network", seconds, CANCEL_SECONDS, "s")
    figures.put("child processes left after it", left, 0, "")
    return figures.end(window.host.failures)


if __name__ == "__main__":
    sys.exit(main())
