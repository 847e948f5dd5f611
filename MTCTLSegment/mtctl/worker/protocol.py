"""What the client and the child process of `worker` say to each other: JSON objects.

Requests, each a file in a folder of its own (its number) in the exchange folder:
    {"id", "input", "geometry", "options", "output"}
Not on the child's standard input: Slicer's Python is a launcher that does not pass its own on (ctkAppLauncher.cpp sets
no input channel mode, so what it launches reads from an empty pipe). The end of that input still ends the child.
Events, one a line, on its standard output:
    {"event": "ready", "pid", "device"}
    {"event": "progress", "id", "stage", "share"}
    {"event": "note", "id", "text"}
    {"event": "done", "id", "report", "arrays", "regions"}
    {"event": "failed", "id", "message"}
Volumes travel as .npy files (z, y, x) beside the request; the scan's geometry travels in the request, and "arrays"
says where on it the parts lie that the result's files hold (`processes.arrays.ArrayPart` by name), "regions" in which
file the uncertain regions are.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mtctl.processes.messages import decode, encode
from mtctl.system.files import with_retries

#: Begins the name of every exchange folder; the child refuses to remove any other.
EXCHANGE_PREFIX = "mtctl-exchange-"

SEGMENTATION = "segmentation"

#: File with the regions beside the arrays of a result.
REGIONS = "regions.npz"

_REQUEST = "request.json"


def put_request(folder: Path, request: dict[str, Any]) -> None:
    """Hand over a request, whole at once.

    Args:
        folder: Named by its number, in the exchange folder.
        request: A request as the module docstring lists it.

    Raises:
        OSError: The disk is full, or the folder gone.
    """
    part = folder / f"{_REQUEST}.part"
    part.write_bytes(encode(request))
    with_retries(os.replace, part, folder / _REQUEST)


def next_request(exchange: Path, after: int) -> tuple[int, dict[str, Any]] | None:
    """Return the request with the lowest number above `after`, and that number; None while there is none."""
    found = {int(path.parent.name): path for path in exchange.glob(f"*/{_REQUEST}") if path.parent.name.isdigit()}
    number = min((number for number in found if number > after), default=None)
    if number is None:
        return None
    try:
        request = decode(found[number].read_text(encoding="ascii"))
    except OSError:  # It was cancelled this moment; or, on Windows, a scanner holds the file: looked at again.
        return None
    return (number, request) if request else None
