"""The review of a case as a JSON file: a draft that can be continued, and a record of what was done.

It names no patient, no file and no date: only the grid, checksums of what was reviewed, and the person's actions.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mtctl import __version__
from mtctl.geometry import Geometry, Mask, VolumeError, same_grid
from mtctl.review.case_maps import CaseMaps, ReviewError
from mtctl.review.session import ReviewSession
from mtctl.review.state import Edit, RegionMark, ReviewState, Status
from mtctl.system.files import write_json
from mtctl.uncertainty.regions import RegionMap

Number = TypeVar("Number", int, float)

FORMAT = 1


def review_document(session: ReviewSession) -> dict[str, Any]:
    """Return the review as plain values for JSON."""
    state = session.state
    return {
        "format": FORMAT,
        "version": __version__,
        "geometry": session.maps.geometry.to_json(),
        "segmentation_sha256": _segmentation_sum(session.maps),
        "regions_sha256": _regions_sum(session.all_regions),
        "status": state.status.value,
        "reason": state.reason,
        "seconds": state.seconds,
        "looked_at_ml": session.looked_at_ml,
        "left": asdict(session.remaining),
        "threshold": state.threshold,
        "current": state.current,
        "regions": [{"id": number} | asdict(mark) for number, mark in sorted(state.marks.items())],
        "edits": [asdict(edit) for edit in state.edits],
    }


def write_review(path: Path, session: ReviewSession) -> None:
    """Write the review, whole or not at all.

    Raises:
        WriteError: The folder is not writable or the disk is full.
    """
    write_json(path, review_document(session))


def read_review(
    path: Path, maps: CaseMaps, mask: Mask | None = None, clock: Callable[[], float] = time.monotonic
) -> ReviewSession:
    """Read a draft and continue its review.

    Args:
        path: What `write_review` wrote.
        maps: The case, as it was when the review began.
        mask: The segmentation as it was left, (z, y, x); None where nothing was edited.
        clock: See `ReviewSession`.

    Raises:
        ReviewError: The file is damaged, or is the review of another scan, segmentation or prediction.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReviewError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ReviewError(f"{path}: not a readable review; start a new one ({error})") from error
    return resume_review(document, maps, mask, clock, str(path))


def resume_review(
    document: Mapping[str, Any],
    maps: CaseMaps,
    mask: Mask | None = None,
    clock: Callable[[], float] = time.monotonic,
    source: str = "the draft",
    all_regions: RegionMap | None = None,
) -> ReviewSession:
    """Continue a review from what `review_document` gave, wherever that was stored.

    Args:
        document: See there.
        maps, mask, clock: As for `read_review`.
        source: Where it was kept, for messages.
        all_regions: See `ReviewSession`.

    Raises:
        ReviewError: It is damaged, or the review of another scan, segmentation or prediction.
    """
    try:
        if document["format"] != FORMAT:
            raise ReviewError(f"{source}: written by version {document['version']}, which this one cannot read: update")
        geometry = Geometry.from_json(document["geometry"])
        sums = str(document["segmentation_sha256"]), str(document["regions_sha256"])
        state = _state(document)
    except (ValueError, KeyError, TypeError, AttributeError, VolumeError) as error:
        raise ReviewError(f"{source}: not a readable review; start a new one ({error})") from error
    if not same_grid(geometry, maps.geometry):
        raise ReviewError(
            f"{source}: the review of another scan, whose voxels lie elsewhere; open the one it belongs to"
        )
    if sums[0] != _segmentation_sum(maps):
        raise ReviewError(
            f"{source}: the review of another segmentation of this scan; open that one, or start a new review"
        )
    try:
        session = ReviewSession(maps, state, mask, clock, all_regions)
    except ReviewError as error:
        raise ReviewError(f"{source}: {error}") from error
    if sums[1] != _regions_sum(session.all_regions):
        raise ReviewError(
            f"{source}: the uncertainty was computed anew since, and its regions differ; start a new review"
        )
    return session


def _state(document: Mapping[str, Any]) -> ReviewState:
    threshold = float(document["threshold"])
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold:g}")
    return ReviewState(
        threshold=threshold,
        current=_maybe(int, document["current"]),
        marks={int(entry["id"]): _mark(entry) for entry in document["regions"]},
        edits=tuple(_edit(entry) for entry in document["edits"]),
        seconds=float(document["seconds"]),
        status=Status(document["status"]),
        reason=str(document["reason"]),
    )


def _mark(entry: Mapping[str, Any]) -> RegionMark:
    seen, accepted = _maybe(float, entry["seen_at"]), _maybe(float, entry["accepted_at"])
    return RegionMark(seen, accepted, bool(entry["edited"]), float(entry["seconds"]))


def _edit(entry: Mapping[str, Any]) -> Edit:
    seconds, added, removed = (float(entry[name]) for name in ("seconds", "added_ml", "removed_ml"))
    return Edit(str(entry["kind"]), _maybe(int, entry["region"]), seconds, added, removed)


def _maybe(number: Callable[[Any], Number], value: Any) -> Number | None:
    return None if value is None else number(value)


def _segmentation_sum(maps: CaseMaps) -> str:
    return hashlib.sha256(np.packbits(maps.segmentation).data).hexdigest()


def _regions_sum(all_regions: RegionMap) -> str:
    digest = hashlib.sha256()
    for array in (all_regions.voxel, all_regions.level, all_regions.start):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
