"""`mtctl segment`: scans in, segmentations with uncertainty out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtctl.commands.arguments import SPACING, given_spacing
from mtctl.errors import printable
from mtctl.uncertainty.kinds import BY_OPTION, KINDS

if TYPE_CHECKING:
    from mtctl.batch.case import Outcome
    from mtctl.batch.runner import BatchTask, Failure, Job
    from mtctl.io.inputs import ScanInput

#: The line in `mtctl --help`.
HELP = "segment scans, with distance map, uncertainty maps and a report"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "segment",
        help=HELP,
        description="Segment the left atrium on LGE-MRI. Per input: <stem>.seg.nrrd, .uncertainty.nrrd, "
        ".distance.nrrd, .json and .png in the output folder; of several inputs also cohort.csv and "
        "cohort.html, which say which to look at. Results made from the same input, model and settings are kept.",
    )
    parser.add_argument(
        "input", nargs="*", type=Path, metavar="INPUT",
        help="NRRD, NIfTI or MetaImage file, DICOM folder, folder of any of these, or a pattern such as 'data/*.nrrd'",
    )  # fmt: skip
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--model", metavar="ID|FOLDER", help="model (default: see `mtctl models list`)")
    parser.add_argument("--samples", type=_whole(2, 1000), metavar="N", help="Monte-Carlo samples (default: by model)")
    parser.add_argument(
        "--uncertainty", choices=tuple(BY_OPTION), default=KINDS[0].option,
        help="which uncertainty to write (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=_share, metavar="T", help="of the uncertainty, 0 to 1 (default: the model's)"
    )
    parser.add_argument("--roi", default="auto", metavar="auto|none|x0,x1,y0,y1,z0,z1", help="region in mm, LPS")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--seed", type=_whole(0, 2**31 - 1), default=0, help="of the Monte-Carlo dropout (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace other results in the way")
    parser.add_argument(
        "--dicom-seg", action="store_true",
        help="of DICOM folders also <stem>.seg.dcm and <stem>.uncertainty.dcm (Parametric Map). Both carry the "
        "patient's name and number, as DICOM demands; no other result does",
    )  # fmt: skip
    parser.add_argument("--maps", choices=("all",), help="write every map: probability and all uncertainties")
    parser.add_argument(
        "--workers", type=_whole(1, 1000), default=1, metavar="N", help="processes, which share the GPUs (%(default)s)"
    )
    parser.add_argument(
        "--spacing", type=given_spacing, metavar=SPACING,
        help="true distance of the voxels in mm along the file's axes, where the header is wrong",
    )  # fmt: skip
    parser.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="run on a Dask cluster instead")
    parser.add_argument(
        "--manifest", type=Path, metavar="CSV",
        help="further inputs, from the column 'input', each with its own --spacing where there is a column 'spacing'",
    )  # fmt: skip
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Segment all inputs; 0 all done, 1 some failed, 2 wrong usage."""
    from mtctl.system.caches import usable_caches
    from mtctl.system.temporary import with_place

    with with_place(args.out), usable_caches():
        return _segment(args)


def _segment(args: argparse.Namespace) -> int:
    if not args.input and not args.manifest:
        args.parser.error("no input: name files, folders or --manifest")
    if args.workers > 1 and args.scheduler:
        args.parser.error("--workers and --scheduler exclude each other")

    from mtctl.batch.case import Request
    from mtctl.batch.runner import BatchTask
    from mtctl.inference.prediction import Options
    from mtctl.io.dicom.writer import require_highdicom
    from mtctl.io.inputs import find_scans
    from mtctl.io.manifests import read_manifest
    from mtctl.models.model import find_model
    from mtctl.networks.device import choose_device
    from mtctl.preprocessing.region_of_interest import Box, RegionError
    from mtctl.system.files import make_folder

    try:
        region = Box.parse_region(args.roi)
    except RegionError as error:
        args.parser.error(str(error))
    sources = find_scans(args.input, read_manifest(args.manifest) if args.manifest else {})
    if not args.scheduler:  # There, the workers' devices are what counts.
        choose_device(args.device)  # Fails now, not once a scan.
    model = find_model(args.model)
    if model.remark:
        print(f"mtctl: warning: {model.remark}", file=sys.stderr)
    make_folder(args.out)
    if args.dicom_seg:
        require_highdicom()
    options = Options(args.samples, region, args.seed)
    request = Request(
        args.out, options, args.uncertainty, args.threshold, args.maps == "all", args.dicom_seg, args.overwrite,
        args.spacing,
    )  # fmt: skip
    task = BatchTask(request, model.folder, args.device, model.remark)
    with closing(_results(sources, task, args)) as results:
        return _report(args.out, sources, results)


