"""One request to a child process with volumes: copied in small steps first, so that the window never waits."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import qt

from mtctl.errors import MtctlError
from mtctl.processes.arrays import write_steps
from mtctl.processes.launcher import child_environment
from mtctl.processes.request import Events, RequestProcess
from mtctl.system.temporary import make_own_folder
from MTCTLSegmentLib.jobs.qprocess_transport import ProcessTransport

# Between two pieces of a volume that are written for the child.
_STEP_MS = 5

# What is done piece by piece, and what comes after it.
_Steps = Generator[None, None, Callable[[], None]]


@dataclass(frozen=True)
class ChildProgram:
    """A program that answers such requests.

    Attributes:
        module: It is run as `python -m MODULE REQUEST`.
        name: For messages ("the process that saves cases").
        folder: Kind of the temporary folder (`mtctl.system.temporary`).
    """

    module: str
    name: str
    folder: str


class ArrayRequest:
    """A request; `done` or `failed` comes last, never before `start` returns, and neither after `cancel`."""

    def __init__(
        self,
        program: ChildProgram,
        arrays: Mapping[str, np.ndarray[Any, Any]],
        content: Mapping[str, Any],
        done: Callable[[dict[str, Any]], None],
        failed: Callable[[str], None],
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            program: What answers it.
            arrays: By the names that the child knows, (z, y, x). They must not change before the request is done.
            content: What else the request holds, plain values for JSON.
            done: Called with the child's last answer.
            failed: Called with the reason, in words.
        """
        self._program, self._arrays, self._content = program, arrays, content
        self._done, self._failed = done, failed
        self._folder: Path | None = None
        self._process: RequestProcess | None = None
        self._steps: _Steps | None = None
        self._over = False
        self._timer = qt.QTimer()
        self._timer.setInterval(_STEP_MS)

    def start(self) -> None:
        """Begin."""
        self._timer.connect("timeout()", self._step)
        self._go_through(self._copying())

    def cancel(self) -> None:
        """Stop; what the child had half-written is not there."""
        if self._over:
            return
        self._over, self._steps = True, None
        self._timer.stop()
        self._timer.disconnect("timeout()", self._step)
        process, self._process = self._process, None
        if process is not None:
            process.cancel()
        if self._folder is not None:
            rmtree(self._folder, ignore_errors=True)

    def _go_through(self, steps: _Steps) -> None:
        self._steps = steps
        self._timer.start()

    def _step(self) -> None:
        if self._steps is None:
            return
        try:
            next(self._steps)
            return
        except StopIteration as last:
            then = last.value
        except (MtctlError, OSError) as error:
            reason = f"the case could not be handed over: {getattr(error, 'strerror', None) or error}"
            then = partial(self._clean_up, partial(self._failed, reason))
        self._steps = None
        self._timer.stop()
        then()

    def _copying(self) -> _Steps:
        folder = self._folder = make_own_folder(self._program.folder)
        for name, array in self._arrays.items():
            yield from write_steps(array, folder / f"{name}.npy")
        message = {"arrays": {name: f"{name}.npy" for name in self._arrays}, **self._content}
        path = folder / "request.json"
        path.write_text(json.dumps(message), encoding="utf-8")
        return lambda: self._run(path)

    def _run(self, request: Path) -> None:
        self._process = RequestProcess(
            ProcessTransport(),
            self._program.name,
            (self._program.module, str(request)),
            child_environment(os.environ),
            self._answered,
            self._refused,
        )
        self._process.start()

    def _answered(self, events: Events) -> None:
        self._process = None
        self._clean_up(partial(self._done, events[-1]))

    def _refused(self, reason: str) -> None:
        self._process = None
        self._clean_up(partial(self._failed, reason))

    def _clean_up(self, tell: Callable[[], None]) -> None:
        self._go_through(self._removing(tell))

    def _removing(self, tell: Callable[[], None]) -> _Steps:
        """Remove what was copied file by file: a gigabyte at once would hold up the window for a tenth of a second."""
        with suppress(OSError):
            for path in list(self._folder.iterdir()) if self._folder is not None else []:
                path.unlink()
                yield
        return partial(self._end, tell)

    def _end(self, tell: Callable[[], None]) -> None:
        self.cancel()
        tell()
