"""Calibration: voxel probabilities, ratios, shapes and flags from known truths; QU-BraTS by brute force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.held_out_calibration import flag_figures, judged, judged_held_out
from scipy import optimize
from scipy.special import expit, log_expit, logit
from support.scans import scan

from mtctl.commands.main import main
from mtctl.evaluation.calibrate import Observation, calibrate
from mtctl.evaluation.calibration_fits import (
    LOGITS,
    LogitCounts,
    fit_case_score,
    fit_usual_shape,
    fit_voxel_calibration,
    logit_counts,
)
from mtctl.evaluation.segmentation_metrics import dice
from mtctl.evaluation.uncertainty_metrics import ece, qu_brats
from mtctl.inference.segmenter import Segmenter
from mtctl.io.labelled import LabelledVolume
from mtctl.io.volumes import write_volume
from mtctl.models.card import write_card
from mtctl.models.model import Model, read_model, save_model
from mtctl.uncertainty.case_score import CaseScore
from mtctl.uncertainty.voxel_calibration import VoxelCalibration

EVERYWHERE = np.ones((60, 60, 60), bool)


def overconfident(seed: int, slope: float = 0.5, offset: float = -0.7) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure and too high, and truths: sigmoid(slope logit p + offset) would be right."""
    rng = np.random.default_rng(seed)
    stated = rng.normal(0, 4, EVERYWHERE.shape)
    return expit(stated).astype(np.float32), rng.random(EVERYWHERE.shape) < expit(slope * stated + offset)


def test_voxel_calibration_finds_the_slope_and_offset_that_made_the_truth() -> None:
    cases = [overconfident(seed) for seed in range(3)]
    found = fit_voxel_calibration([logit_counts(p, truth, EVERYWHERE) for p, truth in cases])
    assert found.slope == pytest.approx(0.5, abs=0.01) and found.offset == pytest.approx(-0.7, abs=0.02)
    probability, truth = overconfident(9)
    assert ece(probability, truth) > 0.1 > 0.01 > ece(found(probability), truth)


def test_voxel_calibration_is_the_least_log_loss_with_every_case_of_one_weight() -> None:
    rng = np.random.default_rng(0)
    counts = []
    for total in (100, 5000):
        right = expit(rng.uniform(0.3, 0.9) * LOGITS + rng.normal())
        atrium = rng.binomial(total, right)
        counts.append(LogitCounts(total - atrium, atrium))

    def loss(weights: np.ndarray) -> float:
        z = weights[0] * LOGITS + weights[1]
        return -sum(
            float((c.atrium * log_expit(z) + c.background * log_expit(-z)).sum() / (c.atrium + c.background).sum())
            for c in counts
        )

    best = optimize.minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10}).x
    found = fit_voxel_calibration(counts)
    assert (found.slope, found.offset) == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize(("slope", "offset", "bound"), [(5.0, 4.0, 3.0), (1e3, 2e3, 3.0), (-1.0, 2.0, 0.1)])
def test_where_the_slope_is_held_at_a_bound_the_offset_is_the_best_for_it(
    slope: float, offset: float, bound: float
) -> None:
    often = np.round(1e4 * np.exp(-((LOGITS / 3) ** 2) / 2)).astype(int)
    atrium = np.round(often * expit(slope * LOGITS + offset)).astype(int)

    def loss(shift: float) -> float:
        z = bound * LOGITS + shift
        return -float((atrium * log_expit(z) + (often - atrium) * log_expit(-z)).sum())

    found = fit_voxel_calibration([LogitCounts(often - atrium, atrium)])
    best = optimize.minimize_scalar(loss, (-10, 10)).x
    assert found.slope == bound and found.offset == pytest.approx(best, abs=1e-3)


def test_without_voxels_of_both_classes_nothing_is_changed() -> None:
    empty = LogitCounts(np.zeros(len(LOGITS), int), np.zeros(len(LOGITS), int))
    one_class = LogitCounts(np.ones(len(LOGITS), int), np.zeros(len(LOGITS), int))
    for cases in ([], [empty], [one_class, empty]):
        assert fit_voxel_calibration(cases) == VoxelCalibration()


