"""`mtctl evaluate` on small synthetic cases: figures and tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from support.evaluated_folders import SHAPE, SPACING, add_maps, ball, evaluate_command, rows_of, write
from support.segmentations import DrawnSegment, write_segments

from mtctl.commands import evaluate
from mtctl.commands.main import main
from mtctl.evaluation.case_files import CaseFiles, read_case
from mtctl.evaluation.paired_tests import METRICS, compare
from mtctl.evaluation.results import CaseResult, MethodResult, TrainingCases, evaluate_case, training_cases
from mtctl.evaluation.segmentation_metrics import segmentation_metrics
from mtctl.evaluation.tables import empty_note
from mtctl.evaluation.uncertainty_metrics import correction_gain, ece, error_aupr, error_auroc
from mtctl.geometry import Geometry, Volume
from mtctl.io.volumes import read_mask, write_segmentation, write_volume
from mtctl.masks import surface_band, voxel_band
from mtctl.models.catalogue import shipped_models
from mtctl.models.model import list_models


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
    assert {row["method"] for row in rows} == {"results"} and {row["prediction"] for row in rows} == {str(results)}
    prediction, true = ball(5, (7, 8, 10)), ball(5)
    expected = segmentation_metrics(prediction, true, (2.0, 0.8, 0.7))
    for key in ("dice", "jaccard", "hd95_voxel", "asd_voxel", "hd95_mm", "asd_mm", "ravd", "precision", "recall"):
        assert float(rows[1][key]) == pytest.approx(getattr(expected, key))
    gain, band = correction_gain(uncertainty, prediction, true), surface_band(prediction, (2.0, 0.8, 0.7))
    band5 = voxel_band(prediction)
    assert float(rows[1]["auroc_crop"]) == pytest.approx(error_auroc(uncertainty, prediction != true))
    assert float(rows[1]["auroc_band"]) == pytest.approx(error_auroc(uncertainty, prediction != true, band))
    assert float(rows[1]["auroc_band5"]) == pytest.approx(error_auroc(uncertainty, prediction != true, band5))
    assert float(rows[1]["aupr_band"]) == pytest.approx(error_aupr(uncertainty, prediction != true, band))
    assert float(rows[1]["aupr_band5"]) == pytest.approx(error_aupr(uncertainty, prediction != true, band5))
    assert float(rows[1]["ece_band"]) == pytest.approx(ece(probability, true, band))
    assert float(rows[1]["ece_band5"]) == pytest.approx(ece(probability, true, band5))
    assert (band != band5).any() and rows[0]["auroc_band5"] == ""
    assert float(rows[1]["gain_10"]) == pytest.approx(gain.after - gain.before)
    assert float(rows[1]["gain_10_ceiling"]) == pytest.approx(gain.ceiling - gain.before)
    assert rows[0]["auroc_crop"] == rows[0]["ece_crop"] == ""


def test_volumes_are_in_millilitres_of_the_files_spacing_a_case_and_in_the_mean(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    write(results / "case1.seg.nrrd", ball(4))
    write(truth / "case2.label.nrrd", ball(6))
    assert evaluate_command("--prediction", results, "--truth", truth, "--csv", tmp_path / "f.csv") == 0
    voxel_ml = 0.7 * 0.8 * 2.0 / 1000
    predicted = [voxel_ml * mask.sum() for mask in (ball(5, (7, 8, 9.5)), ball(4), ball(5, (7, 8, 10.5)))]
    true = [voxel_ml * ball(radius).sum() for radius in (5, 5, 6)]
    rows = rows_of(tmp_path / "f.csv")
    assert [float(row["predicted_ml"]) for row in rows] == pytest.approx(predicted)
    assert [float(row["true_ml"]) for row in rows] == pytest.approx(true)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("volume"))
    change, of_means = 100 * (np.array(predicted) / true - 1), 100 * (np.sum(predicted) / np.sum(true) - 1)
    assert line == (
        f"volume: {np.mean(predicted):.1f} mL segmented, {np.mean(true):.1f} mL true over 3 cases ({of_means:+.1f} %); "
        f"difference of a case {change.mean():+.1f} % in the mean, its size {abs(change).mean():.1f} %"
    )


def test_both_bands_are_printed_with_their_width(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    add_maps(results, 0)
    assert evaluate_command("--prediction", results, "--truth", truth) == 0
    (heading,) = (line for line in capsys.readouterr().out.splitlines() if "AUROC" in line)
    assert heading.count("3 mm") == heading.count("5 voxels") == 3


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
    assert "Paired over 2 common cases" in printed.out


def test_paired_tests_are_scipys(folders: tuple[Path, Path], tmp_path: Path) -> None:
    results, truth = folders
    for number in range(3):
        write(tmp_path / "other" / f"case{number}.seg.nrrd", ball(4.6 + 0.3 * number))
    methods = [
        MethodResult(
            folder.name,
            folder,
            {
                f"case{n}": evaluate_case(read_case(CaseFiles(folder, f"case{n}", truth / f"case{n}.label.nrrd")))
                for n in range(3)
            },
        )
        for folder in (results, tmp_path / "other")
    ]
    tests = compare(methods).tests
    assert [test.metric for test in tests] == list(METRICS)
    for test in tests:
        first, second = (np.array([case.figures()[test.metric.key] for case in m.cases.values()]) for m in methods)
        if test.metric.key == "ravd":
            first, second = abs(first), abs(second)
        assert test.mean == pytest.approx((second - first).mean())
        assert test.sd == pytest.approx((second - first).std(ddof=1))
        assert test.raw.wilcoxon == pytest.approx(stats.wilcoxon(second, first).pvalue)
        assert test.raw.t == pytest.approx(stats.ttest_rel(second, first).pvalue)
        assert test.holm == test.raw  # one pair is a family of its own


def test_tests_are_printed_raw_and_corrected_for_every_pair(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    others = [tmp_path / "b", tmp_path / "c"]
    for number in range(3):
        write(others[0] / f"case{number}.seg.nrrd", ball(4.6 + 0.3 * number))
        write(others[1] / f"case{number}.seg.nrrd", ball(5.3))
    command = ["--truth", truth, "--names", "A x", "B", "C"]
    for folder in (results, *others):
        command += ["--prediction", folder]
    assert evaluate_command(*command) == 0
    printed = capsys.readouterr().out
    assert "family: the 3 pairs of methods within a metric" in printed
    for pair in ("B - A x", "C - A x", "C - B"):
        assert printed.count(pair) == len(METRICS)
    assert f"A x: {results}" in printed
    assert printed.index("Paired over 3") < printed.index("Table 1: mean ± SD over the 3 cases")


def test_an_empty_result_is_counted_both_ways() -> None:
    result, whole = np.zeros(SHAPE, bool), ball(5)
    cases = {
        "gone": CaseResult(segmentation_metrics(result, whole, (1.0, 1.0, 1.0))),
        "there": CaseResult(segmentation_metrics(ball(4), whole, (1.0, 1.0, 1.0))),
    }
    note = empty_note(MethodResult("m", Path("m"), cases))
    there = cases["there"].segmentation
    assert "nothing was segmented in gone" in note
    assert f"{there.hd95_voxel / 2:.2f} and {there.asd_voxel / 2:.2f} voxels" in note
    assert empty_note(MethodResult("m", Path("m"), {"there": cases["there"]})) == ""


def write_card(folder: Path, **data: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").write_text(json.dumps({"data": data}), encoding="utf-8")


def test_numbers_of_training_scans_come_from_the_card_above_the_results(tmp_path: Path) -> None:
    write_card(tmp_path / "run", labelled=["a", "b"], unlabelled=["c"])
    (tmp_path / "run" / "validation").mkdir()
    assert training_cases(tmp_path / "run" / "validation") == TrainingCases(2, 1)
    write_card(tmp_path / "run" / "validation", labelled=["a"])
    assert training_cases(tmp_path / "run" / "validation") == TrainingCases(1, 0)


def test_numbers_of_training_scans_come_from_the_installed_model_that_made_the_results(tmp_path: Path) -> None:
    card = list_models()[0].card
    report = {"model": {"id": card.id, "version": card.version, "sha256": card.sha256}}
    (tmp_path / "x.json").write_text(json.dumps(report), encoding="utf-8")
    expected = TrainingCases(len(card.data["labelled"]), len(card.data["unlabelled"]))
    assert training_cases(tmp_path) == expected
    report["model"]["sha256"] = "of another model"
    (tmp_path / "y.json").write_text(json.dumps(report), encoding="utf-8")
    assert training_cases(tmp_path) is None  # made by two models


def test_a_share_of_models_that_is_not_mounted_does_not_end_an_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = shipped_models()[0].card
    monkeypatch.setenv("MTCTL_MODELS", str(tmp_path / "not mounted"))
    (tmp_path / "x.json").write_text(json.dumps({"model": {"sha256": card.sha256}}), encoding="utf-8")
    assert training_cases(tmp_path) == TrainingCases(len(card.data["labelled"]), len(card.data["unlabelled"]))
    (tmp_path / "x.json").write_text(json.dumps({"model": {"sha256": "of the share"}}), encoding="utf-8")
    assert training_cases(tmp_path) is None


@pytest.mark.parametrize("card", ["", "{", "[1]", '{"data": 3}', '{"data": {"labelled": 16}}'])
def test_a_card_that_says_nothing_is_none(card: str, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text(card, encoding="utf-8")
    assert training_cases(tmp_path) is None


def test_names_are_the_fewest_parts_of_the_paths_that_tell_folders_apart(tmp_path: Path) -> None:
    paths = [tmp_path / "vnet" / "validation", tmp_path / "mtctl" / "validation"]
    assert evaluate.method_names(paths, None) == ["vnet/validation", "mtctl/validation"]
    assert evaluate.method_names([tmp_path / "vnet", tmp_path / "mtctl"], None) == ["vnet", "mtctl"]
    assert evaluate.method_names(paths, ["V-Net", "ours"]) == ["V-Net", "ours"]


def test_maps_that_reach_0_and_1_are_taken(folders: tuple[Path, Path]) -> None:
    results, truth = folders
    for ending in (".uncertainty.nrrd", ".probability.nrrd"):
        write(results / f"case0{ending}", ball(5).astype(np.float32))
    assert evaluate_command("--prediction", results, "--truth", truth) == 0


def test_an_empty_result_counts_with_the_worst_distance(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = folders
    write(results / "case0.seg.nrrd", np.zeros(SHAPE, dtype=bool))
    assert evaluate_command("--prediction", results, "--truth", truth, "--csv", tmp_path / "f.csv") == 0
    empty = rows_of(tmp_path / "f.csv")[0]
    assert float(empty["dice"]) == 0
    assert float(empty["hd95_voxel"]) == pytest.approx(np.linalg.norm([15, 16, 17]))


def test_the_case_scores_of_reports_beside_the_results_are_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, truth = tmp_path / "results", tmp_path / "truth"
    geometry = Geometry((20, 20, 20), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    full = np.zeros((20, 20, 20), np.uint8)
    full[5:15, 5:15, 5:15] = 1
    for folder in (results, truth):
        folder.mkdir()
    for index, cut in enumerate((0, 1, 2, 6)):
        drawn = full.copy()
        drawn[5 : 5 + cut] = 0
        write_volume(Volume(full, geometry), truth / f"c{index}.label.nrrd")
        write_segmentation(Volume(drawn, geometry), results / f"c{index}.seg.nrrd")
        score = 0.95 - cut / 20
        report = {"case_score": score, "case_score_interval": [score - 0.2, 1.0], "flagged": cut == 6}
        (results / f"c{index}.json").write_text(json.dumps(report), encoding="utf-8")
    assert main(["evaluate", "--prediction", str(results), "--truth", str(truth)]) == 0
    printed = capsys.readouterr().out
    assert "Case score of 4 reports" in printed
    assert "Spearman            1.000" in printed and "failure AUROC       1.000" in printed
    assert "flagged              1" in printed and "in its 90 % interval 1.000" in printed


@pytest.mark.parametrize("cropped", ["truth/case1.label.nrrd", "results/case1.seg.nrrd"])
def test_a_mask_that_slicer_has_cropped_gives_the_figures_of_the_whole_one(
    folders: tuple[Path, Path], cropped: str
) -> None:
    results, truth = folders
    add_maps(results, 1)
    files = CaseFiles(results, "case1", truth / "case1.label.nrrd")
    whole = evaluate_case(read_case(files))
    path = results.parent / cropped
    mask, grid = read_mask(path).array, Geometry(SHAPE[::-1], SPACING, (5.0, -3.0, 1.0))
    write_segments(path, [mask[1:14, 2:15, 3:17]], grid.window((3, 2, 1), (14, 13, 13)), [DrawnSegment("LA")])
    assert evaluate_case(read_case(files)).figures() == pytest.approx(whole.figures())
    (results / "case1.uncertainty.nrrd").unlink()
    (results / "case1.probability.nrrd").unlink()
    assert evaluate_case(read_case(files)).segmentation == whole.segmentation
