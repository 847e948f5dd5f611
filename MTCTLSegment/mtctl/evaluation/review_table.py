"""The review curves of one case from its maps, and the table of many cases' curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtctl.evaluation.review_curve import ReviewCurves, review_curves
from mtctl.geometry import Geometry, Mask
from mtctl.uncertainty.region_search import region_map

#: Numbers of regions that have a line.
REGIONS = (0, 5, 10, 20, 40)


def curves_of(
    prediction: Mask, truth: Mask, uncertainty: NDArray[np.floating], threshold: float, geometry: Geometry
) -> ReviewCurves:
    """Return the review of one case: its uncertain regions, in the order in which they are listed.

    Args:
        prediction, truth: Masks (z, y, x).
        uncertainty: Map (z, y, x), 0 to 1.
        threshold: What is at least as uncertain is flagged.
        geometry: Grid of the three arrays.
    """
    places = region_map(uncertainty, prediction, geometry)
    order = [region.id for region in places.regions_at(threshold)]
    return review_curves(prediction, truth, places.labels_at(threshold), order, uncertainty, geometry.voxel_ml)


def review_table(curves: Sequence[ReviewCurves]) -> str:
    """Return the Dice after the first regions, mL looked at, and the areas under the three curves.

    It is empty without curves.
    """
    if not curves:
        return ""
    lines = [
        f"Review, mean of {len(curves)}: only flagged voxels of the first k regions are set right (Dice in %)",
        f"{'k':>6}{'mL':>8}{'as listed':>11}{'random order':>14}{'voxelwise':>11}",
    ]
    for k in REGIONS:
        rows = [(c.regions.ml, c.regions.dice, c.random.dice, c.voxels.dice) for c in curves]
        ml, listed, drawn, single = np.mean(
            [[column[min(k, len(column) - 1)] for column in row] for row in rows], axis=0
        )
        lines.append(f"{k:>6}{ml:>8.2f}{100 * listed:>11.2f}{100 * drawn:>14.2f}{100 * single:>11.2f}")
    areas = 100 * np.mean([[c.regions.mean_gain, c.random.mean_gain, c.voxels.mean_gain] for c in curves], axis=0)
    parts = (f"{name} {area:.2f}" for name, area in zip(("as listed", "random", "voxelwise"), areas, strict=True))
    return "\n".join((*lines, f"area under the curve (mean gain, points): {', '.join(parts)}"))
