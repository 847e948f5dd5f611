"""The worker's child process over QProcess: no thread, so nothing starves while the application idles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt

from mtctl.system.process_tree import kill_tree

# A killed process is collected at once; waiting longer would hold up the window for nothing.
_COLLECT_MS = 100


class ProcessTransport:
    """One child process; see `mtctl.processes.transport.Transport`. All callbacks come in the window's thread."""

    def __init__(self) -> None:
        self._process: Any = None  # A QProcess once it is started.
        self._on_output: Callable[[bytes], None] = _ignore
        self._on_error: Callable[[bytes], None] = _ignore
        self._on_finished: Callable[[str], None] = _ignore

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
        self._on_output, self._on_error, self._on_finished = on_output, on_error, on_finished
        self._process = process = qt.QProcess()
        variables = qt.QProcessEnvironment()
        for name, value in environment.items():
            variables.insert(name, value)
        process.setProcessEnvironment(variables)
        process.connect("readyReadStandardOutput()", self._read_output)
        process.connect("readyReadStandardError()", self._read_error)
        process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._failed)
        process.start(program, list(arguments))

    def kill_tree(self) -> None:
        """As `Transport.kill_tree`."""
        process = self._process
        if process is None or process.state() == qt.QProcess.NotRunning:
            return
        pid = int(process.processId())
        if pid:
            kill_tree(pid)
        process.waitForFinished(_COLLECT_MS)

    def _read_output(self) -> None:
        self._on_output(self._process.readAllStandardOutput().data())

    def _read_error(self) -> None:
        self._on_error(self._process.readAllStandardError().data())

    def _failed(self, error: int) -> None:
        # Every other error is followed by finished().
        if error == qt.QProcess.FailedToStart:
            self._end(f"it could not be started: {self._process.errorString()}")

    def _finished(self, code: int, status: int) -> None:
        self._read_output()
        self._read_error()
        self._end("it crashed or was ended from outside" if status == qt.QProcess.CrashExit else f"exit status {code}")

    def _end(self, ending: str) -> None:
        process, on_finished = self._process, self._on_finished
        # A connection keeps this object alive as long as it is there.
        for signal, slot in (
            ("readyReadStandardOutput()", self._read_output),
            ("readyReadStandardError()", self._read_error),
            ("finished(int,QProcess::ExitStatus)", self._finished),
            ("errorOccurred(QProcess::ProcessError)", self._failed),
        ):
            process.disconnect(signal, slot)
        self._on_output = self._on_error = self._on_finished = _ignore
        # Whoever is told may drop this object, and Python would delete the QProcess in the middle of its own signal.
        qt.QTimer.singleShot(0, lambda: process)
        on_finished(ending)


def _ignore(_: object) -> None:
    pass
