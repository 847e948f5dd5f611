"""What `mtctl evaluate` prints: a method's cases, the paired tests, and the paper's Table 1; and its CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtctl.errors import counted, printable
from mtctl.evaluation.paired_tests import METRICS, Comparison, Metric, PairedTest, mean_and_sd
from mtctl.evaluation.results import MethodResult
from mtctl.evaluation.selective_prediction import FAILED_BELOW, ReportedScore, coverage, judge
from mtctl.system.tables import write_table


@dataclass(frozen=True)
class Column:
    """One figure of the tables: its name in `CaseResult.figures` and how it is printed."""

    key: str
    heading: str
    factor: float = 1.0
    digits: int = 2


SEGMENTATION_COLUMNS = (
    Column("dice", "Dice %", 100),
    Column("jaccard", "Jacc. %", 100),
    Column("hd95_voxel", "HD95 vx"),
    Column("asd_voxel", "ASD vx"),
    Column("hd95_mm", "HD95 mm"),
    Column("asd_mm", "ASD mm"),
    Column("ravd", "RAVD %", 100),
    Column("precision", "Prec. %", 100),
    Column("recall", "Recall %", 100),
    Column("predicted_ml", "mL", digits=1),
    Column("true_ml", "true mL", digits=1),
)
#: "3 mm" and "5 voxels": within that of the predicted surface, in true millimetres and as the literature counts.
UNCERTAINTY_COLUMNS = (
    Column("auroc_crop", "AUROC", digits=4),
    Column("auroc_band", "3 mm", digits=4),
    Column("auroc_band5", "5 voxels", digits=4),
    Column("aupr_crop", "AUPR", digits=4),
    Column("aupr_band", "3 mm", digits=4),
    Column("aupr_band5", "5 voxels", digits=4),
    Column("ece_crop", "ECE", digits=4),
    Column("ece_band", "3 mm", digits=4),
    Column("ece_band5", "5 voxels", digits=4),
    Column("gain_10", "gain 10%", 100),
    Column("gain_10_ceiling", "ceiling", 100),
    Column("qu_brats", "QU-BraTS", digits=4),
)
#: The paper's Table 1, with its order and headings, but for the unit of the distances.
TABLE_1_COLUMNS = (
    Column("dice", "Dice (%)", 100),
    Column("jaccard", "Jaccard (%)", 100),
    Column("hd95_voxel", "95HD (voxel)"),
    Column("asd_voxel", "ASD (voxel)"),
    Column("ravd", "RAVD (%)", 100),
    Column("precision", "Precision (%)", 100),
    Column("recall", "Recall (%)", 100),
)

#: Levels of the paper's Table 1.
SIGNIFICANT = ((0.05, "**"), (0.1, "*"))

_CELL, _NUMBER = 18, 11


def header(columns: Iterable[Column]) -> str:
    """Return the first line of a table of cases."""
    return f"{'case':<28}" + "".join(f"{column.heading:>10}" for column in columns)


def row(name: str, figures: Mapping[str, float], columns: Iterable[Column]) -> str:
    """Return a line of a table of cases; figures that are absent or NaN are a dash."""
    return f"{printable(name):<28}" + "".join(
        f"{_number(figures.get(column.key, math.nan) * column.factor, f'.{column.digits}f'):>10}" for column in columns
    )


def summary(method: MethodResult, columns: Sequence[Column]) -> str:
    """Return mean and SD of each column over the cases where it is defined, and their number where it is not all."""
    cases = [case.figures() for case in method.cases.values()]
    mean, spread, counts = {}, {}, {}
    for column in columns:
        values = [case.get(column.key, math.nan) for case in cases]
        mean[column.key], spread[column.key] = mean_and_sd(values)
        counts[column.key] = float(np.count_nonzero(~np.isnan(values)))
    lines = [row(f"mean of {len(cases)}", mean, columns), row("SD", spread, columns)]
    if any(0 < count < len(cases) for count in counts.values()):
        lines.append(row("cases counted", counts, [Column(column.key, "", digits=0) for column in columns]))
    return "\n".join(lines)


def volume_line(method: MethodResult) -> str:
    """Return mean predicted against mean true volume, and the cases' own relative differences; empty without cases."""
    cases = [case for case in method.cases.values() if case.volumes]
    if not cases:
        return ""
    predicted, true = np.mean([(case.volumes.predicted_ml, case.volumes.true_ml) for case in cases if case.volumes], 0)
    ravd = np.array([case.segmentation.ravd for case in cases])
    of_means = f"{100 * (predicted / true - 1):+.1f} %" if true else "-"
    return (
        f"volume: {predicted:.1f} mL segmented, {true:.1f} mL true over {counted(len(cases), 'case')} ({of_means}); "
        f"difference of a case {100 * ravd.mean():+.1f} % in the mean, its size {100 * np.abs(ravd).mean():.1f} %"
    )


