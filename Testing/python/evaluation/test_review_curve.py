"""What answers bring: a simulated reader answers about a ball, and the figures are those of the masks in between."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.guidance import GRID_MM, doubtful_finder, turned

from mtctl.commands.main import main
from mtctl.evaluation import simulated_review
from mtctl.evaluation.review_curve import AnsweredFigures, ReviewCurve, by_questions, mean_figures, unanswered
from mtctl.evaluation.review_table import ANSWERS, review_table
from mtctl.evaluation.segmentation_metrics import dice
from mtctl.evaluation.simulated_review import learnt_note
from mtctl.geometry import Map, Mask, Triple, Volume
from mtctl.guidance.network import GuidanceCard, find_guidance
from mtctl.guidance.simulated_reader import SimulatedReader
from mtctl.io.volumes import write_segmentation, write_volume
from mtctl.models.card import ModelError

GEOMETRY = turned((70, 64, 30), (1.1, 1.2, 2.4), 15.0)


def away_from(voxel: Triple) -> Map:
    z, y, x = np.indices(GEOMETRY.shape)
    at = GEOMETRY.index_to_physical(np.stack([x, y, z], -1).reshape(-1, 3))
    return np.linalg.norm(at - GEOMETRY.index_to_physical(voxel), axis=1).reshape(GEOMETRY.shape).astype(np.float32)


MIDDLE, VEIN = (35.0, 32.0, 15.0), (52.0, 32.0, 15.0)
DRAFT: Mask = away_from(MIDDLE) < 18
TRUTH: Mask = DRAFT | (away_from(VEIN) < 8)


def maps() -> tuple[Volume, Map]:
    """The scan of a ball with a stump, and the map of a model that is in doubt at the stump."""
    noise = np.random.default_rng(0).normal(0, 1, DRAFT.shape)
    probability = np.where(DRAFT, 0.99, 0.01).astype(np.float32)
    probability[(away_from(VEIN) < 8) & ~DRAFT] = 0.4
    return Volume((3 * TRUTH + noise).astype(np.float32), GEOMETRY), probability


def answered(most: int) -> ReviewCurve:
    reader = SimulatedReader(TRUTH, GEOMETRY, np.random.default_rng(0))
    return by_questions(unanswered(*maps(), DRAFT, GRID_MM), doubtful_finder(), reader, most)


def test_the_figures_begin_with_the_mask_of_the_model_and_rise_with_the_answer_at_what_it_left_out() -> None:
    curve = answered(3)
    assert len(curve.figures) == 4 and curve.asked >= 1 and curve.hits[0]
    start, *_, end = curve.figures
    assert start.dice == pytest.approx(dice(DRAFT, TRUTH))
    assert end.dice > start.dice and end.beyond_2mm_ml < start.beyond_2mm_ml
    assert len(curve.seconds) == len(curve.seconds_again) <= 3


def test_where_nothing_more_is_asked_the_figures_stay() -> None:
    curve = answered(10)
    given = len(curve.seconds)
    assert given < 10 and set(curve.figures[given:]) == {curve.figures[given]}


def test_the_table_has_a_line_for_each_number_of_answers_with_the_means_of_all_cases() -> None:
    first, second = (
        ReviewCurve(tuple(AnsweredFigures(d + n / 100, 5.0 - n, 2.0) for n in range(3))) for d in (0.8, 0.9)
    )
    assert asdict(mean_figures([first, second], 2)) == pytest.approx(
        {"dice": 0.87, "hd95_mm": 3.0, "beyond_2mm_ml": 2.0}
    )
    lines = review_table({"questions": [first, second]}, (0, 2)).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["questions", "0", "85.00", "0.00", "5.00", "2.00"],
        ["questions", "2", "87.00", "2.00", "3.00", "2.00"],
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results and one of expert masks with the scan."""
    folder, (scan, probability) = tmp_path_factory.mktemp("evaluated"), maps()
    for name in ("results", "truth"):
        (folder / name).mkdir()
    write_segmentation(Volume(DRAFT, GEOMETRY), folder / "results" / "a.seg.nrrd")
    write_volume(Volume(probability, GEOMETRY), folder / "results" / "a.probability.nrrd")
    write_segmentation(Volume(TRUTH, GEOMETRY), folder / "truth" / "a.label.nrrd")
    write_volume(scan, folder / "truth" / "a.image.nrrd")
    return folder


