"""What tests do with the module MTCTLTrain in the test host: a store with tiny cases, quick runs, ended runs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from support.scans import scan
from support.segment_module import choose_store
from support.stored_cases import predicted, reviewed

from mtctl.cases.store import CaseStore
from mtctl.models.model import Model
from mtctl.models.verdict import Compared, ModelName, Verdict, write_verdict

SHAPE = (40, 48, 56)

#: As `mtctl_train.commands.background`, with patches and without phantoms that a test could not wait for.
QUICK = (
    "-c",
    "import sys; from mtctl_train.finetuning import cases, run; run._PATCH = (48, 16, 16);"
    "cases.PHANTOMS = 0; from mtctl_train.commands.background import main; sys.exit(main(sys.argv[1:]))",
)
OPTIONS = ("--option", "checkpoint_seconds=0", "--option", "validate_every=5")


def stored_cases(folder: Path, corrected: int = 4, predictions: int = 2) -> CaseStore:
    """A store with tiny cases: some corrected, some predicted, one that was only added."""
    store = CaseStore(folder)
    for seed in range(corrected + predictions):
        case = predicted(store, scan(SHAPE, seed), f"case-{seed}")
        if seed < corrected:
            mask, review = reviewed(case)
            store.accept(case, mask, review, "MK")
    store.add(scan(SHAPE, 99), "fresh")
    return store


def list_store(host: Any, module: Any, folder: Path) -> None:
    """Chooses the case store and waits until it is listed."""
    choose_store(host, module.casePanel.storeEdit, folder)
    assert host.wait_until(lambda: not module.page.listing, 60)


def forget(widget: Any) -> None:
    """The page as it is when Slicer starts: no run was looked for yet."""
    widget.page.run = None
    widget.page._forget_run()
    widget.page.cases, widget.page.models = (), ()


def quick(widget: Any, iterations: int = 10) -> None:
    """Runs of seconds."""
    widget.trainingPanel.program, widget.trainingPanel.further = QUICK, OPTIONS
    widget.ui.lengthSelector.currentIndex = 1
    widget.ui.iterationsBox.value = iterations


def finished_run(runs: Path, verdict: Verdict | None, model: Model, store: CaseStore) -> Path:
    """The folder of a run that has ended, as `mtctl finetune` leaves it; without a verdict its candidate is missing."""
    folder = runs / "2026-11-24-120000"
    (folder / "prepared").mkdir(parents=True)
    order = {"store": str(store.folder), "base": "", "length": ["--minutes", "1"], "device": "cpu", "further": []}
    (folder / "order.json").write_text(json.dumps(order), "utf-8")
    status = {"pid": os.getpid(), "started": 1.0, "heard": 2.0, "state": "finished", "message": ""}
    (folder / "status.json").write_text(json.dumps(status), "utf-8")
    events = [event | {"iteration": event.get("iteration", 0)} for event in run_events()]
    (folder / "progress.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), "utf-8")
    if verdict is not None:
        shutil.copytree(model.folder, folder / "candidate")
        write_verdict(folder / "candidate", verdict)
    return folder


def run_events(count: int = 100) -> list[dict[str, Any]]:
    """What a whole run tells."""
    from MTCTLTrainLib.self_test import made_up_events

    return [*made_up_events(count), {"event": "verdict", "fold": 2, "folds": 2, "candidate": "candidate", "dice": None}]


def verdict_on(base: ModelName, gain: float) -> Verdict:
    """Old against new on three cases; the new model is better or worse by `gain`."""
    cases = tuple(Compared(f"case-{n}", 0.88 + n / 100, 0.88 + n / 100 + gain * (n + 1) / 2) for n in range(3))
    auroc = {"error_auroc": (0.85, 0.86)}
    return Verdict(base, cases, (0.031, 0.029), None, "2 folds of 3 corrected cases", uncertainty=auroc)


def phase(widget: Any) -> str:
    widget.page.poll()
    return widget.page.status.phase.value if widget.page.status is not None else ""


def text_of(table: Any) -> list[list[str]]:
    """What a table shows, row by row."""
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def current() -> Any:
    """The module's widget as it is now: reloading makes another."""
    import slicer

    return slicer.util.getModuleWidget("MTCTLTrain")
