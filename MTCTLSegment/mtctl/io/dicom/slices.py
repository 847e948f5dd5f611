"""Slices in space: their order along the normal, and the one grid that they fill, or why they fill none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry, VolumeError

# Scanners round positions to 1e-3 mm or better; a missing slice is 100 % off. 5 % of 1.25 mm is 0.06 mm.
_UNEVEN = 0.05
# Direction cosines are written with 6 decimals or more; a second orientation in a series differs by degrees.
_SAME_ORIENTATION = 1e-3
_SAME_PLACE_MM = 0.01


@dataclass(frozen=True)
class Slice:
    """One slice, of a file of its own or a frame of a multi-frame file.

    Attributes:
        file: Where it is.
        frame: Its number in the file, from 0.
        size: Columns and rows.
        spacing: Distance between columns and between rows, mm.
        position: Centre of its first voxel, LPS mm.
        orientation: Direction of a row, then of a column, LPS.
    """

    file: Path
    frame: int
    size: tuple[int, int]
    spacing: tuple[float, float]
    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]


def stack(slices: list[Slice]) -> tuple[list[Slice], Geometry]:
    """Return the slices in their order along the normal and the grid that they fill.

    Raises:
        VolumeError: Slices are missing, doubled, shifted sideways, or of several orientations or sizes.
    """
    first = slices[0]
    across = np.array(first.orientation).reshape(2, 3)
    normal = np.cross(across[0], across[1])
    for one in slices:
        if np.abs(np.subtract(one.orientation, first.orientation)).max() > _SAME_ORIENTATION:
            raise VolumeError("the series mixes slices of several orientations; export the scan alone, without scouts")
        if one.size != first.size or not np.allclose(one.spacing, first.spacing, rtol=1e-4):
            raise VolumeError("the series mixes slices of several sizes; export the scan alone, without scouts")
    ordered = sorted(slices, key=lambda one: float(np.dot(one.position, normal)))
    positions = np.array([one.position for one in ordered])
    distance = _slice_distance(positions @ normal)
    ideal = positions[0] + np.arange(len(ordered))[:, None] * normal * distance
    if np.abs(positions - ideal).max() > max(_SAME_PLACE_MM, 0.5 * min(first.spacing)):
        raise VolumeError("the slices are shifted sideways (tilted scan); resample it to a rectangular grid first")
    origin, matrix = positions[0].tolist(), np.stack([across[0], across[1], normal], axis=1)
    geometry = Geometry(
        (first.size[0], first.size[1], len(ordered)),
        (first.spacing[0], first.spacing[1], distance),
        (origin[0], origin[1], origin[2]),
        tuple(matrix.ravel().tolist()),
    )
    return ordered, geometry


def _slice_distance(along: NDArray[np.float64]) -> float:
    """Return the one distance between slices at the sorted places `along` the normal, mm."""
    if len(along) < 2:
        raise VolumeError("the series has only one slice; name the folder with all slices of the scan")
    steps = np.diff(along)
    doubled = int((steps < _SAME_PLACE_MM).sum())
    if doubled:
        raise VolumeError(
            f"{doubled} of {len(along)} slices lie where another one lies (several phases or echoes, or doubled files);"
            " export one of them alone"
        )
    usual = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - usual) > _UNEVEN * usual)
    if len(uneven):
        place = int(uneven[0])
        raise VolumeError(
            f"a slice is missing or out of place: {steps[place]:.2f} mm between slices {place + 1} and {place + 2}"
            f" where the others are {usual:.2f} mm apart; copy or export the series again"
        )
    return float(along[-1] - along[0]) / (len(along) - 1)
