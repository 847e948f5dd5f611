"""State that several panels show."""

from __future__ import annotations

from collections.abc import Callable


class Observable:
    """Calls its listeners when it has changed. Plain Python: a Qt signal of an own class crashes PythonQt."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call a function whenever something changed that a panel may show."""
        self._listeners.append(listener)

    def stop_listening(self, listener: Callable[[], None]) -> None:
        """Do not call a function any more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def notify(self) -> None:
        """Call all listeners, in the order in which they began to listen."""
        for listener in tuple(self._listeners):
            listener()
