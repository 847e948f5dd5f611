"""How much each voxel of a corrected case counts: by whether a person looked at it, and how uncertain the model was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtctl.cases.store import CaseError, StoredCase
from mtctl.geometry import Mask

#: Up to this uncertainty a voxel that no person looked at counts as truth to compare models by: on three scans one or
#: two in a thousand such voxels were wrong, and two thirds of all voxels are such. With 0.5 a better model appeared
#: worse: a held-out scan's true Dice had risen from 88.9 to 89.2, while that by a mask that was corrected in its
#: flagged regions alone fell from 95.9 to 94.9.
SURE = 0.3


@dataclass(frozen=True)
class Weighting:
    """Weights of the voxels of a corrected case; elsewhere a voxel counts 1.

    In a case that was reviewed region by region, the mask outside the regions that were visited is still the old
    model's: taught as truth, its errors would be learnt for good.

    Attributes:
        corrected: Weight of voxels that a person looked at and of which the old model was unsure.
        unseen: Voxels that no person looked at weigh (1 - uncertainty) to this power; at 0 they count like all others.
    """

    corrected: float = 2.0
    unseen: float = 1.0

    def weights(self, uncertainty: NDArray[np.float32], uncertain: Mask, looked_at: Mask) -> NDArray[np.float32]:
        """Return the weight of each voxel.

        Args:
            uncertainty: Uncertainty of the old model, 0 to 1, (z, y, x).
            uncertain: Where it reached the threshold of the review, or a person changed its mask.
            looked_at: What the person looked at.

        Returns:
            float32 (z, y, x).
        """
        unseen = (1 - np.clip(uncertainty, 0, 1)) ** np.float32(self.unseen)
        seen = np.where(uncertain, np.float32(self.corrected), np.float32(1))
        return np.asarray(np.where(looked_at, seen, unseen), np.float32)

    def of(self, case: StoredCase, version: int | None = None) -> NDArray[np.float32] | None:
        """Return the weights (z, y, x) of a version of a stored case (None: the last); None where all of them are 1.

        Raises:
            CaseError: What was looked at is unknown.
            DamagedError: A file of it is damaged.
        """
        looked_at = case.looked_at(version)
        try:
            changed, uncertain = case.changed_voxels(version), case.uncertain_voxels(version=version)
        except CaseError:  # A label that was made elsewhere, of a case without a prediction.
            return None
        return self.weights(case.reviewed_uncertainty(version=version), uncertain | changed, looked_at | changed)


def trusted(case: StoredCase, version: int | None = None) -> Mask:
    """Return where a version's mask counts as the truth, (z, y, x): a person looked, or the old model was sure.

    Raises:
        CaseError: What was looked at is unknown.
        DamagedError: A file of it is damaged.
    """
    looked_at = case.looked_at(version)
    if looked_at.all():
        return looked_at
    sure = case.reviewed_uncertainty(version=version) <= SURE
    return np.asarray(looked_at | case.changed_voxels(version) | sure)
