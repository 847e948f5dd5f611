"""What a person chooses from: the module's parameters that are one of a few."""

from __future__ import annotations

from enum import Enum

from slicer.i18n import tr as _


class Length(Enum):
    """How the length of a run is given."""

    minutes = "--minutes"
    iterations = "--iterations"

    def label(self) -> str:
        """For the list."""
        return {"minutes": _("minutes"), "iterations": _("iterations")}[self.name]
