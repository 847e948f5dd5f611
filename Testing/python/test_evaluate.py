"""`mtctl evaluate` on small synthetic cases: the figures, the pairs that are missing, what cannot be compared."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import stats

from mtctl.calibration import correction_gain, ece, error_auroc
from mtctl.commandline import evaluate
from mtctl.metrics import segmentation_metrics, surface_band

SHAPE = (16, 17, 18)
SPACING = (0.7, 0.8, 2.0)  # x, y, z


def ball(radius: float, centre: tuple[float, float, float] = (7, 8, 9)) -> np.ndarray:
    offsets = np.indices(SHAPE) - np.reshape(centre, (3, 1, 1, 1))
    return np.sqrt((offsets**2).sum(axis=0)) <= radius


def write(path: Path, array: np.ndarray, origin: tuple[float, float, float] = (5.0, -3.0, 1.0)) -> None:
    path.parent.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == bool else array)
    image.SetSpacing(SPACING)
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three cases, segmented a little wrong, and their expert masks."""
    for number in range(3):
        write(tmp_path / "truth" / f"case{number}.label.nrrd", ball(5))
        write(tmp_path / "results" / f"case{number}.seg.nrrd", ball(5, (7, 8, 9 + 0.5 * (number + 1))))
    return tmp_path / "results", tmp_path / "truth"


