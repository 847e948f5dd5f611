"""The axes of a NRRD file: which of them are the patient's, and where they lie."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mtctl.geometry import IDENTITY, Geometry, VolumeError
from mtctl.io.formats.nrrd_fields import NrrdFields
from mtctl.io.formats.text_header import finite_numbers, numbers, whole_numbers
from mtctl.io.formats.volume_file import (
    DAMAGED_HEADER,
    NO_ORIGIN,
    check_count,
    check_position,
    check_spacing,
    millimetres,
)

# Signs that turn a space's coordinates into left, posterior, superior.
_SIGNS = {
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
}
_WITH_TIME = {"rast": "ras", "last": "las", "lpst": "lps"}
# Spaces that say nothing of the patient's left and right. ITK takes them for left, posterior, superior; so does this.
_UNNAMED = {"scanner-xyz", "3d-right-handed", "3d-left-handed"}
# Axes along which a patient extends; anything else is several values a voxel.
_SPATIAL_KINDS = {"domain", "space", "", "???", "none"}
_MOST_AXES = 16


@dataclass(frozen=True)
class NrrdAxes:
    """The axes of a NRRD file.

    Attributes:
        sizes: Of all axes, fastest first.
        value_axis: Number of the axis along which a voxel's values lie, or of one of a single value; None: none.
        geometry: The grid of the others, LPS mm.
        oriented: Whether the header says how the patient lies.
        remarks: What a person should know of them.
    """

    sizes: tuple[int, ...]
    value_axis: int | None
    geometry: Geometry
    oriented: bool
    remarks: tuple[str, ...]


def read_axes(header: NrrdFields) -> NrrdAxes:
    """Return the axes that a header describes.

    Raises:
        VolumeError: They are not three of space, or where they lie is not said or cannot be.
    """
    fields = header.fields
    dimension = whole_numbers(fields.get("dimension", ""))
    sizes = whole_numbers(fields.get("sizes", ""))
    if len(dimension) != 1 or len(sizes) != dimension[0] or not 1 <= dimension[0] <= _MOST_AXES:
        raise VolumeError(DAMAGED_HEADER)
    check_count(sizes)
    name, space, timed = _space(fields)
    vectors = _vectors(fields, len(sizes), space)
    value_axis = _value_axis(fields, sizes, vectors, timed)
    spatial = [axis for axis in range(len(sizes)) if axis != value_axis]
    size = (sizes[spatial[0]], sizes[spatial[1]], sizes[spatial[2]])
    scale, remarks = _scale(fields, spatial, vectors is not None)
    if name in _UNNAMED:
        remarks.append(
            f"the space '{name}' of its header does not say where left, back and head are; its axes were taken to run"
            " there: check left and right"
        )
    if vectors is not None and "spaceorigin" not in fields:
        remarks.append(NO_ORIGIN)
    if vectors is None:
        spacing = _chosen(numbers(fields.get("spacings", "")), spatial, len(sizes))
        check_spacing(spacing)
        origin = _mins(fields, spatial, len(sizes), spacing)
        direction: Sequence[float] = IDENTITY
    else:
        spacing, columns = _normalised([vectors[axis] for axis in spatial])
        origin = _origin(fields, space)
        signs = _SIGNS.get(name, (1, 1, 1))
        origin = [sign * value for sign, value in zip(signs, origin, strict=True)]
        direction = [signs[row] * columns[column][row] for row in range(3) for column in range(3)]
    spacing, origin = [scale * value for value in spacing], [scale * value for value in origin]
    check_position(origin)
    geometry = Geometry(size, (spacing[0], spacing[1], spacing[2]), (origin[0], origin[1], origin[2]), tuple(direction))
    oriented = name in _SIGNS or name in _UNNAMED
    return NrrdAxes(tuple(sizes), value_axis, geometry, oriented, tuple(remarks))


def _space(fields: dict[str, str]) -> tuple[str, int, bool]:
    """Return the space's name without time, the number of its coordinates (0: it has none), and whether one is time."""
    name = fields.get("space", "").lower()
    count = whole_numbers(fields.get("spacedimension", "0"))
    if len(count) != 1:
        raise VolumeError(DAMAGED_HEADER)
    if not name:
        return "", count[0], False
    timed = name.endswith("-time") or name in _WITH_TIME
    plain = _WITH_TIME.get(name, name.removesuffix("-time"))
    if plain not in _SIGNS and plain not in _UNNAMED:
        raise VolumeError(f"its header names a space that is not known here ('{name[:40]}'); export the scan again")
    if count[0] not in (0, 3 + timed):
        raise VolumeError(DAMAGED_HEADER)
    return plain, 3 + timed, timed


