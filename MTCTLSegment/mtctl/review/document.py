"""The review of a case as a JSON file: a draft that can be continued, and a record of what was done.

It names no patient, no file and no date: only the grid, checksums of what was reviewed, and the person's actions.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mtctl import __version__
from mtctl.geometry import Geometry, Mask, same_grid
from mtctl.review.answers import Point
from mtctl.review.case_maps import CaseMaps, ReviewError
from mtctl.review.knowledge import knowledge_of
from mtctl.review.quantities import Seconds
from mtctl.review.replies import Reply, said_in
from mtctl.review.session import ReviewSession
from mtctl.review.state import EarlierRegion, Edit, ReviewState, Status
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import Longest, Share, read_as
from mtctl.system.files import write_json

FORMAT = 1


@dataclass(frozen=True)
class _Writer:
    """Which version wrote a review."""

    format: int
    version: str = "?"


@dataclass(frozen=True)
class _Document:
    """What a review's file holds, as far as it is read."""

    geometry: Geometry
    segmentation_sha256: str
    status: Status
    reason: str
    seconds: Seconds
    threshold: Share
    edits: tuple[Edit, ...]
    questions: tuple[Reply, ...] = ()  # Earlier versions asked none.
    visited: Annotated[tuple[Point, ...], Longest(100_000)] = ()
    regions: tuple[EarlierRegion, ...] = ()  # Earlier versions went through regions.


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
        "segmentation_sha256": segmentation_sum(session.maps.segmentation),
        "status": state.status.value,
        "reason": state.reason,
        "seconds": state.seconds,
        "threshold": state.threshold,
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
) -> ReviewSession:
    """Continue a review from what `review_document` gave, wherever that was stored.

    Args:
        document: See there.
        maps, mask, clock: As for `read_review`.
        source: Where it was kept, for messages.

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
    if not same_grid(review.geometry, maps.geometry):
        raise ReviewError(
            f"{source}: the review of another scan, whose voxels lie elsewhere; open the one it belongs to"
        )
    if review.segmentation_sha256 != segmentation_sum(maps.segmentation):
        raise ReviewError(
            f"{source}: the review of another segmentation of this scan; open that one, or start a new review"
        )
    try:
        return ReviewSession(maps, _state(review, maps), mask, clock)
    except ReviewError as error:
        raise ReviewError(f"{source}: {error}") from error


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


def knowledge_in(document: Mapping[str, Any], start: Mask, mask: Mask, geometry: Geometry) -> NDArray[np.uint8]:
    """Return the `Knowledge` of each voxel (z, y, x) that a review tells.

    Args:
        document: What `review_document` gave.
        start: The segmentation as it was before the review, (z, y, x).
        mask: As it is now.
        geometry: The grid of both.

    Raises:
        ReviewError: The document is damaged, or the review of another scan or segmentation.
    """
    try:
        review = read_as(_Document, document, "the review")
    except DocumentError as error:
        raise ReviewError(str(error)) from error
    if not same_grid(review.geometry, geometry) or review.segmentation_sha256 != segmentation_sum(start):
        raise ReviewError("the review is of another scan or segmentation")
    return knowledge_of(mask != start, said_in(review.questions), review.visited, geometry)


def segmentation_sum(mask: Mask) -> str:
    """Return by what a review knows the segmentation (z, y, x) that it began with."""
    return hashlib.sha256(np.packbits(mask).data).hexdigest()


def _state(review: _Document, maps: CaseMaps) -> ReviewState:
    visited = review.visited
    if any(region.seen_at is not None for region in review.regions):
        from mtctl.review.earlier_regions import places_of  # Here: it takes scipy along, and few reviews need it.

        visited = (*visited, *places_of(review.regions, maps))
    return ReviewState(
        review.threshold, review.edits, review.seconds, review.status, review.reason, review.questions, visited
    )
