"""Manifests as spreadsheets and editors of any country save them."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from mtctl.io.manifests import ManifestError, read_manifest

TABLE = "patient,input,spacing\n1,Jos\u00e9.nrrd,1 1 2\n2,b.nrrd,\n"
READ = {"Jos\u00e9.nrrd": (1.0, 1.0, 2.0), "b.nrrd": None}


def read(path: Path) -> dict[str, object]:
    return {source.relative_to(path.parent).as_posix(): spacing for source, spacing in read_manifest(path).items()}


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        codecs.BOM_UTF16_BE + TABLE.encode("utf-16-be"),
        TABLE.encode("utf-16-le"),
        TABLE.encode("utf-16-be"),
        TABLE.encode("utf-32"),
        TABLE.encode("latin-1"),
        TABLE.replace(",", ";").encode(),
        TABLE.replace(",", "\t").encode("utf-16"),
        TABLE.replace(",", ";").replace("1 1 2", "1,0 1,0 2,0").encode("cp1252"),
        b"sep=;\n" + TABLE.replace(",", ";").encode(),
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace("\n", "\r").encode(),
        TABLE.replace("input", ' "INPUT" ').encode(),
        b"\n\n" + TABLE.encode(),
        TABLE.replace(",", "|").encode(),
    ],
    ids=[
        "UTF-8", "mark", "UTF-16", "big-endian", "UTF-16 without mark", "big-endian without mark", "UTF-32", "Latin-1",
        "semicolons", "tabs of Excel", "decimal commas", "sep=", "Windows", "old Mac", "quoted heading", "empty lines",
        "upright strokes",
    ],
)  # fmt: skip
def test_a_manifest_is_read_however_it_was_saved(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    assert read(tmp_path / "list.csv") == READ


def test_a_list_of_names_is_read_and_a_semicolon_may_be_part_of_one(tmp_path: Path) -> None:
    (tmp_path / "a;1.nrrd").touch()
    (tmp_path / "list.csv").write_text("a;1.nrrd\nb c.nrrd\n", encoding="utf-8")
    assert read(tmp_path / "list.csv") == {"a;1.nrrd": None, "b c.nrrd": None}


def test_a_name_may_hold_what_only_some_programs_take_for_the_end_of_a_line(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes('input\na\u2028b.nrrd\n"c\nd.nrrd"\n'.encode())
    assert read(tmp_path / "list.csv") == {"a\u2028b.nrrd": None, "c\nd.nrrd": None}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty; expected is a CSV table with a column 'input'"),
        (b"\n patient;scan\n1;a.nrrd\n", r"line 2: the manifest has no column 'input' \(it has patient, scan\)"),
        (b"input,spacing\na.nrrd,1 1\n", "line 2: a.nrrd: spacing '1 1': give three numbers"),
        (b"input;spacing\na.nrrd;1 1 1\n\na.nrrd;1 1 2\n", "line 4: a.nrrd is listed twice with different spacings"),
        (b"input,input\na,b\n", "line 1: has 2 columns 'input'; keep one"),
        (b"input\na\x81.nrrd\n", "line 2: is no text"),
        (b"\x1f\x8b\x08\0\0\0\0\0\x03", "is no text"),
        (b"input\na\0b.nrrd\n" + bytes(8), "is no text"),
        (b"input\na\0b\n", "line 2: is no text"),
        (
            b"# my scans\ninput,spacing\na.nrrd,1 1 2\n",
            "line 2: has the columns input, spacing below a first line of one",
        ),
        (b"my scans\ninput\na.nrrd\n", "line 2: has the columns input below"),
        (b"a.nrrd\nb,c.nrrd\n", "line 2: has the columns b, c.nrrd below .* put names with commas in quotes"),
        (b'input,note\na.nrrd,"x\nb.nrrd,y\n', "line 2: a quotation mark is never closed"),
    ],
)
def test_a_manifest_that_cannot_be_read_names_the_line_and_what_is_expected(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=said):
        read_manifest(tmp_path / "list.csv")


def test_a_manifest_that_is_not_there_or_far_too_large_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ManifestError, match=r"list\.csv: the manifest cannot be read: No such file"):
        read_manifest(tmp_path / "list.csv")
    monkeypatch.setattr("mtctl.io.manifests._MOST_BYTES", 5)
    (tmp_path / "list.csv").write_text("input\na.nrrd\n")
    with pytest.raises(ManifestError, match="too large for a manifest"):
        read_manifest(tmp_path / "list.csv")
