"""An interrupt ends the program whatever it is doing: Ctrl-C, Ctrl-Break, the polite end of a scheduler (SIGTERM), and
the end of the terminal or of the connection to it (SIGHUP).

Python raises KeyboardInterrupt wherever the program happens to be. That is right for nearly all places, as whatever is
written is whole or not there. But in a callback of the import system, of the garbage collector or of a library in C
the exception is printed and forgotten, and the program goes on; a library may catch it; and while code in C runs that
does not return it is never raised. So a signal is noted, too: what was forgotten is raised again, loops ask between two
pieces of their work (`check`), and a program that does not hear is ended from a thread.

A second signal ends the program at once, unless it comes right after the first: `timeout` and schedulers send two.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

#: Exit status: 128 + SIGINT, what a shell reports for Ctrl-C.
INTERRUPTED = 130

#: A second signal after so many seconds is a person's, who does not want to wait for what is put in order.
_IMPATIENCE = 2.0

#: How long the program may be deaf, as it computes or waits in C, seconds; schedulers send SIGKILL after 30.
_DEAFNESS = 20.0

_NAMES = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP")
_SIGNALS = tuple(signal.Signals(getattr(signal, name)) for name in _NAMES if hasattr(signal, name))
_FORGOTTEN = b"\xff"  # no signal has this number


class _Interruption:
    """What is known of the interrupt of a program, and the thread that sees to it.

    Attributes:
        since: When the first signal was heard, seconds of the monotonic clock; None: there was none.
        holds: How many blocks of `deferred` are entered; at first one, until `release`.
        waiting: Whether an exception waits for their end.
    """

    def __init__(self, numbers: tuple[signal.Signals, ...]) -> None:
        self.numbers = numbers
        self.since: float | None = None
        self.holds = 1
        self.waiting = False
        self._again = False
        self._ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)
        self._before = sys.unraisablehook
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def begin(self) -> int:
        """Listen; return the wakeup descriptor of before."""
        sys.unraisablehook = self._forgotten
        self._thread.start()
        return signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)

    def end(self, wakeup: int) -> None:
        signal.set_wakeup_fd(wakeup)
        sys.unraisablehook = self._before
        self._theirs.close()
        self._thread.join()
        self._ours.close()

    def release(self) -> None:
        """Leave a block of `deferred`.

        Raises:
            KeyboardInterrupt: It was the last one, and an interrupt waited for its end.
        """
        self.holds -= 1
        if self.waiting and not self.holds:
            self.waiting = False
            raise KeyboardInterrupt

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal, in the main thread."""
        again, self._again = self._again, False
        if self.since is None:
            self.since = time.monotonic()
        elif not again:
            if time.monotonic() - self.since > _IMPATIENCE:
                _end_at_once()
            return
        if self.holds:
            self.waiting = True
        else:
            raise KeyboardInterrupt

    def _forgotten(self, unraisable: Any) -> None:
        """Take the place of `sys.unraisablehook`: hear of an exception that is forgotten where it was raised."""
        if self.since is not None and issubclass(unraisable.exc_type, KeyboardInterrupt):
            with suppress(OSError):
                self._theirs.send(_FORGOTTEN)
        else:
            self._before(unraisable)

    def _watch(self) -> None:
        """Run in the thread: what comes is the number of a signal as soon as the system gave it, or `_FORGOTTEN`."""
        with suppress(OSError):
            while heard := self._ours.recv(1):
                if heard == _FORGOTTEN:
                    time.sleep(0.01)  # Until the callback is over that has forgotten it.
                    self._again = True
                    _send_to_main_thread(self.numbers[0])
                elif heard[0] in self.numbers:
                    self._expect(signal.Signals(heard[0]))

    def _expect(self, number: signal.Signals) -> None:
        """End the program where it does not hear a signal; what has a handler of its own meanwhile sees to it."""
        deadline = time.monotonic() + _DEAFNESS
        while self.since is None and signal.getsignal(number) == self.hear:
            if time.monotonic() > deadline:
                _end_at_once()
            time.sleep(0.05)


_current: _Interruption | None = None


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Leave this block by KeyboardInterrupt on every signal that asks the program to end, say so, and go on behind it.

    A signal that is ignored stays so (`nohup`, background jobs of a shell). Does nothing outside the main thread, where
    Python hears no signals, and inside another such block.
    """
    global _current
    numbers = tuple(number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None))
    if not numbers or _current is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    interruption = _Interruption(numbers)
    before = {number: signal.getsignal(number) for number in numbers}
    wakeup = interruption.begin()
    _current = interruption
    try:
        for number in numbers:
            signal.signal(number, interruption.hear)
        interruption.release()
        yield
    except KeyboardInterrupt:
        with suppress(OSError):  # The terminal may be gone.
            print("mtctl: interrupted", file=sys.stderr)
    finally:
        interruption.holds += 1  # What comes now comes too late.
        for number, handler in before.items():
            signal.signal(number, handler)
        _current = None
        interruption.end(wakeup)


def check() -> None:
    """Go no further where the program was interrupted; for loops, as a library may have caught the exception.

    Raises:
        KeyboardInterrupt: It was.
    """
    if _current is not None and _current.since is not None and _in_main_thread() and not _current.holds:
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Iterator[None]:
    """Let an interrupt wait until the end of this block, which has to be short.

    Raises:
        KeyboardInterrupt: At the end, where there was one.
    """
    interruption = _current
    if interruption is None or not _in_main_thread():
        yield
        return
    interruption.holds += 1
    try:
        yield
    finally:
        interruption.release()


@contextmanager
def children_deaf() -> Iterator[None]:
    """Let processes that are started in this block not hear Ctrl-C, which is for their parent: it ends them.

    An interrupt of the parent is not lost but waits until the end of the block. Such a child calls `stay_deaf` first of
    all: until then the signal is only held back. On Windows nothing of this is inherited.
    """
    if sys.platform == "win32":
        with deferred():
            yield
        return
    with deferred():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stay_deaf() -> None:
    """In a child process: ignore Ctrl-C from now on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _send_to_main_thread(number: signal.Signals) -> None:
    if sys.platform == "win32":
        import _thread

        _thread.interrupt_main(number)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)


def _end_at_once() -> None:
    with suppress(OSError):
        os.write(2, b"mtctl: interrupted\n")
    os._exit(INTERRUPTED)  # As after a kill, files are whole or not there.
