"""A numeric locale with a decimal comma, as a German desktop has."""

from __future__ import annotations

import locale
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NAMES = ("de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "German_Germany.1252")


@contextmanager
def decimal_comma(folder: Path) -> Iterator[None]:
    """Let this process write numbers with a comma; skip the test where no such locale is there or can be made."""
    before, places = locale.setlocale(locale.LC_NUMERIC), os.environ.get("LOCPATH")
    try:
        if not any(_set(name) for name in _NAMES):
            if shutil.which("localedef"):
                made = folder / "de_DE.UTF-8"
                subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(made)], capture_output=True, check=False)
                os.environ["LOCPATH"] = str(folder)
            if not _set("de_DE.UTF-8"):
                pytest.skip("no locale with a decimal comma is installed")
        assert locale.localeconv()["decimal_point"] == ","
        yield
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)
        if places is None:
            os.environ.pop("LOCPATH", None)
        else:
            os.environ["LOCPATH"] = places


def _set(name: str) -> bool:
    try:
        locale.setlocale(locale.LC_NUMERIC, name)
    except locale.Error:
        return False
    return True
