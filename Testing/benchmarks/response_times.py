"""Seconds of the single steps that a person waits for, or that an evaluation repeats for every case.

    python Testing/benchmarks/response_times.py [--repeat N]

Processor seconds, the median of N runs, on an ellipsoid as large as an atrium with uncertainty along its surface: in a
crop of the benchmark's size and, for what a reader does, in a whole field of 576 x 576 x 88 voxels. What a window needs
for the same is printed by `interface.py`; here is no window.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from mtctl.evaluation.segmentation_metrics import segmentation_metrics
from mtctl.evaluation.uncertainty_metrics import ece, error_aupr, error_auroc
from mtctl.geometry import Geometry, Map, Mask, Triple
from mtctl.masks import surface_band, voxel_band
from mtctl.review.case_maps import CaseMaps, RegionPart
from mtctl.review.proposals import add, consensus, distance_map, random_walk, remove
from mtctl.review.session import ReviewSession
from mtctl.review.state import ReviewState
from mtctl.uncertainty.region_search import region_map

#: x, y, z; of the benchmark's scans.
SPACING_MM: Triple = (0.625, 0.625, 1.25)

#: (z, y, x) voxels.
CROP, FIELD = (88, 140, 190), (88, 576, 576)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each step (%(default)s)")
    repeat = parser.parse_args().repeat

    def show(what: str, step: Callable[[], object]) -> None:
        print(f"{what}: {seconds(step, repeat):.4f} s")

    mask, uncertainty, distance = atrium(CROP)
    moved = np.roll(mask, 2, axis=2)
    z, y, x = SPACING_MM[::-1]
    show("all metrics of a crop", lambda: segmentation_metrics(mask, moved, (z, y, x)))
    show("3 mm band of a crop", lambda: surface_band(mask, (z, y, x)))
    show("5 voxel band of a crop", lambda: voxel_band(mask))
    for measure in (error_auroc, error_aupr, ece):
        show(f"{measure.__name__} of a crop", lambda measure=measure: measure(uncertainty, mask != moved))
    regions = region_map(uncertainty, mask, geometry(CROP))
    for threshold in (0.0, 0.2, 0.9):
        show(f"regions of a crop at {threshold}", lambda threshold=threshold: regions.regions_at(threshold))

    mask, uncertainty, distance = atrium(FIELD)
    maps = CaseMaps(mask, uncertainty, 1 / (1 + np.exp(-20 * distance)), distance, geometry(FIELD))
    session = ReviewSession(maps, ReviewState(0.9))
    for threshold in (0.1, 0.5, 0.7):
        show(f"new threshold {threshold} in a whole field, first region shown", lambda t=threshold: change(session, t))
    edge = int(np.nonzero(mask[44, 288])[0].max())
    part = RegionPart((slice(30, 62), slice(272, 304), slice(edge - 5, edge + 5)), np.ones((32, 32, 10), dtype=bool))
    proposals = {
        "add": add,
        "remove": remove,
        "distance map": distance_map,
        "consensus": partial(consensus, level=0.6),
        "random walker": partial(random_walk, threshold=0.5),
    }
    for name, propose in proposals.items():
        show(f"proposal '{name}' in a whole field", lambda propose=propose: propose(maps, part, maps.segmentation))
    return 0


def seconds(step: Callable[[], object], repeat: int) -> float:
    """Return the median of the processor seconds of a step."""
    taken = []
    for _ in range(repeat):
        start = time.process_time()
        step()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def geometry(shape: tuple[int, int, int]) -> Geometry:
    """Return the grid of that shape (z, y, x)."""
    z, y, x = shape
    return Geometry((x, y, z), SPACING_MM, (0.0, 0.0, 0.0))


def atrium(shape: tuple[int, int, int]) -> tuple[Mask, Map, Map]:
    """Return an ellipsoid of 100 x 60 x 73 mm, its uncertainty and its distance map in [-1, 1]; all (z, y, x)."""
    axes = [(np.arange(n) - n // 2) * step for n, step in zip(shape, SPACING_MM[::-1], strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    depth = 30 * (1 - np.sqrt((z / 36.5) ** 2 + (y / 30) ** 2 + (x / 50) ** 2))
    return depth > 0, np.exp(-((depth / 2) ** 2)).astype(np.float32), np.clip(depth / 20, -1, 1).astype(np.float32)


def change(session: ReviewSession, threshold: float) -> None:
    """Set the threshold and look at the first region, as a reader does who drags the slider."""
    session.set_threshold(threshold)
    first = session.regions[0]
    session.jump(first.id)
    session.part(first.id)


if __name__ == "__main__":
    sys.exit(main())
