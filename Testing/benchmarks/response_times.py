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

import numpy as np

from mtctl.evaluation.segmentation_metrics import segmentation_metrics
from mtctl.evaluation.uncertainty_metrics import ece, error_aupr, error_auroc
from mtctl.geometry import Geometry, Map, Mask, Triple
from mtctl.masks import surface_band, voxel_band
from mtctl.review.case_maps import CaseMaps
from mtctl.review.session import ReviewSession

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

    mask, uncertainty, distance = atrium(FIELD)
    maps = CaseMaps(mask, uncertainty, 1 / (1 + np.exp(-20 * distance)), geometry(FIELD))
    show("a review of a whole field is begun", lambda: ReviewSession(maps))
    session, painted = ReviewSession(maps), mask.copy()

    def stroke() -> None:
        painted[44, 280:296, 280:296] ^= True
        session.record("paint", painted)

    show("a stroke in a whole field is recorded", stroke)
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


if __name__ == "__main__":
    sys.exit(main())
