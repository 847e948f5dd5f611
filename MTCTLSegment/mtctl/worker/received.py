"""Volumes that a request to the child process hands over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mtctl.geometry import Geometry, Mask, Volume, VolumeError
from mtctl.io.scan_checks import check_contrast, check_finite, check_grid


def read_scan(path: Path, geometry: Any) -> Volume:
    """Read a scan.

    Args:
        path: A .npy file (z, y, x).
        geometry: What `Geometry.to_json` gave.

    Raises:
        VolumeError: The file is damaged, or no network can use such a scan.
    """
    grid = Geometry.from_json(geometry)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise VolumeError(f"the scan could not be handed over: {path.name} is missing or damaged") from error
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise VolumeError(f"the scan's voxels are {array.dtype}; one grey value a voxel is needed")
    volume = Volume(array.astype(np.float32), grid)
    check_grid(volume.geometry)
    check_finite(volume.array)
    check_contrast(volume.array)
    return volume


def read_packed(path: Path, geometry: Geometry) -> Mask:
    """Read a mask (z, y, x) from its packed bits.

    Raises:
        VolumeError: They are not those of a mask on that grid.
    """
    try:
        bits = np.load(path, allow_pickle=False)
        count = int(np.prod(geometry.shape))
        return np.unpackbits(bits, count=count).reshape(geometry.shape).astype(bool)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise VolumeError(f"the mask could not be handed over: {path.name} is missing or damaged") from error
