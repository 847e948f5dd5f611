"""`mtctl evaluate`: folders of results against a folder of expert masks."""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtctl.calibration import correction_gain, ece, error_aupr, error_auroc
from mtctl.errors import MtctlError
from mtctl.files import replacing
from mtctl.geometry import Volume
from mtctl.metrics import Mask, segmentation_metrics, surface_band
from mtctl.volume import read_map, read_mask

SEGMENTATION, LABEL = ".seg.nrrd", ".label.nrrd"
UNCERTAINTY, PROBABILITY = ".uncertainty.nrrd", ".probability.nrrd"

CaseFigures = dict[str, float]


@dataclass(frozen=True)
class Column:
    """One figure of the tables: its key in the CSV (fractions, voxels, mm) and how it is printed."""

    key: str
    heading: str
    factor: float = 1.0
    digits: int = 2


SEGMENTATION_TABLE = (
    Column("dice", "Dice %", 100),
    Column("jaccard", "Jacc. %", 100),
    Column("hd95_voxel", "HD95 vx"),
    Column("asd_voxel", "ASD vx"),
    Column("hd95_mm", "HD95 mm"),
    Column("asd_mm", "ASD mm"),
    Column("ravd", "RAVD %", 100),
    Column("precision", "Prec. %", 100),
    Column("recall", "Recall %", 100),
)
UNCERTAINTY_TABLE = (
    Column("auroc_crop", "AUROC", digits=4),
    Column("auroc_band", "in band", digits=4),
    Column("aupr_crop", "AUPR", digits=4),
    Column("aupr_band", "in band", digits=4),
    Column("ece_crop", "ECE", digits=4),
    Column("ece_band", "in band", digits=4),
    Column("gain_10", "gain 10%", 100),
    Column("gain_10_ceiling", "ceiling", 100),
)
TESTED = SEGMENTATION_TABLE[:4]  # Dice, Jaccard, HD95, ASD: the four that the literature compares by


class EvaluationError(MtctlError):
    """A result and its expert mask cannot be compared."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl evaluate`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="compare results with expert masks",
        description="Compares <stem>.seg.nrrd with <stem>.label.nrrd: seven metrics a case, mean and SD (sample); with "
        "<stem>.uncertainty.nrrd and <stem>.probability.nrrd beside the result also how well the uncertainty finds "
        "the errors, in the whole volume and within 5 voxels of the predicted surface. Several --prediction folders "
        "are compared by paired tests.",
    )
    parser.add_argument(
        "--prediction", action="append", required=True, type=Path, metavar="DIR",
        help="folder of results of mtctl segment; repeat it to compare models",
    )  # fmt: skip
    parser.add_argument("--truth", required=True, type=Path, metavar="DIR", help="folder of <stem>.label.nrrd")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every case's figures (fractions, voxels, mm)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the tables, write the CSV.

    Returns:
        0 all cases done; 1 some could not be compared (named on stderr; the others are done); 2 wrong usage.
    """
    try:
        labels = _files(args.truth, LABEL)
        results = {folder: _files(folder, SEGMENTATION) for folder in args.prediction}
    except EvaluationError as error:
        print(f"mtctl evaluate: {error}", file=sys.stderr)
        return 2
    failures: list[str] = []
    figures = {folder: _evaluate_folder(folder, found, labels, failures) for folder, found in results.items()}
    segmented = set().union(*results.values())
    for folder, found in results.items():
        for stem in sorted(segmented - set(found)):
            failures.append(f"{folder / (stem + SEGMENTATION)}: missing, though another prediction folder has it")
    unused = sorted(set(labels) - segmented)
    if unused:
        rest = f" and {len(unused) - 10} more" if len(unused) > 10 else ""
        names = ", ".join(unused[:10]) + rest
        print(f"\n{len(unused)} of {len(labels)} expert masks have no result and are not counted: {names}")
    for first, second in itertools.combinations(figures, 2):
        _print_paired_tests(first, figures[first], second, figures[second])
    if args.csv:
        try:
            _write_csv(args.csv, figures)
        except MtctlError as error:
            failures.append(str(error))
    for failure in failures:
        print(f"mtctl evaluate: {failure}", file=sys.stderr)
    return 1 if failures else 0


