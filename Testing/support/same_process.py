"""Requests to child processes that are answered in this one, for tests that are not about the process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest

from mtctl.processes.launcher import decode_argument

#: Who in the modules starts a child for each request.
ASKING = ("MTCTLSegmentLib.jobs.array_request", "MTCTLTrainLib.jobs.request")

#: Those whose argument is the file of the request.
BY_FILE = (
    "mtctl.cases.store_process",
    "mtctl.measures.process",
    "mtctl.figures.report_process",
)


class SameProcessTransport:
    """Runs what the child would run at the next turn of the event loop; in place of `ProcessTransport`."""

    def __init__(self) -> None:
        self._cancelled = False

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        on_output: Callable[[bytes], None],
        on_error: Callable[[bytes], None],
        on_finished: Callable[[str], None],
    ) -> None:
        """As `Transport.start`; `program` and `environment` are this process's own."""
        import qt

        _, module, encoded = arguments
        argument = decode_argument(encoded)

        def run() -> None:
            if self._cancelled:
                return
            with redirect_stdout(StringIO()) as printed:
                main = import_module(module).main
                status = main(Path(argument) if module in BY_FILE else argument)
            on_output(printed.getvalue().encode())
            on_finished(f"exit status {status}")

        qt.QTimer.singleShot(0, run)

    def kill_tree(self) -> None:
        """As `Transport.kill_tree`."""
        self._cancelled = True


def answer_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the modules' requests be answered in this process."""
    for module in filter(sys.modules.__contains__, ASKING):
        monkeypatch.setattr(f"{module}.ProcessTransport", SameProcessTransport)
