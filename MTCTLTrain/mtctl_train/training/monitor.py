"""Who watches a run: the person at the console, a log of JSON lines, TensorBoard.

The trainer reports events, JSON-ready dictionaries with the keys "event" and "iteration", and shows pictures of a
validation case; each watcher takes from them what it needs.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtctl.system.files import WriteError, write_reason
from mtctl.system.output import time_span_text
from mtctl.system.regular_files import open_regular, open_to_append

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch.utils.tensorboard import SummaryWriter

Event = dict[str, Any]

#: A person wants to see that it goes on; more lines than this hide the validation results.
SECONDS_BETWEEN_LINES = 10.0

#: Printed when a run cannot have TensorBoard.
NO_TENSORBOARD = (
    "training goes on without TensorBoard's curves and pictures ({reason}); to have them, stop it, "
    "run 'pip install tensorboard' and start it again: it resumes"
)

#: Outline of the truth: apart from the red of the prediction for the colour-blind too, and absent from grey.
TRUTH = "#4dd2ff"


@dataclass(frozen=True)
class Sample:
    """One validation case as the network sees it now; all arrays (z, y, x) on one LPS-aligned grid.

    Attributes:
        name: Case name.
        image: z-scored intensities.
        truth: True mask.
        probability: f1, in [0, 1].
        distance: f2, in [-1, 1], positive inside; None for methods without it.
        uncertainty: In [0, 1]; None for methods without it.
    """

    name: str
    image: NDArray[np.float32]
    truth: NDArray[np.bool_]
    probability: NDArray[np.float32]
    distance: NDArray[np.float32] | None = None
    uncertainty: NDArray[np.float32] | None = None


Report = Callable[[Event], None]
Picture = Callable[[int, Sample], None]


@dataclass(frozen=True)
class Monitor:
    """Passes each event and each picture to all watchers; a process that is not the first has none."""

    reports: tuple[Report, ...] = ()
    pictures: tuple[Picture, ...] = ()

    def report(self, event: Event) -> None:
        for report in self.reports:
            report(event)

    def picture(self, iteration: int, sample: Sample) -> None:
        for picture in self.pictures:
            picture(iteration, sample)


@contextmanager
def watched(log: Path, board: Path) -> Iterator[Monitor]:
    """Watch a run on the console, in the file `log` and, where it is installed, with TensorBoard in folder `board`.

    A resumed run goes on in the same `log`, from its own "start" event on.

    Raises:
        WriteError: The log cannot be written; also when an event is reported.
    """
    with closing(JsonLines(log)) as lines:
        reports: tuple[Report, ...] = (lines, Console())
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError as error:
            print(NO_TENSORBOARD.format(reason=error), flush=True)
            yield Monitor(reports)
            return
        writer = Board(board)
        try:
            yield Monitor((*reports, writer.report), (writer.picture,))
        finally:
            writer.close()


class JsonLines:
    """Appends every event to a file as a line of JSON, at once and whole: a killed run has lost none."""

    def __init__(self, path: Path) -> None:
        """Open the file, until `close`.

        Raises:
            WriteError: It cannot be written.
        """
        self._path = path
        with self._write_errors():
            self._stream = open_to_append(path)
            torn = self._stream.tell() > 0 and _last_byte(path) != b"\n"
        if torn:  # By a kill.
            self._write(b"\n")

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __call__(self, event: Event) -> None:
        """Append an event.

        Raises:
            WriteError: It cannot be written; nothing of it is there.
        """
        self._write(json.dumps(event).encode("ascii") + b"\n")

    def _write(self, line: bytes) -> None:
        before = self._stream.tell()
        with self._write_errors():
            try:
                while line:
                    line = line[self._stream.write(line) :]
            except OSError:
                with suppress(OSError):
                    self._stream.truncate(before)
                raise

    @contextmanager
    def _write_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WriteError(f"{self._path}: cannot be written: {write_reason(error)}") from error


def _last_byte(path: Path) -> bytes:
    with open_regular(path) as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read()


class Console:
    """Prints validation results as they come, and progress as a line every ten seconds."""

    def __init__(self) -> None:
        self._printed = float("-inf")

    def __call__(self, event: Event) -> None:
        match event["event"]:
            case "start":
                print(f"iteration {event['iteration']} of {event['of']} on {event['device']}", flush=True)
            case "validation":
                worst, dice = min(event["cases"].items(), key=lambda item: item[1])
                mean = f"validation Dice {event['dice']:.4f}"
                print(f"  iteration {event['iteration']}: {mean}, worst {dice:.4f} ({worst})", flush=True)
            case "stopped":
                print(f"stopped at iteration {event['iteration']}: {event['reason']}", flush=True)
            case "progress" if time.monotonic() - self._printed > SECONDS_BETWEEN_LINES:
                self._printed = time.monotonic()
                losses = "  ".join(f"{name} {value:.3f}" for name, value in event["losses"].items())
                left = time_span_text(event["seconds_left"])
                print(f"{event['iteration']}/{event['of']}  {left} left  {losses}", flush=True)


class Board:
    """Writes TensorBoard's event files.

    Curves: loss/<name>, learning_rate, gradient_norm, validation/dice, validation_cases/<case>. Pictures: <case>.
    They are a help and no result: where they cannot be written, that is said and the training goes on without.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def report(self, event: Event) -> None:
        """Draw what an event adds to the curves; "start" opens the files."""
        with self._optional():
            self._draw(event)

    def picture(self, iteration: int, sample: Sample) -> None:
        """Add the picture of a validation case."""
        with self._optional():
            if self._writer:
                self._writer.add_image(sample.name, draw(sample), iteration, dataformats="HWC")

    def close(self) -> None:
        """Write what is still in memory."""
        with self._optional():
            writer, self._writer = self._writer, None
            if writer:
                writer.close()

    @contextmanager
    def _optional(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            print(f"{self._folder}: TensorBoard's curves end here: {write_reason(error)}", flush=True)

    def _draw(self, event: Event) -> None:
        iteration: int = event["iteration"]
        match event["event"]:
            case "start":
                self._open(iteration)
            case "progress":
                for name, value in event["losses"].items():
                    self._scalar(f"loss/{name}", value, iteration)
                for name in ("learning_rate", "gradient_norm"):
                    self._scalar(name, event[name], iteration)
            case "validation":
                self._scalar("validation/dice", event["dice"], iteration)
                for name, value in event["cases"].items():
                    self._scalar(f"validation_cases/{name}", value, iteration)
            case "stopped" if self._writer:
                self._writer.add_text("stopped", event["reason"], iteration)

    def _open(self, iteration: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.close()
        # What an interrupted run wrote after its last checkpoint comes again: TensorBoard forgets the first copy.
        self._writer = SummaryWriter(str(self._folder), purge_step=iteration + 1, flush_secs=30)

    def _scalar(self, name: str, value: float, iteration: int) -> None:
        if self._writer:
            self._writer.add_scalar(name, value, iteration)


def draw(sample: Sample) -> NDArray[np.uint8]:
    """Draw the axial plane through the middle of the atrium: scan with outlines, uncertainty, distance map.

    Returns:
        (rows, columns, 3) RGB; patient's right on the left, anterior above.
    """
    # Here, so that a run without pictures does not load it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from mtctl.figures.case_figure import COLOUR_MAP, OUTLINE

    plane = middle_plane(sample.truth)
    truth, predicted = sample.truth[plane], sample.probability[plane] >= 0.5
    low, high = np.percentile(sample.image, (1, 99.5))
    panels: list[tuple[str, NDArray[Any], dict[str, Any]]] = [
        (
            "truth blue, prediction red",
            sample.image[plane],
            {"cmap": "gray", "vmin": low, "vmax": max(high, low + 1e-6)},
        )
    ]
    if sample.uncertainty is not None:
        panels.append(("uncertainty", sample.uncertainty[plane], {"cmap": COLOUR_MAP, "vmin": 0, "vmax": 1}))
    if sample.distance is not None:
        panels.append(("distance map", sample.distance[plane], {"cmap": "RdBu_r", "vmin": -1, "vmax": 1}))

    rows, columns = truth.shape
    figure = Figure(figsize=(4.4 * len(panels), 4 * rows / columns + 0.6), dpi=80)
    canvas = FigureCanvasAgg(figure)
    # Margins by hand: a layout that matplotlib works out doubles the time of a picture.
    figure.subplots_adjust(left=0.01, right=0.94, bottom=0.02, top=0.86, wspace=0.2)
    figure.suptitle(f"{sample.name}, plane {plane}", fontsize=9, parse_math=False)
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, values, style) in zip(row, panels, strict=True):
        shown = axes.imshow(values, interpolation="nearest", **style)
        _outline(axes, truth, TRUTH)
        _outline(axes, predicted, OUTLINE)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
        if axes is not row[0]:
            figure.colorbar(shown, cax=axes.inset_axes((1.02, 0.1, 0.04, 0.8)))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def middle_plane(mask: NDArray[np.bool_]) -> int:
    """Return the axial plane with half of the mask below it, or the volume's middle where the mask is empty."""
    below = np.cumsum(mask.sum(axis=(1, 2)))
    return int(np.searchsorted(below, below[-1] / 2)) if below[-1] else len(below) // 2


def _outline(axes: Axes, mask: NDArray[np.bool_], colour: str) -> None:
    if mask.any() and not mask.all():
        axes.contour(mask, [0.5], colors=[colour], linewidths=1.2)