def _vectors(fields: dict[str, str], axes: int, space: int) -> list[list[float]] | None:
    """Return an axis' step in the coordinates of the space, for each axis, [] for "none"; None where none are given."""
    text = fields.get("spacedirections")
    if text is None:
        return None
    words = re.findall(r"\([^()]*\)|[^\s()]+", text)
    vectors = [[] if word.lower() == "none" else _vector(word) for word in words]
    if len(vectors) != axes or space == 0:
        raise VolumeError(DAMAGED_HEADER)
    # Some programs write not a number for "none".
    vectors = [[] if vector and all(math.isnan(value) for value in vector) else vector for vector in vectors]
    if any(vector and len(vector) != space for vector in vectors):
        raise VolumeError(DAMAGED_HEADER)
    if not all(math.isfinite(value) for vector in vectors for value in vector):
        raise VolumeError("the axis directions are not finite numbers; export the scan again from its source")
    if all(not vector for vector in vectors):
        return None
    return vectors


def _vector(word: str) -> list[float]:
    if not (word.startswith("(") and word.endswith(")")):
        raise VolumeError(DAMAGED_HEADER)
    return [value for part in word[1:-1].split(",") for value in _one(part)]


def _one(part: str) -> list[float]:
    values = numbers(part)
    if len(values) != 1:
        raise VolumeError(DAMAGED_HEADER)
    return values


def _value_axis(fields: dict[str, str], sizes: list[int], vectors: list[list[float]] | None, timed: bool) -> int | None:
    """Return the one axis that is none of space."""
    kinds = [kind.lower() for kind in fields.get("kinds", "").split()]
    if kinds and len(kinds) != len(sizes):
        raise VolumeError(DAMAGED_HEADER)
    others = [axis for axis, kind in enumerate(kinds) if kind not in _SPATIAL_KINDS]
    if vectors is not None:
        others += [axis for axis, vector in enumerate(vectors) if not vector or (timed and not any(vector[:3]))]
    others = sorted(set(others))
    if len(sizes) == 4 and not others:
        others = [axis for axis in (3, 0, 1, 2) if sizes[axis] == 1][:1]
    if len(sizes) - len(others) == 3 and len(others) <= 1:
        return others[0] if others else None
    if others and len(sizes) - len(others) < 3 and kinds and "time" not in [kinds[axis] for axis in others]:
        count = math.prod(sizes[axis] for axis in others)
        raise VolumeError(f"a colour or vector image ({count} values a voxel); save one grey value a voxel")
    what = "a single slice" if len(sizes) < 3 else "several volumes in one file"
    raise VolumeError(f"{len(sizes)}-D image ({what}); save one 3-D volume")


def _scale(fields: dict[str, str], spatial: list[int], oblique: bool) -> tuple[float, list[str]]:
    """Return the millimetres of a step of 1, and what a person should know of the unit."""
    if oblique:
        units = re.findall(r'"[^"]*"|\S+', fields.get("spaceunits", ""))[:3]
    else:
        listed_units = re.findall(r'"[^"]*"|\S+', fields.get("units", ""))
        units = [listed_units[axis] for axis in spatial if axis < len(listed_units)]
    scales = {millimetres(unit): unit.strip('"') for unit in units}
    if len(scales) > 1:
        raise VolumeError(f"its axes are in different units ({', '.join(scales.values())}); save it in mm")
    scale = next(iter(scales), 1.0)
    if scale == 1.0:
        return 1.0, []
    return scale, [f"the header gives distances in {scales[scale]}; they were turned into mm"]


def _normalised(vectors: list[list[float]]) -> tuple[list[float], list[list[float]]]:
    """Return the lengths of the axes' steps and the steps of length 1, computed as ITK does, to the last digit."""
    if any(any(vector[3:]) for vector in vectors):
        raise VolumeError("an axis runs through space and time at once; export the scan again from its source")
    spacing = []
    for x, y, z, *_ in vectors:
        spacing.append(math.sqrt(x * x + y * y + z * z))
    if not all(math.isfinite(length) for length in spacing):
        raise VolumeError("the axis directions are larger than any scan; export the scan again from its source")
    check_spacing(spacing)
    return spacing, [
        [value * (1.0 / length) for value in vector[:3]] for vector, length in zip(vectors, spacing, strict=True)
    ]


def _origin(fields: dict[str, str], space: int) -> list[float]:
    text = fields.get("spaceorigin")
    if text is None:
        return [0.0, 0.0, 0.0]
    vector = _vector(text.strip())
    if len(vector) != space:
        raise VolumeError(DAMAGED_HEADER)
    return finite_numbers(" ".join(repr(value) for value in vector[:3]), 3, "origin")


def _mins(fields: dict[str, str], spatial: list[int], axes: int, spacing: Sequence[float]) -> list[float]:
    """Return the centre of the first voxel of a file whose axes have no directions."""
    lowest = _chosen(numbers(fields.get("axismins", "")), spatial, axes)
    if len(lowest) != 3 or not all(math.isfinite(value) for value in lowest):
        return [0.0, 0.0, 0.0]
    centers = fields.get("centers", "").lower().split()
    return [
        value if len(centers) == axes and centers[axis] == "node" else value + step / 2
        for value, step, axis in zip(lowest, spacing, spatial, strict=True)
    ]


def _chosen(values: list[float], spatial: list[int], axes: int) -> list[float]:
    return [values[axis] for axis in spatial] if len(values) == axes else []
