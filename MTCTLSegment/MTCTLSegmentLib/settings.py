"""What the module remembers between sessions, and what it begins with: one table."""

from __future__ import annotations

import qt

_DEFAULTS = {
    "caseStore": "",  # Folder; asked for when the first case is accepted.
    "model": "",  # "" for the default model.
    "modelFolder": "",  # A model of the user's own, listed below the shipped ones.
}


def setting(name: str) -> str:
    """A setting as text.

    Raises:
        KeyError: There is none of that name.
    """
    return str(qt.QSettings().value(f"MTCTLSegment/{name}", _DEFAULTS[name]) or "")


def remember(name: str, value: str) -> None:
    """Change a setting.

    Raises:
        KeyError: There is none of that name.
    """
    if setting(name) != value:
        qt.QSettings().setValue(f"MTCTLSegment/{name}", value)
