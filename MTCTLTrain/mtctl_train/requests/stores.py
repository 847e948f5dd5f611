"""Requests of a window that must not wait, to the stores of cases and models.

It is started as `python -m mtctl_train.requests.stores REQUEST`.

REQUEST is a JSON object; one line of JSON comes back for every thing found, and "done" or "failed" at last:

    {"do": "list", "store": FOLDER}
        {"event": "models", "published": null or {"model", "published", "override", "damage"},
         "models": [{"name", "title", "details"}]}
        {"event": "case", "id", "state", "labelled", "reviewer", "changed", "version", "score", "rank"}
        {"event": "trouble", "reason"}
        {"event": "unlisted", "reason"}: instead of cases
    {"do": "open", "store": FOLDER, "case": ID, "to": FOLDER}
        {"event": "opened", "case", "geometry", "report", "review", "start", "maps": [NAME]}; TO/<array>.npy
    {"do": "publish", "candidate": FOLDER, "override": REASON}
        {"event": "published", "model"} or {"event": "refused", "reasons": [...]}
    {"do": "rollback", "reason": REASON}
        {"event": "rolled back", "model"}
    {"do": "tidy", "run": FOLDER}

"published" is the site's model in use, null: the shipped one is. One that is damaged has the reason as "damage", and
where not even its name can be read that is "". "start" is the path of the mask that the review began from, null: it is
of the prediction. Needs no torch.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.cases.ranking import by_expected_gain
from mtctl.cases.records import START, VOUCHED, Record, RecordKind
from mtctl.cases.store import CaseError, CaseState, CaseStore, DamagedError, StoredCase
from mtctl.cases.volumes import MAPS, stored_mask
from mtctl.models.catalogue import Catalogue, InstalledModel, read_catalogue
from mtctl.models.store import ModelStore
from mtctl.models.versions import NotBetterError
from mtctl.processes.arrays import write_steps
from mtctl.processes.launcher import decode_argument
from mtctl.processes.request import Emit, answer
from mtctl.system.files import WriteError, write_reason
from mtctl.system.process_tree import lower_priority
from mtctl_train.finetuning.run_folder import PREPARED


def main(request: str) -> int:
    """Answer a request.

    Returns:
        Exit status: 0 done, 1 failed.
    """
    lower_priority()
    return answer(HANDLERS, request)


def list_all(emit: Emit, store: str) -> None:
    """Say what there is: models, and the cases of a store ("": none is chosen yet)."""
    _list_models(emit)
    if not store:
        return
    if not Path(store).is_dir():
        reason = f"{store}: the folder of the case store is not there; connect the drive, or choose another folder"
        emit("unlisted", reason=reason)
        return
    cases, found = CaseStore(Path(store)), list[StoredCase]()
    for id in cases.ids():
        try:
            found.append(cases.case(id))
        except (CaseError, DamagedError) as error:
            emit("trouble", reason=str(error))
    ranks = {case.id: rank for rank, case in enumerate(by_expected_gain(found), 1)}
    for case in found:
        emit("case", **_line(case), rank=ranks.get(case.id))
        for record in case.records:
            if record.damage:
                emit("trouble", reason=record.damage)


def open_case(emit: Emit, store: str, case: str, to: str) -> None:
    """Write all that belongs to a case as arrays (z, y, x), every file checked against its checksum.

    Raises:
        CaseError, DamagedError: The case is gone or damaged.
        WriteError: The folder is on a disk that is full.
    """
    here, folder = CaseStore(Path(store)).case(case), Path(to)
    scan = here.scan()
    _write(folder / "scan.npy", scan.array)
    report: Mapping[str, Any] | None = None
    maps = []
    if here.model is not None or here.case_score is not None:
        report = here.report()
        _write(folder / "segmentation.npy", here.prediction())
        for name in MAPS:
            with suppress(CaseError):  # Segmented without --maps all.
                _write(folder / f"{name}.npy", here.map(name))
                maps.append(name)
    review, start = _write_review(here, folder)
    geometry = scan.geometry.to_json()
    emit("opened", case=case, geometry=geometry, report=report, review=review, start=start, maps=maps)


def publish(emit: Emit, candidate: str, override: str = "") -> None:
    """Make a candidate the model in use, unless it is worse."""
    try:
        version = ModelStore().publish(Path(candidate), override)
    except NotBetterError as error:
        emit("refused", reasons=list(error.reasons))
        return
    emit("published", model=version.model.id)


def roll_back(emit: Emit, reason: str = "") -> None:
    """Go back to the model before the one in use."""
    version = ModelStore().rollback(reason)
    emit("rolled back", model=None if version is None else version.model.id)


def tidy(emit: Emit, run: str) -> None:
    """Remove what a run that is decided upon does not need any more: prepared scans and checkpoints.

    Candidate, verdict, plan, log and pictures stay.
    """
    for folder in (Path(run) / PREPARED, *Path(run).glob("fold-*")):
        shutil.rmtree(folder, ignore_errors=True)


def _line(case: StoredCase) -> dict[str, Any]:
    return {
        "id": case.id,
        "state": case.state.value,
        "labelled": case.labelled,
        "reviewer": case.reviewer,
        "changed": case.changed,
        "version": case.version,
        "score": case.case_score,
    }


def _list_models(emit: Emit) -> None:
    """Say which models there are: the one in use, then the site's, newest first, then the shipped ones."""
    catalogue = read_catalogue()
    in_use = catalogue.in_use
    trouble = catalogue.fault or (in_use.fault if in_use else "")
    if trouble:
        emit("trouble", reason=trouble)
    models = [_model_line(model) for model in catalogue.models if model.card or model == in_use]
    if catalogue.fault:
        models.insert(0, {"name": "", "title": "unknown", "details": catalogue.fault})
    emit("models", published=_published(catalogue), models=models)


