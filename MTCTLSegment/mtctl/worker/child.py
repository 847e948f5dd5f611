"""One child process as the client sees it: what it says, and how it ended."""

from __future__ import annotations

import os
import queue
import shutil
from collections import deque
from collections.abc import Sequence
from typing import Any

from mtctl.processes.launcher import child_environment, encode_argument
from mtctl.processes.messages import ChildOutput
from mtctl.processes.transport import Transport
from mtctl.system.temporary import make_private_folder
from mtctl.worker.protocol import EXCHANGE_PREFIX

_KEPT_LINES = 20  # A traceback with its message.


class Child:
    """A child process and what it has said; callbacks of the transport may come from any thread.

    Attributes:
        ready: Whether it has said that it takes requests.
        case: Key of the case whose questions it keeps; "": none.
        transport: The way to it.
        output: What it printed.
        exchange: Folder for volumes, for this child alone: one that ends late must not remove another child's files.
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
        self.exchange = make_private_folder(EXCHANGE_PREFIX)
        self.ready = False
        self.case = ""
        self.transport = transport
        self._inbox: queue.SimpleQueue[tuple[str, bytes | str]] = queue.SimpleQueue()
        self.output = ChildOutput(_KEPT_LINES)
        self._events: deque[dict[str, Any]] = deque()
        transport.start(
            program,
            [*arguments, str(os.getpid()), encode_argument(str(self.exchange))],
            child_environment(os.environ),
            lambda piece: self._inbox.put(("output", piece)),
            lambda piece: self._inbox.put(("error", piece)),
            lambda ending: self._inbox.put(("finished", ending)),
        )

    def next_event(self) -> dict[str, Any] | None:
        """Return the next thing it said; {"event": "finished", "ending"} when it has ended."""
        while not self._events:
            try:
                kind, content = self._inbox.get_nowait()
            except queue.Empty:
                return None
            if isinstance(content, str):
                self._events.append({"event": "finished", "ending": content})
            elif kind == "output":
                self._events.extend(self.output.add_output(content))
            else:
                self.output.add_error(content)
        return self._events.popleft()

    def remove_files(self) -> None:
        """Remove what it may have left."""
        shutil.rmtree(self.exchange, ignore_errors=True)

    def exit_message(self, ending: str) -> str:
        """Return for the person who waited that it ended, how, and the last lines that it printed."""
        what = "ended unexpectedly" if self.ready else "could not start"
        ending, lines = self.output.ended(ending)
        said = "\n".join(lines)
        return f"the segmentation process {what} ({ending})" + (f"; its last words:\n{said}" if said else "")
