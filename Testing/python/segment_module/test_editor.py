"""The embedded Segment Editor edits the reviewed segment alone, where it may, whatever its own keys do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.segment_module import arrive, border_place, load_scan, mask, settle

pytestmark = pytest.mark.host

KEYS = ("I", "Q", "W", "/", "*", ",", ".", "<", ">")


def mask_range(module: Any) -> tuple[float, float] | None:
    """The intensities that may be painted, after the application looked at the editor's node once more."""
    node = module.ui.segmentEditor.mrmlSegmentEditorNode()
    node.Modified()
    return tuple(node.GetSourceVolumeIntensityMaskRange()) if node.GetSourceVolumeIntensityMask() else None


def paint_large(host: Any, module: Any, case: Any) -> np.ndarray:
    """A click of a very large brush at the border; the voxels that changed."""
    before = mask(case)
    editor = module.ui.segmentEditor
    editor.setActiveEffectByName("Paint")
    x, y, z = border_place(case)
    editor.activeEffect().paint_at((-x, -y, z), 12.0)
    settle(host, module)
    return before != mask(case)


@pytest.fixture
def three_segments(host: Any, module: Any, case: Any) -> Any:
    """The reviewed segment lies between two others of the same segmentation."""
    segmentation = case.nodes.reviewed.GetSegmentation()
    for name in ("before", "after"):
        segmentation.AddEmptySegment(name, name)
    segmentation.SetSegmentIndex("before", 0)
    host.process_events()
    return segmentation


class TestWhereTheEditorPaints:
    def test_holds_at_the_end_of_the_slider(self, host: Any, module: Any, case: Any) -> None:
        module.ui.paintingSelector.currentIndex = 1
        module.ui.thresholdSlider.value = 1.0
        assert mask_range(module) == (1.0, 2.0)
        changed = paint_large(host, module, case)
        assert (case.session.maps.uncertainty[changed] >= 1).all()

    def test_follows_the_slider_up_to_the_most_uncertain_voxel(self, module: Any, case: Any) -> None:
        module.ui.paintingSelector.currentIndex = 1
        module.ui.thresholdSlider.value = 0.6
        low, high = mask_range(module) or (0.0, 0.0)
        assert low == pytest.approx(0.6) and high > case.session.maps.uncertainty.max()


class TestTheEditorsKeys:
    @pytest.mark.parametrize("restriction", [0, 1])
    def test_leave_the_restriction_as_it_was_chosen(
        self, host: Any, module: Any, case: Any, three_segments: Any, restriction: int
    ) -> None:
        module.ui.paintingSelector.currentIndex = restriction
        chosen, source = mask_range(module), module.ui.segmentEditor.sourceVolumeNode()
        assert (chosen is None) == (restriction == 0)
        for key in KEYS:
            host.press(key)
            assert mask_range(module) == chosen, key
            assert module.ui.segmentEditor.sourceVolumeNode() is source

    def test_leave_the_reviewed_segment_selected_so_that_each_stroke_is_in_the_review(
        self, host: Any, module: Any, case: Any, three_segments: Any
    ) -> None:
        for key in KEYS:
            host.press(key)
            assert module.ui.segmentEditor.currentSegmentID() == case.nodes.segment_id, key
        assert paint_large(host, module, case).any()
        assert case.session.state.edits[-1].kind == "paint"

    def test_leave_the_restriction_of_the_next_scan_too(self, host: Any, module: Any, case: Any) -> None:
        module.ui.paintingSelector.currentIndex = 1
        other = arrive(host, module, load_scan(host, module, "other", shape=(36, 52, 50)), seed=5)
        host.press("I")
        assert mask_range(module) is not None
        assert module.ui.segmentEditor.sourceVolumeNode() is other.nodes.heatmap

    def test_have_no_table_beside_them_to_select_segments_in(self, module: Any, case: Any) -> None:
        import qt

        assert not module.ui.segmentEditor.findChild(qt.QWidget, "SegmentsTableView").isVisible()

    def test_another_range_or_volume_that_something_sets_does_not_stay(self, host: Any, module: Any, case: Any) -> None:
        module.ui.paintingSelector.currentIndex = 1
        chosen, node = mask_range(module), module.ui.segmentEditor.mrmlSegmentEditorNode()
        node.SetSourceVolumeIntensityMaskRange(0.0, 500.0)
        module.ui.segmentEditor.setSourceVolumeNode(case.nodes.scan)
        assert mask_range(module) == chosen
        assert module.ui.segmentEditor.sourceVolumeNode() is case.nodes.heatmap


class TestWhatAnEditIsCalled:
    def test_is_elsewhere_when_it_was_made_in_another_module(self, host: Any, module: Any, case: Any) -> None:
        from mtctl import scene

        host.leave()
        scene.set_mask(case.nodes, ~mask(case))
        settle(host, module)
        assert [edit.kind for edit in case.session.state.edits] == ["elsewhere"]

    def test_is_the_tool_also_for_a_stroke_right_before_the_module_is_left(
        self, host: Any, module: Any, case: Any
    ) -> None:
        editor = module.ui.segmentEditor
        editor.setActiveEffectByName("Paint")
        x, y, z = border_place(case)
        editor.activeEffect().paint_at((-x, -y, z), 12.0)
        host.leave()
        settle(host, module)
        assert [edit.kind for edit in case.session.state.edits] == ["paint"]


class TestLettingGo:
    @pytest.mark.parametrize("deleted", ["segmentation", "record"])
    def test_takes_the_source_volume_along(self, host: Any, module: Any, case: Any, deleted: str) -> None:
        import slicer

        slicer.mrmlScene.RemoveNode(getattr(case.nodes, deleted))
        host.process_events()
        node = module.ui.segmentEditor.mrmlSegmentEditorNode()
        assert node.GetSegmentationNode() is None and node.GetSourceVolumeNode() is None
        assert not node.GetSourceVolumeIntensityMask()
        node.SetSourceVolumeIntensityMask(True)  # Nothing of the review holds on to it any more.
        assert node.GetSourceVolumeIntensityMask()
