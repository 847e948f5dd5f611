"""A person sees in the module what spacing the scan has, sets it right, and takes it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.segment_module import add_scan, arrive, ball, load_scan, mask

pytestmark = pytest.mark.host

TRUE = (1.25, 1.25, 2.5)


def set_spacing(host: Any, module: Any, text: str) -> None:
    """Types it and presses Set."""
    module.ui.spacingEdit.text = text
    module.ui.spacingButton.click()
    host.process_events()


def warned(module: Any) -> str:
    return str(module.ui.warningLabel.text) if module.ui.warningLabel.isVisible() else ""


def foregrounds() -> set[Any]:
    import slicer

    layout = slicer.app.layoutManager()
    logics = [layout.sliceWidget(name).sliceLogic() for name in layout.sliceViewNames()]
    return {logic.GetSliceCompositeNode().GetForegroundVolumeID() for logic in logics}


class TestTheRow:
    def test_shows_the_spacing_of_the_chosen_scan(self, host: Any, module: Any) -> None:
        assert module.ui.spacingEdit.text == "" and not module.ui.spacingButton.enabled
        load_scan(host, module)
        assert module.ui.spacingEdit.text == "1.25,1.25,1.25" and module.ui.spacingButton.enabled
        assert not module.ui.spacingBackButton.isVisible() and not module.ui.spacingNoteLabel.isVisible()
        add_scan(ball(spacing=2.0), "other")
        host.process_events()
        module.ui.scanSelector.choose("other")
        assert module.ui.spacingEdit.text == "2,2,2"

    def test_sets_it_on_the_scan_keeps_the_rest_and_says_so(self, host: Any, module: Any, scan_node: Any) -> None:
        from mtctl import scene

        before = scene.volume_of(scan_node).geometry
        set_spacing(host, module, "1.25, 1.25, 2.5")
        after = scene.volume_of(scan_node).geometry
        assert after.spacing == TRUE
        assert (after.origin, after.direction, after.size) == (before.origin, before.direction, before.size)
        assert module.ui.spacingEdit.text == "1.25,1.25,2.5"
        assert module.ui.spacingNoteLabel.isVisible()
        assert "1.25,1.25,2.5 mm was given by hand; the file says 1.25,1.25,1.25" in module.ui.spacingNoteLabel.text

    def test_takes_it_back(self, host: Any, module: Any, scan_node: Any) -> None:
        set_spacing(host, module, "2,2,2")
        set_spacing(host, module, "1.25,1.25,2.5")
        assert module.ui.spacingBackButton.isVisible()
        module.ui.spacingBackButton.click()
        assert scan_node.GetSpacing() == (1.25, 1.25, 1.25) and module.ui.spacingEdit.text == "1.25,1.25,1.25"
        assert not module.ui.spacingBackButton.isVisible() and not module.ui.spacingNoteLabel.isVisible()

    @pytest.mark.parametrize("text", ["", "1,2", "0,1,1", "one"])
    def test_refuses_what_is_no_spacing_in_words(self, host: Any, module: Any, scan_node: Any, text: str) -> None:
        set_spacing(host, module, text)
        assert "three numbers" in host.messages[-1].text and scan_node.GetSpacing() == (1.25, 1.25, 1.25)

    def test_waits_while_a_segmentation_is_under_way(self, host: Any, module: Any, scan_node: Any) -> None:
        module.scanPanel._spacing.refresh(False)
        assert not module.ui.spacingEdit.enabled and not module.ui.spacingButton.enabled


class TestAResultOfTheOldSpacing:
    def test_is_not_shown_any_more_and_the_person_is_told_to_press_apply(
        self, host: Any, module: Any, case: Any
    ) -> None:
        shown = case.nodes.heatmap.GetID()
        assert shown in foregrounds()
        set_spacing(host, module, "1.25,1.25,2.5")
        assert module.currentReview.review is None
        assert "made with the spacing 1.25,1.25,1.25 mm" in warned(module) and "press Apply" in warned(module)
        assert shown not in foregrounds() and not case.nodes.segmentation.GetDisplayNode().GetVisibility()

    def test_stays_away_when_the_module_is_entered_again(self, host: Any, module: Any, case: Any) -> None:
        set_spacing(host, module, "1.25,1.25,2.5")
        host.leave()
        host.enter("MTCTLSegment")
        assert module.currentReview.review is None and "press Apply" in warned(module)

    def test_comes_back_with_its_spacing_and_every_edit(self, host: Any, module: Any, case: Any) -> None:
        from mtctl import scene

        edited = mask(case)
        edited[20, 20:24, 20:24] ^= True
        scene.set_mask(case.nodes, edited)
        case.note_edit("paint")
        set_spacing(host, module, "1.25,1.25,2.5")
        module.ui.spacingBackButton.click()
        host.process_events()
        assert module.currentReview.review is not None and not warned(module)
        assert np.array_equal(mask(module.currentReview.review), edited)
        assert case.nodes.heatmap.GetID() in foregrounds()
        assert len(module.currentReview.review.session.state.edits) == 1

    def test_is_replaced_by_a_new_one_and_edits_stay_as_a_backup(self, host: Any, module: Any, case: Any) -> None:
        from mtctl import scene
        from mtctl.scene.segments import segment_mask

        edited = mask(case)
        edited[20, 20:24, 20:24] ^= True
        scene.set_mask(case.nodes, edited)
        case.note_edit("paint")
        set_spacing(host, module, "1.25,1.25,2.5")
        review = arrive(host, module, case.nodes.scan, 1)
        assert review is module.currentReview.review and not warned(module)
        assert review.session.maps.geometry.spacing == TRUE and review.nodes.heatmap.GetSpacing() == TRUE
        segmentation = review.nodes.segmentation.GetSegmentation()
        backup = next(each for each in segmentation.GetSegmentIDs() if each.startswith("Backup"))
        assert np.array_equal(segment_mask(review.nodes.segmentation, backup, case.nodes.scan), edited)
        assert review.nodes.heatmap.GetID() in foregrounds()

    def test_is_out_of_date_also_in_a_scene_that_was_saved(
        self, host: Any, module: Any, case: Any, tmp_path: Path
    ) -> None:
        import slicer

        set_spacing(host, module, "1.25,1.25,2.5")
        assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(tmp_path / "scene.mrb"))
        host.process_events()
        assert slicer.util.getNode("scan").GetSpacing() == TRUE
        assert module.currentReview.review is None and "press Apply" in warned(module)
        module.ui.spacingBackButton.click()
        assert (
            slicer.util.getNode("scan").GetSpacing() == (1.25, 1.25, 1.25) and module.currentReview.review is not None
        )


def test_a_result_says_what_was_given_by_hand_and_what_its_shape_says_of_the_spacing(
    host: Any, module: Any, scan_node: Any
) -> None:
    from dataclasses import replace

    from mtctl import scene
    from MTCTLSegmentLib.self_test import made_up_result

    set_spacing(host, module, "1.25,1.25,2.5")
    volume = scene.volume_of(scan_node)
    result = made_up_result(volume, np.asarray(volume.array) > 60, 0)
    doubt = "the atrium is half as high as atria are: is the slice spacing 5 mm instead of 2.5? --spacing 1.25,1.25,5"
    module.scanPanel._scan = scan_node
    module.scanPanel._done(replace(result, report={**result.report, "warnings": [doubt], "flagged": True}))
    host.process_events()
    assert "half as high as atria are" in warned(module)
    assert "The spacing 1.25,1.25,2.5 was given by hand; the file says 1.25,1.25,1.25" in warned(module)
