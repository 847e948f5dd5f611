"""`mtctl surface`: files of a phantom, openings that a person changed, and what cannot be done."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from support.deadly_inputs import DeadlyMask
from support.mesh_checks import is_closed

from mtctl.commands import surface
from mtctl.geometry import Geometry, Volume
from mtctl.io.volumes import write_segmentation, write_volume
from mtctl.surfaces.mesh import TriangleMesh

pytestmark = pytest.mark.slow


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    surface.add_parser(parser.add_subparsers())
    args = parser.parse_args(["surface", *map(str, arguments)])
    return int(args.run(args))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A body with one vein, its scan, and its uncertainty."""
    z, y, x = np.indices((30, 30, 44)) * 1.5
    mask = (z - 22) ** 2 + (y - 22) ** 2 + (x - 22) ** 2 <= 18**2
    mask |= ((z - 22) ** 2 + (y - 22) ** 2 <= 25) & (x > 22) & (x < 60)
    grid = Geometry((44, 30, 30), (1.5, 1.5, 1.5), (10.0, 20.0, 30.0))
    folder = tmp_path / "results"
    folder.mkdir()
    write_segmentation(Volume(mask.astype(np.uint8), grid), folder / "case 1.seg.nrrd")
    write_volume(Volume(np.where(mask, 0.1, 0.3).astype(np.float32), grid), folder / "case 1.uncertainty.nrrd")
    write_volume(Volume(np.where(mask, 200, 50).astype(np.int16), grid), tmp_path / "scans.nrrd")
    return folder


def obj(path: Path) -> TriangleMesh:
    rows = [line.split() for line in path.read_text().splitlines()]
    points = np.array([row[1:] for row in rows if row[0] == "v"], dtype=np.float64)
    return TriangleMesh(points, np.array([row[1:] for row in rows if row[0] == "f"], dtype=np.int64) - 1)


def test_one_command_writes_the_closed_and_the_open_surface_with_their_maps(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out put"
    assert run(results, "-o", out, "--format", "vtp", "stl", "ply", "obj", "--scans", tmp_path / "scans.nrrd") == 0
    endings = [f"{kind}.{ending}" for kind in ("closed", "open") for ending in ("obj", "ply", "stl", "vtp")]
    assert sorted(path.name for path in out.iterdir()) == [f"case 1.{e}" for e in (*endings, "openings.json")]
    text = (out / "case 1.open.vtp").read_text()
    assert all(f'Name="{name}"' in text for name in ("uncertainty", "enhancement", "body"))
    assert is_closed(obj(out / "case 1.closed.obj"))
    assert not is_closed(obj(out / "case 1.open.obj"))


def test_openings_that_a_person_changed_are_taken_and_kept(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(results, "-o", out, "--format", "obj") == 0
    path = out / "case 1.openings.json"
    document = json.loads(path.read_text())
    for opening in document["openings"]:
        opening["kind"] = "appendage"
    path.write_text(json.dumps(document))
    before = path.read_bytes()
    assert run(results, "-o", out, "--format", "obj") == 0
    assert path.read_bytes() == before
    assert is_closed(obj(out / "case 1.open.obj"))
    assert run(results, "-o", tmp_path / "other", "--format", "obj", "--openings", path) == 0
    assert is_closed(obj(tmp_path / "other" / "case 1.open.obj"))


def test_ras_mirrors_nothing(results: Path, tmp_path: Path) -> None:
    assert run(results, "-o", tmp_path / "lps", "--format", "obj") == 0
    assert run(results, "-o", tmp_path / "ras", "--format", "obj", "--space", "ras") == 0
    lps, ras = (obj(tmp_path / space / "case 1.closed.obj") for space in ("lps", "ras"))
    assert ras.points == pytest.approx(lps.points * (-1, -1, 1))
    assert ras.volume_ml() == pytest.approx(lps.volume_ml()) and lps.volume_ml() > 0


def test_what_cannot_be_written_or_ends_its_reader_costs_its_own_case_alone(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtctl.measures.reading.MaskFile", DeadlyMask)
    empty = Volume(np.zeros((5, 6, 7), dtype=np.uint8), Geometry((7, 6, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    for name in ("crash", "nothing"):
        write_segmentation(empty, results / f"{name}.seg.nrrd")
    assert run(results, "-o", tmp_path / "out", "--format", "stl") == 1
    said = capsys.readouterr()
    assert "nothing.seg.nrrd: the mask is empty" in said.err
    assert "crash.seg.nrrd: its process ended while it read it" in said.err
    assert "1 of 3 written" in said.out
    assert (tmp_path / "out" / "case 1.closed.stl").is_file()
    assert not list((tmp_path / "out").glob("nothing*"))


def test_a_damaged_document_of_openings_is_said_and_kept(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "case 1.openings.json"
    path.write_text("{")
    assert run(results, "-o", tmp_path / "out") == 1
    assert "case 1.openings.json" in capsys.readouterr().err
    assert path.read_text() == "{"


def test_a_scan_of_another_grid_is_said(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Volume(np.arange(8000, dtype=np.int16).reshape(20, 20, 20), Geometry((20,) * 3, (1.0,) * 3, (0.0,) * 3))
    write_volume(other, tmp_path / "other.nrrd")
    assert run(results, "-o", tmp_path / "out", "--scans", tmp_path / "other.nrrd") == 1
    assert "different grids" in capsys.readouterr().err
