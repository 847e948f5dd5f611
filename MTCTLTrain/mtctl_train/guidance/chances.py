"""How likely a question finds an error: fitted on cases that neither the model nor the guidance network has learnt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from mtctl.geometry import Geometry
from mtctl.guidance.guided_mask import GuidedMask
from mtctl.guidance.questions import BORDER_MM, PLACE_MM, ChanceModel, QuestionFinder
from mtctl.masks import solid
from mtctl_train.guidance.drafts import DraftedCase

#: A place holds an error that a reader would mend where so much is wrong beyond the border, mL.
WORTH_ML = 0.1

#: Pull of the slope towards 1 (Gaussian prior): few cases cannot tell a steep curve from a step.
_PRIOR = 0.1


def fit_chances(finder: QuestionFinder, drafts: Sequence[DraftedCase]) -> ChanceModel:
    """Return the chances that fit what the finder's candidates hold in these drafts; the usual ones without any.

    Args:
        finder: Its own chances are not looked at.
        drafts: Of cases that nobody has learnt.
    """
    expected: list[float] = []
    worth: list[bool] = []
    for draft in drafts:
        state = mask_of(draft)
        far = (state.mask != (draft.distance_mm > 0)) & (np.abs(draft.distance_mm) > BORDER_MM)
        for question in finder.begin(state).candidates.values():
            if question is not None:
                held = np.count_nonzero(far & state.near((question.place,), PLACE_MM)) * state.grid.voxel_ml
                expected.append(question.expected_ml)
                worth.append(bool(held > WORTH_ML))
    return _fitted(np.log(expected), np.array(worth)) if expected else ChanceModel()


def mask_of(draft: DraftedCase) -> GuidedMask:
    """Return a draft as a mask to ask about: its largest piece, holes filled."""
    z, y, x = draft.image.shape
    dz, dy, dx = draft.voxel_mm
    probability = expit(draft.logit)
    piece = solid(probability >= 0.5)
    probability = np.where((probability >= 0.5) & ~piece, 0.4, probability)
    probability = np.where((probability < 0.5) & piece, 0.6, probability)
    grid = Geometry((x, y, z), (dx, dy, dz), (0.0, 0.0, 0.0))
    return GuidedMask(grid, draft.image, probability.astype(np.float32), np.zeros(piece.shape, bool))


def _fitted(logarithm: NDArray[np.float64], worth: NDArray[np.bool_]) -> ChanceModel:
    def loss(weights: NDArray[np.float64]) -> float:
        odds = weights[0] * logarithm + weights[1]
        return float(np.logaddexp(0, np.where(worth, -odds, odds)).sum() + _PRIOR * (weights[0] - 1) ** 2)

    slope, offset = minimize(loss, [1.0, 1.0]).x.tolist()
    return ChanceModel(round(slope, 4), round(offset, 4))
