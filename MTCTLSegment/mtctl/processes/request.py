"""One request to a child process that answers in lines of JSON, and how the child answers it.

The child is `python -m MODULE ARGUMENT`. It prints one message for every thing that it found, {"event": NAME, ...}, and
at last {"event": "done", ...} or {"event": "failed", "reason": SENTENCE}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mtctl.processes.launcher import encode_argument
from mtctl.processes.messages import ChildOutput
from mtctl.processes.transport import Transport
from mtctl.system.documents import parse_object
from mtctl.system.files import reason_of

Events = list[dict[str, Any]]

# Lines of a child that ended without an answer: the end of a traceback.
_KEPT_LINES = 10


class RequestProcess:
    """The asking side: one request, its process and its answer."""

    def __init__(
        self,
        transport: Transport,
        name: str,
        command: tuple[str, str],
        environment: Mapping[str, str],
        done: Callable[[Events], None],
        failed: Callable[[str], None],
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            transport: A fresh one. `done` and `failed` are called in the thread in which it calls.
            name: Name of the process for messages ("the process that saves cases").
            command: MODULE and ARGUMENT; the child gets the argument back by `launcher.decode_argument`.
            environment: All of the child's environment, see `launcher.child_environment`.
            done: Called with all events, the last of which is "done".
            failed: Called with a sentence instead.
        """
        self._transport, self._name, self._done, self._failed = transport, name, done, failed
        self._command, self._environment = command, environment
        self._output = ChildOutput(_KEPT_LINES)
        self._events: Events = []
        self._over = False

    def start(self) -> None:
        """Start the process; where it cannot be started, `failed` may be called before this returns."""
        module, argument = self._command
        self._transport.start(
            sys.executable,
            ["-m", module, encode_argument(argument)],
            self._environment,
            lambda piece: self._events.extend(self._output.add_output(piece)),
            self._output.add_error,
            self._finished,
        )

    def cancel(self) -> None:
        """End the process with all its descendants; neither `done` nor `failed` follows."""
        if not self._over:
            self._over = True
            self._transport.kill_tree()

    def _finished(self, ending: str) -> None:
        if self._over:
            return
        self._over = True
        last = self._events[-1] if self._events else {}
        if last.get("event") == "done":
            self._done(self._events)
        elif last.get("event") == "failed":
            self._failed(str(last.get("reason", "it does not say why")))
        else:
            ending, lines = self._output.ended(ending)
            said = "".join(f"\n{line}" for line in lines)
            self._failed(f"{self._name} ended unexpectedly ({ending}){':' if said else ''}{said}")


class Emit(Protocol):
    """Prints a message for the process that asked."""

    def __call__(self, event: str, **content: Any) -> None: ...


def emit(event: str, **content: Any) -> None:
    """Print a message on the standard output."""
    print(json.dumps({"event": event, **content}), flush=True)


def answer(handlers: Mapping[str, Callable[..., None]], request: str) -> int:
    """Answer a request in the child: call the handler that it names and say how that ended.

    Args:
        handlers: By the request's key `do`; each is called with `emit`, and the request's other keys as arguments.
        request: A JSON object.

    Returns:
        Exit status: 0 done, 1 failed.
    """

    def work() -> dict[str, Any]:
        content = parse_object(request, "the request")
        handlers[content.pop("do")](emit, **content)
        return {}

    return answer_with(work)


def answer_with(work: Callable[[], Mapping[str, Any]]) -> int:
    """Call `work` in the child and say how it ended.

    Args:
        work: Returns what the message "done" holds.

    Returns:
        Exit status: 0 done, 1 failed.
    """
    try:
        content = work()
    except Exception as error:
        # Anything: the process that asked has to hear of it, and in a window only this line is seen.
        emit("failed", reason=reason_of(error))
        return 1
    emit("done", **content)
    return 0
