"""What a person looked at, as voxels: worked out while the regions are known that the review went by."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtctl.cases.case import Case, uncertainties_of
from mtctl.cases.records import Record
from mtctl.evaluation.segmentation_metrics import Mask
from mtctl.review.case_maps import CaseMaps, ReviewError
from mtctl.review.document import read_review
from mtctl.review.session import ReviewSession


def looked_at(case: Case, prediction: Record, start: Mask | None, mask: Mask, review: Path) -> tuple[str, Mask] | None:
    """The regions that were visited.

    Args:
        case: The case.
        prediction: That was reviewed.
        start: The segmentation as it was before the review; None: the prediction's.
        mask: As it is now, (z, y, x).
        review: The review's file.

    Returns:
        The kind of uncertainty that the review went by and the voxels (z, y, x) of all visited regions, each at the
        lowest threshold at which it was; None where the review is of something else or of another version's regions.
    """
    for kind in uncertainties_of(prediction):
        maps: CaseMaps = case.maps_of(prediction, kind)
        try:
            session = read_review(review, maps if start is None else maps.reviewing(start), mask)
        except ReviewError:
            continue
        return kind, _visited(session)
    return None


def _visited(session: ReviewSession) -> Mask:
    seen = np.zeros(session.maps.geometry.shape, dtype=bool)
    for number, mark in session.state.marks.items():
        if mark.seen_at is not None:
            seen.ravel()[session.places.voxels_at(number, mark.seen_at)] = True
    return seen
