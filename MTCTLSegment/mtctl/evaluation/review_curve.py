"""What answers bring: readers who know the truth answer about a case, and its mask is compared after each answer.

Three readers, all off by up to 2 mm (`guidance.simulated_reader`):

questions    answers our questions in their order: keeps what is right but for a border within 12 mm of the question's
             place, else clicks the thickest error there.
all_knowing  clicks the thickest error of all, the ceiling.
random       does as `questions` does, at random places of the surface.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from mtctl.evaluation.segmentation_metrics import segmentation_metrics
from mtctl.geometry import Map, Mask, Triple, Volume
from mtctl.guidance.guided_case import GuidedCase
from mtctl.guidance.guided_mask import guided_scan
from mtctl.guidance.questions import BORDER_MM, PLACE_MM, QuestionFinder
from mtctl.guidance.session import looked_at
from mtctl.guidance.simulated_reader import SimulatedReader
from mtctl.networks.distance_map import signed_distance_mm
from mtctl.review.places import near

#: A place with more wrong volume than that beyond BORDER_MM is worth a question, mL.
WORTH_ML = 0.1


@dataclass(frozen=True)
class AnsweredFigures:
    """One mask against the truth; wrong volume farther than 2 mm from the true surface in mL."""

    dice: float
    hd95_mm: float
    beyond_2mm_ml: float


@dataclass(frozen=True)
class ReviewCurve:
    """What one reader did with one case.

    Attributes:
        figures: By number of answers, from none on.
        asked: Number of questions at first.
        hits: Of the first three questions, how many hold an error of more than WORTH_ML beyond BORDER_MM.
        seconds: For each answer.
        seconds_again: For each new list of questions.
    """

    figures: tuple[AnsweredFigures, ...]
    asked: int = 0
    hits: tuple[bool, ...] = ()
    seconds: tuple[float, ...] = ()
    seconds_again: tuple[float, ...] = ()


#: Lets a reader answer about a case, so often at most.
Walk = Callable[[GuidedCase, QuestionFinder, SimulatedReader, int], ReviewCurve]


def unanswered(scan: Volume, probability: Map, segmentation: Mask, grid_mm: Triple) -> GuidedCase:
    """Return a case before any answer.

    Args:
        scan: The scan.
        probability: The model's map of it, (z, y, x).
        segmentation: The model's mask, (z, y, x).
        grid_mm: Size (x, y, z) of the guidance network's voxels, mm.
    """
    box = looked_at(segmentation, scan.geometry)
    return GuidedCase.begin(guided_scan(scan, probability, grid_mm, box), segmentation)


def by_questions(case: GuidedCase, finder: QuestionFinder, reader: SimulatedReader, most: int) -> ReviewCurve:
    """Let a reader answer our questions, `most` at most."""
    figures, seconds, again = [_figures(case, reader)], [], []
    inquiry = finder.begin(case.guided)
    asked = len(inquiry.questions)
    hits = tuple(_holds_error(case, reader, question.place) for question in inquiry.questions[:3])
    for _ in range(most):
        if not inquiry.questions:
            break
        question = inquiry.questions[0]
        answer = reader.at_place(case.mask, question.place, PLACE_MM)
        began = time.perf_counter()
        case = case.kept(question.click) if answer is None else case.answered(finder.refiner, answer)
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
        inquiry = finder.again(inquiry, case.guided)
        again.append(time.perf_counter() - began)
        figures.append(_figures(case, reader))
    return ReviewCurve(_filled(figures, most), asked, hits, tuple(seconds), tuple(again))


def by_all_knowing(case: GuidedCase, finder: QuestionFinder, reader: SimulatedReader, most: int) -> ReviewCurve:
    """Let a reader click the thickest errors of all, `most` at most."""
    figures = [_figures(case, reader)]
    for _ in range(most):
        answer = reader.anywhere(case.mask)
        if answer is None:
            break
        case = case.answered(finder.refiner, answer)
        figures.append(_figures(case, reader))
    return ReviewCurve(_filled(figures, most))


def by_chance(case: GuidedCase, finder: QuestionFinder, reader: SimulatedReader, most: int) -> ReviewCurve:
    """Let a reader look at `most` random places of the surface."""
    figures = [_figures(case, reader)]
    for _ in range(most):
        answer = reader.at_place(case.mask, reader.random_place(case.mask), PLACE_MM)
        if answer is not None:
            case = case.answered(finder.refiner, answer)
        figures.append(_figures(case, reader))
    return ReviewCurve(_filled(figures, most))


#: The readers, by name.
READERS: Mapping[str, Walk] = {"questions": by_questions, "all_knowing": by_all_knowing, "random": by_chance}


def mean_figures(curves: Sequence[ReviewCurve], answers: int) -> AnsweredFigures:
    """Return the mean figures of several cases after so many answers."""
    rows = [list(asdict(curve.figures[answers]).values()) for curve in curves]
    return AnsweredFigures(*np.mean(rows, axis=0).tolist())


def _filled(figures: Sequence[AnsweredFigures], most: int) -> tuple[AnsweredFigures, ...]:
    """Return figures for every number of answers: where nothing more is asked, they stay."""
    return (*figures, *[figures[-1]] * (most + 1 - len(figures)))


def _figures(case: GuidedCase, reader: SimulatedReader) -> AnsweredFigures:
    x, y, z = case.geometry.spacing
    metrics = segmentation_metrics(case.mask, reader.truth, (z, y, x))
    return AnsweredFigures(metrics.dice, metrics.hd95_mm, far_ml(case.mask != reader.truth, reader))


def far_ml(wrong: Mask, reader: SimulatedReader) -> float:
    """Return how much of what is wrong (z, y, x) lies farther than BORDER_MM from the true surface, mL."""
    x, y, z = reader.geometry.spacing
    far = np.abs(signed_distance_mm(reader.truth, (z, y, x))) > BORDER_MM
    return float(np.count_nonzero(wrong & far)) * reader.geometry.voxel_ml


def _holds_error(case: GuidedCase, reader: SimulatedReader, place: Triple) -> bool:
    return far_ml((case.mask != reader.truth) & near((place,), PLACE_MM, case.geometry), reader) > WORTH_ML
