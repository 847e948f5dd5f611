"""A volume's values at the points of a surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.geometry import Volume
from mtctl.surfaces.mesh import TriangleMesh

#: How far to either side of the surface the mean is taken. At the surface itself the network is undecided everywhere;
#: how far that reaches tells a sharp border from a doubtful one.
DEPTH_MM = 3.0
_SAMPLES = 7


def mean_across(volume: Volume, mesh: TriangleMesh) -> NDArray[np.float64]:
    """Return the mean of a volume within DEPTH_MM to either side of a surface, at each of its points (N,)."""
    normals, total = mesh.normals(), np.zeros(len(mesh.points))
    for depth in np.linspace(-DEPTH_MM, DEPTH_MM, _SAMPLES):
        index = volume.geometry.physical_to_index(mesh.points + depth * normals)[:, ::-1].T
        total += ndimage.map_coordinates(volume.array, index, output=np.float64, order=1, mode="nearest")
    return total / _SAMPLES
