"""`mtctl measure`: volume, surface, extents and late enhancement of segmented atria, with their intervals."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mtctl.geometry import Volume
    from mtctl.measures.body_size import BodySize
    from mtctl.measures.case import ReadCase
    from mtctl.measures.document import CaseMeasures, IntervalEstimate
    from mtctl.measures.enhancement import WallShell
    from mtctl.measures.reading import MaskFile
    from mtctl.processes.readers import WasRead
    from mtctl.surfaces.openings import Opening

#: The line in `mtctl --help`.
HELP = "measure segmented atria: volume, surface, extents, late enhancement of the wall"

#: The table of all cases, and the end of the name of a wall's map.
TABLE, WALL = "measures.csv", ".wall.vtp"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "measure",
        help=HELP,
        description="Measures results of `mtctl segment`, as they were corrected where they were reviewed, or other "
        "masks. Per case: <case>.measures.json; of all: measures.csv. Each number has the 90 %% interval that the "
        "segmentation's uncertainty gives; it narrows as questions are answered and errors corrected. With "
        "--scans also the late enhancement of the wall, and its map on the surface, <case>.wall.vtp. Vein ends "
        "and mitral valve are no wall; where they were found is written as <case>.openings.json: change it there,"
        " and run again. For research, not for a diagnosis.",
    )
    parser.add_argument(
        "input", nargs="+", type=Path, metavar="RESULT", help="folder of results, or file of a segmentation or mask"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the measures")
    parser.add_argument("--height", type=float, metavar="CM", help="of the patient, for mL per m2 (one case only)")
    parser.add_argument("--weight", type=float, metavar="KG", help="of the patient (one case only)")
    parser.add_argument(
        "--patients", type=Path, metavar="CSV", help="table with the columns case, height_cm, weight_kg, for many cases"
    )
    parser.add_argument(
        "--bsa", choices=("dubois", "mosteller"), default="dubois",
        help="formula of the body surface area (%(default)s: DuBois and DuBois 1916; Mosteller 1987)",
    )  # fmt: skip
    parser.add_argument(
        "--scans", type=Path, metavar="DIR|FILE", help="the scans that were segmented, to measure the wall"
    )
    parser.add_argument(
        "--outward", type=float, metavar="MM", help="look for the wall so far outward of the surface (3)"
    )
    parser.add_argument("--inward", type=float, metavar="MM", help="and so far inward (1)")
    parser.add_argument(
        "--openings", type=Path, metavar="FILE",
        help="veins' ends and mitral valve, which are no wall, as <case>.openings.json has them (one case only)",
    )  # fmt: skip
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Measure all; 0 all done, 1 some failed, 2 wrong usage."""
    from mtctl.measures.reading import find_masks, without_namesakes
    from mtctl.processes.readers import NotRead, each_input
    from mtctl.system.files import make_folder

    if (args.height is None) != (args.weight is None):
        args.parser.error("--height and --weight belong together")
    if args.patients and args.height is not None:
        args.parser.error("--patients and --height exclude each other")
    shell_options = [name for name in ("outward", "inward", "openings") if getattr(args, name) is not None]
    if shell_options and not args.scans:
        args.parser.error(f"--{shell_options[0]} is about the wall: it needs --scans")
    files, sizes, shell = find_masks(args.input, args.scans), _sizes(args), _shell(args)
    if len(files) > 1:
        for name in ("height", "openings"):
            if getattr(args, name) is not None:
                args.parser.error(f"--{name} is about one case, and there are {len(files)}")
    make_folder(args.out)
    rows: list[CaseMeasures] = []
    apart, failures = without_namesakes(files)
    for failure in failures:
        print(f"mtctl: error: {failure}", file=sys.stderr, flush=True)
    work = partial(_measure, args.out, args.openings, sizes, shell)
    with closing(each_input(apart, work)) as results:
        for number, (file, measures) in enumerate(results, start=1 + len(failures)):
            if isinstance(measures, NotRead):
                failures.append(measures.failure)
                print(f"mtctl: error: {failures[-1]}", file=sys.stderr, flush=True)
                continue
            rows.append(measures)
            print(f"[{number}/{len(files)}] {_sentence(measures)}", flush=True)
            if args.scans and measures.wall is None:
                failures.append(f"{file.path}: {measures.warnings[-1]}")
            for warning in measures.warnings:
                print(f"    warning: {warning}", flush=True)
    if rows:
        _write_table(args.out / TABLE, rows)
    unknown = sorted(sizes.keys() - {file.case for file in files} - {""})
    if unknown:
        print(f"{len(unknown)} of --patients have no results here: {', '.join(unknown[:10])}", flush=True)
    print(f"{len(rows)} of {len(files)} measured, in {args.out}; for research, not for a diagnosis", flush=True)
    return 1 if failures else 0


