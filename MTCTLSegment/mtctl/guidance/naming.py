"""What a clinician calls a place of the left atrium, where its direction from the middle tells; else its nearest wall.

The directions are those of the heart in the chest: the pulmonary veins open backwards at both sides, the mitral plane
faces forwards, down and to the left, the appendage lies in front at the upper left. A place within the body of the
atrium gets the name of the wall that it is nearest to. No torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtctl.geometry import Geometry, Mask, Triple

#: A vein's or the appendage's name needs a place so far out: in units of the atrium's spread along that direction.
_FAR_OUT = 1.6


@dataclass(frozen=True)
class _Landmark:
    """A structure, the direction (LPS) from the atrium's middle to it, and how near to that a place has to lie."""

    name: str
    direction: Triple
    cosine: float


#: +x to the patient's left, +y backwards, +z upwards.
_FAR = (
    _Landmark("right superior vein", (-0.85, 0.25, 0.45), 0.85),
    _Landmark("right inferior vein", (-0.8, 0.45, -0.4), 0.85),
    _Landmark("left superior vein", (0.75, 0.4, 0.55), 0.85),
    _Landmark("left inferior vein", (0.75, 0.6, -0.25), 0.85),
    _Landmark("appendage", (0.7, -0.5, 0.5), 0.8),
    _Landmark("mitral plane", (0.45, -0.6, -0.65), 0.75),
)
_WALLS = (
    _Landmark("mitral plane", (0.45, -0.6, -0.65), 0.8),
    _Landmark("septum", (-0.7, -0.7, 0.0), 0.0),
    _Landmark("posterior wall", (0.0, 1.0, 0.0), 0.0),
    _Landmark("anterior wall", (0.0, -0.9, 0.4), 0.0),
    _Landmark("roof", (0.0, 0.0, 1.0), 0.0),
    _Landmark("floor", (0.0, 0.2, -1.0), 0.0),
    _Landmark("left side wall", (1.0, 0.0, 0.0), 0.0),
    _Landmark("right side wall", (-1.0, 0.0, 0.0), 0.0),
)


def place_name(mask: Mask, grid: Geometry, place: Triple) -> str:
    """Return what a place is called.

    Args:
        mask: (z, y, x) of the atrium.
        grid: Its grid.
        place: LPS mm.

    Returns:
        The name; "left atrium" where the mask is empty or the place is in its very middle.
    """
    voxels = np.argwhere(mask)
    if not len(voxels):
        return "left atrium"
    points = grid.index_to_physical(voxels[:: max(1, len(voxels) // 5000), ::-1])
    offset = np.array(place) - points.mean(axis=0)
    length = float(np.linalg.norm(offset))
    if length < 1.0:
        return "left atrium"
    direction = offset / length
    spread = float(np.sqrt(direction @ np.cov(points.T) @ direction))
    if length > _FAR_OUT * spread and (name := _nearest(_FAR, direction)):
        return name
    return _nearest(_WALLS, direction) or "left atrium"


def _nearest(landmarks: tuple[_Landmark, ...], direction: np.ndarray) -> str:
    """Return the landmark whose direction is nearest, among those that are near enough; "": none is."""
    cosines = [
        (float(np.dot(mark.direction, direction)) / float(np.linalg.norm(mark.direction)), mark) for mark in landmarks
    ]
    near = [(cosine, mark.name) for cosine, mark in cosines if cosine >= mark.cosine]
    return max(near)[1] if near else ""
