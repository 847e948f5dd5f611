"""The four views of 3D Slicer in the page, and how the brush works in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from trame_slicer.core import SlicerApp
from trame_slicer.rca_view import register_rca_factories
from trame_slicer.segmentation import (
    BrushDiameterMode,
    SegmentationEffectErase,
    SegmentationEffectNoTool,
    SegmentationEffectPaint,
)
from trame_slicer.views import SliceView, ViewLayoutDefinition
from vtkmodules.vtkCommonCore import vtkLogger, vtkObject

from mtctl.geometry import Triple
from mtctl.scene import CaseNodes

#: Names of the views in the page's template.
SLICES, VOLUME = ("Axial", "Coronal", "Sagittal"), "ThreeD"

#: Colours of the slice views' frames: Slicer's, which radiologists know.
COLORS = {"Axial": "#F34A33", "Coronal": "#6DAD4A", "Sagittal": "#EFD64D"}

#: Tools of the mouse: the names are those of the edits that they make.
TOOLS = ("look", "paint", "erase")

#: Millimetres; a voxel is 0.625 or more.
BRUSHES = (1.0, 20.0)

_EFFECTS = {"look": SegmentationEffectNoTool, "paint": SegmentationEffectPaint, "erase": SegmentationEffectErase}

#: Frames a second of the view under the mouse and of the others, and JPEG quality while something moves: a slider far
#: from the views moves all of them.
_FPS, _OTHER_FPS, _QUALITY = 30.0, 25.0, 60

#: Without a GPU, trame_slicer's 8 samples a pixel take three times as long: 20 ms, not 6, for a slice of 560 x 420
#: pixels, and 60 ms, not 19, for the surface.
_SAMPLES = 0

_BACKGROUND = ("#0b0e13", "#1b2430")


class Views:
    """The scene and its views.

    Attributes:
        app: trame_slicer's application: scene, logics and views.
        tool: One of TOOLS.
    """

    def __init__(self, server: Any, on_moved: Callable[[str, dict[str, float]], None]) -> None:
        """Make the views.

        Args:
            server: trame's.
            on_moved: Called with a slice view's name and its position: "low", "high", "step" and "value", mm.
        """
        _silence_vtk()
        self.app = SlicerApp()
        self.tool = "look"
        manager = self.app.view_manager
        register_rca_factories(
            manager,
            server,
            slice_view_ui_f=_nothing,
            three_d_view_ui_f=_nothing,
            target_fps=_FPS,
            blur_fps=_OTHER_FPS,
            interactive_quality=_QUALITY,
        )
        self._slices: dict[str, SliceView] = {}
        for name in SLICES:
            view = manager.create_view(ViewLayoutDefinition.slice_view(name, color=COLORS[name]))
            view.render_window().SetMultiSamples(_SAMPLES)
            view.set_background_color_from_string("#000000")
            view.modified.connect(lambda moved, name=name: on_moved(name, _position(moved)))
            self._slices[name] = view
        self.volume = manager.create_view(ViewLayoutDefinition.threed_view(name=VOLUME, background_color=_BACKGROUND))
        self.volume.render_window().SetMultiSamples(_SAMPLES)
        self.volume.renderer().SetUseFXAA(True)
        manager.set_current_view_ids([*SLICES, VOLUME])
        crosshair = self.app.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        crosshair.SetCrosshairMode(crosshair.ShowSmallBasic)
        crosshair.SetCrosshairColor(1.0, 0.8, 0.1)  # as in Slicer; blue is what an answer would add

    @property
    def scene(self) -> Any:
        """The vtkMRMLScene."""
        return self.app.scene

    def fit(self) -> None:
        """Show all of the scan in every view, at its middle."""
        self.app.display_manager.reset_views()

    def zoom_out(self) -> None:
        """Show all of the scan in every view; the slices stay."""
        here = {name: view.get_slice_value() for name, view in self._slices.items()}
        self.fit()
        for name, value in here.items():
            self.move(name, value)

    def position(self, name: str) -> dict[str, float]:
        """Return where a slice view is; see `on_moved` of the constructor."""
        return _position(self._slices[name])

    def move(self, name: str, value: float) -> None:
        """Move a slice view to a position on its axis, mm."""
        self._slices[name].set_slice_value(value)

    def step(self, name: str, steps: int) -> None:
        """Move a slice view by some slices."""
        view = self._slices[name]
        low, high = view.get_slice_range()
        view.set_slice_value(min(max(view.get_slice_value() + steps * view.get_slice_step(), low), high))

    def place_at(self, name: str, right: float, down: float) -> Triple:
        """Return the place (LPS mm) under a point of a slice view.

        Args:
            name: Of the view.
            right, down: Where the point is from the left upper corner on, as fractions of the view's size.
        """
        node = self._slices[name].get_view_node()
        width, height, _ = node.GetDimensions()
        r, a, s, _ = node.GetXYToRAS().MultiplyPoint((right * width, (1 - down) * height, 0.0, 1.0))
        return -r, -a, s

    def redraw(self) -> None:
        """Draw all views anew, for a page that has just come."""
        for view in self.app.view_manager.get_views():
            view.schedule_render()


class Brush:
    """Paints and erases in the views: anywhere, or only where the uncertainty reaches the threshold."""

    def __init__(self, views: Views, on_stroke: Callable[[str], None]) -> None:
        """Call `on_stroke` with the tool's name whenever the segment may have changed."""
        self._views, self._editor = views, views.app.segmentation_editor
        self._attached = False
        self._editor.segmentation_modified.connect(lambda: on_stroke(views.tool) if self._attached else None)
        self._diameter, self._only_uncertain = 6.0, False

    def attach(self, nodes: CaseNodes, threshold: float) -> None:
        """Paint in a case."""
        self._editor.set_active_segmentation(nodes.reviewed, nodes.heatmap)
        self._editor.set_active_segment_id(nodes.segment_id)
        self._attached = True
        self.restrict(threshold)
        self.select_tool(self._views.tool)

    def detach(self) -> None:
        """Paint in no case."""
        self._attached = False
        self._editor.deactivate_effect()

    def restrict(self, threshold: float) -> None:
        """Set from which uncertainty on a voxel counts as uncertain: compared as float32, as the map is."""
        if self._attached:
            self._editor.editor_node.SetSourceVolumeIntensityMask(self._only_uncertain)
            self._editor.editor_node.SetSourceVolumeIntensityMaskRange(float(np.float32(threshold)), 1.01)

    def limit(self, only_uncertain: bool) -> None:
        """Paint uncertain voxels alone, or anywhere."""
        self._only_uncertain = only_uncertain
        if self._attached:
            self._editor.editor_node.SetSourceVolumeIntensityMask(only_uncertain)

    def select_tool(self, tool: str) -> None:
        """Select one of TOOLS."""
        self._views.tool = tool
        if self._attached:
            effect = self._editor.set_active_effect_type(_EFFECTS[tool])
            if tool != "look":
                effect.set_use_sphere_brush(True)
                effect.set_brush_diameter(self._diameter, BrushDiameterMode.Absolute)

    def resize(self, diameter: float) -> None:
        """Set the diameter of the ball, mm."""
        self._diameter = diameter
        self.select_tool(self._views.tool)


def _silence_vtk() -> None:
    """Keep VTK from warning of the missing display and of its own deprecations at every view."""
    if not os.environ.get("MTCTL_DEBUG"):
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)
        vtkObject.GlobalWarningDisplayOff()


def _nothing(*_: Any) -> None:
    """Draw nothing over a view: the page does that."""


def _position(view: SliceView) -> dict[str, float]:
    low, high = view.get_slice_range()
    return {"low": low, "high": high, "step": view.get_slice_step(), "value": view.get_slice_value()}