def test_voxel_calibration_is_monotone_keeps_its_bounds_and_as_it_stands_changes_nothing() -> None:
    p = np.linspace(0, 1, 101, dtype=np.float32)
    assert VoxelCalibration()(p) is p
    calibrated = VoxelCalibration(0.6, -0.3)(p)
    assert (np.diff(calibrated) >= 0).all() and calibrated.min() > 0 and calibrated.max() < 1
    assert calibrated[70] == pytest.approx(expit(0.6 * logit(0.7) - 0.3), abs=1e-5)


def observations(cases: int, versions: int, seed: int = 0) -> list[Observation]:
    """Predictions whose missing Dice is 1 to 3 times what their probabilities say."""
    rng = np.random.default_rng(seed)
    found = []
    for case in range(cases):
        for version in range(versions):
            promised = 1 - float(rng.choice([0.05, 0.1, 0.2])) * float(rng.uniform(0.5, 1.5))
            true = max(0.0, 1 - (1 - promised) * float(rng.uniform(1, 3)))
            spread = tuple(float(v) for v in np.exp(rng.normal([3, 2.5, 2.6], 0.1)))
            found.append(Observation(f"c{case}", f"v{version}", true, promised, 0.9, spread, False))  # type: ignore[arg-type]
    return found


def test_the_case_score_s_ratios_are_the_quantiles_and_its_flag_finds_the_failed_ones() -> None:
    some = observations(50, 10)
    score = fit_case_score([o.self_dice for o in some], [o.dice for o in some])
    assert (score.least, score.likely, score.most) == pytest.approx((1.1, 2.0, 2.9), abs=0.06)
    failed = [o for o in some if o.dice < 0.8]
    flagged = np.mean([score.expected(o.self_dice) < score.flag_below for o in failed])
    assert 0.95 <= flagged < 0.97


def test_without_a_failed_prediction_the_flag_stands_at_the_limit_itself() -> None:
    score = fit_case_score([0.95, 0.96, 0.97], [0.9, 0.92, 0.94])
    assert score.flag_below == 0.8 and score.least <= score.likely <= score.most


def test_a_few_bad_failures_do_not_let_results_pass_that_are_expected_to_have_failed() -> None:
    score = fit_case_score([0.95, 0.96, 0.97, 0.3], [0.9, 0.92, 0.94, 0.0])
    assert score.expected(0.3) == 0 and score.flag_below == 0.8


@pytest.mark.parametrize("count", [19, 39, 59, 79, 199])
def test_the_interval_s_ends_are_the_values_of_the_exact_ranks(count: int) -> None:
    missing = np.arange(1, count + 1) / 1000
    score = fit_case_score(np.full(count, 0.9), 1 - missing)
    rank = (count + 1) // 20  # 5 % of count + 1 from either end
    assert (score.least, score.most) == pytest.approx((10 * missing[rank - 1], 10 * missing[-rank]), abs=1e-4)


def test_empty_masks_say_nothing_of_the_interval_and_all_of_them_leave_it_as_it_was() -> None:
    promised, true = np.linspace(0.9, 0.97, 30), np.linspace(0.8, 0.94, 30)
    empty = fit_case_score([*promised, *np.zeros(9)], [*true, *np.zeros(9)])
    alone = fit_case_score(promised, true)
    assert (empty.least, empty.likely, empty.most) == (alone.least, alone.likely, alone.most) and empty.least > 1.5
    assert fit_case_score([0.0], [0.0]) == CaseScore(flag_below=0.8)


def test_versions_of_one_scan_count_as_one_scan_and_the_interval_is_of_clean_ones() -> None:
    promised, true = [0.9] * 23, [0.8] * 3 + [0.5] * 20
    scans, clean = ["a", "b", "c", *["c"] * 20], [True] * 3 + [False] * 20
    score = fit_case_score(promised, true, scans, clean)
    assert (score.least, score.likely, score.most) == (2, 2, 2)
    # Of two scans that failed, one has 40 versions: the other one's is half of what must be found all the same.
    some = fit_case_score(
        [0.5] * 40 + [0.92, 0.95], [0.0] * 40 + [0.75, 0.9], ["a"] * 40 + ["b", "c"], [False] * 40 + [True] * 2
    )
    assert some.expected(0.92) < some.flag_below


