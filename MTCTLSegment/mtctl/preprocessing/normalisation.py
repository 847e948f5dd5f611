"""From a scan's grey levels to the z-scores that the networks see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mtctl.geometry import Map, Mask
from mtctl.preprocessing.padding import PADDING_SHARE, flat_voxels, grown_by_a_voxel
from mtctl.preprocessing.region_of_interest import RegionError

# What lies outside these percentiles counts as much as the percentile itself. Six columns of 190 or three slices of 88
# that hold nonsense are 3.5 %; a few wild voxels are far less.
_STATISTICS_PERCENTILES = (5.0, 95.0)

# How far beyond those percentiles values may lie, as a multiple of the distance between them; the rest is cut off. In
# the 80 training scans 0.02 % of the voxels are.
_KEPT_BEYOND = 1.5

# A network that halves four times sees nothing in less.
_FEWEST_VOXELS = 16

# Standard deviation of a normal distribution winsorised at its 5th and 95th percentile.
_WINSORISED_DEVIATION = 0.9118

#: Window (z, y, x) of the local z-score in mm: the mean size of the 80 crops, 88 x 141 x 190 voxels of 1.25 x 0.625 x
#: 0.625 mm.
_WINDOW_MM = (110.0, 88.0, 119.0)


def normalise(array: Map, inside: Mask | None = None) -> Map:
    """Return the robust z-score over what the network sees: (value - mean) / standard deviation, both winsorised.

    The benchmark's z-score takes all values as they are; five wild voxels or a strip of padding then decide the scale.
    Here padding is left out, values beyond the 5th and 95th percentile count as those percentiles, and what lies far
    beyond them is cut off. For a normal distribution the result is the plain z-score.

    Args:
        array: (z, y, x).
        inside: The voxels that count for mean and deviation; None for all. The others are scaled alike.

    Returns:
        A new array, float32 (z, y, x).

    Raises:
        RegionError: All voxels that count have one value.
    """
    counted = array[_counted(array, inside)]
    low, high = _limits(counted)
    if low < high:
        # Once more without what lies far outside: then it does not shift the percentiles either.
        counted = counted[(counted >= low) & (counted <= high)]
        low, high = _limits(counted)
    mean, deviation = _moments(counted)
    if not deviation > 0:
        raise RegionError("all voxels in the region have the same value; choose another region")
    result = np.clip(array, np.float32(low), np.float32(high))
    result -= np.float32(mean)
    result /= np.float32(deviation)
    return result


def normalise_locally(array: Map, voxel_mm: tuple[float, float, float]) -> Map:
    """Return the z-score of every voxel by mean and deviation of a window of `_WINDOW_MM` around it.

    The network knows scans that are z-scored over a crop around the atrium. Over a whole thorax air and lungs would
    set the scale; over a moving window of the crop's size every place looks as it would in a crop of its own.

    Args:
        array: (z, y, x) intensities.
        voxel_mm: Size (z, y, x) of the array's voxels.
    """
    size = [max(3, round(length / step)) for length, step in zip(_WINDOW_MM, voxel_mm, strict=True)]
    mean = ndimage.uniform_filter(array, size, mode="nearest")
    square = ndimage.uniform_filter(array * array, size, mode="nearest")
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    # Air far from the body has almost no deviation; noise there must not be blown up to look like tissue.
    floor = 0.1 * float(array.std())
    return ((array - mean) / np.maximum(deviation, floor + 1e-6)).astype(np.float32)


@dataclass(frozen=True)
class IntensityRemark:
    """What `normalise` left out of a scan, as shares of its voxels (0..1).

    Attributes:
        padding: Flat voxels that no scanner measures.
        cut_off: Voxels so far from the others that they were cut off.
    """

    padding: float
    cut_off: float


def intensity_remark(array: Map, inside: Mask | None = None) -> IntensityRemark:
    """Return what `normalise` does with the values of a scan; arguments as there."""
    whole = int(inside.sum()) if inside is not None else array.size
    counted = array[_counted(array, inside)]
    low, high = _limits(counted)
    wild = int(np.count_nonzero((counted < low) | (counted > high))) if low < high else 0
    return IntensityRemark(1 - counted.size / whole, wild / counted.size)


def measured_window(array: Map, inside: Mask | None) -> tuple[slice, slice, slice]:
    """Return the part (z, y, x) of a grid where a scan holds more than padding: an oblique scan fills half its box.

    Arguments as for `normalise`; all of it where less than 16 voxels would be left along an axis.
    """
    counted = _counted(array, inside)
    spans = [np.flatnonzero(counted.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    z, y, x = (slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    if min(part.stop - part.start for part in (z, y, x)) < _FEWEST_VOXELS:
        return slice(None), slice(None), slice(None)
    return z, y, x


def _limits(counted: Map) -> tuple[float, float]:
    """Return the values beyond which the others are cut off."""
    low, high = np.percentile(counted, _STATISTICS_PERCENTILES)
    if low == high:  # Nine tenths of it are one value: what there is to see lies in the rest.
        return float(counted.min()), float(counted.max())
    reach = _KEPT_BEYOND * (high - low)
    return float(low - reach), float(high + reach)


def _counted(array: Map, inside: Mask | None) -> Mask:
    """Return the voxels that tell the scan's grey levels: inside, and no padding.

    Raises:
        RegionError: There are none.
    """
    counted = np.ones(array.shape, bool) if inside is None else inside
    if not counted.any():
        raise RegionError("the region holds nothing of the scan; choose another region")
    flat = flat_voxels(array)
    if PADDING_SHARE * array.size < flat.sum() < 0.95 * array.size:
        measured = counted & ~grown_by_a_voxel(flat)
        return measured if measured.any() else counted
    return counted


def _moments(counted: Map) -> tuple[float, float]:
    """Return the winsorised mean and deviation, the latter scaled so that a normal distribution keeps its own."""
    low, high = np.percentile(counted, _STATISTICS_PERCENTILES)
    if low == high:
        return float(counted.mean(dtype=np.float64)), float(counted.std(dtype=np.float64))
    kept = np.clip(counted, low, high)
    return float(kept.mean(dtype=np.float64)), float(kept.std(dtype=np.float64)) / _WINSORISED_DEVIATION
