"""How often the intervals of `mtctl measure` hold the expert's values, how wide they are, and what the wall gives.

    PYTHONPATH=Testing python Testing/benchmarks/measures.py --work DIR            # coverage on names 67-80, phantoms
    PYTHONPATH=Testing python Testing/benchmarks/measures.py --work DIR --fit      # levels and coverage, names 17-66
    PYTHONPATH=Testing python Testing/benchmarks/measures.py --work DIR --second mtctl-la80     # the wall by two models

DIR keeps the segmentations, which are made once. Needs the real scans ($MTCTL_SHARED/data/la2018; --second takes those
of data/kcl_heart, which no model has learnt).
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import beta
from support.wall_phantom import wall_phantom

from mtctl.geometry import IDENTITY
from mtctl.io.labelled import LabelledVolume, load_labelled
from mtctl.io.volumes import read_volume
from mtctl.measures.document import IntervalEstimate, WallMeasures
from mtctl.measures.measuring import AREA_LEVEL, WallRequest, measure, measure_wall
from mtctl.measures.reading import MaskFile, read_case
from mtctl.measures.shape import Shape, shape_of
from mtctl.measures.uncertain_mask import UncertainMask

MODEL = Path(__file__).parents[2] / "Resources" / "Models" / "mtctl-la16"
SHARED = Path(os.environ.get("MTCTL_SHARED", "../shared")) / "data"
DATA, OTHER_HOSPITAL = SHARED / "la2018", SHARED / "kcl_heart"

#: The levels at which the outlines are measured for the fit; between them the measures are interpolated.
LADDER = (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
GRID = np.linspace(0, 3, 121)

NAMES = ("volume", "area", "right to left", "front to back", "foot to head", "sphericity")
TURN = math.radians(25)
GRIDS = {
    "1 x 1 x 2 mm": ((1.0, 1.0, 2.0), IDENTITY),
    "0.8 x 1.2 x 2 mm, oblique": (
        (0.8, 1.2, 2.0),
        (math.cos(TURN), -math.sin(TURN), 0.0, math.sin(TURN), math.cos(TURN), 0.0, 0.0, 0.0, 1.0),
    ),
    "0.6 x 0.6 x 1.25 mm, sagittal": ((0.625, 0.625, 1.25), (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the segmentations")
    parser.add_argument("--fit", action="store_true", help="fit the levels on names 17-66 instead")
    parser.add_argument("--second", metavar="ID", help="only compare the wall by mtctl-la16 and by this model")
    args = parser.parse_args()
    if args.second:
        two_models(args.work, args.second)
        return
    names = (DATA / "train.list").read_text(encoding="utf-8").split()
    if args.fit:
        fit(segmented(names[16:66], args.work))
        return
    coverage(segmented(names[66:80], args.work))
    phantoms()


def segmented(names: Sequence[str], work: Path) -> list[tuple[LabelledVolume, UncertainMask]]:
    """Return scans with the expert's masks, and mtctl-la16's segmentations of them."""
    segment([DATA / "train" / f"{name}.image.nrrd" for name in names], work, str(MODEL))
    return [
        (load_labelled(DATA / "train", name), read_case(MaskFile.of(work / f"{name}.seg.nrrd")).mask) for name in names
    ]


def segment(scans: Sequence[Path], work: Path, model: str) -> None:
    """Segment those scans whose results are not there yet."""
    missing = [str(scan) for scan in scans if not (work / scan.name.replace(".image.nrrd", ".json")).is_file()]
    if missing:
        command = [sys.executable, "-m", "mtctl", "segment", *missing, "-o", str(work), "--model", model]
        subprocess.run(command, check=True)


def two_models(work: Path, second: str) -> None:
    """Print how far the wall's percentages by the masks of two models are apart, on scans that neither has learnt."""
    scans = sorted(OTHER_HOSPITAL.glob("*.image.nrrd"))
    models = {"mtctl-la16": str(MODEL), second: second}
    rows: list[list[list[float]]] = []
    for name, model in models.items():
        segment(scans, work / name, model)
    for scan in scans:
        volume = read_volume(scan)
        case = scan.name.removesuffix(".image.nrrd")
        walls = [
            measure_wall(
                read_case(MaskFile.of(work / name / f"{case}.seg.nrrd")).mask, WallRequest(volume)
            ).measures.shares
            for name in models
        ]
        rows.append([[share.percent.value for share in shares] for shares in walls])
        labels = [share.threshold for share in walls[0]]
        words = [f"{label} {one:.1f} and {other:.1f}" for label, one, other in zip(labels, *rows[-1], strict=True)]
        print(f"    {case}: {', '.join(words)}", flush=True)
    values = np.array(rows)  # scan, model, threshold
    print(
        f"the wall by {' and by '.join(models)}, percent of the whole surface, {len(scans)} scans of another hospital:"
    )
    for number, label in enumerate(labels):
        ours, theirs = values[:, 0, number], values[:, 1, number]
        apart = np.abs(ours - theirs)
        print(
            f"    {label:15s} {ours.mean():5.1f} and {theirs.mean():5.1f}; apart {apart.mean():.1f} points, at most "
            f"{apart.max():.1f}"
        )


