"""What the standard library lacks about processes: ending one with its descendants, outliving nobody, stepping back.

A child of Slicer is a launcher (PythonSlicer) with the real Python below it: ending only the first leaves the second
at work. psutil would do all this, but Slicer does not ship it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_PAUSE = 0.005  # seconds between two looks
_PROC = Path("/proc")


def kill_tree(pid: int, patience: float = 0.4) -> bool:
    """End a process and all its descendants, at once and without asking them.

    Args:
        pid: The process at the top.
        patience: How long to wait until they are gone, seconds.

    Returns:
        Whether all are gone.
    """
    deadline = time.monotonic() + patience
    if sys.platform == "win32":
        with suppress(OSError):
            # Not ended when the patience is: beside a virus scanner it takes seconds, and the worker would live on.
            subprocess.Popen(
                ["taskkill", "/PID", str(pid), "/T", "/F"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
        family = {pid}
    else:
        family = _stop_family(pid)
        for member in family:
            _let_hurry(member)
            with suppress(ProcessLookupError, PermissionError):
                os.kill(member, signal.SIGKILL)
    while _living(family):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def family_of(pid: int) -> set[int]:
    """Return the process and its living descendants; on Windows the process alone."""
    parents = _parents()
    family = {pid} & parents.keys()
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def is_running(pid: int) -> bool:
    """Return whether the process exists and has not ended; a window asks this twice a second.

    One that ended but was not collected by its parent yet (a zombie) has ended on Linux and Windows. macOS tells it
    from a living one only in a list of all processes, which takes a program of its own: there it still runs.
    """
    if sys.platform == "win32":
        handle = _open_process(pid)
        if not handle:
            return _was_refused()
        ended = _ended_within(handle, 0)
        _close(handle)
        return not ended
    if sys.platform == "linux":
        return _linux_parent(pid) is not None or _is_hidden(pid)
    return _answers(pid) is not False


def wait_for_end_of(pid: int) -> None:
    """Return when the process has ended; at once where there is none."""
    if sys.platform == "win32":
        handle = _open_process(pid)
        if handle:
            _ended_within(handle, 0xFFFFFFFF)  # INFINITE
            _close(handle)
        return
    with suppress(ProcessLookupError):
        while True:
            with suppress(PermissionError):  # It runs, but is somebody else's.
                os.kill(pid, 0)
            time.sleep(1.0)


def lower_priority() -> None:
    """Lower the priority of this process a little, so that the window of its parent stays quick."""
    if sys.platform == "win32":
        import ctypes

        below_normal = 0x4000
        ctypes.windll.kernel32.SetPriorityClass(ctypes.c_void_p(-1), below_normal)  # -1: the process itself
    else:
        with suppress(OSError):
            os.nice(5)


def _parents() -> dict[int, int]:
    """Return the parent of each process that has not ended."""
    if sys.platform == "win32":
        return {}
    if sys.platform == "linux":
        pids = [int(name) for name in os.listdir(_PROC) if name.isdigit()]
        found = {pid: _linux_parent(pid) for pid in pids}
        return {pid: parent for pid, parent in found.items() if parent is not None}
    listing = subprocess.run(["/bin/ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=False)
    rows = [line.split() for line in listing.stdout.splitlines()]
    return {int(row[0]): int(row[1]) for row in rows if len(row) == 3 and not row[2].startswith("Z")}


def _linux_parent(pid: int) -> int | None:
    try:
        status = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # "pid (name) state parent ...": the name may hold blanks and brackets.
    fields = status.rpartition(")")[2].split()
    state, parent, threads = fields[0], int(fields[1]), int(fields[17])
    # The first thread of a dying process may have ended, while others still hold its memory.
    return None if state in "ZX" and threads <= 1 else parent


def _is_hidden(pid: int) -> bool:
    """Return whether it is another user's process that /proc does not show (mounted with hidepid)."""
    if os.access(_PROC / str(pid) / "stat", os.R_OK):
        return False
    return _answers(pid) is None  # If it is ours, /proc shows it: then it ended between the two looks.


def _answers(pid: int) -> bool | None:
    """Return whether there is a process of that number; None: there is one of another user."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return None
    except (OSError, OverflowError):  # OverflowError: no process can have that number
        return False
    return True


def _living(family: set[int]) -> set[int]:
    """Return the processes that have not ended, zombies apart on every system."""
    if sys.platform == "darwin":
        return family & _parents().keys()
    return {member for member in family if is_running(member)}


if sys.platform == "win32":
    import ctypes

    # Of its own, as it keeps the error of the last call from what Python calls in between.
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.OpenProcess.restype = ctypes.c_void_p

    def _open_process(pid: int) -> int:
        synchronize = 0x00100000
        return _kernel32.OpenProcess(synchronize, False, pid) or 0

    def _was_refused() -> bool:
        """Return whether `_open_process` failed because the process is another user's: then it exists."""
        access_denied = 5
        return ctypes.get_last_error() == access_denied

    def _ended_within(handle: int, milliseconds: int) -> bool:
        return bool(_kernel32.WaitForSingleObject(ctypes.c_void_p(handle), milliseconds) == 0)

    def _close(handle: int) -> None:
        _kernel32.CloseHandle(ctypes.c_void_p(handle))

else:

    def _stop_family(pid: int) -> set[int]:
        """Return all members of a family, halted: what is halted cannot start a child that the next look would miss."""
        stopped: set[int] = set()
        while more := family_of(pid) - stopped:
            for member in more:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(member, signal.SIGSTOP)
            stopped |= more
        return stopped

    def _let_hurry(pid: int) -> None:
        """Undo `lower_priority` where that is allowed: on a busy machine such a process takes 0.4 s to die."""
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.setpriority(os.PRIO_PROCESS, int(thread), 0)
