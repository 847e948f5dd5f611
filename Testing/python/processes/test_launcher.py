"""What comes through Slicer's launcher of Python, and what it says when a child crashes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mtctl.processes.launcher import CRASHED, child_environment, decode_argument, encode_argument, ending_of

CATEGORIES = ("LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LC_COLLATE", "LC_MONETARY", "LC_MESSAGES")


# A path of an old share, in Latin-1, is no UTF-8.
@example("/data/Vorh\udcf6fe")
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_argument_comes_through_as_ascii_without_blanks_and_quotes(argument: str) -> None:
    assert encode_argument(argument).isascii() and not set(encode_argument(argument)) & set(" \"'\\\n\t")
    assert decode_argument(encode_argument(argument)) == argument


def test_paths_and_flags_of_plain_letters_stay_as_they_are() -> None:
    for argument in ("--minutes", "20", "/home/anna/runs/2026-11-24-120000", "mtctl-la16"):
        assert encode_argument(argument) == argument


@pytest.mark.parametrize("end", ["", "\r"])
def test_a_crash_behind_the_launcher_is_told_as_one(end: str) -> None:
    line = "error: [/opt/Slicer/bin/../lib/Python/bin/python-real] exit abnormally - Report the problem." + end
    assert ending_of("exit status 1", ["loading", line]) == (CRASHED, ["loading"])
    assert ending_of("exit status 1", ["no such file"]) == ("exit status 1", ["no such file"])


@pytest.mark.parametrize(
    "base",
    [
        {"LC_ALL": "de_DE.UTF-8"},
        {"LC_ALL": "de_DE.UTF-8", "LC_NUMERIC": "fr_FR.UTF-8", "LC_TIME": "C", "LANG": "C"},
        {"LANG": "de_DE.UTF-8"},
        {"LC_NUMERIC": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"},
    ],
)
def test_a_child_writes_numbers_with_a_point_and_all_else_in_the_user_s_language(base: dict[str, str]) -> None:
    """By the rules of setlocale: LC_ALL goes before a category's own variable, and that before LANG."""
    environment = child_environment(base)
    locale = {name: environment.get("LC_ALL") or environment.get(name) or environment["LANG"] for name in CATEGORIES}
    assert locale == dict.fromkeys(CATEGORIES, "de_DE.UTF-8") | {"LC_NUMERIC": "C"}
    assert environment["PYTHONIOENCODING"] == "utf-8"
