"""A simulated reviewer: how much Dice is gained by looking at the first uncertain regions of a scan.

    python Testing/benchmarks/review.py [--model mtctl-la16] [--budget 10] [--threshold T]

On names 67-80 of `train.list` below $MTCTL_SHARED/data/la2018 (--first, --last: others). The reviewer takes the regions
of the list from the top, accepts each, and stops before the volume of those that were visited would exceed the budget.
The list is that of a new review, which holds about 10 mL at its default threshold. Two reviewers are simulated:

- exact: an oracle that sets right every voxel of the region, and none outside;
- one click: picks the best of leaving it as it is, add, remove, distance map, and consensus at 0.3 or 0.7.

Printed are mean Dice against the millilitres looked at; for comparison the same oracle with the most uncertain voxels
of the whole scan first, which nobody can look at; the ceiling: every voxel of all listed regions right, and every voxel
that is uncertain at all; and clicks: one to go to each region, one to accept it, and for each that needs correction one
stroke for every connected piece of wrong voxels (exact), or one to propose and one to apply (one click).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.evaluation.segmentation_metrics import dice
from mtctl.geometry import Mask
from mtctl.inference.segmenter import Segmenter
from mtctl.io.volumes import read_mask, read_volume
from mtctl.models.model import find_model
from mtctl.networks.device import choose_device
from mtctl.review.case_maps import CaseMaps, RegionPart
from mtctl.review.proposals import add, consensus, distance_map, remove
from mtctl.review.session import ReviewSession
from mtctl.review.state import RemainingWork, ReviewState
from mtctl.uncertainty.region_search import FLOOR

MARKS_ML = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20)
WANTED, AIM = 2.5, 4.0  # points of Dice

#: The region as a reviewer leaves it, and the clicks that took.
Reviewer = Callable[[CaseMaps, RegionPart, Mask, Mask], tuple[Mask, int]]


@dataclass(frozen=True)
class Reviewed:
    """Dice after each region, first that before any, and the volume looked at by then."""

    ml: NDArray[np.float64]
    dice: NDArray[np.float64]
    clicks: int

    def at(self, ml: float) -> float:
        """Dice when `ml` have been looked at."""
        return float(self.dice[np.searchsorted(self.ml, ml + 1e-9, side="right") - 1])


def exact(maps: CaseMaps, part: RegionPart, current: Mask, truth: Mask) -> tuple[Mask, int]:
    """Every voxel right; a stroke for each piece."""
    before, right = current[part.box], truth[part.box]
    wrong = part.inside & (before != right)
    strokes = sum(ndimage.label(wrong & (right == side), np.ones((3, 3, 3)))[1] for side in (True, False))
    return np.where(part.inside, right, before), strokes


def one_click(maps: CaseMaps, part: RegionPart, current: Mask, truth: Mask) -> tuple[Mask, int]:
    """The best proposal, where one is better than nothing."""
    offers = [current[part.box]]
    offers += [propose(maps, part, current).mask for propose in (add, remove, distance_map)]
    offers += [consensus(maps, part, current, level).mask for level in (0.3, 0.7)]
    best = int(np.argmin([np.count_nonzero(offer != truth[part.box]) for offer in offers]))
    return offers[best], 2 if best else 0


def review(session: ReviewSession, truth: Mask, reviewer: Reviewer, budget_ml: float) -> Reviewed:
    """Let the reviewer go through the list."""
    current = session.maps.segmentation.copy()
    ml, scores, clicks = [0.0], [dice(current, truth)], 0
    for region in session.regions:
        if session.looked_at_ml + region.volume_mm3 / 1000 > budget_ml:
            break
        session.jump(region.id)
        part = session.part(region.id)
        current[part.box], needed = reviewer(session.maps, part, current, truth)
        session.record("oracle", current)
        session.accept_region(region.id)
        clicks += 2 + needed
        ml.append(session.looked_at_ml)
        scores.append(dice(current, truth))
    return Reviewed(np.array(ml), np.array(scores), clicks)


def most_uncertain_first(maps: CaseMaps, truth: Mask, budget_ml: float) -> Reviewed:
    """The oracle with single voxels."""
    before, voxel_ml = maps.segmentation.ravel(), maps.geometry.voxel_ml
    order = np.argsort(-maps.uncertainty.ravel(), kind="stable")[: int(budget_ml / voxel_ml) + 1]
    gone = np.append(0, np.cumsum(before[order] & ~truth.ravel()[order]))
    found = np.append(0, np.cumsum(~before[order] & truth.ravel()[order]))
    twice = 2 * (np.count_nonzero(maps.segmentation & truth) + found)
    total = np.count_nonzero(before) + np.count_nonzero(truth) - gone + found
    return Reviewed(np.arange(len(order) + 1) * voxel_ml, twice / total, 0)


def ceilings(session: ReviewSession, truth: Mask) -> tuple[float, float]:
    """Dice with all listed regions right, and with all that is uncertain at all right."""
    maps = session.maps
    listed = session.all_regions.labels_at(session.state.threshold) > 0
    right = [np.where(seen, truth, maps.segmentation) for seen in (listed, maps.uncertainty >= FLOOR)]
    return dice(right[0], truth), dice(right[1], truth)


@dataclass(frozen=True)
class Case:
    """What the reviewers made of one case."""

    name: str
    threshold: float
    listed: RemainingWork
    exact: Reviewed
    one_click: Reviewed
    voxels: Reviewed
    ceilings: tuple[float, float]

    def line(self) -> str:
        """Of the table below `HEAD`."""
        done, dices = self.exact, (self.exact.dice[0], self.exact.dice[-1], self.one_click.dice[-1])
        return (
            f"{self.name:<25}{self.threshold:>9.2f}{self.listed.regions:>9}{self.listed.ml:>9.1f}{len(done.ml) - 1:>9}"
            f"{done.ml[-1]:>9.1f}" + "".join(f"{100 * value:>9.2f}" for value in dices)
        )


HEAD = f"{'case':<25}" + "".join(
    f"{name:>9}" for name in ("thresh.", "listed", "mL", "visited", "mL", "Dice %", "exact", "1 click")
)


def reviewed(name: str, maps: CaseMaps, truth: Mask, budget_ml: float, threshold: float | None) -> Case:
    """Let both reviewers loose on a case."""
    state = None if threshold is None else ReviewState(threshold)
    session, other = ReviewSession(maps, state), ReviewSession(maps, state)
    return Case(
        name,
        session.state.threshold,
        session.remaining,
        review(session, truth, exact, budget_ml),
        review(other, truth, one_click, budget_ml),
        most_uncertain_first(maps, truth, budget_ml),
        ceilings(session, truth),
    )


def summarise(cases: Sequence[Case], budget_ml: float) -> bool:
    """Print means over the cases; whether the promise is kept."""
    marks = sorted({mark for mark in MARKS_ML if mark < budget_ml} | {budget_ml})
    print(f"\n{'mL looked at':<25}" + "".join(f"{mark:>9g}" for mark in marks))
    curves = {
        "mean Dice %, exact": [case.exact for case in cases],
        "one click": [case.one_click for case in cases],
        "most uncertain voxels": [case.voxels for case in cases],
    }
    for name, curve in curves.items():
        print(f"{name:<25}" + "".join(f"{100 * np.mean([one.at(mark) for one in curve]):>9.2f}" for mark in marks))
    listed, uncertain = 100 * np.mean([case.ceilings for case in cases], axis=0)
    print(f"ceiling: all listed regions right {listed:.2f}, all that is uncertain at all right {uncertain:.2f}")
    visited, ml = np.mean([(len(case.exact.ml) - 1, case.exact.ml[-1]) for case in cases], axis=0)
    clicks, quick = np.mean([(case.exact.clicks, case.one_click.clicks) for case in cases], axis=0)
    print(f"a case: {visited:.1f} regions and {ml:.1f} mL visited; clicks: exact {clicks:.0f}, one click {quick:.0f}")
    gains = [
        100 * float(np.mean([one.dice[-1] - one.dice[0] for one in curve]))
        for curve in (curves["mean Dice %, exact"], curves["one click"])
    ]
    most = max(case.exact.ml[-1] for case in cases)
    print(f"gain in Dice points: one click {gains[1]:+.2f}")
    print(f"gain in Dice points: exact {gains[0]:+.2f} >= {WANTED:g}: {'yes' if gains[0] >= WANTED else 'NO'}")
    print(f"largest volume looked at: {most:.1f} mL <= {budget_ml:g}: {'yes' if most <= budget_ml else 'NO'}")
    print(f"aim: {AIM:g}: {'yes' if gains[0] >= AIM else 'no'}")
    return bool(gains[0] >= WANTED and most <= budget_ml)


def predicted(names: Sequence[str], folder: Path, model: str) -> Iterator[tuple[str, CaseMaps, Mask]]:
    """Name, maps and truth of each case."""
    segmenter = Segmenter(find_model(model), choose_device("auto"))
    for name in names:
        found = segmenter.predict(read_volume(folder / f"{name}.image.nrrd"))
        entropy, probability, distance = (
            found.on_source(kind).array for kind in ("entropy", "probability", "distance")
        )
        maps = CaseMaps(found.segmentation, entropy, probability, distance, found.source)
        yield name, maps, read_mask(folder / f"{name}.label.nrrd").array.astype(bool)


def main() -> int:
    """Print the tables; 1 when the promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mtctl-la16")
    parser.add_argument("--budget", type=float, default=10.0, help="mL that the reviewer looks at, at most")
    parser.add_argument("--threshold", type=float, help="of the uncertainty, instead of a new review's default")
    parser.add_argument("--first", type=int, default=67, help="first name of the list, from 1")
    parser.add_argument("--last", type=int, default=80, help="last")
    args = parser.parse_args()
    data = Path(os.environ.get("MTCTL_SHARED", Path(__file__).resolve().parents[2].parent / "shared")) / "data/la2018"
    if not data.is_dir():
        parser.error(f"{data} is missing: set MTCTL_SHARED to the folder that holds data/la2018")
    names = (data / "train.list").read_text(encoding="utf-8").split()[args.first - 1 : args.last]
    cases = []
    print(HEAD)
    for name, maps, truth in predicted(names, data / "train", args.model):
        cases.append(reviewed(name, maps, truth, args.budget, args.threshold))
        print(cases[-1].line(), flush=True)
    return 0 if summarise(cases, args.budget) else 1


if __name__ == "__main__":
    sys.exit(main())
