"""Where the voxels of a MetaImage file lie, by its header."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtctl.geometry import Geometry, VolumeError
from mtctl.io.formats.text_header import finite_numbers, numbers, whole_numbers
from mtctl.io.formats.volume_file import (
    DAMAGED_HEADER,
    NO_ORIGIN,
    check_count,
    check_position,
    check_spacing,
    listed,
    millimetres,
)

# Names of one thing each, all of which are in use.
_DIRECTIONS = ("TransformMatrix", "Rotation", "Orientation")
_ORIGINS = ("Offset", "Position", "Origin")

_MOST_AXES = 10  # of the format
_SLIGHT = 1e-3


@dataclass(frozen=True)
class MetaImageAxes:
    """The grid of a MetaImage file.

    Attributes:
        sizes: Of its axes x, y, z.
        geometry: Where they lie, LPS mm.
        oriented: Whether the header says how the patient lies.
        remarks: What a person should know of them.
    """

    sizes: tuple[int, int, int]
    geometry: Geometry
    oriented: bool
    remarks: tuple[str, ...]


def read_axes(fields: Mapping[str, str]) -> MetaImageAxes:
    """Return the grid that a header describes; further axes of one entry, such as a single time point, are left out.

    Raises:
        VolumeError: It is not of three dimensions, or where it lies is not said or cannot be.
    """
    dimensions, sizes = whole_numbers(fields["NDims"]), whole_numbers(fields.get("DimSize", ""))
    if len(dimensions) != 1 or not 1 <= dimensions[0] <= _MOST_AXES or len(sizes) != dimensions[0]:
        raise VolumeError(DAMAGED_HEADER)
    check_count(sizes)
    axes = len(sizes)
    if axes < 3 or math.prod(sizes[3:]) != 1:
        what = "a single slice" if axes < 3 else "several volumes in one file"
        raise VolumeError(f"{axes}-D image ({what}); save one 3-D volume")
    spacing = numbers(fields["ElementSpacing"] if "ElementSpacing" in fields else fields.get("ElementSize", ""))
    if len(spacing) != axes:
        spacing = []
    check_spacing(spacing[:3])
    if min(spacing[:3]) < 0:
        raise VolumeError(f"a voxel spacing of {listed(spacing[:3])} mm is impossible; export the scan again")
    direction = _direction(fields, axes)
    origin_text = _one_of(fields, _ORIGINS)
    origin = [0.0] * 3 if origin_text is None else finite_numbers(origin_text, axes, "origin")[:3]
    unit = fields.get("DistanceUnits", "")
    scale = millimetres(unit)
    remarks = [] if scale == 1.0 else [f"the header gives distances in {unit}; they were turned into mm"]
    spacing, origin = [scale * value for value in spacing[:3]], [scale * value for value in origin]
    check_position(origin)
    if direction is not None and origin_text is None:
        remarks.append(NO_ORIGIN)
    said = fields.get("AnatomicalOrientation", "").upper()
    if direction is not None and len(said) == 3 and set(said) <= set("RAILPS") and _contradicts(said, direction):
        remarks.append(
            f"the header calls its orientation {said}, but its axis directions say another, which was taken: check left"
            " and right"
        )
    geometry = Geometry(
        (sizes[0], sizes[1], sizes[2]),
        (spacing[0], spacing[1], spacing[2]),
        (origin[0], origin[1], origin[2]),
        tuple((np.eye(3).ravel() if direction is None else direction).tolist()),
    )
    return MetaImageAxes(geometry.size, geometry, direction is not None, tuple(remarks))


def _direction(fields: Mapping[str, str], axes: int) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """Return the direction cosines as `Geometry` has them; None where the header gives none."""
    text = _one_of(fields, _DIRECTIONS)
    if text is None:
        return None
    values = numbers(text)
    if len(values) != axes * axes:
        raise VolumeError(DAMAGED_HEADER)
    if not all(math.isfinite(value) for value in values):
        raise VolumeError("the axis directions are not finite numbers; export the scan again from its source")
    matrix = np.array(values).reshape(axes, axes)  # a row is the direction of an axis
    if matrix[:3, 3:].any() or matrix[3:, :3].any():
        raise VolumeError("an axis runs through space and time at once; export the scan again from its source")
    return np.ascontiguousarray(matrix[:3, :3].T).ravel()


def _one_of(fields: Mapping[str, str], names: Sequence[str]) -> str | None:
    """Return the value that a header gives under one of several names.

    Raises:
        VolumeError: It gives different ones.
    """
    given = [name for name in names if name in fields]
    if not given:
        return None
    if any(numbers(fields[name]) != numbers(fields[given[0]]) for name in given[1:]):
        raise VolumeError(f"its header says where it lies twice, differently ({', '.join(given)}); export it again")
    return fields[given[0]]


def _contradicts(said: str, direction: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Return whether an axis does not run away from where the header's letters say that it comes from."""
    columns = direction.reshape(3, 3).T
    return any(
        column["RAI".find(letter)] <= _SLIGHT if letter in "RAI" else -column["LPS".find(letter)] <= _SLIGHT
        for letter, column in zip(said, columns, strict=True)
    )
