"""What do answers bring? A simulated reader answers questions about each case; Dice, HD95 and far errors by answers.

    python Testing/benchmarks/questions.py --data DIR [--model ID|FOLDER] [--guidance FOLDER] [--cases FILE]
        [--answers 0,1,2,3,5,10] [--corrupt KIND] [--json FILE]

DIR holds <case>.image.nrrd and <case>.label.nrrd. Three readers, all off by up to 2 mm:
questions    answers our questions in their order: keeps what is right but for a border within 12 mm of the question's
             place, else clicks the thickest error there.
all_knowing  clicks the thickest error of all, the ceiling.
random       does as `questions` does, at random places of the surface.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mtctl.evaluation.segmentation_metrics import segmentation_metrics
from mtctl.geometry import Mask, Triple
from mtctl.guidance.guided_case import GuidedCase
from mtctl.guidance.guided_mask import guided_scan
from mtctl.guidance.network import find_guidance
from mtctl.guidance.questions import PLACE_MM, QuestionFinder
from mtctl.guidance.session import looked_at
from mtctl.guidance.simulated_reader import SimulatedReader
from mtctl.inference.segmenter import Segmenter
from mtctl.io.labelled import LabelledVolume, load_labelled
from mtctl.models.model import find_model
from mtctl.networks.device import choose_device
from mtctl.networks.distance_map import signed_distance_mm
from mtctl.review.places import near
from mtctl.synthetic.corruptions import KINDS, corrupted

#: Errors nearer to the true surface than this are the border's, mm.
FAR_MM = 2.0

#: Of `--corrupt`, the strongest.
SEVERITY = 3


@dataclass(frozen=True)
class AnsweredFigures:
    """One mask against the truth; wrong volume farther than 2 mm from the true surface in mL."""

    dice: float
    hd95_mm: float
    beyond_2mm_ml: float


@dataclass(frozen=True)
class Way:
    """What one reader did with one case.

    Attributes:
        figures: By number of answers, from none on.
        asked: Number of questions at first.
        hits: Of the first three questions, how many hold an error of more than 0.1 mL beyond 2 mm.
        seconds: For each answer.
        seconds_again: For each new list of questions.
    """

    figures: tuple[AnsweredFigures, ...]
    asked: int = 0
    hits: tuple[bool, ...] = ()
    seconds: tuple[float, ...] = ()
    seconds_again: tuple[float, ...] = ()


def main() -> int:
    """Run the readers over all cases and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--guidance", type=Path, help="folder of a guidance network (default: the shipped one)")
    parser.add_argument("--cases", type=Path, help="file of case names (default: all of the folder)")
    parser.add_argument("--answers", default="0,1,2,3,5,10")
    parser.add_argument("--corrupt", choices=KINDS, help="change every scan so first")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    counts = sorted({int(text) for text in args.answers.split(",")})
    names = (
        args.cases.read_text(encoding="utf-8").split()
        if args.cases
        else sorted(path.name.removesuffix(".image.nrrd") for path in args.data.glob("*.image.nrrd"))
    )
    device = choose_device(args.device)
    segmenter = Segmenter(find_model(args.model), device)
    guidance = find_guidance(args.guidance)
    finder = guidance.finder(device)
    ways: dict[str, list[Way]] = {"questions": [], "all_knowing": [], "random": []}
    for number, name in enumerate(names):
        case = load_labelled(args.data, name)
        if args.corrupt:
            case = corrupted(case, args.corrupt, SEVERITY, number)
        began = _begin(segmenter, case, guidance.grid_mm)
        for reader, walk in (("questions", _questions), ("all_knowing", _all_knowing), ("random", _random)):
            simulated = SimulatedReader(case.mask, case.volume.geometry, np.random.default_rng(number))
            ways[reader].append(walk(began, finder, simulated, counts))
            way = ways[reader][-1]
            print(f"{name} {reader}: Dice " + " ".join(f"{100 * f.dice:.2f}" for f in way.figures), flush=True)
    _print(ways, counts)
    if args.json:
        args.json.write_text(json.dumps(_document(ways, counts), indent=1), encoding="utf-8")
    return 0


def _begin(segmenter: Segmenter, case: LabelledVolume, grid_mm: Triple) -> GuidedCase:
    prediction = segmenter.predict(case.volume)
    probability = prediction.on_source("probability").array
    box = looked_at(prediction.segmentation, case.volume.geometry)
    scan = guided_scan(case.volume, probability, grid_mm, box)
    return GuidedCase.begin(scan, prediction.segmentation)