def test_on_cases_that_were_held_out_the_interval_holds_nine_of_ten_and_most_failures_are_flagged() -> None:
    some = observations(20, 10, seed=3)
    held_out = judged_held_out(some, [])
    assert [j.observation for j in held_out] == some
    figures = flag_figures(held_out, 0.8)
    assert 0.85 <= figures.coverage <= 0.95 and figures.sensitivity > 0.88 and figures.width > 0.05


def test_a_held_out_case_has_no_part_in_its_own_judgement() -> None:
    some = observations(6, 10)
    changed = [replace(o, dice=0.0) if o.case == "c2" else o for o in some]
    before, after = ([j.score for j in judged_held_out(s, []) if j.observation.case == "c2"] for s in (some, changed))
    assert before == after
    others = [j.score for j in judged_held_out(changed, []) if j.observation.case == "c1"]
    assert others != [j.score for j in judged_held_out(some, []) if j.observation.case == "c1"]


def test_the_shape_s_limit_is_exceeded_as_rarely_as_it_says_by_cases_it_was_not_fitted_on() -> None:
    rng = np.random.default_rng(0)
    covariance = np.array([[0.02, 0.01, 0.0], [0.01, 0.03, -0.01], [0.0, -0.01, 0.02]])
    beyond = []
    for _ in range(400):
        drawn = np.exp(rng.multivariate_normal([3, 2.5, 2.6], covariance, 34))
        shape = fit_usual_shape([(float(x), float(y), float(z)) for x, y, z in drawn[:14]])
        assert shape is not None
        beyond += [shape.distance((float(x), float(y), float(z))) > shape.limit for x, y, z in drawn[14:]]
    assert np.mean(beyond) == pytest.approx(0.02, abs=0.005)
    assert fit_usual_shape([(20.0, 12.0, 13.0)] * 7) is None


def test_a_misshapen_result_is_flagged_however_sure_the_model_is() -> None:
    usual = [o.spread for o in observations(20, 1) if o.spread]
    shape = fit_usual_shape(usual)
    sure = Observation("a", "clean", 0.9, 0.99, 0.99, (12.0, 20.0, 13.0), False)
    score = fit_case_score([0.9, 0.95], [0.7, 0.9])
    (with_shape,), (without,) = judged([sure], score, shape), judged([sure], score, None)
    assert with_shape.misshapen and with_shape.flagged and not without.flagged
    assert judged([replace(sure, doubted=True)], score, None)[0].flagged


def test_qu_brats_equals_its_definition() -> None:
    rng = np.random.default_rng(1)
    truth, prediction = rng.random((6, 7, 8)) < 0.4, rng.random((6, 7, 8)) < 0.4
    uncertainty = rng.random(truth.shape).astype(np.float32)
    thresholds = np.linspace(0, 1, 11, dtype=np.float32)
    curves = []
    for threshold in thresholds:
        stays = uncertainty <= threshold
        positive, negative = prediction & truth, ~prediction & ~truth
        curves.append(
            (
                dice((prediction & stays), (truth & stays)),
                1 - (positive & stays).sum() / positive.sum(),
                1 - (negative & stays).sum() / negative.sum(),
            )
        )
    areas = [np.mean((np.array(c)[1:] + np.array(c)[:-1]) / 2) for c in zip(*curves, strict=True)]
    found = qu_brats(uncertainty, prediction, truth, thresholds=10)
    assert (found.dice, found.lost_positives, found.lost_negatives) == pytest.approx(areas, abs=1e-6)
    assert found.score == pytest.approx((areas[0] + 2 - areas[1] - areas[2]) / 3, abs=1e-6)


def test_qu_brats_of_a_right_and_certain_result_is_one_and_doubting_what_is_right_costs() -> None:
    truth = np.zeros((5, 5, 5), bool)
    truth[1:4, 1:4, 1:4] = True
    sure = np.zeros(truth.shape, np.float32)
    assert qu_brats(sure, truth, truth).score == 1
    assert qu_brats(sure + 0.5, truth, truth).score < 0.7
    empty = np.zeros_like(truth)
    assert qu_brats(sure, empty, empty).score == 1