def _sizes(args: argparse.Namespace) -> Mapping[str, BodySize]:
    """Return people's sizes by case; that of the only case by ""."""
    from mtctl.measures.body_size import BodySize
    from mtctl.measures.patients import read_patients

    if args.patients:
        return read_patients(args.patients, args.bsa)
    return {} if args.height is None else {"": BodySize(args.height, args.weight, args.bsa)}


def _shell(args: argparse.Namespace) -> WallShell:
    from mtctl.measures.enhancement import INWARD_MM, OUTWARD_MM, WallShell

    return WallShell(
        OUTWARD_MM if args.outward is None else args.outward, INWARD_MM if args.inward is None else args.inward
    )


def _measure(
    out: Path, openings: Path | None, sizes: Mapping[str, BodySize], shell: WallShell, file: MaskFile, was_read: WasRead
) -> CaseMeasures:
    """Measure a case and write its files; runs in a child, where there are several."""
    from mtctl.errors import MtctlError
    from mtctl.io.volumes import read_scan
    from mtctl.measures.document import MEASURES, write_measures
    from mtctl.measures.measuring import WallRequest, measure, measure_wall, without_interval
    from mtctl.measures.reading import read_case
    from mtctl.surfaces.cutting import MappedMesh
    from mtctl.surfaces.files import write_surface
    from mtctl.surfaces.openings import OPENINGS

    case = read_case(file)
    wall, warnings = None, case.warnings
    try:
        path = file.scan(case.scan_name)
        scan = None if path is None else read_scan(path, case.spacing).volume
        was_read()
        if scan is not None:
            found = _openings(openings, out / f"{file.case}{OPENINGS}", case, scan)
            wall = measure_wall(case.mask, WallRequest(scan, shell, found))
    except MtctlError as error:  # The other numbers need no scan.
        warnings = (*warnings, f"the wall was not measured: {error}")
    was_read()
    size = sizes.get(file.case, sizes.get(""))
    result = measure(file.case, case.mask, size, wall, case.settled_percent, warnings)
    measures = result.measures if case.sure else without_interval(result.measures)
    if result.wall:
        values = {"enhancement": result.wall.ratio.astype(float), "body": result.wall.body.astype(float)}
        write_surface(MappedMesh(result.wall.mesh, values), out / f"{file.case}{WALL}")
    write_measures(out / f"{file.case}{MEASURES}", measures)
    return measures


def _openings(given: Path | None, own: Path, case: ReadCase, scan: Volume) -> Sequence[Opening]:
    """Return the openings of the document that a person gave, or of the case's own; find and write them otherwise."""
    from mtctl.surfaces.finding import read_or_find_openings
    from mtctl.surfaces.smoothing import smoothed_surface

    mask, geometry = case.mask.mask, case.mask.geometry
    mesh = smoothed_surface(mask, geometry)
    return read_or_find_openings(given or own, given is not None, mask, mesh, geometry, scan)[0]


def _sentence(measures: CaseMeasures) -> str:
    x, y, z = measures.extent_mm
    parts = [
        f"{measures.case}: {_words(measures.volume_ml)} mL",
        f"{_words(measures.area_cm2)} cm2",
        f"{x.value:.0f} x {y.value:.0f} x {z.value:.0f} mm",
        f"sphericity {measures.sphericity.value:.2f}",
    ]
    if measures.volume_ml_per_m2:
        parts.insert(1, f"{_words(measures.volume_ml_per_m2)} mL/m2")
    for share in measures.wall.shares if measures.wall else ():
        parts.append(f"{share.threshold}: {_words(share.percent)} %")
    return ", ".join(parts)


def _words(measured: IntervalEstimate) -> str:
    if measured.low is None or measured.high is None:
        return f"{measured.value:.1f}"
    return f"{measured.value:.1f} ({measured.low:.1f}-{measured.high:.1f})"


def _write_table(path: Path, rows: list[CaseMeasures]) -> None:
    from mtctl.measures.table import columns_of
    from mtctl.system.tables import write_table

    tables = [columns_of(row) for row in rows]
    header = list(dict.fromkeys(name for table in tables for name in table))
    write_table(path, header, ([table.get(name) for name in header] for table in tables))
