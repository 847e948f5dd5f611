"""A numeric locale with a decimal comma, as a German desktop has."""

from __future__ import annotations

import locale
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

_NAMES = ("de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "German_Germany.1252")


@contextmanager
def decimal_comma() -> Iterator[None]:
    """Let this process write numbers with a comma; skip the test where no such locale is there or can be made."""
    before, places = locale.setlocale(locale.LC_NUMERIC), os.environ.get("LOCPATH")
    try:
        if not any(_set(name) for name in _NAMES):
            if shutil.which("localedef"):
                os.environ["LOCPATH"] = _made_locale().name
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


@cache
def _made_locale() -> tempfile.TemporaryDirectory[str]:
    """Make the German locale, once in a process: a second of work."""
    folder = tempfile.TemporaryDirectory(prefix="mtctl-locale-")
    command = ["localedef", "-i", "de_DE", "-f", "UTF-8", f"{folder.name}/de_DE.UTF-8"]
    subprocess.run(command, capture_output=True, check=False)
    return folder


def _set(name: str) -> bool:
    try:
        locale.setlocale(locale.LC_NUMERIC, name)
    except locale.Error:
        return False
    return True
