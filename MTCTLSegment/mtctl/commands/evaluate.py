"""`mtctl evaluate`: folders of results against a folder of expert masks."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from mtctl.commands.arguments import SPACING, given_spacing
from mtctl.errors import failure_of, printable, shown
from mtctl.system.interrupts import check

if TYPE_CHECKING:
    from mtctl.evaluation.case_files import CaseFiles, ComparedCase
    from mtctl.evaluation.results import MethodResult
    from mtctl.geometry import Triple
    from mtctl.processes.readers import WasRead

#: The line in `mtctl --help`.
HELP = "compare results with expert masks"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl evaluate`."""
    parser = subparsers.add_parser(
        "evaluate",
        help=HELP,
        description="Compares <stem>.seg.nrrd with <stem>.label.nrrd: seven metrics a case, mean and SD (sample); with "
        "<stem>.uncertainty.nrrd and <stem>.probability.nrrd beside the result also how well the uncertainty finds "
        "the errors, in the whole volume and within 3 mm (and 5 voxels) of the predicted surface, with <stem>.json how "
        "well the case score foretells the Dice, and with <stem>.image.nrrd beside the expert mask what answers to our "
        "questions would bring. Several --prediction folders are compared by paired tests, Holm-corrected, and printed "
        "as the paper's Table 1; the last one is the proposed method there.",
    )
    parser.add_argument(
        "--prediction", action="append", required=True, type=Path, metavar="DIR",
        help="folder of results of mtctl segment or mtctl train; repeat it to compare methods",
    )  # fmt: skip
    parser.add_argument("--truth", required=True, type=Path, metavar="DIR", help="folder of <stem>.label.nrrd")
    parser.add_argument(
        "--names", nargs="+", metavar="NAME", help="of the methods, one a --prediction (default: the folders' names)"
    )
    parser.add_argument(
        "--foreign", type=Path, metavar="DIR",
        help="folder of the results of scans that are no left-atrium MRI (`mtctl corrupt --foreign` makes some): how "
        "many reports there flag their scan",
    )  # fmt: skip
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write every case's figures (fractions, voxels, mm, mL)"
    )
    parser.add_argument(
        "--figures", type=Path, metavar="DIR",
        help="write box plots of the metrics and a picture of one case in 2-D and 3-D (the paper's Figure 2), for "
        "which the truth folder has to hold its scan, <stem>.image.nrrd",
    )  # fmt: skip
    parser.add_argument(
        "--case", metavar="NAME",
        help="for the picture (default: where the methods differ most in Dice; with one method, its worst)",
    )  # fmt: skip
    parser.add_argument(
        "--spacing", type=given_spacing, metavar=SPACING,
        help="true distance of the voxels in mm along the files' axes, where masks' and results' headers are wrong: "
        "millimetres and millilitres go by it",
    )  # fmt: skip
    parser.add_argument(
        "--no-questions", action="store_true",
        help="do not let a simulated reader answer our questions, which takes 10 to 20 s a case",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the tables, write CSV and figures.

    Returns:
        0 all done; 1 something could not be compared or written (named on stderr; the rest is done); 2 wrong usage.
    """
    from mtctl.evaluation.case_files import LABEL, SEGMENTATION, EvaluationError, files_by_case

    try:
        names = method_names(args.prediction, args.names)
        labels = files_by_case(args.truth, LABEL)
        results = [files_by_case(folder, SEGMENTATION) for folder in args.prediction]
        segmented = set().union(*results)
        if args.foreign and (not args.foreign.is_dir() or any(args.foreign.samefile(one) for one in args.prediction)):
            raise EvaluationError(
                f"--foreign {args.foreign}: give the folder of the results of other scans than the atria's"
            )
        if args.case and (not args.figures or args.case not in segmented):
            raise EvaluationError(
                f"--case {args.case}: no result has this name" if args.figures else "--case needs --figures"
            )
    except EvaluationError as error:
        print(f"mtctl evaluate: {shown(error)}", file=sys.stderr)
        return 2
    failures: list[str] = []
    methods = [
        _evaluate_folder(name, folder, found, labels, failures, args.spacing, not args.no_questions)
        for name, folder, found in zip(names, args.prediction, results, strict=True)
    ]
    for folder, found in zip(args.prediction, results, strict=True):
        for stem in sorted(segmented - set(found)):
            failures.append(f"{folder / (stem + SEGMENTATION)}: missing, though another prediction folder has it")
    if args.foreign:
        _print_foreign(args.foreign, failures)
    _print_unused(sorted(set(labels) - segmented), len(labels))
    if len(methods) > 1:
        _print_comparison(methods)
    try:
        _write(args, methods)
    except Exception as error:
        failures.append(failure_of(error, args.figures or args.csv))
    for failure in failures:
        print(f"mtctl evaluate: {failure}", file=sys.stderr)
    return 1 if failures else 0


def method_names(folders: Sequence[Path], given: Sequence[str] | None) -> list[str]:
    """Return a name for each folder: the given ones, or the fewest last parts of their paths that tell them apart.

    Raises:
        EvaluationError: A folder or name occurs twice, or there are not as many names as folders.
    """
    from mtctl.errors import counted
    from mtctl.evaluation.case_files import EvaluationError

    paths = [folder.resolve() for folder in folders]
    for what, values in (("--prediction", [str(path) for path in paths]), ("--names", given or [])):
        twice = [value for value, count in Counter(values).items() if count > 1]
        if twice:
            raise EvaluationError(f"{what} {twice[0]}: given twice; name each method once")
    if given:
        if len(given) != len(folders):
            raise EvaluationError(
                f"--names: {counted(len(given), 'name')} for {counted(len(folders), 'prediction folder')}; "
                "give one each"
            )
        return list(given)
    deepest = max(len(path.parts) for path in paths)
    tails = ([Path(*path.parts[-parts:]).as_posix() for path in paths] for parts in range(1, deepest + 1))
    return next(names for names in tails if len(set(names)) == len(names))


def _evaluate_folder(
    name: str,
    folder: Path,
    results: Mapping[str, Path],
    labels: Mapping[str, Path],
    failures: list[str],
    spacing: Triple | None,
    asking: bool,
) -> MethodResult:
    """Return the cases that could be compared, printed as they come; what could not is added to `failures`."""
    from mtctl.evaluation.case_files import LABEL, CaseFiles
    from mtctl.evaluation.results import CaseResult, MethodResult, evaluate_case, model_grid_mm, training_cases
    from mtctl.evaluation.selective_prediction import reported_scores
    from mtctl.evaluation.simulated_review import SimulatedReview
    from mtctl.evaluation.tables import (
        SEGMENTATION_COLUMNS,
        case_score_table,
        empty_note,
        header,
        row,
        summary,
        uncertainty_table,
        volume_line,
    )
    from mtctl.processes.readers import NotRead, each_input

    print(f"\n{name}: {folder}\n{header(SEGMENTATION_COLUMNS)}")
    cases: dict[str, CaseResult] = {}
    failures += [
        f"{printable(path)}: no {stem}{LABEL} in the truth folder"
        for stem, path in results.items()
        if stem not in labels
    ]
    files = [
        CaseFiles(folder, stem, labels[stem], spacing, _scan_of(labels[stem], stem) if asking else None)
        for stem in results
        if stem in labels
    ]
    review = SimulatedReview(model_grid_mm(folder)) if any(one.scan for one in files) else None
    with closing(each_input(files, _read)) as readings:
        for one, read in readings:
            check()
            if isinstance(read, NotRead):
                failures.append(read.failure)
                continue
            try:
                cases[one.case] = evaluate_case(read)
                print(row(one.case, cases[one.case].figures(), SEGMENTATION_COLUMNS), flush=True)
                failures += [read.scan_problem] if read.scan_problem else []
                if review:
                    review.review(one.case, read)
            except Exception as error:
                failures.append(failure_of(error, one.path))
    method = MethodResult(name, folder, cases, training_cases(folder))
    reported, unreadable = reported_scores(folder)
    failures += unreadable
    print(summary(method, SEGMENTATION_COLUMNS))
    tables = (uncertainty_table(method), case_score_table(method, reported), review.text() if review else "")
    for text in (volume_line(method), empty_note(method), *tables):
        if text:
            print(f"\n{text}")
    return method


def _scan_of(label: Path, stem: str) -> Path | None:
    scan = label.with_name(f"{stem}.image.nrrd")
    return scan if scan.exists() else None


def _read(files: CaseFiles, was_read: WasRead) -> ComparedCase:
    """Runs in a child, where there are several cases."""
    from mtctl.evaluation.case_files import read_case

    return read_case(files)


def _print_unused(unused: Sequence[str], labels: int) -> None:
    if unused:
        rest = f" and {len(unused) - 10} more" if len(unused) > 10 else ""
        names = ", ".join(unused[:10]) + rest
        print(f"\n{len(unused)} of {labels} expert masks have no result and are not counted: {names}")


def _print_foreign(folder: Path, failures: list[str]) -> None:
    from mtctl.evaluation.selective_prediction import reported_scores
    from mtctl.evaluation.tables import foreign_table

    reported, unreadable = reported_scores(folder)
    failures += unreadable or ([] if reported else [f"{folder}: holds no report of `mtctl segment`"])
    if reported:
        print(f"\n{foreign_table(reported)}")


def _print_comparison(methods: Sequence[MethodResult]) -> None:
    from mtctl.evaluation.paired_tests import compare
    from mtctl.evaluation.tables import paired_test_table, table_1

    comparison = compare(methods)
    print(f"\n{paired_test_table(comparison)}\n\n{table_1(comparison)}")


def _write(args: argparse.Namespace, methods: Sequence[MethodResult]) -> None:
    if args.csv:
        from mtctl.evaluation.tables import write_csv

        write_csv(args.csv, methods)
    if args.figures:
        from mtctl.figures.comparison_figure import write_figures

        for path in write_figures(args.figures, methods, args.truth, args.case, args.spacing):
            print(f"written: {path}")
