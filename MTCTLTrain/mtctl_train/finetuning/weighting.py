"""How much each voxel of a corrected case counts: by what a person did there, and how uncertain the model was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtctl.cases.store import CaseError, StoredCase
from mtctl.geometry import Mask
from mtctl.review.knowledge import Knowledge

#: Up to this uncertainty a voxel that no person looked at counts as truth to compare models by: on three scans one or
#: two in a thousand such voxels were wrong, and two thirds of all voxels are such. With 0.5 a better model appeared
#: worse: a held-out scan's true Dice had risen from 88.9 to 89.2, while that by a mask that was corrected in its
#: flagged regions alone fell from 95.9 to 94.9.
SURE = 0.3


@dataclass(frozen=True)
class Weighting:
    """Weights of the voxels of a corrected case; elsewhere a voxel counts 1.

    Where nobody looked, the mask is still the old model's: taught as truth, its errors would be learnt for good.

    Attributes:
        corrected: Weight of what a person painted: here the old model was wrong, and there is most to learn.
        confirmed: Weight of what a person answered for: it is true where the model doubted, but mostly known to it.
        seen: Weight of what a person passed by: no better and no worse than a voxel of any expert's mask.
        unseen: Voxels that no person looked at weigh (1 - uncertainty) to this power, as the model that drew them may
            be wrong; at 0 they count like all others.
    """

    corrected: float = 2.0
    unseen: float = 1.0
    confirmed: float = 1.5
    seen: float = 1.0

    def weights(self, uncertainty: NDArray[np.float32], knowledge: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the weight of each voxel, float32 (z, y, x).

        Args:
            uncertainty: Uncertainty of the old model, 0 to 1, (z, y, x).
            knowledge: What a person did there, values of `Knowledge`, (z, y, x).
        """
        table = np.array([0.0, self.seen, self.confirmed, self.corrected], np.float32)  # In the order of `Knowledge`.
        return np.where(knowledge == Knowledge.UNTOUCHED, self._of_unseen(uncertainty), table[knowledge])

    def weights_of_before(
        self, uncertainty: NDArray[np.float32], uncertain: Mask, looked_at: Mask
    ) -> NDArray[np.float32]:
        """Return the weights, float32 (z, y, x), where only what was looked at is known.

        Args:
            uncertainty: Uncertainty of the old model, 0 to 1, (z, y, x).
            uncertain: Where it reached the threshold of the review, or a person changed its mask: counts `corrected`.
            looked_at: What the person looked at.
        """
        seen = np.where(uncertain, np.float32(self.corrected), np.float32(1))
        return np.asarray(np.where(looked_at, seen, self._of_unseen(uncertainty)), np.float32)

    def of(self, case: StoredCase, version: int | None = None) -> NDArray[np.float32] | None:
        """Return the weights (z, y, x) of a version of a stored case (None: the last); None where all of them are 1.

        Raises:
            CaseError: What was looked at is unknown.
            DamagedError: A file of it is damaged.
        """
        knowledge = case.knowledge(version)
        if knowledge is not None:
            return self.weights(case.reviewed_uncertainty(version=version), knowledge)
        looked_at = case.looked_at(version)
        try:
            changed, uncertain = case.changed_voxels(version), case.uncertain_voxels(version=version)
        except CaseError:  # A label that was made elsewhere, of a case without a prediction.
            return None
        uncertainty = case.reviewed_uncertainty(version=version)
        return self.weights_of_before(uncertainty, uncertain | changed, looked_at | changed)

    def _of_unseen(self, uncertainty: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray((1 - np.clip(uncertainty, 0, 1)) ** np.float32(self.unseen), np.float32)


def trusted(case: StoredCase, version: int | None = None) -> Mask:
    """Return where a version's mask counts as the truth, (z, y, x): a person said so, or the old model was sure.

    Raises:
        CaseError: What was looked at is unknown.
        DamagedError: A file of it is damaged.
    """
    knowledge = case.knowledge(version)
    said = case.looked_at(version) if knowledge is None else knowledge >= Knowledge.CONFIRMED
    if said.all():
        return said
    sure = case.reviewed_uncertainty(version=version) <= SURE
    return np.asarray(said | case.changed_voxels(version) | sure)
