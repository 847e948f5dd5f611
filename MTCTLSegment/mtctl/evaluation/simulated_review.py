"""Let a simulated reader answer the questions about compared cases, and say what that brings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mtctl.errors import counted
from mtctl.evaluation.case_files import ComparedCase
from mtctl.evaluation.review_curve import ReviewCurve, by_questions, unanswered
from mtctl.evaluation.review_table import ANSWERS, review_table
from mtctl.geometry import Triple
from mtctl.guidance.network import Guidance, find_guidance
from mtctl.guidance.questions import QuestionFinder
from mtctl.guidance.simulated_reader import SimulatedReader
from mtctl.models.card import ModelError
from mtctl.networks.device import choose_device


@dataclass
class SimulatedReview:
    """The review of the cases of one folder of results.

    Attributes:
        model_grid_mm: Grid (x, y, z) of the model that made the results, mm; None: nobody knows.
        curves: Of the cases that were reviewed.
        names: Theirs.
    """

    model_grid_mm: Triple | None
    curves: list[ReviewCurve] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def review(self, name: str, case: ComparedCase) -> None:
        """Let the reader answer about a case that has a scan and a probability; leave out any other."""
        if case.scan is None or case.likely is None or not case.prediction.any() or self.problem:
            return
        assert self._guidance is not None
        began = unanswered(case.scan, case.likely, case.prediction, self._guidance.grid_mm)
        reader = SimulatedReader(case.truth, case.geometry, np.random.default_rng(len(self.curves)))
        self.curves.append(by_questions(began, self._finder, reader, max(ANSWERS)))
        self.names.append(name)

    @property
    def problem(self) -> str:
        """Why nothing can be asked, in a sentence, or ""."""
        if self._guidance is None:
            return "no guidance network came with this program; install it again"
        if self.model_grid_mm is not None and not np.allclose(self.model_grid_mm, self._guidance.grid_mm):
            grids = self.model_grid_mm, self._guidance.grid_mm
            theirs, ours = (" x ".join(f"{mm:g}" for mm in grid) for grid in grids)
            return f"the model works on voxels of {theirs} mm, the guidance network on {ours} mm; there is none for it"
        return ""

    def text(self) -> str:
        """Return the table, or why there is none."""
        if self.problem:
            return f"No questions can be asked: {self.problem}."
        if not self.curves:
            return (
                "No questions were asked: that needs <stem>.image.nrrd beside the expert mask, and beside the result "
                "<stem>.probability.nrrd or the entropy that mtctl segment writes."
            )
        assert self._guidance is not None
        note = learnt_note(self._guidance, self.names)
        title = f"Answers of a simulated reader to our questions, mean of {counted(len(self.curves), 'case')}"
        return "\n".join([title, review_table({"questions": self.curves}, ANSWERS), *([note] if note else [])])

    @cached_property
    def _guidance(self) -> Guidance | None:
        try:
            return find_guidance()
        except ModelError:
            return None

    @cached_property
    def _finder(self) -> QuestionFinder:
        assert self._guidance is not None
        return self._guidance.finder(choose_device("auto"))


def learnt_note(guidance: Guidance, names: Collection[str]) -> str:
    """Return a sentence that says of how many cases the guidance network knew the truth; "" where it knew none."""
    known = guidance.card.known_cases & {*names}
    if not known:
        return ""
    return f"The guidance network knew the truth of {len(known)} of {counted(len(names), 'case')}: this is too good."
