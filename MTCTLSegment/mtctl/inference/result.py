"""A case that was segmented, as windows, stores and scenes take it; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry, Map


@dataclass(frozen=True)
class Result:
    """What is known of a scan that was segmented, all arrays (z, y, x) on its grid and in memory.

    Attributes:
        geometry: The scan's grid.
        segmentation: uint8, 1 inside.
        maps: float32, by the names of `prediction.OUTSIDE`.
        report: What the case's JSON holds; its "warnings" are meant to be shown.
    """

    geometry: Geometry
    segmentation: NDArray[np.uint8]
    maps: Mapping[str, Map]
    report: Mapping[str, Any]
