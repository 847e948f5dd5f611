"""`mtctl corrupt`, and what `mtctl evaluate` says of the results for what it made."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from support.scans import scan

from mtctl.commands.main import main
from mtctl.geometry import Volume
from mtctl.io.inputs import find_scans
from mtctl.io.volumes import read_mask, read_volume, write_segmentation, write_volume
from mtctl.synthetic.corruptions import KINDS, SEVERITIES
from mtctl.synthetic.out_of_distribution import KINDS as FOREIGN_KINDS

pytestmark = pytest.mark.slow


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two cases, whose grid is oblique and anisotropic."""
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, name in enumerate(("a", "b")):
        volume = scan((20, 24, 28), seed)
        z, y, x = np.meshgrid(*[np.linspace(-1, 1, count) for count in volume.array.shape], indexing="ij")
        write_volume(volume, folder / f"{name}.image.nrrd")
        mask = (np.sqrt(z**2 + y**2 + x**2) < 0.6).astype(np.uint8)
        write_volume(Volume(mask, volume.geometry), folder / f"{name}.label.nrrd")
    return folder


def corrupt(data: Path, out: Path, *more: str) -> int:
    return main(["corrupt", "--data", str(data), "--cases", "a", "b", "-o", str(out), *more])


def test_each_case_is_there_and_in_every_kind_and_severity_with_its_mask_on_the_same_grid(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "worse"
    assert corrupt(data, out, "--foreign", "10") == 0
    versions = {"", *(f"+{kind}-{severity}" for kind in KINDS for severity in SEVERITIES)}
    stems = {f"{case}{version}" for case in "ab" for version in versions}
    folder = out / "labelled"
    assert {scan.path.name.removesuffix(".image.nrrd") for scan in find_scans([folder])} == stems
    for stem in stems:
        image, mask = read_volume(folder / f"{stem}.image.nrrd"), read_mask(folder / f"{stem}.label.nrrd")
        assert image.geometry == mask.geometry and mask.array.any()
    assert np.array_equal(read_volume(folder / "a.image.nrrd").array, read_volume(data / "a.image.nrrd").array)
    assert read_volume(folder / "a+noise-3.image.nrrd").geometry == read_volume(data / "a.image.nrrd").geometry
    foreign = {scan.path.name.removesuffix(".image.nrrd") for scan in find_scans([out / "foreign"])}
    assert foreign == {f"{kind.replace(' ', '-')}-{seed}" for kind in FOREIGN_KINDS for seed in (0, 1)}
    printed = capsys.readouterr().out
    assert f"{len(stems)} scans" in printed and "10 scans that are no left-atrium MRI" in printed


def voxels(folder: Path) -> dict[str, bytes]:
    return {path.name: read_volume(path).array.tobytes() for path in sorted(folder.glob("*/*.image.nrrd"))}


def test_the_same_seed_writes_the_same_voxels_and_another_one_others(data: Path, tmp_path: Path) -> None:
    for out, seed in (("one", "0"), ("two", "0"), ("three", "1")):
        assert corrupt(data, tmp_path / out, "--seed", seed, "--foreign", "7") == 0
    first, again, other = (voxels(tmp_path / out) for out in ("one", "two", "three"))
    assert first == again
    drawn = [name for name in first if "noise" in name or "motion" in name or "bias" in name]
    assert drawn and not {first[name] for name in drawn} & set(other.values())
    assert sum("+" not in name and name[0] not in "ab" for name in first) == 7


def test_a_case_that_is_not_there_is_named_and_the_others_are_done(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "b.image.nrrd").unlink()
    assert corrupt(data, tmp_path / "worse") == 1
    assert re.search(r"b\.image\.nrrd: no such file.*it is left out", capsys.readouterr().err)
    assert {path.name[0] for path in (tmp_path / "worse" / "labelled").iterdir()} == {"a"}
    (data / "a.label.nrrd").unlink()
    assert corrupt(data, tmp_path / "none") == 1
    assert "none of the cases can be used" in capsys.readouterr().err and not (tmp_path / "none").exists()


@pytest.mark.parametrize("occupied", ["labelled", "foreign"])
def test_a_folder_that_holds_anything_is_left_as_it_is(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], occupied: str
) -> None:
    own = data.rename(tmp_path / occupied)
    before = {path: path.read_bytes() for path in own.iterdir()}
    assert corrupt(own, tmp_path, "--foreign", "1") == 1
    assert f"{own}: is there already and not empty; choose another --out" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in own.iterdir()} == before
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [own]


