"""What is printed is text alone: no name of a file moves the cursor, colours the screen or begins a line of a log."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from mtctl.errors import printable

# What the program prints itself: ends of lines, columns, and a line that shows progress.
_BETWEEN_OURS = re.compile(r"[^\t\n\r]+")


@contextmanager
def printable_output() -> Iterator[None]:
    """For as long, write out control characters in what is printed on standard output and standard error.

    The one place that no message can pass by. Where a name stands in a line of its own, `errors.printable` has to be
    asked, too: an end of a line in a name looks here like one of ours.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, PrintableStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class PrintableStream:
    """A stream of text that writes control characters out; in all else it is the stream that it was made of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text."""
        self._stream.write(_BETWEEN_OURS.sub(lambda piece: printable(piece[0]), text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def time_span_text(seconds: float) -> str:
    """Return a time span as people say it: "40 s", "12 min", "3 h 05 min", "2 d 4 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
