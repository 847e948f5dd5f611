"""The uncertain regions that reviews of earlier versions went through: where those lie that a person looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtctl.review.answers import Point
from mtctl.review.case_maps import CaseMaps
from mtctl.review.state import EarlierRegion
from mtctl.uncertainty.region_search import find_regions


def places_of(regions: Sequence[EarlierRegion], maps: CaseMaps) -> tuple[Point, ...]:
    """Return the middles (LPS mm) of the regions that were looked at, in the order of the list.

    Args:
        regions: Of the review.
        maps: The case, as it was when the review began. Where it was segmented anew since, a place may be another one.
    """
    found = find_regions(maps.uncertainty, maps.segmentation, maps.geometry, maps.outline)
    places = []
    for region in regions:
        if region.seen_at is None:
            continue
        voxels = found.index[(found.region == region.id) & (found.level >= np.float32(region.seen_at))]
        if len(voxels):
            x, y, z = maps.geometry.index_to_physical(voxels.mean(axis=0)[::-1]).tolist()
            places.append((x, y, z))
    return tuple(places)
