"""Memory between two scans or two steps of a long run, and what libraries say when there is none."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Of torch on Linux and on Windows, of CUDA and Apple's MPS, of ITK, of C++: all come as a plain RuntimeError.
_WANT = ("can't allocate memory", "not enough memory", "out of memory", "failed to allocate memory", "bad_alloc")

# Numbers of malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def release_memory() -> None:
    """Give the system back what the last scan has left.

    A figure is a web of objects that refer to each other, which only the garbage collector takes apart; and glibc keeps
    freed memory between pieces that are still in use, a little more each time: after 16 real scans 820 MB were resident
    instead of 600, with this 460 MB between any two.
    """
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # Another C library than glibc.
            ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory() -> None:
    """Let this process keep what it frees for what it will need next, until it ends.

    A network allocates and frees gigabytes in blocks of tens of megabytes. glibc gives each back to the system, which
    has to clear every page when it hands it out again. On a machine whose kernel is busy reclaiming pages that was half
    the time of a training step (Testing/benchmarks/training_speed.py: plain UA-MT 40 s without this, 15 s with it, for
    a third more memory), two fifths of a guidance network's pass, and a sixth of the processor time of a segmentation
    in one thread, for 0.2 GB more (both by scripts that are not kept).
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # Another C library than glibc.
            libc = ctypes.CDLL(None)
            libc.mallopt(_MMAP_MAX, 0)
            libc.mallopt(_TRIM_THRESHOLD, -1)  # never


def lacks_memory(error: RuntimeError) -> bool:
    """Return whether a library failed for want of memory, and not for what it was given."""
    text = str(error).lower()
    return any(words in text for words in _WANT)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Let a library's want of memory be the MemoryError that it is, for which there is advice."""
    try:
        yield
    except RuntimeError as error:
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        raise
