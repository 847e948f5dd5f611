"""The cases, the models and the run, which all panels share."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from mtctl.errors import MtctlError
from mtctl.models.verdict import Verdict, read_verdict
from mtctl.processes.request import Events
from mtctl_train.finetuning.run_folder import read_events
from MTCTLSegmentLib import settings as segment_settings
from MTCTLSegmentLib.observable import Observable
from MTCTLTrainLib import settings
from MTCTLTrainLib.jobs.request_queue import RequestQueue
from MTCTLTrainLib.runs.run_progress import RunProgress
from MTCTLTrainLib.runs.training_run import Phase, TrainingRun, TrainingStatus

# Twice a second: a person sees it as live, and redrawing the curves costs 28 ms in the application.
_POLL_MS = 500

# Events read at a look: a run of days that is found again has tens of thousands, and 400 take 4 ms.
_EVENTS_AT_ONCE = 400

# How long a run that has fallen silent is looked at further, seconds; it gives a sign of life every five.
_WAKING = 15.0


@dataclass(frozen=True)
class CaseLine:
    """A case in the list; `rank` is its place among those to correct next, from 1, or None."""

    id: str
    state: str
    labelled: bool
    reviewer: str
    changed: str
    version: int
    score: float | None
    rank: int | None


@dataclass(frozen=True)
class ModelLine:
    """A model to start from."""

    name: str
    title: str
    details: str


class PageState(Observable):
    """The state that all panels share.

    Attributes:
        parameters: The module's parameter node; None while the scene closes or loads, and out of the module.
        requests: The requests to the stores, done one after the other.
        cases: The cases of the store.
        troubles: What is wrong in the stores, in sentences.
        listing: Whether the list of cases is being read.
        listed: Why there is no list of cases, or "".
        models: The models, the one in use first.
        published: The site's model in use, see `mtctl_train.requests.stores`; None while the shipped one is in use.
        run: The run that is shown, or None.
        progress: What the run has reported.
        status: The status of the run, or None.
        verdict: The verdict on the run's candidate, or None.
        no_verdict: Why a finished run has no verdict, or "".
    """

    def __init__(self) -> None:
        super().__init__()
        self.parameters: Any = None
        self.requests = RequestQueue()
        self.cases: tuple[CaseLine, ...] = ()
        self.troubles: tuple[str, ...] = ()
        self.listing, self.listed = False, ""
        self.models: tuple[ModelLine, ...] = ()
        self.published: dict[str, Any] | None = None
        self.run: TrainingRun | None = None
        self.progress, self._offset, self._seen_active = RunProgress(), 0, -_WAKING
        self.status: TrainingStatus | None = None
        self.verdict: Verdict | None = None
        self.no_verdict = ""
        self._begun: list[Callable[[], None]] = []
        self._ended: list[Callable[[], None]] = []
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_MS)
        self._timer.connect("timeout()", self.poll)

    def when_run_begins(self, listener: Callable[[], None]) -> None:
        """Call a function when a run has become active."""
        self._begun.append(listener)

    def when_run_ends(self, listener: Callable[[], None]) -> None:
        """Call a function when a run that was active has ended."""
        self._ended.append(listener)

    def close(self) -> None:
        """Stop to poll and to read the stores, as the module is about to be unloaded; a run goes on."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self.poll)
        self._begun.clear()
        self._ended.clear()
        self.requests.close()

    # --- stores -------------------------------------------------------------------------------------------------------

    @property
    def store(self) -> Path | None:
        """Folder of the case store; None until it was chosen."""
        folder = segment_settings.setting("caseStore")
        return Path(folder) if folder else None

    @property
    def next_best(self) -> CaseLine | None:
        """The case to correct next."""
        return min((case for case in self.cases if case.rank), key=lambda case: case.rank or 0, default=None)

    def refresh(self) -> None:
        """Read the stores again, in a child process."""
        if self.listing:
            self._again = True
            return
        self.listing, self._again = True, False
        store = self.store
        self.requests.ask({"do": "list", "store": str(store or "")}, self._listed, self._not_listed)
        self.notify()

    def _listed(self, events: Events) -> None:
        self._take_models(events)
        lines = [event for event in events if event["event"] == "case"]
        self.cases = tuple(CaseLine(**{name: line[name] for name in CaseLine.__annotations__}) for line in lines)
        self.troubles = tuple(str(event["reason"]) for event in events if event["event"] == "trouble")
        self._end_listing(next((str(event["reason"]) for event in events if event["event"] == "unlisted"), ""))

    def _not_listed(self, reason: str) -> None:
        self.cases, self.troubles = (), ()
        self._end_listing(reason)

    def _take_models(self, events: Events) -> None:
        for event in events:
            if event["event"] == "models":
                self.published = event["published"]
                self.models = tuple(ModelLine(**model) for model in event["models"])

    def _end_listing(self, reason: str) -> None:
        self.listing, self.listed = False, reason
        self.notify()
        if self._again:
            self.refresh()

    # --- run ----------------------------------------------------------------------------------------------------------

    def find_run(self) -> None:
        """Show the run that was begun last, in this session or in another."""
        if self.run is None or not self.active:
            found = None
            with contextlib.suppress(OSError):
                found = TrainingRun.last(settings.runs_folder())
            if found is not None and (self.run is None or found.folder != self.run.folder):
                self.show(found)
        self.poll()

    def show(self, run: TrainingRun) -> None:
        """Show a run from its beginning."""
        self.run = run
        self._forget_run()
        self.poll()

    @property
    def active(self) -> bool:
        """Whether the run is under way."""
        return self.status is not None and self.status.phase.active

    @property
    def undecided(self) -> bool:
        """Whether the run has a verdict, and nobody has published or discarded its model yet."""
        return self.run is not None and self.verdict is not None and self.run.decision is None

    def poll(self) -> None:
        """Read what the run has reported; called twice a second while more is expected."""
        run = self.run
        if run is None:
            self._timer.stop()
            self.notify()
            return
        was_active = self.active
        # Before the status: the last events of a run come before its end.
        found = read_events(run.folder, self._offset, _EVENTS_AT_ONCE)
        self._offset = found.offset
        self.progress.add(found.events)
        self.status = run.status()
        if self.progress.seconds_per_iteration is not None and self.status.phase is Phase.RUNNING:
            settings.remember_seconds_per_iteration(run.settings.device, self.progress.seconds_per_iteration)
        if self.status.phase is Phase.FINISHED and self.verdict is None:
            self._read_verdict(run)
        if self.active:
            self._seen_active = time.monotonic()
        # A computer that slept has silenced the run with it: its next word comes some seconds after it wakes.
        waking = self.status.phase is Phase.STOPPED and time.monotonic() - self._seen_active < _WAKING
        if self.active or waking or len(found.events) == _EVENTS_AT_ONCE:
            self._timer.start()
        else:
            self._timer.stop()
        self.notify()
        if was_active != self.active:
            for listener in self._begun if self.active else self._ended:
                listener()

    def _forget_run(self) -> None:
        self.progress, self._offset, self._seen_active = RunProgress(), 0, -_WAKING
        self.status, self.verdict, self.no_verdict = None, None, ""

    def _read_verdict(self, run: TrainingRun) -> None:
        try:
            self.verdict, self.no_verdict = read_verdict(run.candidate), ""
        except MtctlError as error:
            gone = _("The training was finished, but its model is not in {folder} any more").format(folder=run.folder)
            self.no_verdict = str(error) if run.candidate.exists() else gone
