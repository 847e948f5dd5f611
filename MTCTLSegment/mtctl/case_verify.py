"""Whether everything that was ever stored is there and whole."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Trouble(Enum):
    """What is the matter with a file or folder."""

    DAMAGED = "damaged"
    LOST = "lost"
    FOREIGN = "foreign"
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Finding:
    """Something about the store that a person should know.

    Attributes:
        path: What it is about.
        trouble: Of what kind; only DAMAGED and LOST mean that something is missing.
        text: In words.
    """

    path: Path
    trouble: Trouble
    text: str
