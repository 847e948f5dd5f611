"""Paired tests between methods, Holm's correction, and the paper's Table 1."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mtctl.evaluation.paired_tests import METRICS, PValues, compare, holm, paired_tests
from mtctl.evaluation.results import CaseResult, MethodResult
from mtctl.evaluation.segmentation_metrics import SegmentationMetrics
from mtctl.evaluation.tables import paired_test_table, table_1


def method(name: str, **values: list[float]) -> MethodResult:
    """A method whose cases have these metrics, and middling ones for the rest."""
    count = len(next(iter(values.values())))
    middling = dict.fromkeys(SegmentationMetrics.__dataclass_fields__, 0.5)
    cases = {
        f"case{number}": CaseResult(
            SegmentationMetrics(**{**middling, **{key: column[number] for key, column in values.items()}})
        )
        for number in range(count)
    }
    return MethodResult(name, Path(name), cases)


def test_equal_methods_do_not_differ_and_one_that_is_always_better_by_the_same_does() -> None:
    assert paired_tests(np.zeros(5)) == PValues(1.0, 1.0)
    steady = np.array([0.3, 0.4, 0.5, 0.6]) - [0.2, 0.3, 0.4, 0.5]  # 0.1 each, but for the last bits of a double
    assert paired_tests(steady) == PValues(stats.wilcoxon(np.full(4, 0.1)).pvalue, 0.0)


@pytest.mark.parametrize("change", [[], [0.1], [0.1, math.inf], [0.1, math.nan]])
def test_too_few_or_infinite_differences_leave_the_tests_undefined(change: list[float]) -> None:
    p = paired_tests(change)
    assert math.isnan(p.wilcoxon) and math.isnan(p.t)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0, 1))
def test_holm_corrected_p_rejects_what_holms_procedure_rejects(p_values: list[float], level: float) -> None:
    # The procedure itself: from the smallest p on, reject while p <= level / (tests that are left).
    rejected: set[int] = set()
    for left, index in zip(range(len(p_values), 0, -1), np.argsort(p_values, kind="stable"), strict=True):
        if p_values[index] * left > level:
            break
        rejected.add(int(index))
    assert {index for index, p in enumerate(holm(p_values)) if p <= level} == (
        rejected if level < 1 else set(range(len(p_values)))
    )


def test_holm_on_the_textbooks_numbers() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_the_family_is_all_pairs_of_methods_within_a_metric() -> None:
    rng = np.random.default_rng(0)
    methods = [method(name, dice=list(rng.random(9)), recall=list(rng.random(9))) for name in "abc"]
    comparison = compare(methods)
    assert len(comparison.tests) == 3 * len(METRICS)
    for key in ("dice", "recall"):
        family = [test for test in comparison.tests if test.metric.key == key]
        assert [(test.first, test.second) for test in family] == [("a", "b"), ("a", "c"), ("b", "c")]
        assert [test.holm.wilcoxon for test in family] == holm([test.raw.wilcoxon for test in family]).tolist()
        assert [test.holm.t for test in family] == holm([test.raw.t for test in family]).tolist()


def test_methods_are_compared_over_the_cases_that_all_have() -> None:
    shorter, longer = method("a", dice=[0.8, 0.9]), method("b", dice=[0.9, 0.8, 0.1])
    comparison = compare([shorter, longer])
    assert comparison.cases == ("case0", "case1")
    assert comparison.tests[0].mean == pytest.approx(0)
    assert "mean ± SD over the 2 cases" in table_1(comparison)


def test_volume_errors_of_opposite_sign_do_not_cancel_in_the_tests() -> None:
    wild, tame = method("wild", ravd=[-0.4, 0.4, -0.4, 0.4]), method("tame", ravd=[0.1, 0.1, 0.1, 0.1])
    (test,) = (test for test in compare([wild, tame]).tests if test.metric.key == "ravd")
    assert test.mean == pytest.approx(-0.3) and test.better == "tame"


def rows_of_table_1(text: str) -> dict[str, str]:
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("METHOD"))
    return {line.split()[0]: line for line in lines[start + 1 :]}


@pytest.mark.slow
def test_table_1_has_the_papers_columns_best_values_and_stars() -> None:
    rng = np.random.default_rng(1)
    base = 0.8 + 0.01 * rng.random(10)
    methods = [
        method("V-Net", dice=list(base - 0.1), hd95_voxel=[20.0] * 10, precision=[0.9] * 10, ravd=[0.3, -0.3] * 5),
        method("UA-MT", dice=list(base), hd95_voxel=[9.0] * 10, precision=[0.7] * 10, ravd=[0.2] * 10),
        method("MT-CTL", dice=list(base + 0.05), hd95_voxel=[5.0] * 10, precision=[0.6] * 10, ravd=[-0.1] * 10),
    ]
    text = table_1(compare(methods))
    heading = next(line for line in text.splitlines() if line.startswith("METHOD"))
    columns = ("Dice", "Jaccard", "95HD (voxel)", "ASD", "RAVD", "Precision", "Recall")
    assert all(heading.index(left) < heading.index(right) for left, right in pairwise(columns))
    lines = rows_of_table_1(text)
    mean, sd = 100 * (base + 0.05).mean(), 100 * base.std(ddof=1)
    assert f"**[{mean:.2f} ± {sd:.2f}]" in lines["MT-CTL"]
    assert "**[5.00 ± 0.00]" in lines["MT-CTL"]
    assert "[0.00 ± 31.62]" in lines["V-Net"]  # RAVD: nearest to 0, as signed means go
    assert "**-10.00 ± 0.00" in lines["MT-CTL"]  # but smaller in size than its rival's
    assert "[90.00 ± 0.00]" in lines["V-Net"]
    assert "**70.00 ± 0.00" in lines["UA-MT"] and " 60.00 ± 0.00" in lines["MT-CTL"]  # a loss is no star of the loser's
    assert "sample SD" in text and "Holm" in text


def test_numbers_of_training_scans_that_nothing_tells_are_a_dash() -> None:
    lines = rows_of_table_1(table_1(compare([method("a", dice=[0.1, 0.2]), method("b", dice=[0.2, 0.3])])))
    assert lines["a"].split()[1:3] == ["-", "-"]


@pytest.mark.parametrize(("cases", "stars"), [(4, ""), (5, "*"), (6, "**")])
def test_stars_follow_the_papers_levels(cases: int, stars: str) -> None:
    # All differences of one sign: the exact Wilcoxon p is 2^(1 - n): 0.125, 0.0625, 0.03125.
    better = [0.8 + 0.01 * number for number in range(cases)]
    lines = rows_of_table_1(table_1(compare([method("old", dice=[0.7] * cases), method("new", dice=better)])))
    cell = lines["new"].split("]")[0].split()[-3]
    assert cell.split("[")[0] == stars


def test_methods_that_do_not_differ_share_the_mark_and_get_no_star() -> None:
    same = [method(name, dice=[0.8, 0.9, 0.7]) for name in "ab"]
    lines = rows_of_table_1(table_1(compare(same)))
    for name in "ab":
        assert "[80.00 ± 10.00]" in lines[name] and "*" not in lines[name]


def test_infinite_figures_are_not_tested_and_printed_as_a_dash() -> None:
    nothing_there = method("a", ravd=[math.inf, 0.1, 0.2]), method("b", ravd=[math.inf, 0.2, 0.1])
    comparison = compare(nothing_there)
    line = next(line for line in paired_test_table(comparison).splitlines() if line.startswith("RAVD"))
    assert line.split()[-4:] == ["-"] * 4
    assert "inf ± -" in table_1(comparison)
