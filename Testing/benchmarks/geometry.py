"""Is a scan segmented right whatever its grid, and is a wrong header noticed? Dice, volumes and warnings in one table.

    python Testing/benchmarks/geometry.py [--model ID|FOLDER] [--names FILE] [--only as-is resampled headers kcl]
        [--oracle X,Y,Z ...] [--json FILE]

as-is      names 67-80 of `$MTCTL_SHARED/data/la2018` as they are: Dice, volume against the mask's, flags, holes filled.
resampled  the same brought to 1.0 x 1.0 x 2.0, 0.9 x 0.9 x 4.0 and 1.5 mm, and onto a grid turned by 20 degrees about
           the axis (1, 1, 1); thick slices are averaged as a scanner does. The truth goes there by its distance map.
headers    the same with the header's z at 0.625, and with (1, 1, 1): how many are warned of, naming the true spacing.
kcl        `$MTCTL_SHARED/data/kcl_heart`, another hospital and another sequence, never trained or chosen on: the box of
           the mask + 25 mm, and the whole field with `--roi auto`.

--oracle prints what is lost by taking the true masks to a grid of these voxels and back.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtctl.evaluation.segmentation_metrics import dice
from mtctl.geometry import Geometry, Triple, Volume, with_spacing
from mtctl.inference.prediction import Options
from mtctl.inference.report import make_report
from mtctl.inference.segmenter import Segmenter
from mtctl.io.labelled import LabelledVolume, load_labelled
from mtctl.models.model import find_model
from mtctl.networks.device import choose_device
from mtctl.networks.distance_map import signed_distance_mm
from mtctl.preprocessing.network_grid import Box, canonical_geometry
from mtctl.preprocessing.region_of_interest import window_of
from mtctl.preprocessing.resampling import from_grid, to_grid

ROOT = Path(__file__).resolve().parents[2]

SHARED = Path(os.environ.get("MTCTL_SHARED", ROOT.parent / "shared")) / "data"

TRUE_SPACING = (0.625, 0.625, 1.25)

Variant = Callable[[LabelledVolume], LabelledVolume]


@dataclass(frozen=True)
class ScanFigures:
    """One scan: Dice, what its report says, and volumes in mL."""

    name: str
    dice: float
    expected: float
    flagged: bool
    volume_ml: float
    true_ml: float
    filled_ml: float
    located: bool
    warnings: tuple[str, ...]


def main() -> int:
    """Run the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--names", type=Path, help="file of case names (default: names 67-80)")
    parser.add_argument("--only", nargs="+", choices=("as-is", "resampled", "headers", "kcl"))
    parser.add_argument("--oracle", nargs="+", default=[], metavar="X,Y,Z")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    folder = SHARED / "la2018" / "train"
    names = (args.names or SHARED / "la2018" / "train.list").read_text(encoding="utf-8").split()
    names = names if args.names else names[66:80]
    for text in args.oracle:
        x, y, z = (float(part) for part in text.split(","))
        kept = [_kept(load_labelled(folder, name), (x, y, z)) for name in names]
        print(f"true masks to {text} mm and back: Dice {100 * np.mean(kept):.2f}, lowest {100 * min(kept):.2f}")
    segmenter = Segmenter(find_model(args.model), choose_device(args.device))
    parts = args.only or ["as-is", "resampled", "headers", "kcl"]
    found: dict[str, list[ScanFigures]] = {}
    base: list[ScanFigures] | None = None
    if {"as-is", "resampled"} & set(parts):
        base = found["names 67-80 as they are"] = [_row(segmenter, load_labelled(folder, name)) for name in names]
        _print("as they are", base)
    if "resampled" in parts:
        for title, variant in RESAMPLED.items():
            found[title] = [_row(segmenter, variant(load_labelled(folder, name))) for name in names]
            _print(title, found[title], base)
    if "headers" in parts:
        for spacing in ((0.625, 0.625, 0.625), (1.0, 1.0, 1.0), TRUE_SPACING):
            title = f"header {spacing}"
            found[title] = [_row(segmenter, _with_header(load_labelled(folder, name), spacing)) for name in names]
            named = sum(any(_names_truth(warning) for warning in row.warnings) for row in found[title])
            told = f"{named} of {len(names)} warned of, naming {_words(TRUE_SPACING)}"
            print(f"{title}: {told}; Dice {_mean(found[title]):.2f}", flush=True)
    if "kcl" in parts:
        for title, rows in _kcl(segmenter):
            found[title] = rows
            _print(title, rows)
    if args.json:
        tables = {title: [dataclasses.asdict(row) for row in rows] for title, rows in found.items()}
        args.json.write_text(json.dumps(tables, indent=1), encoding="utf-8")
    return 0


def _row(segmenter: Segmenter, case: LabelledVolume, options: Options | None = None) -> ScanFigures:
    options = options or Options()
    prediction = segmenter.predict(case.volume, options)
    report = make_report(prediction, segmenter.model.card, options, "entropy", None).report
    voxel = case.volume.geometry.voxel_ml
    return ScanFigures(
        case.name,
        dice(prediction.segmentation, case.mask),
        report["case_score"],
        report["flagged"],
        prediction.volume_ml,
        float(case.mask.sum()) * voxel,
        prediction.filled_ml,
        prediction.located,
        tuple(report["warnings"]),
    )


