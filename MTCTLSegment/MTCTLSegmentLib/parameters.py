"""Parameters with a few values, and the binding of parameters to widgets."""

from __future__ import annotations

from enum import Enum
from typing import Any

from slicer.i18n import tr as _

from mtctl.uncertainty.kinds import BY_NAME, KINDS


class Binding:
    """Parameters bound to the widgets that name them (`SlicerParameterName`), until `undo`.

    The parameter node's own functions (Slicer 5.10 to 5.13) leave something behind. `connectGui` returns no tag, so
    what it binds is never let go of: when the module is entered again every list is refilled, and the old binding takes
    the first entry for the choice. `disconnectGui` leaves an observer of the node, which keeps the whole wrapper alive
    and reads every parameter at each change; so its tag is caught here while it is added.
    """

    def __init__(self, parameters: Any, ui: Any) -> None:
        self._parameters = parameters
        self._observers: list[int] = []
        named = {}
        for widget in vars(ui).values():
            read = getattr(widget, "property", None)  # Not everything in a panel has properties.
            name = read("SlicerParameterName") if callable(read) else None
            if name:
                named[name] = widget
        parameters.AddObserver = self._observe
        try:
            self._tag = parameters.connectParametersToGui(named)
        finally:
            del parameters.AddObserver

    def undo(self) -> None:
        """Unbind the widgets and the node."""
        self._parameters.disconnectGui(self._tag)
        for observer in self._observers:
            self._parameters.RemoveObserver(observer)
        self._parameters = None  # Else it would live on, and read, as long as this does.

    def _observe(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        observer = int(self._parameters.parameterNode.AddObserver(event, callback, priority))
        self._observers.append(observer)
        return observer


class SearchRegion(Enum):
    """Where the atrium is searched."""

    automatic = "auto"
    box = "box"
    whole = "none"

    def label(self) -> str:
        """Return the text for the list."""
        return {
            "automatic": _("Automatically"),
            "box": _("In a box that I place"),
            "whole": _("In the whole scan"),
        }[self.name]


class ShownUncertainty(Enum):
    """Kinds of uncertainty: one member for each of `kinds.KINDS`, with its name."""

    _ignore_ = ["each"]  # noqa: RUF012
    for each in KINDS:
        vars()[each.name] = each.name

    def label(self) -> str:
        """Return the text for the list."""
        return _(BY_NAME[self.name].choice)


class Surface(Enum):
    """How the atrium is shown in 3-D."""

    plain = "plain"
    colored = "colored"
    hidden = "hidden"

    def label(self) -> str:
        """Return the text for the list."""
        return {
            "plain": _("Surface"),
            "colored": _("Surface coloured by uncertainty"),
            "hidden": _("Nothing"),
        }[self.name]


class Painting(Enum):
    """Where painting may change the segmentation."""

    anywhere = "anywhere"
    uncertain = "uncertain"

    def label(self) -> str:
        """Return the text for the list."""
        return {
            "anywhere": _("Anywhere"),
            "uncertain": _("Only where it is uncertain"),
        }[self.name]
