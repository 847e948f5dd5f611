"""Who works on something: notes that others see, that the end of their owner frees, and that can be taken over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtctl.system import holds
from mtctl.system.files import WriteError
from mtctl.system.holds import EXPIRY, HOLDS_FOLDER, Holds


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """The note of somebody who holds "ball" in the folder `tmp_path`."""
    assert Holds("MK").take(tmp_path, "ball") is None
    (path,) = (tmp_path / HOLDS_FOLDER).glob("*.json")
    return path


def altered(note: Path, **values: object) -> None:
    note.write_text(json.dumps(json.loads(note.read_text(encoding="utf-8")) | values), encoding="utf-8")


def of_another_machine(note: Path) -> None:
    altered(note, machine="another", process=1)


def test_the_second_learns_who_holds_it_and_since_when(note: Path, tmp_path: Path):
    altered(note, seconds=725.0)
    second = Holds("second")
    holder = second.take(tmp_path, "ball")
    assert holder and holder.name == "MK"
    assert holder.seconds == pytest.approx(725, abs=30)
    assert holder.words().startswith("MK, since ") and holder.words().endswith("(12 min)")
    assert second.take(tmp_path, "another") is None
    assert list(second.holders(tmp_path, ["ball", "another", "third"])) == ["ball"]


def test_a_hold_that_is_given_back_is_free(tmp_path: Path):
    first, second = Holds("first"), Holds("second")
    first.take(tmp_path, "ball")
    first.release(tmp_path, "ball")
    assert second.take(tmp_path, "ball") is None
    first.release(tmp_path, "ball")  # not its own any more
    assert first.holder(tmp_path, "ball")


def test_a_process_that_ended_holds_nothing(tmp_path: Path):
    code = "import pathlib, sys; from mtctl.system.holds import Holds; Holds().take(pathlib.Path(sys.argv[1]), 'ball')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
    assert list((tmp_path / HOLDS_FOLDER).glob("*.json"))
    assert Holds("next").take(tmp_path, "ball") is None


def test_a_silent_hold_of_another_machine_ends_whatever_the_two_clocks_say(
    note: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    of_another_machine(note)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 7200)  # this computer's clock: two hours fast
    assert Holds("next").holder(tmp_path, "ball")
    os.utime(note, (now - EXPIRY - 5, now - EXPIRY - 5))  # by the file server's
    assert Holds("next").holder(tmp_path, "ball") is None
    os.utime(note, (now + 7200, now + 7200))
    assert Holds("next").holder(tmp_path, "ball"), "one from the future is alive"


def test_what_is_taken_over_is_missed_by_its_former_owner(tmp_path: Path):
    first, second = Holds("first"), Holds("second")
    first.take(tmp_path, "ball")
    second.take_over(tmp_path, "ball")
    lost = first.take(tmp_path, "ball")
    assert lost and lost.name == "second"
    assert second.take(tmp_path, "ball") is None


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"name": 5}', "[" * 5000, '{"name": "x", "seconds": NaN}', "x" * 100_000, "\udcff"],
)
def test_a_damaged_note_is_nobodys(note: Path, tmp_path: Path, content: str):
    note.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert Holds("next").holder(tmp_path, "ball") is None
    assert Holds("next").take(tmp_path, "ball") is None


@pytest.mark.parametrize(
    "values", [{"seconds": 1e400}, {"seconds": -5}, {"process": 1e400}, {"name": "a\nb"}, {"name": "x" * 65}]
)
def test_impossible_values_are_nobodys(note: Path, tmp_path: Path, values: dict):
    altered(note, **values)
    assert Holds("next").take(tmp_path, "ball") is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no FIFOs in folders")
def test_a_fifo_in_the_place_of_a_note_holds_nobody_up(note: Path, tmp_path: Path):
    note.unlink()
    os.mkfifo(note)
    assert Holds("next").holder(tmp_path, "ball") is None


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / HOLDS_FOLDER).write_text("in the way", encoding="utf-8")
    with pytest.raises(WriteError, match="cannot be written"):
        Holds("MK").take(tmp_path, "ball")


def test_neither_the_name_of_the_thing_nor_of_the_user_or_computer_is_in_a_note(note: Path):
    import getpass
    import socket

    words = note.name + note.read_text(encoding="utf-8")
    assert "ball" not in words and socket.gethostname() not in words
    assert getpass.getuser() not in json.loads(note.read_text(encoding="utf-8")).values()


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as on POSIX")
def test_whoever_may_write_in_the_folder_may_write_notes_there(tmp_path: Path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    Holds("MK").take(tmp_path / "shared", "ball")
    assert (tmp_path / "shared" / HOLDS_FOLDER).stat().st_mode & 0o777 == 0o777
    assert holds.BEAT * 3 < EXPIRY, "a sign of life may be late"
