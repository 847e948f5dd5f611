"""A filter that keeps the module's own nodes out of its selectors.

A selector can only ask that a node has an attribute, not that it lacks one: so the others get one.
"""

from __future__ import annotations

from typing import Any

import slicer
from slicer.util import VTKObservationMixin

from mtctl.scene import ROLE
from MTCTLSegmentLib.panel import Panel

LISTED = "MTCTL.Listed"
_CLASSES = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode")


class ScanSelectorFilter(Panel, VTKObservationMixin):
    """Mark volumes and segmentations that this module did not make, when they are added."""

    def __init__(self, *selectors: Any) -> None:
        """Let the selectors list only marked nodes.

        Args:
            selectors: Node selectors that shall list only these.
        """
        super().__init__()
        for selector in selectors:
            for kind in selector.nodeTypes:
                selector.addAttribute(kind, LISTED, "1")
        events = slicer.vtkMRMLScene
        for event in (events.NodeAddedEvent, events.EndImportEvent, events.EndBatchProcessEvent):
            self.addObserver(slicer.mrmlScene, event, self._changed)
        self.tag()

    def close(self) -> None:
        """Stop marking."""
        self.removeObservers()
        super().close()

    def tag(self) -> None:
        """Mark the present nodes."""
        for kind in _CLASSES:
            for node in slicer.util.getNodesByClass(kind):
                wanted = None if node.GetAttribute(ROLE) else "1"
                if node.GetAttribute(LISTED) != wanted:
                    node.SetAttribute(LISTED, wanted)

    def _changed(self, *_event: Any) -> None:
        # At once: a node may be chosen in the turn in which it was loaded. Ours have their role before they are added.
        if not slicer.mrmlScene.IsImporting() and not slicer.mrmlScene.IsClosing():
            self.tag()
