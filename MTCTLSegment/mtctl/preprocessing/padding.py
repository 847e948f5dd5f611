"""Padding: voxels of one value that no scanner measures, such as the corners of a scan that was turned by a program."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.geometry import Geometry, Map, Mask, Volume
from mtctl.preprocessing.resampling import to_grid

#: A flat patch of 3 x 3 x 3 voxels is no tissue: even air has noise. From this share of a scan on it is padding.
PADDING_SHARE = 0.001

# Of a voxel on the grid, so much at least comes from measured voxels; the rest of the sum is rounding.
_MEASURED = 0.999


def flat_voxels(array: NDArray[np.generic]) -> Mask:
    """Return which voxels (z, y, x) have the value of all their 26 neighbours."""
    return np.asarray(ndimage.maximum_filter(array, 3) == ndimage.minimum_filter(array, 3))


def grown_by_a_voxel(flat: Mask) -> Mask:
    """Return the flat voxels and their neighbours, which have the same value and are padding, too."""
    return np.asarray(ndimage.binary_dilation(flat, np.ones((3, 3, 3))))


def _padding(array: NDArray[np.generic]) -> Mask:
    """Return the flat voxels and all of their value that hang together with them.

    Along a slanting edge single voxels of padding stand between those of tissue, in no flat patch and beside none.
    """
    flat = flat_voxels(array)
    values = np.unique(array[flat])
    return np.asarray(ndimage.binary_propagation(flat, np.ones((3, 3, 3)), mask=np.isin(array, values)))


def measured_voxels(volume: Volume, grid: Geometry, array: Map, inside: Mask | None) -> Mask | None:
    """Return which voxels of the grid were measured by the scanner, without any padding in them.

    Blur and interpolation mix padding with tissue: around a turned scan lies a dark frame that no scan of the training
    had. What is padding is seen on the scan's own grid and follows the scan to the network's.

    Args:
        volume: The scan.
        grid: The network's grid.
        array: (z, y, x), the scan on that grid.
        inside: The grid's voxels within the scan; None for all.

    Returns:
        (z, y, x); `inside` where the scan has no padding or nothing else.
    """
    within = np.ones(array.shape, bool) if inside is None else inside
    if np.count_nonzero(flat_voxels(array) & within) <= PADDING_SHARE * array.size:
        return inside
    share, _ = to_grid(Volume((~_padding(volume.array)).astype(np.float32), volume.geometry), grid)
    measured = within & (share >= _MEASURED)
    return measured if measured.any() else inside
