"""Section 4: the embedded Segment Editor, which paints only where the user allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from mtctl.scene.nodes import is_in_scene
from mtctl.scene.types import Node
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.parameters import Painting
from MTCTLSegmentLib.review.current_review import CurrentReview

_EFFECTS = ("Paint", "Erase", "Draw", "Scissors", "Smoothing", "Islands")
_UNDO_STATES = 21  # 20 edits: the first undo keeps the present state as one, too.
_SINGLETON = "MTCTLSegment"

# A stroke modifies the segment several times; so long after the last time it is one edit.
_STROKE_MS = 30

# End of the ranges of intensities that may be painted: above every uncertainty.
# Never the beginning itself: the editor takes a range of equal ends for one that was never set, and replaces it.
_ABOVE_ALL = 2.0


class EditorPanel(Panel, VTKObservationMixin):
    """Connect the editor to the open review, and record its edits there."""

    def __init__(self, ui: Any, current: CurrentReview, edited: Callable[[], None]) -> None:
        """Edit nothing yet.

        Args:
            ui: The module's widgets.
            current: The open review.
            edited: Called when the segmentation was changed.
        """
        super().__init__()
        self._ui, self._current, self._edited = ui, current, edited
        self._has_answer: Callable[[], bool] = lambda: False
        self._take_back: Callable[[], bool] = lambda: False
        self._editor = editor = ui.segmentEditor
        self._restriction: tuple[Node, tuple[float, float] | None] | None = None
        self._restricting = self._entered = False
        # The node first: the masking section logs errors without one, and the editor wants it before the scene.
        editor.setMRMLSegmentEditorNode(self._node())
        editor.maskingSectionVisible = False
        editor.setMRMLScene(slicer.mrmlScene)
        # A click in the table selects another segment; only the reviewed one is edited here.
        editor.findChild(qt.QWidget, "SegmentsTableView").hide()
        # One pair of buttons is enough: ours, which are enabled when the editor's are.
        own = editor.findChild(qt.QWidget, "UndoRedoGroupBox")
        if own is not None:
            own.hide()
        editor.setEffectNameOrder(list(_EFFECTS))
        editor.unorderedEffectsVisible = False
        editor.maximumNumberOfUndoStates = _UNDO_STATES
        editor.autoShowSourceVolumeNode = False
        self._stroke = self.make_timer(_STROKE_MS, self._note_edit)
        self._history = self.make_timer(_STROKE_MS, self.show_history)
        self.connect((ui.undoButton, "clicked()", self.undo), (ui.redoButton, "clicked()", self.redo))
        self.listen(current, self.refresh)

    def close(self) -> None:
        """Release the editor from mouse and keys, and close the panel."""
        self.leave()
        self.detach()
        super().close()

    def enter(self) -> None:
        """Let mouse and keys reach the editor while the module is shown."""
        self._entered = True
        self._editor.setupViewObservations()
        self._editor.installKeyboardShortcuts()

    def leave(self) -> None:
        """Release mouse and keys: with Paint active the mouse would still paint in the next module."""
        self.settle()
        self._entered = False
        self._editor.setActiveEffect(None)
        self._editor.uninstallKeyboardShortcuts()
        self._editor.removeViewObservations()

    def settle(self) -> None:
        """Note the last stroke now, with the tool that is still active."""
        if self._stroke.isActive():
            self._stroke.stop()
            self._note_edit()

    def attach(self) -> None:
        """Edit the reviewed segment of the open case."""
        review = self._current.review
        reviewed = review.nodes.reviewed if review is not None else None
        if review is None or reviewed is None:
            self.detach()
            return
        self.removeObservers()
        self._restriction = None
        if slicer.mrmlScene.IsBatchProcessing():  # The editor would take it away at the end: see `keep_attached`.
            return
        nodes, editor = review.nodes, self._editor
        editor.setMRMLSegmentEditorNode(self._node())
        editor.setSegmentationNode(reviewed)
        editor.setCurrentSegmentID(nodes.segment_id)
        # A loaded scene sets the segmentation without an event; without one the history stays that of the scene before.
        self._node().Modified()
        self._node().SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        self.restrict()
        segmentation, events = reviewed.GetSegmentation(), slicer.vtkSegmentation
        # An edit fires the second, and not always the first; undo the first alone.
        for event in (events.SegmentModified, events.SourceRepresentationModified, events.SegmentRemoved):
            self.addObserver(segmentation, event, self._modified)
        self.addObserver(self._node(), vtk.vtkCommand.ModifiedEvent, self._apply_restriction)
        self.show_history()

    def keep_attached(self) -> None:
        """Attach again what the editor has let go of by itself: it does so at the end of a batch of changes."""
        review, editor = self._current.review, self._editor
        if review is None or self._current.parameters is None or not self._entered:
            return
        source = self._restriction[0] if self._restriction is not None else None
        if editor.segmentationNode() is not review.nodes.reviewed or editor.sourceVolumeNode() is not source:
            self.attach()

    def detach(self) -> None:
        """Edit nothing. Call this before the scene closes: with a brush in a view Slicer would crash."""
        self.removeObservers()
        self._stroke.stop()
        self._restriction = None
        self._editor.setActiveEffect(None)
        self._editor.setSourceVolumeNode(None)  # First: without a segmentation the editor would keep it.
        self._editor.setSegmentationNode(None)
        node = slicer.mrmlScene.GetSingletonNode(_SINGLETON, "vtkMRMLSegmentEditorNode")
        if node is not None:
            node.SetAndObserveSourceVolumeNode(None)  # Where the segmentation was deleted the editor kept it.
            # The editor falls back on any volume there is; the range would be taken on that one.
            node.SetSourceVolumeIntensityMask(False)

    def refresh(self) -> None:
        """Follow the open review."""
        review = self._current.review
        self._ui.correctSection.enabled = self._editor.enabled = review is not None
        self.show_history()
        self._history.start()  # Once more when the editor has noted what was changed just now.
        if review is not None and self._editor.segmentationNode() is review.nodes.reviewed:
            self.restrict()

    def restrict(self) -> None:
        """Allow painting where the parameter `painting` says."""
        review, parameters = self._current.review, self._current.parameters
        if review is None or parameters is None:
            return
        if parameters.painting == Painting.anywhere or review.nodes.heatmap is None:
            self._mask(review.nodes.scan, None)
        else:
            self._mask(review.nodes.heatmap, (parameters.threshold, _ABOVE_ALL))

    def take_back_first(self, has_answer: Callable[[], bool], take_back: Callable[[], bool]) -> None:
        """Have Undo take back an answer on its way before any step of the history.

        Args:
            has_answer: Whether there is one.
            take_back: Lets go of it, and returns whether there was one.
        """
        self._has_answer, self._take_back = has_answer, take_back

    def save_for_undo(self) -> None:
        """Begin a new step in the editor's history."""
        self._editor.saveStateForUndo()
        self.show_history()

    def note_answer(self) -> None:
        """Save and show that an answer was applied."""
        self._stroke.stop()
        self._edited()
        self._current.save_and_notify()

    def undo(self) -> None:
        """Undo the last change."""
        if not self._take_back():
            self._editor.undo()
        self.show_history()

    def redo(self) -> None:
        """Redo the last change that was undone."""
        self._editor.redo()
        self.show_history()

    def _mask(self, source: Node, allowed: tuple[float, float] | None) -> None:
        self._restriction = source, allowed
        self._apply_restriction()

    def _apply_restriction(self, *_event: Any) -> None:
        """Set the restriction and the reviewed segment again: keys of the editor (I, Q, W and others) change them.

        A stroke in another segment would be in no review, and one without the restriction anywhere.
        """
        review, node, editor = self._current.review, self._node(), self._editor
        if self._restricting or self._restriction is None or review is None:
            return
        source, allowed = self._restriction
        if node.GetSegmentationNode() is not review.nodes.reviewed:
            return
        if not is_in_scene(source):  # Deleted: `detach` follows, unless it can be made again.
            qt.QTimer.singleShot(0, self.refresh)
            return
        self._restricting = True  # Each line below is an event of the node, too.
        try:
            if node.GetSourceVolumeNode() is not source:
                editor.setSourceVolumeNode(source)
            node.SetSourceVolumeIntensityMask(allowed is not None)
            if allowed is not None:
                node.SetSourceVolumeIntensityMaskRange(*allowed)
            if review.nodes.reviewed.GetSegmentation().GetSegment(review.nodes.segment_id) is not None:
                editor.setCurrentSegmentID(review.nodes.segment_id)
        finally:
            self._restricting = False

    def show_history(self) -> None:
        """Enable Undo and Redo where there is something to undo and redo."""
        ui = self._ui
        for button, name, more in (
            (ui.undoButton, "UndoButton", self._has_answer()),
            (ui.takeBackButton, "UndoButton", self._has_answer()),
            (ui.redoButton, "RedoButton", False),
        ):
            known = self._editor.findChild(qt.QAbstractButton, name)
            button.enabled = self._current.review is not None and (known is None or bool(known.enabled) or more)

    def _modified(self, *_event: Any) -> None:
        self._stroke.start()

    def _note_edit(self) -> None:
        review = self._current.review
        if review is None:
            return
        if not self._current.check_nodes():  # The segment was taken out: no scene event says so.
            self.detach()
            self._current.notify()
            return
        effect = self._editor.activeEffect()
        kind = effect.name.lower() if effect else "undo" if self._entered else "elsewhere"
        with errors_shown():
            if noted := review.note_edit(kind):
                if noted == "undo" and self._take_back():
                    self._editor.redo()  # The editor's own key Z knows of nothing else, and went a step too far back.
                self._edited()
                self._current.save_and_notify()

    def _node(self) -> Node:
        node = slicer.mrmlScene.GetSingletonNode(_SINGLETON, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag(_SINGLETON)
            node = slicer.mrmlScene.AddNode(node)
        return node
