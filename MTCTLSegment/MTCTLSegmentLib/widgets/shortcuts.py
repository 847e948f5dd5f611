"""Keys that work while a slice view has the focus, and only while the module is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import qt
import slicer


class Shortcuts:
    """Keys of the main window: those of the page would not work while a view has the focus."""

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        """Make the keys, disabled; none without a main window.

        Args:
            actions: What to call, by key.
        """
        self._shortcuts: list[tuple[qt.QShortcut, Callable[[], None]]] = []
        window = slicer.util.mainWindow()
        for key, action in actions.items() if window else ():
            shortcut = qt.QShortcut(window)
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.connect("activated()", action)
            shortcut.enabled = False
            self._shortcuts.append((shortcut, action))

    def enable(self, on: bool) -> None:
        """Enable or disable the keys, as the module is shown or left."""
        for shortcut, _ in self._living():
            shortcut.enabled = on

    def close(self) -> None:
        """Delete the keys: a reloaded module makes its own."""
        for shortcut, action in self._living():
            shortcut.enabled = False
            shortcut.disconnect("activated()", action)
            shortcut.deleteLater()
        self._shortcuts = []

    def _living(self) -> list[tuple[qt.QShortcut, Callable[[], None]]]:
        # When Slicer ends, the main window is gone before the modules, and its shortcuts with it; the wrapper of such
        # an object is false, and raises when it is used.
        return [(shortcut, action) for shortcut, action in self._shortcuts if shortcut]
