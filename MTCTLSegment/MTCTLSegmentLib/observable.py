"""State that several panels show."""

from __future__ import annotations

from collections.abc import Callable


class Observable:
    """State that calls its listeners when it has changed. It is plain Python: a custom Qt signal crashes PythonQt."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call a function whenever something changed that a panel may show."""
        self._listeners.append(listener)

    def stop_listening(self, listener: Callable[[], None]) -> None:
        """Stop calling a function."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def notify(self) -> None:
        """Call all listeners, in the order in which they began to listen."""
        for listener in tuple(self._listeners):
            listener()
