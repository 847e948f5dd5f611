"""What a person chooses from: the module's parameters that are one of a few."""

from __future__ import annotations

from enum import Enum

from slicer.i18n import tr as _


class Place(Enum):
    """Where the atrium is looked for."""

    automatic = "auto"
    box = "box"
    whole = "none"

    def label(self) -> str:
        """For the list."""
        return {
            "automatic": _("Automatically"),
            "box": _("In a box that I place"),
            "whole": _("In the whole scan"),
        }[self.name]


class Kind(Enum):
    """Kinds of uncertainty; the names are those of `mtctl.scene.KINDS`."""

    entropy = "entropy"
    mutual_information = "mutual_information"
    disagreement = "disagreement"

    def label(self) -> str:
        """For the list."""
        return {
            "entropy": _("Predictive uncertainty"),
            "mutual_information": _("Model uncertainty (samples differ)"),
            "disagreement": _("Mask and distance map differ"),
        }[self.name]


class Surface(Enum):
    """How the atrium is shown in 3-D."""

    plain = "plain"
    colored = "colored"
    hidden = "hidden"

    def label(self) -> str:
        """For the list."""
        return {
            "plain": _("Surface"),
            "colored": _("Surface coloured by uncertainty"),
            "hidden": _("Nothing"),
        }[self.name]


class Restrict(Enum):
    """Where painting may change the segmentation."""

    uncertain = "uncertain"
    region = "region"
    anywhere = "anywhere"

    def label(self) -> str:
        """For the list."""
        return {
            "uncertain": _("Only where it is uncertain"),
            "region": _("Only in the current region"),
            "anywhere": _("Anywhere"),
        }[self.name]
