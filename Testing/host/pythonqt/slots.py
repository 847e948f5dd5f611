"""What happens when a signal calls Python: PythonQt's rule for the number of arguments, and failures that only print.

The application prints a failing slot's traceback and goes on, so nothing fails in a test either. The host therefore
keeps a record of every failure: tests look at it (``host.failures``).
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType, MethodType, TracebackType
from typing import Any


@dataclass(frozen=True)
class UncaughtFailure:
    """An exception that nobody caught: in a slot, or in an observer of a VTK object."""

    where: str
    exception: BaseException

    def __str__(self) -> str:
        return f"{self.where}: {type(self.exception).__name__}: {self.exception}"


failures: list[UncaughtFailure] = []


def record_failure(where: str, exception: BaseException) -> None:
    """Adds to the failures."""
    failures.append(UncaughtFailure(where, exception))


def accepted_arguments(function: Callable[..., Any]) -> int | None:
    """How many arguments of a signal PythonQt passes on; None for all of them.

    Only functions and bound methods without ``*args`` are looked into; anything else (functools.partial, builtins)
    gets everything that the signal carries. Parameters with defaults count: ``lambda i=5`` receives ``checked``.
    """
    bound = isinstance(function, MethodType)
    plain = function.__func__ if isinstance(function, MethodType) else function
    if not isinstance(plain, FunctionType) or plain.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return plain.__code__.co_argcount - bound


def call_slot(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Calls ``function`` as PythonQt does; an exception is printed and recorded, never raised."""
    try:
        function(*arguments[: accepted_arguments(function)])
    except Exception as exception:
        where = getattr(function, "__qualname__", repr(function))
        record_failure(f"slot {where}", exception)
        traceback.print_exc()


def record_uncaught(kind: type[BaseException], exception: BaseException, trace: TracebackType | None) -> None:
    """A ``sys.excepthook``: VTK reports what its observers raise there."""
    record_failure("observer", exception)
    sys.__excepthook__(kind, exception, trace)
