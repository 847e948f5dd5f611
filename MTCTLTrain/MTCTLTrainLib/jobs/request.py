"""Requests to child processes: the window never waits for a disk or a share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import mtctl_train
from mtctl.processes.launcher import child_environment
from mtctl.processes.request import Events, RequestProcess
from MTCTLSegmentLib.jobs.qprocess_transport import ProcessTransport


def prepare_request(
    module: str, content: dict[str, Any], done: Callable[[Events], None], failed: Callable[[str], None]
) -> RequestProcess:
    """Return a request that is still to be started.

    Args:
        module: The module that Python runs, in `mtctl_train.requests`.
        content: Plain data.
        done: Called with everything that was found.
        failed: Called with a sentence instead.
    """
    return RequestProcess(
        ProcessTransport(),
        f"the process {module}",
        (module, json.dumps(content)),
        child_environment(os.environ, mtctl_train),
        lambda events: done(events[:-1]),
        failed,
    )
