"""What `mtctl evaluate` cannot compare is named with its file, and everything else is done."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from support.deadly_inputs import DeadlyCase
from support.evaluated_folders import SHAPE, SPACING, add_maps, ball, evaluate_command, rows_of, write
from support.segmentations import LEFT_VENTRICLE, DrawnSegment, write_segments

from mtctl.evaluation.case_files import ComparedCase
from mtctl.evaluation.results import CaseResult, evaluate_case
from mtctl.geometry import Geometry


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--names", "a", "b"], "2 names for 1 prediction folder;"),
        (["--names", "a", "a"], "--names a: given twice"),
        (["--case", "case0"], "--case needs --figures"),
        (["--figures", "figures", "--case", "nobody"], "--case nobody: no result has this name"),
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(
    arguments: list[str], message: str, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate_command("--prediction", folders[0], "--truth", folders[1], *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_folder_given_twice_is_wrong_usage(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    again = folders[0].parent / "truth" / ".." / "results"
    assert evaluate_command("--prediction", folders[0], "--prediction", again, "--truth", folders[1]) == 2
    assert "given twice" in capsys.readouterr().err


def test_figures_without_the_scan_say_which_file_is_needed_after_the_tables(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("--prediction", folders[0], "--truth", folders[1], "--figures", tmp_path / "figures")
    assert evaluate_command(*command, "--case", "case1") == 1
    printed = capsys.readouterr()
    assert "case1.image.nrrd: the picture of a case needs its scan" in printed.err
    assert "mean of 3" in printed.out and f"written: {tmp_path / 'figures' / 'metrics.png'}" in printed.out
    assert (tmp_path / "figures" / "metrics.png").is_file()


def test_one_common_case_is_too_few_for_a_test_and_said_so(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    write(tmp_path / "other" / "case0.seg.nrrd", ball(4.6))
    assert evaluate_command("--prediction", results, "--prediction", tmp_path / "other", "--truth", truth) == 1
    assert "two common cases" in capsys.readouterr().out


@pytest.mark.parametrize(("option", "content"), [("--prediction", "no such folder"), ("--truth", "no such folder")])
def test_a_folder_that_is_not_there_is_wrong_usage(
    option: str, content: str, folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--prediction": folders[0], "--truth": folders[1], option: tmp_path / "nowhere"}
    assert evaluate_command(*(part for pair in given.items() for part in pair)) == 2
    assert f"nowhere: {content}" in capsys.readouterr().err


def test_a_folder_without_results_is_wrong_usage(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate_command("--prediction", folders[1], "--truth", folders[1]) == 2
    assert "holds no <stem>.seg.nrrd" in capsys.readouterr().err


def test_another_grid_is_refused_with_both_files_named(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    write(truth / "case0.label.nrrd", ball(5), origin=(5.0, -3.0, 3.0))
    write(truth / "case1.label.nrrd", ball(5)[1:])
    assert evaluate_command("--prediction", results, "--truth", truth) == 1
    moved, smaller = capsys.readouterr().err.splitlines()
    assert "case0.label.nrrd: its origin" in moved and "case0.seg.nrrd" in moved
    assert "case1.label.nrrd: its size" in smaller and "case1.seg.nrrd" in smaller


def test_a_truncated_file_is_named_and_the_others_are_done(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    broken = results / "case1.seg.nrrd"
    broken.write_bytes(broken.read_bytes()[:-40])
    assert evaluate_command("--prediction", results, "--truth", truth) == 1
    printed = capsys.readouterr()
    assert "case1.seg.nrrd" in printed.err and len(printed.err.splitlines()) == 1
    assert "mean of 2" in printed.out


def test_logits_are_refused_as_probabilities(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    results, truth = folders
    write(results / "case0.probability.nrrd", np.random.default_rng(0).normal(size=SHAPE).astype(np.float32))
    assert evaluate_command("--prediction", results, "--truth", truth) == 1
    assert "case0.probability.nrrd" in capsys.readouterr().err


def test_uncertainties_beyond_0_to_1_are_refused_and_the_other_cases_are_done(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    for number in range(3):
        add_maps(results, number)
    of_grey_values = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    write(results / "case0.uncertainty.nrrd", of_grey_values)
    write(results / "case1.uncertainty.nrrd", np.full(SHAPE, -0.5, np.float32))
    assert evaluate_command("--prediction", results, "--truth", truth) == 1
    printed = capsys.readouterr()
    too_high, too_low = printed.err.splitlines()
    assert "case0.uncertainty.nrrd: values from 0 to 255 are no uncertainties (0 to 1)" in too_high
    assert "case1.uncertainty.nrrd: values from -0.5 to -0.5" in too_low
    assert "mean of 1" in printed.out


def test_a_csv_that_cannot_be_written_is_an_error_after_the_tables(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate_command("--prediction", folders[0], "--truth", folders[1], "--csv", tmp_path / "no" / "f.csv") == 1
    printed = capsys.readouterr()
    assert "f.csv" in printed.err and "mean of 3" in printed.out


def test_a_torn_report_is_named_and_everything_else_is_done(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    for number in range(3):
        write(tmp_path / "other" / f"case{number}.seg.nrrd", ball(4.6 + 0.3 * number))
        report = json.dumps({"case_score": 0.9, "case_score_interval": [0.5, 1.0], "flagged": False})
        (results / f"case{number}.json").write_text(report, encoding="utf-8")
    torn = results / "case1.json"
    torn.write_bytes(torn.read_bytes()[:20])
    both = ("--prediction", results, "--prediction", tmp_path / "other")
    assert evaluate_command(*both, "--truth", truth, "--csv", tmp_path / "figures.csv") == 1
    printed = capsys.readouterr()
    (said,) = printed.err.splitlines()
    assert f"{torn}: not a readable report" in said and said.endswith("segment the case again")
    assert "Case score of 2 reports" in printed.out  # of the two that are whole
    assert printed.out.count("mean of 3") == 2 and "Paired over 3 common cases" in printed.out
    assert len(rows_of(tmp_path / "figures.csv")) == 6


def test_an_empty_expert_mask_and_another_structure_are_named_and_the_other_cases_compared(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    write(truth / "case0.label.nrrd", np.zeros(SHAPE, bool))
    grid = Geometry(SHAPE[::-1], SPACING, (5.0, -3.0, 1.0))
    write_segments(truth / "case1.label.nrrd", [ball(5).astype(np.uint8)], grid, [DrawnSegment("LV", LEFT_VENTRICLE)])
    assert evaluate_command("--prediction", results, "--truth", truth) == 1
    said = capsys.readouterr()
    assert "case0.label.nrrd: the expert mask is empty: there is no atrium to compare with" in said.err
    assert "case1.label.nrrd: the segmentation is of 'LV' (Left ventricle)" in said.err
    assert "case2 " in said.out and "case0 " not in said.out


def test_whatever_one_case_raises_costs_that_case_alone(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders

    counted = iter(range(3))

    def fail_once(case: ComparedCase) -> CaseResult:
        if next(counted) == 1:
            raise IndexError("list index out of range")
        return evaluate_case(case)

    monkeypatch.setattr("mtctl.evaluation.results.evaluate_case", fail_once)
    assert evaluate_command("--prediction", results, "--truth", truth) == 1
    said = capsys.readouterr()
    assert "case1.seg.nrrd: unexpected IndexError: list index out of range" in said.err
    assert "case0 " in said.out and "case2 " in said.out


@pytest.mark.skipif(sys.platform == "win32", reason="a process ends itself in another way there")
def test_a_case_that_ends_or_holds_its_reader_costs_that_case_alone(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    for name in ("crash", "hang"):
        shutil.copyfile(results / "case0.seg.nrrd", results / f"{name}.seg.nrrd")
        shutil.copyfile(truth / "case0.label.nrrd", truth / f"{name}.label.nrrd")
    monkeypatch.setattr("mtctl.evaluation.case_files.CaseFiles", DeadlyCase)
    assert evaluate_command("--prediction", results, "--truth", truth) == 1
    said = capsys.readouterr()
    assert [f"case{number} " in said.out for number in range(3)] == [True] * 3
    assert "crash.seg.nrrd: its process ended while it read it (SIGSEGV)" in said.err
    assert "hang.seg.nrrd: it could not be read within" in said.err
