"""Why a result may be wrong as a whole, in sentences for the reader; any of them flags the case."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtctl.case_score import UsualShape, spread_mm
from mtctl.geometry import Geometry
from mtctl.locate import touched_sides

#: Left atria that are not in doubt by their volume alone. The 80 training scans span 23 to 141 mL.
_PLAUSIBLE_ML = (15.0, 250.0)


def doubts_about(mask: NDArray[np.bool_], source: Geometry, usual: UsualShape | None) -> list[str]:
    """What a reader should know about a segmentation.

    Args:
        mask: (z, y, x) on the scan's grid.
        source: That grid.
        usual: What good results are shaped like, where that is known.
    """
    if not mask.any():
        return ["no atrium was found: check the scan, or draw the region (--roi)"]
    doubts = []
    sides = touched_sides(mask, source)
    if sides:
        doubts.append(
            f"the segmentation touches the {', '.join(sides)} border of the scan, which may cut the atrium off"
        )
    volume = float(mask.sum()) * source.voxel_ml
    if not _PLAUSIBLE_ML[0] <= volume <= _PLAUSIBLE_ML[1]:
        doubts.append(f"{volume:.0f} mL is unusual for a left atrium: check the scan, or draw the region (--roi)")
    spread = spread_mm(mask, source)
    if usual and usual.distance(spread) > usual.limit:
        lengths, expected = (" x ".join(f"{value:.0f}" for value in s) for s in (spread, np.exp(usual.mean)))
        doubts.append(
            f"the segmentation spreads {lengths} mm along x, y, z (usual: {expected}), unlike a left atrium: check "
            "what the scan shows and whether it is stored turned"
        )
    return doubts