def uncertainty_table(method: MethodResult) -> str:
    """Return how well the uncertainty of each case finds its errors; an empty text where no case has the maps."""
    if not any(case.detection or case.calibration for case in method.cases.values()):
        return ""
    lines = [row(name, case.figures(), UNCERTAINTY_COLUMNS) for name, case in method.cases.items()]
    return "\n".join((
        header(UNCERTAINTY_COLUMNS), *lines, summary(method, UNCERTAINTY_COLUMNS),
        "3 mm, 5 voxels: only what is that near to the predicted surface, in mm and as the literature counts",
        "gain 10%: Dice points if the most uncertain voxels, 10 % of the predicted volume, are set right; "
        "ceiling: if all of them were wrong",
    ))  # fmt: skip


def case_score_table(method: MethodResult, reported: Mapping[str, ReportedScore]) -> str:
    """Return how well the case scores of reports foretell the Dice of the method's cases; empty for fewer than two.

    Args:
        method: Its cases have the true Dice.
        reported: Case scores by case name; cases that the method does not have are left out.
    """
    reports = {name: score for name, score in reported.items() if name in method.cases}
    if len(reports) < 2:
        return ""
    dice = [method.cases[name].segmentation.dice for name in reports]
    # "case+noise-1" is the case once more: it says little that is new.
    cases = [re.sub(r"\+[a-z-]+-[1-3]$", "", name) for name in reports]
    estimates = judge([report.score for report in reports.values()], dice, cases)
    covered = coverage(dice, *zip(*((report.low, report.high) for report in reports.values()), strict=True))
    flagged = sum(report.flagged for report in reports.values())
    lines = [f"{name:<20}{estimate}" for name, estimate in estimates.items()]
    return "\n".join((
        f"Case score of {counted(len(reports), 'report')} against Dice, 95 % intervals; "
        f"failed: below {FAILED_BELOW:.2f}",
        *lines, f"{'in its 90 % interval':<20} {covered:.3f}", f"{'flagged':<20} {flagged}",
    ))  # fmt: skip


def foreign_table(reported: Mapping[str, ReportedScore]) -> str:
    """Return how many reports of scans that are no left-atrium MRI are flagged, by kind, and which are not.

    Args:
        reported: Case scores by name ("<kind>-<number>"); at least one.
    """
    kinds: dict[str, list[bool]] = {}
    for name, report in reported.items():
        kinds.setdefault(name.rpartition("-")[0] or name, []).append(report.flagged)
    flagged = sum(report.flagged for report in reported.values())
    missed = [name for name, report in reported.items() if not report.flagged]
    return "\n".join((
        f"Scans that are no left-atrium MRI: {flagged} of {len(reported)} flagged ({flagged / len(reported):.0%})",
        "  " + ", ".join(f"{kind} {sum(flags)} of {len(flags)}" for kind, flags in kinds.items()),
        *([f"  not flagged: {', '.join(missed)}"] if missed else []),
    ))  # fmt: skip


def empty_note(method: MethodResult) -> str:
    """Return what the method's empty results are counted with, and its figures by the literature's rule; else empty."""
    empty = [name for name, case in method.cases.items() if case.empty]
    if not empty:
        return ""
    by_literature = {
        column.key: np.mean([
            0.0 if case.empty else getattr(case.segmentation, column.key) for case in method.cases.values()
        ])
        for column in SEGMENTATION_COLUMNS
        if column.key in ("hd95_voxel", "asd_voxel")
    }  # fmt: skip
    return (
        f"{method.name}: nothing was segmented in {', '.join(empty)}. HD95 and ASD count the volume's diagonal there; "
        f"by the literature's rule (0) their means would be {by_literature['hd95_voxel']:.2f} and "
        f"{by_literature['asd_voxel']:.2f} voxels"
    )


