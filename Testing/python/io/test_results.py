"""Results that a killed process left half moved: only those of this case are moved or removed, whatever a note says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.documents import pipe

from mtctl.io.results import ResultFiles, finish_interrupted
from mtctl.system.files import WriteError


@pytest.fixture
def files(tmp_path: Path) -> ResultFiles:
    """Results of the case "a", beside those of another and a file outside that belongs to somebody else."""
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a.json", "a.seg.nrrd", "b.json"):
        (out / name).write_text("old")
    (tmp_path / "victim.txt").write_text("somebody's")
    return ResultFiles(out, "a")


@pytest.fixture
def left(files: ResultFiles, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a process leaves that was killed just before it moved the fresh results in."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mtctl.io.results._exchange", killed)
        with pytest.raises(KeyboardInterrupt), files.replacing(["a.json", "a.seg.nrrd"]) as fresh:
            for name in ("a.json", "a.seg.nrrd"):
                (fresh / name).write_text("new")
    (hidden,) = (path for path in files.out.iterdir() if path.is_dir())
    return hidden


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file() and not path.is_symlink()}


def test_the_exchange_is_finished_where_the_note_is_right(files: ResultFiles, left: Path) -> None:
    finish_interrupted(files.out, ["a"])
    assert contents(files.out) == {"a.json": "new", "a.seg.nrrd": "new", "b.json": "old"}
    assert not any(path.is_dir() for path in files.out.iterdir())


def test_a_result_that_cannot_be_written_is_named_as_it_would_be_called(files: ResultFiles) -> None:
    with pytest.raises(WriteError) as caught, files.replacing(["a.json"]) as fresh:
        raise WriteError(f"{fresh / 'a.png'}: cannot be written: the disk is full")
    assert str(caught.value) == f"{files.out / 'a.png'}: cannot be written: the disk is full"
    assert contents(files.out)["a.json"] == "old"


HOSTILE: dict[str, Callable[[Path], object]] = {
    "another folder's": lambda hidden: (hidden / "ready.json").write_text('["../victim.txt"]'),
    "an absolute path": lambda hidden: (hidden / "ready.json").write_text(
        json.dumps([str(hidden.parents[1] / "victim.txt")])
    ),
    "another case's": lambda hidden: (hidden / "ready.json").write_text('["b.json"]'),
    "no list": lambda hidden: (hidden / "ready.json").write_text('{"a.json": 1}'),
    "no texts": lambda hidden: (hidden / "ready.json").write_text("[5]"),
    "nested": lambda hidden: (hidden / "ready.json").write_text("[" * 200_000),
    "torn": lambda hidden: (hidden / "ready.json").write_text('["a.js'),
    "a pipe": lambda hidden: pipe(hidden / "ready.json"),
    "a link": lambda hidden: _linked(hidden / "ready.json", hidden.parents[1] / "note.json", '["a.json"]'),
    "a foreign fresh file": lambda hidden: (hidden / "new" / "b.json").write_text("new"),
    "a linked fresh file": lambda hidden: _linked(hidden / "new" / "a.png", hidden.parents[1] / "victim.txt"),
    "a linked folder": lambda hidden: _linked_folder(hidden / "new"),
    "a linked folder for the old": lambda hidden: _linked_folder(hidden / "old"),
}


def _linked(path: Path, target: Path, content: str | None = None) -> None:
    if content is not None:
        target.write_text(content)
    path.unlink(missing_ok=True)
    _link(path, target)


def _linked_folder(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere"
    os.rename(path, elsewhere)
    _link(path, elsewhere)


def _link(path: Path, target: Path) -> None:
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("this system makes no links")


@pytest.mark.parametrize("change", HOSTILE)
def test_a_note_of_anything_else_moves_and_removes_nothing(files: ResultFiles, left: Path, change: str) -> None:
    HOSTILE[change](left)
    before, outside = contents(files.out), contents(files.out.parent)
    finish_interrupted(files.out, ["a", "b"])
    assert contents(files.out) == before and contents(files.out.parent) == outside
    with files.replacing(files.present()) as fresh:  # And the next run is not hindered by it.
        (fresh / "a.json").write_text("newer")
    assert contents(files.out) == {"a.json": "newer", "b.json": "old"}
