"""The table of a cohort, as a spreadsheet and as a page in a browser."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from mtctl.batch.cohort import PAGE, TABLE, write_cohort
from mtctl.batch.cohort_rows import Row
from mtctl.batch.runner import Failure
from mtctl.figures.case_figure import CasePicture, axial_thumbnail, write_case_figure
from mtctl.io.inputs import ScanInput
from mtctl.io.results import ResultFiles

REPORT = {
    "case_score": 0.9, "case_score_interval": [0.85, 0.94], "flagged": False, "volume_ml": 61.04,
    "likely_wrong_ml": 1.754, "uncertainty": {"in_band_mean": 0.31},
    "seconds": {"network": 1.5, "maps": 0.25}, "model": {"id": "m", "version": "1"}, "warnings": [], "fingerprint": "f",
}  # fmt: skip


def case(out: Path, stem: str, **changes: Any) -> None:
    out.mkdir(exist_ok=True)
    (out / f"{stem}.json").write_text(json.dumps(REPORT | changes), encoding="utf-8")


def table(out: Path) -> list[dict[str, str]]:
    with open(out / TABLE, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    case(folder, "good", volume_ml_interval=[50.31, 70.51])
    case(folder, "better", case_score=0.95)
    case(folder, "doubtful", case_score=0.97, flagged=True, warnings=["unlike a left atrium", "check it"])
    case(folder, "bad", case_score=0.4, flagged=True, case_score_interval=[0.3, 0.6])
    (folder / "other.json").write_text('{"fingerprint": 1, "of": "some other program"}')
    (folder / "broken.json").write_text("{")
    return folder


def test_files_of_one_name_that_failed_have_a_row_each_until_they_succeed(out: Path, tmp_path: Path) -> None:
    failed = [
        Failure(ScanInput.of(tmp_path / patient / "lge.nii.gz"), f"{patient} is cut off")
        for patient in ("p1", "p2", "p3")
    ]
    write_cohort(out, [failure.source for failure in failed], failed)
    rows = [row for row in table(out) if row["status"] == "failed"]
    assert sorted(row["error"] for row in rows) == ["p1 is cut off", "p2 is cut off", "p3 is cut off"]
    assert len({row["case"] for row in rows}) == 3 and all(row["case"].startswith("lge.nii.gz") for row in rows)
    write_cohort(out, [failed[0].source], [])
    assert sorted(row["error"] for row in table(out) if row["error"]) == ["p2 is cut off", "p3 is cut off"]


def test_the_worst_comes_first_and_what_failed_before_all(out: Path, tmp_path: Path) -> None:
    failed = Failure(ScanInput.of(tmp_path / "cut.nrrd"), "the file is cut off")
    rows = write_cohort(out, [failed.source], [failed])
    assert [row.case for row in rows] == ["cut.nrrd", "bad", "doubtful", "good", "better"]
    assert [row["case"] for row in table(out)] == [row.case for row in rows]
    assert table(out)[0]["error"] == "the file is cut off" and table(out)[0]["case_score"] == ""
    assert table(out)[2]["warnings"] == "unlike a left atrium; check it"
    good = table(out)[3]
    assert (good["volume_ml"], good["likely_wrong_ml"], good["seconds"]) == ("61.0", "1.75", "1.75")
    assert (good["volume_ml_low"], good["volume_ml_high"]) == ("50.3", "70.5")
    assert table(out)[2]["volume_ml_low"] == ""  # a report of an earlier version
    assert (good["status"], good["flagged"], good["model"]) == ("done", "false", "m 1")


def test_runs_that_share_a_folder_keep_each_others_failures_until_these_are_done(out: Path, tmp_path: Path) -> None:
    one, two = (Failure(ScanInput.of(tmp_path / f"{name}.nrrd"), f"{name} failed") for name in ("one", "two"))
    write_cohort(out, [one.source], [one])
    write_cohort(out, [two.source], [two])
    assert {row["case"] for row in table(out) if row["status"] == "failed"} == {"one.nrrd", "two.nrrd"}
    write_cohort(out, [one.source], [])
    assert {row["case"] for row in table(out) if row["status"] == "failed"} == {"two.nrrd"}


def test_a_folder_that_failed_is_not_named_since_it_may_be_a_patient(out: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Miller^Anna"
    folder.mkdir()
    write_cohort(out, [ScanInput.of(folder)], [Failure(ScanInput.of(folder), "the folder holds no DICOM images")])
    assert re.fullmatch(r"folder-[0-9a-f]{8}", table(out)[0]["case"])
    for name in (TABLE, PAGE):
        assert "Miller" not in (out / name).read_text(encoding="utf-8")


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_needs_nothing_from_elsewhere_and_links_to_results_beside_it(out: Path) -> None:
    odd = "Jos\u00e9 #1 50%"
    case(out, odd)
    write_cohort(out, [], [])
    page = Page((out / PAGE).read_text(encoding="utf-8"))
    links = [attributes["href"] or "" for tag, attributes in page.tags if tag == "a"]
    assert not [link for link in links if "//" in link]
    assert {f"{odd}.png", f"{odd}.json", f"{odd}.seg.nrrd"} <= {unquote(link) for link in links}
    assert not [attributes for tag, attributes in page.tags if tag in ("link", "script") and len(attributes)]
    assert all((attributes["src"] or "").startswith("data:") for tag, attributes in page.tags if tag == "img")


def test_names_and_messages_cannot_become_part_of_the_page(out: Path, tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    case(out, "quo'te & <b>", warnings=[evil])
    write_cohort(out, [], [Failure(ScanInput.of(tmp_path / '"<i>.nrrd'), evil)])
    page = Page((out / PAGE).read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count(evil) == 2 and '"<i>.nrrd' in page.text and "quo'te & <b>" in page.text


def test_the_histogram_counts_every_case_once(out: Path) -> None:
    write_cohort(out, [], [])
    page = (out / PAGE).read_text(encoding="utf-8")
    counts = [tuple(map(int, pair)) for pair in re.findall(r": (\d+) cases?, (\d+) flagged</title>", page)]
    assert sum(cases for cases, _ in counts) == 4 and sum(flagged for _, flagged in counts) == 2


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_histogram_of_one_extreme_case_is_drawn(tmp_path: Path, score: float) -> None:
    case(tmp_path / "out", "a", case_score=score)
    write_cohort(tmp_path / "out", [], [])
    assert (tmp_path / "out" / PAGE).read_text(encoding="utf-8").count("1 case, 0 flagged") == 1


def test_no_case_at_all_gives_an_empty_table(tmp_path: Path) -> None:
    assert write_cohort(tmp_path, [], []) == []
    assert table(tmp_path) == []


def figure(path: Path) -> None:
    image = np.zeros((30, 40, 50), np.float32)
    image[10:20, 10:30, 15:35] = 1
    write_case_figure(CasePicture(image, image > 0, image * 0.6, "uncertainty", "title", "subtitle"), path)


def test_the_thumbnail_is_the_axial_slice_without_titles(out: Path) -> None:
    figure(ResultFiles(out, "bad").path(".png"))
    data = axial_thumbnail(ResultFiles(out, "bad").path(".png"), height=100)
    assert data is not None
    path = out / "thumbnail.jpg"
    path.write_bytes(data)
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape[0] == 100 and 200 < pixels.shape[1] < 320
    assert pixels[50, pixels.shape[1] // 4].min() > 200, "the bright box is in the middle of the first panel"
    red = (pixels[..., 0] > 180) & (pixels[..., 1] < 140)
    assert red[:, : pixels.shape[1] // 2].any() and not red[:, pixels.shape[1] // 2 :].any()
    write_cohort(out, [], [])
    assert (out / PAGE).read_text(encoding="utf-8").count("data:image/jpeg") == 1


def test_a_picture_of_something_else_gives_no_thumbnail(tmp_path: Path) -> None:
    assert axial_thumbnail(tmp_path / "none.png") is None
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    assert axial_thumbnail(tmp_path / "plain.png") is None


def test_all_columns_of_the_table_are_documented() -> None:
    assert all(name in (Row.__doc__ or "") for name in Row.__dataclass_fields__)


CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to look at the page with")
def test_in_a_browser_a_click_sorts_and_the_search_hides(out: Path, tmp_path: Path) -> None:
    write_cohort(out, [], [Failure(ScanInput.of(tmp_path / "cut.nrrd"), "the file is cut off")])
    drive = """<script>
      const names = () => [...document.querySelectorAll("tbody tr:not([hidden]) b")].map(b => b.textContent).join();
      const log = [names()];
      document.querySelectorAll("th button")[2].click(); log.push(names());
      document.querySelectorAll("th button")[2].click(); log.push(names());
      document.querySelector("input[type=checkbox]").click(); log.push(names());
      document.querySelector("input[type=search]").value = "UNLIKE";
      document.querySelector("input[type=search]").dispatchEvent(new Event("input")); log.push(names());
      document.title = log.join(" | ");
    </script></body>"""
    page = tmp_path / "driven.html"
    page.write_text((out / PAGE).read_text(encoding="utf-8").replace("</body>", drive), encoding="utf-8")
    assert CHROMIUM
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stderr
    assert title[1].split(" | ") == [
        "cut.nrrd,bad,doubtful,good,better",
        "cut.nrrd,bad,good,better,doubtful",
        "doubtful,better,good,bad,cut.nrrd",
        "doubtful,bad,cut.nrrd",
        "doubtful",
    ]
