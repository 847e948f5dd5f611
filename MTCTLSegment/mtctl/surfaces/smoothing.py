"""The smooth closed surface of a mask, of the mask's own volume.

It is a level set of the mask's signed distance, blurred: a surface that runs through each cell of a grid on its own
cannot cut itself, which one whose points are moved (windowed sinc, Laplace) can. Blurring draws tight curves inwards,
by half the variance times the curvature (0.1 mm for a vein of 10 mm); the level is chosen so that the volume stays.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.geometry import Geometry, Mask, VolumeError
from mtctl.masks import surface_distance
from mtctl.surfaces.mesh import SurfaceError, TriangleMesh

#: Standard deviation of the blur, mm: takes away the steps of voxels of 0.6 to 1.3 mm, keeps a vein of 5 mm.
SMOOTHING_MM = 1.0

#: Longest side of the cells that the surface is made in, mm: an atrium has about 50,000 triangles then.
CELL_MM = 1.0

#: The volume that is left to be wrong, as a share.
VOLUME_TOLERANCE = 0.001

_DEPTH_MM = 4.0  # of the signed distance beside the surface; beyond, it is held
_STEPS_PER_VOXEL = 0.6  # of blur, where voxels are so large that SMOOTHING_MM would leave their steps
_NEAREST = 0.02  # of a cell: no vertex lies nearer to a grid point, where triangles would have no area
_MOST_TRIES = 30


def smoothed_surface(mask: Mask, geometry: Geometry) -> TriangleMesh:
    """Return the closed, smooth surface of a mask; it does not cut itself and encloses the mask's volume within 1 %.

    Every part of the mask has its surface, and every hollow that it encloses. A part of a voxel or two may lose its
    surface where others are large: its volume goes to them.

    Args:
        mask: (z, y, x).
        geometry: Its grid, in any direction.

    Raises:
        SurfaceError: The mask is empty.
        VolumeError: Mask and grid do not belong together.
    """
    if mask.shape != geometry.shape:
        raise VolumeError(f"mask of {mask.shape} voxels on a grid of {geometry.shape} (z, y, x)")
    if not mask.any():
        raise SurfaceError("the segmentation is empty: it has no surface")
    field, low, step = _signed_distance(np.asarray(mask, dtype=bool), geometry)
    wanted = int(mask.sum()) * geometry.voxel_ml
    mesh = _of_volume(field, step, wanted)
    # Cells are counted from the first, in mm along the mask's axes.
    index = mesh.points[:, ::-1] / geometry.spacing + low
    points = geometry.index_to_physical(index)
    mirrored = np.linalg.det(geometry.matrix) < 0
    return TriangleMesh(points, np.ascontiguousarray(mesh.triangles[:, ::-1]) if mirrored else mesh.triangles)


def _signed_distance(mask: Mask, geometry: Geometry) -> tuple[NDArray[np.float32], NDArray[np.float64], float]:
    """Return the blurred signed distance (z, y, x) in mm, positive inside, on a grid of cubes.

    Returns:
        The field; the index (x, y, z) in the mask of its first point; the side of its cells in mm.
    """
    spacing = np.array(geometry.spacing[::-1])
    sigma = np.maximum(SMOOTHING_MM, _STEPS_PER_VOXEL * spacing)
    depth = max(_DEPTH_MM, 1.5 * float(spacing.max()))
    # The blur reaches four standard deviations; beyond there has to be a border that is outside.
    margin = np.ceil((depth + 4 * sigma) / spacing).astype(int) + 1
    where = np.argwhere(mask)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    inner = mask[tuple(slice(start, end) for start, end in zip(low, high, strict=True))]
    padded = np.pad(inner, [(count, count) for count in margin.tolist()])
    z, y, x = spacing.tolist()
    distance = np.minimum(surface_distance(padded, (z, y, x), depth), np.float32(depth))
    signed = np.where(padded, distance, -distance)
    step = min(CELL_MM, max(z, y, x))
    shape = tuple(int(length / step) + 1 for length in ((np.array(signed.shape) - 1) * spacing).tolist())
    signed = ndimage.affine_transform(signed, step / spacing, output_shape=shape, order=1, mode="nearest")
    return ndimage.gaussian_filter(signed, sigma / step), (low - margin)[::-1].astype(np.float64), step


def _of_volume(field: NDArray[np.float32], step: float, wanted_ml: float) -> TriangleMesh:
    """Return the level set of a field that encloses a volume; points in mm along the field's axes z, y, x."""
    bottom, top = float(field.min()), float(field.max())
    level = 0.0 if bottom < 0 < top else (bottom + top) / 2
    best, error = None, math.inf
    for _ in range(_MOST_TRIES):
        mesh = _level_set(field, level, step)
        volume = abs(mesh.volume_ml())  # of points whose axes run z, y, x: the sign is the other way round
        if abs(volume - wanted_ml) < error:
            best, error = mesh, abs(volume - wanted_ml)
        if error <= VOLUME_TOLERANCE * wanted_ml:
            break
        bottom, top = (level, top) if volume > wanted_ml else (bottom, level)
        # Moved along its normals, the surface's volume changes by its area; where that leads astray, halve.
        area = float(mesh.areas().sum())
        level += 1000 * (volume - wanted_ml) / area if area else 0.0
        if not bottom < level < top:
            level = (bottom + top) / 2
    assert best is not None
    return best


def _level_set(field: NDArray[np.float32], level: float, step: float) -> TriangleMesh:
    from skimage.measure import marching_cubes  # takes 0.3 s to load

    above = (field - np.float32(level)) / step
    above = np.where(above < 0, np.minimum(above, -_NEAREST), np.maximum(above, _NEAREST))
    points, triangles, _, _ = marching_cubes(above, 0.0)
    return TriangleMesh(points.astype(np.float64) * step, triangles.astype(np.int64))