def evaluate(folder: Path, *options: str) -> int:
    return main(["evaluate", "--prediction", str(folder / "results"), "--truth", str(folder / "truth"), *options])


def with_guidance(monkeypatch: pytest.MonkeyPatch, grid_mm: Triple = GRID_MM) -> None:
    guidance = SimpleNamespace(card=GuidanceCard("1", ""), grid_mm=grid_mm, finder=lambda device: doubtful_finder())
    monkeypatch.setattr(simulated_review, "find_guidance", lambda: guidance)


def test_evaluate_prints_what_answers_bring_as_the_benchmark_does(
    written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_guidance(monkeypatch)
    assert evaluate(written) == 0
    printed = capsys.readouterr().out
    assert "Answers of a simulated reader to our questions, mean of 1 case" in printed
    assert review_table({"questions": [answered(max(ANSWERS))]}, ANSWERS) in printed
    assert evaluate(written, "--no-questions") == 0
    assert "simulated reader" not in capsys.readouterr().out


def test_a_model_on_another_grid_than_the_guidance_network_is_said_in_a_sentence(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_guidance(monkeypatch)
    monkeypatch.setattr("mtctl.evaluation.results.model_grid_mm", lambda folder: (1.0, 1.0, 1.0))
    assert evaluate(written) == 0
    wanted = "the model works on voxels of 1 x 1 x 1 mm, the guidance network on 1.25 x 1.25 x 2.5 mm"
    assert wanted in capsys.readouterr().out


def test_without_a_guidance_network_or_a_probability_map_that_is_said_and_the_rest_compared(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none_there() -> None:
        raise ModelError("there is none")

    monkeypatch.setattr(simulated_review, "find_guidance", none_there)
    assert evaluate(written) == 0
    assert "no guidance network came with this program" in capsys.readouterr().out
    with_guidance(monkeypatch)
    shutil.copytree(written, tmp_path / "copy")
    (tmp_path / "copy" / "results" / "a.probability.nrrd").unlink()
    assert evaluate(tmp_path / "copy") == 0
    assert "needs <stem>.image.nrrd beside the expert mask" in capsys.readouterr().out


def test_the_entropy_of_a_result_tells_the_probability_that_was_left_out(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_guidance(monkeypatch)
    results = shutil.copytree(written, tmp_path / "copy") / "results"
    (results / "a.probability.nrrd").unlink()
    p = maps()[1].astype(np.float64)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    write_volume(Volume(entropy.astype(np.float32), GEOMETRY), results / "a.uncertainty.nrrd")
    (results / "a.json").write_text('{"uncertainty": {"kind": "entropy"}}', encoding="utf-8")
    assert evaluate(tmp_path / "copy") == 0
    assert f"questions          0 {100 * dice(DRAFT, TRUTH):6.2f}" in capsys.readouterr().out


def test_a_scan_that_cannot_be_read_is_named_and_costs_the_answers_alone(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(written, tmp_path / "copy")
    path = tmp_path / "copy" / "truth" / "a.image.nrrd"
    path.write_bytes(path.read_bytes()[:2000])
    assert evaluate(tmp_path / "copy") == 1
    printed = capsys.readouterr()
    assert "a.image.nrrd" in printed.err and "mean" in printed.out


def test_figures_on_cases_that_the_guidance_network_knew_are_said_to_be_too_good() -> None:
    guidance = find_guidance()
    learnt, fitted = guidance.card.data["labelled"][0], guidance.card.data["chances_from"][0]
    assert "2 of 3 cases" in learnt_note(guidance, [learnt, fitted, "new"])
    assert learnt_note(guidance, ["new"]) == ""
