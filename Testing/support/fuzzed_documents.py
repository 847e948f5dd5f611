"""Every kind of JSON document that is read back: an example of each, and what reads it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from support.scans import scan
from support.stored_cases import predicted, reviewed

from mtctl.batch.cohort import write_cohort
from mtctl.browser.sources.folder import FolderSource
from mtctl.cases.store import CaseStore
from mtctl.errors import MtctlError
from mtctl.evaluation.selective_prediction import reported_scores
from mtctl.io.reports import read_report
from mtctl.io.results import ResultFiles
from mtctl.measures.body_size import BodySize
from mtctl.measures.document import (
    CaseMeasures,
    EnhancedShare,
    IntervalEstimate,
    WallMeasures,
    read_measures,
    write_measures,
)
from mtctl.measures.table import columns_of
from mtctl.models.card import cases_learnt, read_card, read_name
from mtctl.models.catalogue import read_catalogue
from mtctl.models.model import Model, find_model, read_model
from mtctl.models.model_files import LOCATOR
from mtctl.models.store import ModelStore
from mtctl.models.verdict import Compared, ModelName, Verdict, read_verdict, write_verdict
from mtctl.models.weights import check_tensors
from mtctl.networks.architecture import locator_shapes
from mtctl.networks.tensors import write_tensors
from mtctl.processes.messages import ChildOutput
from mtctl.review.answers import Answer
from mtctl.review.document import read_review, write_review
from mtctl.review.session import ReviewSession
from mtctl.surfaces.openings import Opening, OpeningKind, read_openings, write_openings
from mtctl.system import locks
from mtctl.system.fields import read_as
from mtctl.worker.protocol import DoneMessage, FailedMessage, NoteMessage, StepMessage
from mtctl_train.finetuning.base_model import base_of
from mtctl_train.finetuning.plan import make_plan, plan_of
from mtctl_train.finetuning.region import surroundings
from mtctl_train.finetuning.run_folder import read_events, read_status
from mtctl_train.finetuning.weighting import Weighting
from mtctl_train.training.locator import FILTERS, NOTE, LocatorTraining, add_locator
from MTCTLTrainLib.runs.run_progress import RunProgress
from MTCTLTrainLib.runs.training_run import TrainingRun

SHAPE = (10, 12, 14)
RUN = "2026-11-29-120000"


@dataclass(frozen=True)
class SitePlace:
    """A folder with one of every document that there is."""

    folder: Path

    @property
    def store(self) -> CaseStore:
        return CaseStore(self.folder / "store")

    @property
    def models(self) -> ModelStore:
        return ModelStore(self.folder / "site")


@dataclass(frozen=True)
class DocumentKind:
    """A document: where it lies, whether it holds its own checksum, and who reads it."""

    path: str
    sealed: bool
    read: Callable[[SitePlace], object]


def each(*readers: Callable[[], object]) -> None:
    """Call all, whichever of them refuse."""
    for read in readers:
        with suppress(MtctlError):
            read()


def read_cohort(place: SitePlace) -> None:
    out = place.folder / "out"
    each(lambda: read_report(out / "a.json"), lambda: FolderSource(out, place.store).entries())
    ResultFiles(out, "a").report()
    assert "b" in {row.case for row in write_cohort(out, [], [])} and "b" in reported_scores(out)[0]


def read_store(place: SitePlace) -> None:
    assert "b" in {case.id for case in place.store.cases()}
    place.store.unreadable()
    place.store.verify()
    with suppress(MtctlError):
        case = place.store.case("a")
        _ = case.state, case.model, case.case_score, case.changed, case.fingerprint, case.reason()
        each(case.prediction, case.report, case.review, case.draft, case.corrected_mask, case.looked_at)
        each(case.uncertain_voxels, lambda: surroundings(case), lambda: Weighting().of(case))
    each(lambda: make_plan(place.store, 0))


def read_models(place: SitePlace) -> None:
    models = place.models
    version = models.usable().version
    read_catalogue(models)
    models.versions()
    each(models.history, models.current)
    assert version is None or version.number == 1


def read_candidate(place: SitePlace) -> None:
    verdict = read_verdict(place.folder / "candidate")
    _ = verdict.against, verdict.dice, verdict.worst


def read_model_card(place: SitePlace) -> None:
    folder = place.folder / "candidate"
    each(lambda: cases_learnt(read_card(folder)), lambda: read_name(folder), lambda: find_model(str(folder)))
    each(lambda: check_tensors(folder, read_card(folder)))


def read_locator(place: SitePlace) -> None:
    folder = Path(shutil.copytree(place.folder / "candidate", place.folder / "located", dirs_exist_ok=True))
    each(lambda: add_locator(read_model(folder), place.folder / "locator"))
    assert find_model(str(folder)).id  # Whatever was said of a locator, the model can be read.


def read_draft(place: SitePlace) -> None:
    maps = place.store.case("b").maps()
    each(lambda: read_review(place.folder / "draft.json", maps, maps.segmentation))


def read_run(place: SitePlace) -> None:
    folder = place.folder / "runs" / RUN
    read_status(folder)
    run = TrainingRun.last(place.folder / "runs")
    if run is not None:
        _ = run.status(), run.decision
    each(lambda: plan_of(folder, place.store, 0), lambda: base_of(folder, None))
    progress = RunProgress()
    progress.add(read_events(folder).events)
    progress.curve(progress.dice)


def read_lock(place: SitePlace) -> None:
    with locks.locked(place.folder / "locked"):
        pass


def read_case_openings(place: SitePlace) -> None:
    read_openings(place.folder / "a.openings.json")


def read_case_measures(place: SitePlace) -> None:
    columns_of(read_measures(place.folder / "a.measures.json"))


def read_messages(place: SitePlace) -> None:
    messages = ChildOutput(5).add_output((place.folder / "message.json").read_bytes() + b"\n")
    for message in messages:
        for kind in (StepMessage, NoteMessage, FailedMessage, DoneMessage):
            each(lambda kind=kind, message=message: read_as(kind, message, "the message"))  # type: ignore[misc]


KINDS = {
    "report": DocumentKind("out/a.json", False, read_cohort),
    "case": DocumentKind("store/cases/a/case.json", True, read_store),
    "record of a prediction": DocumentKind("store/cases/a/0001-prediction/record.json", True, read_store),
    "record of a decision": DocumentKind("store/cases/a/0002-corrected/record.json", True, read_store),
    "stored report": DocumentKind("store/cases/a/0001-prediction/report.json", False, read_store),
    "stored review": DocumentKind("store/cases/a/0002-corrected/review.json", False, read_store),
    "review": DocumentKind("draft.json", False, read_draft),
    "card": DocumentKind("candidate/card.json", False, read_model_card),
    "published card": DocumentKind("site/versions/0001/card.json", False, read_models),
    "version": DocumentKind("site/versions/0001/version.json", True, read_models),
    "pointer": DocumentKind("site/current.json", True, read_models),
    "verdict": DocumentKind("candidate/verdict.json", True, read_candidate),
    "plan": DocumentKind(f"runs/{RUN}/plan.json", False, read_run),
    "base": DocumentKind(f"runs/{RUN}/base.json", False, read_run),
    "status": DocumentKind(f"runs/{RUN}/status.json", False, read_run),
    "order": DocumentKind(f"runs/{RUN}/order.json", False, read_run),
    "launch": DocumentKind(f"runs/{RUN}/launch.json", False, read_run),
    "decision": DocumentKind(f"runs/{RUN}/decision.json", False, read_run),
    "event": DocumentKind(f"runs/{RUN}/progress.jsonl", False, read_run),
    "locator": DocumentKind(f"locator/{NOTE}", False, read_locator),
    "lock": DocumentKind("locked/.mtctl-lock-00000007", False, read_lock),
    "openings": DocumentKind("a.openings.json", False, read_case_openings),
    "measures": DocumentKind("a.measures.json", False, read_case_measures),
    "message": DocumentKind("message.json", False, read_messages),
}


def fill(place: SitePlace, model: Model) -> None:
    for name in ("out", "site", "shipped", "locked", f"runs/{RUN}"):
        (place.folder / name).mkdir(parents=True)
    for seed, id in enumerate("ab"):
        case = predicted(place.store, scan(SHAPE, seed), id)
        place.store.accept(case, *reviewed(case, 5), "MK")
    report = {**place.store.case("a").report(), "fingerprint": "f", "case_score_interval": [0.8, 0.95]}
    report |= {"flagged": False, "volume_ml": 60.5, "likely_wrong_ml": 5.5, "seconds": {"network": 1.5}}
    report |= {"uncertainty": {"kind": "entropy", "in_band_mean": 0.5}, "geometry": scan(SHAPE).geometry.to_json()}
    report |= {"region_of_interest": {"chosen_by": "user", "box_mm_lps": dict.fromkeys(("x0", "y0", "z0"), 0.0)}}
    report["region_of_interest"]["box_mm_lps"] |= dict.fromkeys(("x1", "y1", "z1"), 9.0)  # type: ignore[index]
    for stem in "ab":
        (place.folder / "out" / f"{stem}.nrrd").touch()
        (place.folder / "out" / f"{stem}.seg.nrrd").touch()
        write(place.folder / "out" / f"{stem}.json", report)
    (place.folder / "out" / "a.uncertainty.nrrd").touch()
    session = ReviewSession(place.store.case("b").maps())
    session.look_at((1.0, 2.0, 3.0))
    session.record("paint", session.maps.segmentation ^ np.eye(12, 14, dtype=bool))
    session.answer(Answer(((1.0, 2.0, 3.0),), "inside"), session.maps.segmentation)
    write_review(place.folder / "draft.json", session)
    candidate = Path(shutil.copytree(model.folder, place.folder / "candidate"))
    pairs = {"hd95_mm": (4.0, 3.0)}
    verdict = Verdict(ModelName("base", "1", "0" * 64), (Compared("a", 0.9, 0.92, pairs),), (0.05, 0.04), 0.5)
    write_verdict(candidate, verdict)
    place.models.publish(candidate, "for the test")
    run = place.folder / "runs" / RUN
    plan_of(run, place.store, 0)
    base_of(run, str(model.folder))
    status = {"pid": os.getpid(), "started": 1.0, "heard": 2.0, "state": "running", "message": "", "machine": "m"}
    write(run / "status.json", status)
    order = {"store": "s", "base": "", "length": ["--minutes", "1"], "device": "cpu", "further": ["--seed", "1"]}
    write(run / "order.json", order)
    write(run / "launch.json", {"pid": os.getpid(), "at": 1.0, "stopped": False})
    write(run / "decision.json", {"kind": "published", "model": "site-0001", "reason": "better"})
    event = {"event": "progress", "fold": 1, "folds": 2, "iteration": 3, "of": 9, "share": 0.5, "seconds_left": 5}
    (run / "progress.jsonl").write_text(json.dumps(event | {"losses": {"dice": 0.5}}) + "\n")
    (place.folder / "locator").mkdir()
    shapes = locator_shapes(FILTERS)
    write_tensors(place.folder / "locator" / LOCATOR, {name: torch.zeros(shape) for name, shape in shapes.items()})
    write(place.folder / "locator" / NOTE, asdict(LocatorTraining((), 2, 30, 0).note({})))
    write(place.folder / "locked" / ".mtctl-lock-00000007", {"machine": "m", "pid": 5, "host": "h", "token": "t"})
    write_measures(place.folder / "a.measures.json", some_measures())
    vein = Opening(OpeningKind.VEIN, (1.0, 2.0, 3.0), (0.0, 0.0, 1.0), 5.0, 0.5)
    write_openings([vein, replace(vein, kind=OpeningKind.MITRAL, blood=None)], place.folder / "a.openings.json")
    done = {"event": "done", "id": 1, "report": {}, "arrays": {"entropy": {"start": [0, 0, 0], "outside": 0.0}}}
    write(place.folder / "message.json", done | {"stage": "load", "share": 0.5, "text": "t"})


def some_measures() -> CaseMeasures:
    one = IntervalEstimate(60.5, 50.0, 70.0)
    share = EnhancedShare("IIR > 1.20", "a study", 1.2, one)
    wall = WallMeasures(3.0, 1.0, 100.0, 5.0, 1000, 90.0, 4, True, (share,), (0.0, 1.0), (100.0,))
    return CaseMeasures("a", one, one, (one, one, one), one, one, BodySize(175, 80), 1.956, wall, 10.0, ("careful",))


def write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document))
