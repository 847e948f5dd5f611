"""The part of a stored scan that the network is to see: of a whole thorax the atrium's surroundings."""

from __future__ import annotations

import numpy as np

from mtctl.cases.store import StoredCase
from mtctl.geometry import Mask
from mtctl.inference.locator import MARGIN_MM, needs_locating
from mtctl.io.labelled import DataError
from mtctl.preprocessing.network_grid import canonical_geometry
from mtctl.preprocessing.region_of_interest import Box

#: Boxes of one scan that were worked out from slightly different digits of its grid differ by less.
_SAME_MM = 1.0


def surroundings(case: StoredCase, mask: Mask | None = None) -> Box | None:
    """Return the region that the last prediction looked at, made to hold the corrected mask; None: the whole scan.

    Args:
        case: A case of the store.
        mask: The corrected mask, (z, y, x); None: there is none yet.

    Raises:
        DataError: The scan is large, and neither prediction nor mask says where in it the atrium is.
    """
    predicted = _predicted(case)
    if predicted is None and not needs_locating(case.geometry):
        return None
    known = [predicted] if predicted else []
    if mask is not None and mask.any():
        known.append(Box.around(mask, case.geometry).expanded(MARGIN_MM))
    if not known:
        raise DataError(f"case {case.id}: a large scan, and no prediction says where its atrium is; segment it first")
    return _hull(known).clipped(case.geometry)


def _predicted(case: StoredCase) -> Box | None:
    if not case.uncertainties:
        return None
    region = case.report().get("region_of_interest") or {}
    if not region.get("box_mm_lps") or region.get("chosen_by") == "whole scan":
        return None
    box = Box(**region["box_mm_lps"])
    # Older reports of the worker do not say how the box was chosen: one that is a part of the scan was chosen.
    return box if "chosen_by" in region or not _is_whole(box, case) else None


def _is_whole(box: Box, case: StoredCase) -> bool:
    whole = Box.of(canonical_geometry(case.geometry))
    return bool(np.allclose((*box.low, *box.high), (*whole.low, *whole.high), rtol=0, atol=_SAME_MM))


def _hull(boxes: list[Box]) -> Box:
    x0, y0, z0 = (min(values) for values in zip(*(box.low for box in boxes), strict=True))
    x1, y1, z1 = (max(values) for values in zip(*(box.high for box in boxes), strict=True))
    return Box(x0, x1, y0, y1, z0, z1)