def _model_line(model: InstalledModel) -> dict[str, str]:
    if model.version is not None:
        title = f"{model.id} (published {model.version.published[:10]})"
        return {"name": model.id, "title": title, "details": f"Made from {model.version.parent.id}."}
    if model.card is None:
        return {"name": model.id, "title": f"{model.id} (damaged)", "details": model.fault}
    version = model.card.version
    return {"name": model.id, "title": f"{model.id} ({version})", "details": f"Shipped model, version {version}."}


def _published(catalogue: Catalogue) -> dict[str, str] | None:
    """Return the site's version in use, even a damaged one; None: the shipped model is in use."""
    model = catalogue.in_use
    if catalogue.fault:
        return {"model": "", "published": "", "override": "", "damage": catalogue.fault}
    if model is None or model.number is None:
        return None
    if model.version is None:
        return {"model": model.id, "published": "", "override": "", "damage": model.fault}
    return {"model": model.id, "published": model.version.published, "override": model.version.override, "damage": ""}


def _write_review(case: StoredCase, folder: Path) -> tuple[Mapping[str, Any] | None, str | None]:
    """Write the mask of the last draft or decision as corrected.npy; return its review and start, or None for each."""
    if case.state is CaseState.IN_REVIEW and (draft := case.draft()) is not None:
        _write(folder / "corrected.npy", draft.mask)
        drafts = (
            record for record in case.records if record.kind is RecordKind.DRAFT and record.reviewer == draft.reviewer
        )
        return draft.review, _write_start(case, next((one for one in drafts if one.made == draft.saved), None), folder)
    vouched = [record for record in case.records if record.kind in VOUCHED]
    if not vouched:
        return None, None
    _write(folder / "corrected.npy", case.corrected_mask())
    return case.review(), _write_start(case, vouched[-1], folder)


def _write_start(case: StoredCase, record: Record | None, folder: Path) -> str | None:
    """Write what a review began from as start.npy, where that is somebody else's segmentation; return its path."""
    if record is None or START not in record.files:
        return None
    path = folder / "start.npy"
    _write(path, stored_mask(record, START, case.geometry))
    return str(path)


def _write(path: Path, array: NDArray[Any]) -> None:
    """Write an array, masks as 0 and 1.

    Raises:
        WriteError: The disk is full, or the folder gone.
    """
    try:
        for _ in write_steps(array.astype(np.uint8) if array.dtype == bool else array, path):
            pass
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {write_reason(error)}") from error


HANDLERS: Mapping[str, Callable[..., None]] = {
    "list": list_all,
    "open": open_case,
    "publish": publish,
    "rollback": roll_back,
    "tidy": tidy,
}


if __name__ == "__main__":
    sys.exit(main(decode_argument(sys.argv[1])))
