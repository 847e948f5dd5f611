"""Parameters with a few values."""

from __future__ import annotations

from enum import Enum

from slicer.i18n import tr as _


class Length(Enum):
    """How the length of a run is given."""

    minutes = "--minutes"
    iterations = "--iterations"

    def label(self) -> str:
        """Return the text for the list."""
        return {"minutes": _("minutes"), "iterations": _("iterations")}[self.name]
