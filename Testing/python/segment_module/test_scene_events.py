"""What happens around a review: the scene is closed, saved and loaded, nodes are deleted, the module is reloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.asked_module import ROOF, VEIN, quiet, strip
from support.segment_module import arrive, border_place, current, dab, keep_place, load_scan, mask, settle

from mtctl.review.answers import ShownQuestion

pytestmark = pytest.mark.host


def in_mid_review(host: Any, module: Any, case: Any) -> None:
    """One place found right, one changed, the threshold moved."""
    module.ui.thresholdSlider.value = 0.77
    settle(host, module)
    keep_place(module)
    dab(host, module, number=1)


class TestClosingTheScene:
    def test_with_the_brush_in_a_view_does_no_harm(self, host: Any, module: Any, case: Any) -> None:
        import slicer

        module.ui.segmentEditor.setActiveEffectByName("Paint")
        r, a, s = (-border_place(case)[0], -border_place(case)[1], 0)
        host.stroke("Red", [(r, a, s), (r + 2, a, s)])
        slicer.mrmlScene.Clear(0)
        host.process_events()
        assert module.currentReview.review is None
        assert not module.ui.applyButton.enabled and not module.ui.summaryLabel.isVisible()
        review = arrive(host, module, load_scan(host, module, "another"))
        assert module.currentReview.review is review and module.ui.acceptCaseButton.enabled

    def test_during_a_segmentation_ends_it(self, host: Any, module: Any, scan_node: Any) -> None:
        import slicer

        module.ui.applyButton.click()
        host.wait(0.3)
        slicer.mrmlScene.Clear(0)
        host.process_events()
        assert not module.logic.job.running and module.ui.applyButton.text == "Apply"


class TestSavingAndLoading:
    @pytest.mark.parametrize("entered", [True, False], ids=["in the module", "in another module"])
    def test_an_mrb_brings_the_review_back_where_it_was(
        self, host: Any, module: Any, case: Any, tmp_path: Path, entered: bool
    ) -> None:
        import slicer

        in_mid_review(host, module, case)
        state, segmentation = case.session.state, mask(case)
        path = tmp_path / "review.mrb"
        assert slicer.util.saveScene(str(path))
        host.clear()
        if not entered:
            host.leave()
        slicer.util.loadScene(str(path))
        if not entered:
            module = host.enter("MTCTLSegment")
        host.process_events()
        review = module.currentReview.review
        assert review is not None and review is not case
        assert np.array_equal(mask(review), segmentation)
        left, right = review.session.state, state
        assert (left.threshold, left.edits, left.replies) == (right.threshold, right.edits, right.replies)
        assert module.ui.thresholdSlider.value == pytest.approx(0.77)
        dab(host, module, "Erase")
        assert not np.array_equal(mask(review), segmentation)

    def test_a_draft_is_in_the_scene_after_each_action(self, host: Any, module: Any, case: Any) -> None:
        from mtctl import scene

        keep_place(module)
        (kept,) = scene.load_document(case.nodes, "review LeftAtrium")["questions"]
        assert kept["place"] == pytest.approx(border_place(case))


class TestDeletingNodes:
    @pytest.mark.parametrize("name", ["scan", "segmentation", "heatmap", "probability", "distance", "record"])
    def test_in_mid_review_is_told_and_does_no_harm(self, host: Any, module: Any, asked: Any, name: str) -> None:
        import slicer

        in_mid_review(host, module, asked)
        module.ui.segmentEditor.setActiveEffectByName("Paint")
        slicer.mrmlScene.RemoveNode(getattr(asked.nodes, name))
        host.wait(0.2)
        for button in (module.ui.insideButton, module.ui.undoButton):
            if button.enabled:
                button.click()
        for key in "NKC":
            host.press(key)
        host.wait(1.2)
        if name == "scan":
            assert module.currentReview.review is None and not module.ui.insideButton.enabled
        else:
            assert module.currentReview.review is None and "again" in module.ui.warningLabel.text
            arrive(host, module, asked.nodes.scan)
            assert module.currentReview.review is not None and not module.ui.warningLabel.isVisible()

    def test_the_reviewed_segment_in_another_module_is_told(self, host: Any, module: Any, case: Any) -> None:
        case.nodes.reviewed.GetSegmentation().RemoveSegment("LeftAtrium")
        assert host.wait_until(lambda: module.currentReview.review is None, 5)
        assert not module.ui.insideButton.enabled
        assert "reviewed segment" in module.ui.warningLabel.text and "again" in module.ui.warningLabel.text

    def test_painting_is_off_when_the_uncertainty_is_gone(self, host: Any, module: Any, case: Any) -> None:
        import slicer

        module.ui.segmentEditor.setActiveEffectByName("Paint")
        slicer.mrmlScene.RemoveNode(case.nodes.heatmap)
        host.process_events()
        assert module.ui.segmentEditor.activeEffect() is None
        assert not module.ui.segmentEditor.mrmlSegmentEditorNode().GetSourceVolumeIntensityMask()


class TestReloading:
    def test_goes_on_with_the_review_and_leaves_no_old_key_behind(self, host: Any, module: Any, asked: Any) -> None:
        in_mid_review(host, module, asked)
        quiet(host, module)
        state, before = asked.session.state, strip(module)
        visited = len(state.visited)
        again = host.reload("MTCTLSegment")
        review = again.currentReview.review
        assert again is not module and review is not asked
        assert review.session.state.replies == state.replies and review.session.said == asked.session.said
        quiet(host, again)
        assert strip(again).startswith(f"Question 1 of 3: {VEIN}")
        host.press("N")
        assert strip(again).startswith(f"Question 2 of 3: {ROOF}"), "with an old key beside it neither would act"
        assert len(asked.session.state.visited) == visited and strip(module) == before and not host.failures

    def test_in_mid_segmentation_ends_the_child(self, host: Any, module: Any, scan_node: Any) -> None:
        from mtctl.system.process_tree import is_running

        module.ui.applyButton.click()
        assert host.wait_until(lambda: module.logic.job._client._child is not None, 5)
        host.wait(0.5)
        pid = int(module.logic.job._client._child.transport._process.processId())
        assert is_running(pid)
        host.reload("MTCTLSegment")
        assert not is_running(pid)
        assert current(host).ui.applyButton.text == "Apply"

    def test_while_a_case_is_saved_ends_that_without_a_word(
        self, host: Any, module: Any, case: Any, tmp_path: Path
    ) -> None:
        module.ui.storeEdit.currentPath = str(tmp_path / "store")
        module.ui.acceptCaseButton.click()
        job = module.finishPanel._job

        def writing() -> bool:
            process = job._request._process if job._request is not None else None
            return process is not None and bool(process._transport._process.processId())

        assert host.wait_until(writing, 20)
        host.reload("MTCTLSegment")
        assert not host.messages
        assert not job.running and case.session.state.status.value == "draft"

    def test_after_the_main_window_took_the_keys_along_cleans_up_all_the_same(
        self, host: Any, module: Any, asked: Any
    ) -> None:
        panels = module.currentReview, module.scanFilter
        for shortcut, _ in module.shortcuts._shortcuts:
            shortcut.delete()
        again = host.reload("MTCTLSegment")
        assert not host.failures and again.currentReview not in panels and module._parameterNode is None
        assert not module.Observations and not module.shortcuts._shortcuts
        quiet(host, again)
        host.press("N")
        assert strip(again).startswith(f"Question 2 of 3: {ROOF}") and not host.failures


class TestTwoCases:
    def test_in_one_scene_keep_their_reviews_apart(self, host: Any, module: Any, case: Any) -> None:
        import slicer

        in_mid_review(host, module, case)
        state, first = case.session.state, mask(case)
        other = arrive(host, module, load_scan(host, module, "other", shape=(36, 52, 50)), seed=5)
        assert module.currentReview.review is other and other.session.state.threshold != 0.77
        red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
        assert red.GetBackgroundVolumeID() == other.nodes.scan.GetID()
        assert red.GetForegroundVolumeID() == other.nodes.heatmap.GetID()
        assert not case.nodes.reviewed.GetDisplayVisibility() and other.nodes.reviewed.GetDisplayVisibility()
        dab(host, module, "Erase")
        module.ui.scanSelector.choose("scan")
        host.process_events()
        assert module.currentReview.review is case and case.session.state.replies == state.replies
        assert np.array_equal(mask(case), first)
        assert module.ui.thresholdSlider.value == pytest.approx(0.77)
        assert red.GetForegroundVolumeID() == case.nodes.heatmap.GetID()
        assert case.nodes.reviewed.GetDisplayVisibility() and not other.nodes.reviewed.GetDisplayVisibility()

    def test_maps_and_our_segmentations_are_not_offered_as_scans(self, host: Any, module: Any, case: Any) -> None:
        assert [node.GetName() for node in nodes_of(module.ui.scanSelector)] == ["scan"]
        assert nodes_of(module.ui.reviewSelector) == []

    def test_a_new_result_keeps_the_edits_in_a_backup_and_can_be_undone(
        self, host: Any, module: Any, case: Any
    ) -> None:
        in_mid_review(host, module, case)
        edited = mask(case)
        again = arrive(host, module, case.nodes.scan, seed=3)
        segmentation = again.nodes.segmentation.GetSegmentation()
        assert segmentation.GetNumberOfSegments() == 2
        assert "before" in segmentation.GetNthSegment(1).GetName()
        assert not np.array_equal(mask(again), edited) and not again.session.state.edits
        module.ui.undoButton.click()
        settle(host, module)
        assert np.array_equal(mask(again), edited)


class TestEditsInAnotherModule:
    def test_of_a_case_that_was_put_aside_open_it_again(self, host: Any, module: Any, case: Any) -> None:
        in_mid_review(host, module, case)
        case.session.accept_case()
        arrive(host, module, load_scan(host, module, "other", shape=(36, 52, 50)), seed=5)
        empty_the_segment(case)
        module.ui.scanSelector.choose("scan")
        host.process_events()
        assert module.currentReview.review is case
        assert case.session.state.status.value == "draft" and case.session.state.edits[-1].kind == "elsewhere"

    def test_before_the_module_was_opened_are_told_and_open_the_case_again(
        self, host: Any, module: Any, case: Any, tmp_path: Path
    ) -> None:
        import slicer

        from mtctl import scene

        in_mid_review(host, module, case)
        case.session.accept_case()
        module.currentReview.save_draft()
        path = tmp_path / "review.mrb"
        assert slicer.util.saveScene(str(path))
        for edited in (False, True):
            host.clear()
            host.leave()
            slicer.util.loadScene(str(path))
            if edited:
                nodes = next(iter(scene.cases(slicer.mrmlScene)))
                scene.set_mask(nodes, scene.mask_of(nodes) ^ True)
            module = host.enter("MTCTLSegment")
            host.process_events()
            assert ("edited outside" in module.ui.warningLabel.text) == edited
            assert module.currentReview.review.session.state.status.value == ("draft" if edited else "accepted")


class TestAScanThatIsMovedInMidReview:
    def test_the_views_go_where_the_place_is_now_and_the_draft_is_gone_on_with(
        self, host: Any, module: Any, case: Any, tmp_path: Path
    ) -> None:
        import slicer

        keep_place(module)
        origin, place = case.nodes.scan.GetOrigin(), border_place(case, 1)
        case.nodes.scan.SetOrigin(origin[0] + 10, origin[1], origin[2] - 4)
        case.look_at(ShownQuestion("roof", place, place, "inside", 0.3, 0.5, np.zeros(0, np.int64)))
        left, posterior, superior = place
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode").GetCrosshairRAS()
        assert crosshair == pytest.approx((10 - left, -posterior, superior - 4), abs=1e-6)
        assert case.nodes.heatmap.GetOrigin() == case.nodes.scan.GetOrigin()
        path = tmp_path / "moved.mrb"
        assert slicer.util.saveScene(str(path))
        host.clear()
        slicer.util.loadScene(str(path))
        host.process_events()
        assert not module.currentReview.review.note
        (kept,) = module.currentReview.review.session.state.replies
        x, y, z = case.session.state.replies[0].place
        assert kept.place == pytest.approx((x - 10, y, z - 4))


class TestADecisionThatCannotBeSaved:
    @pytest.mark.parametrize("button", ["acceptCaseButton", "rejectCaseButton"])
    def test_is_none(self, host: Any, module: Any, case: Any, tmp_path: Path, button: str) -> None:
        import slicer

        module.ui.storeEdit.currentPath = str(tmp_path / "store")
        module.ui.reasonEdit.text = "motion"
        case.nodes.scan.SetAndObserveTransformNodeID(
            slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "warp").GetID()
        )
        getattr(module.ui, button).click()
        assert host.messages[-1].kind == "error" and "warping" in host.messages[-1].text
        assert case.session.state.status.value == "draft" and "saved" not in module.ui.finishLabel.text
        assert module.ui.acceptCaseButton.enabled


def empty_the_segment(review: Any) -> None:
    """As somebody does in another module."""
    from mtctl import scene

    scene.set_mask(review.nodes, np.zeros_like(mask(review)))


def nodes_of(selector: Any) -> list[Any]:
    return [selector.nodeFromIndex(index) for index in range(selector.nodeCount())]


def test_the_modules_own_test_passes(host: Any, module: Any) -> None:
    import slicer

    slicer.modules.mtctlsegment  # noqa: B018  loaded under the name that Slicer gives it
    slicer.selfTests["MTCTLSegment"]()