def paired_test_table(comparison: Comparison) -> str:
    """Return all pairs of methods by every metric of Table 1: change, raw and corrected p."""
    pairs = len(comparison.tests) // len(METRICS)
    numbers = ("mean", "SD", "Wilcoxon", "Holm", "t test", "Holm")
    width = max(len(f"{test.second} - {test.first}") for test in comparison.tests) + 2
    lines = [
        f"Paired over {counted(len(comparison.cases), 'common case')}: two-sided p of the Wilcoxon "
        "signed-rank and the paired t test, as they are and",
        f"Holm-corrected (family: the {counted(pairs, 'pair')} of methods within a metric). RAVD: its size.",
        f"{'':<{14 + width}}" + "".join(f"{number:>{_NUMBER}}" for number in numbers),
    ]
    if len(comparison.cases) < 2:
        return "\n".join([*lines[:2], "no test: two common cases at least are needed"])
    for column, metric in _with_metrics():
        for number, test in enumerate(test for test in comparison.tests if test.metric == metric):
            name = "" if number else column.heading
            lines.append(f"{name:<14}{f'{test.second} - {test.first}':<{width}}{_test_numbers(test, column.factor)}")
    return "\n".join(lines)


def table_1(comparison: Comparison) -> str:
    """Return the methods in the layout of the paper's Table 1."""
    width = max(len(method.name) for method in comparison.methods) + 2
    lines = [
        f"{'METHOD':<{width}}{'LABELLED':>9}{'UNLABELLED':>12}"
        + "".join(f"{column.heading:>{_CELL}}" for column in TABLE_1_COLUMNS)
    ]
    cells = [_table_1_cells(comparison, column, metric) for column, metric in _with_metrics()]
    for number, method in enumerate(comparison.methods):
        scans = method.training
        labelled, unlabelled = (str(scans.labelled), str(scans.unlabelled)) if scans else ("-", "-")
        texts = "".join(f"{column[number]:>{_CELL}}" for column in cells)
        lines.append(f"{method.name:<{width}}{labelled:>9}{unlabelled:>12}{texts}")
    before, proposed = comparison.methods[-2:]
    return "\n".join((
        f"Table 1: mean ± SD over the {counted(len(comparison.cases), 'case')} that all methods have (sample SD of "
        "the cases; the paper does not say what its ± is)",
        *lines,
        "[ ] the best mean of the column (RAVD: nearest to 0). Distances in voxels, as the literature counts them.",
        f"* p < 0.1, ** p < 0.05: {proposed.name} against {before.name}, Wilcoxon, Holm-corrected over all pairs "
        "within the metric; it stands at the better of the two.",
        "An empty result counts 0 in Dice, Jaccard, precision and recall, as in the literature, but the volume's "
        "diagonal in 95HD and ASD, where the literature's code counts 0, the best there is.",
    ))  # fmt: skip


def write_csv(path: Path, methods: Iterable[MethodResult]) -> None:
    """Write every case's figures (fractions, voxels, mm, mL), one line per method and case.

    Raises:
        WriteError: `path` cannot be written.
    """
    keys = [column.key for column in (*SEGMENTATION_COLUMNS, *UNCERTAINTY_COLUMNS)]
    write_table(path, ["method", "prediction", "case", *keys], (
        [method.name, str(method.folder), name, *(figures.get(key) for key in keys)]
        for method in methods
        for name, figures in ((name, case.figures()) for name, case in method.cases.items())
    ))  # fmt: skip


def _with_metrics() -> list[tuple[Column, Metric]]:
    by_key = {metric.key: metric for metric in METRICS}
    return [(column, by_key[column.key]) for column in TABLE_1_COLUMNS]


def _table_1_cells(comparison: Comparison, column: Column, metric: Metric) -> list[str]:
    """Return one column, a text for each method."""
    figures = [mean_and_sd(metric.of(method, comparison.cases)) for method in comparison.methods]
    distances = [abs(mean - metric.ideal) for mean, _ in figures]
    best = min((distance for distance in distances if not math.isnan(distance)), default=math.nan)
    before, proposed = comparison.methods[-2:]
    test = comparison.test(before, proposed, metric)
    stars = next((mark for level, mark in SIGNIFICANT if test.holm.wilcoxon < level), "")
    texts = []
    for method, (mean, sd), distance in zip(comparison.methods, figures, distances, strict=True):
        text = f"{_number(mean * column.factor, '.2f')} ± {_number(sd * column.factor, '.2f')}"
        text = f"[{text}]" if distance == best else f"{text} "  # the numbers stay in line
        texts.append(f"{stars}{text}" if stars and method.name == test.better else text)
    return texts


def _test_numbers(test: PairedTest, factor: float) -> str:
    change = f"{_number(test.mean * factor, '+.3f'):>{_NUMBER}}{_number(test.sd * factor, '.3f'):>{_NUMBER}}"
    p = (test.raw.wilcoxon, test.holm.wilcoxon, test.raw.t, test.holm.t)
    return change + "".join(f"{_number(value, '.3g'):>{_NUMBER}}" for value in p)


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"
