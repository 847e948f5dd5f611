"""Who watches a fine-tuning run: a log of JSON lines in its folder, the same lines on stdout, and pictures in files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mtctl.system.files import WriteError, make_folder, replacing
from mtctl_train.finetuning.run_folder import PICTURES, PROGRESS
from mtctl_train.training.monitor import Event, JsonLines, Monitor, Report, Sample, draw


@dataclass(frozen=True)
class Watchers:
    """Passes the events of all folds on, with what a reader has to know of the whole run.

    Attributes:
        folder: Folder of the run.
        folds: How many trainings there are.
        reports: Functions to call with each event.
    """

    folder: Path
    folds: int
    reports: tuple[Report, ...]

    def tell(self, fold: int, event: Event) -> None:
        """Report an event of a fold (from 0)."""
        event = event | {"fold": fold + 1, "folds": self.folds}
        if event["event"] == "progress":
            done, to_come = event["iteration"] / event["of"], self.folds - fold - 1
            event["share"] = round((fold + done) / self.folds, 4)
            if done < 1:
                event["seconds_left"] = round(event["seconds_left"] * (1 + to_come / (1 - done)))
        for report in self.reports:
            report(event)

    def skipped(self, case: str, reason: str) -> None:
        """Report a case that cannot be used."""
        self.tell(0, {"event": "skipped", "iteration": 0, "case": case, "reason": reason})

    def monitor(self, fold: int) -> Monitor:
        """Return the monitor of a fold (from 0) for the trainer."""
        return Monitor((lambda event: self.tell(fold, event),), (lambda *seen: self._picture(fold, *seen),))

    def _picture(self, fold: int, iteration: int, sample: Sample) -> None:
        try:
            from matplotlib.image import imsave  # Here, so that the first step does not wait for it.
        except ImportError:  # Slicer does not ship it, and its CLI, which shows no pictures, does without.
            return
        name = f"{PICTURES}/fold-{fold + 1}-{iteration:06d}.png"
        try:
            make_folder(self.folder / PICTURES)
            with replacing(self.folder / name) as part:
                imsave(part, draw(sample), format="png")
        except WriteError:  # A picture is a help and no result; what the run needs to write says what is wrong.
            return
        self.tell(fold, {"event": "picture", "iteration": iteration, "case": sample.name, "file": name})


@contextmanager
def watchers_of(folder: Path, folds: int) -> Iterator[Watchers]:
    """Append events to the run's log and print them.

    Raises:
        WriteError: The log cannot be written; also when an event is reported.
    """
    with closing(JsonLines(folder / PROGRESS)) as lines:
        yield Watchers(folder, folds, (lines, _print_line))


def _print_line(event: Event) -> None:
    with suppress(OSError):  # The process that started the run and read this has ended; the run goes on.
        print(json.dumps(event), flush=True)
