"""Case names and lists of them, as people's editors save them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtctl.commands.main import main
from mtctl.io.case_names import CaseListError, case_names, safe_stem


def a_list(folder: Path, content: bytes) -> str:
    (folder / "cases.txt").write_bytes(content)
    return str(folder / "cases.txt")


def test_names_come_from_files_and_arguments_each_once(tmp_path: Path) -> None:
    assert case_names([a_list(tmp_path, b"a\nb\n\nc\n"), "d", "a"]) == ("a", "b", "c", "d")


def test_a_line_is_one_name_however_many_words_it_has(tmp_path: Path) -> None:
    listed = a_list(tmp_path, b"Patient 1\r\n  Patient 2 \r\n \t\r\nPatient 3")
    assert case_names([listed, "Patient 4"]) == ("Patient 1", "Patient 2", "Patient 3", "Patient 4")


def test_the_byte_order_mark_of_a_windows_editor_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert case_names([a_list(tmp_path, "J\u00fcrgen\r\nb\r\n".encode("utf-8-sig"))]) == ("J\u00fcrgen", "b")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_a_list_in_another_encoding_is_named_with_what_to_do(tmp_path: Path, encoding: str) -> None:
    # Latin-1 is only told from UTF-8 by letters that ASCII lacks, UTF-16 in any case.
    name = "J\u00fcrgen" if encoding == "latin-1" else "a"
    with pytest.raises(CaseListError, match=r"cases\.txt: is no list of cases in UTF-8; save it as UTF-8 text"):
        case_names([a_list(tmp_path, f"{name}\r\nb\r\n".encode(encoding))])


@pytest.mark.parametrize("mistyped", ["missing.txt", "missing.LIST", "missing.csv", "lists/missing", "./missing"])
def test_a_mistyped_list_is_not_taken_for_a_case(
    mistyped: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CaseListError) as caught:
        case_names(["a", mistyped])
    assert str(caught.value).startswith(f"{mistyped}: there is no such list of cases")


def test_a_folder_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(CaseListError, match="is a folder; name a text file with one case name a line"):
        case_names([str(tmp_path)])


def test_a_case_may_have_the_name_of_a_folder_nearby_and_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    assert case_names(["a", "1.2.840.5", "P1.v2"]) == ("a", "1.2.840.5", "P1.v2")


def test_the_command_says_which_list_is_wrong_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["train", "--data", str(tmp_path), "--out", str(tmp_path / "model"), "--labelled"]
    assert main([*common, str(tmp_path / "missing.txt")]) == 1
    assert main([*common, a_list(tmp_path, "a\r\n".encode("utf-16"))]) == 1
    missing, undecodable = capsys.readouterr().err.splitlines()
    assert "missing.txt: there is no such list of cases" in missing and "missing.txt.image.nrrd" not in missing
    assert "cases.txt: is no list of cases in UTF-8" in undecodable and "unexpected" not in undecodable


@pytest.mark.parametrize("stem", ["a", "Jos\u00e9 1.2", "x" * 199, "console", "com", "prnt.1"])
def test_a_name_that_every_system_takes_stays_as_it_is(stem: str) -> None:
    assert safe_stem(stem) == stem


@pytest.mark.parametrize("stem", ["x" * 200, "\u5fc3" * 80, "a" * 198 + "\u00e9", "\udcff" * 230, "con." + "x" * 240])
def test_a_name_that_is_too_long_is_cut_so_that_every_result_has_room_and_none_has_another_s_name(stem: str) -> None:
    short, other = safe_stem(stem), safe_stem(stem[:-1] + "y")
    assert len(os.fsencode(short)) <= 204 and short != other and short == safe_stem(stem)


@pytest.mark.parametrize("stem", ["CON", "nul.scan", "com1", "LPT\u00b9", "aux ", "prn.2024.01"])
def test_the_name_of_a_device_of_windows_is_no_name_of_results(stem: str) -> None:
    assert safe_stem(stem) == f"scan-{stem}"
