"""A queue of work for several processes of this machine. One that the system ends takes nothing with it but its item.

`concurrent.futures` cannot do this: there, one process that is killed for want of memory ends the pool with all its
work.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

from mtctl.errors import MtctlError
from mtctl.system.interrupts import check, children_deaf, stay_deaf
from mtctl.system.output import printable_output

# "spawn": a fork would copy torch's thread pools in whatever state they are.
_SPAWN = get_context("spawn")
_STARTS = 3  # processes in a row that end before they take work: then none ever will
_LOOK = 0.5  # seconds between two looks for an interrupt
_READY, _GONE = "ready", "gone"

Item = TypeVar("Item")
Result = TypeVar("Result")

#: With it, the work on an item says what stage it is in, and the fraction of the stage that is done.
Say = Callable[[str, float], None]

#: How a process ends that `ended_after` ends.
OVERDUE = "exit status 1"


class QueueError(MtctlError):
    """No process can be started."""


@dataclass(frozen=True)
class Done(Generic[Item, Result]):
    """An item and what came of it."""

    item: Item
    result: Result


@dataclass(frozen=True)
class Lost(Generic[Item]):
    """An item whose process ended under it, and ended again if it was tried once more alone.

    Attributes:
        item: The item.
        ending: How the process ended: the name of a signal, or "exit status N".
        stage: What the work was doing, as it said last; "" if it said nothing.
    """

    item: Item
    ending: str
    stage: str


@dataclass(frozen=True)
class _Stage:
    name: str
    share: float


@dataclass
class _Worker(Generic[Item]):
    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    item: Item | None = None
    stage: str = ""


def run_queue(
    items: Sequence[Item],
    work: Callable[[Item, Say], Result],
    environments: Sequence[Mapping[str, str]],
    say: Say = lambda stage, share: None,
    worth_another_try: Callable[[Lost[Item]], bool] = lambda lost: True,
) -> Generator[Done[Item, Result] | Lost[Item], None, None]:
    """Do all items, in as many processes as there are `environments`; results come as they are ready.

    Processes end when the iterator is closed or this process ends, however it ends.

    Args:
        items: What to do; can be pickled.
        work: Does one item; a function of a module, or a partial of one. It must not raise.
        environments: Variables for each process.
        say: Is called here with what the work on any item says.
        worth_another_try: Whether an item whose process ended is tried once more, alone: the first time another
            process may have taken the memory.

    Raises:
        QueueError: Processes end before they take any work.
    """
    again: list[Item] = []
    for result in _run(items, work, environments, say):
        if isinstance(result, Lost) and worth_another_try(result):
            again.append(result.item)
        else:
            yield result
    # One at a time, with all the memory that there is.
    yield from _run(again, work, environments[:1], say)


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """End this process, with the status `OVERDUE`, if the block takes longer.

    It ends it even where a library neither returns nor lets go of the interpreter, so that no signal is heard.
    """
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _run(
    items: Sequence[Item], work: Callable[[Item, Say], Result], environments: Sequence[Mapping[str, str]], say: Say
) -> Generator[Done[Item, Result] | Lost[Item], None, None]:
    waiting = deque(items)
    workers: dict[int, _Worker[Item]] = {}
    failed_starts = 0
    try:
        while waiting or any(worker.item is not None for worker in workers.values()):
            for place, environment in enumerate(environments):
                if place not in workers and waiting and len(workers) < len(items):
                    workers[place] = _start(work, environment)
                worker = workers.get(place)
                if worker and worker.ready and worker.item is None and waiting:
                    worker.item, worker.stage = waiting.popleft(), ""
                    with suppress(OSError):  # It has ended; the next look says so.
                        worker.pipe.send((worker.item,))
            # Not for ever: on Windows the wait hears Ctrl-C, but not Ctrl-Break.
            connection.wait([worker.pipe for worker in workers.values()], _LOOK)
            check()
            for place, worker in list(workers.items()):
                said = _said(worker)
                if said == _READY:
                    worker.ready, failed_starts = True, 0
                elif isinstance(said, _Stage):
                    worker.stage = said.name
                    say(said.name, said.share)
                elif isinstance(said, tuple):
                    done, worker.item = worker.item, None
                    assert done is not None
                    yield Done(done, said[0])
                elif said == _GONE:
                    del workers[place]
                    ending = _bury(worker)
                    if worker.item is not None:
                        yield Lost(worker.item, ending, worker.stage)
                    elif not worker.ready:
                        failed_starts += 1
                        if failed_starts == _STARTS:
                            raise QueueError(f"the worker processes end before they can begin ({ending})")
    finally:
        _end(workers.values())


def _start(work: Callable[[Item, Say], Any], environment: Mapping[str, str]) -> _Worker[Item]:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(theirs, work), daemon=True)
    if sys.platform != "win32":
        resource_tracker.ensure_running()  # Else it starts with the first process, and lets signals through again.
    with _variables(environment), children_deaf():
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _said(worker: _Worker[Item]) -> Any:
    """Return what the worker has said: `_READY`, a `_Stage`, (result,), `_GONE`, or None where it is silent."""
    try:
        return worker.pipe.recv() if worker.pipe.poll() else None
    except (EOFError, OSError):
        return _GONE


def _bury(worker: _Worker[Item]) -> str:
    """Return how a process ended that has closed its pipe."""
    worker.pipe.close()
    worker.process.join(5)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    status = worker.process.exitcode
    if status is None or status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"


def _end(workers: Collection[_Worker[Item]]) -> None:
    for worker in workers:
        if worker.item is not None or not worker.ready:
            worker.process.kill()
        worker.pipe.close()
    for worker in workers:
        _bury(worker)


@contextmanager
def _variables(environment: Mapping[str, str]) -> Iterator[None]:
    """With these variables set: a child gets them before its first import, which is when libraries look at them."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _serve(pipe: Connection, work: Callable[[Any, Say], Any]) -> None:
    """A worker process."""

    def say(stage: str, share: float) -> None:
        pipe.send(_Stage(stage, share))

    stay_deaf()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with printable_output(), suppress(EOFError, OSError):  # The parent is gone.
        pipe.send(_READY)
        while True:
            (item,) = pipe.recv()
            pipe.send((work(item, say),))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)  # At once, in the middle of a scan: whoever starts again must not meet this one at work.
