"""The Slicer extension, configured, built and installed by CMake against a small stand-in of Slicer's macros."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cmake
import ninja
import pytest
from support.paths import ROOT

pytestmark = pytest.mark.package

PACKAGES = {
    "mtctl": ROOT / "MTCTLSegment" / "mtctl",
    "MTCTLSegmentLib": ROOT / "MTCTLSegment" / "MTCTLSegmentLib",
    "mtctl_train": ROOT / "MTCTLTrain" / "mtctl_train",
    "MTCTLTrainLib": ROOT / "MTCTLTrain" / "MTCTLTrainLib",
}
SCRIPTED_MODULES = Path("lib/Slicer-5.10/qt-scripted-modules")


def run_cmake(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [Path(cmake.CMAKE_BIN_DIR) / "cmake", *arguments]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)


def configure(source: Path, build: Path) -> subprocess.CompletedProcess[str]:
    # Nothing is compiled. project(MTCTL) asks for C and C++ all the same, as Slicer's template does, so the Python
    # interpreter stands in for the compilers, and the checks that would run them are skipped.
    compilers = [
        f"-DCMAKE_{language}_{setting}"
        for language in ("C", "CXX")
        for setting in (f"COMPILER={sys.executable}", "COMPILER_ID=GNU", "COMPILER_ID_RUN=ON", "COMPILER_FORCED=ON")
    ]
    program = Path(ninja.BIN_DIR) / ("ninja.exe" if os.name == "nt" else "ninja")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={program}"]
    return run_cmake("-S", source, "-B", build, *generator, *compilers, f"-DSlicer_DIR={ROOT / 'Testing' / 'cmake'}")


def copied_tree(folder: Path) -> Path:
    """What CMake reads of the source tree, in `folder`, to be changed there."""
    for name in ("MTCTLSegment", "MTCTLTrain", "Resources"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("CMakeLists.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def package(source: Path, scratch: Path) -> Path:
    """Configure, build and install `source`; the folder of the install tree."""
    build, install = scratch / "build", scratch / "install"
    for step in (
        configure(source, build),
        run_cmake("--build", build),
        run_cmake("--install", build, "--prefix", install),
    ):
        assert step.returncode == 0, step.stdout + step.stderr
    return install


def python_files(folder: Path) -> set[str]:
    return {path.relative_to(folder.parent).as_posix() for path in folder.rglob("*.py")}


def not_installed(modules: Path, packages: dict[str, Path]) -> set[str]:
    """The files of the packages in the source tree that did not arrive in the folder of scripted modules."""
    wanted: set[str] = set().union(*(python_files(folder) for folder in packages.values()))
    return {name for name in wanted if not (modules / name).is_file()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package(ROOT, tmp_path_factory.mktemp("extension"))


@pytest.fixture(scope="module")
def modules(installed: Path) -> Path:
    return installed / SCRIPTED_MODULES


def test_every_python_file_of_both_packages_is_installed_and_nothing_else(modules: Path) -> None:
    missing = not_installed(modules, PACKAGES)
    assert not missing, f"add these to MODULE_PYTHON_SCRIPTS in the module's CMakeLists.txt: {sorted(missing)}"
    for name, folder in PACKAGES.items():
        assert python_files(modules / name) == python_files(folder)


def test_models_and_icon_arrive_unchanged_in_the_folder_where_the_engine_looks(modules: Path) -> None:
    source = ROOT / "Resources"
    wanted = [source / "Icons" / "MTCTL.png", *(path for path in (source / "Models").rglob("*") if path.is_file())]
    assert [path for path in wanted if path.name == "weights.safetensors"], "no model is shipped in Resources/Models"
    for path in wanted:
        arrived = modules / "Resources" / "MTCTL" / path.relative_to(source)
        assert arrived.read_bytes() == path.read_bytes(), arrived


def test_the_installed_engine_runs_from_the_install_tree_alone(modules: Path, tmp_path: Path) -> None:
    program = (
        "import sys, mtctl, mtctl_train; from mtctl.commands import models; from mtctl.commands.main import main; "
        "print(mtctl.__file__, mtctl_train.__file__, sep='\\n');"
        "sys.exit(main(['models', 'list'], {'models': lambda: models}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(modules), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    engine, training, _, *models = done.stdout.splitlines()
    assert Path(engine).is_relative_to(modules) and Path(training).is_relative_to(modules)
    assert models and all(str(modules / "Resources" / "MTCTL" / "Models") in line for line in models)


@pytest.mark.parametrize("name", ["MTCTLSegmentCLI", "MTCTLTrainCLI"])
def test_the_command_line_modules_are_installed_and_find_the_packages_beside_their_folder(
    installed: Path, modules: Path, name: str
) -> None:
    folder = installed / "lib" / "Slicer-5.10" / "cli-modules"
    source = ROOT / name.removesuffix("CLI") / name
    for ending in (".py", ".xml"):
        assert (folder / f"{name}{ending}").read_bytes() == (source / f"{name}{ending}").read_bytes()
    program = (
        "import runpy, sys; runpy.run_path(sys.argv[1])['find_packages']()\n"
        "import mtctl, mtctl_train; print(mtctl.__file__, mtctl_train.__file__, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, folder / f"{name}.py"],
        cwd=installed,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert all(Path(line).is_relative_to(modules) for line in done.stdout.splitlines())


def test_a_new_file_is_installed_without_being_listed(tmp_path: Path) -> None:
    source = copied_tree(tmp_path / "source")
    (source / "MTCTLSegment" / "mtctl" / "commands" / "new.py").touch()
    (source / "MTCTLTrain" / "mtctl_train" / "newer").mkdir()
    (source / "MTCTLTrain" / "mtctl_train" / "newer" / "__init__.py").touch()
    modules = package(source, tmp_path) / SCRIPTED_MODULES
    assert (modules / "mtctl" / "commands" / "new.py").is_file()
    assert (modules / "mtctl_train" / "newer" / "__init__.py").is_file()


def test_the_description_has_what_the_extensions_index_asks_for(installed: Path) -> None:
    lines = (installed / "share" / "Slicer-5.10" / "MTCTL.s4ext").read_text(encoding="utf-8").splitlines()
    description = dict(line.split(" ", 1) for line in lines)
    assert description["depends"] == "PyTorch"
    for key in ("iconurl", "screenshoturls"):
        for url in description[key].split():
            match = re.fullmatch(r"https://[^/]+/[^/]+/SlicerMTCTL/main/(.+\.png)", url)
            assert match and (ROOT / match[1]).is_file(), f"{url}: there is no such file in the repository"


def test_the_icon_has_the_size_that_the_extensions_index_asks_for() -> None:
    header = (ROOT / "Resources" / "Icons" / "MTCTL.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == (128, 128)
