"""A mask that may be wrong: its outlines at other levels of the atrium's calibrated probability."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Map, Mask

#: The largest level that can be asked for: an atrium of 99.75 % or 0.25 % at that voxel.
MOST_LEVEL = 6.0

_SURE = 1e-6  # Probabilities are kept so far from 0 and 1 before logarithms are taken.


class MeasureError(MtctlError):
    """A case cannot be measured; the message says why."""


@dataclass(frozen=True)
class UncertainMask:
    """A mask and how sure each of its voxels is, on the part of the grid where either could be atrium.

    Attributes:
        mask: The segmentation, (z, y, x).
        log_odds: Of the atrium, (z, y, x): above 0 in the mask, below 0 outside; infinite where a person settled it.
        geometry: The grid of both.
    """

    mask: Mask
    log_odds: Map
    geometry: Geometry

    @classmethod
    def of(cls, mask: Mask, probability: Map, geometry: Geometry, settled: Mask | None = None) -> UncertainMask:
        """Return the mask with the uncertainty of a prediction.

        Args:
            mask: As it is reported or was corrected, (z, y, x).
            probability: Calibrated probability of the atrium, 0 to 1, same shape.
            geometry: Grid of both.
            settled: Voxels that a person drew or accepted, same shape: they are certain.

        Raises:
            MeasureError: The mask is empty, or the shapes differ.
        """
        from mtctl.masks import bounding_box  # It loads scipy, for which a window that opens would wait.

        for name, array in (("mask", mask), ("probability", probability), ("settled voxels", settled)):
            if array is not None and array.shape != geometry.shape:
                raise MeasureError(
                    f"the {name}: {array.shape} voxels on a grid of {geometry.shape} (z, y, x); resample them first"
                )
        inside = np.asarray(mask, dtype=bool)
        if not inside.any():
            raise MeasureError("the mask is empty: there is nothing to measure; segment the scan again or draw one")
        p = np.clip(probability.astype(np.float64), _SURE, 1 - _SURE)
        odds = np.log(p) - np.log1p(-p)
        odds = np.where(inside, np.maximum(odds, 1e-6), np.minimum(odds, -1e-6))
        if settled is not None:
            odds = np.where(settled, np.where(inside, np.inf, -np.inf), odds)
        box = bounding_box(odds > -MOST_LEVEL, (1, 1, 1))
        z, y, x = (part.start for part in box)
        part = inside[box]
        window = geometry.window((x, y, z), (part.shape[2], part.shape[1], part.shape[0]))
        return cls(part, odds[box].astype(np.float32), window)

    @property
    def certain(self) -> UncertainMask:
        """The same mask, known to be right."""
        return replace(self, log_odds=np.where(self.mask, np.inf, -np.inf).astype(np.float32))

    def at(self, level: float) -> Mask:
        """Return what has at least the odds exp(-level): more than the mask for levels above 0, less below.

        Of more, what hangs together with the mask, without holes; of less, the largest part and those parts that a
        person drew or accepted.

        Args:
            level: From -MOST_LEVEL to MOST_LEVEL; 0 is the mask itself.
        """
        if level == 0:
            return self.mask
        from mtctl.masks import largest_component

        found = np.asarray(self.log_odds > -level)
        if level > 0:
            found = _without_holes(_touching(found, self.mask))
        elif found.any():
            drawn = np.isposinf(self.log_odds)
            found = _without_holes(largest_component(found)) | (_touching(found, drawn) if drawn.any() else drawn)
        return np.asarray((found | np.isposinf(self.log_odds)) & ~np.isneginf(self.log_odds))


def _touching(mask: Mask, seeds: Mask) -> Mask:
    """Return the face-connected parts of a mask that hold a seed."""
    from scipy import ndimage  # Not before it is needed: a window that opens would wait for it.

    labels, count = ndimage.label(mask)
    kept = np.zeros(count + 1, dtype=bool)
    kept[np.unique(labels[seeds])] = True
    kept[0] = False
    return np.asarray(kept[labels])


def _without_holes(mask: Mask) -> Mask:
    """Return a mask with its enclosed holes; many times faster than scipy's function, whose time grows with the box."""
    from scipy import ndimage  # Not before it is needed: a window that opens would wait for it.

    outside = np.zeros(tuple(count + 2 for count in mask.shape), dtype=bool)
    outside[1:-1, 1:-1, 1:-1] = mask
    labels, _ = ndimage.label(~outside)
    return np.asarray(labels[1:-1, 1:-1, 1:-1] != labels[0, 0, 0])
