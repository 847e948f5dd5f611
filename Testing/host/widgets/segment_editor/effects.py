"""The Segment Editor's effects. Paint and Erase work, on the real vtkSlicerSegmentEditorLogic; the others are names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from PySide6 import QtCore
from vtk.util.numpy_support import vtk_to_numpy

from .base import SegmentEditor

# In the application's order.
EFFECT_NAMES = (
    "Threshold",
    "Paint",
    "Draw",
    "Erase",
    "Level tracing",
    "Grow from seeds",
    "Fill between slices",
    "Margin",
    "Hollow",
    "Smoothing",
    "Scissors",
    "Islands",
    "Logical operators",
    "Mask volume",
)
WHOLE_EXTENT = (0, -1, 0, -1, 0, -1)
DEFAULTS = {"BrushSphere": "1", "BrushAbsoluteDiameter": "5.0", "BrushDiameterIsRelative": "0", "ColorSmudge": "0"}


class qSlicerSegmentEditorAbstractEffect(QtCore.QObject):
    """One effect of an editor widget."""

    ModificationModeSet, ModificationModeAdd, ModificationModeRemove, ModificationModeRemoveAll = range(4)

    def __init__(self, name: str, editor: SegmentEditor) -> None:
        super().__init__(editor)
        self._name = name
        self._editor = editor

    name = QtCore.Property(str, lambda self: self._name)
    title = QtCore.Property(str, lambda self: self._name)

    def parameterSetNode(self) -> Any:
        """The editor's node, which holds the parameters of all effects."""
        return self._editor.mrmlSegmentEditorNode()

    def parameter(self, name: str) -> str:
        """A parameter as text."""
        return self.parameterSetNode().GetAttribute(f"{self._name}.{name}") or self.commonParameter(name)

    def commonParameter(self, name: str) -> str:
        """A parameter that all effects share."""
        return self.parameterSetNode().GetAttribute(name) or DEFAULTS.get(name, "")

    def integerParameter(self, name: str) -> int:
        """A parameter as an integer."""
        return int(float(self.parameter(name) or 0))

    def doubleParameter(self, name: str) -> float:
        """A parameter as a number."""
        return float(self.parameter(name) or 0)

    def setParameter(self, name: str, value: Any) -> None:
        """Sets a parameter of this effect."""
        self.parameterSetNode().SetAttribute(f"{self._name}.{name}", str(value))

    def setCommonParameter(self, name: str, value: Any) -> None:
        """Sets a parameter of all effects."""
        self.parameterSetNode().SetAttribute(name, str(value))

    def saveStateForUndo(self) -> None:
        """One undo step from here."""
        self._editor.saveStateForUndo()

    def defaultModifierLabelmap(self) -> Any:
        """The modifier labelmap, empty, in the segmentation's geometry."""
        self._editor.logic.ResetModifierLabelmapToDefault()
        return self._editor.logic.GetModifierLabelmap()

    def modifierLabelmap(self) -> Any:
        """The labelmap that an edit is drawn into."""
        return self._editor.logic.GetModifierLabelmap()

    def selectedSegmentLabelmap(self) -> Any:
        """The segment as it is now."""
        self._editor.logic.UpdateSelectedSegmentLabelmap()
        return self._editor.logic.GetSelectedSegmentLabelmap()

    def maskLabelmap(self) -> Any:
        """Where the mask mode forbids editing."""
        self._editor.logic.UpdateMaskLabelmap()
        return self._editor.logic.GetMaskLabelmap()

    def modifySelectedSegmentByLabelmap(
        self, labelmap: Any, mode: int, extent: Sequence[int] = WHOLE_EXTENT, bypass: bool = False
    ) -> None:
        """Changes the selected segment where the labelmap says so and the masks allow it."""
        node = self.parameterSetNode()
        self.modifySegmentByLabelmap(
            node.GetSegmentationNode(), node.GetSelectedSegmentID(), labelmap, mode, bypass, extent
        )

    def modifySegmentByLabelmap(
        self,
        segmentation: Any,
        segment: str,
        labelmap: Any,
        mode: int,
        bypass: bool = False,
        extent: Sequence[int] = WHOLE_EXTENT,
    ) -> None:
        """Changes a segment where the labelmap says so and, unless bypassed, the masks allow it."""
        if not isinstance(extent, Sequence):
            extent = WHOLE_EXTENT
        self._editor.modify(segmentation, segment, labelmap, int(mode), list(extent), bool(bypass))


