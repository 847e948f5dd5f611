"""A click of the person in a slice view, as a place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from mtctl.geometry import Triple
from mtctl.scene.nodes import is_in_scene

_CLASS = "vtkMRMLMarkupsFiducialNode"


class ClickPlace(VTKObservationMixin):
    """Wait for one click, in the application's mode for placing one point."""

    def __init__(self, clicked: Callable[[Triple], None], ended: Callable[[], None]) -> None:
        """Wait for nothing yet.

        Args:
            clicked: Called with the place in LPS mm, once the application is through with the click.
            ended: Called when the click has come or is waited for no more.
        """
        super().__init__()
        self._clicked, self._ended = clicked, ended
        self._node: Any = None
        self._place: Triple | None = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._finish)

    @property
    def waiting(self) -> bool:
        """Whether a click is waited for."""
        return self._node is not None

    def wait(self) -> None:
        """Wait for a click; one that was waited for before is not any more."""
        self.stop()
        node = slicer.mrmlScene.AddNewNodeByClass(_CLASS, _("Answer"))
        node.SetSaveWithScene(False)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetPointLabelsVisibility(False)
        node.GetDisplayNode().SetSaveWithScene(False)
        self._node, self._place = node, None
        selection = slicer.app.applicationLogic().GetSelectionNode()
        selection.SetReferenceActivePlaceNodeClassName(_CLASS)
        selection.SetActivePlaceNodeID(node.GetID())
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(interaction.Place)
        self.addObserver(node, node.PointPositionDefinedEvent, self._placed)
        self.addObserver(interaction, interaction.InteractionModeChangedEvent, self._mode_changed)

    def stop(self) -> None:
        """Wait no more."""
        node, self._node = self._node, None
        self._timer.stop()
        if node is None:
            return
        self.removeObservers()
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        if interaction is not None and interaction.GetCurrentInteractionMode() == interaction.Place:
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        if is_in_scene(node):
            slicer.mrmlScene.RemoveNode(node)
        self._ended()

    def close(self) -> None:
        """Wait no more, and let go of the timer."""
        self.stop()
        self._timer.disconnect("timeout()", self._finish)

    def _placed(self, *_event: Any) -> None:
        ras = [0.0] * 3
        self._node.GetNthControlPointPositionWorld(0, ras)
        self._place = (-ras[0], -ras[1], ras[2])
        self._timer.start()  # The node cannot be removed in the middle of its own event.

    def _mode_changed(self, *_event: Any) -> None:
        self._timer.start()  # After the click, or by the Esc key without one.

    def _finish(self) -> None:
        place = self._place
        self.stop()
        if place is not None:
            self._clicked(place)
