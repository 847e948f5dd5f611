"""MTCTL.json, the entry for Slicer's Extensions Index, against the rules of the index.

They are those of its schema (slicer-extension-catalog-entry-schema-v1.0.1.json, by which it checks every entry, and
which 1.0.2 only adds to) and of its scripts/check_description_files.py, as far as they need no network.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from support.paths import ROOT

ENTRY = ROOT / "MTCTL.json"
SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#"
)
REQUIRED = {"$schema", "category", "scm_url"}
TYPES = {
    **dict.fromkeys(("$schema", "category", "scm_url", "scm_revision", "scm_type", "build_subdirectory"), str),
    "build_dependencies": list,
    "enabled": bool,
    "tier": int,
}
#: Of the index's categories, those that could be ours.
CATEGORIES = {"Segmentation", "Cardiac", "Quantification"}


def broken_rules(entry: dict[str, Any]) -> list[str]:
    """The keys that break a rule of the schema."""
    wrong = [key for key in entry if key not in TYPES] + [key for key in REQUIRED if key not in entry]
    wrong += [key for key, value in entry.items() if key in TYPES and type(value) is not TYPES[key]]
    wrong += ["tier"] if entry.get("tier", 5) not in (1, 3, 5) else []
    wrong += ["scm_type"] if entry.get("scm_type", "git") not in ("git", "local") else []
    names = entry.get("build_dependencies", [])
    return wrong + (["build_dependencies"] if not all(isinstance(name, str) and name for name in names) else [])


@pytest.fixture(scope="module")
def entry() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ENTRY.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """What CMakeLists.txt sets, by name."""
    text = (ROOT / "CMakeLists.txt").read_text("utf-8")
    found = dict(re.findall(r'set\s*\(EXTENSION_(\w+)\s*"([^"]+)"\s*\)', text))
    return found | {"project": re.findall(r"project\s*\(\s*([^\s)]+)", text)[0]}


def test_the_entry_keeps_the_rules_of_the_schema(entry: dict[str, Any]) -> None:
    assert broken_rules(entry) == [] and entry["$schema"] == SCHEMA


@pytest.mark.parametrize(
    "change", [{"homepage": "x"}, {"tier": 2}, {"tier": True}, {"scm_type": "svn"}, {"build_dependencies": [1]}]
)
def test_an_entry_that_breaks_a_rule_is_told(entry: dict[str, Any], change: dict[str, Any]) -> None:
    assert broken_rules(entry | change) == list(change)


def test_the_entry_keeps_the_rules_of_the_index(entry: dict[str, Any], settings: dict[str, str]) -> None:
    address = urlsplit(entry["scm_url"])
    assert address.scheme in ("git", "https") and "slicer" in address.path.split("/")[-1].lower()
    assert entry["category"] in CATEGORIES
    assert settings["project"] == ENTRY.stem
    assert (ROOT / "LICENSE").is_file()
    text = ENTRY.read_text("utf-8")
    assert text.endswith("}\n") and "\t" not in text and all(not line.endswith(" ") for line in text.splitlines())


def test_the_entry_says_what_the_build_says(entry: dict[str, Any], settings: dict[str, str]) -> None:
    assert entry["category"] == settings["CATEGORY"] and entry["scm_url"] == settings["HOMEPAGE"]
    assert entry["build_dependencies"] == settings["DEPENDS"].split()


def test_icon_and_pictures_of_the_catalogue_are_in_the_repository(
    entry: dict[str, Any], settings: dict[str, str]
) -> None:
    beginning = f"https://raw.githubusercontent.com{urlsplit(entry['scm_url']).path}/{entry['scm_revision']}/"
    addresses = [settings["ICONURL"], *settings["SCREENSHOTURLS"].split()]
    assert len(addresses) > 1
    for address in addresses:
        assert address.startswith(beginning) and (ROOT / address.removeprefix(beginning)).is_file(), address


@pytest.mark.parametrize("module", ["MTCTLSegment", "MTCTLTrain"])
def test_command_line_modules_bear_the_name_and_category_of_their_module(module: str) -> None:
    source = (ROOT / module / f"{module}.py").read_text("utf-8")
    title, category = (re.findall(pattern, source)[0] for pattern in (
        r'parent\.title = _\("([^"]+)"\)', r'parent\.categories = \[translate\("\w+", "([^"]+)"\)\]'
    ))  # fmt: skip
    described = ElementTree.parse(ROOT / module / f"{module}CLI" / f"{module}CLI.xml").getroot()
    assert described.findtext("title") == f"{title} (command line)" and described.findtext("category") == category
