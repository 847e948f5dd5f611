"""Files that no document should be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pipe(path: Path) -> None:
    """Make a pipe of that name, of which a plain reader would wait for ever."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    path.unlink(missing_ok=True)
    os.mkfifo(path)
