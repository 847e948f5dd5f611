"""The documents name commands, options, programs and files that there are, and link to files that are there."""

from __future__ import annotations

import argparse
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest
from support.paths import ROOT

TUTORIALS = sorted((ROOT / "Docs").glob("*.md"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), ROOT / "Testing" / "benchmarks" / "RESULTS.md", *TUTORIALS]

#: Folders that begin no path of ours: what is installed or made there comes and goes.
FOLDERS = ("MTCTLSegment", "MTCTLTrain", "Testing", "Resources", "Docs", ".ci")

Parsers = Mapping[str, argparse.ArgumentParser]


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(exit_on_error=False)
    subparsers = made.add_subparsers(required=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for module in project["entry-points"]["mtctl.commands"].values():
        import_module(module).add_parser(subparsers)
    return made


@pytest.fixture(scope="module")
def files() -> frozenset[str]:
    """The ends of the paths of all files: "Testing/support/scans.py", "support/scans.py", "scans.py"."""
    found = [path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    found += [path.relative_to(ROOT) for path in ROOT.iterdir()]
    return frozenset("/".join(path.parts[first:]) for path in found for first in range(len(path.parts)))


def code(text: str) -> list[str]:
    """What is written as code, in a line of text or as lines of its own; without comments."""
    lines = [line.strip().partition("  #")[0] for line in text.splitlines() if line.startswith("    ")]
    return [*lines, *re.findall(r"`([^`\n]+)`", text)]


def calls(text: str, program: str) -> list[list[str]]:
    """The words after each call of a program, up to the next one."""
    found = [re.findall(rf"(?:^|[ (]){program} (?=\S)((?:[^;&|():]|:(?! ))*)", one) for one in code(text)]
    return [call.split() for one in found for call in one]


def actions(parser: argparse.ArgumentParser) -> Parsers:
    """The commands below a command."""
    below = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return below[0] if below else {}


def unknown(words: list[str], parser: argparse.ArgumentParser) -> Iterator[str]:
    """The words of a call of `mtctl` that name a command or an option which there is not."""
    known = set(parser._option_string_actions)
    while (below := actions(parser)) and words:
        if words[0] not in below:
            yield words[0]
            return
        parser, words = below[words[0]], words[1:]
        known |= set(parser._option_string_actions)
    yield from (word for word in words if word.startswith("--") and word.partition("=")[0] not in known)


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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_the_commands_and_options_that_a_document_names_are_there(
    document: Path, parser: argparse.ArgumentParser
) -> None:
    found = calls(document.read_text("utf-8"), "mtctl")
    lines = [words for words in found if words and re.fullmatch(r"(?!import$)[a-z].*", words[0])]
    assert {" ".join(words): strange for words in lines if (strange := list(unknown(words, parser)))} == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_the_programs_and_their_options_that_a_document_names_are_there(document: Path) -> None:
    for program, *words in calls(document.read_text("utf-8"), "python"):
        if program.endswith(".py"):
            text = (ROOT / program).read_text("utf-8")
            assert [word for word in words if word.startswith("--") and f'"{word}"' not in text] == [], program


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_the_files_that_a_document_names_are_there(document: Path, files: frozenset[str]) -> None:
    named = {one for one in code(document.read_text("utf-8")) if re.fullmatch(r"[\w./-]*\w\.(py|ui|xml|toml|md)", one)}
    assert {one for one in named if one.removeprefix("./") not in files} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_what_it_links_to_is_there(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text("utf-8"))
    assert document not in TUTORIALS or links
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_the_targets_of_make_that_a_document_names_are_there(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = {words[0] for words in calls(document.read_text("utf-8"), "make") if words}
    assert {word for word in named if not re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE)} == set()
