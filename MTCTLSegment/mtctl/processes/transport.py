"""How a child process is started, heard and ended: the interface, and the one over `subprocess`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Protocol

from mtctl.system.process_tree import kill_tree

if sys.platform == "win32":
    _NO_WINDOW = subprocess.CREATE_NO_WINDOW
else:
    _NO_WINDOW = 0


class Transport(Protocol):
    """One child process. Slicer's runs on QProcess, `SubprocessTransport` everywhere else."""

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        on_output: Callable[[bytes], None],
        on_error: Callable[[bytes], None],
        on_finished: Callable[[str], None],
    ) -> None:
        """Start the child and return at once; its standard input stays open, and empty, until this process ends.

        Args:
            program: Executable.
            arguments: Its arguments.
            environment: All of its environment.
            on_output: Called with what comes on its standard output, in any pieces and from any thread.
            on_error: The same for its standard error.
            on_finished: Called once, last, with how it ended in words; also where it could not be started.
        """

    def kill_tree(self) -> None:
        """End it with all its descendants; return when they are gone, within 0.5 s."""


class SubprocessTransport:
    """A child over `subprocess`; threads read what it says."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        on_output: Callable[[bytes], None],
        on_error: Callable[[bytes], None],
        on_finished: Callable[[str], None],
    ) -> None:
        """As `Transport.start`."""
        try:
            self._process = process = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                bufsize=0,
                # Control-C in a terminal is for the program that owns the child, which ends it itself.
                start_new_session=True,
                creationflags=_NO_WINDOW,
            )
        except OSError as error:
            on_finished(f"{program} could not be started: {error.strerror or error}")
            return
        assert process.stdout and process.stderr
        readers = [
            threading.Thread(target=_read, args=(stream, deliver), daemon=True)
            for stream, deliver in ((process.stdout, on_output), (process.stderr, on_error))
        ]
        for thread in [*readers, threading.Thread(target=_wait, args=(process, readers, on_finished), daemon=True)]:
            thread.start()

    def kill_tree(self) -> None:
        """As `Transport.kill_tree`."""
        if self._process and self._process.poll() is None:
            kill_tree(self._process.pid)


def _read(stream: IO[bytes], deliver: Callable[[bytes], None]) -> None:
    with suppress(OSError, ValueError):
        while piece := os.read(stream.fileno(), 1 << 16):
            deliver(piece)


def _wait(
    process: subprocess.Popen[bytes], readers: Sequence[threading.Thread], on_finished: Callable[[str], None]
) -> None:
    status = process.wait()
    for reader in readers:
        reader.join(1.0)  # Not for ever: a grandchild may hold the pipe open.
    if process.stdin:
        with suppress(OSError):
            process.stdin.close()  # If only the launcher ended, what it launched ends with its input.
    on_finished(_ending(status))


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"{name}{hint}"