def evaluate_case(folder: Path, stem: str, label: Path) -> CaseFigures:
    """All figures of one case by column key; those whose map is not there are left out.

    Raises:
        MtctlError: A file cannot be read, or its grid is not the result's.
    """
    segmentation_file = folder / (stem + SEGMENTATION)
    prediction = read_mask(segmentation_file)
    truth = _on_same_grid(read_mask(label), label, prediction, segmentation_file).array
    truth, predicted = truth.astype(bool), prediction.array.astype(bool)
    x, y, z = prediction.geometry.spacing
    figures: CaseFigures = asdict(segmentation_metrics(predicted, truth, (z, y, x)))
    band = surface_band(predicted)
    uncertainty_file, probability_file = folder / (stem + UNCERTAINTY), folder / (stem + PROBABILITY)
    if uncertainty_file.exists():
        uncertainty = _on_same_grid(read_map(uncertainty_file), uncertainty_file, prediction, segmentation_file)
        figures |= _error_detection(uncertainty, predicted, truth, band)
    if probability_file.exists():
        probability = _on_same_grid(read_map(probability_file), probability_file, prediction, segmentation_file)
        low, high = float(probability.array.min()), float(probability.array.max())
        if low < 0 or high > 1:
            raise EvaluationError(f"{probability_file}: values from {low:g} to {high:g} are no probabilities (0 to 1)")
        figures["ece_crop"] = ece(probability.array, truth)
        figures["ece_band"] = ece(probability.array, truth, band)
    return figures


def _error_detection(uncertainty: Volume, prediction: Mask, truth: Mask, band: Mask) -> CaseFigures:
    error = prediction != truth
    gain = correction_gain(uncertainty.array, prediction, truth)
    return {
        "auroc_crop": error_auroc(uncertainty.array, error),
        "auroc_band": error_auroc(uncertainty.array, error, band),
        "aupr_crop": error_aupr(uncertainty.array, error),
        "aupr_band": error_aupr(uncertainty.array, error, band),
        "gain_10": gain.after - gain.before,
        "gain_10_ceiling": gain.ceiling - gain.before,
    }


