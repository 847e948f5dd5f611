"""`mtctl report`: one page for each segmented atrium, with pictures and numbers, as PDF."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtctl.figures.report_page import ReportPage
    from mtctl.measures.reading import MaskFile

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
        "90 %% intervals, and model, expected Dice, regions and warnings. With --scans also the scan and the "
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
    from mtctl.errors import failure_of
    from mtctl.figures.report_page import write_report_page
    from mtctl.measures.reading import claim_name, find_masks
    from mtctl.system.files import make_folder
    from mtctl.system.interrupts import check

    files = find_masks(args.input)
    make_folder(args.out)
    failed, claimed = 0, set[str]()
    for number, file in enumerate(files, start=1):
        check()
        path = args.out / f"{file.case}{REPORT_PAGE}"
        try:
            claim_name(file, claimed)
            write_report_page(_page(file, args), path)
        except Exception as error:
            failed += 1
            print(f"mtctl report: {failure_of(error, file.path)}", file=sys.stderr, flush=True)
            continue
        print(f"[{number}/{len(files)}] {path}", flush=True)
    return 1 if failed else 0


def _page(file: MaskFile, args: argparse.Namespace) -> ReportPage:
    """Measure a case and return its page."""
    from mtctl.figures.case_page import case_page
    from mtctl.io.volumes import read_scan
    from mtctl.measures.reading import read_case, scan_for
    from mtctl.surfaces.openings import OPENINGS, read_openings

    case = read_case(file)
    scan = read_scan(scan_for(file.case, case.scan_name, args.scans), case.spacing).volume if args.scans else None
    openings = read_openings(args.openings / f"{file.case}{OPENINGS}") if args.openings and args.scans else None
    return case_page(file.case, case, scan, openings)
