"""A segmentation that a person reviews or has reviewed, as it goes into the case store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtctl.cases.case import StoredCase
from mtctl.cases.history import uncertainties_of
from mtctl.cases.records import KNOWLEDGE, REVIEW, START, CaseError, Record
from mtctl.cases.volumes import check_mask, write_mask
from mtctl.geometry import Mask, Volume
from mtctl.io.checksums import mask_sum
from mtctl.io.volumes import write_segmentation, write_volume
from mtctl.review.case_maps import ReviewError
from mtctl.review.knowledge import Knowledge, knowledge_of
from mtctl.system.files import write_json
from mtctl.system.staging import DamagedError

if TYPE_CHECKING:  # It takes scipy along, for which a window that lists cases would wait a second.
    from mtctl.review.session import ReviewSession


class ReviewedSegmentation:
    """A segmentation and its review, ready to be written."""

    def __init__(self, case: StoredCase, mask: Mask, review: Mapping[str, Any], start: Mask | None) -> None:
        self.case = case
        self.mask = check_mask(mask, case.geometry, case.id)
        self.start = None if start is None else check_mask(start, case.geometry, case.id)
        self.review = review
        self.prediction = case.reviewed_prediction(review)

    @property
    def as_predicted(self) -> bool:
        """Whether it is the prediction, unchanged."""
        known = self.prediction and self.prediction.content.get("segmentation_sha256")
        return known == mask_sum(self.mask)

    def write(self, folder: Path) -> dict[str, Any]:
        """Write segmentation and review; return the content of their record."""
        content = write_mask(folder, self.mask, self.case.geometry)
        write_json(folder / REVIEW, self.review)
        if self.start is not None:
            write_segmentation(Volume(self.start, self.case.geometry), folder / START)
        return content | {"prediction": self.prediction and self.prediction.number}

    def write_decided(self, folder: Path) -> dict[str, Any]:
        """Write the same with what is known of each voxel; return the content of the record of a decision."""
        content = self.write(folder)
        try:
            found = self.prediction and knowledge(self.case, self.prediction, self.start, self.mask, folder / REVIEW)
        except (CaseError, DamagedError):  # A damaged or partial prediction must not keep the person's work out.
            found = None
        if found:
            kind, voxels = found
            write_volume(Volume(voxels, self.case.geometry), folder / KNOWLEDGE)
            content["uncertainty"] = kind
        return content


def knowledge(
    case: StoredCase, prediction: Record, start: Mask | None, mask: Mask, review: Path
) -> tuple[str, NDArray[np.uint8]] | None:
    """Return what is known of each voxel.

    Args:
        case: The case.
        prediction: That was reviewed.
        start: The segmentation as it was before the review; None: the prediction's.
        mask: As it is now, (z, y, x).
        review: The review's file.

    Returns:
        The kind of uncertainty that the review went by and the `Knowledge` of each voxel (z, y, x), where each region
        that was visited is seen at the lowest threshold at which it was; None where the review is of something else or
        of another version's regions.
    """
    from mtctl.review.document import read_review  # Here: it takes scipy along, for which listing cases would wait.

    for kind in uncertainties_of(prediction):
        maps = case.maps_of(prediction, kind)
        try:
            session = read_review(review, maps if start is None else maps.reviewing(start), mask)
        except ReviewError:
            continue
        changed = mask != session.maps.segmentation
        known = knowledge_of(changed, session.said, session.state.visited, case.geometry)
        known[_visited(session) & (known == Knowledge.UNTOUCHED)] = Knowledge.SEEN
        return kind, known
    return None


def _visited(session: ReviewSession) -> Mask:
    seen = np.zeros(session.maps.geometry.shape, dtype=bool)
    for number, mark in session.state.marks.items():
        if mark.seen_at is not None:
            seen.ravel()[session.all_regions.voxels_at(number, mark.seen_at)] = True
    return seen
