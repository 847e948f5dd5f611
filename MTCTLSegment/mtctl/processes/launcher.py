"""How a child process is started from Slicer: what its environment, its arguments and its end look like.

PythonSlicer is CTK's launcher, a process between the two, not Python itself. Read in its source (commontk/AppLauncher:
Main.cpp, ctkAppArguments.cpp, ctkAppLauncher.cpp). Why requests do not travel over standard input is said in
`worker.protocol`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from urllib.parse import quote, unquote_to_bytes

import mtctl

# The launcher says so of a child that was killed or crashed, and ends itself with status 1 as after any failure.
_CRASH = "] exit abnormally - Report the problem."

CRASHED = "it crashed or was ended from outside, perhaps for want of memory"


def child_environment(base: Mapping[str, str], *packages: ModuleType) -> dict[str, str]:
    """Return the environment for a child that finds this very package whatever folder it starts in.

    Args:
        base: The environment to start from.
        packages: Further packages that the child is to find.
    """
    folders = dict.fromkeys(str(Path(str(package.__file__)).resolve().parents[1]) for package in (*packages, mtctl))
    return {
        # Threads that spin while they wait steal the cores from others, the window included: with all cores shared, the
        # network took 22 to 73 s instead of 5 to 8 s, and a 20 ms timer beside it was late by up to 81 ms, not 40 ms.
        "OMP_WAIT_POLICY": "passive",
        **numeric_c(base),
        "PYTHONPATH": os.pathsep.join(filter(None, [*folders, base.get("PYTHONPATH")])),
        "PYTHONSAFEPATH": "1",  # Else a json.py in the folder where the user happens to be would be imported.
        "PYTHONIOENCODING": "utf-8",
    }


#: What LC_ALL would set besides LC_NUMERIC.
_OTHER_CATEGORIES = ("LC_CTYPE", "LC_COLLATE", "LC_TIME", "LC_MONETARY", "LC_MESSAGES")


def numeric_c(base: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose numbers have a decimal point, and in which all else is as in `base`.

    Where a library of the child takes its locale from the environment (Qt does), ITK would read and write 1,5 for 1.5.
    """
    environment = dict(base)
    if everything := environment.pop("LC_ALL", ""):
        environment |= dict.fromkeys(_OTHER_CATEGORIES, everything)
        environment["LANG"] = everything
    return environment | {"LC_NUMERIC": "C"}


def encode_argument(argument: str) -> str:
    """Return an argument in ASCII: on Windows the launcher before 0.1.34 (Slicer 5.10) garbles all other letters."""
    return quote(os.fsencode(argument), safe="/")


def decode_argument(argument: str) -> str:
    """Return what `encode_argument` encoded."""
    return os.fsdecode(unquote_to_bytes(argument))


def ending_of(ending: str, words: Iterable[str]) -> tuple[str, list[str]]:
    """Return how a child really ended, and what it said.

    Args:
        ending: How its process ended, which may have been the launcher.
        words: Lines of its error stream, and of its output.

    Returns:
        The ending, and the lines without the launcher's.
    """
    lines = list(words)
    said = [line for line in lines if not line.rstrip().endswith(_CRASH)]
    return (CRASHED if len(said) < len(lines) else ending), said
