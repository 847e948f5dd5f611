"""Time spans as text."""

from __future__ import annotations

import pytest

from mtctl.system.output import time_span_text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (40, "40 s"), (700, "12 min"), (3599, "1 h 00 min"), (11100, "3 h 05 min"), (187000, "2 d 3 h")],
)
def test_time_spans_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert time_span_text(seconds) == words
