"""One request to a child process: the window never waits for a disk or a share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import mtctl_train
from mtctl.processes.launcher import child_environment
from mtctl.processes.request import Events, RequestProcess
from MTCTLSegmentLib.jobs.qprocess_transport import ProcessTransport


class Request:
    """One request and its process."""

    def __init__(
        self, module: str, content: dict[str, Any], done: Callable[[Events], None], failed: Callable[[str], None]
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            module: What Python runs, with the request as its argument (JSON, `launcher.encode_argument`).
            content: Plain data.
            done: Called with everything that was found.
            failed: Called with a sentence instead.
        """
        self._module, self._content = module, content
        self._process = RequestProcess(
            ProcessTransport(), f"the process {module}", lambda events: done(events[:-1]), failed
        )

    def start(self) -> None:
        """Start the process; where it cannot be started, `failed` may be called before this returns."""
        self._process.start(self._module, json.dumps(self._content), child_environment(os.environ, mtctl_train))

    def cancel(self) -> None:
        """End it; neither `done` nor `failed` follows."""
        self._process.cancel()