class BrushEffect(qSlicerSegmentEditorAbstractEffect):
    """Paint and Erase: a sphere, or a disc in a slice view, that adds to the segment or takes away."""

    def __init__(self, name: str, editor: SegmentEditor, mode: int) -> None:
        super().__init__(name, editor)
        self._mode = mode

    def paint_at(self, ras: Sequence[float], radius_mm: float | None = None) -> None:
        """For tests, in place of the mouse: a stroke of one click. See :meth:`paint_stroke`."""
        self.paint_stroke([ras], radius_mm)

    def paint_stroke(self, places: Sequence[Sequence[float]], radius_mm: float | None = None) -> None:
        """One stroke. As in the application it is one undo step whether or not it changes anything, the masks hold
        exactly, and nothing is painted once the view observations are removed. Unlike there the brush is always a
        sphere.

        Args:
            places: middles of the brush in mm, right-anterior-superior.
            radius_mm: of the brush; None takes half of BrushAbsoluteDiameter.
        """
        if not self._editor.brush_is_live():
            return
        radius = self.doubleParameter("BrushAbsoluteDiameter") / 2 if radius_mm is None else radius_mm
        self.saveStateForUndo()
        self._editor.logic.UpdateAlignedSourceVolume()
        labelmap = self.defaultModifierLabelmap()
        for ras in places:
            _draw_ball(labelmap, ras, radius)
        stored = self._editor.stored_labelmap()
        before = _voxels(stored)
        self.modifySelectedSegmentByLabelmap(labelmap, self._mode)
        if np.array_equal(before, _voxels(stored)):
            # The history alone would skip this step: it looks whether the labelmap was modified since it was saved.
            stored.Modified()


class qSlicerSegmentEditorPaintEffect(BrushEffect):
    """Paint."""

    def __init__(self, editor: SegmentEditor) -> None:
        super().__init__("Paint", editor, self.ModificationModeAdd)


class qSlicerSegmentEditorEraseEffect(BrushEffect):
    """Erase."""

    def __init__(self, editor: SegmentEditor) -> None:
        super().__init__("Erase", editor, self.ModificationModeRemove)


def make_effects(editor: SegmentEditor) -> dict[str, qSlicerSegmentEditorAbstractEffect]:
    """All effects of an editor, by name."""
    working = {"Paint": qSlicerSegmentEditorPaintEffect, "Erase": qSlicerSegmentEditorEraseEffect}
    return {
        name: working[name](editor) if name in working else qSlicerSegmentEditorAbstractEffect(name, editor)
        for name in EFFECT_NAMES
    }


def _voxels(labelmap: Any) -> np.ndarray:
    scalars = labelmap.GetPointData().GetScalars()
    return np.empty(0) if scalars is None else vtk_to_numpy(scalars).copy()


def _draw_ball(labelmap: Any, ras: Sequence[float], radius_mm: float) -> None:
    """Sets the voxels whose centres lie within the radius."""
    world_to_voxel = vtk.vtkMatrix4x4()
    labelmap.GetWorldToImageMatrix(world_to_voxel)
    voxel_to_world = np.linalg.inv(slicer.util.arrayFromVTKMatrix(world_to_voxel))
    extent = labelmap.GetExtent()
    x, y, z = (np.arange(extent[2 * axis], extent[2 * axis + 1] + 1) for axis in range(3))
    # Squared distance in mm, axis by axis, so that oblique volumes are right, too.
    offsets = [
        voxel_to_world[row, 0] * x[None, None, :]
        + voxel_to_world[row, 1] * y[None, :, None]
        + voxel_to_world[row, 2] * z[:, None, None]
        + voxel_to_world[row, 3]
        - ras[row]
        for row in range(3)
    ]
    inside = sum(offset**2 for offset in offsets) <= radius_mm**2
    array = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(inside.shape)
    array[inside] = 1
    labelmap.Modified()
