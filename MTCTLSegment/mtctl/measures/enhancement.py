"""Late enhancement of the atrium's wall: the brightest point along the surface's normal, compared with the blood.

For research. It is no diagnosis: thresholds hold for the scanners, contrast agents and delays of the studies that they
are from, the wall is about as thick as a voxel, and what lies outside of it (aorta, oesophagus, fat) may be bright too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mtctl.geometry import Mask, Volume
from mtctl.measures.uncertain_mask import MeasureError
from mtctl.surfaces.mesh import TriangleMesh

#: Outward and inward search from the cavity's surface, mm, as in studies of King's College London with shells of the
#: cavity (Chubb et al., J Cardiovasc Magn Reson 2018;20:21) and in CemrgApp (Razeghi et al., SoftwareX 2020;12:100570).
OUTWARD_MM, INWARD_MM = 3.0, 1.0

#: The blood that is compared with lies so deep in the cavity at least, mm: no wall and no blurred border is in it.
BLOOD_DEPTH_MM = 5.0

_LEAST_BLOOD = 100  # voxels
_STEP_MM = 0.25
_LONGEST_MM = 10.0
_BIN = 0.05  # of the ratio, in the histogram
_BINS = 40


@dataclass(frozen=True)
class Threshold:
    """What counts as enhanced.

    Attributes:
        name: Short, for tables.
        source: Who uses it.
        ratio: Of the intensity to the mean of the blood; None where deviations count.
        deviations: So many standard deviations of the blood above its mean; None where the ratio counts.
    """

    name: str
    source: str
    ratio: float | None = None
    deviations: float | None = None

    def ratio_for(self, blood: BloodPool) -> float:
        """Return the ratio that this is in a scan with that blood."""
        if self.ratio is not None:
            return self.ratio
        return 1 + (self.deviations or 0.0) * blood.deviation / blood.mean


#: Of the ratio of intensities: one that goes with a bipolar voltage below 0.5 mV (75 patients before ablation, 1.5 T);
#: the upper limit of the healthy (mean and 2 SD of volunteers, at 3 T; 1.21 at 1.5 T, Int J Cardiovasc Imaging
#: 2020;36:513); and dense scar. Of deviations: a usual number that nobody validated, and the one that fits the volume
#: of scars 8 weeks after ablation in the histology of pigs' right atria best.
THRESHOLDS = (
    Threshold("IIR > 0.97", "Khurram et al., Heart Rhythm 2014;11:85 (bipolar voltage below 0.5 mV)", ratio=0.97),
    Threshold("IIR > 1.20", "Benito et al., Europace 2017;19:1272 (upper limit of healthy volunteers)", ratio=1.20),
    Threshold("IIR > 1.32", "Benito et al., Europace 2017;19:1272 (dense scar)", ratio=1.32),
    Threshold("blood + 2 SD", "a usual number of deviations, not validated", deviations=2.0),
    Threshold("blood + 3.3 SD", "Harrison et al., Eur Heart J 2014;35:1486 (scar of ablation, pigs)", deviations=3.3),
)


@dataclass(frozen=True)
class BloodPool:
    """The grey values of the blood deep in the cavity: mean, standard deviation and number of voxels."""

    mean: float
    deviation: float
    voxels: int

    @classmethod
    def of(cls, scan: Volume, mask: Mask) -> BloodPool:
        """Measure the blood of a mask (z, y, x) on the grid of its scan.

        Raises:
            MeasureError: The mask is empty, or the blood is not brighter than 0: this is no such scan.
        """
        if mask.shape != scan.geometry.shape:
            raise MeasureError(
                f"the mask has {mask.shape} voxels, the scan {scan.geometry.shape} (z, y, x): they are not of one "
                "case, or the mask has to be resampled to the scan first"
            )
        if not mask.any():
            raise MeasureError("the mask is empty: there is no blood in it to compare the wall with")
        depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=scan.geometry.spacing[::-1])[1:-1, 1:-1, 1:-1]
        deep = depth >= BLOOD_DEPTH_MM
        if np.count_nonzero(deep) < _LEAST_BLOOD:
            deep = depth >= float(depth.max()) / 2
        values = scan.array[deep].astype(np.float64)
        mean = float(values.mean())
        if not mean > 0:
            raise MeasureError(
                f"the blood has a mean grey value of {mean:g}: ratios need values above 0 with 0 as no signal; give "
                "the scan as the scanner made it, not one of normalised grey values"
            )
        return cls(mean, float(values.std()), len(values))


@dataclass(frozen=True)
class WallShell:
    """Where the wall is looked for: so many mm outward and inward of the cavity's surface.

    Raises:
        MeasureError: A distance is negative or too long, or both are 0.
    """

    outward_mm: float = OUTWARD_MM
    inward_mm: float = INWARD_MM

    def __post_init__(self) -> None:
        for name, value in (("outward", self.outward_mm), ("inward", self.inward_mm)):
            if not 0 <= value <= _LONGEST_MM:
                raise MeasureError(f"the wall is looked for {value:g} mm {name}; give 0 to {_LONGEST_MM:g} mm")
        if self.outward_mm + self.inward_mm == 0:
            raise MeasureError("the wall is looked for 0 mm outward and inward; give one of them")

    def depths(self) -> NDArray[np.float64]:
        """Return the depths that are looked at, mm, negative inward."""
        count = round((self.outward_mm + self.inward_mm) / _STEP_MM) + 1
        return np.linspace(-self.inward_mm, self.outward_mm, max(count, 2))


@dataclass(frozen=True)
class Enhancement:
    """The enhancement of a wall at the vertices of a surface.

    Attributes:
        mesh: The surface.
        body: Whether a vertex (n,) belongs to the atrium's body: not to a vein's end or the mitral plane.
        ratio: Of each vertex (n,) the largest intensity along its normal, divided by the mean of the blood.
    """

    mesh: TriangleMesh
    body: NDArray[np.bool_]
    ratio: NDArray[np.float32]

    @property
    def areas(self) -> NDArray[np.float64]:
        """Share (n,) of each vertex in the surface, mm2: a third of every triangle at it; 0 where it does not count."""
        shares = np.repeat(self.mesh.areas() / 3, 3)
        return np.asarray(
            np.bincount(self.mesh.triangles.ravel(), shares, len(self.mesh.points)) * self.body, np.float64
        )

    def percent_above(self, ratio: float) -> float:
        """Return how much of the body's surface has a larger ratio, in percent of its area."""
        areas = self.areas
        return float(100 * areas[self.ratio > ratio].sum() / areas.sum())

    def borders_mm(self, ratio: float) -> NDArray[np.float64]:
        """Return of each connected area with a larger ratio how long its border is, mm, within the body."""
        counted = self.mesh.triangles[self.body[self.mesh.triangles].all(axis=1)]
        above = self.ratio[counted] > ratio
        count = above.sum(axis=1)
        mixed = (count == 1) | (count == 2)
        triangles, above, count = counted[mixed], above[mixed], count[mixed]
        alone = np.argmax(above == (count == 1)[:, np.newaxis], axis=1)  # the corner on the other side than two
        first, second, third = (triangles[np.arange(len(triangles)), (alone + turn) % 3] for turn in range(3))
        ends = [self._crossing(first, other, ratio) for other in (second, third)]
        lengths = np.linalg.norm(ends[1] - ends[0], axis=1)
        areas = self._areas_above(counted, ratio)
        return np.asarray(np.bincount(areas[np.where(count == 1, first, second)], lengths), np.float64)

    def _areas_above(self, triangles: NDArray[np.int64], ratio: float) -> NDArray[np.int64]:
        """Return of each vertex (n,) the number of the connected area with a larger ratio in which it lies."""
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        edges = edges[(self.ratio[edges] > ratio).all(axis=1)]
        count = len(self.ratio)
        graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
        return np.asarray(connected_components(graph, directed=False)[1], np.int64)

    def _crossing(self, start: NDArray[np.int64], end: NDArray[np.int64], ratio: float) -> NDArray[np.float64]:
        """Return the points (m, 3) between two vertices where the ratio is reached."""
        low, high = self.ratio[start].astype(np.float64), self.ratio[end].astype(np.float64)
        share = ((ratio - low) / (high - low))[:, np.newaxis]
        return self.mesh.points[start] * (1 - share) + self.mesh.points[end] * share

    @property
    def body_cm2(self) -> float:
        """Area of the surface that counts."""
        return float(self.areas.sum() / 100)

    def histogram(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the edges (n + 1,) of classes of the ratio and the percentage of the body's surface in each (n,).

        The first and the last class hold what lies beyond.
        """
        edges = np.arange(_BINS + 1, dtype=np.float64) * _BIN
        areas = self.areas
        found = np.clip((self.ratio / _BIN).astype(np.int64), 0, _BINS - 1)
        percent = 100 * np.bincount(found, areas, minlength=_BINS) / areas.sum()
        return edges, np.asarray(percent, np.float64)


def wall_enhancement(
    scan: Volume, mesh: TriangleMesh, blood: BloodPool, body: Any = None, shell: WallShell = WallShell()
) -> Enhancement:
    """Measure the enhancement of the wall along the normals of a surface.

    Args:
        scan: Grey values, (z, y, x).
        mesh: Surface of the cavity, outward normals; LPS mm.
        blood: What to compare with.
        body: Whether each vertex (n,) counts; None: all do.
        shell: Where to look.

    Raises:
        MeasureError: The surface lies outside the scan, or no vertex counts.
    """
    counted = np.ones(len(mesh.points), dtype=bool) if body is None else np.asarray(body, dtype=bool)
    if counted.shape != (len(mesh.points),):
        raise MeasureError(f"{counted.size} marks for {len(mesh.points)} vertices: give one a vertex")
    if not counted.any():
        raise MeasureError("no part of the surface counts as the atrium's body; draw its openings smaller")
    index = scan.geometry.physical_to_index(mesh.points)
    if not ((index > -1) & (index < scan.geometry.size)).all(axis=1).any():
        raise MeasureError("the surface lies outside the scan: they are not of one case")
    normals, array = mesh.normals(), scan.array.astype(np.float32, copy=False)
    brightest = np.full(len(mesh.points), -np.inf, dtype=np.float32)
    for depth in shell.depths():
        index = scan.geometry.physical_to_index(mesh.points + depth * normals)[:, ::-1].T
        np.maximum(brightest, ndimage.map_coordinates(array, index, order=1, mode="nearest"), out=brightest)
    return Enhancement(mesh, counted, (brightest / blood.mean).astype(np.float32))
