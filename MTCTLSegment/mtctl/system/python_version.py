"""What is read where Python is too old for the rest. This file has to run there too: Slicer 5.6 has Python 3.9."""

from __future__ import annotations

import sys

_NEEDED = (3, 11)


def refusal() -> str:
    """Why nothing else can run with this Python, in a sentence; "" where it can."""
    here = tuple(sys.version_info[:2])
    if here >= _NEEDED:
        return ""
    version = ".".join(map(str, here))
    return f"MT-CTL needs Slicer 5.10 or later (Python 3.11 or newer); this one has Python {version}."
