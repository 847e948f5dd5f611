"""A header whose spacing cannot be true: noticed by the atrium's shape; and what a person gives instead."""

from __future__ import annotations

import csv
import importlib.util
import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser_case import write_case
from support.dicom_series import dicom_scan, write_series
from support.paths import ROOT, shared_names, shared_scans
from support.scans import scan
from support.segment_command import run

from mtctl.browser.sources.folder import FolderSource
from mtctl.cases.store import CaseStore
from mtctl.commands.main import main
from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Triple, Volume, with_spacing
from mtctl.io.given_spacing import given_spacing_of, parse_spacing
from mtctl.io.inputs import ScanInput, find_scans
from mtctl.io.manifests import read_manifest
from mtctl.io.volumes import read_mask, read_scan, read_volume, write_segmentation, write_volume
from mtctl.models.model import Model
from mtctl.uncertainty.plausibility import plausibility_warnings
from mtctl.uncertainty.plausible_spacing import ATRIA, likely_spacing

TRUE, SQUASHED, NONE = (0.625, 0.625, 1.25), (0.625, 0.625, 0.625), (1.0, 1.0, 1.0)

#: Directions of a sagittal scan: the file's x runs to the back, its y downwards, its z to the left.
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


def atrium(spacing: Triple = TRUE, direction: tuple[float, ...] | None = None) -> tuple[np.ndarray, Geometry]:
    """An ellipsoid that spreads like the median atrium, in a grid of that true spacing."""
    matrix = np.eye(3) if direction is None else np.array(direction).reshape(3, 3)
    radii = np.sqrt(5) * np.exp(ATRIA.mean)
    size = np.ceil(2.4 * np.abs(matrix.T) @ radii / spacing).astype(int)
    grid = Geometry((int(size[0]), int(size[1]), int(size[2])), spacing, (0.0, 0.0, 0.0), tuple(matrix.ravel()))
    centre = grid.index_to_physical((size - 1) / 2)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij")[::-1], axis=-1)
    return ((((grid.index_to_physical(index) - centre) / radii) ** 2).sum(axis=-1) <= 1), grid


def said_of(mask: np.ndarray, grid: Geometry, header: Triple) -> str:
    found = likely_spacing(mask, replace(grid, spacing=header))
    return found.sentence if found else ""


# What is noticed


def test_an_atrium_half_as_high_as_atria_are_names_the_slice_spacing_and_the_flag() -> None:
    mask, grid = atrium()
    assert said_of(mask, grid, SQUASHED) == (
        "the atrium is half as high as atria are: is the slice spacing 1.25 mm instead of 0.625? "
        "--spacing 0.625,0.625,1.25"
    )
    assert "twice as high as atria are" in said_of(mask, grid, (0.625, 0.625, 2.5))
    assert not said_of(mask, grid, TRUE)


def test_a_file_without_spacing_is_taken_for_one_of_the_challenge() -> None:
    mask, grid = atrium()
    found = likely_spacing(mask, replace(grid, spacing=NONE))
    assert found and found.spacing == TRUE and "does it carry none" in found.sentence
    assert found.sentence.endswith("--spacing 0.625,0.625,1.25")


def test_the_spacing_in_the_slices_and_a_wrong_unit_are_named_too() -> None:
    mask, grid = atrium()
    assert "half as wide and deep as atria are: is the spacing in the slices 0.625 mm instead of 0.3125? --spacing" in (
        said_of(mask, grid, (0.3125, 0.3125, 1.25))
    )
    unit = said_of(mask, grid, (0.0625, 0.0625, 0.125))
    assert "a tenth as large as atria are" in unit and unit.endswith("--spacing 0.625,0.625,1.25")
    assert "is the spacing along the file's x 0.625 mm" in said_of(mask, grid, (0.3125, 0.625, 1.25))


def test_the_slices_of_a_sagittal_scan_lie_along_the_patient_s_width() -> None:
    mask, grid = atrium((1.25, 1.25, 2.5), SAGITTAL)
    assert not said_of(mask, grid, (1.25, 1.25, 2.5))
    said = said_of(mask, grid, (1.25, 1.25, 1.25))
    assert "half as wide as atria are: is the slice spacing 2.5 mm instead of 1.25? --spacing 1.25,1.25,2.5" in said


def test_an_oblique_scan_is_judged_along_its_own_axes() -> None:
    turn = np.radians(20)
    c, s = float(np.cos(turn)), float(np.sin(turn))
    mask, grid = atrium(TRUE, (1.0, 0.0, 0.0, 0.0, c, -s, 0.0, s, c))
    assert not said_of(mask, grid, TRUE)
    assert "half as high as atria are: is the slice spacing 1.25 mm" in said_of(mask, grid, SQUASHED)


