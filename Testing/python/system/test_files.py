"""Whole files or none."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from mtctl.system import files
from mtctl.system.files import TEMPORARY_PREFIX, WriteError, make_folder, replacing, write_reason
from mtctl.system.staging import commit


def leftovers(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.name.startswith(TEMPORARY_PREFIX)]


def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")
    with replacing(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["result.json"]


def test_the_temporary_file_keeps_the_ending_by_which_writers_choose_the_format(tmp_path: Path) -> None:
    with replacing(tmp_path / "case.seg.nrrd") as part:
        assert part.name.endswith("case.seg.nrrd")
        assert part.parent == tmp_path
        part.write_bytes(b"1")


def test_an_error_inside_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_a_full_disk_is_named_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    with pytest.raises(WriteError, match="the disk is full") as caught, replacing(target) as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(target) in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_does_not_exist_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    target = tmp_path / "missing" / "result.json"
    with pytest.raises(WriteError, match="cannot be written") as caught, replacing(target) as part:
        part.write_text("new")
    assert str(target) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_forbidden_folder_says_that_permission_is_missing(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="no permission"), replacing(tmp_path / "result.json"):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_a_writer_that_leaves_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError), replacing(tmp_path / "result.json"):
        pass
    assert os.listdir(tmp_path) == []


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    with replacing(target) as first, replacing(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(sys.platform != "win32", reason="elsewhere a file that is being read can be replaced")
def test_a_file_that_is_being_read_is_replaced_when_its_reader_is_done(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")
    reader = open(target)  # noqa: SIM115  A timer closes it; nobody can replace the file until then.
    threading.Timer(0.2, reader.close).start()
    with replacing(target) as part:
        part.write_text("new")
    assert target.read_text() == "new"


@pytest.mark.parametrize(("platform", "attempts"), [("win32", 3), ("linux", 1)])
def test_on_windows_alone_a_rename_that_is_refused_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, attempts: int
) -> None:
    (tmp_path / "hidden").mkdir()
    rename, tried = os.rename, []

    def held_by_a_scanner(source: Path, target: Path) -> None:
        tried.append(source)
        if len(tried) < 3:
            raise PermissionError(errno.EACCES, "used by another process")
        rename(source, target)

    monkeypatch.setattr(os, "rename", held_by_a_scanner)
    monkeypatch.setattr(sys, "platform", platform)
    with suppress(PermissionError):
        commit(tmp_path / "hidden", tmp_path / "record")
    assert len(tried) == attempts and (tmp_path / "record").exists() == (platform == "win32")


def test_a_file_that_stays_held_is_an_error_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(source: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "used by another process")

    monkeypatch.setattr(files, "_PATIENCE", 0.1)
    monkeypatch.setattr(os, "replace", held)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(WriteError, match="no permission"), replacing(tmp_path / "result.json") as part:
        part.write_text("new")
    assert os.listdir(tmp_path) == []


def test_a_share_that_refuses_to_change_permissions_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refused)
    with replacing(tmp_path / "result.json") as part:
        part.write_text("new")
    assert (tmp_path / "result.json").read_text() == "new"


def test_a_result_folder_is_made_with_its_parents_and_may_exist(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a") == ["b"]
    assert os.listdir(tmp_path / "a" / "b") == []


def test_a_file_cannot_be_the_result_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WriteError, match="is a file, not a folder"):
        make_folder(tmp_path / "out")


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="needs a user whom permissions bind")
def test_a_result_folder_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(WriteError, match="no permission"):
        make_folder(tmp_path / "out")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_every_kind_of_refusal_is_called_a_missing_permission(code: int) -> None:
    assert "no permission to write there" in write_reason(OSError(code, os.strerror(code)))


def test_a_file_that_another_program_has_open_is_called_so() -> None:
    error = PermissionError(errno.EACCES, "The process cannot access the file")
    vars(error)["winerror"] = 32  # As Windows gives it.
    assert "another program has it open" in write_reason(error)


@pytest.mark.skipif(sys.platform == "win32", reason="limits a process's file size by a POSIX call")
def test_a_disk_that_stops_taking_bytes_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "result.bin"
    target.write_text("old")
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from mtctl.system.files import WriteError, replacing\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with replacing(Path(sys.argv[1])) as part:\n"
        "        part.write_bytes(bytes(100000))\n"
        "except WriteError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(target)], capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.bin"]
