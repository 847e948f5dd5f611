"""The surfaces of a case as files: the closed one, and the one that is open at veins and valve, with their maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtctl.errors import counted
from mtctl.geometry import Mask, Volume, same_grid
from mtctl.measures.case import ReadCase
from mtctl.measures.enhancement import BloodPool, wall_enhancement
from mtctl.measures.uncertain_mask import MeasureError
from mtctl.surfaces.cutting import MappedMesh, behind_openings, cut_open
from mtctl.surfaces.files import write_surface
from mtctl.surfaces.finding import read_or_find_openings
from mtctl.surfaces.maps import mean_across
from mtctl.surfaces.mesh import TriangleMesh
from mtctl.surfaces.openings import OPENINGS, Opening, OpeningKind
from mtctl.surfaces.smoothing import smoothed_surface

#: Ends the names of what is written.
CLOSED, OPEN = ".closed", ".open"


@dataclass(frozen=True)
class SurfaceFiles:
    """What is written, and where.

    Attributes:
        folder: It is there.
        case: What the names begin with.
        formats: Endings without a point: "vtp", "stl", "ply", "obj".
        space: "LPS" or "RAS".
    """

    folder: Path
    case: str
    formats: tuple[str, ...]
    space: str = "LPS"


def write_surfaces(case: ReadCase, scan: Volume | None, files: SurfaceFiles, openings: Path | None = None) -> str:
    """Write the surfaces of a case, and its openings where there is no document of them yet.

    Args:
        case: The case.
        scan: Its scan: openings are found better, and the wall's enhancement is written; None: without.
        files: What is written, and where.
        openings: Document of the openings; None: the one beside the surfaces, or found.

    Returns:
        What a person should know.

    Raises:
        MtctlError: The scan is of another grid, or something cannot be read or written.
    """
    mesh = smoothed_surface(case.mask.mask, case.mask.geometry)
    document = openings or files.folder / f"{files.case}{OPENINGS}"
    found, read = read_or_find_openings(document, openings is not None, case.mask.mask, mesh, case.mask.geometry, scan)
    closed = MappedMesh(mesh, _values(case, mesh, scan, found))
    for kind, surface in {CLOSED: closed, OPEN: cut_open(closed, found)}.items():
        for ending in files.formats:
            write_surface(surface, files.folder / f"{files.case}{kind}.{ending}", files.space)
    origin = f" (as {document.name} says)" if read else ""
    return f"{counted(len(mesh.triangles), 'triangle')}, {mesh.volume_ml():.1f} mL, {_words(found)}{origin}"


def _words(openings: Sequence[Opening]) -> str:
    veins = sum(one.kind is OpeningKind.VEIN for one in openings)
    valve = any(one.kind is OpeningKind.MITRAL for one in openings)
    return f"{counted(veins, 'vein')} open, {'mitral valve open' if valve else 'NO mitral valve found'}"


def _values(
    case: ReadCase, mesh: TriangleMesh, scan: Volume | None, openings: Sequence[Opening]
) -> dict[str, NDArray[np.float64]]:
    """Return the maps that there are, at the points of a surface."""
    values: dict[str, NDArray[np.float64]] = {}
    body = ~behind_openings(mesh, openings)
    if case.uncertainty is not None:
        values["uncertainty"] = mean_across(case.uncertainty, mesh)
    if scan is not None:
        wall = wall_enhancement(scan, mesh, BloodPool.of(scan, _on_grid_of(scan, case)), body)
        values["enhancement"] = np.asarray(wall.ratio, dtype=np.float64)
    return values | {"body": body.astype(np.float64)}


def _on_grid_of(scan: Volume, case: ReadCase) -> Mask:
    """Return the mask of a case on the whole grid of its scan."""
    if not same_grid(scan.geometry, case.grid):
        raise MeasureError("the scan and the segmentation lie on different grids; give the scan that was segmented")
    part = case.mask.mask
    x, y, z = np.rint(case.grid.physical_to_index(case.mask.geometry.origin)).astype(int).tolist()
    whole = np.zeros(case.grid.shape, dtype=bool)
    whole[z : z + part.shape[0], y : y + part.shape[1], x : x + part.shape[2]] = part
    return whole
