"""Volumes, masks and maps, and where their voxels lie in the patient: the data that all of the engine shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtctl.errors import MtctlError

if TYPE_CHECKING:  # SimpleITK takes half a second to load: where an image is read or written, and not before.
    import SimpleITK as sitk

Triple = tuple[float, float, float]

#: Voxels that are true inside, (z, y, x).
Mask = NDArray[np.bool_]

#: One number a voxel, (z, y, x) where nothing else is said.
Map = NDArray[np.float32]

Extent = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

#: Positions of one grid that different programs wrote differ by less, mm.
SAME_GRID_MM = 1e-3

# DICOM and NIfTI write direction cosines rounded: three decimals leave 3e-4 in D'D, a gantry tilt of 1 degree 2e-2.
_ORTHONORMAL_TOLERANCE = 1e-3


#: More voxels than any scan has, and farther than any voxel lies: a grid that was read from a document is within.
_MOST_VOXELS = 1 << 33
_FARTHEST_MM = 1e7


class VolumeError(MtctlError):
    """A file, folder or array cannot be used as a volume."""


@dataclass(frozen=True)
class Geometry:
    """The grid of a volume in the patient's LPS space.

    Attributes:
        size: Number of voxels along the axes x, y, z of the array (reverse of its numpy shape).
        spacing: Distance of voxel centres along these axes, mm.
        origin: Centre of the voxel (0, 0, 0), LPS mm.
        direction: 3x3 matrix, row by row; its columns are the directions of the axes in LPS.

    Raises:
        VolumeError: The spacing is not positive, or something is not finite or not orthonormal.
    """

    size: tuple[int, int, int]
    spacing: Triple
    origin: Triple
    direction: tuple[float, ...] = IDENTITY

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in self.direction):
            raise VolumeError("the axis directions are not finite numbers; export the scan again from its source")
        if not all(math.isfinite(value) for value in self.origin):
            raise VolumeError("the origin is not finite; export the scan again from its source")
        if not all(math.isfinite(value) and value > 0 for value in self.spacing):
            raise VolumeError(
                f"a voxel spacing of {sides(self.spacing)} mm is impossible; export the scan again with its spacing"
            )
        matrix = self.matrix
        if np.abs(matrix.T @ matrix - np.eye(3)).max() > _ORTHONORMAL_TOLERANCE:
            raise VolumeError(
                "the axes are not at right angles (sheared or tilted scan); resample it to a rectangular grid first"
            )

    @classmethod
    def from_json(cls, values: Any) -> Geometry:
        """Return the grid that `to_json` wrote.

        Raises:
            VolumeError: The values are not the geometry of a volume.
        """
        try:
            size, spacing, origin, direction = (values[key] for key in ("size", "spacing", "origin", "direction"))
            x, y, z = (int(count) for count in size)
            spacing, origin, direction = (tuple(float(v) for v in axis) for axis in (spacing, origin, direction))
            if len(spacing) != 3 or len(origin) != 3 or len(direction) != 9:
                raise ValueError("3 spacings, 3 coordinates of the origin and 9 direction cosines are needed")
            if min(x, y, z) < 1 or x * y * z > _MOST_VOXELS:
                raise ValueError("the numbers of voxels are not those of a scan")
            if max(map(abs, (*spacing, *origin))) > _FARTHEST_MM:
                raise ValueError("the spacing or the origin is none of a patient's scan")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise VolumeError(f"the scan's geometry is not usable: {type(error).__name__}: {error}") from error
        return cls((x, y, z), spacing, origin, direction)

    def to_json(self) -> dict[str, Any]:
        """Return the four attributes by name, to be written as JSON; floats survive to the last digit."""
        return asdict(self)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (z, y, x) of the array that belongs to this grid."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return math.prod(self.spacing) / 1000.0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """`direction` as an array (3, 3)."""
        return np.array(self.direction, dtype=np.float64).reshape(3, 3)

    def index_to_physical(self, index: ArrayLike) -> NDArray[np.float64]:
        """Return the LPS mm of voxel indices [..., 3] in x, y, z order; fractions are allowed."""
        scaled = np.asarray(index, dtype=np.float64) * self.spacing
        return np.asarray(scaled @ self.matrix.T + self.origin, dtype=np.float64)

    def physical_to_index(self, point: ArrayLike) -> NDArray[np.float64]:
        """Return the fractional voxel indices [..., 3] in x, y, z order of LPS points in mm."""
        offset = np.asarray(point, dtype=np.float64) - self.origin
        return np.asarray(offset @ np.linalg.inv(self.matrix).T / self.spacing, dtype=np.float64)

    def extent(self) -> Extent:
        """Return the LPS box ((x0, x1), (y0, y1), (z0, z1)) of the voxel centres, mm."""
        corners = self.index_to_physical(list(product(*[(0, count - 1) for count in self.size])))
        low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return (low[0], high[0]), (low[1], high[1]), (low[2], high[2])

    def window(self, start: tuple[int, int, int], size: tuple[int, int, int]) -> Geometry:
        """Return the grid of the part that begins at index `start` (x, y, z) and has `size` (x, y, z) voxels."""
        origin = self.index_to_physical(start).tolist()
        return Geometry(size, self.spacing, (origin[0], origin[1], origin[2]), self.direction)


@dataclass(frozen=True)
class Volume:
    """Voxels and where they are.

    Attributes:
        array: Values, (z, y, x).
        geometry: Its grid; `geometry.shape == array.shape`.
    """

    array: NDArray[Any]
    geometry: Geometry

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape:
            raise VolumeError(f"array of {self.array.shape} voxels on a grid of {self.geometry.shape} (z, y, x)")


def with_spacing(volume: Volume, spacing: Triple) -> Volume:
    """Return the same voxels at other distances, for a file whose header says them wrongly.

    The axes' directions stay, and the centre of the first voxel.

    Args:
        volume: As the file has it.
        spacing: Of the voxels' centres along the array's axes x, y, z, mm.
    """
    return Volume(volume.array, replace(volume.geometry, spacing=spacing))


def same_grid(first: Geometry, second: Geometry, tolerance_mm: float = SAME_GRID_MM) -> bool:
    """Return whether two grids are one, written by different programs.

    Args:
        first: One grid.
        second: The other.
        tolerance_mm: By how much spacing and origin may differ; direction cosines by the same number.
    """
    return first.size == second.size and all(
        np.allclose(getattr(first, name), getattr(second, name), atol=tolerance_mm)
        for name in ("spacing", "origin", "direction")
    )


def same_place(first: Geometry, second: Geometry, tolerance_mm: float = SAME_GRID_MM) -> bool:
    """Return whether every voxel of one grid lies where that of the other does.

    Stricter than `same_grid`: a scan that was turned a little in the scene has moved, by whichever number it shows.

    Args:
        first: One grid.
        second: The other.
        tolerance_mm: By how much the corners of the grids may lie apart.
    """
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(first.size) - 1)
    return first.size == second.size and np.allclose(
        first.index_to_physical(corners), second.index_to_physical(corners), rtol=0, atol=tolerance_mm
    )


def to_image(volume: Volume) -> sitk.Image:
    """Return a copy of the volume as a SimpleITK image."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.geometry.spacing)
    image.SetOrigin(volume.geometry.origin)
    image.SetDirection(volume.geometry.direction)
    return image


def from_image(image: sitk.Image) -> Volume:
    """Return a copy of a 3-D SimpleITK image.

    Raises:
        VolumeError: The image's geometry is impossible.
    """
    import SimpleITK as sitk

    geometry = Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    return Volume(sitk.GetArrayFromImage(image), geometry)


def spacing_text(spacing: Sequence[float]) -> str:
    """Return a spacing as `io.given_spacing.parse_spacing` takes it, such as "0.625,0.625,1.25"."""
    return ",".join(f"{value:.5g}" for value in spacing)


def sides(values: Iterable[float]) -> str:
    """Return lengths or counts along axes as people write them, such as "0.625 x 0.625 x 1.25"."""
    return " x ".join(f"{value:g}" for value in values)