def _files(folder: Path, ending: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: no such folder; give one that holds <stem>{ending} files")
    found = {path.name.removesuffix(ending): path for path in sorted(folder.glob(f"*{ending}"))}
    if not found:
        raise EvaluationError(f"{folder}: holds no <stem>{ending} file; is it the right folder?")
    return found


def _on_same_grid(volume: Volume, path: Path, reference: Volume, reference_path: Path) -> Volume:
    ours, theirs = volume.geometry, reference.geometry
    for name, of_volume, of_reference, tolerance in (
        ("size (z, y, x)", volume.array.shape, reference.array.shape, 0),
        ("spacing", ours.spacing, theirs.spacing, 1e-3 * min(theirs.spacing)),
        ("origin", ours.origin, theirs.origin, 1e-2 * min(theirs.spacing)),
        ("direction", ours.direction, theirs.direction, 1e-3),
    ):
        if not np.allclose(np.ravel(of_volume), np.ravel(of_reference), rtol=0, atol=tolerance):
            raise EvaluationError(
                f"{path}: its {name} {of_volume} is not the {of_reference} of {reference_path}; "
                "resample one onto the other"
            )
    return volume


def _evaluate_folder(
    folder: Path, results: Mapping[str, Path], labels: Mapping[str, Path], failures: list[str]
) -> dict[str, CaseFigures]:
    """Figures of each case that could be compared, printed as they come; what could not is added to `failures`."""
    print(f"\n{folder}")
    print(_header(SEGMENTATION_TABLE))
    figures: dict[str, CaseFigures] = {}
    for stem, path in results.items():
        try:
            if stem not in labels:
                raise EvaluationError(f"{path}: no {stem}{LABEL} in the truth folder")
            figures[stem] = evaluate_case(folder, stem, labels[stem])
            print(_row(stem, figures[stem], SEGMENTATION_TABLE), flush=True)
        except MtctlError as error:
            failures.append(str(error))
    _print_summary(figures.values(), SEGMENTATION_TABLE)
    if any("auroc_crop" in case or "ece_crop" in case for case in figures.values()):
        print(f"\n{_header(UNCERTAINTY_TABLE)}")
        for stem, case in figures.items():
            print(_row(stem, case, UNCERTAINTY_TABLE))
        _print_summary(figures.values(), UNCERTAINTY_TABLE)
        print(
            "gain 10%: Dice points if the most uncertain voxels, 10 % of the predicted volume, are set right; "
            "ceiling: if all of them were wrong"
        )
    return figures


def _header(columns: Iterable[Column]) -> str:
    return f"{'case':<28}" + "".join(f"{column.heading:>10}" for column in columns)


def _row(name: str, case: Mapping[str, float], columns: Iterable[Column]) -> str:
    values = [(case.get(column.key, math.nan) * column.factor, column.digits) for column in columns]
    return f"{name:<28}" + "".join(f"{'-':>10}" if math.isnan(v) else f"{v:>10.{digits}f}" for v, digits in values)


def _print_summary(cases: Iterable[CaseFigures], columns: Iterable[Column]) -> None:
    """Mean and SD of each column over the cases where it is defined, whose number is printed when it is not all."""
    cases = list(cases)
    mean, spread, counts = {}, {}, {}
    for column in columns:
        values = [case[column.key] for case in cases if not math.isnan(case.get(column.key, math.nan))]
        counts[column.key] = float(len(values))
        mean[column.key] = float(np.mean(values)) if values else math.nan
        finite = len(values) > 1 and np.isfinite(values).all()
        spread[column.key] = float(np.std(values, ddof=1)) if finite else math.nan
    print(_row(f"mean of {len(cases)}", mean, columns))
    print(_row("SD", spread, columns))
    if any(0 < count < len(cases) for count in counts.values()):
        print(_row("cases counted", counts, [Column(column.key, column.heading, digits=0) for column in columns]))


def _print_paired_tests(
    first: Path, first_cases: Mapping[str, CaseFigures], second: Path, second_cases: Mapping[str, CaseFigures]
) -> None:
    common = sorted(set(first_cases) & set(second_cases))
    print(f"\n{second} minus {first}, paired over {len(common)} common cases")
    print(f"{'':<28}{'mean':>10}{'SD':>10}{'Wilcoxon p':>12}{'t test p':>12}")
    for column in TESTED:
        change = np.array([second_cases[stem][column.key] - first_cases[stem][column.key] for stem in common])
        change *= column.factor
        if len(change) < 2:
            print(f"{column.heading:<28}{'-':>10}{'-':>10}{'-':>12}{'-':>12}   (two common cases at least are needed)")
            continue
        wilcoxon, paired_t = paired_tests(change)
        print(
            f"{column.heading:<28}{change.mean():>+10.3f}{change.std(ddof=1):>10.3f}{wilcoxon:>12.4g}{paired_t:>12.4g}"
        )


def paired_tests(change: NDArray[np.float64]) -> tuple[float, float]:
    """Two-sided p of the Wilcoxon signed-rank and of the paired t test for at least two differences of pairs.

    Equal differences leave the t test undefined: p is 1 when nothing differs at all, 0 when all differ by the same.
    """
    from scipy import stats  # here: its import takes half a second, which `mtctl --help` should not

    if not change.any():
        return 1.0, 1.0
    wilcoxon = float(stats.wilcoxon(change).pvalue)
    return wilcoxon, float(stats.ttest_1samp(change, 0).pvalue) if np.ptp(change) else 0.0


def _write_csv(path: Path, figures: Mapping[Path, Mapping[str, CaseFigures]]) -> None:
    keys = [column.key for column in (*SEGMENTATION_TABLE, *UNCERTAINTY_TABLE)]
    with replacing(path) as part, open(part, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, ["prediction", "case", *keys], restval="")
        writer.writeheader()
        for folder, cases in figures.items():
            writer.writerows({"prediction": str(folder), "case": stem, **case} for stem, case in cases.items())
