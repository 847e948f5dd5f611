"""Slices in space: their order along the normal, and the one grid that they fill, or why they fill none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry, VolumeError

# Scanners round positions to 1e-3 mm or better; a missing slice is 100 % off. 5 % of 1.25 mm is 0.06 mm.
_UNEVEN = 0.05
# Direction cosines are written with 6 decimals or more, and those of GE differ by up to 3e-4 between the slices of one
# scan; a second orientation in a series differs by degrees.
_SAME_ORIENTATION = 1e-3
_SAME_PLACE_MM = 0.01
# What is rounded is far below; what leans less is refused where the grid is made.
_NO_DIRECTIONS = 1e-2


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
        slope: Of the line from stored values to the scanner's own.
        intercept: Of that line.
        marks: What may tell it from another slice in the same place, such as its echo time, by how that is called.
    """

    file: Path
    frame: int
    size: tuple[int, int]
    spacing: tuple[float, float]
    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]
    slope: float = 1.0
    intercept: float = 0.0
    marks: Mapping[str, bytes] = field(default_factory=dict)


def stack(slices: list[Slice]) -> tuple[list[Slice], Geometry]:
    """Return the slices in their order along the normal and the grid that they fill.

    Raises:
        VolumeError: Slices are missing, doubled, shifted sideways, or of several orientations or sizes.
    """
    first = slices[0]
    if np.abs(_products(first) - np.eye(2)).max() > _NO_DIRECTIONS:
        raise VolumeError(
            f"{first.file.name} gives its rows and columns directions that are not of length 1 and at right angles "
            "(ImageOrientationPatient, 0020,0037); export the series again"
        )
    for one in slices:
        if np.abs(np.subtract(one.orientation, first.orientation)).max() > _SAME_ORIENTATION:
            raise VolumeError("the series mixes slices of several orientations; export the scan alone, without scouts")
        if one.size != first.size or not np.allclose(one.spacing, first.spacing, rtol=1e-4):
            raise VolumeError("the series mixes slices of several sizes; export the scan alone, without scouts")
    across = _orientation(slices)
    normal = np.cross(across[0], across[1])
    ordered = sorted(slices, key=lambda one: float(np.dot(one.position, normal)))
    positions = np.array([one.position for one in ordered])
    _check_not_doubled(ordered, positions @ normal)
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


def _products(one: Slice) -> NDArray[np.float64]:
    across = np.array(one.orientation).reshape(2, 3)
    return np.asarray(across @ across.T)


def _orientation(slices: list[Slice]) -> NDArray[np.float64]:
    """Return the directions (2, 3) of rows and columns: the one that all have, or else the mean, at right angles."""
    every = np.array([one.orientation for one in slices]).reshape(-1, 2, 3)
    if (every == every[0]).all():
        return np.asarray(every[0])
    row, column = every.mean(axis=0)
    row /= np.linalg.norm(row)
    column -= row * np.dot(row, column)
    return np.stack([row, column / np.linalg.norm(column)])


def _check_not_doubled(ordered: list[Slice], along: NDArray[np.float64]) -> None:
    doubled = np.flatnonzero(np.diff(along) < _SAME_PLACE_MM)
    if not len(doubled):
        return
    pairs = [(ordered[place].marks, ordered[place + 1].marks) for place in doubled]
    names = dict.fromkeys(name for one, other in pairs for name in one if one[name] != other.get(name))
    why = f"they differ in their {', '.join(names)}" if names else "several phases or echoes, or doubled files"
    place = ordered[int(doubled[0])], ordered[int(doubled[0]) + 1]
    where = "" if place[0].file == place[1].file else f", {place[0].file.name} and {place[1].file.name} for one"
    raise VolumeError(
        f"{len(doubled)} of {len(ordered)} slices {'lies' if len(doubled) == 1 else 'lie'} where another one lies"
        f"{where} ({why}); export one of them alone"
    )


def _slice_distance(along: NDArray[np.float64]) -> float:
    """Return the one distance between slices at the sorted places `along` the normal, mm."""
    if len(along) < 2:
        raise VolumeError("the series has only one slice; name the folder with all slices of the scan")
    steps = np.diff(along)
    usual = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - usual) > _UNEVEN * usual)
    if len(uneven):
        place = int(uneven[0])
        raise VolumeError(
            f"a slice is missing or out of place: {steps[place]:.2f} mm between slices {place + 1} and {place + 2}"
            f" where the others are {usual:.2f} mm apart; copy or export the series again"
        )
    return float(along[-1] - along[0]) / (len(along) - 1)