@pytest.mark.parametrize("name", ["../data/a", "sub/a", "a+noise-1", "C:a", "", "back\\a"])
def test_a_list_with_what_is_no_case_name_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "list.txt").write_text(name, encoding="utf-8")
    arguments = ["corrupt", "--data", str(data), "--cases", str(tmp_path / "list.txt"), "-o", str(tmp_path / "worse")]
    assert main(arguments) == 1
    assert "case name" in capsys.readouterr().err and not (tmp_path / "worse").exists()


def results_for(folder: Path, out: Path) -> None:
    """Results a little wrong at two sides, flagged when spoilt or foreign, with map and report as `mtctl segment`'s."""
    out.mkdir()
    for source in (found.path for found in find_scans([folder])):
        stem, volume = source.name.removesuffix(".image.nrrd"), read_volume(source)
        label = source.with_name(f"{stem}.label.nrrd")
        truth = read_mask(label).array > 0 if label.exists() else volume.array > volume.array.mean()
        found, uncertainty = np.roll(truth, 1, 0), np.zeros(truth.shape, np.float32)
        uncertainty[found != truth] = 0.9
        write_segmentation(Volume(found.astype(np.uint8), volume.geometry), out / f"{stem}.seg.nrrd")
        write_volume(Volume(uncertainty, volume.geometry), out / f"{stem}.uncertainty.nrrd")
        spoilt = "+" in stem or not label.exists()
        report = {"case_score": 0.9 - 0.3 * spoilt, "case_score_interval": [0.5, 1.0], "flagged": spoilt}
        (out / f"{stem}.json").write_text(json.dumps({**report, "threshold": 0.5}), encoding="utf-8")


def test_evaluate_reports_scores_over_corrupted_scans_and_flags_of_foreign_ones(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert corrupt(data, tmp_path, "--foreign", "5") == 0
    results, strange = tmp_path / "results", tmp_path / "strange"
    results_for(tmp_path / "labelled", results)
    results_for(tmp_path / "foreign", strange)
    report = json.loads((strange / "no-heart-0.json").read_text(encoding="utf-8"))
    (strange / "no-heart-0.json").write_text(json.dumps({**report, "flagged": False}), encoding="utf-8")
    capsys.readouterr()
    truth = tmp_path / "labelled"
    assert main([
        "evaluate", "--prediction", str(results), "--truth", str(truth), "--no-questions",
        "--foreign", str(strange),
    ]) == 0  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("Case score of 38 reports") for line in lines)
    assert "Scans that are no left-atrium MRI: 4 of 5 flagged (80%)" in lines
    assert "  not flagged: no-heart-0" in lines and any("noise 1 of 1, " in line for line in lines)


def test_a_folder_without_reports_of_foreign_scans_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    results_for(data, results)
    arguments = ["evaluate", "--prediction", str(results), "--truth", str(data), "--no-questions", "--foreign"]
    assert main([*arguments, str(data)]) == 1
    assert f"{data}: holds no report" in capsys.readouterr().err
    for folder in (results, tmp_path / "nowhere"):
        assert main([*arguments, str(folder)]) == 2
        printed = capsys.readouterr()
        assert f"--foreign {folder}: give the folder" in printed.err and not printed.out


def test_a_flag_that_is_neither_true_nor_false_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results_for(data, tmp_path / "results")
    report = tmp_path / "results" / "a.json"
    report.write_text(report.read_text(encoding="utf-8").replace("false", '"false"'), encoding="utf-8")
    assert main(["evaluate", "--prediction", str(tmp_path / "results"), "--truth", str(data), "--no-questions"]) == 1
    assert "'flagged' is false; true or false is needed" in capsys.readouterr().err
