"""A segmentation that a person reviews or has reviewed, as it goes into the case store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtctl.cases.case import Case
from mtctl.cases.records import LOOKED_AT, REVIEW, START, CaseError
from mtctl.cases.volumes import check_mask, mask_sum, write_mask
from mtctl.geometry import Volume
from mtctl.io.volumes import write_segmentation, write_volume
from mtctl.system.staging import DamagedError, write_json

if TYPE_CHECKING:  # It takes scipy along, for which a window that lists cases would wait a second.
    from mtctl.evaluation.segmentation_metrics import Mask


class Reviewed:
    """A segmentation and its review, ready to be written."""

    def __init__(self, case: Case, mask: Mask, review: Mapping[str, Any], start: Mask | None) -> None:
        self.case = case
        self.mask = check_mask(mask, case.geometry, case.id)
        self.start = None if start is None else check_mask(start, case.geometry, case.id)
        self.review = review
        self.prediction = case.reviewed_by(review)

    @property
    def as_predicted(self) -> bool:
        known = self.prediction and self.prediction.content.get("segmentation_sha256")
        return known == mask_sum(self.mask)

    def write(self, folder: Path) -> dict[str, Any]:
        content = write_mask(folder, self.mask, self.case.geometry)
        write_json(folder / REVIEW, self.review)
        if self.start is not None:
            write_segmentation(Volume(self.start, self.case.geometry), folder / START)
        return content | {"prediction": self.prediction and self.prediction.number}

    def write_decided(self, folder: Path) -> dict[str, Any]:
        from mtctl.cases.look import looked_at  # takes scipy along

        content = self.write(folder)
        try:
            found = self.prediction and looked_at(self.case, self.prediction, self.start, self.mask, folder / REVIEW)
        except (CaseError, DamagedError):  # A damaged or partial prediction must not keep the person's work out.
            found = None
        if found:
            kind, voxels = found
            write_volume(Volume(voxels.astype(np.uint8), self.case.geometry), folder / LOOKED_AT)
            content["uncertainty"] = kind
        return content
