"""Checksums over the voxels of scans and masks, whatever file they are in."""

from __future__ import annotations

import hashlib

import numpy as np

from mtctl.geometry import Mask, Volume


def mask_sum(mask: Mask) -> str:
    """Return the SHA-256 over the voxels of a mask; reviews call it `segmentation_sha256`."""
    return hashlib.sha256(np.packbits(mask).data).hexdigest()


def scan_sum(volume: Volume) -> str:
    """Return the SHA-256 over the voxels (as float32) and their number along each axis, whatever file they come from.

    Not over the grid: two programs that read one file differ in its last digits, and rounding only moves the places
    where that shows. Scans of one sum are one scan where they are on the `same_grid`, too. And of a left-handed grid
    (NIfTI often has one) the slices are summed up in reverse, as Slicer turns their order round when it loads them.
    """
    slices = volume.array if np.linalg.det(volume.geometry.matrix) > 0 else volume.array[::-1]
    digest = hashlib.sha256(str(slices.shape).encode())
    digest.update(np.ascontiguousarray(slices, dtype=np.float32).data)
    return digest.hexdigest()
