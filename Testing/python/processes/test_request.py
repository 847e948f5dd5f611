"""One request to a child process: its answer, its failure and its end without an answer."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.children import wait_for

from mtctl.errors import MtctlError
from mtctl.processes.launcher import child_environment
from mtctl.processes.request import RequestProcess, answer, answer_with
from mtctl.processes.transport import SubprocessTransport

CHILD = """
import os, sys, time
from mtctl.processes.launcher import decode_argument
from mtctl.processes.request import answer

def find(emit, names):
    print("a library's warning")
    for name in names:
        emit("found", name=name)

def crash(emit):
    emit("found", name="first")
    print("the last line", file=sys.stderr, end="", flush=True)
    os._exit(3)

def hang(emit):
    emit("found", name="first")
    time.sleep(600)

if __name__ == "__main__":
    sys.exit(answer({"find": find, "crash": crash, "hang": hang}, decode_argument(sys.argv[1])))
"""


class Asked:
    """A request to the child above, and what came of it."""

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        (folder / "some_child.py").write_text(CHILD, encoding="utf-8")
        self.done: list[list[dict[str, Any]]] = []
        self.failed: list[str] = []
        environment = child_environment(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join([str(folder), environment["PYTHONPATH"]])
        self.process = RequestProcess(
            SubprocessTransport(),
            "the process that finds",
            ("some_child", json.dumps(content)),
            environment,
            self.done.append,
            self.failed.append,
        )
        self.process.start()

    def wait(self) -> Asked:
        wait_for(lambda: bool(self.done or self.failed), 120)
        return self


def test_everything_that_was_found_comes_back_without_what_libraries_print(tmp_path: Path) -> None:
    asked = Asked(tmp_path, {"do": "find", "names": ["Kürette", "心"]}).wait()
    assert asked.failed == []
    assert asked.done == [
        [{"event": "found", "name": "Kürette"}, {"event": "found", "name": "心"}, {"event": "done"}],
    ]


def test_a_failure_is_told_in_a_sentence(tmp_path: Path) -> None:
    asked = Asked(tmp_path, {"do": "find"}).wait()
    assert asked.done == [] and len(asked.failed) == 1 and "names" in asked.failed[0]


def test_an_end_without_an_answer_is_told_with_the_last_lines(tmp_path: Path) -> None:
    asked = Asked(tmp_path, {"do": "crash"}).wait()
    assert asked.done == []
    assert asked.failed == ["the process that finds ended unexpectedly (exit status 3):\nthe last line"]


def test_nothing_follows_when_it_was_cancelled(tmp_path: Path) -> None:
    asked = Asked(tmp_path, {"do": "hang"})
    asked.process.cancel()
    asked.process.cancel()
    time.sleep(0.5)
    assert asked.done == asked.failed == []


def test_a_child_says_how_its_work_ended(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> dict[str, Any]:
        raise MtctlError("the disk is full")

    assert answer_with(lambda: {"case": "a"}) == 0
    assert answer_with(fail) == 1
    assert answer({}, "{") == answer({}, '{"do": "unknown"}') == 1
    first, second, *others = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"event": "done", "case": "a"}
    assert second == {"event": "failed", "reason": "the disk is full"}
    assert [event["event"] for event in others] == ["failed", "failed"]


def test_a_child_finds_the_packages_in_whatever_folder_it_starts() -> None:
    import mtctl

    environment = child_environment({"PYTHONPATH": "there"}, sys.modules["mtctl.processes"])
    first, second, last = environment["PYTHONPATH"].split(os.pathsep)
    assert (Path(first) / "processes").is_dir() and (Path(second) / "mtctl").is_dir() and last == "there"
    assert Path(second) == Path(str(mtctl.__file__)).resolve().parents[1]
