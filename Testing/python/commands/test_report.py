"""`mtctl report`: a page of a drawn atrium, and what it shows and says where something is missing."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from support.deadly_inputs import DeadlyMask

from mtctl.commands import report
from mtctl.figures import report_page
from mtctl.figures.report_page import RESEARCH, ReportPage, write_report_page
from mtctl.geometry import Geometry, Volume
from mtctl.io.volumes import write_segmentation, write_volume
from mtctl.measures.rows import TableRow
from mtctl.system.files import WriteError

pytestmark = pytest.mark.slow


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    report.add_parser(parser.add_subparsers())
    args = parser.parse_args(["report", *map(str, arguments)])
    return int(args.run(args))


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[ReportPage]:
    """The pages that are written, in the order in which they are."""
    written: list[ReportPage] = []

    def write(page: ReportPage, path: Path) -> None:
        written.append(page)
        path.write_bytes(b"%PDF")

    monkeypatch.setattr(report_page, "write_report_page", write)
    return written


@pytest.fixture
def results(tmp_path: Path) -> Path:
    z, y, x = np.indices((24, 26, 30)) * 1.5
    mask = (z - 17) ** 2 + (y - 18) ** 2 + (x - 20) ** 2 <= 13**2
    grid = Geometry((30, 26, 24), (1.5, 1.5, 1.5), (0.0, 0.0, 0.0))
    folder = tmp_path / "results"
    folder.mkdir()
    write_segmentation(Volume(mask.astype(np.uint8), grid), folder / "case $1_ä.seg.nrrd")
    shell = np.abs(np.sqrt((z - 17) ** 2 + (y - 18) ** 2 + (x - 20) ** 2) - 13) < 2
    write_volume(Volume(np.where(shell, 0.6, 0.02).astype(np.float32), grid), folder / "case $1_ä.uncertainty.nrrd")
    summary = {
        "fingerprint": "a", "model": {"id": "mtctl-x", "version": "7"}, "case_score": 0.91,
        "case_score_interval": [0.88, 0.94], "flagged": True, "likely_wrong_ml": 7.25,
        "warnings": ["the upper border is near"], "uncertainty": {"kind": "entropy"},
    }  # fmt: skip
    (folder / "case $1_ä.json").write_text(json.dumps(summary))
    scan = np.where(mask, 200, 60) + np.random.default_rng(0).integers(0, 20, mask.shape)
    write_volume(Volume(scan.astype(np.int16), grid), tmp_path / "scan.nrrd")
    return folder


def test_the_page_says_numbers_intervals_model_score_answers_and_warnings(
    results: Path, tmp_path: Path, pages: list[ReportPage]
) -> None:
    assert run(results, "-o", tmp_path / "out", "--scans", tmp_path / "scan.nrrd") == 0
    (page,) = pages
    volume = next(row for row in page.rows if row.name == "Volume")
    assert volume.value.endswith("mL") and " to " in volume.interval
    assert any(row.name.startswith("Enhanced wall") for row in page.rows)
    words = " ".join(page.origin)
    assert all(
        part in words
        for part in (
            "mtctl-x, version 7",
            "0.91",
            "0.88 to 0.94",
            "7.2 mL were likely",
            "0 places were answered",
            "For research",
        )
    )
    assert "the upper border is near" in page.warnings
    assert page.image is not None and page.uncertainty is not None and page.mask.any()


def test_a_mask_alone_has_a_page_without_intervals(results: Path, tmp_path: Path, pages: list[ReportPage]) -> None:
    for ending in (".json", ".uncertainty.nrrd"):
        (results / f"case $1_ä{ending}").unlink()
    assert run(results / "case $1_ä.seg.nrrd", "-o", tmp_path / "out") == 0
    assert {row.interval for row in pages[0].rows} == {""}
    assert pages[0].image is None and pages[0].uncertainty is None


def test_without_vtk_the_page_lacks_the_surface_and_says_so(
    results: Path, tmp_path: Path, pages: list[ReportPage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mtctl.figures.surfaces", None)
    assert run(results, "-o", tmp_path / "out") == 0
    assert not pages[0].surfaces
    assert any("VTK" in warning for warning in pages[0].warnings)


def test_an_empty_mask_and_a_scan_that_is_not_there_are_said(
    results: Path, tmp_path: Path, pages: list[ReportPage], capsys: pytest.CaptureFixture[str]
) -> None:
    grid = Geometry((7, 6, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    empty = tmp_path / "empty.seg.nrrd"
    write_segmentation(Volume(np.zeros((5, 6, 7), dtype=np.uint8), grid), empty)
    assert run(empty, "-o", tmp_path / "out") == 1
    assert "mtctl: error: " + f"{empty}: the mask is empty" in capsys.readouterr().err
    assert run(results, "-o", tmp_path / "out", "--scans", tmp_path / "none") == 1
    assert "none" in capsys.readouterr().err
    assert not pages and not list((tmp_path / "out").iterdir())


def test_a_mask_that_ends_its_reader_costs_its_own_page_alone(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtctl.measures.reading.MaskFile", DeadlyMask)
    (results / "crash.seg.nrrd").touch()
    assert run(results, "-o", tmp_path / "out") == 1
    assert "crash.seg.nrrd: its process ended while it read it" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["case $1_ä.report.pdf"]


def page(case: str, warnings: tuple[str, ...] = ()) -> ReportPage:
    mask = np.zeros((12, 14, 16), dtype=bool)
    mask[3:9, 4:10, 4:12] = True
    image = mask.astype(np.float32)
    rows = [TableRow("Volume", "100.0 mL", "90.0 to 110.0")]
    return ReportPage(case, image, mask, image / 2, [], None, rows, ["Segmented by a model."], warnings, "2026-01-01")


@pytest.mark.parametrize("case", ["a", "case $x_1$ \\alpha", "心房 ä", "x" * 250, "no text \udcff"])
def test_a_page_is_one_pdf_whatever_the_cases_name(case: str, tmp_path: Path) -> None:
    path = tmp_path / "a.report.pdf"
    write_report_page(page(case, ("a long warning " * 40,) * 30), path)
    content = path.read_bytes()
    assert content.startswith(b"%PDF") and content.count(b"/Type /Page ") == 1


def test_every_page_says_that_it_is_for_research() -> None:
    figure = report_page.report_figure(page("a", ("look at the roof",)))
    words = [text.get_text() for text in figure.texts]
    assert RESEARCH in words
    assert "Warning: look at the roof" in words
    assert "90.0 to 110.0" in words


def test_all_words_lie_on_the_page() -> None:
    figure = report_page.report_figure(page("a", ("a long warning " * 40,) * 30))
    assert all(0 <= text.get_position()[1] <= 1 for text in figure.texts)


def test_a_page_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.report.pdf").mkdir()
    with pytest.raises(WriteError):
        write_report_page(page("a"), tmp_path / "a.report.pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["a.report.pdf"]


def test_a_case_does_not_overwrite_another_of_its_name(
    results: Path, tmp_path: Path, pages: list[ReportPage], capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "CASE $1_ä.seg.nrrd").write_bytes((results / "case $1_ä.seg.nrrd").read_bytes())
    assert run(results, other, "-o", tmp_path / "out") == 1
    assert len(pages) == 1 and "is called CASE $1_ä, too; give it a separate run" in capsys.readouterr().err
