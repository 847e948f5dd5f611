"""Paired tests between methods on the same cases, and which method is better."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtctl.evaluation.results import MethodResult


@dataclass(frozen=True)
class Metric:
    """A metric that methods are compared by.

    Attributes:
        key: Its name in `CaseResult.figures`.
        ideal: The best value that there is.
        signed: Values lie on both sides of the ideal; tests compare their sizes, so that opposite errors do not cancel
            (a method is not good for segmenting half the atria too large and half too small).
    """

    key: str
    ideal: float
    signed: bool = False

    def of(self, method: MethodResult, cases: Sequence[str]) -> NDArray[np.float64]:
        """Return the method's values (n,) on these cases."""
        return np.array([getattr(method.cases[case].segmentation, self.key) for case in cases], dtype=np.float64)

    def change(self, first: MethodResult, second: MethodResult, cases: Sequence[str]) -> NDArray[np.float64]:
        """Return what the tests see (n,): second minus first, of a signed metric of its size.

        Two infinite values give NaN.
        """
        before, after = self.of(first, cases), self.of(second, cases)
        with np.errstate(invalid="ignore"):
            return np.abs(after) - np.abs(before) if self.signed else after - before


#: The columns of the paper's Table 1, distances in the literature's voxels.
METRICS = (
    Metric("dice", 1),
    Metric("jaccard", 1),
    Metric("hd95_voxel", 0),
    Metric("asd_voxel", 0),
    Metric("ravd", 0, signed=True),
    Metric("precision", 1),
    Metric("recall", 1),
)


@dataclass(frozen=True)
class PValues:
    """Two-sided p of the Wilcoxon signed-rank test and of the paired t test; NaN where they are undefined."""

    wilcoxon: float
    t: float


@dataclass(frozen=True)
class PairedTest:
    """Two methods compared by one metric over their common cases.

    Attributes:
        metric: Which; for a signed one its size is compared.
        first, second: The methods' names.
        mean, sd: Mean and SD of second minus first (sample SD); a fraction, or voxels.
        raw: p as the tests give it.
        holm: p corrected for the family: all pairs of methods within this metric and kind of test.
    """

    metric: Metric
    first: str
    second: str
    mean: float
    sd: float
    raw: PValues
    holm: PValues

    @property
    def better(self) -> str:
        """The name of the method whose mean is nearer to the ideal."""
        return self.second if (self.mean > 0) == (self.metric.ideal > 0) else self.first


@dataclass(frozen=True)
class Comparison:
    """Methods compared over the cases that all of them have."""

    methods: tuple[MethodResult, ...]
    cases: tuple[str, ...]
    tests: tuple[PairedTest, ...]

    def test(self, first: MethodResult, second: MethodResult, metric: Metric) -> PairedTest:
        """Return the test of these two methods, `first` standing before `second` in `methods`."""
        wanted = (first.name, second.name, metric)
        return next(test for test in self.tests if (test.first, test.second, test.metric) == wanted)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down correction for a family of tests (Scandinavian Journal of Statistics 6, 1979).

    The i-th smallest of m values is multiplied by m - i + 1; none may fall below the one before it, or exceed 1.

    Args:
        p_values: (m,); an undefined one (NaN) stays so and counts as a member of the family.

    Returns:
        Corrected p (m,) in the same order: the smallest level at which Holm's procedure rejects.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return corrected


def paired_tests(change: ArrayLike) -> PValues:
    """Return the tests of the differences (n,) between two methods on the same cases.

    Fewer than two differences, or infinite ones, leave both undefined. Equal differences leave the t test undefined:
    p is 1 when nothing differs at all, 0 when all differ by the same.
    """
    from scipy import stats  # here: half a second that the evaluation of one method can do without

    # Equal up to the rounding of doubles is equal: no metric of a volume has steps as small as this.
    values = np.asarray(change, dtype=np.float64).round(12)
    if values.size < 2 or not np.isfinite(values).all():
        return PValues(math.nan, math.nan)
    if not values.any():
        return PValues(1.0, 1.0)
    wilcoxon = float(stats.wilcoxon(values).pvalue)
    return PValues(wilcoxon, float(stats.ttest_1samp(values, 0).pvalue) if np.ptp(values) else 0.0)


def compare(methods: Sequence[MethodResult]) -> Comparison:
    """Return every pair of methods by every metric of Table 1, over the cases that all methods have, Holm-corrected."""
    cases = tuple(sorted(set.intersection(*(set(method.cases) for method in methods)))) if methods else ()
    tests = [test for metric in METRICS for test in _family(metric, methods, cases)]
    return Comparison(tuple(methods), cases, tuple(tests))


def mean_and_sd(values: ArrayLike) -> tuple[float, float]:
    """Return the mean and sample SD over the values that are defined (not NaN).

    Either is NaN where too few are, and the SD of infinite ones.
    """
    all_values = np.asarray(values, dtype=np.float64)
    defined = all_values[~np.isnan(all_values)]
    mean = float(defined.mean()) if defined.size else math.nan
    return mean, float(defined.std(ddof=1)) if defined.size > 1 and np.isfinite(defined).all() else math.nan


def _family(metric: Metric, methods: Sequence[MethodResult], cases: Sequence[str]) -> list[PairedTest]:
    pairs = list(itertools.combinations(methods, 2))
    changes = [metric.change(first, second, cases) for first, second in pairs]
    raw = [paired_tests(change) for change in changes]
    corrected = zip(holm([p.wilcoxon for p in raw]).tolist(), holm([p.t for p in raw]).tolist(), strict=True)
    return [
        PairedTest(metric, first.name, second.name, *mean_and_sd(change), p, PValues(wilcoxon, t))
        for (first, second), change, p, (wilcoxon, t) in zip(pairs, changes, raw, corrected, strict=True)
    ]
