"""Large maps of which a review looks at one region at a time: they wait on the disk, not in memory."""

from __future__ import annotations

import tempfile

import numpy as np

from mtctl.review.case_maps import Map

#: Bytes of a map that is worth the detour; one of 640 x 640 x 88 voxels has 144 MB, one of the training data's crops 9.
_LARGE = 1 << 26


def aside(array: Map) -> Map:
    """The same map (z, y, x), read-only; a large one in a temporary file that goes with it.

    Raises:
        OSError: The disk is full.
    """
    if array.nbytes < _LARGE:
        return array
    with tempfile.TemporaryFile(prefix="mtctl-map-") as file:
        file.write(np.ascontiguousarray(array).data)
        file.flush()
        return np.memmap(file, dtype=np.float32, mode="r", shape=array.shape)
