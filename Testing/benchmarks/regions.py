"""How much error the first regions of a reviewer's list hold, against plain connected components and random places.

    python Testing/benchmarks/regions.py --prediction DIR --truth DIR

DIR of predictions is what `mtctl segment` wrote (<stem>.seg.nrrd, <stem>.uncertainty.nrrd, <stem>.json with the
threshold), that of the truth holds <stem>.label.nrrd. Per case: number of regions, largest extent, milliseconds for a
threshold change, and the volume of wrong voxels (mm3) for each mL looked at in

- the first 10 regions;
- the first 10 plain components (26-neighbours) of voxels above the threshold, by volume and by summed uncertainty;
- balls as large as each of those regions, around random voxels of the predicted surface (fixed seed);
- as many flagged voxels as each region has, the nearest to random voxels of the surface (a harder rival).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from mtctl.io.volumes import read_map, read_mask
from mtctl.uncertainty.region_search import region_map

FIRST = 10
DRAWS = 20  # random places for each region
COLUMNS = ("regions", "extent mm", "ms", "mL seen", "first 10", "by volume", "by sum", "balls", "shell")


def measure(folder: Path, truth_folder: Path, stem: str, given: float | None) -> list[float]:
    """The figures of COLUMNS for one case."""
    segmentation, uncertainty = read_mask(folder / f"{stem}.seg.nrrd"), read_map(folder / f"{stem}.uncertainty.nrrd")
    mask = segmentation.array.astype(bool)
    wrong = mask != read_mask(truth_folder / f"{stem}.label.nrrd").array.astype(bool)
    report = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
    threshold = float(report["threshold"]) if given is None else given
    places = region_map(uncertainty.array, mask, segmentation.geometry)
    start = time.perf_counter()
    regions = places.regions_at(threshold)
    milliseconds = 1000 * (time.perf_counter() - start)
    first = regions[:FIRST]
    seen = np.isin(places.labels_at(threshold), [region.id for region in first])
    sizes = [region.voxels_inside + region.voxels_outside for region in first]
    voxel_ml, steps = segmentation.geometry.voxel_ml, segmentation.geometry.spacing[::-1]
    flagged = uncertainty.array >= threshold
    surface = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    return [
        len(regions),
        max((region.extent_mm for region in regions), default=0.0),
        milliseconds,
        float(seen.sum() * voxel_ml),
        error_per_ml(wrong[seen]),
        error_per_ml(wrong[first_components(flagged, flagged.astype(np.float32))]),
        error_per_ml(wrong[first_components(flagged, uncertainty.array)]),
        error_per_ml(around(surface, sizes, np.argwhere(near(surface, mask.shape, sizes, steps)), wrong, steps)),
        error_per_ml(around(surface, sizes, np.argwhere(flagged), wrong, steps)),
    ]


def error_per_ml(wrong: NDArray[np.bool_]) -> float:
    """mm3 of wrong voxels in each mL looked at."""
    return 1000.0 * float(wrong.mean()) if wrong.size else float("nan")


def first_components(flagged: NDArray[np.bool_], weight: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Voxels of the first components by the sum of `weight`."""
    labels, count = ndimage.label(flagged, np.ones((3, 3, 3)))
    sums = np.bincount(labels.ravel(), weight.ravel(), minlength=count + 1)[1:]
    return np.isin(labels, 1 + np.argsort(-sums)[:FIRST])


def near(
    surface: NDArray[np.int64], shape: tuple[int, ...], sizes: list[int], steps: tuple[float, ...]
) -> NDArray[np.bool_]:
    """Voxels of `steps` mm (z, y, x) that a ball around a surface voxel can hold, for the largest of `sizes`."""
    seeds = np.ones(shape, dtype=bool)
    seeds[tuple(surface.T)] = False
    radius = (3 * max(sizes, default=0) * np.prod(steps) / (4 * np.pi)) ** (1 / 3) + max(steps)
    return np.asarray(ndimage.distance_transform_edt(seeds, steps) <= radius)


def around(
    surface: NDArray[np.int64],
    sizes: list[int],
    among: NDArray[np.int64],
    wrong: NDArray[np.bool_],
    steps: tuple[float, ...],
) -> NDArray[np.bool_]:
    """Whether wrong, of the `among` voxels nearest to random surface voxels: DRAWS times as many as each of `sizes`.

    Nearest in mm: voxels measure `steps` (z, y, x).
    """
    rng, tree, found = np.random.default_rng(0), KDTree(among * np.array(steps)), [np.zeros(0, dtype=bool)]
    is_wrong = wrong[tuple(among.T)]
    for size in sizes:
        for middle in surface[rng.integers(len(surface), size=DRAWS)]:
            found.append(is_wrong[np.atleast_1d(tree.query(middle * np.array(steps), k=min(size, len(among)))[1])])
    return np.concatenate(found)


def main() -> int:
    """Print the table; 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prediction", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--threshold", type=float, help="instead of the one that the reports name")
    args = parser.parse_args()
    stems = sorted(path.name.removesuffix(".seg.nrrd") for path in args.prediction.glob("*.seg.nrrd"))
    if not stems:
        parser.error(f"{args.prediction} holds no <stem>.seg.nrrd")
    print(f"{'mm3 of error per mL looked at':<24}" + "".join(f"{name:>11}" for name in COLUMNS))
    rows = []
    for stem in stems:
        rows.append(measure(args.prediction, args.truth, stem, args.threshold))
        print(f"{stem:<29}" + "".join(f"{value:>11.1f}" for value in rows[-1]), flush=True)
    table = np.array(rows)
    mean = table.mean(axis=0)
    print(f"{'mean':<29}" + "".join(f"{value:>11.1f}" for value in mean))
    per_case = np.nanmean(table[:, 4:5] / table[:, 5:], axis=0)
    promises = (
        ("most regions of a case", table[:, 0].max(), "<=", 40.0),
        ("largest extent, mm", table[:, 1].max(), "<=", 25.0),
        ("slowest threshold change, ms", table[:, 2].max(), "<=", 100.0),
        ("first 10 / components by volume", mean[4] / mean[5], ">=", 1.3),
        ("first 10 / components by summed uncertainty", mean[4] / mean[6], ">=", 1.3),
        ("first 10 / random balls on the surface", mean[4] / mean[7], ">=", 2.0),
    )
    kept = True
    for name, value, sign, limit in promises:
        good = value <= limit if sign == "<=" else value >= limit
        kept &= bool(good)
        print(f"{name:<46}{value:>8.2f}  {sign} {limit:g}: {'yes' if good else 'NO'}")
    print(f"{'first 10 / random flagged voxels':<46}{mean[4] / mean[8]:>8.2f}")
    print("mean of the cases' own ratios (volume, sum, balls, flagged):", *(f"{ratio:.2f}" for ratio in per_case))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