def numbers(shape: Shape) -> list[float]:
    return [shape.volume_ml, shape.area_cm2, *shape.extent_mm, shape.sphericity]


def fit(cases: Sequence[tuple[LabelledVolume, UncertainMask]]) -> None:
    """Print the levels that hold the expert's value in 90 % of one case more than there are."""
    rank = math.ceil(0.9 * (len(cases) + 1)) - 1
    levels: list[list[float]] = []
    for case, mask in cases:
        truth = numbers(shape_of(case.mask, case.volume.geometry))
        rows = np.array([numbers(shape_of(mask.at(level), mask.geometry)) for level in LADDER])
        levels.append([_level(rows[:, column], truth[column]) for column in range(5)])
        here = rows[LADDER.index(0.0)]
        within = [np.interp(level, LADDER, rows[:, 1]) for level in (-AREA_LEVEL, 0, AREA_LEVEL)]
        half = (max(within) - min(within)) / 2 / here[1]
        levels[-1].append(abs(truth[5] / here[5] - 1) / half)
    print(f"{len(cases)} scans, the {rank + 1}th of them; how many are held by the level of all others:")
    for column, name in enumerate(NAMES):
        needed = [row[column] for row in levels]
        print(f"    {name:14s} {sorted(needed)[rank]:.3f}   {_share(held_by_others(needed), len(needed))}")


def held_by_others(needed: Sequence[float]) -> int:
    """Return how many cases lie within the level that is fitted on all but them.

    Args:
        needed: The level that each case's interval needs.
    """
    rank = math.ceil(0.9 * len(needed)) - 1
    return sum(
        level <= sorted([*needed[:case], *needed[case + 1 :]])[rank] for case, level in enumerate(needed)
    )  # fmt: skip


def _level(values: np.ndarray, truth: float) -> float:
    """Return the smallest level whose outlines hold a value."""
    for level in GRID:
        inside = [at for at in LADDER if abs(at) < level]
        found = np.interp([*inside, -level, level], LADDER, values)
        if found.min() <= truth <= found.max():
            return float(level)
    return math.inf


