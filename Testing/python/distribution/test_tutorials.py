"""The tutorials name commands and options that there are, and link to files that are there."""

from __future__ import annotations

import argparse
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from support.paths import ROOT

TUTORIALS = sorted((ROOT / "Docs").glob("*.md"))
COMMANDS = ("cases", "evaluate", "measure", "models", "phantom", "report", "review", "segment", "surface")


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(exit_on_error=False)
    subparsers = made.add_subparsers(required=True)
    for name in COMMANDS:
        import_module(f"mtctl.commands.{name}").add_parser(subparsers)
    import_module("mtctl_train.commands.finetune").add_parser(subparsers)
    return made


def commands(text: str) -> list[str]:
    """The lines that call mtctl, without what a comment or the shell adds."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return [line.partition("  #")[0] for line in lines if line.startswith("mtctl ")]


def test_there_is_one_for_the_clinician_the_researcher_and_the_engineer() -> None:
    assert [path.stem for path in TUTORIALS] == ["clinician", "engineer", "researcher"]
    readme = (ROOT / "README.md").read_text("utf-8")
    assert all(f"(Docs/{path.name})" in readme for path in TUTORIALS)


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_its_commands_are_understood(tutorial: Path, parser: argparse.ArgumentParser) -> None:
    found = commands(tutorial.read_text("utf-8"))
    assert found
    for line in found:
        parser.parse_args(shlex.split(line.replace("$SLURM_CPUS_PER_TASK", "2"))[1:])


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_what_it_links_to_is_there(tutorial: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", tutorial.read_text("utf-8"))
    assert links and all((tutorial.parent / link).exists() for link in links if "://" not in link)
