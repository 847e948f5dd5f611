"""What the application's Segment Editor does beside editing, as seen there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer

from ..pythonqt.slots import record_failure

if TYPE_CHECKING:
    from .segment_editor import qMRMLSegmentEditorWidget


class CrashOnClose:
    """Closing the scene with Paint active and the brush in a view ends the application with a segmentation fault.

    Setting the effect to None does not prevent it; taking the segmentation node and the view observations away while
    the scene starts to close does. The host records a failure instead of crashing.
    """

    def __init__(self, editor: qMRMLSegmentEditorWidget) -> None:
        self._editor = editor
        self._brush_in_view = False

    def brush_entered(self) -> None:
        """The mouse came into a view with a brush."""
        self._brush_in_view = True

    def brush_left(self) -> None:
        """The view observations were removed."""
        self._brush_in_view = False

    def check(self) -> None:
        """The scene starts to close, and the module's own observers have run."""
        if self._brush_in_view and self._editor.segmentationNode() is not None:
            reason = "the scene was closed with Paint or Erase in a view: see slicer-app.md, Embedded Segment Editor"
            record_failure("segmentation fault in the application", RuntimeError(reason))
        self._brush_in_view = False


def scan_for(scene: Any) -> Any:
    """The volume that the editor's selector falls back on when the source volume is deleted: the first there is."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene):
        if not node.IsA("vtkMRMLLabelMapVolumeNode") and not node.GetHideFromEditors():
            return node
    return None


def show_in_slice_views(volume: Any) -> None:
    """What ``autoShowSourceVolumeNode`` does: the volume becomes the background where no layer shows it."""
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if volume.GetID() not in (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()):
            composite.SetBackgroundVolumeID(volume.GetID())
