"""What is slow about opening a case in a window, done in a child process.

It is started as `python -m mtctl_train.requests.case_opening REQUEST`.

REQUEST is a JSON object; one line of JSON comes back for every thing found, and "done" or "failed" at last:

    {"do": "look", "store": FOLDER, "case": ID}
        {"event": "stands", "record", "state", "reviewer", "changed", "version", "segmentation_sha256"}
    {"do": "open", "store": FOLDER, "case": ID, "to": FOLDER}
        the same, as it stood before anything else was read; then what `requests.stores` says to "open", and
        {"event": "review", "maps": [NAME], "start": FILE or null}, where the case can be reviewed

"record" is the number of the last record, 0 where there is none; "segmentation_sha256" is that of its mask, or null.
Arrays (z, y, x) lie as <name>.npy in the folder; "start" is the mask that a review of somebody else's segmentation
begins with.

Needs no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtctl.processes.launcher import decode_argument
from mtctl.processes.request import Emit, answer
from mtctl.system.process_tree import lower_priority
from mtctl.system.temporary import remove_orphans

#: The kind of folder that a window makes for what it wants to have unpacked; see `system.temporary`.
FOLDER_KIND = "case"


def main(request: str) -> int:
    """Answer a request.

    Returns:
        Exit status: 0 done, 1 failed.
    """
    remove_orphans(FOLDER_KIND)
    lower_priority()
    return answer(HANDLERS, request)


def look(emit: Emit, store: str, case: str) -> None:
    """Say how a case stands in the store now."""
    from mtctl.cases.store import CaseStore  # Takes SimpleITK along, which the window need not load for FOLDER_KIND.

    here = CaseStore(Path(store)).case(case)
    last = here.records[-1] if here.records else None
    emit(
        "stands",
        record=last.number if last else 0,
        state=here.state.value,
        reviewer=here.reviewer,
        changed=here.changed,
        version=here.version,
        segmentation_sha256=last.content.get("segmentation_sha256") if last else None,
    )


def open_for_review(emit: Emit, store: str, case: str, to: str) -> None:
    """Unpack a case, and what its review needs."""
    from mtctl_train.requests.stores import open_case

    look(emit, store, case)
    heard = list[dict[str, Any]]()

    def listen(event: str, **content: Any) -> None:
        heard.append(content)
        emit(event, **content)

    open_case(listen, store, case, to)
    review = _prepared(Path(to), heard[-1])
    if review is not None:
        emit("review", **review)


def _prepared(folder: Path, opened: dict[str, Any]) -> dict[str, Any] | None:
    """Write what a review needs beside what was unpacked; return None where the prediction does not suffice."""

    def array(name: str) -> Any:
        return np.load(folder / f"{name}.npy", allow_pickle=False)

    names = list(opened["maps"])
    if opened["report"] is None or not {"entropy", "distance"} <= set(names):
        return None
    from mtctl.review.case_maps import probability_of  # A look need not wait for it.

    mask, entropy = array("segmentation") != 0, array("entropy")
    if "probability" not in names:  # `mtctl segment` leaves it out: nothing is lost, as the entropy tells it.
        np.save(folder / "probability.npy", probability_of(entropy, mask))
        names.append("probability")
    start = opened.get("start")
    corrected = folder / "corrected.npy"
    if start is None and opened["review"] is None and corrected.is_file():
        start = str(corrected)  # An imported label: reviewed as it is, where it differs from the prediction.
    begun = None if start is None else np.load(start, allow_pickle=False) != 0
    if begun is None or not begun.any():
        start = None  # Nothing is there that could be reviewed as somebody else's.
    return {"maps": names, "start": start}


HANDLERS: Mapping[str, Callable[..., None]] = {"look": look, "open": open_for_review}


if __name__ == "__main__":
    sys.exit(main(decode_argument(sys.argv[1])))
