"""`mtctl surface`: the closed surface of segmented atria, and the one that is open at veins and valve, as files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mtctl.geometry import Mask, Volume
    from mtctl.measures.reading import MaskFile, ReadCase
    from mtctl.surfaces.mesh import TriangleMesh
    from mtctl.surfaces.openings import Opening

#: The line in `mtctl --help`.
HELP = "write surfaces of segmented atria for mapping systems and simulations"

#: Ends the names of what is written.
CLOSED, OPEN = ".closed", ".open"

_FORMATS = ("vtp", "stl", "ply", "obj")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl surface`."""
    parser = subparsers.add_parser(
        "surface",
        help=HELP,
        description="Writes <case>.closed.* and <case>.open.*, smooth surfaces in millimetres, of results of `mtctl "
        "segment`, as they were corrected, or of other masks. The open one ends at the pulmonary veins and at the "
        "mitral valve: where these lie is written as <case>.openings.json. Change centre, normal or kind there and run "
        "again: a file that is there is taken as it is. VTP and PLY hold the uncertainty, and with --scans the "
        "enhancement of the wall, at their points. For research, not for a diagnosis.",
    )
    parser.add_argument(
        "input", nargs="+", type=Path, metavar="RESULT", help="folder of results, or file of a segmentation or mask"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the surfaces")
    parser.add_argument(
        "--format", nargs="+", choices=_FORMATS, default=["vtp"], help="one or more of %(choices)s (vtp)"
    )
    parser.add_argument(
        "--space", choices=("lps", "ras"), default="lps",
        help="direction of the axes; the file says it (%(default)s; Slicer reads both)",
    )  # fmt: skip
    parser.add_argument(
        "--scans", type=Path, metavar="DIR|FILE",
        help="the scans that were segmented: openings are found better, and the wall's enhancement is written",
    )  # fmt: skip
    parser.add_argument(
        "--openings", type=Path, metavar="FILE", help="openings as <case>.openings.json has them (one case only)"
    )
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Write the surfaces of all cases.

    Returns:
        0 all done; 1 something could not be read or written (named on stderr; the rest is done).
    """
    from mtctl.errors import failure_of
    from mtctl.measures.reading import claim_name, find_masks
    from mtctl.system.files import make_folder
    from mtctl.system.interrupts import check

    files = find_masks(args.input)
    if args.openings and len(files) > 1:
        args.parser.error(f"--openings is about one case, and there are {len(files)}")
    make_folder(args.out)
    failed, claimed = 0, set[str]()
    for number, file in enumerate(files, start=1):
        check()
        try:
            claim_name(file, claimed)
            words = _write_case(file, args)
        except Exception as error:
            failed += 1
            print(f"mtctl surface: {failure_of(error, file.path)}", file=sys.stderr, flush=True)
            continue
        print(f"[{number}/{len(files)}] {file.case}: {words}", flush=True)
    print(
        f"{len(files) - failed} of {len(files)} written, in {args.out}; for research, not for a diagnosis", flush=True
    )
    return 1 if failed else 0


def _write_case(file: MaskFile, args: argparse.Namespace) -> str:
    """Write the files of a case; returns what a person should know."""
    from mtctl.io.volumes import read_scan
    from mtctl.measures.reading import read_case, scan_for
    from mtctl.surfaces.cutting import MappedMesh, cut_open
    from mtctl.surfaces.files import write_surface
    from mtctl.surfaces.finding import read_or_find_openings
    from mtctl.surfaces.openings import OPENINGS
    from mtctl.surfaces.smoothing import smoothed_surface

    case = read_case(file)
    scan = read_scan(scan_for(file.case, case.scan_name, args.scans), case.spacing).volume if args.scans else None
    mesh = smoothed_surface(case.mask.mask, case.mask.geometry)
    document = args.openings or args.out / f"{file.case}{OPENINGS}"
    openings, read = read_or_find_openings(
        document, args.openings is not None, case.mask.mask, mesh, case.mask.geometry, scan
    )
    closed = MappedMesh(mesh, _values(file, case, mesh, scan, openings))
    surfaces = {CLOSED: closed, OPEN: cut_open(closed, openings)}
    for kind, surface in surfaces.items():
        for ending in dict.fromkeys(args.format):
            write_surface(surface, args.out / f"{file.case}{kind}.{ending}", args.space.upper())
    origin = f" (as {document.name} says)" if read else ""
    return f"{len(mesh.triangles)} triangles, {mesh.volume_ml():.1f} mL, {_words(openings)}{origin}"


def _words(openings: Sequence[Opening]) -> str:
    from mtctl.surfaces.openings import OpeningKind

    veins = sum(one.kind is OpeningKind.VEIN for one in openings)
    valve = any(one.kind is OpeningKind.MITRAL for one in openings)
    return f"{veins} vein{'' if veins == 1 else 's'} open, {'mitral valve open' if valve else 'NO mitral valve found'}"


def _values(
    file: MaskFile, case: ReadCase, mesh: TriangleMesh, scan: Volume | None, openings: Sequence[Opening]
) -> dict[str, NDArray[np.float64]]:
    """Return the maps that there are, at the points of a surface."""
    import numpy as np

    from mtctl.io.volumes import read_map
    from mtctl.measures.enhancement import BloodPool, wall_enhancement
    from mtctl.surfaces.cutting import behind_openings
    from mtctl.surfaces.maps import mean_across

    values: dict[str, NDArray[np.float64]] = {}
    body = ~behind_openings(mesh, openings)
    if file.beside(".uncertainty.nrrd").is_file():
        values["uncertainty"] = mean_across(read_map(file.beside(".uncertainty.nrrd")), mesh)
    if scan is not None:
        wall = wall_enhancement(scan, mesh, BloodPool.of(scan, _on_grid_of(scan, case)), body)
        values["enhancement"] = np.asarray(wall.ratio, dtype=np.float64)
    return values | {"body": body.astype(np.float64)}


def _on_grid_of(scan: Volume, case: ReadCase) -> Mask:
    """Return the mask of a case on the whole grid of its scan."""
    import numpy as np

    from mtctl.errors import MtctlError
    from mtctl.geometry import same_grid

    if not same_grid(scan.geometry, case.grid):
        raise MtctlError("the scan and the segmentation lie on different grids; give the scan that was segmented")
    part = case.mask.mask
    x, y, z = np.rint(case.grid.physical_to_index(case.mask.geometry.origin)).astype(int).tolist()
    whole = np.zeros(case.grid.shape, dtype=bool)
    whole[z : z + part.shape[0], y : y + part.shape[1], x : x + part.shape[2]] = part
    return whole
