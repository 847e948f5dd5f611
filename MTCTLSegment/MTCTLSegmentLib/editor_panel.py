"""Section 4, lower part: the embedded Segment Editor, which paints only where it may, and whose history is the one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.util import VTKObservationMixin

from mtctl import scene
from MTCTLSegmentLib.choices import Restrict
from MTCTLSegmentLib.desk import Desk
from MTCTLSegmentLib.messages import telling

_EFFECTS = ("Paint", "Erase", "Draw", "Scissors", "Smoothing", "Islands")
_UNDO_STATES = 21  # 20 edits: the first undo keeps the present state as one, too.
_SINGLETON = "MTCTLSegment"

# A stroke modifies the segment several times; so long after the last time it is one edit.
_STROKE_MS = 30


class EditorPanel(VTKObservationMixin):
    """Ties the editor to the open case, and notes in the review what was edited."""

    def __init__(self, ui: Any, desk: Desk, edited: Callable[[], None]) -> None:
        super().__init__()
        self._ui, self._desk, self._edited = ui, desk, edited
        self._editor = editor = ui.segmentEditor
        self._region: int | None = None
        self._made_for: tuple[Any, ...] = ()
        editor.setEffectNameOrder(list(_EFFECTS))
        editor.unorderedEffectsVisible = False
        editor.maximumNumberOfUndoStates = _UNDO_STATES
        editor.autoShowSourceVolumeNode = False
        self._stroke = qt.QTimer()
        self._stroke.setSingleShot(True)
        self._stroke.setInterval(_STROKE_MS)
        self._slots = (
            (self._stroke, "timeout()", self._note_edit),
            (ui.undoButton, "clicked()", self.undo),
            (ui.redoButton, "clicked()", self.redo),
        )
        for sender, signal, slot in self._slots:
            sender.connect(signal, slot)
        desk.listen(self.refresh)

    def close(self) -> None:
        """The panel is no more: neither mouse nor keys reach the editor."""
        self.leave()
        self.detach()
        self._stroke.stop()
        for sender, signal, slot in self._slots:
            sender.disconnect(signal, slot)

    def enter(self) -> None:
        """The module came to the front."""
        self._editor.setupViewObservations()
        self._editor.installKeyboardShortcuts()

    def leave(self) -> None:
        """Another module comes to the front: with Paint active the mouse would still paint there."""
        self._editor.setActiveEffect(None)
        self._editor.uninstallKeyboardShortcuts()
        self._editor.removeViewObservations()

    def attach(self) -> None:
        """Edit the reviewed segment of the open case."""
        review = self._desk.review
        if review is None:
            self.detach()
            return
        self.removeObservers()
        nodes, editor = review.nodes, self._editor
        editor.setMRMLSegmentEditorNode(self._node())
        editor.setSegmentationNode(nodes.reviewed)
        editor.setCurrentSegmentID(nodes.segment_id)
        self._node().SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        self._made_for = ()
        self.restrict()
        segmentation, events = nodes.reviewed.GetSegmentation(), slicer.vtkSegmentation
        # An edit fires the second, and not always the first; undo the first alone.
        for event in (events.SegmentModified, events.SourceRepresentationModified, events.SegmentRemoved):
            self.addObserver(segmentation, event, self._modified)

    def detach(self) -> None:
        """Edit nothing. Before the scene closes: with a brush in a view Slicer would crash else."""
        self.removeObservers()
        self._stroke.stop()
        self._made_for = ()
        self._editor.setActiveEffect(None)
        self._editor.setSegmentationNode(None)
        self._editor.setSourceVolumeNode(None)
        node = slicer.mrmlScene.GetSingletonNode(_SINGLETON, "vtkMRMLSegmentEditorNode")
        if node is not None:  # The editor falls back on any volume there is; the range would be taken on that one.
            node.SetSourceVolumeIntensityMask(False)

    def refresh(self) -> None:
        """The current region, or its extent, may be another one."""
        review = self._desk.review
        for button in (self._ui.undoButton, self._ui.redoButton, self._editor):
            button.enabled = review is not None
        if review is not None and self._editor.segmentationNode() is review.nodes.reviewed:
            self.restrict()

    def restrict(self) -> None:
        """Allow painting where the user chose it to be allowed."""
        review, parameters = self._desk.review, self._desk.parameters
        if review is None or parameters is None:
            return
        current = review.session.current
        if parameters.restrict == Restrict.anywhere or review.nodes.heatmap is None:
            self._mask(review.nodes.scan, None)
        elif parameters.restrict == Restrict.region and current is not None:
            wanted = (current.id, review.session.state.threshold)
            if self._made_for != wanted:
                allowed = review.session.paintable(current.id)
                self._mask(scene.paintable_node(review.nodes, allowed), (1.0, 1.0))
                self._made_for = wanted
        else:
            self._mask(review.nodes.heatmap, (parameters.threshold, 1.0))

    def save_for_undo(self) -> None:
        """One step of the editor's history begins here."""
        self._editor.saveStateForUndo()

    def changed_by_us(self) -> None:
        """A suggestion was used and noted."""
        self._stroke.stop()
        self._edited()
        self._desk.acted()

    def undo(self) -> None:
        """Take the last change back."""
        self._editor.undo()

    def redo(self) -> None:
        """Make it again."""
        self._editor.redo()

    def _mask(self, source: Any, allowed: tuple[float, float] | None) -> None:
        self._made_for = ()
        node = self._node()
        if self._editor.sourceVolumeNode() is not source:
            self._editor.setSourceVolumeNode(source)
        node.SetSourceVolumeIntensityMask(allowed is not None)
        if allowed is not None:
            node.SetSourceVolumeIntensityMaskRange(*allowed)

    def _modified(self, *_event: Any) -> None:
        self._stroke.start()

    def _note_edit(self) -> None:
        review = self._desk.review
        if review is None:
            return
        if not self._desk.look_around():  # The segment was taken out: no scene event says so.
            self.detach()
            self._desk.changed()
            return
        effect = self._editor.activeEffect()
        with telling():
            if review.note_edit(effect.name.lower() if effect else "undo") is not None:
                self._edited()
                self._desk.acted()

    def _node(self) -> Any:
        node = slicer.mrmlScene.GetSingletonNode(_SINGLETON, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag(_SINGLETON)
            node = slicer.mrmlScene.AddNode(node)
        return node
