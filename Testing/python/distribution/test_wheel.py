"""The wheel: what is in it, and that it runs on its own from any folder; the set-up beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from support.paths import ROOT

import mtctl

pytestmark = pytest.mark.package


def run_python(*arguments: str | Path, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The build backend is installed with the tests, so this needs no network.
    folder = tmp_path_factory.mktemp("wheel")
    run_python(
        "-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, cwd=folder
    )  # fmt: skip
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel, and nothing of the source tree, is installed into."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run_python("-m", "pip", "install", "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def test_the_wheel_is_named_by_the_version_of_the_engine(wheel: Path) -> None:
    assert wheel.name == f"slicer_mtctl-{mtctl.__version__}-py3-none-any.whl"


def test_the_wheel_holds_both_packages_and_the_models_and_no_tests(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {
        path.relative_to(ROOT / folder).as_posix()
        for folder in ("MTCTLSegment", "MTCTLTrain")
        for package in ("mtctl", "mtctl_train")
        for path in (ROOT / folder / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    models = {
        f"mtctl/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "Resources" / "Models").rglob("*")
        if path.is_file()
    }
    assert models, "no model is shipped in Resources/Models"
    assert names == modules | models


def test_the_wheel_carries_license_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.split("/", 1)[1]: name for name in archive.namelist() if ".dist-info/" in name}
        assert b"Apache License" in archive.read(names["licenses/LICENSE"])
        assert "mtctl = mtctl.commands.main:main" in archive.read(names["entry_points.txt"]).decode()


def test_an_installed_wheel_finds_its_models_from_any_folder(elsewhere: Path, tmp_path: Path) -> None:
    printed = run_python("-m", "mtctl", "models", "list", cwd=tmp_path, PYTHONPATH=str(elsewhere))
    _, *models = printed.splitlines()
    assert models and all(str(elsewhere / "mtctl" / "Resources" / "Models") in line for line in models)


def test_every_dependency_of_the_package_and_its_tests_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {normal(line.split("==")[0]) for line in lines if "==" in line and not line.startswith("#")}
    wanted = {normal(need) for need in project["dependencies"] + project["optional-dependencies"]["test"]}
    assert wanted <= pinned
    assert "torch==2.13.0" in lines


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bring their own OpenGL")
def test_missing_system_libraries_are_named_in_one_line_where_they_may_not_be_installed(tmp_path: Path) -> None:
    # A Debian without the packages, and a user who is not root.
    for name, action in (("dpkg-query", "exit 1"), ("id", "echo 1000"), ("apt-get", "echo must not be called")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{action}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", ROOT / "Testing" / "setup" / "system_libraries.sh"],
        env=os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and not done.stderr
    (line,) = done.stdout.splitlines()
    told, packages = line.split("sudo apt-get install ")
    assert told.startswith("System libraries")
    assert {"libegl1", "libgl1", "libgl1-mesa-dri", "libxkbcommon0", "fonts-dejavu-core"} <= set(packages.split())


def normal(requirement: str) -> str:
    """The name in a requirement, as package indexes compare names."""
    return requirement.split(">")[0].split("=")[0].split("[")[0].strip().lower().replace("_", "-")
