"""Slightly turned and scaled views of a volume: what the network says of each is turned back and averaged.

The views stay within what the network was trained with (20 degrees about z, 12 about x, zoom 0.8 to 1.2). No view is
flipped: the network saw no mirrored thorax, and flipped views lower the Dice. On cases 67-80 of the benchmark's
training list, mtctl-la16's f1 reaches a mean Dice of 91.29 in the straight view alone and 91.44 in all five, among
which the Monte-Carlo samples take turns (Testing/benchmarks/RESULTS.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mtctl.geometry import Map, Triple


@dataclass(frozen=True)
class View:
    """How the network gets to see a volume.

    Attributes:
        about_z, about_x: Turn in degrees, about z first.
        zoom: Above 1 the atrium looks larger.
    """

    about_z: float = 0.0
    about_x: float = 0.0
    zoom: float = 1.0

    def of(self, volume: Map, voxel_mm: Triple) -> Map:
        """Return the volume (z, y, x) in this view, same shape; beyond its border the outermost voxels go on.

        Args:
            volume: (z, y, x).
            voxel_mm: (z, y, x) size of its voxels: it is turned in mm.
        """
        return _resampled(volume, self._matrix(voxel_mm))

    def back(self, seen: Map, voxel_mm: Triple) -> Map:
        """Return a map (z, y, x) of this view turned back onto the volume; arguments as for `of`."""
        return _resampled(seen, np.linalg.inv(self._matrix(voxel_mm)))

    def _matrix(self, voxel_mm: Triple) -> NDArray[np.float64]:
        """Return the matrix from a voxel offset (z, y, x) to the middle in the view to that in the volume."""
        voxel = np.array(voxel_mm)
        in_mm = _turn(0, self.about_z) @ _turn(2, self.about_x) / self.zoom
        return in_mm * voxel[None, :] / voxel[:, None]


#: A card says how many of them are used, from the first on.
VIEWS = (View(), View(8, 5, 0.95), View(-8, 5, 1.05), View(8, -5, 1.05), View(-8, -5, 0.95))


def _turn(axis: int, degrees: float) -> NDArray[np.float64]:
    matrix = np.eye(3)
    first, second = (i for i in range(3) if i != axis)
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    matrix[[first, first, second, second], [first, second, first, second]] = (cosine, -sine, sine, cosine)
    return matrix


def _resampled(volume: Map, matrix: NDArray[np.floating]) -> Map:
    if np.array_equal(matrix, np.eye(3)):
        return volume
    # torch counts axes from the last one, and from -1 to 1 between the middles of the outermost voxels.
    half = (np.array(volume.shape[::-1]) - 1) / 2
    theta = np.zeros((3, 4))
    theta[:, :3] = matrix[::-1, ::-1] * half[None, :] / half[:, None]
    grid = functional.affine_grid(torch.from_numpy(theta[None]).float(), [1, 1, *volume.shape], align_corners=True)
    source = torch.from_numpy(np.ascontiguousarray(volume, dtype=np.float32))[None, None]
    return functional.grid_sample(source, grid, padding_mode="border", align_corners=True)[0, 0].numpy()
