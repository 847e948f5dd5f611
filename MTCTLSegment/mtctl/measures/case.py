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
        answered: How many regions a person accepted or corrected.
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


def settled_by_the_person(session: ReviewSession) -> tuple[object, ...]:
    """Return what the person settled without drawing, to be compared: it narrows intervals as an edit does."""
    marks = session.state.marks.items()
    accepted = {number: mark.accepted_at for number, mark in marks if mark.accepted_at is not None}
    return accepted, session.state.replies


def settled_voxels(session: ReviewSession, current: Mask) -> Mask:
    """Return which voxels (z, y, x) the person drew, accepted or said something of."""
    settled = np.asarray(current != session.maps.segmentation) | settled_by(session.said, session.maps.geometry)
    flat = settled.reshape(-1)
    for number, mark in session.state.marks.items():
        if mark.accepted_at is not None:
            flat[session.all_regions.voxels_at(number, mark.accepted_at)] = True
    return settled


def answered_regions(review: Mapping[str, Any]) -> int:
    """Return how many regions a person accepted or corrected, by the document of a review, which may be damaged."""
    marks = review.get("regions")
    if not isinstance(marks, list):
        return 0
    mine = [mark for mark in marks if isinstance(mark, dict)]
    return sum(mark.get("accepted_at") is not None or mark.get("edited") is True for mark in mine)
