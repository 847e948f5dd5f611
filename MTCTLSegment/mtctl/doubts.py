"""What a reader should know about a result as a whole: doubts, any of which flags the case, and notes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtctl.case_score import UsualShape, spread_mm
from mtctl.geometry import Geometry
from mtctl.locate import touched_sides

#: Left atria that are not in doubt by their volume alone. The 80 training scans span 23 to 141 mL.
_PLAUSIBLE_ML = (15.0, 250.0)

#: A contact with the scan's border of so large a share of the largest section cuts the atrium itself off. In the masks
#: of names 1-30 four of 30 reach the top slice, with at most 0.22: veins that go on.
_CUT_SHARE = 0.25


def notes_about(mask: NDArray[np.bool_], source: Geometry) -> list[str]:
    """What is as it often is, and yet worth a look; arguments as for `doubts_about`."""
    grazed = [side for side, share in touched_sides(mask, source).items() if share < _CUT_SHARE]
    return [f"the segmentation just reaches the {', '.join(grazed)} border of the scan"] if grazed else []


def doubts_about(mask: NDArray[np.bool_], source: Geometry, usual: UsualShape | None) -> list[str]:
    """Why a segmentation may be wrong as a whole.

    Args:
        mask: (z, y, x) on the scan's grid.
        source: That grid.
        usual: What good results are shaped like, where that is known.
    """
    if not mask.any():
        return ["no atrium was found: check the scan, or draw the region (--roi)"]
    doubts = []
    cut = [side for side, share in touched_sides(mask, source).items() if share >= _CUT_SHARE]
    if cut:
        sides = ", ".join(cut)
        doubts.append(f"the {sides} border of the scan cuts the segmentation off: a part of the atrium is missing")
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
