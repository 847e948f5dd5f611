"""The Segment Editor of the stand-in behaves as the application's does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.host_example import CORNER, voxels

pytestmark = pytest.mark.host_self


class TestSegmentEditor:
    def test_painting_stays_within_the_intensity_mask(self, slicer: Any, editor: Any, scan: Any) -> None:
        editor.activeEffect().paint_at(CORNER, 8)
        painted = voxels(slicer, editor)
        assert painted.sum() > 500
        assert not painted[slicer.util.arrayFromVolume(scan) < 0.5].any()

    def test_erasing_stays_within_the_intensity_mask(self, slicer: Any, editor: Any, scan: Any) -> None:
        node = editor.mrmlSegmentEditorNode()
        node.SetSourceVolumeIntensityMask(False)
        editor.activeEffect().paint_at(CORNER, 8)
        before = voxels(slicer, editor)
        node.SetSourceVolumeIntensityMask(True)
        editor.setActiveEffectByName("Erase")
        editor.activeEffect().paint_at(CORNER, 20)
        bright = slicer.util.arrayFromVolume(scan) >= 0.5
        assert np.array_equal(voxels(slicer, editor), before & ~bright)

    def test_the_mouse_paints_in_a_slice_view(self, host: Any, slicer: Any, editor: Any) -> None:
        editor.activeEffect().setCommonParameter("BrushAbsoluteDiameter", 6)
        host.stroke("Red", [(20.0, 25.0, 20.0), (30.0, 25.0, 20.0), (40.0, 25.0, 20.0)])
        painted = voxels(slicer, editor)
        assert painted[20, 25, [20, 30, 40]].all()
        editor.undo()
        assert not voxels(slicer, editor).any()

    def test_every_stroke_is_one_undo_step_even_if_it_changes_nothing(self, slicer: Any, editor: Any) -> None:
        editor.activeEffect().paint_at(CORNER, 8)
        painted = voxels(slicer, editor)
        editor.activeEffect().paint_at((3.0, 3.0, 3.0), 2)
        editor.undo()
        assert np.array_equal(voxels(slicer, editor), painted)
        editor.undo()
        assert not voxels(slicer, editor).any()
        editor.redo()
        assert np.array_equal(voxels(slicer, editor), painted)

    def test_a_proposal_goes_through_the_editors_own_history(self, slicer: Any, editor: Any, scan: Any) -> None:
        proposal = (slicer.util.arrayFromVolume(scan) >= 0.5).astype(np.uint8)
        editor.saveStateForUndo()
        slicer.util.updateSegmentBinaryLabelmapFromArray(proposal, editor.segmentationNode(), "LA", scan)
        assert voxels(slicer, editor).sum() == proposal.sum()
        editor.undo()
        assert not voxels(slicer, editor).any()

    def test_an_effect_can_be_given_a_labelmap(self, slicer: Any, editor: Any, scan: Any) -> None:
        effect = editor.activeEffect()
        effect.saveStateForUndo()
        effect.defaultModifierLabelmap()
        labelmap = effect.modifierLabelmap()
        scalars = labelmap.GetPointData().GetScalars()
        scalars.Fill(1)
        labelmap.Modified()
        effect.modifySelectedSegmentByLabelmap(labelmap, slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeAdd)
        assert np.array_equal(voxels(slicer, editor), slicer.util.arrayFromVolume(scan) >= 0.5)

    def test_the_mouse_still_paints_until_the_view_observations_are_removed(
        self, host: Any, slicer: Any, editor: Any
    ) -> None:
        effect = editor.activeEffect()
        host.leave()
        effect.paint_at(CORNER, 8)
        painted = voxels(slicer, editor)
        assert painted.any()
        editor.removeViewObservations()
        effect.paint_at((40.0, 30.0, 20.0), 8)
        assert np.array_equal(voxels(slicer, editor), painted)

    def test_closing_the_scene_with_the_brush_in_a_view_is_a_crash(self, host: Any, slicer: Any, editor: Any) -> None:
        editor.activeEffect().paint_at(CORNER, 8)
        slicer.mrmlScene.Clear(0)
        assert "segmentation fault" in str(host.failures[0])
        host.failures.clear()

    def test_taking_the_segmentation_away_prevents_the_crash(self, slicer: Any, editor: Any) -> None:
        editor.activeEffect().paint_at(CORNER, 8)

        def prevent(*_: Any) -> None:
            editor.setSegmentationNode(None)
            editor.removeViewObservations()

        tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.StartCloseEvent, prevent)
        slicer.mrmlScene.Clear(0)
        slicer.mrmlScene.RemoveObserver(tag)
        assert editor.mrmlSegmentEditorNode().GetScene() is not None
        assert not editor.mrmlSegmentEditorNode().GetSourceVolumeIntensityMask()

    def test_the_source_becomes_another_volume_when_it_is_deleted(self, slicer: Any, editor: Any, scan: Any) -> None:
        heat = slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(scan), name="heat")
        editor.setSourceVolumeNode(heat)
        slicer.mrmlScene.RemoveNode(heat)
        assert editor.sourceVolumeNode() is scan
        assert editor.mrmlSegmentEditorNode().GetSourceVolumeIntensityMask()

    def test_an_intensity_range_of_equal_ends_becomes_the_middle_half_of_the_volumes_values(
        self, slicer: Any, editor: Any
    ) -> None:
        node = editor.mrmlSegmentEditorNode()
        whole = (slicer.util.arrayFromVolume(slicer.util.getNode("scan")) > 0.5).astype(np.uint8)
        editor.setSourceVolumeNode(slicer.util.addVolumeFromArray(whole, name="allowed"))
        node.SetSourceVolumeIntensityMaskRange(1.0, 1.0)
        assert node.GetSourceVolumeIntensityMaskRange() == (0.25, 0.75)
        editor.activeEffect().paint_at(CORNER, 8)
        painted = voxels(slicer, editor)  # Whole numbers are compared with whole numbers: 0 to 0.
        assert painted.any() and not painted[whole != 0].any()
        node.SetSourceVolumeIntensityMaskRange(1.0, 2.0)
        assert node.GetSourceVolumeIntensityMaskRange() == (1.0, 2.0)

    def test_the_editors_keys_switch_the_mask_and_select_other_segments(
        self, host: Any, slicer: Any, editor: Any
    ) -> None:
        node, segmentation = editor.mrmlSegmentEditorNode(), editor.segmentationNode()
        for name in ("B", "C"):
            segmentation.GetSegmentation().AddEmptySegment(name, name)
        segmentation.GetDisplayNode().SetSegmentVisibility("B", False)
        editor.installKeyboardShortcuts()
        host.press("I")
        assert not node.GetSourceVolumeIntensityMask()
        selected = []
        for key in "WWQQ":
            host.press(key)
            selected.append(node.GetSelectedSegmentID())
        editor.uninstallKeyboardShortcuts()
        assert selected == ["C", "LA", "LA", "LA"]

    def test_without_a_segmentation_an_order_about_the_source_volume_is_passed_over(
        self, editor: Any, scan: Any
    ) -> None:
        segmentation = editor.segmentationNode()
        editor.setSegmentationNode(None)
        editor.setSourceVolumeNode(None)
        assert editor.sourceVolumeNode() is scan
        editor.setSegmentationNode(segmentation)
        editor.setSourceVolumeNode(None)
        assert editor.sourceVolumeNode() is None

    def test_the_masking_section_wants_the_editors_node_first(self, host: Any, slicer: Any) -> None:
        widget = slicer.qMRMLSegmentEditorWidget()
        widget.maskingSectionVisible = False
        assert "maskingSectionVisible" in str(host.failures[0])
        host.failures.clear()

    def test_what_is_attached_during_a_batch_of_changes_is_detached_at_its_end(
        self, host: Any, slicer: Any, editor: Any, scan: Any
    ) -> None:
        segmentation, scene = editor.segmentationNode(), slicer.mrmlScene
        editor.setSegmentationNode(None)
        scene.StartState(scene.BatchProcessState)
        new = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "that came with the batch")
        editor.setSegmentationNode(new)
        scene.EndState(scene.BatchProcessState)
        assert editor.segmentationNode() is None
        editor.setSegmentationNode(segmentation)
        editor.setSourceVolumeNode(scan)
        scene.StartState(scene.BatchProcessState)
        scene.EndState(scene.BatchProcessState)
        assert editor.segmentationNode() is segmentation and editor.sourceVolumeNode() is scan

    def test_it_grows_when_the_options_of_an_effect_open(self, host: Any, editor: Any) -> None:
        editor.setActiveEffect(None)
        host.process_events()
        narrow = editor.minimumSizeHint.width()
        editor.setActiveEffectByName("Paint")
        host.process_events()
        assert editor.minimumSizeHint.width() > narrow + 50

    def test_only_the_effects_asked_for_are_shown(self, editor: Any) -> None:
        editor.setEffectNameOrder(["Erase", "Paint"])
        editor.unorderedEffectsVisible = False
        assert [editor.effectByIndex(index).name for index in range(editor.effectCount())] == ["Erase", "Paint"]

    def test_undo_states_are_limited(self, slicer: Any, editor: Any) -> None:
        editor.maximumNumberOfUndoStates = 2
        for offset in range(4):
            editor.activeEffect().paint_at((15.0 + 8 * offset, 25.0, 20.0), 3)
        for _ in range(6):
            editor.undo()
        assert voxels(slicer, editor).any()
