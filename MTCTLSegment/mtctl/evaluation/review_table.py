"""The table of what answers bring, mean of many cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtctl.evaluation.review_curve import ReviewCurve, mean_figures

#: Numbers of answers that have a line.
ANSWERS = (0, 1, 2, 3, 5, 10)


def review_table(curves: Mapping[str, Sequence[ReviewCurve]], counts: Sequence[int]) -> str:
    """Return the mean figures after some numbers of answers, in a line each: Dice and its gain in %, HD95, far errors.

    Args:
        curves: Of all cases, by the name of the reader.
        counts: Numbers of answers.
    """
    lines = [f"{'reader':12} answers   Dice  gain  HD95 mm  beyond 2 mm, mL"]
    for reader, cases in curves.items():
        start = mean_figures(cases, 0)
        for count in counts:
            mean = mean_figures(cases, count)
            lines.append(
                f"{reader:12} {count:7d} {100 * mean.dice:6.2f} {100 * (mean.dice - start.dice):5.2f} "
                f"{mean.hd95_mm:8.2f} {mean.beyond_2mm_ml:7.2f}"
            )
    return "\n".join(lines)
