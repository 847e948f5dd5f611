"""A segmentation that a person reviews or has reviewed, as it goes into the case store."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtctl.cases.case import StoredCase
from mtctl.cases.records import KNOWLEDGE, REVIEW, SEGMENTATION, START, CaseError
from mtctl.cases.volumes import check_mask, stored_mask, write_mask
from mtctl.geometry import Mask, Volume
from mtctl.io.checksums import mask_sum
from mtctl.io.volumes import write_segmentation, write_volume
from mtctl.review.case_maps import ReviewError
from mtctl.review.document import knowledge_in
from mtctl.system.files import write_json
from mtctl.system.staging import DamagedError


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
        with suppress(ReviewError, CaseError, DamagedError):  # They must not keep the person's work out.
            known = knowledge_in(self.review, self._begun(), self.mask, self.case.geometry)
            write_volume(Volume(known, self.case.geometry), folder / KNOWLEDGE)
        return content

    def _begun(self) -> Mask:
        """Return the segmentation as it was before the review.

        Raises:
            CaseError, DamagedError: Nobody knows.
        """
        if self.start is not None:
            return self.start
        if self.prediction is None:
            raise CaseError("the review is of no prediction of the store")
        return stored_mask(self.prediction, SEGMENTATION, self.case.geometry)