def _questions(case: GuidedCase, finder: QuestionFinder, reader: SimulatedReader, counts: Sequence[int]) -> Way:
    figures, seconds, again = [_figures(case, reader)], [], []
    inquiry = finder.begin(case.guided)
    asked = len(inquiry.questions)
    hits = tuple(_holds_error(case, reader, question.place) for question in inquiry.questions[:3])
    for _ in range(max(counts)):
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
    return Way(_filled(figures, counts), asked, hits, tuple(seconds), tuple(again))


def _all_knowing(case: GuidedCase, finder: QuestionFinder, reader: SimulatedReader, counts: Sequence[int]) -> Way:
    figures = [_figures(case, reader)]
    for _ in range(max(counts)):
        answer = reader.anywhere(case.mask)
        if answer is None:
            break
        case = case.answered(finder.refiner, answer)
        figures.append(_figures(case, reader))
    return Way(_filled(figures, counts))


def _random(case: GuidedCase, finder: QuestionFinder, reader: SimulatedReader, counts: Sequence[int]) -> Way:
    figures = [_figures(case, reader)]
    for _ in range(max(counts)):
        answer = reader.at_place(case.mask, reader.random_place(case.mask), PLACE_MM)
        if answer is not None:
            case = case.answered(finder.refiner, answer)
        figures.append(_figures(case, reader))
    return Way(_filled(figures, counts))


def _filled(figures: Sequence[AnsweredFigures], counts: Sequence[int]) -> tuple[AnsweredFigures, ...]:
    """Return figures for every number of answers: where nothing more is asked, they stay."""
    return (*figures, *[figures[-1]] * (max(counts) + 1 - len(figures)))


def _figures(case: GuidedCase, reader: SimulatedReader) -> AnsweredFigures:
    x, y, z = case.geometry.spacing
    metrics = segmentation_metrics(case.mask, reader.truth, (z, y, x))
    return AnsweredFigures(metrics.dice, metrics.hd95_mm, _far_ml(case.mask != reader.truth, reader))


def _far_ml(wrong: Mask, reader: SimulatedReader) -> float:
    x, y, z = reader.geometry.spacing
    far = np.abs(signed_distance_mm(reader.truth, (z, y, x))) > FAR_MM
    return float(np.count_nonzero(wrong & far)) * reader.geometry.voxel_ml


def _holds_error(case: GuidedCase, reader: SimulatedReader, place: tuple[float, float, float]) -> bool:
    return _far_ml((case.mask != reader.truth) & near((place,), PLACE_MM, case.geometry), reader) > 0.1


def _print(ways: dict[str, list[Way]], counts: Sequence[int]) -> None:
    print(f"\n{'reader':12} answers   Dice  gain  HD95 mm  beyond 2 mm, mL")
    for reader, cases in ways.items():
        start = _mean(cases, 0)
        for count in counts:
            mean = _mean(cases, count)
            print(
                f"{reader:12} {count:7d} {100 * mean.dice:6.2f} {100 * (mean.dice - start.dice):5.2f} "
                f"{mean.hd95_mm:8.2f} {mean.beyond_2mm_ml:7.2f}"
            )
    asked = [way.asked for way in ways["questions"]]
    hits = [hit for way in ways["questions"] for hit in way.hits]
    seconds = [second for way in ways["questions"] for second in way.seconds]
    again = [second for way in ways["questions"] for second in way.seconds_again]
    print(f"questions a case: median {np.median(asked):g}, most {max(asked)}")
    if hits:
        print(
            f"of the first three questions {np.mean(hits):.0%} hold an error of more than 0.1 mL beyond {FAR_MM:g} mm"
        )
    if seconds:
        print(f"seconds an answer: median {np.median(seconds):.2f}, longest {max(seconds):.2f}; "
              f"the list again: median {np.median(again):.2f}, longest {max(again):.2f}")  # fmt: skip


def _mean(ways: Sequence[Way], count: int) -> AnsweredFigures:
    rows = [list(asdict(way.figures[count]).values()) for way in ways]
    return AnsweredFigures(*np.mean(rows, axis=0).tolist())


def _document(ways: dict[str, list[Way]], counts: Sequence[int]) -> dict[str, dict[str, dict[str, float]]]:
    return {
        reader: {str(count): asdict(_mean(cases, count)) for count in counts} for reader, cases in ways.items()
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
