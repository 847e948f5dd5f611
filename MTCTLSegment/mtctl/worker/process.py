"""The child process of `worker`: `python -m mtctl.worker.process PARENT EXCHANGE_FOLDER`; not for people.

It keeps a model loaded and answers requests (`worker.protocol`) until its input ends or its parent is gone, even if
that was killed; it then removes the exchange folder, in which a patient's voxels may lie.
"""

from __future__ import annotations

import faulthandler
import os
import shutil
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtctl.processes.launcher import decode_argument
from mtctl.processes.messages import encode
from mtctl.system.process_tree import lower_priority, wait_for_end_of
from mtctl.worker.protocol import EXCHANGE_PREFIX, next_request

if TYPE_CHECKING:
    from mtctl.worker.engine import Engine

#: Between two looks for a request, seconds; nobody notices it beside the seconds of a case.
_LOOK = 0.02

_REMOVALS = 20

# The ends of the input, of the output and of the parent come together: one thread removes, the others wait for it.
_leaving = threading.Lock()


def main(arguments: list[str]) -> None:
    """Serve until the input or the parent ends; never returns."""
    parent, exchange = int(arguments[0]), Path(decode_argument(arguments[1]))
    source, events = _take_channels()
    faulthandler.enable()  # A crash in a library says where it was.
    lower_priority()
    # Before the slow imports: who is orphaned meanwhile must end too.
    threading.Thread(target=_outlast, args=(source, exchange), daemon=True).start()
    threading.Thread(target=_watch, args=(parent, exchange), daemon=True).start()

    from mtctl.worker.engine import Engine

    def emit(event: str, **content: Any) -> None:
        try:
            os.write(events, encode({"event": event, **content}))
        except OSError:  # Nobody listens any more.
            _leave(exchange)

    # A launcher may have printed half a line before.
    os.write(events, b"\n")
    emit("ready")
    engine = Engine(emit)
    answered = 0
    while True:
        if found := next_request(exchange, answered):
            answered, request = found
            _answer(engine, request)
        else:
            time.sleep(_LOOK)


def _answer(engine: Engine, request: dict[str, Any]) -> None:
    number = request.get("id")
    try:
        engine.answer(request)
    except Exception as error:
        from mtctl.errors import MtctlError

        if isinstance(error, MtctlError):
            message = str(error)
        elif isinstance(error, MemoryError):
            message = "not enough memory; choose a smaller region"
        else:
            traceback.print_exc()
            message = f"unexpected {type(error).__name__}: {error}"
        engine.emit("failed", id=number, message=message)


def _take_channels() -> tuple[int, int]:
    """Copy standard input and output; under their old numbers, libraries read nothing and write to standard error."""
    source, events = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)
    os.close(empty)
    sys.stdout = sys.stderr
    return source, events


def _outlast(source: int, exchange: Path) -> None:
    """Leave when the input ends, with whoever holds its other end: the parent, or a launcher between the two."""
    # Not sys.stdin: a thread that waits in it makes Python's own exit fail.
    while os.read(source, 1 << 16):
        pass
    _leave(exchange)


def _watch(parent: int, exchange: Path) -> None:
    """Leave when the parent ends: a launcher between the two may keep the input open when it is killed."""
    wait_for_end_of(parent)
    _leave(exchange)


def _leave(exchange: Path) -> None:
    _leaving.acquire()  # And never released.
    if exchange.name.startswith(EXCHANGE_PREFIX):
        for _ in range(_REMOVALS):  # A result may be written meanwhile.
            shutil.rmtree(exchange, ignore_errors=True)
            if not exchange.exists():
                break
    os._exit(0)  # At once, in the middle of a computation or of taking torch down.


if __name__ == "__main__":
    main(sys.argv[1:])