@pytest.fixture
def model(tiny_model: Model, tmp_path: Path) -> Model:
    network = tiny_model.load_network()
    return save_model(tmp_path / "mine", replace(tiny_model.card, id="mine"), network.state_dict())


def labelled(seed: int) -> LabelledVolume:
    volume = scan((32, 40, 48), seed)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in volume.array.shape], indexing="ij")
    return LabelledVolume(f"case{seed}", volume, np.sqrt(z**2 + y**2 + x**2) < 0.6)


@pytest.mark.slow
def test_calibrating_predicts_seven_versions_of_a_case_and_does_not_depend_on_an_earlier_calibration(
    model: Model, tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    cpu = torch.device("cpu")
    found = calibrate(Segmenter(model, cpu), [labelled(0)], lambda done, of: steps.append((done, of)))
    assert steps[-1] == (7, 7) and [done for done, _ in steps] == list(range(1, 8))
    assert 0 <= found.threshold <= 1 and found.usual_shape is None and found.figures["dice_sd"] == 0
    before = Model(model.folder, replace(model.card, voxel_calibration=VoxelCalibration(0.3, 1.0), threshold=0.1))
    assert calibrate(Segmenter(before, cpu), [labelled(0)]) == found


@pytest.mark.slow
def test_models_calibrate_writes_the_card_and_another_model_can_take_it_over(
    model: Model, tiny_model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = labelled(0)
    write_volume(case.volume, tmp_path / "case0.image.nrrd")
    write_volume(replace(case.volume, array=case.mask.astype(np.uint8)), tmp_path / "case0.label.nrrd")
    command = ["models", "calibrate", str(model.folder), "--device", "cpu"]
    assert main([*command, "--validation", "case0"]) == 1
    assert "--validation needs --data" in capsys.readouterr().err
    other = save_model(tmp_path / "other", replace(tiny_model.card, id="other"), tiny_model.load_network().state_dict())
    assert main(["models", "calibrate", str(other.folder), "--like", str(model.folder)]) == 1
    assert "'mine' was never calibrated itself" in capsys.readouterr().err
    assert main([*command, "--data", str(tmp_path), "--validation", "case0"]) == 0
    assert "model mine calibrated on 1 case:" in capsys.readouterr().out
    card = read_model(model.folder).card
    assert card.score is not None and card.data["validation"] == ["case0"] and card.validation["cases"] == 1
    assert main(["models", "calibrate", str(other.folder), "--like", str(model.folder)]) == 0
    taken = read_model(other.folder).card
    assert (taken.score, taken.threshold, taken.voxel_calibration) == (
        card.score,
        card.threshold,
        card.voxel_calibration,
    )
    assert "that of mine" in taken.data["calibration"] and taken.sha256 == other.card.sha256


def test_the_number_of_views_is_set_with_the_calibration_that_belongs_to_it(
    model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["models", "calibrate", str(model.folder), "--like", "mtctl-la16"]
    assert main([*command, "--views", "6"]) == 1
    assert "--views 6: give a number from 1 to 5" in capsys.readouterr().err
    assert main([*command, "--views", "5"]) == 0
    assert read_model(model.folder).card.views == 5
    assert main(command) == 0
    assert read_model(model.folder).card.views == 5


def test_what_the_mask_is_cut_from_is_set_with_the_calibration_too(
    model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["models", "calibrate", str(model.folder), "--like", "mtctl-la16", "--mask-samples-share"]
    assert main([*command, "1.5"]) == 1
    assert "--mask-samples-share 1.5: give a number from 0 to 1" in capsys.readouterr().err
    assert main([*command, "0.5"]) == 0
    assert read_model(model.folder).card.mask_samples_share == 0.5


def test_a_model_is_not_calibrated_on_what_it_learnt_from(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_card(model.folder, replace(model.card, data={"labelled": ["case0"]}))
    command = ["models", "calibrate", str(model.folder), "--data", str(tmp_path), "--validation", "case0"]
    assert main(command) == 1
    assert "was trained on case0; calibrate on cases that it never saw" in capsys.readouterr().err
