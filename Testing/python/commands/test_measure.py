"""`mtctl measure`: results, masks and reviews in; a document a case and a table out."""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.deadly_inputs import DeadlyMask
from support.segmented_case import write_results
from support.wall_phantom import WallPhantom, wall_phantom

from mtctl.commands import measure
from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.io.volumes import write_segmentation, write_volume
from mtctl.measures.document import NOTE, CaseMeasures, read_measures
from mtctl.review.answers import ShownQuestion
from mtctl.review.document import write_review
from mtctl.review.session import ReviewSession

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def phantom() -> WallPhantom:
    return wall_phantom(30.0, (1.5, 1.5, 2.5))


@pytest.fixture
def results(phantom: WallPhantom, tmp_path: Path) -> Path:
    write_results(phantom, tmp_path / "results")
    return tmp_path / "results"


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    measure.add_parser(parser.add_subparsers())
    try:
        args = parser.parse_args(["measure", *map(str, arguments)])
        return measure.run(args)
    except SystemExit as stopped:
        return int(stopped.code or 0)


def measured(folder: Path, case: str = "a") -> CaseMeasures:
    return read_measures(folder / f"{case}.measures.json")


def width(measures: CaseMeasures) -> float:
    assert measures.volume_ml.low is not None and measures.volume_ml.high is not None
    return measures.volume_ml.high - measures.volume_ml.low


def test_results_give_a_document_a_table_and_with_their_scan_a_map_of_the_wall(
    results: Path, tmp_path: Path, phantom: WallPhantom, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    scans = tmp_path / "scans"
    assert run(results, "-o", out, "--height", "175", "--weight", "80", "--scans", scans) == 0
    assert {path.name for path in out.iterdir()} == {"a.measures.json", "a.openings.json", "a.wall.vtp", "measures.csv"}
    measures = measured(out)
    assert measures.note == NOTE and "not for a diagnosis" in capsys.readouterr().out
    assert measures.volume_ml.value == pytest.approx(phantom.mask.sum() * phantom.scan.geometry.voxel_ml, abs=1e-3)
    assert measures.wall is not None and len(measures.wall.shares) == 5
    assert all(share.source for share in measures.wall.shares)
    with open(out / "measures.csv", newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["volume_ml"]) == measures.volume_ml.value
    assert float(row["volume_ml_low"]) == measures.volume_ml.low
    assert float(row["percent_iir_1.20"]) == measures.wall.shares[1].percent.value
    assert float(row["body_surface_m2"]) == measures.body_surface_m2


def test_the_map_of_the_wall_opens_in_vtk_with_its_values_and_in_lps(results: Path, tmp_path: Path) -> None:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    assert run(results, "-o", tmp_path / "out", "--scans", tmp_path / "scans") == 0
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(tmp_path / "out" / "a.wall.vtp"))
    reader.Update()
    surface = reader.GetOutput()
    values = vtk_to_numpy(surface.GetPointData().GetArray("enhancement"))
    points = vtk_to_numpy(surface.GetPoints().GetData())
    assert len(values) == len(points) and surface.GetNumberOfPolys() > 1000
    assert points[values > 1.2][:, 0].min() > 0  # the enhanced cap lies on the patient's left, LPS +x
    assert surface.GetFieldData().GetAbstractArray("SPACE").GetValue(0) == "LPS"


def test_answers_and_corrections_narrow_the_interval(results: Path, tmp_path: Path, phantom: WallPhantom) -> None:
    run(results, "-o", tmp_path / "before")
    maps = write_results(phantom, results)
    session = ReviewSession(maps)
    unsure = np.argwhere(maps.uncertainty > 0.5)[::40, ::-1]
    for place in maps.geometry.index_to_physical(unsure).tolist():
        session.keep(ShownQuestion("wall", tuple(place), tuple(place), "inside", 0.1, 0.5, np.zeros(0, np.int64)))
    mask = phantom.mask.copy()
    mask[2:4, 2:6, 2:6] = True
    session.record("paint", mask)
    write_review(results / "a.review.json", session)
    write_segmentation(Volume(mask.astype(np.uint8), maps.geometry), results / "a.review.seg.nrrd")
    assert run(results, "-o", tmp_path / "after") == 0
    before, after = measured(tmp_path / "before"), measured(tmp_path / "after")
    assert width(after) < 0.9 * width(before)
    assert before.settled_percent == 0 and after.settled_percent > 10
    added = float((mask & ~phantom.mask).sum()) * maps.geometry.voxel_ml
    assert after.volume_ml.value == pytest.approx(before.volume_ml.value + added, abs=1e-3)


def test_a_review_that_cannot_be_used_costs_no_measure_and_is_said(results: Path, tmp_path: Path) -> None:
    (results / "a.review.json").write_text("{", encoding="utf-8")
    assert run(results, "-o", tmp_path / "out") == 0
    assert "before the review" in measured(tmp_path / "out").warnings[0]


