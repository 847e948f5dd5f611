"""How likely a question finds an error: fitted on cases that neither the model nor the guidance network has learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from mtctl.evaluation.review_curve import WORTH_ML
from mtctl.geometry import Map, Volume
from mtctl.guidance.guided_mask import GuidedMask, guided_mask, guided_scan
from mtctl.guidance.questions import BORDER_MM, PLACE_MM, ChanceModel, QuestionFinder
from mtctl.guidance.session import looked_at
from mtctl.inference.segmenter import Segmenter
from mtctl.io.labelled import LabelledVolume
from mtctl.networks.distance_map import signed_distance_mm
from mtctl.preprocessing.resampling import to_grid

#: Pull of the slope towards 1 (Gaussian prior): few cases cannot tell a steep curve from a step.
_PRIOR = 0.1


@dataclass(frozen=True)
class SegmentedCase:
    """A mask to ask about, and the truth.

    Attributes:
        state: The model's mask, as a reader gets it.
        distance_mm: (z, y, x) to the true surface on the same grid, positive inside.
    """

    state: GuidedMask
    distance_mm: Map


def segmented(segmenter: Segmenter, case: LabelledVolume) -> SegmentedCase:
    """Segment a case as a reader would have it segmented."""
    geometry = case.volume.geometry
    prediction = segmenter.predict(case.volume)
    box = looked_at(prediction.segmentation, geometry)
    scan = guided_scan(
        case.volume, prediction.on_source("probability").array, segmenter.model.card.grid_mm, box
    )  # fmt: skip
    x, y, z = geometry.spacing
    distance = Volume(signed_distance_mm(case.mask, (z, y, x)), geometry)
    return SegmentedCase(guided_mask(scan, prediction.segmentation), to_grid(distance, scan.grid)[0])


def fit_chances(finder: QuestionFinder, cases: Sequence[SegmentedCase]) -> ChanceModel:
    """Return the chances that fit what the finder's candidates hold in these cases; the usual ones without any.

    Args:
        finder: Its own chances are not looked at.
        cases: That nobody has learnt.
    """
    expected: list[float] = []
    worth: list[bool] = []
    for case in cases:
        state = case.state
        far = (state.mask != (case.distance_mm > 0)) & (np.abs(case.distance_mm) > BORDER_MM)
        for question in finder.begin(state).candidates.values():
            if question is not None:
                held = np.count_nonzero(far & state.near((question.place,), PLACE_MM)) * state.grid.voxel_ml
                expected.append(question.expected_ml)
                worth.append(bool(held > WORTH_ML))
    return _fitted(np.log(expected), np.array(worth)) if expected else ChanceModel()


def _fitted(logarithm: NDArray[np.float64], worth: NDArray[np.bool_]) -> ChanceModel:
    def loss(weights: NDArray[np.float64]) -> float:
        odds = weights[0] * logarithm + weights[1]
        return float(np.logaddexp(0, np.where(worth, -odds, odds)).sum() + _PRIOR * (weights[0] - 1) ** 2)

    slope, offset = minimize(loss, [1.0, 1.0]).x.tolist()
    return ChanceModel(round(slope, 4), round(offset, 4))
