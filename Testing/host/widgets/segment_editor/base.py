"""What the parts of the Segment Editor use of the widget that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class EditorEffect(Protocol):
    """An effect, as the panel lists it."""

    name: str


class EditorBrush(EditorEffect, Protocol):
    """An effect that paints."""

    def paint_stroke(self, places: Sequence[Sequence[float]], radius_mm: float | None = None) -> None:
        """Paint one stroke; middles of the brush and its radius in mm, right-anterior-superior."""


class SegmentEditor(Protocol):
    """The editor widget, which is also the Qt parent of its parts. Its class does not derive from this one: a Qt class
    and a protocol differ in their metaclass."""

    logic: Any
    segmentationNodeSelectorVisible: bool
    sourceVolumeNodeSelectorVisible: bool
    addRemoveSegmentButtonsVisible: bool
    show3DButtonVisible: bool
    maskingSectionVisible: bool
    effectColumnCount: int

    def mrmlSegmentEditorNode(self) -> Any:
        """Return the node that holds what is edited and how, or None."""

    def segmentationNode(self) -> Any:
        """Return what is edited, or None."""

    def setSegmentationNode(self, node: Any) -> None:
        """Set what is edited."""

    def sourceVolumeNode(self) -> Any:
        """Return the volume that intensities are masked by, or None."""

    def setSourceVolumeNode(self, node: Any) -> None:
        """Set the volume that intensities are masked by."""

    def currentSegmentID(self) -> str:
        """Return which segment is edited; an empty text means none."""

    def setCurrentSegmentID(self, identifier: str) -> None:
        """Set which segment is edited."""

    def activeEffect(self) -> EditorEffect | None:
        """Return the effect that the mouse uses."""

    def setActiveEffect(self, effect: Any) -> None:
        """Choose an effect of this editor, or none."""

    def setActiveEffectByName(self, name: str) -> None:
        """Choose an effect by its name; "" means none."""

    def shown_effects(self) -> list[str]:
        """Return the effects that have a button, in order."""

    def effectCount(self) -> int:
        """Return how many effects have a button."""

    def effectByIndex(self, index: int) -> EditorEffect:
        """Return the effect of a button."""

    def saveStateForUndo(self) -> None:
        """Make one undo step from here."""

    def undo(self) -> None:
        """Go back by one step."""

    def redo(self) -> None:
        """Go forward again."""

    def toggleSourceVolumeIntensityMaskEnabled(self) -> None:
        """Switch the intensity mask."""

    def brush_is_live(self) -> bool:
        """Return whether a mouse click in a view would paint now."""

    def brush_effect(self) -> EditorBrush:
        """Return the active Paint or Erase."""

    def stored_labelmap(self) -> Any:
        """Return the labelmap that holds the selected segment."""

    def modify(
        self, segmentation: Any, segment: str, labelmap: Any, mode: int, extent: list[int], bypass: bool
    ) -> None:
        """Change a segment where the labelmap says so and, unless bypassed, the masks allow it."""
