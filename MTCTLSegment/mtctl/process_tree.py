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
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                ["taskkill", "/PID", str(pid), "/T", "/F"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=subprocess.CREATE_NO_WINDOW,
                timeout=patience,
            )
        family = {pid}
    else:
        family = _stop_family(pid)
        for member in family:
            _let_hurry(member)
            with suppress(ProcessLookupError, PermissionError):
                os.kill(member, signal.SIGKILL)
    while any(is_running(member) for member in family):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def family_of(pid: int) -> set[int]:
    """The process and its living descendants; on Windows the process alone."""
    parents = _parents()
    family = {pid} & parents.keys()
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def is_running(pid: int) -> bool:
    """Whether the process exists and has not ended; one that ended but was not collected yet (a zombie) has."""
    if sys.platform == "win32":
        handle = _open_process(pid)
        if not handle:
            return False
        ended = _ended_within(handle, 0)
        _close(handle)
        return not ended
    if sys.platform == "linux":
        return _linux_parent(pid) is not None
    return pid in _parents()


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


def step_back() -> None:
    """Lower the priority of this process a little, so that the window of its parent stays quick."""
    if sys.platform == "win32":
        import ctypes

        below_normal = 0x4000
        ctypes.windll.kernel32.SetPriorityClass(ctypes.c_void_p(-1), below_normal)  # -1: the process itself
    else:
        with suppress(OSError):
            os.nice(5)


def _parents() -> dict[int, int]:
    """Parent of each process that has not ended."""
    if sys.platform == "win32":
        return {}
    if sys.platform == "linux":
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        found = {pid: _linux_parent(pid) for pid in pids}
        return {pid: parent for pid, parent in found.items() if parent is not None}
    listing = subprocess.run(["/bin/ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=False)
    rows = [line.split() for line in listing.stdout.splitlines()]
    return {int(row[0]): int(row[1]) for row in rows if len(row) == 3 and not row[2].startswith("Z")}


def _linux_parent(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # "pid (name) state parent ...": the name may hold blanks and brackets.
    fields = status.rpartition(")")[2].split()
    state, parent, threads = fields[0], int(fields[1]), int(fields[17])
    # The first thread of a dying process may have ended, while others still hold its memory.
    return None if state in "ZX" and threads <= 1 else parent


if sys.platform == "win32":
    import ctypes

    def _open_process(pid: int) -> int:
        synchronize = 0x00100000
        ctypes.windll.kernel32.OpenProcess.restype = ctypes.c_void_p
        return ctypes.windll.kernel32.OpenProcess(synchronize, False, pid) or 0

    def _ended_within(handle: int, milliseconds: int) -> bool:
        return bool(ctypes.windll.kernel32.WaitForSingleObject(ctypes.c_void_p(handle), milliseconds) == 0)

    def _close(handle: int) -> None:
        ctypes.windll.kernel32.CloseHandle(ctypes.c_void_p(handle))

else:

    def _stop_family(pid: int) -> set[int]:
        """All members of a family, halted: what is halted cannot start a child that the next look would miss."""
        stopped: set[int] = set()
        while more := family_of(pid) - stopped:
            for member in more:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(member, signal.SIGSTOP)
            stopped |= more
        return stopped

    def _let_hurry(pid: int) -> None:
        """Undo `step_back` where that is allowed: on a busy machine a process of low priority takes 0.4 s to die."""
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.setpriority(os.PRIO_PROCESS, int(thread), 0)
