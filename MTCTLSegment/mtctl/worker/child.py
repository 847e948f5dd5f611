"""The client's picture of one child process: what it says, told apart from what the libraries in it print."""

from __future__ import annotations

import os
import queue
import shutil
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mtctl
from mtctl.processes.launcher import ending_of, sealed
from mtctl.processes.transport import Transport
from mtctl.system.files import WriteError, write_reason
from mtctl.worker.protocol import EVENTS, EXCHANGE_PREFIX, Lines, decode

_LAST_WORDS = 20  # lines: a traceback with its message


class Child:
    """A child process and what it has said; callbacks of the transport may come from any thread.

    Attributes:
        ready: Whether it has said that it takes requests.
        words: The last lines that were no message.
        transport: The way to it.
        exchange: Folder for volumes; its own, so that a child that ends late takes away no other's.
    """

    def __init__(self, transport: Transport, program: str, arguments: Sequence[str]) -> None:
        """Start it.

        Args:
            transport: A fresh one.
            program: Python.
            arguments: What it runs; this process's id and the exchange folder are added.

        Raises:
            WriteError: There is no place for temporary files.
        """
        try:
            self.exchange = Path(tempfile.mkdtemp(prefix=EXCHANGE_PREFIX))
        except OSError as error:
            raise WriteError(f"no temporary folder for the scan could be made: {write_reason(error)}") from error
        self.ready = False
        self.words: deque[str] = deque(maxlen=_LAST_WORDS)
        self.transport = transport
        self._inbox: queue.SimpleQueue[tuple[str, bytes | str]] = queue.SimpleQueue()
        self._output, self._error = Lines(), Lines()
        self._events: deque[dict[str, Any]] = deque()
        transport.start(
            program,
            [*arguments, str(os.getpid()), sealed(str(self.exchange))],
            child_environment(os.environ),
            lambda piece: self._inbox.put(("output", piece)),
            lambda piece: self._inbox.put(("error", piece)),
            lambda ending: self._inbox.put(("finished", ending)),
        )

    def next_event(self) -> dict[str, Any] | None:
        """The next thing it said; {"event": "finished", "ending"} when it has ended."""
        while not self._events:
            try:
                kind, content = self._inbox.get_nowait()
            except queue.Empty:
                return None
            if isinstance(content, str):
                self._hear([self._error.rest()])
                self._events.append({"event": "finished", "ending": content})
            elif kind == "output":
                self._read(self._output.add(content))
            else:
                self._hear(self._error.add(content))
        return self._events.popleft()

    def _read(self, lines: Sequence[str]) -> None:
        for line in lines:
            message = decode(line)
            if message and message.get("event") in EVENTS:
                self._events.append(message)
            else:  # A launcher's or a library's chatter.
                self._hear([line])

    def _hear(self, lines: Sequence[str]) -> None:
        self.words.extend(line for line in lines if line.strip())

    def bury(self) -> None:
        """Remove what it may have left."""
        shutil.rmtree(self.exchange, ignore_errors=True)

    def obituary(self, ending: str) -> str:
        """For the person who waited: that it ended, how, and its last words."""
        what = "ended unexpectedly" if self.ready else "could not start"
        ending, said = ending_of(ending, self.words)
        words = "\n".join(said)
        return f"the segmentation process {what} ({ending})" + (f"; its last words:\n{words}" if words else "")


def child_environment(base: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child that finds this very package whatever folder it starts in."""
    packages = str(Path(mtctl.__file__).resolve().parents[1])
    return {
        # Threads that spin while they wait steal the cores from others, the window included: with all cores shared, the
        # network took 22 to 73 s instead of 5 to 8 s, and a 20 ms timer beside it was late by up to 81 ms, not 40 ms.
        "OMP_WAIT_POLICY": "passive",
        **base,
        "PYTHONPATH": os.pathsep.join(filter(None, [packages, base.get("PYTHONPATH")])),
        "PYTHONSAFEPATH": "1",  # Else a json.py in the folder where the user happens to be would be imported.
        "PYTHONIOENCODING": "utf-8",
    }
