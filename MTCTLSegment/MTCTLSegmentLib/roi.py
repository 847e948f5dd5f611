"""The box in which the atrium is searched, as a Markups ROI node."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from mtctl.errors import MtctlError
from mtctl.scene.types import Node

# A left atrium with its veins, with room on all sides: the benchmark's crops are 119 x 88 x 55 mm and end near it.
_SIZE_MM = (130.0, 110.0, 90.0)


class BoxError(MtctlError):
    """The box cannot be used."""


def box_of(roi: Node) -> str:
    """Return the box "x0,x1,y0,y1,z0,z1" in LPS mm around a ROI node, with its rotation and transforms.

    Raises:
        BoxError: There is no node, or nothing was placed with it.
    """
    if roi is None or not roi.GetNumberOfControlPoints():
        raise BoxError(_("place a box first: press 'Centre here', or choose one, or look for the atrium automatically"))
    bounds = [0.0] * 6
    roi.GetRASBounds(bounds)
    right, left, back, front, bottom, top = bounds
    return ",".join(f"{value:.2f}" for value in (-left, -right, -front, -back, bottom, top))


def draw_as_frame(roi: Node) -> None:
    """Show a box as thin lines: a fill would tint every slice, and a label cover the anatomy."""
    roi.CreateDefaultDisplayNodes()
    display = roi.GetDisplayNode()
    display.SetFillVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(False)
    display.SetVisibility(True)


def hide_box(roi: Node | None) -> None:
    """Take a box out of the views once it has been used; `place_box` and choosing it show it again."""
    if roi is not None and roi.GetDisplayNode() is not None:
        roi.GetDisplayNode().SetVisibility(False)


def place_box(roi: Node) -> Node:
    """Move the box to the middle of the axial view, with the usual size, and return it; make one if there is none."""
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    if red is None:
        raise BoxError(_("there is no axial view to take the place from: choose a layout with one"))
    middle = [red.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
    if roi is None:
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", _("Atrium box"))
    draw_as_frame(roi)
    roi.SetSize(*_SIZE_MM)
    roi.SetCenter(middle)
    return roi