@pytest.mark.parametrize("name", ["mask.nii.gz", "b.label.nrrd", "b.seg.nrrd"])
def test_a_mask_alone_is_measured_without_intervals(tmp_path: Path, phantom: WallPhantom, name: str) -> None:
    volume = Volume(phantom.mask.astype(np.uint8), phantom.scan.geometry)
    (write_segmentation if name.endswith(".seg.nrrd") else write_volume)(volume, tmp_path / name)
    assert run(tmp_path / name, "-o", tmp_path / "out") == 0
    measures = measured(tmp_path / "out", name.partition(".")[0])
    assert measures.volume_ml.value > 0 and measures.volume_ml.low is None
    assert "no intervals" in measures.warnings[0]


def test_results_with_another_uncertainty_say_why_they_have_no_interval(tmp_path: Path, phantom: WallPhantom) -> None:
    write_results(phantom, tmp_path / "results", kind="mutual-information")
    assert run(tmp_path / "results", "-o", tmp_path / "out") == 0
    measures = measured(tmp_path / "out")
    assert measures.volume_ml.low is None
    assert "'mutual-information' without the probability" in measures.warnings[0]
    write_volume(Volume(phantom.probability, phantom.scan.geometry), tmp_path / "results" / "a.probability.nrrd")
    assert run(tmp_path / "results", "-o", tmp_path / "out") == 0
    assert measured(tmp_path / "out").volume_ml.low is not None


def test_one_case_that_cannot_be_measured_or_ends_its_reader_costs_the_others_nothing(
    results: Path,
    tmp_path: Path,
    phantom: WallPhantom,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mtctl.measures.reading.MaskFile", DeadlyMask)
    empty = Volume(np.zeros(phantom.mask.shape, np.uint8), phantom.scan.geometry)
    for name in ("b.seg.nrrd", "b.uncertainty.nrrd", "b.json"):
        shutil.copy(results / f"a{name[1:]}", results / name)
    write_segmentation(empty, results / "b.seg.nrrd")
    for name in ("c.seg.nrrd", "crash.seg.nrrd"):
        (results / name).write_bytes(b"no scan")
    (results / "a.seg.nrrd").rename(results / "z.seg.nrrd")
    assert run(results, "-o", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "b.seg.nrrd" in said.err and "the mask is empty" in said.err and "c.seg.nrrd" in said.err
    assert "crash.seg.nrrd: its process ended while it read it" in said.err
    assert "[4/4] z: " in said.out and "1 of 4 measured" in said.out
    assert measured(tmp_path / "out", "z").case == "z"


def test_a_scan_of_another_grid_or_none_costs_the_wall_alone_and_is_said(
    results: Path, tmp_path: Path, phantom: WallPhantom, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").mkdir()
    assert run(results, "-o", tmp_path / "out", "--scans", tmp_path / "none") == 1
    assert "holds no scan of a" in capsys.readouterr().out
    image = sitk.ReadImage(str(tmp_path / "scans" / "a.image.nrrd"))
    image.SetSpacing((1.0, 1.0, 1.0))
    sitk.WriteImage(image, str(tmp_path / "other.nrrd"))
    assert run(results, "-o", tmp_path / "out", "--scans", tmp_path / "other.nrrd") == 1
    assert "lie on different grids" in capsys.readouterr().out
    assert measured(tmp_path / "out").wall is None and measured(tmp_path / "out").volume_ml.low is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--height", "175"], "--height and --weight belong together"),
        (["--outward", "2"], "--outward is about the wall: it needs --scans"),
        (["--height", "175", "--weight", "80", "--patients", "x.csv"], "exclude each other"),
        (["--bsa", "haycock"], "invalid choice"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(results, "-o", tmp_path / "out", *arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--height", "1.75", "--weight", "80"], "is this in metres"),
        (["--scans", ".", "--outward", "-1"], "give 0 to 10 mm"),
        (["--patients", "missing.csv"], "cannot be read"),
    ],
)
def test_numbers_that_cannot_be_meant_end_the_command_before_anything_is_written(
    results: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    with pytest.raises(MtctlError, match=words):
        run(results, "-o", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_results_and_a_file_that_is_not_there_are_named(tmp_path: Path) -> None:
    for name, words in ((tmp_path, "segment first"), (tmp_path / "x.seg.nrrd", "there is no such file")):
        with pytest.raises(MtctlError, match=words):
            run(name, "-o", tmp_path / "out")


def test_many_people_s_sizes_come_from_a_table(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "patients.csv").write_text("case,height_cm,weight_kg\na,175,80\nz,160,60\n", encoding="utf-8")
    assert run(results, "-o", tmp_path / "out", "--patients", tmp_path / "patients.csv", "--bsa", "mosteller") == 0
    assert measured(tmp_path / "out").body_surface_m2 == pytest.approx(1.972, abs=0.001)
    assert "1 of --patients have no results here: z" in capsys.readouterr().out
