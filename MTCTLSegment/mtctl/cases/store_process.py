"""Write to the case store in a child process, for windows that must not freeze.

It is started as `python -m mtctl.cases.store_process REQUEST`.

REQUEST is a JSON file (its path as `launcher.encode_argument` gives it), its arrays beside it as .npy
(`processes.arrays.write_steps` writes them without holding up a window):

    {"store": FOLDER, "operation": "add" | "prediction" | "draft" | "accept" | "reject", "case": ID or null,
     "geometry": Geometry.to_json(), "arrays": {NAME: FILE.npy, ...},
     "report": {...}, "review": {...}, "reviewer": "", "reason": "", "replaces": NUMBER}

Arrays: "scan" for add; "segmentation" and the maps by name for prediction; "segmentation" for draft and accept, with
"start" where the review began with another segmentation than a prediction of the store. With "scan" among them, the
case is added first where it is not in the store yet. A draft takes the place of the author's record "replaces" alone:
another window of the same person may have saved one meanwhile; without it, and with accept, of those of the author
whose edits the review goes on with. Whatever is not needed may be left out. One line of JSON comes back:

    {"event": "done", "case": ID, "version": N, "record": N, "held": WHO}
    or {"event": "failed", "reason": ...}

"record" is the number of the case's last record, 0: it has none. "held" is who else has the case open, "": nobody.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mtctl.cases.importing import has_prediction
from mtctl.cases.records import REVIEW, Record, RecordKind
from mtctl.cases.store import CaseStore, DamagedError, StoredCase
from mtctl.cases.volumes import MAPS
from mtctl.geometry import Geometry, Volume
from mtctl.inference.result import Result
from mtctl.processes.launcher import decode_argument
from mtctl.processes.request import answer_with
from mtctl.system.documents import read_object
from mtctl.system.fields import Matching, read_as
from mtctl.system.holds import Holds
from mtctl.system.temporary import remove_orphans


def main(request: Path) -> int:
    """Do what a request asks for and say so on the standard output.

    Returns:
        Exit status: 0 done, 1 failed.
    """

    def work() -> dict[str, Any]:
        document = read_object(request)
        case = carry_out(document, request.parent)
        record = case.records[-1].number if case.records else 0
        holder = Holds().holder(Path(document["store"]), case.id)
        answer = {"case": case.id, "version": case.version, "record": record}
        return {**answer, "held": holder.words() if holder else ""}

    return answer_with(work)


def carry_out(request: Mapping[str, Any], folder: Path) -> StoredCase:
    """Do what a request asks for.

    Args:
        request: See the module.
        folder: Where its arrays are.

    Returns:
        The case as it stands then.

    Raises:
        MtctlError: The store cannot do it.
        KeyError, OSError, ValueError: The request is incomplete.
    """
    wanted = read_as(_Request, request, "the request")
    asked = _Asked(wanted, folder)
    store, case = CaseStore(Path(wanted.store)), wanted.case
    if "scan" in asked.names:
        case = store.add(Volume(asked.array("scan"), asked.geometry), case).id
    if case is None:
        raise KeyError("case")
    done: StoredCase = _OPERATIONS[wanted.operation](store, case, asked)
    return done


@dataclass(frozen=True)
class _Request:
    """A request; see the module."""

    store: str
    operation: Annotated[str, Matching("add|prediction|draft|accept|reject", "one of the operations")]
    case: str | None = None
    geometry: Geometry | None = None
    arrays: dict[str, str] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    review: dict[str, Any] | None = None
    reviewer: str = ""
    reason: str = ""
    replaces: int | None = None


class _Asked:
    """A request and its arrays, each read when it is needed."""

    def __init__(self, request: _Request, folder: Path) -> None:
        self.names, self.report, self.review = request.arrays, request.report, request.review
        self.reviewer, self.reason, self.replaces = request.reviewer, request.reason, request.replaces
        self._geometry, self._folder = request.geometry, folder

    @property
    def geometry(self) -> Geometry:
        if self._geometry is None:
            raise KeyError("geometry")
        return self._geometry

    def array(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = np.load(self._folder / self.names[name], allow_pickle=False)
        return array

    def start(self) -> NDArray[Any] | None:
        return self.array("start") if "start" in self.names else None

    def needed_review(self) -> Mapping[str, Any]:
        if self.review is None:
            raise KeyError("review")
        return self.review


def _add(store: CaseStore, case: str, asked: _Asked) -> StoredCase:
    return store.case(case)


def _prediction(store: CaseStore, case: str, asked: _Asked) -> StoredCase:
    maps = {name: asked.array(name) for name in MAPS if name in asked.names}
    result, known = Result(asked.geometry, asked.array("segmentation"), maps, asked.report), store.case(case)
    return known if has_prediction(known, result) else store.add_prediction(known, result)


def _draft(store: CaseStore, case: str, asked: _Asked) -> StoredCase:
    mask, known = asked.array("segmentation"), _without_others(store.case(case), asked)
    return store.save_draft(known, mask, asked.needed_review(), asked.reviewer, asked.start())


def _accept(store: CaseStore, case: str, asked: _Asked) -> StoredCase:
    mask, known = asked.array("segmentation"), _without_others(store.case(case), asked)
    return store.accept(known, mask, asked.needed_review(), asked.reviewer, asked.start())


def _without_others(case: StoredCase, asked: _Asked) -> StoredCase:
    """Return a case without the drafts that are not of the review: of another window of the same person, say."""

    def kept(record: Record) -> bool:
        if record.kind is not RecordKind.DRAFT:
            return True
        if asked.replaces is not None:
            return record.number == asked.replaces
        return _goes_on(asked.needed_review(), record)

    return replace(case, records=tuple(filter(kept, case.records)))


def _goes_on(review: Mapping[str, Any], draft: Record) -> bool:
    """Return whether the edits of a review begin with those of a draft; each has its time, so that none are alike."""
    try:
        before, edits = draft.json(REVIEW).get("edits", []), review.get("edits", [])
        return bool(edits[: len(before)] == before)
    except (DamagedError, TypeError):
        return False


def _reject(store: CaseStore, case: str, asked: _Asked) -> StoredCase:
    return store.reject(case, asked.reason, asked.review, asked.reviewer)


_OPERATIONS: Mapping[str, Callable[[CaseStore, str, _Asked], StoredCase]] = {
    "add": _add,
    "prediction": _prediction,
    "draft": _draft,
    "accept": _accept,
    "reject": _reject,
}


if __name__ == "__main__":
    status = main(Path(decode_argument(sys.argv[1])))
    remove_orphans("store")  # Hundreds of megabytes, of each window that was killed while it handed a case over.
    sys.exit(status)
