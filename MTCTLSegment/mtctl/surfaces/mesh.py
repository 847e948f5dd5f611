"""Surfaces as points and triangles: what all that measures, cuts and writes surfaces shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtctl.errors import MtctlError


class SurfaceError(MtctlError):
    """There is no surface, or one that cannot be used."""


@dataclass(frozen=True)
class TriangleMesh:
    """A surface in the patient's space.

    Attributes:
        points: Vertices (N, 3), LPS mm, float64.
        triangles: Numbers of the vertices (M, 3), counter-clockwise as seen from outside.
    """

    points: NDArray[np.float64]
    triangles: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name, array in (("points", self.points), ("triangles", self.triangles)):
            if array.ndim != 2 or array.shape[1] != 3:
                raise ValueError(f"{name} have the shape {array.shape}; (n, 3) is needed")
        if self.triangles.size and not 0 <= self.triangles.min() <= self.triangles.max() < len(self.points):
            raise ValueError("a triangle names a vertex that there is not")

    @property
    def corners(self) -> NDArray[np.float64]:
        """The triangles' corners (M, 3 corners, 3), LPS mm."""
        return self.points[self.triangles]

    def area_vectors(self) -> NDArray[np.float64]:
        """Return each triangle's outward normal times its area (M, 3), mm2."""
        first, second, third = np.moveaxis(self.corners, 1, 0)
        return np.asarray(np.cross(second - first, third - first) / 2)

    def areas(self) -> NDArray[np.float64]:
        """Return each triangle's area (M,), mm2."""
        return np.asarray(np.linalg.norm(self.area_vectors(), axis=1))

    def volume_ml(self) -> float:
        """Return the volume that a closed surface encloses, negative where its triangles face inward (Gauss)."""
        if not len(self.triangles):
            return 0.0
        centred = TriangleMesh(self.points - self.points.mean(axis=0), self.triangles)
        return float((centred.corners.mean(axis=1) * centred.area_vectors()).sum() / 3 / 1000)

    def normals(self) -> NDArray[np.float64]:
        """Return the outward unit normal at each vertex (N, 3): that of its triangles, weighted by area."""
        total = np.zeros_like(self.points)
        vectors = self.area_vectors()
        for corner in range(3):
            np.add.at(total, self.triangles[:, corner], vectors)
        return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)

    def part(self, keep: NDArray[np.bool_]) -> tuple[TriangleMesh, NDArray[np.int64]]:
        """Return the triangles that `keep` (M,) names, and the numbers that their vertices had."""
        triangles = self.triangles[keep]
        used, renamed = np.unique(triangles, return_inverse=True)
        return TriangleMesh(self.points[used], renamed.reshape(-1, 3)), used
