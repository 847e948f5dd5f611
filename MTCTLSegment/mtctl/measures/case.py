"""A case that is to be measured: from its files, or from the review that is open in a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mtctl.geometry import Geometry, Mask, Triple, Volume
from mtctl.io.given_spacing import given_spacing_of
from mtctl.measures.uncertain_mask import UncertainMask
from mtctl.review.case_maps import CaseMaps
from mtctl.review.places import settled_by
from mtctl.review.replies import Reply
from mtctl.review.session import ReviewSession


@dataclass(frozen=True)
class ReadCase:
    """A case as its files or its review have it.

    Attributes:
        mask: Segmentation, as it was corrected where it was, and uncertainty.
        grid: Of the whole scan.
        sure: Whether there is an uncertainty: without one there are no intervals.
        settled_percent: How much of the uncertainty a person has settled.
        scan_name: File name of the scan, where a report says it.
        spacing: The scan's true one, mm along its axes, where it was given by hand when it was segmented.
        warnings: What the reader should know, in sentences.
        uncertainty: The map that is shown, 0 to 1; None where there is none.
        report: Of the segmentation (`mtctl segment`); empty where there is none.
        answered: How many places a person answered for.
    """

    mask: UncertainMask
    grid: Geometry
    sure: bool
    settled_percent: float
    scan_name: str
    spacing: Triple | None
    warnings: tuple[str, ...]
    uncertainty: Volume | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    answered: int = 0

    @classmethod
    def of(
        cls,
        maps: CaseMaps,
        session: ReviewSession | None,
        current: Mask,
        report: Mapping[str, Any],
        warnings: Sequence[str] = (),
        answered: int = 0,
    ) -> ReadCase:
        """Return a case whose uncertainty is known.

        Args:
            maps: The prediction, with its calibrated probability.
            session: The review of it; None where there was none.
            current: The segmentation as it is now, (z, y, x).
            report, warnings, answered: See the class.

        Raises:
            MeasureError: The segmentation is empty.
        """
        settled = None if session is None else settled_voxels(session, current)
        doubt = maps.probability * (1 - maps.probability)
        total = float(doubt.sum())
        percent = 100 * float(doubt[settled].sum()) / total if total > 0 and settled is not None else 0.0
        return cls(
            UncertainMask.of(current, maps.probability, maps.geometry, settled), maps.geometry, True,
            round(percent, 2), str(report.get("input", "")), given_spacing_of(report), tuple(warnings),
            Volume(maps.uncertainty, maps.geometry), report, answered,
        )  # fmt: skip


def settled_by_the_person(session: ReviewSession) -> tuple[Reply, ...]:
    """Return what the person settled without drawing, to be compared: it narrows intervals as an edit does."""
    return session.state.replies


def settled_voxels(session: ReviewSession, current: Mask) -> Mask:
    """Return which voxels (z, y, x) the person drew or said something of."""
    return np.asarray(current != session.maps.segmentation) | settled_by(session.said, session.maps.geometry)


def answered_places(review: Mapping[str, Any]) -> int:
    """Return how many places a person answered for, by the document of a review, which may be damaged."""
    replies = review.get("questions")
    if not isinstance(replies, list):
        return 0
    return sum(isinstance(reply, dict) and reply.get("undone") is not True for reply in replies)
