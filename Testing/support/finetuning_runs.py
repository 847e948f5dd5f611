"""Fine-tuning in seconds: a case store to learn from, a job, an interruption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.scans import scan

from mtctl.cases.importing import result_of
from mtctl.cases.store import CaseStore
from mtctl.geometry import Mask
from mtctl.inference.prediction import Options
from mtctl.inference.report import make_report
from mtctl.inference.segmenter import Segmenter
from mtctl.models.model import Model
from mtctl.review.answers import Answer, ShownQuestion
from mtctl.review.document import review_document
from mtctl.review.places import near
from mtctl.review.session import ReviewSession
from mtctl_train.finetuning import cases as finetune_cases
from mtctl_train.finetuning import run as finetune
from mtctl_train.finetuning import watchers
from mtctl_train.finetuning.settings import RECIPE, FineTuning, Iterations
from mtctl_train.finetuning.watchers import Watchers
from mtctl_train.training.monitor import Event

CPU = torch.device("cpu")
SHAPE = (40, 48, 56)


def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs of this process take one thread and small patches, make no phantoms and draw no pictures."""
    torch.set_num_threads(1)
    monkeypatch.setattr(finetune, "_PATCH", (48, 16, 16))
    monkeypatch.setattr(finetune_cases, "PHANTOMS", 0)
    monkeypatch.setattr(watchers, "draw", lambda sample: np.zeros((4, 4, 3), np.uint8))


def truth() -> Mask:
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    return np.asarray(np.sqrt(z**2 + y**2 + x**2) < 0.6)


def corrected(store: CaseStore, id: str, by_answers: bool) -> None:
    """Correct a case, as an imported label or by two answers: one place is right, at another the atrium goes on."""
    case = store.case(id)
    if not by_answers:
        store.add_label(case, truth(), "tester")
        return
    session, mask, places = ReviewSession(case.maps()), case.prediction().copy(), []
    for share in (0.25, 0.75):
        at = case.geometry.index_to_physical(np.multiply(case.geometry.size, share).round()).tolist()
        places.append((at[0], at[1], at[2]))
    session.keep(ShownQuestion("roof", places[0], places[0], "inside", 0.1, 0.5, np.zeros(0, np.int64)))
    mask ^= near(places[1:], 8.0, case.geometry)
    session.answer(Answer((places[1],), "inside"), mask)
    session.accept_case()
    store.accept(case, mask, review_document(session), "tester")


def fill_store(folder: Path, model: Model) -> Path:
    """Make a store of five predicted cases: three corrected, one of them by answers alone, two not looked at."""
    store = CaseStore(folder)
    segmenter = Segmenter(model, CPU)
    for seed, id in enumerate(("a", "b", "c", "d", "e")):
        prediction = segmenter.predict(scan(SHAPE, seed))
        report = make_report(prediction, model.card, Options(), "entropy", None).report
        store.add_prediction(store.add(scan(SHAPE, seed), id), result_of(prediction, report))
    corrected(store, "a", by_answers=True)
    corrected(store, "b", by_answers=False)
    corrected(store, "c", by_answers=False)
    return store.folder


def small_job(store: Path, base: Model, out: Path) -> FineTuning:
    """Return a run of eight steps in all, with a checkpoint at each and two validations of each training."""
    recipe = replace(RECIPE, checkpoint_seconds=0.0, validate_every=2)
    return FineTuning(store, str(base.folder), out, Iterations(8), device="cpu", recipe=recipe)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, stop: Callable[[Event], bool]) -> None:
    """Let the run be interrupted as by Ctrl-C when an event is told."""
    tell = Watchers.tell

    def interrupting(self: Watchers, fold: int, event: Event) -> None:
        tell(self, fold, event)
        if stop(event | {"fold": fold + 1}):
            raise KeyboardInterrupt

    monkeypatch.setattr(Watchers, "tell", interrupting)
