"""MTCTLSegmentCLI as a shell starts it: the protocol to the letter, also where something goes wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.dicom_series import dicom_scan, write_series
from support.paths import ROOT
from support.slicer_cli import SCRIPT, XML

from mtctl.commands.slicer_cli import read_description, run_cli
from mtctl.errors import MtctlError
from mtctl.io.volumes import read_map, read_mask, read_volume
from mtctl.models.model import Model
from mtctl.system.files import TEMPORARY_PREFIX
from mtctl.system.process_tree import kill_tree

pytestmark = pytest.mark.slow


def start(*arguments: object, script: Path = SCRIPT, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, script, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment,
    )  # fmt: skip


def run(*arguments: object, script: Path = SCRIPT, **environment: str) -> tuple[int, str, str]:
    with start(*arguments, script=script, **environment) as process:
        output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def returned(path: Path) -> dict[str, str]:
    return dict(line.split(" = ", 1) for line in path.read_text(encoding="utf-8").splitlines())


def test_the_files_begin_as_slicer_wants_them() -> None:
    assert SCRIPT.read_bytes().startswith(b"#!")
    assert XML.read_bytes().startswith(b'<?xml version="1.0" encoding="utf-8"?>\n<executable>')


def test_a_scan_gives_all_results_with_its_geometry_progress_and_a_silent_standard_error(
    tiny_model: Model, oblique: Path, tmp_path: Path
) -> None:
    names = {"uncertainty": "u.nii.gz", "distance": "d.mha", "report": "r.json", "returnparameterfile": "back.txt"}
    flags = [word for flag, name in names.items() for word in (f"--{flag}", tmp_path / name)]
    status, output, errors = run(
        "--model", tiny_model.folder, "--device", "cpu", "--threshold", "", "--samples", "3", *flags,
        oblique, tmp_path / "s.nrrd", PYTHONWARNINGS="always",
    )  # fmt: skip
    assert (status, errors) == (0, ""), output
    shares = [float(share) for share in re.findall(r"<filter-progress>([^<]*)</filter-progress>", output)]
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares) and len(shares) > 5
    assert output.startswith("<filter-start><filter-name>MT-CTL Segment (command line)</filter-name><filter-comment>")
    assert re.search(r"<filter-end>.*<filter-time>[\d.]+</filter-time></filter-end>\n$", output)
    grid = read_volume(oblique).geometry
    for volume in (read_mask(tmp_path / "s.nrrd"), read_map(tmp_path / "d.mha"), read_map(tmp_path / "u.nii.gz")):
        assert volume.geometry.size == grid.size
        for name in ("spacing", "origin", "direction"):
            assert np.allclose(getattr(volume.geometry, name), getattr(grid, name), atol=1e-5)
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["samples"] == 3 and report["input"] == "it's a scan.nrrd"
    values = returned(tmp_path / "back.txt")
    assert list(values) == ["volumeMl", "caseScore", "flagged", "likelyWrongMl", "remarks"]
    assert float(values["volumeMl"]) == report["volume_ml"] and values["flagged"] in ("true", "false")
    assert float(values["likelyWrongMl"]) == report["likely_wrong_ml"]
    assert values["remarks"] == "; ".join(report["warnings"]) != ""
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(TEMPORARY_PREFIX)]


def test_the_report_on_a_dicom_folder_does_not_name_the_patient(tiny_model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "Miller^Anna"
    write_series(folder, *dicom_scan(size=(32, 28, 24)))
    arguments = ["--model", tiny_model.folder, "--device", "cpu", "--report", tmp_path / "r.json", folder]
    assert run_cli(XML, work(), [*map(str, arguments), str(tmp_path / "s.nrrd")]) == 0
    report = (tmp_path / "r.json").read_text(encoding="utf-8")
    assert "Miller" not in report and json.loads(report)["input"].startswith("dicom-")


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["absent.nrrd", "s.nrrd"], 1, r"absent\.nrrd: no such file or folder; check the name"),
        (["--threshold", "7", "{scan}", "s.nrrd"], 1, "threshold 7 is not between 0 and 1"),
        (["--roi", "-900,0,0,1,1,1", "{scan}", "s.nrrd"], 1, "lies outside the scan"),
        (["--roi", "1,2,3", "{scan}", "s.nrrd"], 1, "expected centre and half sizes"),
        (["{scan}", "nowhere/s.nrrd"], 1, "cannot be written"),
        (["--samples", "many", "{scan}", "s.nrrd"], 2, "'many' is no integer"),
        (["--kind", "guess", "{scan}", "s.nrrd"], 2, "is none of entropy, mutual-information, disagreement"),
        (["{scan}"], 2, "required: outputSegmentation"),
    ],
)
def test_a_failure_is_one_sentence_a_status_and_no_output(
    tiny_model: Model, oblique: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, sentence: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    filled = ["--model", str(tiny_model.folder), *(str(oblique) if word == "{scan}" else word for word in arguments)]
    try:
        assert run_cli(XML, work(), filled) == status
    except SystemExit as end:
        assert end.code == status
    lines = capfd.readouterr().err.splitlines()
    assert re.search(sentence, lines[-1]) and (status == 2 or len(lines) == 1), lines
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{scan}", "gone/s.nrrd"], "there is no folder gone"),
        (["{scan}", "s.png"], "choose .nrrd, .nii.gz or .mha"),
        (["--uncertainty", "u.stl", "{scan}", "s.nrrd"], "u.stl: cannot be written in this format"),
        (["--report", "file/r.json", "{scan}", "s.nrrd"], "file: is a file, not a folder"),
    ],
)
def test_a_place_that_nothing_can_be_written_to_is_told_before_the_network_is_loaded(
    oblique: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], sentence: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr("mtctl.models.model.find_model", lambda name: pytest.fail("the network was looked for"))
    assert run_cli(XML, work(), [str(oblique) if word == "{scan}" else word for word in arguments]) == 1
    errors = capfd.readouterr().err
    assert sentence in errors and len(errors.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def work() -> object:
    import importlib.util

    spec = importlib.util.spec_from_file_location("MTCTLSegmentCLI", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.segment


def test_booleans_stand_alone_or_with_true_or_false_and_empty_values_count_as_left_out(tmp_path: Path) -> None:
    seen: list[dict[str, object]] = []

    def note(values: object, progress: object) -> dict[str, object]:
        seen.append(dict(values))  # type: ignore[call-overload]
        return {}

    for flag in (["--wholescan"], ["--wholescan", "true"], ["--wholescan", "false"], []):
        assert run_cli(XML, note, [*flag, "--seed", "", "--model", "", "true.nrrd", "s.nrrd"]) == 0  # type: ignore[arg-type]
    assert [values["wholeScan"] for values in seen] == [True, True, False, False]
    assert seen[0]["inputVolume"] == Path("true.nrrd") and seen[0]["model"] is None and seen[0]["seed"] == 0
    assert run_cli(XML, note, ["--roi", "-10, -20,30, 1,2,3", "a", "b"]) == 0  # type: ignore[arg-type]
    assert seen[-1]["region"] == [-10, -20, 30, 1, 2, 3]


def test_what_c_libraries_print_to_standard_error_goes_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    def noisy(values: object, progress: object) -> dict[str, object]:
        os.write(2, b"from C\n")
        raise MtctlError("what went wrong")

    assert run_cli(XML, noisy, ["a", "b"]) == 1  # type: ignore[arg-type]
    captured = capfd.readouterr()
    assert captured.err == "what went wrong\n"
    assert "from C" in captured.out


def test_a_turned_region_becomes_the_box_around_it() -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("MTCTLSegmentCLI", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.box_of([-10, -20, 30, 2, 3, 4]).low == (-12, -23, 26)
    quarter = [0, -1, 0, 1, 0, 0, 0, 0, 1]
    assert module.box_of([0, 0, 0, 2, 3, 4, *quarter]).high == (3, 2, 4)


def test_killed_in_the_middle_it_leaves_the_old_outputs(tiny_model: Model, oblique: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / "s.nrrd", tmp_path / "u.nrrd"]
    for path in outputs:
        path.write_text("old")
    with start(
        "--model", tiny_model.folder, "--samples", "1000", "--uncertainty", outputs[1], oblique, outputs[0]
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if "network" in line and "loading" not in line:
                break
        assert kill_tree(process.pid, 5)
    assert [path.read_text() for path in outputs] == ["old", "old"]
    assert set(tmp_path.iterdir()) == set(outputs)


def installed(folder: Path) -> Path:
    """The script as Slicer installs it, beside the folder of scripted modules."""
    import shutil

    modules, cli = folder / "lib" / "qt-scripted-modules", folder / "lib" / "cli-modules"
    shutil.copytree(ROOT / "MTCTLSegment" / "mtctl", modules / "mtctl", ignore=shutil.ignore_patterns("__pycache__"))
    cli.mkdir()
    for file in (SCRIPT, XML):
        shutil.copy(file, cli)
    return cli / SCRIPT.name


def test_installed_by_slicer_it_finds_its_package_and_runs_without_matplotlib_slicer_or_qt(
    tiny_model: Model, oblique: Path, tmp_path: Path
) -> None:
    script = installed(tmp_path)
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(
        "import sys\n"
        "for name in ('matplotlib', 'slicer', 'qt', 'ctk', 'vtk', 'PIL', 'pydicom', 'mtctl_train'):\n"
        "    sys.modules[name] = None\n"
    )
    status, output, errors = run(
        "--model", tiny_model.folder, oblique, tmp_path / "s.nrrd", script=script, PYTHONPATH=str(blocked)
    )
    assert (status, errors) == (0, ""), output
    assert read_mask(tmp_path / "s.nrrd").geometry.size == read_volume(oblique).geometry.size
    (blocked / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None\n")
    status, output, errors = run(oblique, tmp_path / "s.nrrd", script=script, PYTHONPATH=str(blocked))
    assert status == 1 and "'torch' is not installed; in Slicer, open MT-CTL Segment and press Apply once" in errors


def test_every_parameter_of_the_description_is_used_and_none_is_missing() -> None:
    source = SCRIPT.read_text(encoding="utf-8")
    described = {parameter.name for parameter in read_description(XML).parameters}
    assert described == {name for name in described if f'"{name}"' in source}
    assert described >= set(re.findall(r'values\["(\w+)"\]', source))


def test_version_and_description_can_be_asked_for() -> None:
    import mtctl

    status, output, _ = run("--xml")
    assert status == 0 and output == XML.read_text(encoding="utf-8")
    assert read_description(XML).version == mtctl.__version__
    assert run("--help")[0] == 0
