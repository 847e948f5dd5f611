"""`mtctl segment` as a person runs it: what it writes, what it keeps, and how it fails."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.dicom_series import dicom_scan, write_series
from support.scans import scan
from support.segment_command import names, run, run_with_figures, spoil

from mtctl.commands.main import main
from mtctl.geometry import Geometry, Volume
from mtctl.io.volumes import read_map, read_mask, read_volume, write_volume
from mtctl.models.card import write_card
from mtctl.models.model import Model
from mtctl.system.files import TEMPORARY_PREFIX
from mtctl.uncertainty.case_score import CaseScore, UsualShape

pytestmark = pytest.mark.slow

WRITTEN = {"a.seg.nrrd", "a.uncertainty.nrrd", "a.distance.nrrd", "a.json", "a.png"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "a.image.nrrd"
    path.parent.mkdir()
    write_volume(scan(), path)
    return path


def test_a_scan_gives_segmentation_maps_report_and_picture_on_its_own_grid(
    tiny_model: Model, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run_with_figures(tiny_model, source, "-o", out) == 0
    assert names(out) == WRITTEN
    for name in ("a.uncertainty.nrrd", "a.distance.nrrd"):
        assert sitk.ReadImage(str(out / name)).GetSize() == scan().geometry.size
    assert read_mask(out / "a.seg.nrrd").geometry == read_volume(source).geometry
    report = json.loads((out / "a.json").read_text(encoding="utf-8"))
    assert {
        "input", "geometry", "model", "device", "samples", "seed", "seconds", "volume_ml", "uncertainty", "case_score",
        "case_score_interval", "self_dice", "sample_dice", "flagged", "threshold", "likely_wrong_ml",
        "warnings", "version",
    } <= set(report)  # fmt: skip
    assert report["model"] == {"id": "tiny", "version": "1", "sha256": tiny_model.card.sha256}
    assert set(report["uncertainty"]) == {"kind", "mean", "in_band_mean"}
    smallest, largest = report["volume_ml_interval"]
    assert smallest <= report["volume_ml"] <= largest
    low, high = report["case_score_interval"]
    assert 0 <= low <= report["case_score"] <= high <= 1
    printed = capsys.readouterr().out
    assert "1 of 1 done" in printed and f"{report['likely_wrong_ml']:.1f} mL likely wrong" in printed


def test_what_the_model_is_unsure_of_or_shaped_like_no_atrium_is_flagged_and_the_report_says_why(
    tiny_model: Model, source: Path, tmp_path: Path
) -> None:
    never = UsualShape((9.0, 9.0, 9.0), ((0.01, 0.0, 0.0), (0.0, 0.01, 0.0), (0.0, 0.0, 0.01)), 4.0)
    sure, unsure = CaseScore(likely=0.0, least=0.0, most=0.0, flag_below=0.0), CaseScore(flag_below=1.0)
    said = {}
    for name, changes in (
        ("sure", {"score": sure}),
        ("unsure", {"score": unsure}),
        ("misshapen", {"score": sure, "usual_shape": never}),
        ("uncalibrated", {"score": None}),
    ):
        folder = Path(shutil.copytree(tiny_model.folder, tmp_path / name))
        write_card(folder, replace(tiny_model.card, **changes))  # type: ignore[arg-type]
        assert run(replace(tiny_model, folder=folder), source, "-o", tmp_path / f"{name}-out") == 0
        said[name] = json.loads((tmp_path / f"{name}-out" / "a.json").read_text(encoding="utf-8"))
    assert said["sure"]["case_score"] == 1 and said["sure"]["case_score_interval"] == [1, 1]
    assert said["unsure"]["flagged"] and said["misshapen"]["flagged"]
    warnings = {name: " ".join(report["warnings"]) for name, report in said.items()}
    assert "the model is unsure of this scan" in warnings["unsure"] and "unsure" not in warnings["sure"]
    assert "unlike a left atrium" in warnings["misshapen"] and "unlike" not in warnings["sure"]
    assert "never calibrated" in warnings["uncalibrated"] and "never calibrated" not in warnings["sure"]


def test_a_file_that_does_not_say_how_the_patient_lies_is_warned_of(
    tiny_model: Model, source: Path, tmp_path: Path
) -> None:
    lying, raw = tmp_path / "b.nrrd", source.read_bytes()
    for line, instead in [(b"space", b""), (b"space origin", b""), (b"space directions", b"spacings: 0.7 0.7 2\n")]:
        raw = re.sub(rb"(?m)^" + line + rb":.*\n", instead, raw, count=1)
    lying.write_bytes(raw)
    assert [run(tiny_model, one, "-o", tmp_path / "out") for one in (source, lying)] == [0, 0]
    said = {name: " ".join(json.loads((tmp_path / f"out/{name}.json").read_text("utf-8"))["warnings"]) for name in "ab"}
    assert "check left and right" in said["b"] and "left and right" not in said["a"]


def test_a_dicom_folder_gives_results_named_by_a_pseudonym_with_nothing_of_the_patient(
    tiny_model: Model, tmp_path: Path
) -> None:
    folder = tmp_path / "Miller^Anna"
    array, geometry = dicom_scan(size=(56, 48, 40))
    write_series(folder, array, geometry)
    assert run_with_figures(tiny_model, folder, "-o", tmp_path / "out") == 0
    assert len(names(tmp_path / "out")) == 5
    for path in (tmp_path / "out").iterdir():
        assert b"Miller" not in path.read_bytes() and "Miller" not in path.name
    (segmentation,) = (tmp_path / "out").glob("*.seg.nrrd")
    assert read_mask(segmentation).geometry.size == geometry.size


def test_folders_of_one_series_uid_do_not_overwrite_each_other_in_one_run(
    tiny_model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    array, geometry = dicom_scan(size=(56, 48, 40))
    for patient, values in (("P1", array), ("P2", array[::-1])):  # The UID as a poor anonymiser writes it.
        write_series(tmp_path / patient, values, geometry)
    folders, out = [tmp_path / "P1", tmp_path / "P2"], tmp_path / "out"
    assert run(tiny_model, folders[0], "-o", out) == 0
    before = {path.name: path.read_bytes() for path in out.glob("*.seg.nrrd")}
    assert run(tiny_model, *folders, "-o", out, "--overwrite") == 1
    said = capsys.readouterr()
    assert "1 of 2 done" in said.out and "has the same series UID" in said.err and "nothing was overwritten" in said.err
    assert {path.name: path.read_bytes() for path in out.glob("*.seg.nrrd")} == before


def test_results_that_another_run_put_there_meanwhile_are_not_overwritten(
    tiny_model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    assert run(tiny_model, source, "-o", other, "--seed", 3) == 0

    def quicker(*_: object) -> None:
        shutil.copytree(other, out, dirs_exist_ok=True)

    monkeypatch.setattr("mtctl.figures.case_figure.write_case_figure", quicker)
    assert run_with_figures(tiny_model, source, "-o", out) == 1
    assert (out / "a.json").read_bytes() == (other / "a.json").read_bytes()
    assert names(out) - {"cohort.csv", "cohort.html"} == WRITTEN
    assert run(tiny_model, source, "-o", out, "--seed", 4, "--overwrite") == 0


def test_want_of_memory_is_called_so_and_no_fault(
    tiny_model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("mtctl.io.inputs.find_scans", fail)
    assert run(tiny_model, source, "-o", tmp_path / "out") == 1
    assert capsys.readouterr().err.startswith("mtctl: error: not enough memory")


def test_a_table_that_cannot_be_written_costs_the_summary_of_no_run(
    tiny_model: Model, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "cohort.csv").mkdir(parents=True)
    assert run(tiny_model, source, tmp_path / "absent.nrrd", "-o", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "cohort.csv: cannot be written" in said.err
    assert "1 of 2 done" in said.out and "absent.nrrd: no such file" in said.out and "which to look at" not in said.out


def test_another_uncertainty_is_written_with_a_threshold_of_its_own(
    tiny_model: Model, source: Path, tmp_path: Path
) -> None:
    for kind in ("entropy", "mutual-information", "disagreement"):
        assert run(tiny_model, source, "-o", tmp_path / kind, "--uncertainty", kind, "--maps", "all") == 0
        report = json.loads((tmp_path / kind / "a.json").read_text(encoding="utf-8"))
        assert report["uncertainty"]["kind"] == kind
        written, same = (read_map(tmp_path / kind / f"a.{name}.nrrd").array for name in ("uncertainty", kind))
        assert np.array_equal(written, same)
        flagged = (written >= report["threshold"]).sum() / max(read_mask(tmp_path / kind / "a.seg.nrrd").array.sum(), 1)
        assert kind == "entropy" or 0.05 < flagged < 0.2


def test_a_second_run_keeps_what_is_there_and_a_changed_setting_needs_overwrite(
    tiny_model: Model, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(tiny_model, source, "-o", out) == 0
    stamp = (out / "a.seg.nrrd").stat().st_mtime_ns
    assert run(tiny_model, source, "-o", out) == 0
    assert "unchanged, kept" in capsys.readouterr().out
    assert (out / "a.seg.nrrd").stat().st_mtime_ns == stamp
    assert run(tiny_model, source, "-o", out, "--seed", 7) == 1
    assert "in the way; use --overwrite" in capsys.readouterr().err
    assert run(tiny_model, source, "-o", out, "--seed", 7, "--overwrite") == 0
    assert json.loads((out / "a.json").read_text(encoding="utf-8"))["seed"] == 7


def test_a_changed_scan_of_the_same_name_is_not_taken_for_done(
    tiny_model: Model, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_model, source, "-o", tmp_path / "out") == 0
    write_volume(scan(seed=9), source)
    assert run(tiny_model, source, "-o", tmp_path / "out") == 1
    assert "in the way" in capsys.readouterr().err


def test_the_same_input_gives_the_same_files_bit_for_bit(tiny_model: Model, source: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        assert run(tiny_model, source, "-o", tmp_path / folder) == 0
    for name in WRITTEN - {"a.json", "a.png"}:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_every_bad_input_gets_one_clear_line_and_the_good_ones_are_still_done(
    tiny_model: Model, source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import re

    expected = spoil(source.parent)
    inputs = [source.parent / name for name in expected]
    assert run(tiny_model, *inputs[:6], source, *inputs[6:], "-o", tmp_path / "out") == 1
    captured = capfd.readouterr()
    lines = [line for line in captured.err.splitlines() if line.strip()]
    assert len(lines) == len(expected), captured.err
    for name, cause in expected.items():
        line = next(line for line in lines if name in line)
        assert line.startswith("mtctl: error: ")
        assert re.search(cause, line.split(name, 1)[1], re.IGNORECASE), line
    assert names(tmp_path / "out") == WRITTEN | {"cohort.csv", "cohort.html"}
    assert f"1 of {len(inputs) + 1} done" in captured.out
    assert "direction.nrrd" in captured.out.splitlines()[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows folders have no write bit")
def test_an_output_folder_that_cannot_be_written_is_named(
    tiny_model: Model, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "file"
    taken.write_text("x", encoding="utf-8")
    assert run(tiny_model, source, "-o", taken) == 1
    assert "is a file, not a folder" in capsys.readouterr().err
    if os.geteuid() == 0:
        return  # The administrator may write anywhere.
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert run(tiny_model, source, "-o", locked) == 1
    assert "no permission to write there" in capsys.readouterr().err


def test_a_disk_that_fills_up_half_way_leaves_nothing_behind_and_old_results_untouched(
    tiny_model: Model, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert run(tiny_model, source, "-o", out) == 0
    before = {name: (out / name).read_bytes() for name in WRITTEN}

    def full(volume: Volume, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mtctl.batch.case.write_volume", full)
    assert run(tiny_model, source, "-o", out, "--seed", 3, "--overwrite") == 1
    assert "the disk is full; free some space" in capsys.readouterr().err
    assert {name: (out / name).read_bytes() for name in names(out)} == before
    assert not [name for name in names(out) if name.startswith(TEMPORARY_PREFIX)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--roi", "1,2,3"], "expected six numbers"),
        (["--threshold", "1.5"], "not between 0 and 1"),
        (["--samples", "1"], "not between 2 and 1000"),
        (["--seed", "99999999999999999999"], "not between 0 and"),
        (["--uncertainty", "guess"], "invalid choice"),
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "exclude each other"),
    ],
)
def test_wrong_usage_ends_with_status_2(
    tiny_model: Model,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert run(tiny_model, source, "-o", tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_region_may_begin_with_a_negative_number(tiny_model: Model, source: Path, tmp_path: Path) -> None:
    assert run(tiny_model, source, "-o", tmp_path / "out", "--roi", "-5,25,0,25,0,20") == 0
    report = json.loads((tmp_path / "out" / "a.json").read_text(encoding="utf-8"))
    assert report["region_of_interest"]["chosen_by"] == "user"
    assert report["region_of_interest"]["box_mm_lps"]["x1"] == pytest.approx(25, abs=0.7)


def test_a_region_outside_one_of_the_scans_names_that_scan(
    tiny_model: Model, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_model, source, "-o", tmp_path / "out", "--roi", "500,600,0,25,0,20") == 1
    assert f"{source}: region 500,600,0,25,0,20 lies outside the scan" in capsys.readouterr().err


def test_all_maps_are_written_when_asked_for_and_do_not_stay_beside_new_results(
    tiny_model: Model, source: Path, tmp_path: Path
) -> None:
    assert run(tiny_model, source, "-o", tmp_path / "out", "--maps", "all") == 0
    extra = {f"a.{kind}.nrrd" for kind in ("probability", "entropy", "mutual-information", "disagreement")}
    assert names(tmp_path / "out") == WRITTEN | extra
    assert run(tiny_model, source, "-o", tmp_path / "out", "--seed", 3, "--overwrite") == 0
    assert names(tmp_path / "out") == WRITTEN


def test_voxels_in_a_file_beside_their_header_are_part_of_the_input(
    tiny_model: Model, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = source.parent / "b.mhd"
    image = sitk.Cast(sitk.ReadImage(str(source)), sitk.sitkFloat32)
    sitk.WriteImage(image, str(header))
    assert run(tiny_model, header, "-o", tmp_path / "out") == 0
    same = header.read_bytes()
    sitk.WriteImage(image + 1, str(header))
    assert header.read_bytes() == same
    assert run(tiny_model, header, "-o", tmp_path / "out") == 1
    assert "in the way" in capsys.readouterr().err


def test_a_result_that_cannot_be_moved_into_place_leaves_all_old_ones(
    tiny_model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert run(tiny_model, source, "-o", out) == 0
    before = {name: (out / name).read_bytes() for name in WRITTEN}
    real = os.replace

    def in_use(old: Path, new: Path) -> None:
        if Path(new).name == "a.png" and Path(new).parent == out and Path(old).parent.name == "new":
            raise PermissionError(errno.EACCES, "file in use")
        real(old, new)

    monkeypatch.setattr("mtctl.io.results.os.replace", in_use)
    assert run(tiny_model, source, "-o", out, "--seed", 3, "--overwrite") == 1
    assert {name: (out / name).read_bytes() for name in names(out)} == before


def test_no_input_at_all_is_wrong_usage(tiny_model: Model, tmp_path: Path) -> None:
    assert run(tiny_model, "-o", tmp_path / "out") == 2


def test_an_unknown_model_is_refused_and_so_is_the_second_of_two_inputs_with_one_name(
    tiny_model: Model, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(source), "-o", str(tmp_path / "out"), "--model", "nosuch"]) == 1
    assert "unknown model 'nosuch'" in capsys.readouterr().err
    other = tmp_path / "other" / "a.nrrd"
    other.parent.mkdir()
    shutil.copy(source, other)
    assert run(tiny_model, source, other, "-o", tmp_path / "out") == 1
    assert "would write the same files" in capsys.readouterr().err


def test_a_manifest_names_further_inputs_relative_to_itself(tiny_model: Model, source: Path, tmp_path: Path) -> None:
    manifest = source.parent / "list.csv"
    manifest.write_text("patient,input\n1,a.image.nrrd\n", encoding="utf-8")
    assert run(tiny_model, "--manifest", manifest, "-o", tmp_path / "out") == 0
    assert names(tmp_path / "out") == WRITTEN


def test_a_manifest_without_an_input_column_says_what_it_has(
    tiny_model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.csv").write_text("patient,scan\n1,a\n", encoding="utf-8")
    assert run(tiny_model, "--manifest", tmp_path / "list.csv", "-o", tmp_path / "out") == 1
    assert "no column 'input' (it has patient, scan)" in capsys.readouterr().err


def test_two_processes_give_what_one_gives(tiny_model: Model, source: Path, tmp_path: Path) -> None:
    other = source.parent / "b.nrrd"
    geometry = Geometry((50, 40, 30), (0.625, 0.625, 1.0), (1.0, 2.0, 3.0))
    write_volume(Volume(scan((30, 40, 50), seed=5).array, geometry), other)
    assert run(tiny_model, source, other, "-o", tmp_path / "one") == 0
    assert run(tiny_model, source, other, "-o", tmp_path / "two", "--workers", 2) == 0
    for stem in ("a", "b"):
        first, second = (read_mask(tmp_path / folder / f"{stem}.seg.nrrd") for folder in ("one", "two"))
        assert np.array_equal(first.array, second.array)
        assert first.geometry == second.geometry