def coverage(cases: Sequence[tuple[LabelledVolume, UncertainMask]]) -> None:
    """Print in how many scans each interval holds the expert's value, how wide it is, and what the wall gives."""
    held = np.zeros((len(cases), len(NAMES)), dtype=bool)
    widths, errors = np.zeros(held.shape), np.zeros(held.shape)
    walls: list[tuple[WallMeasures, WallMeasures]] = []
    for row, (case, mask) in enumerate(cases):
        truth = numbers(shape_of(case.mask, case.volume.geometry))
        request = WallRequest(case.volume)
        measures = measure(case.name, mask, wall=measure_wall(mask, request)).measures
        estimates = [measures.volume_ml, measures.area_cm2, *measures.extent_mm, measures.sphericity]
        for column, (estimate, value) in enumerate(zip(estimates, truth, strict=True)):
            low, high = _ends(estimate)
            held[row, column] = low <= value <= high
            widths[row, column] = (high - low) / estimate.value
            errors[row, column] = estimate.value / value - 1
        expert = UncertainMask.of(case.mask, case.mask.astype(np.float32), case.volume.geometry)
        assert measures.wall is not None
        walls.append((measures.wall, measure_wall(expert, request).measures))
        volume = measures.volume_ml
        print(f"    {case.name}: {volume.value:6.1f} mL ({volume.low:.1f} to {volume.high:.1f}), expert {truth[0]:.1f}")
    print(f"{len(cases)} scans, names 67-80; 90 % intervals that hold the expert's value:")
    for column, name in enumerate(NAMES):
        count = int(held[:, column].sum())
        print(
            f"    {name:14s} {_share(count, len(cases))}; width {100 * widths[:, column].mean():.0f} % of the value; "
            f"error {100 * errors[:, column].mean():+.1f} % (SD {100 * errors[:, column].std():.1f})"
        )
    count = int(held[:, 2:5].sum())
    print(f"    extents, all   {_share(count, 3 * len(cases))}")
    print("the wall by the model's mask and by the expert's, percent of the whole surface, veins and valve too:")
    for number, share in enumerate(walls[0][0].shares):
        ours, theirs = (np.array([pair[which].shares[number].percent.value for pair in walls]) for which in (0, 1))
        ends = [_ends(pair[0].shares[number].percent) for pair in walls]
        inside = sum(low <= value <= high for (low, high), value in zip(ends, theirs.tolist(), strict=True))
        apart = np.abs(ours - theirs)
        print(
            f"    {share.threshold:15s} {ours.mean():5.1f} and {theirs.mean():5.1f}; apart {apart.mean():.1f} points, "
            f"at most {apart.max():.1f}; interval {np.mean([high - low for low, high in ends]):.1f} wide, holds the "
            f"expert's in {inside} of {len(walls)}"
        )


def _ends(estimate: IntervalEstimate) -> tuple[float, float]:
    assert estimate.low is not None and estimate.high is not None
    return estimate.low, estimate.high


def _share(count: int, total: int) -> str:
    """Return a share with its exact 95 % interval (Clopper and Pearson, 1934)."""
    low = beta.ppf(0.025, count, total - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, total - count) if count < total else 1.0
    return f"{count} of {total} ({100 * count / total:.0f} %, 95 % CI {100 * low:.0f} to {100 * high:.0f} %)"


def phantoms() -> None:
    """Print what is found of walls of known enhancement, and what a mask moved by a voxel changes."""
    print("phantoms, percent of the surface above IIR 1.20 and 1.32 (90 % interval):")
    for name, (spacing, direction) in GRIDS.items():
        moved: list[float] = []
        for percent in (0.0, 10.0, 20.0, 30.0, 40.0, 50.0):
            phantom = wall_phantom(percent, spacing, direction)
            request, here = WallRequest(phantom.scan), None
            words = []
            for shift in (None, 0, 1, 2):
                other = phantom
                if shift is not None:
                    other = replace(
                        phantom,
                        mask=np.roll(phantom.mask, 1, shift),
                        probability=np.roll(phantom.probability, 1, shift),
                    )
                mask = UncertainMask.of(other.mask, other.probability, phantom.scan.geometry)
                shares = [share.percent for share in measure_wall(mask, request).measures.shares[1:3]]
                if here is None:
                    here = shares
                    words = [f"{s.value:5.1f} ({s.low:.1f} to {s.high:.1f})" for s in shares]
                else:
                    moved += [abs(one.value - first.value) for one, first in zip(shares, here, strict=True)]
            print(f"    {name:30s} true {percent:4.1f}: {', '.join(words)}")
        print(f"    {name:30s} mask moved by a voxel: {np.mean(moved):.1f} points on average, at most {max(moved):.1f}")


if __name__ == "__main__":
    main()
