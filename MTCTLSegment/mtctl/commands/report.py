"""`mtctl report`: one page for each segmented atrium, with pictures and numbers, as PDF."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtctl.figures.report_page import ReportPage
    from mtctl.measures.reading import MaskFile
    from mtctl.processes.readers import WasRead

#: The line in `mtctl --help`.
HELP = "write a page with pictures and numbers for each segmented atrium"

#: Ends the name of the page.
REPORT_PAGE = ".report.pdf"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl report`."""
    parser = subparsers.add_parser(
        "report",
        help=HELP,
        description="Writes <case>.report.pdf for results of `mtctl segment`, as they were corrected, or for other "
        "masks: slices with outline and uncertainty, the surface, volume, area, extents and sphericity with their "
        "90 %% intervals, and model, expected Dice, answers and warnings. With --scans also the scan and the "
        "enhancement of the wall, without veins and mitral valve. For research, not for a diagnosis.",
    )
    parser.add_argument(
        "input", nargs="+", type=Path, metavar="RESULT", help="folder of results, or file of a segmentation or mask"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the pages")
    parser.add_argument("--scans", type=Path, metavar="DIR|FILE", help="the scans that were segmented")
    parser.add_argument(
        "--openings", type=Path, metavar="DIR",
        help="folder of <case>.openings.json, as `mtctl surface` wrote and a person changed them (default: found anew)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the pages.

    Returns:
        0 all done; 1 something could not be read or written (named on stderr; the rest is done).
    """
    from mtctl.measures.reading import find_masks, without_namesakes
    from mtctl.processes.readers import NotRead, each_input
    from mtctl.system.files import make_folder

    files = find_masks(args.input, args.scans)
    make_folder(args.out)
    apart, failures = without_namesakes(files)
    for failure in failures:
        print(f"mtctl: error: {failure}", file=sys.stderr, flush=True)
    with closing(each_input(apart, partial(_write_page, args.out, args.openings))) as results:
        for number, (_, path) in enumerate(results, start=1 + len(failures)):
            if isinstance(path, NotRead):
                failures.append(path.failure)
                print(f"mtctl: error: {path.failure}", file=sys.stderr, flush=True)
                continue
            print(f"[{number}/{len(files)}] {path}", flush=True)
    return 1 if failures else 0


def _write_page(out: Path, openings_folder: Path | None, file: MaskFile, was_read: WasRead) -> Path:
    """Write the page of a case and return its place; runs in a child, where there are several."""
    from mtctl.figures.report_page import write_report_page

    path = out / f"{file.case}{REPORT_PAGE}"
    write_report_page(_page(openings_folder, file, was_read), path)
    return path


def _page(openings_folder: Path | None, file: MaskFile, was_read: WasRead) -> ReportPage:
    """Measure a case and return its page."""
    from mtctl.figures.case_page import case_page
    from mtctl.io.volumes import read_scan
    from mtctl.measures.reading import read_case
    from mtctl.surfaces.openings import OPENINGS, read_openings

    case = read_case(file)
    path = file.scan(case.scan_name)
    scan = None if path is None else read_scan(path, case.spacing).volume
    was_read()
    openings = read_openings(openings_folder / f"{file.case}{OPENINGS}") if openings_folder and scan else None
    return case_page(file.case, case, scan, openings)
