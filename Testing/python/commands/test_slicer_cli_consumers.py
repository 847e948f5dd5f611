"""The CLIs seen by three programs that are not ours: Slicer's runner, ctk-cli and girder's slicer_cli_web."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.children import wait_for
from support.paths import ROOT
from support.slicer_cli import SCRIPT, XML

from mtctl.io.volumes import read_mask, read_volume
from mtctl.models.model import Model
from mtctl.preprocessing.network_grid import GRID_MM
from mtctl.system.process_tree import is_running

pytestmark = [pytest.mark.slow, pytest.mark.host]

TITLE = "MT-CTL Segment (command line)"
CLIS = [XML, *(path for path in [ROOT / "MTCTLTrain" / "MTCTLTrainCLI" / "MTCTLTrainCLI.xml"] if path.exists())]


@pytest.fixture(scope="module")
def runner(running_application: Any) -> Iterator[Any]:
    if sys.platform != "linux":
        pytest.skip("the runner's own C++ names are GCC's")
    import slicer
    from support import slicer_cli_runner

    application = slicer.app.applicationLogic()
    application.CreateProcessingThread()
    for xml in CLIS:
        slicer_cli_runner.describe_to_slicer(xml, xml.with_suffix(".py"))
    yield slicer_cli_runner
    application.TerminateProcessingThread()


@pytest.fixture
def parameters(host: Any, runner: Any, tiny_model: Model, oblique: Path) -> dict[str, str]:
    import slicer

    volume = slicer.util.loadVolume(str(oblique))
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "atrium")
    return {
        "inputVolume": volume.GetID(),
        "outputSegmentation": segmentation.GetID(),
        "model": str(tiny_model.folder),
        "device": "cpu",
    }


def test_slicer_runs_it_with_progress_and_loads_all_results_into_the_scene(
    runner: Any, parameters: dict[str, str], oblique: Path
) -> None:
    import slicer
    import vtk

    maps = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("uncertainty", "distance")]
    parameters |= {"outputUncertainty": maps[0].GetID(), "outputDistance": maps[1].GetID()}
    run = runner.BackgroundRun(TITLE, parameters).wait()
    assert run.node.GetStatusString() == "Completed" and run.node.GetErrorText() == ""
    assert len(set(run.progress)) > 4 and max(run.progress) >= 90
    assert float(run.node.GetParameterAsString("volumeMl")) > 0
    assert run.node.GetParameterAsString("flagged") in ("true", "false")
    assert "never calibrated" in run.node.GetParameterAsString("remarks")

    volume = slicer.mrmlScene.GetNodeByID(parameters["inputVolume"])
    wanted, found = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(wanted)
    for node in maps:
        node.GetIJKToRASMatrix(found)
        assert np.allclose(slicer.util.arrayFromVTKMatrix(found), slicer.util.arrayFromVTKMatrix(wanted), atol=1e-5)
        assert node.GetImageData().GetDimensions() == volume.GetImageData().GetDimensions()
    segmentation = slicer.mrmlScene.GetNodeByID(parameters["outputSegmentation"])
    segment = segmentation.GetSegmentation().GetNthSegment(0)
    assert segment.GetName() == "Left atrium"
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(
        segmentation, segmentation.GetSegmentation().GetNthSegmentID(0), volume
    )
    assert mask.shape == read_volume(oblique).array.shape
    assert mask.sum() * read_volume(oblique).geometry.voxel_ml == pytest.approx(
        float(run.node.GetParameterAsString("volumeMl")), abs=0.002
    )


def test_a_label_map_is_as_good_and_a_markups_roi_keeps_its_place(
    runner: Any, parameters: dict[str, str], oblique: Path, tmp_path: Path
) -> None:
    import slicer

    label = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "atrium label")
    centre = read_volume(oblique).geometry.index_to_physical((22, 20, 14))
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    roi.SetCenter(-centre[0], -centre[1], centre[2])  # LPS to RAS
    roi.SetSize(24.0, 22.0, 26.0)
    report = tmp_path / "report.json"
    parameters |= {"outputSegmentation": label.GetID(), "region": roi.GetID(), "report": str(report)}
    run = runner.BackgroundRun(TITLE, parameters).wait()
    assert run.node.GetStatusString() == "Completed", run.node.GetErrorText()
    assert label.GetImageData().GetDimensions() == read_volume(oblique).geometry.size
    said = json.loads(report.read_text(encoding="utf-8"))["region_of_interest"]
    assert said["chosen_by"] == "user"
    box = said["box_mm_lps"]
    for axis, size, voxel in zip("xyz", (24.0, 22.0, 26.0), GRID_MM, strict=True):
        middle = (box[f"{axis}0"] + box[f"{axis}1"]) / 2
        assert middle == pytest.approx(centre["xyz".index(axis)], abs=0.55 * voxel)
        assert box[f"{axis}1"] - box[f"{axis}0"] == pytest.approx(size, abs=1.05 * voxel)


def test_cancelled_in_slicer_its_process_is_gone_and_no_result_is_loaded(
    runner: Any, parameters: dict[str, str]
) -> None:
    before = runner.child_processes()
    run = runner.BackgroundRun(TITLE, parameters | {"samples": "1000"})
    run.wait(until=lambda: run.node.GetProgress() >= 20)
    started = runner.child_processes() - before
    assert started
    run.node.Cancel()
    run.wait()
    assert run.node.GetStatusString() == "Cancelled"
    wait_for(lambda: not any(map(is_running, started)), 10)
    import slicer

    segmentation = slicer.mrmlScene.GetNodeByID(parameters["outputSegmentation"])
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 0


def test_failed_in_slicer_the_sentence_is_the_nodes_error(runner: Any, parameters: dict[str, str]) -> None:
    run = runner.BackgroundRun(TITLE, parameters | {"model": "no such model"}).wait()
    assert run.node.GetStatusString() == "Completed with errors"
    assert run.node.GetErrorText().splitlines()[-1].startswith("unknown model 'no such model'")


@pytest.mark.parametrize("xml", CLIS, ids=lambda xml: xml.stem)
def test_ctk_cli_reads_the_description_and_says_nothing_is_wrong_with_what_it_knows(
    xml: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = (
        "import logging, sys; logging.basicConfig(stream=sys.stdout); import ctk_cli\n"
        "arguments, options, outputs = ctk_cli.CLIModule(sys.argv[1]).classifyParameters()\n"
        "print([p.name for p in arguments], len(options), [p.name for p in outputs])"
    )
    # Its own process: slicer_cli_web changes ctk_cli when it is imported.
    done = subprocess.run([sys.executable, "-c", program, xml], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    *warnings, last = done.stdout.splitlines()
    # Not in ctk-cli's schema, but Slicer asks for it; and it takes returned values for arguments without a flag.
    known = ("coordinateSystem", "cannot be passed (missing one of flag")
    assert not [line for line in warnings if not any(words in line for words in known)]
    if xml == XML:
        assert last.startswith("['inputVolume', 'outputSegmentation'] ")
        assert last.endswith("['volumeMl', 'caseScore', 'flagged', 'likelyWrongMl', 'remarks']")


def test_ctk_clis_arguments_are_ours(tiny_model: Model, oblique: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from ctk_cli import CLIArgumentParser\n"
        "print(vars(CLIArgumentParser(sys.argv.pop(1)).parse_args()))"
    )
    words = ["--kind", "disagreement", "--threshold", "0.25", "--roi=-10,-20,30,1,2,3", "--wholescan", "true",
             "in.nrrd", "out.nrrd"]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program, XML, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    theirs = eval(done.stdout.splitlines()[-1])
    ours: dict[str, Any] = {}

    from mtctl.commands.slicer_cli import run_cli

    assert run_cli(XML, lambda values, progress: ours.update(values) or {}, words) == 0
    for name, value in ours.items():
        expected = theirs[name]
        assert (str(value) if isinstance(value, Path) else value) == (expected if expected != "" else None), name


@pytest.mark.parametrize("xml", CLIS, ids=lambda xml: xml.stem)
def test_girder_takes_every_parameter(xml: Path, caplog: pytest.LogCaptureFixture) -> None:
    from slicer_cli_web.cli_utils import as_model, generate_description, get_cli_parameters

    with caplog.at_level(logging.WARNING):
        module = as_model(xml.read_bytes())
        positional, optional, returned = get_cli_parameters(module)
    assert not caplog.records
    assert "For research only" in generate_description(module)
    if xml == XML:
        assert [parameter.name for parameter in positional] == ["inputVolume", "outputSegmentation"]
        assert {parameter.name for parameter in optional} >= {"region", "model", "device", "outputUncertainty"}
        assert {parameter.name for parameter in returned} >= {"volumeMl", "caseScore", "flagged"}


def test_girders_entry_point_runs_it_as_in_its_container(tiny_model: Model, oblique: Path, tmp_path: Path) -> None:
    (tmp_path / "slicer_cli_list.json").write_text(json.dumps({SCRIPT.stem: {"type": "python"}}))
    scan = shutil.copy(oblique, tmp_path / "scan.nrrd")
    # Girder joins numbers by ", ", gives booleans a value, and puts options first.
    done = subprocess.run(
        [sys.executable, "-m", "slicer_cli_web.cli_list_entrypoint", SCRIPT.stem, "--device", "cpu",
         "--model", str(tiny_model.folder), "--wholescan", "false", "--samples", "2",
         "--returnparameterfile", str(tmp_path / "back.txt"), str(scan), str(tmp_path / "out.nrrd")],
        cwd=_beside_the_list(tmp_path), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read_mask(tmp_path / "out.nrrd").array.any()
    assert "volumeMl = " in (tmp_path / "back.txt").read_text(encoding="utf-8")


def _beside_the_list(folder: Path) -> Path:
    """The folder of the CLI must lie beside the list that names it."""
    (folder / SCRIPT.stem).mkdir()
    for file in (SCRIPT, XML):
        shutil.copy(file, folder / SCRIPT.stem)
    return folder
