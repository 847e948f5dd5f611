"""`mtctl surface`: the closed surface of segmented atria, and the one that is open at veins and valve, as files."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtctl.measures.reading import MaskFile
    from mtctl.processes.readers import WasRead

#: The line in `mtctl --help`.
HELP = "write surfaces of segmented atria for mapping systems and simulations"

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
    from mtctl.measures.reading import find_masks, without_namesakes
    from mtctl.processes.readers import NotRead, each_input
    from mtctl.system.files import make_folder

    files = find_masks(args.input, args.scans)
    if args.openings and len(files) > 1:
        args.parser.error(f"--openings is about one case, and there are {len(files)}")
    make_folder(args.out)
    apart, failures = without_namesakes(files)
    for failure in failures:
        print(f"mtctl: error: {failure}", file=sys.stderr, flush=True)
    work = partial(_write_case, args.out, tuple(dict.fromkeys(args.format)), args.space.upper(), args.openings)
    with closing(each_input(apart, work)) as results:
        for number, (file, words) in enumerate(results, start=1 + len(failures)):
            if isinstance(words, NotRead):
                failures.append(words.failure)
                print(f"mtctl: error: {words.failure}", file=sys.stderr, flush=True)
                continue
            print(f"[{number}/{len(files)}] {file.case}: {words}", flush=True)
    done = len(files) - len(failures)
    print(f"{done} of {len(files)} written, in {args.out}; for research, not for a diagnosis", flush=True)
    return 1 if failures else 0


def _write_case(
    out: Path, formats: tuple[str, ...], space: str, openings: Path | None, file: MaskFile, was_read: WasRead
) -> str:
    """Write the files of a case; runs in a child, where there are several.

    Returns:
        What a person should know.
    """
    from mtctl.io.volumes import read_scan
    from mtctl.measures.reading import read_case
    from mtctl.measures.surface_files import SurfaceFiles, write_surfaces

    case = read_case(file)
    path = file.scan(case.scan_name)
    scan = None if path is None else read_scan(path, case.spacing).volume
    was_read()
    return write_surfaces(case, scan, SurfaceFiles(out, file.case, formats, space), openings)