def _print(title: str, rows: Sequence[ScanFigures], base: Sequence[ScanFigures] | None = None) -> None:
    lowest = min(rows, key=lambda row: row.dice)
    below = f", {_mean(base) - _mean(rows):+.2f} below" if base is not None else ""
    ratio = np.mean([row.volume_ml / row.true_ml - 1 for row in rows])
    mine, true = (np.mean([getattr(row, key) for row in rows]) for key in ("volume_ml", "true_ml"))
    expected = 100 * np.mean([row.expected for row in rows])
    print(
        f"{title}: Dice {_mean(rows):.2f} (lowest {100 * lowest.dice:.2f} {lowest.name}){below}; "
        f"{sum(row.flagged for row in rows)} of {len(rows)} flagged; expected Dice {expected:.2f}; "
        f"{mine:.1f} mL against {true:.1f} ({100 * (mine / true - 1):+.1f} %, mean of ratios {100 * ratio:+.1f} %); "
        f"holes filled {np.mean([row.filled_ml for row in rows]):.3f} mL",
        flush=True,
    )
    for row in rows:
        if row.flagged:
            print(f"    {row.name} {100 * row.dice:.1f}: {'; '.join(row.warnings)}")


def _mean(rows: Sequence[ScanFigures]) -> float:
    return 100 * float(np.mean([row.dice for row in rows]))


def _words(spacing: Triple) -> str:
    return ",".join(f"{step:g}" for step in spacing)


def _names_truth(warning: str) -> bool:
    return f"--spacing {_words(TRUE_SPACING)}" in warning


def _with_header(case: LabelledVolume, spacing: Triple) -> LabelledVolume:
    return LabelledVolume(case.name, with_spacing(case.volume, spacing), case.mask)


def _kept(case: LabelledVolume, grid_mm: Triple) -> float:
    geometry = case.volume.geometry
    grid = canonical_geometry(geometry, grid_mm)
    there = to_grid(Volume(case.mask.astype(np.float32), geometry), grid)[0]
    return dice(from_grid(there, grid, geometry, 0.0) >= 0.5, case.mask)


def _on(case: LabelledVolume, grid: Geometry) -> LabelledVolume:
    geometry = case.volume.geometry
    x, y, z = geometry.spacing
    distance = signed_distance_mm(case.mask, (z, y, x))
    image, _ = to_grid(case.volume, grid)
    mask = from_grid(distance, geometry, grid, -99.0) > 0
    return LabelledVolume(case.name, Volume(image, grid), mask)


def _resampled(spacing: Triple) -> Variant:
    return lambda case: _on(case, canonical_geometry(case.volume.geometry, spacing))


def _turned(degrees: float) -> Variant:
    """The same patient on a grid turned about (1, 1, 1), large enough to hold the whole scan."""
    axis, angle = np.ones(3) / np.sqrt(3), np.deg2rad(degrees)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    matrix = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross

    def turn(case: LabelledVolume) -> LabelledVolume:
        geometry = case.volume.geometry
        low, high = np.array(geometry.extent()).T
        corners = np.array([[(low, high)[i >> axis & 1][axis] for axis in range(3)] for i in range(8)])
        inside = corners @ matrix
        start, stop = inside.min(axis=0), inside.max(axis=0)
        size = np.ceil((stop - start) / geometry.spacing).astype(int) + 1
        nx, ny, nz = size.tolist()
        x, y, z = (matrix @ start).tolist()
        return _on(case, Geometry((nx, ny, nz), geometry.spacing, (x, y, z), tuple(matrix.ravel().tolist())))

    return turn


RESAMPLED: dict[str, Variant] = {
    "1.0 x 1.0 x 2.0 mm": _resampled((1.0, 1.0, 2.0)),
    "0.9 x 0.9 x 4.0 mm": _resampled((0.9, 0.9, 4.0)),
    "1.5 mm": _resampled((1.5, 1.5, 1.5)),
    "turned by 20 degrees": _turned(20.0),
}


def _kcl(segmenter: Segmenter) -> Iterator[tuple[str, list[ScanFigures]]]:
    folder = SHARED / "kcl_heart"
    cases = [load_labelled(folder, path.name.split(".")[0]) for path in sorted(folder.glob("*.image.nrrd"))]
    yield "kcl, mask + 25 mm", [_row(segmenter, _cropped(case, 25.0)) for case in cases]
    yield "kcl, whole field", [_row(segmenter, case) for case in cases]


def _cropped(case: LabelledVolume, margin: float) -> LabelledVolume:
    geometry = case.volume.geometry
    z, y, x = window_of(Box.around(case.mask, geometry).expanded(margin).clipped(geometry), geometry)
    part = geometry.window((x.start, y.start, z.start), (x.stop - x.start, y.stop - y.start, z.stop - z.start))
    return LabelledVolume(case.name, Volume(case.volume.array[z, y, x], part), case.mask[z, y, x])


if __name__ == "__main__":
    raise SystemExit(main())
