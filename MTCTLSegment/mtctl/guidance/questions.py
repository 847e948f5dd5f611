"""Which questions are worth a reader's time: places where the opposite answer would change more than a border.

Candidates are where the model's map and the guidance network's own opinion, which learnt from other scans, make an
error likely away from the surface. For each the network is asked what the mask would become if the reader said the
opposite. They are ranked by the volume to be expected: how much changes, times the chance that it is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit

from mtctl.geometry import Map, Mask, Triple
from mtctl.guidance.guided_mask import GuidedMask
from mtctl.guidance.refinement import Refiner
from mtctl.networks.distance_map import signed_distance_mm
from mtctl.review.answers import Answer, Side

#: What a question is about: everything within this distance of its place, mm.
PLACE_MM = 12.0

#: Nearer to the surface than this no two experts agree: the border's own width, mm.
BORDER_MM = 2.0

#: Candidates looked into, so far apart (mm), and questions asked at most.
_CANDIDATES = 16
_APART_MM = 9.0
MOST_QUESTIONS = 10

#: A question from which less is to be expected than this is not worth asking, mL.
LEAST_EXPECTED_ML = 0.05

#: A candidate this far from all that an answer touched is as it was, mm: what the network changes for one click lies
#: within some 30 mm of it.
_UNTOUCHED_MM = 25.0

#: Candidates are looked for in error likelihood smoothed so far, mm.
_SMOOTHING_MM = 3.0


@dataclass(frozen=True)
class ChanceModel:
    """The chance that a reader says "change", a logistic function of what is known of a question.

    Attributes:
        weights: Of the mean likelihood of error over what would change by the model's map, the same by the network's
            opinion, the logarithm of the mL that change, and the largest depth of the change in mm.
        offset: Its value at 0.
    """

    weights: tuple[float, float, float, float] = (3.0, 3.0, 0.3, 0.1)
    offset: float = -2.5

    def chance(self, features: NDArray[np.float64]) -> float:
        """Return the chance for the features of one question (`Question.features`)."""
        return float(expit(self.offset + np.dot(self.weights, features)))


@dataclass(frozen=True)
class Question:
    """A place where a reader is asked whether the mask is right.

    Attributes:
        place: LPS mm: in the middle of what would change.
        click: LPS mm: where the opposite answer is given.
        side: What the opposite answer says of that click.
        changed: Flat indices of the voxels of the network's grid that would change side.
        change_ml: How much would change, more than 0; added where `side` is "inside".
        chance: Likelihood that the opposite is right.
        features: What the chance was worked out from.
    """

    place: Triple
    click: Triple
    side: Side
    changed: NDArray[np.int64]
    change_ml: float
    chance: float
    features: tuple[float, ...]

    @property
    def answer(self) -> Answer:
        """The opposite answer."""
        return Answer((self.click,), self.side)

    @property
    def expected_ml(self) -> float:
        """Volume of error that it is expected to mend."""
        return self.chance * self.change_ml


@dataclass(frozen=True)
class Inquiry:
    """What was looked into about a mask.

    Attributes:
        state: The mask.
        opinion: (z, y, x) probability that the network itself gives.
        candidates: All places looked into, by the voxel (z, y, x) of the click; None: nothing would change there.
    """

    state: GuidedMask
    opinion: Map
    candidates: Mapping[tuple[int, ...], Question | None]

    @property
    def questions(self) -> tuple[Question, ...]:
        """The questions worth asking, most to be expected first; none: nothing is worth asking."""
        return worth_asking([question for question in self.candidates.values() if question])


@dataclass(frozen=True)
class QuestionFinder:
    """Finds the questions about a mask."""

    refiner: Refiner
    chances: ChanceModel

    def begin(self, state: GuidedMask) -> Inquiry:
        """Look into a mask."""
        return self._look(state, self.refiner.opinion(state), {})

    def again(self, inquiry: Inquiry, state: GuidedMask) -> Inquiry:
        """Look into a mask after an answer: anew near what it changed, the rest is known."""
        before = inquiry.state
        touched = (before.probability != state.probability) | (before.settled != state.settled)
        if not touched.any():
            return inquiry
        opinion = self.refiner.opinion_near(state, touched, inquiry.opinion)
        voxels = np.argwhere(touched)
        low, high = voxels.min(axis=0), voxels.max(axis=0)
        known = {
            click: question
            for click, question in inquiry.candidates.items()
            if _outside_mm(click, low, high, state.voxel_mm) > _UNTOUCHED_MM
        }
        return self._look(state, opinion, known)

    def _look(
        self, state: GuidedMask, opinion: Map, known: Mapping[tuple[int, ...], Question | None]
    ) -> Inquiry:  # fmt: skip
        depth = signed_distance_mm(state.mask, state.voxel_mm)
        by_model, by_network = _error(state.probability, state.mask), _error(opinion, state.mask)
        clicks = candidate_clicks((by_model + by_network) * np.float32(0.5), depth, state)
        new = [click for click in clicks if click not in known]
        answers = [Answer((_place(state, click),), "outside" if state.mask[click] else "inside") for click in new]
        changes = dict(zip(new, self.refiner.answered_each(state, answers), strict=True))
        candidates: dict[tuple[int, ...], Question | None] = {}
        for click, answer in zip(new, answers, strict=True):
            candidates[click] = self._question(state, answer, changes[click], depth, by_model, by_network)
        return Inquiry(state, opinion, {click: candidates.get(click, known.get(click)) for click in clicks})

    def _question(
        self, state: GuidedMask, answer: Answer, after: GuidedMask, depth: Map, by_model: Map, by_network: Map
    ) -> Question | None:
        """Return the question about one candidate; None where nothing beyond the border would change."""
        changed = after.mask != state.mask
        deep = changed & (np.abs(depth) > BORDER_MM)
        if not deep.any():
            return None
        ml = float(changed.sum()) * state.grid.voxel_ml
        features = (
            float(by_model[changed].mean()),
            float(by_network[changed].mean()),
            float(np.log(ml)),
            float(np.abs(depth[changed]).max()),
        )
        return Question(
            _place(state, np.argwhere(deep).mean(axis=0)),
            answer.clicks[0],
            answer.side,
            np.flatnonzero(changed),
            ml,
            self.chances.chance(np.array(features)),
            features,
        )


def worth_asking(candidates: Sequence[Question]) -> tuple[Question, ...]:
    """Return the questions to ask, most to be expected first; of two that change much the same, the first."""
    chosen: list[Question] = []
    for question in sorted(candidates, key=lambda one: -one.expected_ml):
        if len(chosen) == MOST_QUESTIONS or question.expected_ml < LEAST_EXPECTED_ML:
            break
        if not any(_apart_mm(question, other) < _APART_MM for other in chosen):
            chosen.append(question)
    return tuple(chosen)


def candidate_clicks(error: Map, depth: Map, state: GuidedMask) -> list[tuple[int, ...]]:
    """Return voxels (z, y, x) where an error beyond the border is likeliest, likeliest first.

    Args:
        error: (z, y, x) likelihood that a voxel is wrong.
        depth: (z, y, x) signed distance to the mask's surface, mm.
        state: The mask.
    """
    voxel = np.array(state.voxel_mm)
    likely = np.where((np.abs(depth) > 0.75 * BORDER_MM) & ~state.settled, error, 0)
    smooth = ndimage.gaussian_filter(likely, _SMOOTHING_MM / voxel)
    reach = np.ceil(_APART_MM / voxel).astype(int)
    near = np.ceil(4.0 / voxel).astype(int)
    clicks: list[tuple[int, ...]] = []
    while len(clicks) < _CANDIDATES:
        peak = np.array(np.unravel_index(int(smooth.argmax()), smooth.shape))
        if smooth[tuple(peak)] < 0.01:
            break
        box = tuple(slice(max(0, a - n), a + n + 1) for a, n in zip(peak, near, strict=True))
        best = np.unravel_index(int(likely[box].argmax()), likely[box].shape)
        clicks.append(tuple(part.start + int(at) for part, at in zip(box, best, strict=True)))
        smooth[tuple(slice(max(0, a - n), a + n + 1) for a, n in zip(peak, reach, strict=True))] = 0
    return clicks


def _error(probability: Map, mask: Mask) -> Map:
    return np.where(mask, 1 - probability, probability).astype(np.float32)


def _place(state: GuidedMask, index: Sequence[int] | NDArray[np.floating]) -> Triple:
    x, y, z = state.grid.index_to_physical(np.asarray(index, float)[::-1]).tolist()
    return x, y, z


def _outside_mm(click: Sequence[int], low: NDArray[np.int64], high: NDArray[np.int64], voxel_mm: Triple) -> float:
    """Return how far a voxel lies outside a box of voxels, mm; 0 within it."""
    at = np.array(click)
    return float(np.linalg.norm(np.maximum(np.maximum(low - at, at - high), 0) * np.array(voxel_mm)))


def _apart_mm(one: Question, other: Question) -> float:
    return float(np.linalg.norm(np.array(one.place) - np.array(other.place)))
