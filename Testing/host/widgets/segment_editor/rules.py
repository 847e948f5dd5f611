"""What the application's Segment Editor does beside editing, as seen there."""

from __future__ import annotations

from typing import Any

import slicer

from ...pythonqt.slots import record_failure
from .base import SegmentEditor


class CrashOnClose:
    """Closing the scene with Paint active and the brush in a view ends the application with a segmentation fault.

    Setting the effect to None does not prevent it; taking the segmentation node and the view observations away while
    the scene starts to close does. The host records a failure instead of crashing.
    """

    def __init__(self, editor: SegmentEditor) -> None:
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


def set_mask_range_at_first(node: Any, source: Any) -> None:
    """An intensity mask that is on with a range of equal ends passes for one that nobody has set yet.

    The application then takes the middle half of the volume's values. It looks at every change of the node: such a
    range never lasts.
    """
    low, high = node.GetSourceVolumeIntensityMaskRange()
    if not node.GetSourceVolumeIntensityMask() or low != high:
        return
    image = None if source is None else source.GetImageData()
    lowest, highest = (0.0, 0.0) if image is None else image.GetScalarRange()
    quarter = 0.25 * (highest - lowest)
    node.SetSourceVolumeIntensityMaskRange(lowest + quarter, lowest + 3 * quarter)


def segment_beside(segmentation: Any, selected: str, offset: int) -> str:
    """The next segment (offset 1) or the one before (-1) in the table, of those that are shown."""
    display = None if segmentation is None else segmentation.GetDisplayNode()
    segments = [] if display is None else list(segmentation.GetSegmentation().GetSegmentIDs())
    if selected not in segments:
        return selected
    row = segments.index(selected)
    for _ in segments:
        row = (row + 1) % len(segments) if offset > 0 else max(0, row - 1)  # Round at the end, not at the beginning.
        if display.GetSegmentVisibility(segments[row]):
            return segments[row]
    return selected


def note_missing_node(node: Any, name: str) -> None:
    """Some properties need the editor's node: without one the application logs a critical error and goes on."""
    if node is None:
        record_failure(name, RuntimeError("Invalid segment editor parameter set node: set it before this property"))
