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
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mtctl.evaluation.review_curve import READERS, WORTH_ML, ReviewCurve, mean_figures, unanswered
from mtctl.evaluation.review_table import review_table
from mtctl.evaluation.simulated_review import learnt_note
from mtctl.guidance.network import find_guidance
from mtctl.guidance.questions import BORDER_MM
from mtctl.guidance.simulated_reader import SimulatedReader
from mtctl.inference.segmenter import Segmenter
from mtctl.io.labelled import load_labelled
from mtctl.models.model import find_model
from mtctl.networks.device import choose_device
from mtctl.synthetic.corruptions import KINDS, corrupted

#: Of `--corrupt`, the strongest.
SEVERITY = 3


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
    curves: dict[str, list[ReviewCurve]] = {reader: [] for reader in READERS}
    for number, name in enumerate(names):
        case = load_labelled(args.data, name)
        if args.corrupt:
            case = corrupted(case, args.corrupt, SEVERITY, number)
        prediction = segmenter.predict(case.volume)
        probability = prediction.on_source("probability").array
        began = unanswered(case.volume, probability, prediction.segmentation, guidance.grid_mm)
        for reader, walk in READERS.items():
            simulated = SimulatedReader(case.mask, case.volume.geometry, np.random.default_rng(number))
            curves[reader].append(walk(began, finder, simulated, max(counts)))
            figures = curves[reader][-1].figures
            print(f"{name} {reader}: Dice " + " ".join(f"{100 * f.dice:.2f}" for f in figures), flush=True)
    print(f"\n{review_table(curves, counts)}")
    _print_questions(curves["questions"])
    if note := learnt_note(guidance, names):
        print(note)
    if args.json:
        args.json.write_text(json.dumps(_document(curves, counts), indent=1), encoding="utf-8")
    return 0


def _print_questions(curves: Sequence[ReviewCurve]) -> None:
    asked = [curve.asked for curve in curves]
    hits = [hit for curve in curves for hit in curve.hits]
    seconds = [second for curve in curves for second in curve.seconds]
    again = [second for curve in curves for second in curve.seconds_again]
    print(f"questions a case: median {np.median(asked):g}, most {max(asked)}")
    if hits:
        error = f"an error of more than {WORTH_ML:g} mL beyond {BORDER_MM:g} mm"
        print(f"of the first three questions {np.mean(hits):.0%} hold {error}")
    if seconds:
        print(f"seconds an answer: median {np.median(seconds):.2f}, longest {max(seconds):.2f}; "
              f"the list again: median {np.median(again):.2f}, longest {max(again):.2f}")  # fmt: skip


def _document(
    curves: Mapping[str, Sequence[ReviewCurve]], counts: Sequence[int]
) -> dict[str, dict[str, dict[str, float]]]:
    return {
        reader: {str(count): asdict(mean_figures(cases, count)) for count in counts} for reader, cases in curves.items()
    }


if __name__ == "__main__":
    raise SystemExit(main())
