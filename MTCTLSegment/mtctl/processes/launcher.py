"""What PythonSlicer does to a child of Slicer: it is CTK's launcher, a process between the two, not Python itself.

Read in its source (commontk/AppLauncher: Main.cpp, ctkAppArguments.cpp, ctkAppLauncher.cpp). Why requests do not travel
over standard input is said in `worker_protocol`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from urllib.parse import quote, unquote_to_bytes

# The launcher says so of a child that was killed or crashed, and ends itself with status 1 as after any failure.
_CRASH = "] exit abnormally - Report the problem."

CRASHED = "it crashed or was ended from outside, perhaps for want of memory"


def sealed(argument: str) -> str:
    """An argument in ASCII: on Windows the launcher before 0.1.34 (Slicer 5.10) garbles all other letters."""
    return quote(os.fsencode(argument), safe="/")


def unsealed(argument: str) -> str:
    """What was `sealed`."""
    return os.fsdecode(unquote_to_bytes(argument))


def ending_of(ending: str, words: Iterable[str]) -> tuple[str, list[str]]:
    """How a child really ended, and what it said.

    Args:
        ending: How its process ended, which may have been the launcher.
        words: Lines of its error stream, and of its output.

    Returns:
        The ending, and the lines without the launcher's.
    """
    lines = list(words)
    said = [line for line in lines if not line.rstrip().endswith(_CRASH)]
    return (CRASHED if len(said) < len(lines) else ending), said
