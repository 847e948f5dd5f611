"""What SECURITY.md and the README say of attacks and of installing with hashes is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

ATTACKS = re.compile(r"^\| (.+) \| `([\w/]+\.py)::(\w+)` \|$", re.MULTILINE)


def test_every_attack_that_is_listed_has_the_test_that_is_named() -> None:
    listed = ATTACKS.findall((ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(listed) > 40
    rows = (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("| attack | test |")[2].strip().splitlines()[1:]
    assert len(rows) == len(listed)  # None is written in another form.
    absent = []
    for _, file, name in listed:
        path = ROOT / "Testing" / file
        if not path.is_file() or not re.search(
            rf"^(async )?def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            absent.append(f"{file}::{name}")
    assert not absent


def test_no_attack_is_listed_twice_and_no_file_names_where_packages_come_from() -> None:
    listed = ATTACKS.findall((ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len({attack for attack, _, _ in listed}) == len(listed)
    for name in (
        "constraints.txt",
        "pyproject.toml",
        "Makefile",
        "SECURITY.md",
        "Testing/setup/hashed_requirements.py",
    ):
        assert not re.search(r"index-url|https?://\S*(simple|pypi)", (ROOT / name).read_text(encoding="utf-8")), name


def test_the_list_with_hashes_has_every_package_once_and_not_the_checkout(tmp_path: Path) -> None:
    """With a pip that gives a report instead of asking a package index."""
    archive = {"hashes": {"sha256": "ab" * 32}}
    packages = [
        {"metadata": {"name": "numpy", "version": "2.4.6"}, "download_info": {"url": "-", "archive_info": archive}},
        {"metadata": {"name": "slicer-mtctl", "version": "1"}, "download_info": {"url": "-", "dir_info": {}}},
    ]
    done = with_report(packages, tmp_path)
    assert done.returncode == 0, done.stderr
    head, *lines = (tmp_path / "list.txt").read_text(encoding="utf-8").splitlines()
    assert head.startswith("# For Python ") and lines == [f"numpy==2.4.6 --hash=sha256:{'ab' * 32}"]


def test_a_package_without_a_hash_is_named_and_no_list_is_written(tmp_path: Path) -> None:
    packages = [{"metadata": {"name": "torch", "version": "2"}, "download_info": {"url": "-", "archive_info": {}}}]
    done = with_report(packages, tmp_path)
    assert done.returncode == 1 and "torch 2: the package index gives no SHA-256" in done.stderr
    assert not (tmp_path / "list.txt").exists()


def with_report(packages: list[dict[str, object]], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the program with a pip in front of ours that writes this report."""
    (folder / "pip").mkdir()
    (folder / "pip" / "__init__.py").touch()
    (folder / "pip" / "__main__.py").write_text(
        "import sys, pathlib\n"
        "assert '--dry-run' in sys.argv and '--ignore-installed' in sys.argv\n"
        f"pathlib.Path(sys.argv[sys.argv.index('--report') + 1]).write_text({json.dumps({'install': packages})!r})\n",
        encoding="utf-8",
    )
    program = ROOT / "Testing" / "setup" / "hashed_requirements.py"
    return subprocess.run(
        [sys.executable, str(program), "--out", str(folder / "list.txt")],
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("word", ["requirements-hashed", "sbom"])
def test_the_readme_names_the_commands_that_there_are(word: str) -> None:
    assert f"make {word}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\n{word}: " in (ROOT / "Makefile").read_text(encoding="utf-8")