def _results(
    sources: Sequence[ScanInput], task: BatchTask, args: argparse.Namespace
) -> Generator[Outcome | Failure, None, None]:
    """Results of all; of two inputs whose results have one name, the second one's turn comes where the first failed."""
    from mtctl.batch.runner import Failure, Job
    from mtctl.io.inputs import ScanInput, name_clashes, series_clashes

    clashes, failed = name_clashes(sources), set[ScanInput]()
    if args.overwrite:
        clashes |= series_clashes(sources)
    with closing(_run(Job([source for source in sources if source not in clashes], task), args)) as results:
        for result in results:
            if isinstance(result, Failure):
                failed.add(result.source)
            yield result
    for source, first in clashes.items():
        if first not in failed:
            yield Failure(source, _clash(source, first))
    with closing(_run(Job([source for source, first in clashes.items() if first in failed], task), args)) as results:
        yield from results


def _clash(source: ScanInput, first: ScanInput) -> str:
    if source.folder:  # The first one's name may be a patient's.
        return (
            "another folder of this run has the same series UID: nothing was overwritten; give it a separate run with "
            "another output folder"
        )
    return f"{first.path} and it would write the same files; rename it, or give it a separate run"


def _run(job: Job, args: argparse.Namespace) -> Generator[Outcome | Failure, None, None]:
    from mtctl.batch.runner import run_here, run_in_processes

    if args.scheduler and job.sources:
        from mtctl.batch.dask_cluster import run_on_cluster

        return run_on_cluster(job, args.scheduler)
    if len(job.sources) > 1:  # Not here: a scan that ends its process must not end the run.
        workers = min(args.workers, len(job.sources))
        return run_in_processes(job, workers, _shown_stage() if workers == 1 else _not_shown)
    return run_here(job, _shown_stage())


def _report(out: Path, sources: Sequence[ScanInput], results: Iterable[Outcome | Failure]) -> int:
    from mtctl.batch.cohort import PAGE
    from mtctl.batch.runner import Failure
    from mtctl.batch.throughput import Throughput
    from mtctl.system.interrupts import deferred

    total, written = len(sources), True
    pace, failures, without_dicom = Throughput(total, time.monotonic()), list[Failure](), 0
    try:
        for result in results:
            computed = not isinstance(result, Failure) and not result.skipped
            pace.finish(time.monotonic(), computed)
            if isinstance(result, Failure):
                failures.append(result)
                print(f"mtctl: error: {printable(result.source.path)}: {result.cause}", file=sys.stderr, flush=True)
            else:
                without_dicom += bool(result.without_dicom)
                _print_case(f"[{pace.finished}/{total}]", result, str(pace))
    finally:  # After Control-C too: the table says what there is.
        if total > 1:
            with deferred():
                written = _write_table(out, sources, failures)
    print(f"{total - len(failures)} of {total} done, results in {out}", flush=True)
    if total > 1 and written:
        print(f"which to look at: {out / PAGE}", flush=True)
    if failures:
        print(f"{len(failures)} failed:", flush=True)
        for failure in failures:
            print(f"    {_named(failure)}: {failure.cause}", flush=True)
    if without_dicom:
        print(f"{without_dicom} without the DICOM results that were asked for: see the warnings above", flush=True)
    return 1 if failures or without_dicom or not written else 0


def _write_table(out: Path, sources: Sequence[ScanInput], failures: Sequence[Failure]) -> bool:
    """Return whether the table could be written. Where it is open in Excel, say, the summary is all the more needed."""
    from mtctl.batch.cohort import write_cohort
    from mtctl.system.files import WriteError

    try:
        write_cohort(out, sources, failures)
    except WriteError as error:
        print(f"mtctl: error: {error}", file=sys.stderr, flush=True)
        return False
    return True


def _named(failure: Failure) -> str:
    from mtctl.batch.cohort_rows import row_name

    # In the table a folder has another name than here: its own may be a patient's.
    source = failure.source
    return f"{printable(source.path)} ({row_name(source)})" if source.folder else printable(source.path)


def _print_case(place: str, outcome: Outcome, pace: str) -> None:
    name = printable(outcome.stem)
    if outcome.skipped:
        print(
            f"{place} {name}: unchanged, kept{' (no DICOM results)' * bool(outcome.without_dicom)}",
            flush=True,
        )
        return
    from mtctl.io.reports import likely_wrong_ml

    report = outcome.report
    low, high = report["case_score_interval"]
    wrong = likely_wrong_ml(report)
    print(
        f"{place} {name}: {report['volume_ml']:.1f} mL, {f'{wrong:.1f} mL likely wrong, ' if wrong is not None else ''}"
        f"likely Dice {low:.2f}-{high:.2f}{', FLAGGED' if report['flagged'] else ''} "
        f"({sum(report['seconds'].values()):.1f} s){f'; {pace}' if pace else ''}",
        flush=True,
    )
    for warning in report["warnings"]:
        print(f"    warning: {printable(warning)}", flush=True)


def _shown_stage() -> Callable[[str, float], None]:
    """Return what shows the stage of a scan: on a terminal alone."""
    return _show_stage if sys.stdout.isatty() else _not_shown


def _show_stage(stage: str, share: float) -> None:
    print(f"\r  {stage} {share:4.0%} ", end="\r", flush=True)


def _not_shown(stage: str, share: float) -> None:
    pass


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
