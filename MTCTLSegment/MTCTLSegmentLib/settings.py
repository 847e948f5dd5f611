"""The module's settings and their defaults."""

from __future__ import annotations

from typing import Any

import qt

_DEFAULTS = {
    "caseStore": "",  # Folder; asked for when the first case is accepted.
    "reviewer": "",  # Pseudonym that drafts and decisions are signed with.
    "exportFolder": "",  # Where reports and surfaces were written last.
    "model": "",  # "" for the one in use.
    "modelChosen": "",  # "yes" since a person chose `model`, knowing of the one in use; earlier versions had none.
    "modelFolder": "",  # A model of the user's own, listed below the others.
}


def setting(name: str) -> str:
    """Return a setting as text.

    Raises:
        KeyError: There is none of that name.
    """
    return str(qt.QSettings().value(f"MTCTLSegment/{name}", _DEFAULTS[name]) or "")


def show(name: str, edit: Any) -> None:
    """Show a path, which another module may have changed, in its field, without a signal."""
    path = setting(name)
    if edit.currentPath != path:
        edit.blockSignals(True)
        edit.currentPath = path
        edit.blockSignals(False)


def remember(name: str, value: str) -> None:
    """Change a setting.

    Raises:
        KeyError: There is none of that name.
    """
    if setting(name) != value:
        qt.QSettings().setValue(f"MTCTLSegment/{name}", value)
