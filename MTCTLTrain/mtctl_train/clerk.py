"""Errands for a window that must not wait, in the stores of cases and models: `python -m mtctl_train.clerk REQUEST`.

REQUEST is a JSON object; one line of JSON comes back for every thing found, and "done" or "failed" at last:

    {"do": "list", "store": FOLDER}
        {"event": "models", "default": NAME, "published": null or {...}, "models": [{"name", "title", "details"}]}
        {"event": "case", "id", "state", "reviewer", "changed", "version", "score", "rank"}
        {"event": "trouble", "reason"}
    {"do": "open", "store": FOLDER, "case": ID, "to": FOLDER}
        {"event": "opened", "geometry", "state", "report", "review", "maps": [NAME]}; TO/<array>.npy
    {"do": "publish", "candidate": FOLDER, "override": REASON}
        {"event": "published", "model", "number"} or {"event": "refused", "reasons": [...]}
    {"do": "rollback", "reason": REASON}
        {"event": "rolled back", "model"}
    {"do": "tidy", "run": FOLDER}

Needs no torch.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from mtctl.case_files import MAPS
from mtctl.case_record import VOUCHED
from mtctl.cases import Case, CaseError, CaseStore, DamagedError, State
from mtctl.errors import MtctlError
from mtctl.model_store import ModelStore, NotBetterError
from mtctl.next_case import by_expected_gain
from mtctl.process_tree import step_back
from mtctl.shipped import shipped_cards, shipped_default
from mtctl.worker_protocol import geometry_message
from mtctl_train.run_folder import PREPARED

Say = Callable[..., None]


def main(request: str) -> int:
    """Carry out a request.

    Returns:
        Exit status: 0 done, 1 failed.
    """
    step_back()
    try:
        asked = json.loads(request)
        _ERRANDS[asked.pop("do")](say, **asked)
    except Exception as error:
        # Anything: who waits has to hear of it, and in the window only this line is seen.
        reason = str(error) if isinstance(error, MtctlError) else f"{type(error).__name__}: {error} (a fault in mtctl)"
        say("failed", reason=reason)
        return 1
    say("done")
    return 0


def say(event: str, **content: Any) -> None:
    """A line for the window."""
    print(json.dumps({"event": event, **content}), flush=True)


def list_all(say: Say, store: str) -> None:
    """What there is: models, and the cases of a store ("": none is chosen yet)."""
    _list_models(say)
    if not store:
        return
    if not Path(store).is_dir():
        raise CaseError(
            f"{store}: the folder of the case store is not there; connect the drive, or choose another folder"
        )
    cases, found = CaseStore(Path(store)), list[Case]()
    for id in cases.ids():
        try:
            found.append(cases.case(id))
        except (CaseError, DamagedError) as error:
            say("trouble", case=id, reason=str(error))
    ranks = {case.id: rank for rank, case in enumerate(by_expected_gain(found), 1)}
    for case in found:
        say("case", **_line(case), rank=ranks.get(case.id))
        for record in case.records:
            if record.damage:
                say("trouble", case=case.id, reason=record.damage)


def open_case(say: Say, store: str, case: str, to: str) -> None:
    """Write all that belongs to a case as arrays (z, y, x), every file checked against its checksum."""
    here, folder = CaseStore(Path(store)).case(case), Path(to)
    scan = here.scan()
    np.save(folder / "scan.npy", scan.array)
    report: Mapping[str, Any] | None = None
    maps = []
    if here.model is not None or here.case_score is not None:
        report = here.report()
        np.save(folder / "segmentation.npy", here.prediction().astype(np.uint8))
        for name in MAPS:
            with suppress(CaseError):  # Segmented without --maps all.
                np.save(folder / f"{name}.npy", here.map(name))
                maps.append(name)
    review = _write_review(here, folder)
    geometry = geometry_message(scan.geometry)
    say("opened", case=case, geometry=geometry, state=here.state.value, report=report, review=review, maps=maps)


def publish(say: Say, candidate: str, override: str = "") -> None:
    """Make a candidate the model in use, unless it is worse."""
    try:
        version = ModelStore().publish(Path(candidate), override)
    except NotBetterError as error:
        say("refused", reasons=list(error.reasons))
        return
    say("published", model=version.model.id, number=version.number)


def roll_back(say: Say, reason: str = "") -> None:
    """Go back to the model before the one in use."""
    version = ModelStore().rollback(reason)
    say("rolled back", model=None if version is None else version.model.id)


def tidy(say: Say, run: str) -> None:
    """Remove what a run that is decided upon does not need any more: prepared scans and checkpoints.

    Candidate, verdict, plan, log and pictures stay.
    """
    for folder in (Path(run) / PREPARED, *Path(run).glob("fold-*")):
        shutil.rmtree(folder, ignore_errors=True)


def _line(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "state": case.state.value,
        "labelled": case.state.labelled,
        "reviewer": case.reviewer,
        "changed": case.changed,
        "version": case.version,
        "score": case.case_score,
    }


def _list_models(say: Say) -> None:
    """The model in use first, then the site's own, newest first, then the shipped ones."""
    default, models = shipped_default(), list[dict[str, str]]()
    published: dict[str, Any] | None = None
    try:
        store = ModelStore()
        for version in store.versions():
            title = f"{version.model.id} (published {version.published[:10]})"
            models.append({"name": version.model.id, "title": title, "details": f"Made from {version.parent.id}."})
        current = store.current()
        if current is not None:
            default = current.model
            published = {"model": current.model.id, "published": current.published, "override": current.override}
    except MtctlError as error:
        say("trouble", case="", reason=str(error))
    for path in shipped_cards():
        with suppress(OSError, ValueError, KeyError):
            card = json.loads(path.read_text(encoding="utf-8"))
            details = f"Shipped model, version {card['version']}."
            models.append({"name": card["id"], "title": f"{card['id']} ({card['version']})", "details": details})
    name = default.id if default else ""
    models.sort(key=lambda model: model["name"] != name)
    say("models", default=name, published=published, models=models)


def _write_review(case: Case, folder: Path) -> Mapping[str, Any] | None:
    """The mask of the last draft or decision, as corrected.npy, and its review; None where there is neither."""
    if case.state is State.IN_REVIEW and (draft := case.draft()) is not None:
        np.save(folder / "corrected.npy", draft.mask.astype(np.uint8))
        return draft.review
    if any(record.kind in VOUCHED for record in case.records):
        np.save(folder / "corrected.npy", case.corrected_mask().astype(np.uint8))
        return case.review()
    return None


_ERRANDS: Mapping[str, Callable[..., None]] = {
    "list": list_all,
    "open": open_case,
    "publish": publish,
    "rollback": roll_back,
    "tidy": tidy,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
