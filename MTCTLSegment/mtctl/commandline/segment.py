"""`mtctl segment`: scans in, segmentations with uncertainty out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtctl.batch import Failure, Job
    from mtctl.segment_case import Outcome


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "segment",
        help="segment the left atrium",
        description="Segment the left atrium on LGE-MRI. Per input: <stem>.seg.nrrd, .uncertainty.nrrd, "
        ".distance.nrrd, .json and .png in the output folder. Results made from the same input, model and settings "
        "are kept.",
    )
    parser.add_argument("input", nargs="*", type=Path, metavar="INPUT", help="NRRD, NIfTI, MetaImage or DICOM folder")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--model", metavar="ID|FOLDER", help="model (default: see `mtctl models list`)")
    parser.add_argument("--samples", type=_whole(2, 1000), metavar="N", help="Monte-Carlo samples (default: by model)")
    parser.add_argument(
        "--uncertainty", choices=("entropy", "mutual-information", "disagreement"), default="entropy",
        help="which uncertainty to write and to find regions in (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=_share, metavar="T", help="of the uncertainty, 0 to 1 (default: the model's)"
    )
    parser.add_argument("--roi", default="auto", metavar="auto|none|x0,x1,y0,y1,z0,z1", help="region in mm, LPS")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--seed", type=_whole(0, 2**31 - 1), default=0, help="of the Monte-Carlo dropout (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace other results in the way")
    parser.add_argument("--maps", choices=("all",), help="write every map: probability and all uncertainties")
    parser.add_argument("--workers", type=_whole(1, 1000), default=1, metavar="N", help="processes (%(default)s)")
    parser.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="run on a Dask cluster instead")
    parser.add_argument("--manifest", type=Path, metavar="CSV", help="further inputs, from the column 'input'")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Segment all inputs; 0 all done, 1 some failed, 2 wrong usage."""
    if not args.input and not args.manifest:
        args.parser.error("no input: name files, DICOM folders or --manifest")
    if args.workers > 1 and args.scheduler:
        args.parser.error("--workers and --scheduler exclude each other")

    from mtctl.batch import Job, check_stems, read_manifest, run_here, run_in_processes, run_on_cluster
    from mtctl.device import choose_device
    from mtctl.files import make_folder
    from mtctl.inference import Options
    from mtctl.model import find_model
    from mtctl.preprocess import Box, RegionError
    from mtctl.segment_case import Request

    try:
        region = args.roi if args.roi in ("auto", "none") else Box.parse(args.roi)
    except RegionError as error:
        args.parser.error(str(error))
    sources = [*args.input, *(read_manifest(args.manifest) if args.manifest else [])]
    check_stems(sources)
    choose_device(args.device)  # Fails now, not once a scan.
    model = find_model(args.model)
    make_folder(args.out)
    options = Options(args.samples, region, args.seed)
    request = Request(args.out, options, args.uncertainty, args.threshold, args.maps == "all", args.overwrite)
    job = Job(sources, request, model.folder, args.device)
    if args.scheduler:
        results = run_on_cluster(job, args.scheduler)
    elif args.workers > 1:
        results = run_in_processes(job, args.workers)
    else:
        results = run_here(job, _show_stage if sys.stdout.isatty() else lambda stage, share: None)
    return _report(job, results)


def _report(job: Job, results: Iterator[Outcome | Failure]) -> int:
    from mtctl.batch import Failure

    failures: list[Failure] = []
    for number, result in enumerate(results, start=1):
        place = f"[{number}/{len(job.sources)}]"
        if isinstance(result, Failure):
            failures.append(result)
            print(f"mtctl: error: {result.reason}", file=sys.stderr, flush=True)
            continue
        if result.skipped:
            print(f"{place} {result.stem}: unchanged, kept", flush=True)
            continue
        report = result.report
        low, high = report["case_score_interval"]
        regions = report["regions"]
        to_check = sum(region["volume_mm3"] for region in regions) / 1000
        print(
            f"{place} {result.stem}: {report['volume_ml']:.1f} mL, {len(regions)} regions with {to_check:.1f} mL to "
            f"check, likely Dice {low:.2f}-{high:.2f}{', FLAGGED' if report['flagged'] else ''} "
            f"({sum(report['seconds'].values()):.1f} s)",
            flush=True,
        )
        for warning in report["warnings"]:
            print(f"    warning: {warning}", flush=True)
    done = len(job.sources) - len(failures)
    print(f"{done} of {len(job.sources)} done, results in {job.request.out}", flush=True)
    if failures:
        print(f"{len(failures)} failed: {', '.join(str(failure.source) for failure in failures)}", flush=True)
    return 1 if failures else 0


def _show_stage(stage: str, share: float) -> None:
    print(f"\r  {stage} {share:4.0%} ", end="\r", flush=True)


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _whole(least: int, most: int) -> Any:
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
        return value

    parse.__name__ = "whole number"
    return parse
