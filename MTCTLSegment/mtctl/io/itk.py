"""Habits of ITK that the readers and writers work around."""

from __future__ import annotations

import errno
import locale
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import SimpleITK as sitk

from mtctl.system.files import with_retries
from mtctl.system.temporary import own_folder

_LOCK = threading.Lock()


class _Numerals:
    """The numeric locale while ITK reads or writes: how many do so, and what held before the first of them."""

    users = 0
    before = ""


@contextmanager
def quiet() -> Iterator[None]:
    """Call ITK: its warnings stay off the screen, and its numbers have a point.

    What matters in the warnings is checked here and said in our own errors. Where the process writes numbers with a
    decimal comma, as Qt makes it do under a German desktop, ITK would write such ones into headers, and read 1.25 as 1.
    """
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        with _decimal_points():
            yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


@contextmanager
def _decimal_points() -> Iterator[None]:
    with _LOCK:
        if _Numerals.users == 0:
            _Numerals.before = locale.setlocale(locale.LC_NUMERIC)
            if locale.localeconv()["decimal_point"] != ".":
                locale.setlocale(locale.LC_NUMERIC, "C")
        _Numerals.users += 1
    try:
        yield
    finally:
        with _LOCK:
            _Numerals.users -= 1
            if _Numerals.users == 0 and locale.setlocale(locale.LC_NUMERIC) != _Numerals.before:
                locale.setlocale(locale.LC_NUMERIC, _Numerals.before)


@contextmanager
def readable(path: Path, ending: str) -> Iterator[str]:
    """Yield a name by which ITK can open the existing file `path` of format `ending`."""
    beside = os.path.join(short_name(path.parent), path.name)
    if _opens(str(path)):
        yield str(path)
    elif _opens(beside):
        yield beside
    else:
        with own_folder("copy") as folder:
            copy = _plain_name(folder, ending)
            shutil.copyfile(path, copy)
            yield copy


@contextmanager
def writable(path: Path, ending: str) -> Iterator[str]:
    """Yield a name by which ITK can write the new file `path`; the file is at `path` afterwards."""
    if _opens(str(path)):
        yield str(path)
    elif sys.platform == "win32" or _opens(str(path.parent)):
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            plain = _plain_name(Path(folder), ending)
            yield plain
            with_retries(os.replace, Path(plain), path)
    else:
        with own_folder("link") as folder:  # a link, as there may be no space for a copy
            link = _plain_name(folder, ending)
            os.symlink(path.absolute(), link)
            yield link


def _plain_name(folder: Path, ending: str) -> str:
    """Return a name in an existing folder that ITK can open.

    Raises:
        OSError: ITK cannot open anything there.
    """
    name = os.path.join(short_name(folder), f"scan{ending}")
    if sys.platform != "win32" and not _opens(name):
        raise OSError(errno.EILSEQ, f"the name of the folder for temporary files, {folder}, is no text", str(folder))
    return name


def short_name(folder: Path) -> str:
    """Return the name of an existing folder that ITK can open: on Windows, where needed, its 8.3 name."""
    text = str(folder)
    if sys.platform != "win32" or _opens(text):
        return text
    import ctypes

    buffer = ctypes.create_unicode_buffer(32768)
    return buffer.value if ctypes.windll.kernel32.GetShortPathNameW(text, buffer, len(buffer)) else text


def _opens(name: str) -> bool:
    if sys.platform == "win32":
        # Outside Slicer, Python on Windows has no UTF-8 code page, and ITK's readers then fail on letters such as
        # u with two dots (ITK issue 6739, SimpleITK issue 795).
        return name.isascii()
    try:
        # SimpleITK takes names as UTF-8. A byte that is none ends the process, and where the system's names are in
        # another encoding (LANG=de_DE) it would open another file.
        return name.encode() == os.fsencode(name)
    except UnicodeEncodeError:
        return False
