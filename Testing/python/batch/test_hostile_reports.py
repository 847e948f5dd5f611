"""A report that is none costs its own row: the table and the page of all others are written."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from support.documents import pipe

from mtctl.batch.cohort import PAGE, TABLE, write_cohort
from mtctl.browser.sources.folder import FolderSource
from mtctl.cases.store import CaseStore
from mtctl.evaluation.selective_prediction import reported_scores
from mtctl.io.results import ResultFiles

REPORT: dict[str, Any] = {
    "case_score": 0.9, "case_score_interval": [0.85, 0.94], "flagged": False, "volume_ml": 61.04,
    "likely_wrong_ml": 1.5, "uncertainty": {"in_band_mean": 0.31}, "seconds": {"network": 1.5},
    "model": {"id": "m", "version": "1"}, "warnings": [], "fingerprint": "f",
}  # fmt: skip


def case(out: Path, stem: str, content: bytes | None = None, **changes: Any) -> Path:
    """The results of a case, as far as the table looks at them."""
    (out / f"{stem}.seg.nrrd").touch()
    path = out / f"{stem}.json"
    path.write_bytes(json.dumps(REPORT | changes).encode() if content is None else content)
    return path


CHANGES = [
    ({"case_score": "high"}, "'case_score' is high; a number is needed"),
    ({"case_score": math.nan}, "'case_score' is NaN; a finite number is needed"),
    ({"case_score": 1e308}, "'case_score' is 1e+308; a number from 0 to 1 is needed"),
    ({"case_score": -1e9}, "'case_score' is -1000000000.0; a number from 0 to 1 is needed"),
    ({"case_score": None}, "a field is missing ('case_score')"),
    ({"case_score_interval": [0.5]}, "'case_score_interval' is a list of 1; a list of 2 is needed"),
    ({"flagged": "no"}, "'flagged' is no; true or false is needed"),
    ({"volume_ml": math.inf}, "'volume_ml' is Infinity; a finite number is needed"),
    ({"regions": {"a": 1}}, "'regions' is an object; a list is needed"),
    ({"likely_wrong_ml": -5}, "'likely_wrong_ml' is -5"),
    ({"regions": [{"expected_error_mm3": -5}]}, "'regions[0].expected_error_mm3' is -5"),
    ({"regions": [[]]}, "'regions[0]' is a list of 0; an object is needed"),
    ({"uncertainty": [1]}, "'uncertainty' is a list of 1; an object is needed"),
    ({"seconds": {"a": "long"}}, "'seconds.a' is long; a number is needed"),
    ({"model": "m"}, "'model' is m; an object is needed"),
    ({"warnings": [1]}, "'warnings[0]' is 1; a text is needed"),
    ({"warnings": "none"}, "'warnings' is none; a list is needed"),
]
CONTENTS = [
    (b"[" * 200_000, "is nested too deep"),
    (b'{"fingerprint": ' + b"[" * 300 + b"]" * 300 + b"}", "is nested too deep"),
    (b"", "is cut off or damaged"),
    (b"\x00\xff", "is cut off or damaged"),
    (b'{"fingerprint": "f"}', "a field is missing ('case_score')"),
]


def rows_of(out: Path) -> dict[str, dict[str, str]]:
    write_cohort(out, [], [])
    with open(out / TABLE, newline="", encoding="utf-8") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


@pytest.mark.parametrize(("changes", "said"), CHANGES)
def test_a_field_that_is_none_of_a_report_s_is_named_in_the_row(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    case(tmp_path, "good")
    path = case(tmp_path, "bad", **changes)
    rows = rows_of(tmp_path)
    assert rows["good"]["status"] == "done"
    assert rows["bad"]["status"] == "failed" and rows["bad"]["error"].startswith(f"report unreadable: {said}")
    assert "report unreadable" in (tmp_path / PAGE).read_text(encoding="utf-8")
    assert ResultFiles(tmp_path, "bad").report() is None or "is missing" in said
    scores, unreadable = reported_scores(tmp_path)
    assert "good" in scores and ("bad" in scores or unreadable[0].startswith(f"{path}: not a readable report"))
    (tmp_path / "bad.nrrd").touch()
    assert "bad.nrrd" in {entry.key for entry in FolderSource(tmp_path, CaseStore(tmp_path / "store")).entries()}
    case(tmp_path, "bad")
    assert rows_of(tmp_path)["bad"]["error"] == ""


@pytest.mark.parametrize(("content", "said"), CONTENTS)
def test_what_is_no_document_is_named_in_the_row(tmp_path: Path, content: bytes, said: str) -> None:
    case(tmp_path, "good")
    case(tmp_path, "bad", content)
    rows = rows_of(tmp_path)
    assert rows["good"]["status"] == "done"
    assert rows["bad"]["error"].startswith("report unreadable: ") and said in rows["bad"]["error"]
    assert "good" in reported_scores(tmp_path)[0]


def test_a_pipe_in_the_place_of_a_report_is_not_waited_for(tmp_path: Path) -> None:
    case(tmp_path, "good")
    pipe(case(tmp_path, "bad"))
    assert "a folder, a pipe or a device" in rows_of(tmp_path)["bad"]["error"]
    assert len(reported_scores(tmp_path)[1]) == 1


def test_another_program_s_file_is_no_failed_case(tmp_path: Path) -> None:
    for name, content in (("a", b"{"), ("b", b"[1]"), ("c", b'{"fingerprint": 5}'), ("d", b"[" * 200_000)):
        (tmp_path / f"{name}.json").write_bytes(content)
    assert rows_of(tmp_path) == {}
