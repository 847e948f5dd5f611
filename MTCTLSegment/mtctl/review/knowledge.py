"""What a person did with each voxel of a reviewed segmentation: from it fine-tuning takes how much the voxel counts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry, Mask
from mtctl.review.answers import KEPT_MM, Point, Said
from mtctl.review.places import near, settled_by


class Knowledge(IntEnum):
    """What is known of a voxel; the values are those of the stored volume, and the higher one holds."""

    UNTOUCHED = 0
    """Nobody looked at it."""
    SEEN = 1
    """A person was there, and went on."""
    CONFIRMED = 2
    """A person said on which side it is, or that it is right."""
    PAINTED = 3
    """A stroke or an answer changed it."""


def knowledge_of(changed: Mask, said: Said, visited: Sequence[Point], geometry: Geometry) -> NDArray[np.uint8]:
    """Return the `Knowledge` of each voxel, uint8 (z, y, x).

    Args:
        changed: Where the segmentation differs from what it was before the review, (z, y, x).
        said: What was said of places.
        visited: Places that were looked at, LPS mm.
        geometry: The grid.
    """
    known = np.full(geometry.shape, Knowledge.UNTOUCHED, np.uint8)
    known[near(visited, KEPT_MM, geometry)] = Knowledge.SEEN
    known[settled_by(said, geometry)] = Knowledge.CONFIRMED
    known[changed] = Knowledge.PAINTED
    return known
