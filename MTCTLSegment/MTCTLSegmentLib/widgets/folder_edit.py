"""A field for a folder that may be typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctk

from MTCTLSegmentLib.panel import Panel

#: Text that has not changed for so long has been typed. The field signals every letter, and a store must not be opened
#: in "D:\\" on the way to "D:\\store".
REST_MS = 1000

# A path is often longer than the panel is wide; without a limit the field, and with it the panel, grows to its length.
_LETTERS = 15


class FolderEdit(Panel):
    """Report the folder in a field when it has not changed for a while."""

    def __init__(self, edit: Any, chosen: Callable[[str], None]) -> None:
        """Watch a field.

        Args:
            edit: A ctkPathLineEdit.
            chosen: Gets an absolute path, which need not exist, or "" for none; what is no absolute path is none.
        """
        super().__init__()
        self._edit, self._chosen = edit, chosen
        edit.filters = ctk.ctkPathLineEdit.Dirs
        edit.minimumContentsLength = _LETTERS
        edit.sizeAdjustPolicy = ctk.ctkPathLineEdit.AdjustToMinimumContentsLength
        self._rest = self.make_timer(REST_MS, self._commit)
        self.connect(
            (edit, "currentPathChanged(QString)", self._typed),
            (edit, "validInputChanged(bool)", self._typed),  # the only signal when the last letter goes
        )

    def commit(self) -> None:
        """Report the folder at once, if it has changed."""
        if self._rest.isActive():
            self._rest.stop()
            self._commit()

    def _typed(self, _signal: Any) -> None:
        self._rest.start()

    def _commit(self) -> None:
        path = str(self._edit.currentPath).strip()
        self._chosen(path if Path(path).is_absolute() else "")
