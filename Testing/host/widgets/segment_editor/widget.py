"""qMRMLSegmentEditorWidget: the application's embedded Segment Editor, on the real vtkSlicerSegmentEditorLogic."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from ...pythonqt.connections import Alias
from ..mrml_widget import qMRMLWidget
from ..properties import Setters, stored
from .effects import BrushEffect, make_effects, qSlicerSegmentEditorAbstractEffect
from .mouse import BrushMouse
from .panel import SegmentEditorPanel
from .rules import (
    CrashOnClose,
    note_missing_node,
    scan_for,
    set_mask_range_at_first,
    show_in_slice_views,
)

LATE = -100.0  # priority of observers that run after the module's own
EARLY = 100.0  # and of those that run before the selectors have looked at the scene


class qMRMLSegmentEditorWidget(Setters, qMRMLWidget):
    """The editor: a node says what is edited and how it is masked; effects do the editing."""

    currentSegmentIDChanged = QtCore.Signal(str)
    sourceVolumeNodeChanged = QtCore.Signal(object)
    segmentationNodeChanged = QtCore.Signal(object)
    SIGNATURES = {  # noqa: RUF012
        "sourceVolumeNodeChanged(vtkMRMLVolumeNode*)": Alias("sourceVolumeNodeChanged(PyObject)"),
        "segmentationNodeChanged(vtkMRMLSegmentationNode*)": Alias("segmentationNodeChanged(PyObject)"),
    }

    segmentationNodeSelectorVisible = stored(bool, "segmentationNodeSelectorVisible", True, "_update")
    sourceVolumeNodeSelectorVisible = stored(bool, "sourceVolumeNodeSelectorVisible", True, "_update")
    switchToSegmentationsButtonVisible = stored(bool, "switchToSegmentationsButtonVisible", True, "_update")
    addRemoveSegmentButtonsVisible = stored(bool, "addRemoveSegmentButtonsVisible", True, "_update")
    show3DButtonVisible = stored(bool, "show3DButtonVisible", True, "_update")
    maskingSectionVisible = stored(bool, "maskingSectionVisible", True, "_show_masking")
    autoShowSourceVolumeNode = stored(bool, "autoShowSourceVolumeNode", True)
    undoEnabled = stored(bool, "undoEnabled", True, "_update")
    maximumNumberOfUndoStates = stored(int, "maximumNumberOfUndoStates", 5, "_set_undo_states")
    readOnly = stored(bool, "readOnly", False, "_update")
    effectColumnCount = stored(int, "effectColumnCount", 2, "_update")
    effectButtonStyle = stored(int, "effectButtonStyle", 2, "_update")
    unorderedEffectsVisible = stored(bool, "unorderedEffectsVisible", True, "_update")
    defaultTerminologyEntry = stored(str, "defaultTerminologyEntry", "")
    defaultTerminologyEntrySettingsKey = stored(str, "defaultTerminologyEntrySettingsKey", "")
    jumpToSelectedSegmentEnabled = stored(bool, "jumpToSelectedSegmentEnabled", False)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self._node: Any = None
        self._node_tag = 0
        self._order: list[str] = []
        self._active: qSlicerSegmentEditorAbstractEffect | None = None
        self._mouse = BrushMouse(self)
        self._observing_views = False
        self._segmentation: Any = None
        self._segmentation_tags: list[int] = []
        self._source: Any = None
        self._source_taken_away = False
        self._effects = make_effects(self)
        self._crash = CrashOnClose(self)
        self._panel = SegmentEditorPanel(self)
        self._set_undo_states()
        self._update()

    def setMRMLScene(self, scene: Any) -> None:
        """The scene to edit in."""
        super().setMRMLScene(scene)
        self.logic.SetMRMLScene(scene)
        self._panel.setMRMLScene(scene)
        events = slicer.vtkMRMLScene
        scene.AddObserver(events.StartCloseEvent, lambda *_: self._crash.check(), LATE)
        scene.AddObserver(events.NodeRemovedEvent, lambda *_: self._follow_node(), LATE)
        scene.AddObserver(events.EndCloseEvent, lambda *_: self._follow_node(), LATE)
        scene.AddObserver(events.EndBatchProcessEvent, lambda *_: self._take_selectors(), EARLY)
        self._follow_node()

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        """The node that holds what is edited and how."""
        if self._node is not None:
            self._node.RemoveObserver(self._node_tag)
        self._node = node
        self.logic.SetSegmentEditorNode(node)
        if node is not None:
            self._node_tag = node.AddObserver("ModifiedEvent", lambda *_: self._follow_node())
        self._follow_node()

    def mrmlSegmentEditorNode(self) -> Any:
        """The node."""
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        """What to edit. Without a segment chosen, the first is."""
        if self._node is None:
            return
        self._node.SetAndObserveSegmentationNode(node)
        self.logic.SetSegmentationNode(node)
        if node is None:
            self.setActiveEffect(None)
        elif not self._node.GetSelectedSegmentID() and node.GetSegmentation().GetNumberOfSegments():
            self.setCurrentSegmentID(node.GetSegmentation().GetNthSegmentID(0))

    def segmentationNode(self) -> Any:
        """What is edited."""
        return None if self._node is None else self._node.GetSegmentationNode()

    def setSourceVolumeNode(self, node: Any) -> None:
        """The volume that intensities are masked by, among others; without a segmentation the order is passed over."""
        if self._node is None or self.segmentationNode() is None:
            return
        self._source_taken_away = node is None
        self._node.SetAndObserveSourceVolumeNode(node)
        self.logic.SetSourceVolumeNode(node)
        if node is not None and self.autoShowSourceVolumeNode:
            show_in_slice_views(node)

    def sourceVolumeNode(self) -> Any:
        """The source volume."""
        return None if self._node is None else self._node.GetSourceVolumeNode()

    def setSegmentationNodeID(self, identifier: str) -> None:
        """As :meth:`setSegmentationNode`."""
        self.setSegmentationNode(self.mrmlScene().GetNodeByID(identifier))

    def setSourceVolumeNodeID(self, identifier: str) -> None:
        """As :meth:`setSourceVolumeNode`."""
        self.setSourceVolumeNode(self.mrmlScene().GetNodeByID(identifier))

    def setCurrentSegmentID(self, identifier: str) -> None:
        """Which segment to edit."""
        if self._node is not None and self._node.GetSelectedSegmentID() != identifier:
            self._node.SetSelectedSegmentID(identifier)
            self.currentSegmentIDChanged.emit(identifier)

    def currentSegmentID(self) -> str:
        """Which segment is edited."""
        return "" if self._node is None else self._node.GetSelectedSegmentID() or ""

    def activeEffect(self) -> qSlicerSegmentEditorAbstractEffect | None:
        """The effect that the mouse uses."""
        return self._active

    def setActiveEffect(self, effect: qSlicerSegmentEditorAbstractEffect | None) -> None:
        """Chooses an effect, or none; without a segmentation and a source volume none can be chosen."""
        if effect is not None and (self.segmentationNode() is None or self.sourceVolumeNode() is None):
            effect = None
        self._active = effect
        if self._node is not None:
            self._node.SetActiveEffectName("" if effect is None else effect.name)
        self._update()

    def setActiveEffectByName(self, name: str) -> None:
        """Chooses an effect by its name; an unknown one, or "", means none."""
        self.setActiveEffect(self._effects.get(name or ""))

    def effectByName(self, name: str) -> qSlicerSegmentEditorAbstractEffect | None:
        """An effect by its name."""
        return self._effects.get(name)

    def availableEffectNames(self) -> list[str]:
        """All effects."""
        return list(self._effects)

    def setEffectNameOrder(self, names: list[str]) -> None:
        """Which effects come first; without :attr:`unorderedEffectsVisible` only they are shown."""
        self._order = list(names)
        self._update()

    def effectNameOrder(self) -> list[str]:
        """The order as it was set."""
        return list(self._order)

    def shown_effects(self) -> list[str]:
        """The effects that have a button, in order."""
        ordered = [name for name in self._order if name in self._effects]
        others = [name for name in self._effects if name not in ordered]
        return ordered + (others if self.unorderedEffectsVisible else [])

    def effectCount(self) -> int:
        """How many effects have a button."""
        return len(self.shown_effects())

    def effectByIndex(self, index: int) -> qSlicerSegmentEditorAbstractEffect:
        """The effect of a button."""
        return self._effects[self.shown_effects()[index]]

    def setupViewObservations(self) -> None:
        """From now on the mouse in the views reaches the active effect."""
        self._observing_views = True
        self._mouse.watch()

    def removeViewObservations(self) -> None:
        """The mouse in the views is left to others."""
        self._observing_views = False
        self._mouse.leave()
        self._crash.brush_left()

    def saveStateForUndo(self) -> None:
        """One undo step from here."""
        if self.undoEnabled:
            self.logic.SaveStateForUndo()
            self._update()

    def undo(self) -> None:
        """Back by one step."""
        self.logic.Undo()
        self._update()

    def redo(self) -> None:
        """Forward again."""
        self.logic.Redo()
        self._update()

    def toggleSourceVolumeIntensityMaskEnabled(self) -> None:
        """Switches the intensity mask."""
        self.logic.ToggleSourceVolumeIntensityMask()

    def updateWidgetFromMRML(self) -> None:
        """Shows what the nodes say."""
        self._follow_node()

    def rotateSliceViewsToSegmentation(self) -> None:
        """Turns the slice views along the segmentation's axes; here they are taken to be so."""

    def installKeyboardShortcuts(self, parent: QtWidgets.QWidget | None = None) -> None:
        """The editor's keys: undo, redo, effects and segments."""
        self._panel.install_shortcuts(parent or slicer.util.mainWindow()._qt)

    def uninstallKeyboardShortcuts(self) -> None:
        """No keys any more."""
        self._panel.uninstall_shortcuts()

    def brush_is_live(self) -> bool:
        """For the effects: whether a mouse click in a view would paint now."""
        live = isinstance(self._active, BrushEffect) and self._observing_views and bool(self.currentSegmentID())
        if live:
            self._crash.brush_entered()
        return live

    def brush_effect(self) -> BrushEffect:
        """For tests: the active Paint or Erase.

        Raises:
            RuntimeError: when neither is active: a click in a view would move the view instead.
        """
        if not isinstance(self._active, BrushEffect):
            raise RuntimeError("neither Paint nor Erase is the active effect")
        return self._active

    def stored_labelmap(self) -> Any:
        """For the effects: the labelmap that holds the selected segment."""
        segment = self.segmentationNode().GetSegmentation().GetSegment(self.currentSegmentID())
        return segment.GetRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName())

    def modify(
        self, segmentation: Any, segment: str, labelmap: Any, mode: int, extent: list[int], bypass: bool
    ) -> None:
        """For the effects: the edit itself."""
        logic = self.logic
        modes = (
            logic.ModificationModeSet,
            logic.ModificationModeAdd,
            logic.ModificationModeRemove,
            logic.ModificationModeRemoveAll,
        )
        logic.UpdateAlignedSourceVolume()
        logic.ModifySegmentByLabelmap(segmentation, segment, labelmap, modes[mode], extent, False, bypass)
        self._update()

    def _take_selectors(self) -> None:
        """As onMRMLSceneEndBatchProcessEvent: what the selectors show counts, not what was set during the batch.

        They list nothing that came during it: what a module attached at the end of an import is detached again.
        """
        segmentation, source = self._panel.selected()
        if self.segmentationNode() is not segmentation:
            self.setSegmentationNode(segmentation)
        if self.sourceVolumeNode() is not source:
            self.setSourceVolumeNode(source)
        self._follow_node()

    def _follow_node(self) -> None:
        """The node changed, or a node that it points to is gone."""
        if self._node is None or self.mrmlScene() is None or self.mrmlScene().IsClosing():
            return
        segmentation, source = self.segmentationNode(), self.sourceVolumeNode()
        lost = source is None and self._source is not None and not self._source_taken_away
        if lost and segmentation is not None:
            # The application's selector moves on to another volume by itself; the mask is on its intensities now.
            source = scan_for(self.mrmlScene())
            self._node.SetAndObserveSourceVolumeNode(source)
        if segmentation is not self._segmentation:
            for tag in self._segmentation_tags:
                self._segmentation.GetSegmentation().RemoveObserver(tag)
            self._segmentation = segmentation
            self._segmentation_tags = self._follow_history(segmentation)
            self.logic.SetSegmentationNode(segmentation)
            self.segmentationNodeChanged.emit(segmentation)
        if source is not self._source:
            self._source = source
            self.logic.SetSourceVolumeNode(source)
            self.sourceVolumeNodeChanged.emit(source)
        if segmentation is None or source is None:
            self._active = None
        set_mask_range_at_first(self._node, source)
        self._update()

    def _follow_history(self, node: Any) -> list[int]:
        """Undo and redo follow what is changed, by whomever."""
        if node is None:
            return []
        segmentation, events = node.GetSegmentation(), slicer.vtkSegmentation
        followed = (events.SegmentModified, events.SourceRepresentationModified)
        return [segmentation.AddObserver(event, lambda *_: self._panel.show_history(), LATE) for event in followed]

    def _show_masking(self) -> None:
        note_missing_node(self._node, "maskingSectionVisible")
        self._update()

    def _set_undo_states(self) -> None:
        self.logic.SetMaximumNumberOfUndoStates(self.maximumNumberOfUndoStates)

    def _update(self) -> None:
        self._panel.show_state()
