"""MTCTLTrainCLI: fine-tuning over the protocol of Slicer's CLIs."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
from support.finetuning_runs import be_quick, fill_store
from support.paths import ROOT

from mtctl.commands.slicer_cli import read_description, run_cli
from mtctl.models.model import Model, read_model
from mtctl.models.verdict import read_verdict

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "MTCTLTrain" / "MTCTLTrainCLI" / "MTCTLTrainCLI.py"
XML = SCRIPT.with_suffix(".xml")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of seconds."""
    be_quick(monkeypatch)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, tiny_model: Model) -> Path:
    """A store with corrected cases."""
    return fill_store(tmp_path_factory.mktemp("filled") / "store", tiny_model)


@pytest.fixture(scope="module")
def cli() -> ModuleType:
    spec = importlib.util.spec_from_file_location("MTCTLTrainCLI", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_begin_as_slicer_wants_them_and_every_parameter_is_used() -> None:
    assert SCRIPT.read_bytes().startswith(b"#!")
    assert XML.read_bytes().startswith(b'<?xml version="1.0" encoding="utf-8"?>\n<executable>')
    source = SCRIPT.read_text(encoding="utf-8")
    described = {parameter.name for parameter in read_description(XML).parameters}
    assert described == {name for name in described if f'"{name}"' in source}
    assert described >= set(re.findall(r'values\["(\w+)"\]', source))


def test_corrected_cases_become_a_candidate_with_progress_and_the_verdict_is_handed_back(
    cli: ModuleType, filled: Path, tiny_model: Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--base", tiny_model.folder, "--iterations", 8, "--device", "cpu", "--minutes", "",
             "--returnparameterfile", tmp_path / "back.txt", filled, tmp_path / "run"]  # fmt: skip
    assert run_cli(XML, cli.finetune, list(map(str, words))) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    shares = [float(share) for share in re.findall(r"<filter-progress>([^<]*)<", printed.out)]
    assert shares[-1] == 1 and shares == sorted(shares) and len(set(shares)) > 3
    assert '"event"' not in printed.out and "part 1 of" in printed.out
    lines = (tmp_path / "back.txt").read_text(encoding="utf-8").splitlines()
    values = dict(line.split(" = ", 1) for line in lines)
    verdict = read_verdict(tmp_path / "run" / "candidate")
    assert int(values["comparedCases"]) == len(verdict.cases) > 0
    assert (float(values["diceBefore"]), float(values["diceAfter"])) == verdict.dice
    assert values["publishable"] == ("false" if verdict.against else "true")
    assert values["verdict"] == "; ".join(verdict.against)
    read_model(tmp_path / "run" / "candidate").load_network()


def test_a_folder_that_is_no_store_is_one_sentence_and_no_candidate(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "nothing", tmp_path / "run"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "unexpected" not in done.stderr, done.stderr
    assert "holds no cases; name the folder of a case store" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", ["", "/opt/Slicer-5.10/", "C:/Users/K\u00f6nig/AppData/Slicer 5.10/"])
def test_folders_that_nobody_chose_are_in_the_home_folder_and_not_in_the_application_s(
    before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    folders = [one for one in read_description(XML).parameters if one.kind == "directory"]
    taken: dict[str, object] = {}

    def keep(values: Mapping[str, object], progress: object) -> dict[str, object]:
        taken.update(values)
        return {}

    assert run_cli(XML, keep, [f"{before}{one.default}" for one in folders]) == 0
    assert {taken[one.name] for one in folders} == {tmp_path / "MTCTL" / "cases", tmp_path / "MTCTL" / "run"}
    assert run_cli(XML, keep, ["store", str(tmp_path / "a run")]) == 0
    assert (taken["caseStore"], taken["outputFolder"]) == (Path("store"), tmp_path / "a run")


def test_without_matplotlib_which_slicer_lacks_it_trains_and_writes_no_pictures(
    cli: ModuleType, filled: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", "matplotlib.image"):
        monkeypatch.setitem(sys.modules, name, None)
    words = ["--base", tiny_model.folder, "--iterations", 8, "--device", "cpu", filled, tmp_path / "run"]
    assert run_cli(XML, cli.finetune, list(map(str, words))) == 0
    assert read_verdict(tmp_path / "run" / "candidate").cases
    assert not (tmp_path / "run" / "pictures").exists()


def test_a_pipe_that_cannot_hold_a_case_s_path_ends_nothing(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from mtctl.commands.slicer_cli import run_cli
sys.exit(run_cli(Path({str(XML)!r}), lambda values, tell: print("\\u0141\\u00f3d\\u017a") or {{}}, ["store", "run"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONIOENCODING": "cp1252"}, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert b"?\xf3d?" in done.stdout


def test_lines_that_are_no_events_are_passed_on(cli: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[float, str]] = []
    events = cli._Events(sys.stdout, lambda share, words: told.append((share, words)))
    events.write('a library speaks\n{"event": "progress", "share": 0.25, "fold')
    events.write('": 2, "folds": 3}\n{"event": "skipped", "case": "c", "reason": "its scan is gone"}\n[1]\n')
    assert told == [(0.25, "training, part 2 of 3")]
    assert capsys.readouterr().out == "a library speaks\nwarning: case c is not used: its scan is gone\n[1]\n"
