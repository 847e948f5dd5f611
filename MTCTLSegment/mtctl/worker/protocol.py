"""What the client and the child process of `worker` say to each other: JSON objects.

Requests, each a file in a folder of its own (its number) in the exchange folder:
    {"id", "do": "segment", "input", "geometry", "options", "output"}
    {"id", "do": "ask", "case", "device", "geometry", "said", "answer", "output"}
Not on the child's standard input: Slicer's Python is a launcher that does not pass its own on (ctkAppLauncher.cpp sets
no input channel mode, so what it launches reads from an empty pipe). The end of that input still ends the child.
Events, one a line, on its standard output:
    {"event": "ready"}
    {"event": "progress", "id", "stage", "share"}
    {"event": "note", "id", "text"}
    {"event": "done", "id", "report", "arrays"}
    {"event": "answered", "id", "changed"}, {"event": "outlook", "id", "volume_ml", "doubt_left"},
    {"event": "done", "id", "questions"}
    {"event": "failed", "id", "message"}
Volumes travel as .npy files (z, y, x) beside the request; the scan's geometry travels in the request, and "arrays"
says where on it the parts lie that the result's files hold (`processes.arrays.ArrayPart` by name). Masks of questions
travel as packed bits, what would change as flat indices of voxels.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from mtctl.processes.arrays import ArrayPart
from mtctl.processes.messages import encode
from mtctl.review.answers import Point, Side
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import FileName, Longest, Matching, Share, Within
from mtctl.system.files import with_retries
from mtctl.worker.time_left import STAGES

#: Begins the name of every exchange folder; the child refuses to remove any other.
EXCHANGE_PREFIX = "mtctl-exchange-"

SEGMENTATION = "segmentation"


_REQUEST = "request.json"


@dataclass(frozen=True)
class StepMessage:
    """How far the request is: the fraction of a stage that is done."""

    stage: Annotated[str, Matching("|".join(STAGES), "a stage of a segmentation")]
    share: Share


@dataclass(frozen=True)
class NoteMessage:
    """Something to tell the person who waits."""

    text: str


@dataclass(frozen=True)
class FailedMessage:
    """Why there is no result."""

    message: str


@dataclass(frozen=True)
class DoneMessage:
    """What the result's files hold, all in the folder of the request.

    Attributes:
        report: The content of the case's report.
        arrays: The parts of the volumes, by the names of their files.
    """

    report: dict[str, Any]
    arrays: dict[FileName, ArrayPart]


@dataclass(frozen=True)
class AnsweredMessage:
    """In which file the voxels are that an answer changes."""

    changed: FileName


@dataclass(frozen=True)
class AskedQuestion:
    """A `review.answers.ShownQuestion` without its voxels, which are in a file of the request's folder."""

    name: Annotated[str, Longest(200)]
    place: Point
    click: Point
    side: Side
    change_ml: Annotated[float, Within(-1e6, 1e6)]
    chance: Share


@dataclass(frozen=True)
class QuestionsMessage:
    """The questions worth asking, in order."""

    questions: tuple[AskedQuestion, ...]


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
    found = {int(path.parent.name): path for path in exchange.glob(f"*/{_REQUEST}") if path.parent.name.isdecimal()}
    number = min((number for number in found if number > after), default=None)
    if number is None:
        return None
    try:
        return number, read_object(found[number])
    except (OSError, DocumentError):  # It was cancelled this moment; or, on Windows, a scanner holds it: asked again.
        return None
