"""Messages between processes: JSON objects, one a line, among whatever else a child process prints."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any

from mtctl.processes.launcher import ending_of
from mtctl.system.documents import MOST_BYTES, DocumentError, parse_object


class Lines:
    """Whole lines from pieces that may end anywhere, in the middle of a character even."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, piece: bytes) -> list[str]:
        """Return the lines that this piece completes, without their ends."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        self._rest = self._rest[-MOST_BYTES:]  # Of a line without an end the last words are enough.
        return [line.decode("utf-8", errors="replace").rstrip("\r") for line in whole]

    def rest(self) -> str:
        """Return what came after the last line's end."""
        return self._rest.decode("utf-8", errors="replace")


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as a line."""
    return json.dumps(message).encode("ascii") + b"\n"


def decode(line: str) -> dict[str, Any] | None:
    """Return the message in a line; None where a line is none (what a library prints, say)."""
    try:
        return parse_object(line, "a message")
    except DocumentError:
        return None


class ChildOutput:
    """What a child process prints: messages with an "event", told apart from the lines of launchers and libraries.

    Attributes:
        lines: The last lines that were no messages.
    """

    def __init__(self, kept: int) -> None:
        """Begin with nothing.

        Args:
            kept: How many of the last lines that are no messages are kept.
        """
        self._output, self._error = Lines(), Lines()
        self.lines: deque[str] = deque(maxlen=kept)

    def add_output(self, piece: bytes) -> list[dict[str, Any]]:
        """Return the messages that this piece of its standard output completes."""
        messages = []
        for line in self._output.add(piece):
            message = decode(line)
            if message and isinstance(message.get("event"), str):
                messages.append(message)
            else:
                self._keep([line])
        return messages

    def add_error(self, piece: bytes) -> None:
        """Keep what a piece of its standard error says."""
        self._keep(self._error.add(piece))

    def ended(self, ending: str) -> tuple[str, list[str]]:
        """Return how it really ended, and the last lines that were no messages.

        Args:
            ending: How its process ended, as the transport says.
        """
        self._keep([self._error.rest()])
        return ending_of(ending, self.lines)

    def _keep(self, lines: Iterable[str]) -> None:
        self.lines.extend(line for line in lines if line.strip())
