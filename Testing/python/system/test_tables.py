"""Tables that a spreadsheet opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtctl.system.tables import read_table, write_table


@pytest.mark.parametrize("name", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", "'=1", "'quoted'"])
def test_a_name_that_begins_like_a_formula_is_text_to_a_spreadsheet_and_is_read_back(tmp_path: Path, name: str) -> None:
    write_table(tmp_path / "t.csv", ["case", "score"], [[name, -0.5]])
    assert "'" + name in (tmp_path / "t.csv").read_text(encoding="utf-8").replace("\r\n", "\n").replace("\n=", "\r=")
    assert list(read_table(tmp_path / "t.csv")) == [{"case": name, "score": "-0.5"}]


def test_numbers_stay_numbers_and_what_is_not_there_is_empty(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ["a", "b", "c", "d", "e"], [[-1, -0.25, None, True, "-12.5"], [1, 2, 3, 4, "a-b"]])
    lines = (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1:] == ["-1,-0.25,,true,-12.5", "1,2,3,4,a-b"]


def test_a_name_with_bytes_that_are_no_text_is_written_with_a_question_mark(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ["case"], [["a\udcff.nrrd"]])
    assert list(read_table(tmp_path / "t.csv")) == [{"case": "a?.nrrd"}]


def test_a_table_that_is_not_there_or_damaged_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    assert list(read_table(tmp_path / "t.csv")) == []
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n" + b"\xff" * 20_000)
    assert list(read_table(tmp_path / "t.csv")) in ([], [{"a": "1", "b": "2"}])
