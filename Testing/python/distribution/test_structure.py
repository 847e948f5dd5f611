"""What the import rules in `pyproject.toml` cannot say of the code's structure."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from support.paths import ROOT

PACKAGES = [
    ROOT / "MTCTLSegment" / "mtctl",
    ROOT / "MTCTLSegment" / "MTCTLSegmentLib",
    ROOT / "MTCTLTrain" / "mtctl_train",
    ROOT / "MTCTLTrain" / "MTCTLTrainLib",
]
FILES = sorted(file for package in PACKAGES for file in package.rglob("*.py"))


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """All code: the packages, the modules' entry files, tests with their helpers, the stand-in and the benchmarks."""
    return {
        file.relative_to(ROOT): ast.parse(file.read_text(encoding="utf-8"))
        for folder in ("MTCTLSegment", "MTCTLTrain", "Testing")
        for file in sorted((ROOT / folder).rglob("*.py"))
    }


def test_a_class_name_means_one_thing(trees: dict[Path, ast.Module]) -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{file}:{node.lineno}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_name_that_begins_with_an_underscore_is_imported_from_another_file(trees: dict[Path, ast.Module]) -> None:
    private = [
        f"{file}: {alias.name}"
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
        if alias.name.startswith("_") and alias.name != "__version__"
    ]
    assert private == []


def test_no_package_holds_more_than_sixteen_files() -> None:
    folders = Counter(file.parent for file in FILES if file.name != "__init__.py")
    assert {str(folder.relative_to(ROOT)): count for folder, count in folders.items() if count > 16} == {}
    assert len(list(entries(PACKAGES[0]))) <= 26


def test_a_package_file_is_one_docstring() -> None:
    lists_of_names = {
        ROOT / path for path in ("MTCTLSegment/mtctl", "MTCTLSegment/mtctl/scene", "MTCTLTrain/mtctl_train/methods")
    }
    for file in FILES:
        if file.name != "__init__.py" or file.parent in lists_of_names:
            continue
        body = ast.parse(file.read_text(encoding="utf-8")).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), f"{file}: holds more than a docstring"


def entries(folder: Path) -> list[Path]:
    """What one sees when opening a folder."""
    return [entry for entry in folder.iterdir() if entry.name != "__pycache__"]
