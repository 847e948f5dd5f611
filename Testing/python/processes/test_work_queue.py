"""The work queue: several processes, of which any may be killed at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from support.children import environment, hearing, wait_for
from support.queue_work import square, square_or_die, stuck, variable

from mtctl.processes.work_queue import OVERDUE, Done, Lost, QueueError, run_queue
from mtctl.system.process_tree import is_running


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes of a queue import the helpers."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])


def test_all_items_are_done_by_as_many_processes_as_there_are_environments() -> None:
    results = [done for done in run_queue(range(20), square, [{}, {}]) if isinstance(done, Done)]
    assert {done.item: done.result[0] for done in results} == {item: item * item for item in range(20)}
    processes = {done.result[1] for done in results}
    assert 1 <= len(processes) <= 2 and os.getpid() not in processes
    assert not any(is_running(process) for process in processes)


def test_a_process_that_is_killed_costs_its_own_item_alone_and_that_one_is_tried_again(tmp_path: Path) -> None:
    results = list(run_queue(range(8), partial(square_or_die, tmp_path), [{}, {}]))
    done = {result.item: result.result for result in results if isinstance(result, Done)}
    assert done == {item: item * item for item in range(8) if item != 3}
    (lost,) = [result for result in results if isinstance(result, Lost)]
    assert lost.item == 3 and lost.ending in ("SIGKILL", "exit status 15")
    tries = {item: len(list(tmp_path.glob(f"{item}-*"))) for item in range(8)}
    assert tries == {0: 1, 1: 1, 2: 1, 3: 2, 4: 1, 5: 2, 6: 1, 7: 1}


def test_each_process_has_its_own_environment_and_ours_stays_as_it_was() -> None:
    before = dict(os.environ)
    results = list(run_queue(["MTCTL_TEST"], variable, [{"MTCTL_TEST": "gpu 1"}]))
    assert results == [Done("MTCTL_TEST", "gpu 1")]
    assert dict(os.environ) == before


def test_an_item_that_holds_its_process_for_ever_costs_itself_alone_and_what_it_did_last_is_known() -> None:
    said: list[tuple[str, float]] = []
    results = list(run_queue(
        ["a", "stuck", "b"], stuck, [{}], lambda stage, share: said.append((stage, share)), lambda lost: False
    ))  # fmt: skip
    assert results == [Done("a", "a"), Lost("stuck", OVERDUE, "stage of stuck"), Done("b", "b")]
    assert said == [("stage of a", 0.5), ("stage of stuck", 0.5), ("stage of b", 0.5)]


def test_nothing_to_do_starts_nothing() -> None:
    assert list(run_queue([], square, [{}])) == []


def test_processes_that_cannot_begin_are_an_error_and_no_endless_loop(tmp_path: Path) -> None:
    with pytest.raises(QueueError, match="end before they can begin"):
        list(run_queue([1], square, [{"PYTHONHOME": str(tmp_path / "nowhere")}]))


def test_workers_end_with_their_parent_whether_it_is_interrupted_or_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from mtctl.processes.work_queue import run_queue; from mtctl.system.interrupts import ended_by_signals\n"
        "from support.queue_work import sleep_long\n"
        "if __name__ == '__main__':\n"
        "    with ended_by_signals():\n"
        "        list(run_queue([1, 2], partial(sleep_long, Path(sys.argv[1])), [{}, {}]))"
    )
    script = tmp_path / "script.py"
    script.write_text(program, encoding="utf-8")
    marks = tmp_path / "marks"
    marks.mkdir()
    for number, blow in enumerate((signal.SIGINT, signal.SIGKILL) if os.name == "posix" else (signal.SIGTERM,)):
        process = subprocess.Popen(hearing([sys.executable, script, marks]), stderr=subprocess.PIPE, text=True)
        wait_for(lambda number=number: len(list(marks.iterdir())) == 2 * number + 2)
        process.send_signal(blow)
        _, errors = process.communicate(timeout=30)
        assert blow is not signal.SIGINT or errors == "mtctl: interrupted\n"
        wait_for(lambda: not any(is_running(int(mark.name)) for mark in marks.iterdir()))
