"""Which questions are worth a reader's time: places where an error of more than a border's width is likely.

A voxel's error is likely where both the model's map and the guidance network's own opinion, which learnt from other
scans, doubt the mask. Candidates are where most volume is likely wrong close together; for each the network is asked
what the mask would become if the reader said the opposite. Dropped is a question whose opposite answer would change no
more than a border. Of what one click each can mend, on cases 57-66 of the benchmark's training list with the guidance
network 2026.11.29, the five likeliest places hold 84 % of what the five thickest errors hold; by the model's map alone,
or without the border, it is less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import expit

from mtctl.geometry import Map, Mask, Triple
from mtctl.guidance.channels import WINDOW
from mtctl.guidance.guided_mask import GuidedMask
from mtctl.guidance.refinement import REACH_MM, Refiner
from mtctl.networks.distance_map import signed_distance_mm
from mtctl.review.answers import Answer, Side
from mtctl.uncertainty.convolution import convolved_within

#: What a question is about: everything within this distance of its place, mm.
PLACE_MM = 12.0

#: Nearer to the surface than this no two experts agree: the border's own width, mm.
BORDER_MM = 2.0

#: Questions asked at most, and how far their places are apart at least, mm.
MOST_QUESTIONS = 10
_APART_MM = 12.0

#: Errors so close together are one question's, mm.
_TOGETHER_MM = 8.0

#: Around the place with most likely error the click goes to the likeliest voxel within this distance, mm.
_CLICK_MM = 5.0

#: Where less volume than this is likely wrong, nothing is looked into, mL: the doubt of a sharp border alone comes to
#: 0.03 to 0.05.
_LEAST_EXPECTED_ML = 0.06

#: A change of more counts as this much, mL: that the network would change more is no sign that an answer mends more.
_MOST_CHANGE_ML = 1.0

#: Patience falls: the first question has to be worth this much, mL, the second twice, the tenth ten times as much. On
#: cases 37-66 of the benchmark's training list that leaves 4 to 8 questions a case, 5 in the median (guidance network
#: 2026.11.29.2, which had learnt cases 37-56).
LEAST_WORTH_ML = 0.05


@dataclass(frozen=True)
class ChanceModel:
    """The chance that a place holds an error that a reader would mend, a logistic function of the volume expected.

    Fitted by `mtctl models guidance` on cases that neither the model nor the network has learnt.

    Attributes:
        slope: Of the logarithm of the expected volume, mL.
        offset: Value at 1 mL.
    """

    slope: float = 1.0
    offset: float = 2.0

    def chance(self, expected_ml: float) -> float:
        """Return the chance."""
        return float(expit(self.offset + self.slope * np.log(max(expected_ml, 1e-6))))


@dataclass(frozen=True)
class Question:
    """A place where a reader is asked whether the mask is right.

    Attributes:
        place: LPS mm: in the middle of what would change.
        click: LPS mm: where the opposite answer is given.
        side: What the opposite answer says of that click.
        voxels: Flat indices of the voxels of the network's grid whose probability would change.
        probability: What it would be there.
        change_ml: How much would change, more than 0; added where `side` is "inside".
        expected_ml: Volume that is likely wrong close to the place.
        chance: Likelihood that the reader finds an error there.
    """

    place: Triple
    click: Triple
    side: Side
    voxels: NDArray[np.int64]
    probability: NDArray[np.float32]
    change_ml: float
    expected_ml: float
    chance: float

    @property
    def answer(self) -> Answer:
        """The opposite answer."""
        return Answer((self.click,), self.side)

    @property
    def worth_ml(self) -> float:
        """How much a reader's look at the place is likely to change, mL."""
        return self.chance * min(self.change_ml, _MOST_CHANGE_ML)


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
        """The questions worth asking, in order; none: nothing is worth asking."""
        said_before = len(self.state.answers) + len(self.state.kept)
        return worth_asking([question for question in self.candidates.values() if question], said_before)


