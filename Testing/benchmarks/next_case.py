"""Is it worth taking the next case by its case score? Against cases in any order, on real scans.

    python Testing/benchmarks/next_case.py [--model mtctl-la16] [--names 31-66]

Every scan of the span of `train.list` below $MTCTL_SHARED/data/la2018, none of which the model may have seen, is
predicted once. Printed for the first k cases in the order of `mtctl.cases.ranking`: their mean Dice and the error
volume that correcting them would mend, against k cases drawn at random (mean and 95 % of the draws) and against the
order that only the truth knows. It does not measure what a model learns from them: that takes a training for each.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from mtctl.evaluation.segmentation_metrics import dice
from mtctl.inference.prediction import Options
from mtctl.inference.report import make_report
from mtctl.inference.segmenter import Segmenter
from mtctl.io.volumes import read_mask, read_volume
from mtctl.models.model import find_model
from mtctl.networks.device import choose_device

SHARED = Path(os.environ.get("MTCTL_SHARED", Path(__file__).resolve().parents[2].parent / "shared")) / "data/la2018"
DRAWS = 10000


@dataclass(frozen=True)
class JudgedScan:
    """A prediction: its case score, true Dice, and how much of it is wrong, mL."""

    name: str
    score: float
    dice: float
    error_ml: float


def judged(segmenter: Segmenter, name: str) -> JudgedScan:
    """Predict a scan and compare."""
    volume = read_volume(SHARED / "train" / f"{name}.image.nrrd")
    truth = read_mask(SHARED / "train" / f"{name}.label.nrrd").array.astype(bool)
    prediction = segmenter.predict(volume)
    report = make_report(prediction, segmenter.model.card, Options(), "entropy", None).report
    wrong = int(np.count_nonzero(prediction.segmentation != truth)) * volume.geometry.voxel_ml
    return JudgedScan(name, float(report["case_score"]), dice(prediction.segmentation, truth), wrong)


def table(cases: list[JudgedScan]) -> str:
    """For the first k cases: what each order would show a person."""
    rng = np.random.default_rng(0)
    errors = np.array([case.error_ml for case in cases])
    by_score = sorted(cases, key=lambda case: (case.score, case.name))
    by_error = sorted(cases, key=lambda case: -case.error_ml)
    heads = (("k", 3), ("Dice by score", 15), ("random", 8), ("mL by score", 13), ("random [95 %]", 26))
    heads += (("truth", 8), ("times random", 14))
    lines = ["".join(f"{head:>{width}}" for head, width in heads)]
    for k in sorted({1, 2, 4, 8, len(cases) // 3, len(cases) // 2} & set(range(1, len(cases)))):
        drawn = np.array([errors[rng.permutation(len(cases))[:k]].sum() for _ in range(DRAWS)])
        low, high = np.percentile(drawn, [2.5, 97.5])
        mine = sum(case.error_ml for case in by_score[:k])
        lines.append(
            f"{k:>3}{100 * np.mean([case.dice for case in by_score[:k]]):>15.2f}"
            f"{100 * np.mean([case.dice for case in cases]):>8.2f}{mine:>13.1f}"
            f"{f'{drawn.mean():.1f} [{low:.1f}, {high:.1f}]':>26}"
            f"{sum(case.error_ml for case in by_error[:k]):>8.1f}{mine / drawn.mean():>14.2f}"
        )
    return "\n".join(lines)


def main() -> int:
    """Predict and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mtctl-la16", help="id or folder (%(default)s)")
    parser.add_argument("--names", default="31-66", help="span of train.list (%(default)s)")
    args = parser.parse_args()
    if not SHARED.is_dir():
        parser.error(f"{SHARED} is missing: set MTCTL_SHARED to the folder that holds data/la2018")
    first, last = map(int, args.names.split("-"))
    names = (SHARED / "train.list").read_text(encoding="utf-8").split()[first - 1 : last]
    model = find_model(args.model)
    seen = {name for role in ("labelled", "unlabelled") for name in model.card.data.get(role, ())} & set(names)
    if seen:
        parser.error(f"{args.model} was trained on {sorted(seen)[0]}; choose names that it has not seen")
    segmenter, cases = Segmenter(model, choose_device("auto")), list[JudgedScan]()
    for number, name in enumerate(names, 1):
        cases.append(judged(segmenter, name))
        print(f"\rpredicting: {number} of {len(names)}", end="", flush=True)
    scores, dices = [case.score for case in cases], [case.dice for case in cases]
    print(f"\n{args.model} on names {args.names}: rank correlation of case score and Dice "
          f"{stats.spearmanr(scores, dices).statistic:.2f}\n{table(cases)}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
