"""Measure a case under review, or write its surfaces, in a child process: for windows and servers that must not wait.

It is started as `python -m mtctl.measures.process REQUEST`.

REQUEST is a JSON file (its path as `launcher.encode_argument` gives it), `hand_over.HandedRequest`, its arrays beside
it as .npy. Without "formats" the case is measured, and with "wall" its wall, too; with them, its surfaces are written
into the folder "out". One line of JSON comes back:

    {"event": "done", "measures": {...}} as `document.CaseMeasures` has them, or {"event": "done", "words": ...}
    or {"event": "failed", "reason": ...}
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.measures.case import ReadCase
from mtctl.measures.document import CaseMeasures
from mtctl.measures.enhancement import WallShell
from mtctl.measures.hand_over import FOLDER, HandedRequest, SearchedWall, handed_case, read_request
from mtctl.measures.measuring import MeasuredWall, WallRequest, measure, measure_wall
from mtctl.measures.surface_files import SurfaceFiles, write_surfaces
from mtctl.processes.launcher import decode_argument
from mtctl.processes.request import answer_with
from mtctl.surfaces.finding import find_openings
from mtctl.surfaces.smoothing import smoothed_surface
from mtctl.system.files import make_folder
from mtctl.system.temporary import remove_orphans


def main(request: Path) -> int:
    """Do what a request asks for and say so on the standard output.

    Returns:
        Exit status: 0 done, 1 failed.
    """

    def work() -> Mapping[str, Any]:
        asked = read_request(request)
        case, scan = handed_case(asked, request.parent)
        if asked.formats:
            return {"words": _surfaces(asked, case, scan)}
        return {"measures": asdict(measure_handed(asked, case, scan))}

    return answer_with(work)


def measure_handed(asked: HandedRequest, case: ReadCase, scan: Volume | None) -> CaseMeasures:
    """Measure a case; where its wall cannot be measured, the other numbers stand, and a warning says why."""
    wall, warnings = None, case.warnings
    if asked.wall is not None and scan is not None:
        try:
            wall = _wall(asked.wall, case, scan)
        except MtctlError as error:
            warnings = (*warnings, f"the wall was not measured: {error}")
    return measure(asked.case, case.mask, asked.body, wall, case.settled_percent, warnings).measures


def _wall(asked: SearchedWall, case: ReadCase, scan: Volume) -> MeasuredWall:
    mask, geometry = case.mask.mask, case.mask.geometry
    openings = find_openings(mask, smoothed_surface(mask, geometry), geometry, scan)
    shell = WallShell(asked.outward_mm, asked.inward_mm)
    return measure_wall(case.mask, WallRequest(scan, shell, tuple(openings)))


def _surfaces(asked: HandedRequest, case: ReadCase, scan: Volume | None) -> str:
    folder = Path(asked.out)
    make_folder(folder)
    return write_surfaces(case, scan, SurfaceFiles(folder, asked.case, asked.formats, asked.space))


if __name__ == "__main__":
    status = main(Path(decode_argument(sys.argv[1])))
    remove_orphans(FOLDER)  # Of each window that was killed while it handed a case over.
    sys.exit(status)