@dataclass(frozen=True)
class QuestionFinder:
    """Finds the questions about a mask."""

    refiner: Refiner
    chances: ChanceModel

    def begin(self, state: GuidedMask) -> Inquiry:
        """Look into a mask."""
        return self._look(state, self.refiner.opinion(state), {})

    def again(self, inquiry: Inquiry, state: GuidedMask) -> Inquiry:
        """Look into a mask after an answer: anew near what it changed, the rest is known.

        What a candidate farther than `REACH_MM` from there would change cannot meet it.
        """
        before = inquiry.state
        touched = (before.probability != state.probability) | (before.settled != state.settled)
        voxels = np.argwhere(touched)
        if not len(voxels):
            return self._look(state, inquiry.opinion, inquiry.candidates)
        # An undo or strokes may touch more than the inner half of what one window shows.
        near = (2 * (np.ptp(voxels, axis=0) + 1) <= WINDOW).all()
        opinion = (
            self.refiner.opinion_near(state, touched, inquiry.opinion) if near else self.refiner.opinion(state)
        )  # fmt: skip
        nearest = cKDTree(voxels * state.voxel_mm)
        known = {
            click: question
            for click, question in inquiry.candidates.items()
            if nearest.query(np.multiply(click, state.voxel_mm))[0] > REACH_MM
        }
        return self._look(state, opinion, known)

    def _look(
        self, state: GuidedMask, opinion: Map, known: Mapping[tuple[int, ...], Question | None]
    ) -> Inquiry:  # fmt: skip
        depth = np.abs(signed_distance_mm(state.mask, state.voxel_mm))
        likely = np.where(state.settled | state.seen(_APART_MM), 0, error_likelihood(state, opinion))
        places = likely_places(likely, state)
        new = [click for click in places if click not in known]
        answers = [Answer((_place(state, click),), "outside" if state.mask[click] else "inside") for click in new]
        candidates = {
            click: self._as_likely(known[click], expected) for click, expected in places.items() if click in known
        }
        for click, answer, after in zip(new, answers, self.refiner.answered_each(state, answers), strict=True):
            candidates[click] = self._question(state, answer, after, depth, places[click])
        return Inquiry(state, opinion, {click: candidates[click] for click in places})

    def _as_likely(self, known: Question | None, expected_ml: float) -> Question | None:
        """Return a question that is known, about a place where now so much is likely wrong."""
        return known and replace(known, expected_ml=expected_ml, chance=self.chances.chance(expected_ml))

    def _question(
        self, state: GuidedMask, answer: Answer, after: GuidedMask, depth: Map, expected_ml: float
    ) -> Question | None:
        """Return the question about one candidate; None where nothing beyond the border would change."""
        changed = after.mask != state.mask
        if not (changed & (depth > BORDER_MM)).any():
            return None
        voxels = np.flatnonzero(after.probability != state.probability)
        return Question(
            place=answer.clicks[0],
            click=answer.clicks[0],
            side=answer.side,
            voxels=voxels,
            probability=after.probability.reshape(-1)[voxels],
            change_ml=float(changed.sum()) * state.grid.voxel_ml,
            expected_ml=expected_ml,
            chance=self.chances.chance(expected_ml),
        )


def worth_asking(candidates: Sequence[Question], said_before: int) -> tuple[Question, ...]:
    """Return the questions to ask, by falling worth, as long as each is worth its number times `LEAST_WORTH_ML`.

    A list that ended where less than 0.115 mL was likely wrong had 2 to 8 questions, this one has 4 to 6 and brings as
    much after five answers (cases 57-66 of the benchmark's training list, guidance network 2026.11.29.2).

    Args:
        candidates: Questions about places that nobody has settled.
        said_before: How many places a reader has answered, clicked or kept already; they count as asked.
    """
    ordered = sorted(candidates, key=lambda question: -question.worth_ml)[: max(0, MOST_QUESTIONS - said_before)]
    numbered = enumerate(ordered, said_before + 1)
    return tuple(question for _, question in takewhile(_is_worth_its_number, numbered))


def _is_worth_its_number(numbered: tuple[int, Question]) -> bool:
    number, question = numbered
    return question.worth_ml >= number * LEAST_WORTH_ML


def error_likelihood(state: GuidedMask, opinion: Map) -> Map:
    """Return for each voxel (z, y, x) how likely it is wrong: the model's chance of it times the network's.

    Args:
        state: The mask, with the model's probability.
        opinion: (z, y, x) probability that the network itself gives.
    """
    return _error(state.probability, state.mask) * _error(opinion, state.mask)


def likely_places(likely: Map, state: GuidedMask) -> dict[tuple[int, ...], float]:
    """Return voxels (z, y, x) around which most volume is likely wrong, most first, with that volume in mL.

    Args:
        likely: (z, y, x) likelihood that a voxel is wrong, 0 where all is settled or seen.
        state: The mask.
    """
    voxel = np.array(state.voxel_mm)
    # As a product of spectra: the ball has 550 voxels.
    volume = convolved_within(likely, _ball(_TOGETHER_MM, state.voxel_mm)) * state.grid.voxel_ml
    reach = np.ceil(_APART_MM / voxel).astype(int)
    near = np.ceil(_CLICK_MM / voxel).astype(int)
    score = np.maximum(volume, 0)
    places: dict[tuple[int, ...], float] = {}
    for _ in range(MOST_QUESTIONS):
        peak = np.array(np.unravel_index(int(score.argmax()), score.shape))
        expected = float(score[tuple(peak)])
        if expected < _LEAST_EXPECTED_ML:
            break
        box = tuple(slice(max(0, a - n), a + n + 1) for a, n in zip(peak, near, strict=True))
        best = np.unravel_index(int(likely[box].argmax()), likely[box].shape)
        places[tuple(part.start + int(at) for part, at in zip(box, best, strict=True))] = expected
        score[tuple(slice(max(0, a - n), a + n + 1) for a, n in zip(peak, reach, strict=True))] = 0
    return places


def _ball(mm: float, voxel_mm: Triple) -> Map:
    """Return a ball of ones (z, y, x)."""
    z, y, x = (np.arange(-int(mm / step), int(mm / step) + 1) * step for step in voxel_mm)
    return (z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= mm**2).astype(np.float32)


def _error(probability: Map, mask: Mask) -> Map:
    return np.where(mask, 1 - probability, probability).astype(np.float32)


def _place(state: GuidedMask, index: Sequence[int] | NDArray[np.floating]) -> Triple:
    x, y, z = state.grid.index_to_physical(np.asarray(index, float)[::-1]).tolist()
    return x, y, z
