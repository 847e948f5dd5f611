"""The review of a case as a JSON file: a draft that can be continued, and a record of what was done.

It names no patient, no file and no date: only the grid, checksums of what was reviewed, and the person's actions.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from mtctl import __version__
from mtctl.geometry import Geometry, Mask, same_grid
from mtctl.review.answers import Point
from mtctl.review.case_maps import CaseMaps, ReviewError
from mtctl.review.quantities import Seconds
from mtctl.review.replies import Reply
from mtctl.review.session import ReviewSession
from mtctl.review.state import Edit, RegionMark, ReviewState, Status
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import Longest, Share, read_as
from mtctl.system.files import write_json
from mtctl.uncertainty.regions import RegionMap

FORMAT = 1

_MARK = [field.name for field in fields(RegionMark)]


@dataclass(frozen=True)
class _Writer:
    """Which version wrote a review."""

    format: int
    version: str = "?"


@dataclass(frozen=True)
class _MarkedRegion(RegionMark):
    """A region and what was done with it."""

    id: int = 0


@dataclass(frozen=True)
class _Document:
    """What a review's file holds, as far as it is read."""

    geometry: Geometry
    segmentation_sha256: str
    regions_sha256: str
    status: Status
    reason: str
    seconds: Seconds
    threshold: Share
    current: int | None
    regions: tuple[_MarkedRegion, ...]
    edits: tuple[Edit, ...]
    questions: tuple[Reply, ...] = ()  # Earlier versions asked none.
    visited: Annotated[tuple[Point, ...], Longest(100_000)] = ()


@dataclass(frozen=True)
class _Places:
    """What of a review moves with the scan."""

    geometry: Geometry
    questions: tuple[Reply, ...] = ()
    visited: Annotated[tuple[Point, ...], Longest(100_000)] = ()


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
        "questions": [asdict(reply) for reply in state.replies],
        "visited": state.visited,
        "said": asdict(session.said),
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
        document = read_object(path)
    except FileNotFoundError as error:
        raise ReviewError(f"{path}: cannot be read: {error.strerror}") from error
    except DocumentError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ReviewError(f"{path}: not a readable review; start a new one ({reason})") from error
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
        written = read_as(_Writer, document, source)
        if written.format != FORMAT:
            raise ReviewError(f"{source}: written by version {written.version}, which this one cannot read: update")
        review = read_as(_Document, document, source)
    except DocumentError as error:
        reason = str(error).removeprefix(f"{source}: ")
        raise ReviewError(f"{source}: not a readable review; start a new one ({reason})") from error
    state, sums = _state(review), (review.segmentation_sha256, review.regions_sha256)
    if not same_grid(review.geometry, maps.geometry):
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


def with_geometry(document: Mapping[str, Any], geometry: Geometry) -> dict[str, Any]:
    """Return the document of a review of a scan that was moved since: its places have moved with its voxels.

    Args:
        document: What `review_document` gave.
        geometry: Where the scan is now, as many voxels.

    Raises:
        ReviewError: The document is damaged.
    """
    try:
        moved = read_as(_Places, document, "the draft")
    except DocumentError as error:
        raise ReviewError(str(error)) from error

    def here(places: Sequence[Point]) -> list[list[float]]:
        if not places:
            return []
        found: list[list[float]] = geometry.index_to_physical(moved.geometry.physical_to_index(places)).tolist()
        return found

    questions = [
        asdict(reply) | {"place": here([reply.place])[0], "clicks": here(reply.clicks)} for reply in moved.questions
    ]
    return {**document, "geometry": geometry.to_json(), "questions": questions, "visited": here(moved.visited)}


def _state(review: _Document) -> ReviewState:
    marks = {region.id: RegionMark(**{name: getattr(region, name) for name in _MARK}) for region in review.regions}
    return ReviewState(
        review.threshold, review.current, marks, review.edits, review.seconds, review.status, review.reason,
        review.questions, review.visited,
    )  # fmt: skip


def _segmentation_sum(maps: CaseMaps) -> str:
    return hashlib.sha256(np.packbits(maps.segmentation).data).hexdigest()


def _regions_sum(all_regions: RegionMap) -> str:
    digest = hashlib.sha256()
    for array in (all_regions.voxel, all_regions.level, all_regions.start):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
