"""Loops over inputs of which one may end the process that reads it, or hold it for ever: it costs itself alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from mtctl.errors import failure_of, printable
from mtctl.processes.work_queue import OVERDUE, Lost, Say, ended_after, run_queue
from mtctl.system.interrupts import check
from mtctl.system.output import time_span_text

#: What work on an input says to be doing while it may end or hold its process.
READING = "read"


class ReadableInput(Protocol):
    """An input of a loop."""

    @property
    def path(self) -> Path:
        """What it is called."""

    @property
    def reading_seconds(self) -> float:
        """How long it may take to read it."""


Item = TypeVar("Item", bound=ReadableInput)
AnyItem = TypeVar("AnyItem")
Result = TypeVar("Result")

#: Says that all is read: what follows is not ended, however long it takes.
WasRead = Callable[[], object]


@dataclass(frozen=True)
class NotRead:
    """An input that could not be done.

    Attributes:
        failure: Its name and, in one line, why.
    """

    failure: str


def each_input(
    items: Sequence[Item], work: Callable[[Item, WasRead], Result]
) -> Generator[tuple[Item, Result | NotRead], None, None]:
    """Do all items, one at a time; several in a child process, which one of them may end.

    Args:
        items: What to do; can be pickled.
        work: Does one item; a function of a module, or a partial of one. What it raises is the item's failure. Where
            its process ends after the item was read, it is done once more.

    Raises:
        QueueError: No process can be started.
    """
    if len(items) < 2:
        for item in items:
            check()
            yield item, _attempt(work, item, lambda: None)
        return
    in_child = partial(_attempt_in_child, work)
    with closing(run_queue(items, in_child, [{}], worth_another_try=is_worth_another_try)) as results:
        for done in results:
            if isinstance(done, Lost):
                yield done.item, NotRead(f"{printable(done.item.path)}: {loss_of(done, done.item.reading_seconds)}")
            else:
                yield done.item, done.result


def is_worth_another_try(lost: Lost[AnyItem]) -> bool:
    """Return whether it may have been the others' fault: what ends its reader does so again, want of memory aside."""
    return lost.stage != READING or lost.ending == "SIGKILL"


def loss_of(lost: Lost[AnyItem], seconds: float) -> str:
    """Return why an input was lost whose process ended; `seconds`: how long it might have taken to read it."""
    if lost.stage == READING and lost.ending == OVERDUE:
        limit = time_span_text(seconds)
        return f"it could not be read within {limit}: it is damaged, or its disk does not answer; export it again"
    if lost.stage == READING:
        return (
            f"its process ended while it read it ({lost.ending}): the file is damaged, or there is too little memory; "
            "export it again"
        )
    return f"its process was ended from outside ({lost.ending}), perhaps for want of memory"


def _attempt_in_child(work: Callable[[Item, WasRead], Result], item: Item, say: Say) -> Result | NotRead:
    with ExitStack() as reading:

        def was_read() -> None:
            reading.close()
            say("", 1.0)

        say(READING, 0.0)
        reading.enter_context(ended_after(item.reading_seconds))
        return _attempt(work, item, was_read)


def _attempt(work: Callable[[Item, WasRead], Result], item: Item, was_read: WasRead) -> Result | NotRead:
    try:
        return work(item, was_read)
    except Exception as error:
        failure, name = failure_of(error, item.path), printable(item.path)
        return NotRead(failure if printable(item.path.name) in failure else f"{name}: {failure}")
