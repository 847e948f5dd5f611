"""What the scene does, in the order in which the application is ready for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.util import VTKObservationMixin

from MTCTLSegmentLib.panel import Panel


class SceneFollower(Panel, VTKObservationMixin):
    """Call the module when the scene leaves, has arrived, has lost a node, or has settled after many changes."""

    def __init__(
        self,
        leaves: Callable[[], None],
        imports: Callable[[], None],
        arrived: Callable[[], None],
        removed: Callable[[], None],
        settled: Callable[[], None],
    ) -> None:
        """Follow the scene until `close`.

        Args:
            leaves: The scene is about to be closed.
            imports: Another scene is about to be read into it.
            arrived: It was closed, or read.
            removed: A node was removed, by itself.
            settled: All that belonged to one change was done, a turn of the event loop ago. The Segment Editor takes
                away at the end of a batch what was attached during it: `EndImportEvent` comes too early.
        """
        super().__init__()
        self._settled, self._removed = settled, removed
        self._timer = self.make_timer(0, self._settle)
        events = slicer.vtkMRMLScene
        for event, slot in (
            (events.StartCloseEvent, leaves),
            (events.StartImportEvent, imports),
            (events.EndCloseEvent, arrived),
            (events.EndImportEvent, arrived),
        ):
            self.addObserver(slicer.mrmlScene, event, _without_arguments(slot))
        self.addObserver(slicer.mrmlScene, events.NodeRemovedEvent, self._node_removed)
        self.addObserver(slicer.mrmlScene, events.EndBatchProcessEvent, self._batch_ended)

    def close(self) -> None:
        """Follow it no more."""
        self.removeObservers()
        super().close()

    def _node_removed(self, *_event: Any) -> None:
        if not slicer.mrmlScene.IsClosing() and not slicer.mrmlScene.IsBatchProcessing():
            self._removed()

    def _batch_ended(self, *_event: Any) -> None:
        self._timer.start()

    def _settle(self) -> None:
        if not slicer.mrmlScene.IsBatchProcessing():  # Else the end of that batch comes.
            self._settled()


def _without_arguments(function: Callable[[], None]) -> Callable[..., None]:
    def call(*_event: Any) -> None:
        function()

    return call
