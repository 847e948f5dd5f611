"""Show errors to the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import slicer

from mtctl.errors import MtctlError


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show the message of an `MtctlError`, and any other error with its traceback."""
    with slicer.util.tryWithErrorDisplay("Something unexpected went wrong.", waitCursor=False):
        try:
            yield
        except MtctlError as error:
            message = str(error)
            slicer.util.errorDisplay(message[:1].upper() + message[1:])
