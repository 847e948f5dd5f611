"""What leaves the body of an atrium, veins and appendage, each with one end.

The body is the mask opened by a ball. The distance from it, measured inside the mask, rises along each branch: its
peaks are the ends, and the saddles between them where branches fork.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtctl.geometry import Geometry, Mask
from mtctl.masks import largest_component

#: Side of the cells that branches are looked for in, mm.
CELL_MM = 1.5

#: What reaches less far out of the body, or beyond a fork, is a bulge, mm.
SHORTEST_MM = 7.0

_BALL_MM = (6.0, 10.0)
_BALL_SHARE = 0.6  # of the depth of the deepest point
_BODY_MARGIN_MM = 1.5


@dataclass(frozen=True)
class Branch:
    """A vein or the appendage.

    Attributes:
        points: Its cells (n, 3), LPS mm, with those of the trunk that it shares, if it is the longest of these.
        distance: How far each is from the body (n,), mm.
        start: From where on it is alone: the distance of the body (0) or of its last fork.
    """

    points: NDArray[np.float64]
    distance: NDArray[np.float64]
    start: float


@dataclass
class _Peak:
    """Cells around a largest distance; `fork` is the distance of the saddle to the farthest branch that joined it."""

    top: float
    cells: list[int] = field(default_factory=list)
    fork: float = 0.0


def branches_of(mask: Mask, geometry: Geometry) -> list[Branch]:
    """Return the branches of a mask (z, y, x); none where the mask has no body."""
    inside, to_index = _as_cubes(mask, geometry)
    far = _distance_from_body(inside)
    branches = []
    for peak in _peaks(far):
        cells = np.stack(np.unravel_index(peak.cells, far.shape), axis=1)
        points = geometry.index_to_physical((cells * to_index[0] + to_index[1])[:, ::-1])
        branches.append(Branch(points, far.reshape(-1)[peak.cells], peak.fork))
    return branches


def _as_cubes(mask: Mask, geometry: Geometry) -> tuple[Mask, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the mask in cubes, with a border around, and the scale and offset (z, y, x) from them to its index."""
    where = np.argwhere(mask)
    spacing = np.array(geometry.spacing[::-1])
    scale = CELL_MM / spacing
    offset = where.min(axis=0) - np.ceil(scale)
    shape = np.ceil((where.max(axis=0) - offset) / scale).astype(int) + 2
    blurred = ndimage.affine_transform(
        mask.astype(np.float32), scale, offset=offset, output_shape=tuple(shape.tolist()), order=1, mode="constant"
    )
    return blurred >= 0.5, (scale, offset)


def _distance_from_body(inside: Mask) -> NDArray[np.float64]:
    """Return how far each cell outside the body is from it, inside the mask, mm; 0 in the body and outside."""
    from skimage.graph import MCP_Geometric  # takes a moment to load

    depth = ndimage.distance_transform_edt(inside, sampling=CELL_MM)
    ball = float(np.clip(_BALL_SHARE * depth.max(), *_BALL_MM))
    core = largest_component(np.asarray(depth > ball))
    if not core.any():
        return np.zeros(inside.shape)
    body = inside & (ndimage.distance_transform_edt(~core, sampling=CELL_MM) <= ball + _BODY_MARGIN_MM)
    costs, _ = MCP_Geometric(np.where(inside, 1.0, -1.0)).find_costs(np.argwhere(body))
    return np.where(inside & np.isfinite(costs), costs * CELL_MM, 0.0)


def _peaks(far: NDArray[np.float64]) -> list[_Peak]:
    """Return the peaks of a map (z, y, x) that rise by SHORTEST_MM over the saddle to a higher one, or over 0.

    The map has a border of zeros.
    """
    flat = far.reshape(-1)
    order = np.argsort(-flat, kind="stable")
    _, ny, nx = far.shape
    steps = [(z * ny + y) * nx + x for z, y, x in product((-1, 0, 1), repeat=3) if (z, y, x) != (0, 0, 0)]
    peak_of: dict[int, _Peak] = {}
    found: list[_Peak] = []
    for cell in order[flat[order] > 0].tolist():
        height = float(flat[cell])
        around = {id(peak_of[cell + step]): peak_of[cell + step] for step in steps if cell + step in peak_of}
        highest, *lower = sorted(around.values(), key=lambda peak: -peak.top) or [_Peak(height)]
        for peak in lower:
            highest.fork = max(highest.fork, peak.fork)
            if peak.top - height >= SHORTEST_MM:
                peak.fork = max(peak.fork, height)
                highest.fork = max(highest.fork, height)
                found.append(_Peak(peak.top, list(peak.cells), peak.fork))
            for one in peak.cells:
                peak_of[one] = highest
            if peak.top - height < SHORTEST_MM:
                highest.cells += peak.cells
        peak_of[cell] = highest
        highest.cells.append(cell)
    found += [peak for peak in {id(peak): peak for peak in peak_of.values()}.values() if peak.top >= SHORTEST_MM]
    return found
