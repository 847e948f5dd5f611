"""The questions about one case, as a child process keeps them between answers.

The window owns the mask and the record of what was said, and sends both with every request; what is kept here only
saves time. So an undo in the window, a stroke, or a new child process needs nothing of its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mtctl.geometry import Geometry, Mask
from mtctl.guidance.guided_case import GuidedCase
from mtctl.guidance.guided_mask import GuidedScan
from mtctl.guidance.naming import place_name
from mtctl.guidance.questions import Inquiry, Question, QuestionFinder
from mtctl.inference.locator import needs_locating
from mtctl.preprocessing.region_of_interest import Box
from mtctl.review.answers import Answer, Said, ShownQuestion

#: How far beyond the model's mask an atrium may go on, mm: a vein's stump, and what the network sees around it.
_AROUND_MM = 30.0


class QuestionSession:
    """A case under questions."""

    def __init__(self, scan: GuidedScan, original: Mask, finder: QuestionFinder) -> None:
        """Take a case.

        Args:
            scan: The scan and the model's map.
            original: (z, y, x) mask of the model, before any review.
            finder: Finds the questions.
        """
        self._scan, self._original, self._finder = scan, original, finder
        self._case: GuidedCase | None = None
        self._inquiry: Inquiry | None = None
        self._said = Said()

    def answer(self, mask: Mask, said: Said, answer: Answer) -> Mask:
        """Return the mask after an answer.

        Args:
            mask: (z, y, x) on the scan's grid before it.
            said: What was said before it.
            answer: The answer.
        """
        case = self._current(mask, said).answered(self._finder.refiner, answer)
        self._case, self._said = case, replace(said, answers=(*said.answers, answer))
        return case.mask

    def shown(self, mask: Mask, said: Said) -> list[ShownQuestion]:
        """Return the questions worth asking about a mask, most to be expected first.

        Args:
            mask: (z, y, x) on the scan's grid.
            said: What was said so far.
        """
        case = self._current(mask, said)
        if self._inquiry is None:
            self._inquiry = self._finder.begin(case.guided)
        elif self._inquiry.state is not case.guided:
            self._inquiry = self._finder.again(self._inquiry, case.guided)
        return [self._shown(case, question) for question in self._inquiry.questions]

    def _current(self, mask: Mask, said: Said) -> GuidedCase:
        """Return the case as the window has it: as it was left here, or made anew after an undo or a stroke."""
        case = self._case
        if case is not None and np.array_equal(case.mask, mask):
            if said == self._said:
                return case
            if said.answers == self._said.answers and said.kept[: len(self._said.kept)] == self._said.kept:
                for place in said.kept[len(self._said.kept) :]:
                    case = case.kept(place)
                self._case, self._said = case, said
                return case
        self._case = GuidedCase.begin(self._scan, mask, self._original, said.answers, said.kept)
        self._said = said
        return self._case

    def _shown(self, case: GuidedCase, question: Question) -> ShownQuestion:
        after = case.guided.with_probability(question.voxels, question.probability)
        would = case.become(after, question.answer).mask
        voxels = np.flatnonzero(would != case.mask)
        sign = 1 if question.side == "inside" else -1
        ml = sign * len(voxels) * case.geometry.voxel_ml
        name = place_name(case.guided.mask, case.guided.grid, question.place)
        return ShownQuestion(
            name, question.place, question.click, question.side, ml, question.chance, voxels
        )  # fmt: skip


def looked_at(original: Mask, geometry: Geometry) -> Box | None:
    """Return the part of a scan in which questions are looked for: around the model's mask; None: all of it.

    Args:
        original: (z, y, x) mask of the model.
        geometry: The scan's grid.
    """
    if not needs_locating(geometry) or not original.any():
        return None
    return Box.around(original, geometry).expanded(_AROUND_MM).clipped(geometry)
