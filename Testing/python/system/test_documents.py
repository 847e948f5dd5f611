"""JSON that is read back is as large, as deep and of the types that it may be; else file and field are named."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from support.documents import pipe

from mtctl.system.documents import MOST_BYTES, DocumentError, read_object, read_optional
from mtctl.system.fields import ANY_NUMBER, Checksum, FileName, Longest, Matching, Within, read_as, refuse_unknown
from mtctl.system.files import file_sha256
from mtctl.system.regular_files import check_regular, open_regular, open_to_append
from mtctl.system.tables import read_table


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Part:
    share: Annotated[float, Within(0, 1)]
    anything: Annotated[float, ANY_NUMBER] = 0.0


@dataclass(frozen=True)
class Whole:
    name: Annotated[str, Longest(10)]
    count: int
    part: Part
    pair: tuple[float, float]
    colour: Colour = Colour.RED
    parts: Annotated[tuple[Part, ...], Longest(3)] = ()
    files: Mapping[FileName, Checksum] | None = None
    word: Annotated[str, Matching("[a-z]+", "a word")] = "a"
    flag: bool = False
    side: Literal["left", "right"] | None = None


GOOD: dict[str, Any] = {"name": "a", "count": 3, "part": {"share": 0.5}, "pair": [1, 2.5]}


def test_a_document_comes_back_as_its_dataclass_and_what_a_later_version_added_is_ignored() -> None:
    values = {**GOOD, "colour": "blue", "parts": [{"share": 1, "anything": math.nan}], "later": 1}
    found = read_as(Whole, json.loads(json.dumps(values)), "a.json")
    assert found.part == Part(0.5) and found.pair == (1.0, 2.5) and found.colour is Colour.BLUE
    assert math.isnan(found.parts[0].anything) and isinstance(found.pair[0], float)
    assert read_as(Whole, {**GOOD, "count": 3.0}, "a.json").count == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 1}, "'name' is 1; a text is needed"),
        ({"name": "a" * 11}, "'name' is aaaaaaaaaaa; 10 of its kind at most is needed"),
        ({"count": "3"}, "'count' is 3; a whole number is needed"),
        ({"count": True}, "'count' is true; a whole number"),
        ({"count": 2.5}, "'count' is 2.5; a whole number"),
        ({"count": 10**5000}, "'count' is a number of too many digits; a whole number"),
        ({"part": []}, "'part' is a list of 0; an object is needed"),
        ({"part": {}}, r"'part\.share' is missing"),
        ({"part": {"share": math.nan}}, r"'part\.share' is NaN; a finite number"),
        ({"part": {"share": 1e308}}, r"'part\.share' is 1e\+308; a number from 0 to 1"),
        ({"part": {"share": 10**400}}, r"'part\.share' is a number of too many digits"),
        ({"pair": [1]}, "'pair' is a list of 1; a list of 2 is needed"),
        ({"pair": [1, None]}, r"'pair\[1\]' is null; a number"),
        ({"colour": "green"}, "'colour' is green; one of red, blue is needed"),
        ({"colour": ["red"]}, "'colour' is a list of 1"),
        ({"parts": [{"share": 0}] * 4}, "'parts' is a list of 4; 3 of its kind at most"),
        ({"files": {"../a": "0" * 64}}, r"is \.\./a; the name of a file, without a folder"),
        ({"files": {"..": "0" * 64}}, "the name of a file"),
        ({"files": {"c:a": "0" * 64}}, "the name of a file"),
        ({"files": {"a": "0" * 63}}, r"'files\.a' is 0{40}\.\.\.; a SHA-256 is needed"),
        ({"word": "two words"}, "'word' is two words; a word is needed"),
        ({"flag": 0}, "'flag' is 0; true or false is needed"),
        ({"side": "above"}, "'side' is above; one of left, right is needed"),
        ({"side": ["left"]}, "'side' is a list of 1; one of left, right is needed"),
        ({"name": "a\nb" * 9}, r"'name' is a\?ba\?b"),
    ],
)
def test_what_is_wrong_is_said_with_the_file_and_the_field(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentError, match=rf"^a\.json: .*{said}"):
        read_as(Whole, GOOD | changes, "a.json")


def test_a_field_that_would_change_the_meaning_is_of_a_later_version() -> None:
    refuse_unknown(Whole, GOOD, "a.json")
    with pytest.raises(DocumentError, match=r"^a\.json: was made by a later version .*'sharpness'.* update this one"):
        refuse_unknown(Whole, {**GOOD, "sharpness": 1}, "a.json")


def test_a_byte_order_mark_and_any_indentation_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": "ä"}, indent=4).encode())
    assert read_object(path) == {"a": "ä"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is cut off or damaged"),
        (b'{"a": ', "is cut off or damaged"),
        (b'{"a": "\xff"}', "is cut off or damaged"),
        (b"[1]", "holds no JSON object"),
        (b"null", "holds no JSON object"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' stands there twice"),
        (b"[" * 200_000, "is nested too deep"),
        (b'{"a":' * 100_000, "is nested too deep"),
        (b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", "is nested too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is cut off or damaged"),
        (b" " * (MOST_BYTES + 1), "has more than 16 MB"),
    ],
    ids=range(11),
)
def test_what_is_no_document_is_named_at_once(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=rf"a\.json: .*{said}"):
        read_object(path)
    assert read_optional(path) == {}


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        pipe(path)
    else:
        if not os.path.exists("/dev/zero"):
            pytest.skip("this system has no such device")
        path.symlink_to("/dev/zero")
    assert list(read_table(path)) == []
    for read in (read_object, file_sha256, open_regular, open_to_append, check_regular):
        with pytest.raises((DocumentError, OSError), match="a folder, a pipe or a device, not a file"):
            read(path)


def test_a_file_that_is_missing_is_told_from_one_that_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_object(tmp_path / "a.json")
    assert read_optional(tmp_path / "a.json") == {}