def test_a_scan_that_is_stored_turned_is_no_matter_of_spacing_or_both_are_named() -> None:
    mask, grid = atrium()
    turned = replace(grid, direction=(1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0))
    assert "stored turned" in said_of(mask, turned, TRUE) or not said_of(mask, turned, TRUE)


def test_nothing_is_said_of_an_empty_mask_and_of_what_no_spacing_explains() -> None:
    mask, grid = atrium()
    assert likely_spacing(np.zeros_like(mask), grid) is None
    speck = np.zeros_like(mask)
    speck[20, 20, 20] = True
    assert likely_spacing(speck, grid) is None


def test_the_spacing_is_the_only_doubt_where_it_explains_the_shape() -> None:
    mask, grid = atrium()
    (doubt,) = plausibility_warnings(mask, replace(grid, spacing=SQUASHED), ATRIA)
    assert "slice spacing" in doubt and "spreads" not in doubt
    (doubt,) = plausibility_warnings(mask, replace(grid, spacing=NONE), ATRIA)
    assert "does it carry none" in doubt and "unusual" not in doubt
    assert not plausibility_warnings(mask, grid, ATRIA)


def test_a_mask_that_the_border_cuts_off_says_nothing_of_the_spacing() -> None:
    mask, grid = atrium()
    half = mask[: mask.shape[0] // 2]
    cut = replace(grid, size=half.shape[::-1])  # type: ignore[arg-type]
    assert likely_spacing(half, cut) is not None
    assert not any("spacing" in doubt for doubt in plausibility_warnings(half, cut, ATRIA))
    lower = mask.copy()
    lower[mask.shape[0] // 2 :] = False
    window = (slice(0, mask.shape[0] // 2), slice(None), slice(None))
    assert "spacing" in plausibility_warnings(lower, grid, ATRIA)[0], "as if it were half as high"
    assert not any("spacing" in doubt for doubt in plausibility_warnings(lower, grid, ATRIA, window)), (
        "a region cut it off"
    )


@pytest.mark.parametrize(
    ("header", "least", "most"), [(TRUE, 0, 0), (SQUASHED, 13, 14), (NONE, 13, 14)], ids=["true", "squashed", "none"]
)
def test_of_14_scans_the_wrong_headers_are_noticed_and_the_true_ones_are_not(
    header: Triple, least: int, most: int
) -> None:
    noticed = 0
    for name in shared_names()[66:]:
        mask = read_mask(shared_scans() / f"{name}.label.nrrd")
        assert mask.geometry.spacing == TRUE
        found = likely_spacing(mask.array != 0, replace(mask.geometry, spacing=header))
        noticed += found is not None and found.spacing == TRUE
        assert header != TRUE or found is None
    assert least <= noticed <= most


# What is given by hand


@pytest.mark.parametrize("text", ["0.625,0.625,1.25", "0.625 0.625 1.25", "0.625, 0.625, 1.25"])
def test_a_spacing_is_three_numbers(text: str) -> None:
    assert parse_spacing(text) == TRUE


@pytest.mark.parametrize("text", ["", "1,1", "1,1,1,1", "a,b,c", "1,1,nan", "1,1,inf", "0,1,1", "-1,1,1", "1,1,21"])
def test_what_is_no_spacing_is_refused_with_what_is_wanted(text: str) -> None:
    with pytest.raises(MtctlError, match="three numbers"):
        parse_spacing(text)


def test_a_given_spacing_keeps_voxels_axes_and_the_first_voxel() -> None:
    volume = Volume(scan().array, Geometry((56, 48, 40), NONE, (1.0, 2.0, 3.0), SAGITTAL))
    given = with_spacing(volume, TRUE)
    assert given.array is volume.array and given.geometry == replace(volume.geometry, spacing=TRUE)


def test_a_file_in_metres_can_be_read_with_its_true_spacing_and_the_error_says_how(tmp_path: Path) -> None:
    path = tmp_path / "metres.nrrd"
    write_volume(with_spacing(scan(), (0.001, 0.001, 0.001)), path)
    with pytest.raises(MtctlError, match="--spacing"):
        read_volume(path)
    loaded = read_scan(path, NONE)
    volume, filed = loaded.volume, loaded.filed
    assert volume.geometry.spacing == NONE and filed.spacing == (0.001, 0.001, 0.001)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A scan whose file carries no spacing."""
    path = tmp_path / "in" / "a.image.nrrd"
    path.parent.mkdir()
    write_volume(with_spacing(scan(), NONE), path)
    return path


def report_of(out: Path, stem: str = "a") -> Any:
    return json.loads((out / f"{stem}.json").read_text(encoding="utf-8"))


def notes(report: Any) -> list[str]:
    return [warning for warning in report["warnings"] if "given by hand" in warning]


@pytest.mark.slow
def test_segment_uses_the_given_spacing_says_so_and_does_it_anew_where_it_changes(
    tiny_model: Model, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(tiny_model, source, "-o", out, "--spacing", "0.625,0.625,1.25") == 0
    report = report_of(out)
    assert tuple(report["geometry"]["spacing"]) == TRUE == read_mask(out / "a.seg.nrrd").geometry.spacing
    assert notes(report) == ["the spacing 0.625,0.625,1.25 was given by hand; the file says 1,1,1"]
    assert given_spacing_of(report) == TRUE
    capsys.readouterr()
    assert run(tiny_model, source, "-o", out, "--spacing", "0.625,0.625,1.25") == 0
    assert "unchanged, kept" in capsys.readouterr().out
    assert run(tiny_model, source, "-o", out) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert run(tiny_model, source, "-o", out, "--overwrite", "--spacing", "1,1,1") == 0
    assert not notes(report_of(out)), "it is what the file says"


@pytest.mark.parametrize("text", ["1,1", "0,1,1", "1,1,nan"])
def test_segment_refuses_a_spacing_that_is_none_as_wrong_usage(
    tiny_model: Model, source: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_model, source, "-o", tmp_path / "out", "--spacing", text) == 2
    assert "three numbers" in capsys.readouterr().err


@pytest.mark.slow
def test_a_manifest_gives_scans_their_own_spacing_which_they_take_along_to_another_process(
    tiny_model: Model, source: Path, tmp_path: Path
) -> None:
    write_volume(with_spacing(scan(seed=1), NONE), source.parent / "b.image.nrrd")
    write_volume(with_spacing(scan(seed=2), NONE), source.parent / "c.image.nrrd")
    manifest = source.parent / "list.csv"
    manifest.write_text('input,spacing\na.image.nrrd,"0.6,0.6,2"\nb.image.nrrd,0.7 0.7 3\nc.image.nrrd,\n', "utf-8")
    assert read_manifest(manifest) == {
        source: (0.6, 0.6, 2.0), source.parent / "b.image.nrrd": (0.7, 0.7, 3.0), source.parent / "c.image.nrrd": None
    }  # fmt: skip
    scans = find_scans([], read_manifest(manifest))
    assert pickle.loads(pickle.dumps(scans)) == scans and scans[0].spacing == (0.6, 0.6, 2.0)
    out = tmp_path / "out"
    assert run(tiny_model, "--manifest", manifest, "-o", out, "--spacing", "0.9,0.9,0.9") == 0
    spacings = {stem: tuple(report_of(out, stem)["geometry"]["spacing"]) for stem in "abc"}
    assert spacings == {"a": (0.6, 0.6, 2.0), "b": (0.7, 0.7, 3.0), "c": (0.9, 0.9, 0.9)}


def test_a_manifest_s_spacing_is_that_of_all_scans_in_a_folder_and_a_bad_one_is_named(source: Path) -> None:
    listed = {source.parent: TRUE, source.parent / "other.nrrd": None}
    assert find_scans([], listed) == [ScanInput(source, spacing=TRUE), ScanInput(source.parent / "other.nrrd")]
    manifest = source.parent / "list.csv"
    for text, named in (("a.image.nrrd,1 1", "three numbers"), ("a,1 1 1\na,1 1 2", "listed twice")):
        manifest.write_text(f"input,spacing\n{text}\n", encoding="utf-8")
        with pytest.raises(MtctlError, match=named):
            read_manifest(manifest)


def test_dicom_results_are_left_out_where_the_images_have_another_spacing_and_the_others_are_made(
    tiny_model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("highdicom")
    write_series(tmp_path / "in", *dicom_scan())
    assert run(tiny_model, tmp_path / "in", "-o", tmp_path / "out", "--dicom-seg", "--spacing", "1,1,9") == 1
    assert "no DICOM results: the images say 0.7,0.8,1.25 mm" in capsys.readouterr().err
    assert [path.suffix for path in (tmp_path / "out").glob("*.seg.*")] == [".nrrd"]


def test_the_slicer_cli_takes_a_spacing(tiny_model: Model, source: Path, tmp_path: Path) -> None:
    from mtctl.commands.slicer_cli import run_cli

    folder = ROOT / "MTCTLSegment" / "MTCTLSegmentCLI"
    spec = importlib.util.spec_from_file_location("segment_cli", folder / "MTCTLSegmentCLI.py")
    assert spec and spec.loader
    cli = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cli)

    def cli_status(*more: str) -> int:
        words: Sequence[object] = (
            "--model", tiny_model.folder, "--device", "cpu", "--report", tmp_path / "r.json", *more, source,
            tmp_path / "s.nrrd",
        )  # fmt: skip
        return run_cli(folder / "MTCTLSegmentCLI.xml", cli.segment, [str(word) for word in words])

    assert cli_status("--spacing", "0.625,0.625,1.25") == 0
    assert read_mask(tmp_path / "s.nrrd").geometry.spacing == TRUE
    assert notes(json.loads((tmp_path / "r.json").read_text(encoding="utf-8")))
    assert cli_status("--spacing", "") == 0
    assert read_mask(tmp_path / "s.nrrd").geometry.spacing == NONE
    assert cli_status("--spacing", "1,2") == 1


def test_cases_are_added_with_the_given_spacing_their_results_and_labels_of_the_old_header(
    tiny_model: Model, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros(scan().geometry.shape, np.uint8)
    mask[10:20, 10:20, 10:20] = 1
    labels = tmp_path / "labels"
    labels.mkdir()
    write_volume(Volume(mask, read_volume(source).geometry), labels / "a.label.nrrd")
    out = tmp_path / "out"
    assert run(tiny_model, source, "-o", out, "--maps", "all", "--spacing", "0.625,0.625,1.25") == 0
    add = ["cases", "add", str(source), "--store", str(tmp_path / "store"), "--results", str(out)]
    assert main(add) == 1
    assert "--spacing" in capsys.readouterr().err
    assert main([*add, "--labels", str(labels), "--spacing", "0.625,0.625,1.25"]) == 0
    (case,) = CaseStore(tmp_path / "store").cases()
    assert case.geometry.spacing == TRUE and case.version == 1 and case.model
    assert (case.corrected_mask() == (mask != 0)).all()


def test_the_figures_of_evaluate_go_by_the_given_spacing(tmp_path: Path) -> None:
    for folder, shift, spacing in (("truth", 0, NONE), ("results", 1, TRUE)):
        mask = np.zeros((24, 24, 24), np.uint8)
        mask[8 + shift : 16 + shift, 8:16, 8:16] = 1
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / ("a.label.nrrd" if folder == "truth" else "a.seg.nrrd")
        write_segmentation(Volume(mask, Geometry((24, 24, 24), spacing, (5.0, 5.0, 5.0))), tmp_path / "x.seg.nrrd")
        (tmp_path / "x.seg.nrrd").rename(path)
    words = ["evaluate", "--prediction", str(tmp_path / "results"), "--truth", str(tmp_path / "truth")]
    assert main(words) == 1, "the grids differ"
    far = {}
    for spacing in ("1,1,1", "1,1,3"):
        assert main([*words, "--spacing", spacing, "--csv", str(tmp_path / "figures.csv")]) == 0
        with open(tmp_path / "figures.csv", newline="", encoding="utf-8") as stream:
            far[spacing] = next(csv.DictReader(stream))
    mm = next(name for name in far["1,1,1"] if "hd95" in name and "mm" in name)
    assert float(far["1,1,1"][mm]) == pytest.approx(1) and float(far["1,1,3"][mm]) == pytest.approx(3)


def test_the_browser_reviewer_opens_such_results_and_shows_what_was_said(tmp_path: Path) -> None:
    write_case(tmp_path)
    scan_file, report = tmp_path / "ball.image.nrrd", report_of(tmp_path, "ball")
    before = read_volume(scan_file).geometry
    write_volume(with_spacing(read_volume(scan_file), NONE), scan_file)
    source = FolderSource(tmp_path, CaseStore(tmp_path / "store"))
    with pytest.raises(MtctlError, match="another grid"):
        source.open("ball.image.nrrd")
    report |= {"geometry": before.to_json(), "spacing_in_file": list(NONE)}
    (tmp_path / "ball.json").write_text(json.dumps(report), encoding="utf-8")
    assert source.open("ball.image.nrrd").scan.geometry.spacing == pytest.approx(before.spacing)