def evaluate_command(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_parser(parser.add_subparsers())
    args = parser.parse_args(["evaluate", *map(str, arguments)])
    return int(args.run(args))


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def add_maps(results: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    uncertainty, probability = (rng.random(SHAPE, dtype=np.float32) for _ in range(2))
    write(results / f"case{number}.uncertainty.nrrd", uncertainty)
    write(results / f"case{number}.probability.nrrd", probability)
    return uncertainty, probability


def test_every_case_its_mean_and_sd_are_printed_and_status_is_0(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    assert evaluate_command("--prediction", results, "--truth", truth) == 0
    printed = capsys.readouterr().out
    dice = [segmentation_metrics(ball(5, (7, 8, 9.5 + n / 2)), ball(5), (2.0, 0.8, 0.7)).dice for n in range(3)]
    lines = {line.split()[0]: line for line in printed.splitlines() if line}
    for number, value in enumerate(dice):
        assert f"{100 * value:.2f}" in lines[f"case{number}"]
    assert f"{100 * np.mean(dice):.2f}" in lines["mean"]
    assert f"{100 * np.std(dice, ddof=1):.2f}" in lines["SD"]
    for heading in ("Dice", "Jacc.", "HD95 vx", "HD95 mm", "ASD vx", "ASD mm", "RAVD", "Prec.", "Recall"):
        assert heading in lines["case"]
    assert "AUROC" not in printed  # no map, no empty table


def test_csv_holds_the_figures_of_segmentation_and_uncertainty(folders: tuple[Path, Path], tmp_path: Path) -> None:
    results, truth = folders
    uncertainty, probability = add_maps(results, 1)
    assert evaluate_command("--prediction", results, "--truth", truth, "--csv", tmp_path / "figures.csv") == 0
    rows = rows_of(tmp_path / "figures.csv")
    assert [row["case"] for row in rows] == ["case0", "case1", "case2"]
    prediction, true = ball(5, (7, 8, 10)), ball(5)
    expected = segmentation_metrics(prediction, true, (2.0, 0.8, 0.7))
    for key in ("dice", "jaccard", "hd95_voxel", "asd_voxel", "hd95_mm", "asd_mm", "ravd", "precision", "recall"):
        assert float(rows[1][key]) == pytest.approx(getattr(expected, key))
    gain, band = correction_gain(uncertainty, prediction, true), surface_band(prediction)
    assert float(rows[1]["auroc_crop"]) == pytest.approx(error_auroc(uncertainty, prediction != true))
    assert float(rows[1]["auroc_band"]) == pytest.approx(error_auroc(uncertainty, prediction != true, band))
    assert float(rows[1]["ece_band"]) == pytest.approx(ece(probability, true, band))
    assert float(rows[1]["gain_10"]) == pytest.approx(gain.after - gain.before)
    assert float(rows[1]["gain_10_ceiling"]) == pytest.approx(gain.ceiling - gain.before)
    assert rows[0]["auroc_crop"] == rows[0]["ece_crop"] == ""


def test_mean_says_over_how_many_cases_when_a_map_is_missing(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    add_maps(results, 0)
    add_maps(results, 2)
    assert evaluate_command("--prediction", results, "--truth", truth) == 0
    counted = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("cases counted"))
    assert set(counted.split()[2:]) == {"2"}


def test_a_result_without_expert_mask_is_named_and_the_others_are_done(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    (truth / "case1.label.nrrd").unlink()
    assert evaluate_command("--prediction", results, "--truth", truth) == 1
    printed = capsys.readouterr()
    assert "case1.seg.nrrd" in printed.err and "case1.label.nrrd" in printed.err
    assert "mean of 2" in printed.out


def test_expert_masks_without_result_are_named_but_no_failure(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    (results / "case0.seg.nrrd").unlink()
    assert evaluate_command("--prediction", results, "--truth", truth) == 0
    assert "1 of 3 expert masks have no result and are not counted: case0" in capsys.readouterr().out


def test_a_case_that_only_one_prediction_folder_has_is_named(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    other = tmp_path / "other"
    for number in range(2):
        write(other / f"case{number}.seg.nrrd", ball(4.6))
    assert evaluate_command("--prediction", results, "--prediction", other, "--truth", truth) == 1
    printed = capsys.readouterr()
    assert f"{other / 'case2.seg.nrrd'}: missing" in printed.err
    assert "paired over 2 common cases" in printed.out


def test_paired_tests_are_scipys_and_equal_folders_do_not_differ(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    other = tmp_path / "other"
    for number in range(3):
        write(other / f"case{number}.seg.nrrd", ball(4.6 + 0.3 * number))
    figures = tmp_path / "figures.csv"
    command = ("--prediction", results, "--prediction", other, "--truth", truth, "--csv", figures)
    assert evaluate_command(*command) == 0
    rows = rows_of(figures)
    first = np.array([float(row["dice"]) for row in rows if row["prediction"] == str(results)])
    second = np.array([float(row["dice"]) for row in rows if row["prediction"] == str(other)])
    lines = capsys.readouterr().out.split("paired over 3 common cases")[1].splitlines()
    dice = next(line.split() for line in lines if line.startswith("Dice"))
    assert float(dice[2]) == pytest.approx(100 * (second - first).mean(), abs=5e-4)
    assert float(dice[4]) == pytest.approx(stats.wilcoxon(second, first).pvalue, rel=1e-3)
    assert float(dice[5]) == pytest.approx(stats.ttest_rel(second, first).pvalue, rel=1e-3)
    assert [line.split()[0] for line in lines[2:6]] == ["Dice", "Jacc.", "HD95", "ASD"]
    assert evaluate.paired_tests(np.zeros(5)) == (1.0, 1.0)


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


def test_an_empty_result_counts_with_the_worst_distance(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    write(results / "case0.seg.nrrd", np.zeros(SHAPE, dtype=bool))
    assert evaluate_command("--prediction", results, "--truth", truth, "--csv", tmp_path / "f.csv") == 0
    empty = rows_of(tmp_path / "f.csv")[0]
    assert float(empty["dice"]) == 0
    assert float(empty["hd95_voxel"]) == pytest.approx(np.linalg.norm([15, 16, 17]))


def test_a_csv_that_cannot_be_written_is_an_error_after_the_tables(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate_command("--prediction", folders[0], "--truth", folders[1], "--csv", tmp_path / "no" / "f.csv") == 1
    printed = capsys.readouterr()
    assert "f.csv" in printed.err and "mean of 3" in printed.out
