"""A person reviews a case in the module: slider, regions, suggestions, brush, undo; and what is seen of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.segment_module import mask, settle

pytestmark = pytest.mark.host

PURPLE_TO_YELLOW = "the heatmap has colours, the scan is grey"


def coloured(pixels: np.ndarray) -> int:
    """How many pixels are neither grey, nor part of the outline (red) or of a marker."""
    red, green, blue = (pixels[..., channel].astype(int) for channel in range(3))
    return int(np.count_nonzero((np.abs(green - blue) > 40) & (green > 60) & (green > red - 60)))


def to_ras(lps: tuple[float, float, float]) -> tuple[float, float, float]:
    return -lps[0], -lps[1], lps[2]


class TestTheResult:
    def test_is_summed_up_in_plain_words(self, module: Any, case: Any) -> None:
        left = case.session.remaining
        assert (
            module.ui.summaryLabel.text == f"{left.regions} regions, {left.ml:.1f} mL to check; likely Dice 0.88-0.94"
        )

    def test_lists_its_regions_in_a_table_of_the_scene_that_follows_the_review(
        self, host: Any, module: Any, case: Any
    ) -> None:
        import slicer

        def rows() -> list[tuple[str, str]]:
            table = module.currentReview.review.nodes.regions
            return [(table.GetCellText(row, 0), table.GetCellText(row, 1)) for row in range(table.GetNumberOfRows())]

        assert isinstance(case.nodes.regions, slicer.vtkMRMLTableNode)
        regions = case.session.regions
        assert [number for number, _ in rows()] == [str(region.id) for region in regions]
        assert {state for _, state in rows()} == {"open"}
        module.ui.nextButton.click()
        host.press("A")
        assert rows()[0][1] == "accepted"

    def test_warnings_are_shown_and_a_poor_case_is_flagged_in_words(self, host: Any, module: Any, case: Any) -> None:
        from mtctl import scene

        assert not module.ui.warningLabel.isVisible()
        scene.store_document(case.nodes, "report", {**case.report, "flagged": True})
        module.currentReview.notify()
        assert "look at all of it" in module.ui.warningLabel.text
        scene.store_document(
            case.nodes, "report", {**case.report, "warnings": ["the segmentation touches the upper border"]}
        )
        module.currentReview.notify()
        assert module.ui.warningLabel.text == "⚠ The segmentation touches the upper border"

    def test_the_heatmap_is_seen_where_the_uncertainty_is_and_nowhere_else(
        self, host: Any, module: Any, case: Any
    ) -> None:
        from mtctl import scene

        region = case.session.regions[0]
        scene.jump(case.nodes.scene, region.centroid_lps)
        module.ui.thresholdSlider.value = 0.8
        pixels = host.view_pixels("Red").astype(int)
        geometry, uncertainty = case.session.maps.geometry, case.session.maps.uncertainty
        sure = doubtful = 0
        z = round(float(geometry.physical_to_index(region.centroid_lps)[2]))
        outside_outline = np.abs(case.session.maps.distance[z]) > 0.1
        for y in range(4, 44, 2):
            for x in range(4, 52, 2):
                column, row = host.pixel_of("Red", to_ras(tuple(geometry.index_to_physical((x, y, z)))))
                if not (0 <= row < pixels.shape[0] and 0 <= column < pixels.shape[1] * 0.8):
                    continue
                here = pixels[row, column]
                grey = here.max() - here.min() < 25
                around = uncertainty[z, y - 1 : y + 2, x - 1 : x + 2]
                if around.min() >= 0.85:
                    doubtful += 1
                    assert not grey, (x, y, z, here)
                elif around.max() < 0.75 and outside_outline[y, x]:
                    sure += 1
                    assert grey, (x, y, z, here)
        assert doubtful > 5 and sure > 20

    def test_the_heatmap_goes_when_the_slider_passes_it_or_when_it_is_unticked(
        self, host: Any, module: Any, case: Any
    ) -> None:
        module.ui.thresholdSlider.value = 0.3
        much = coloured(host.view_pixels("Red"))
        module.ui.thresholdSlider.value = 0.9
        less = coloured(host.view_pixels("Red"))
        module.ui.thresholdSlider.value = 1.0
        none = coloured(host.view_pixels("Red"))
        assert much > 2 * less > 4 * none
        module.ui.thresholdSlider.value = 0.3
        module.ui.heatmapBox.click()
        assert coloured(host.view_pixels("Red")) <= none + 20
        module.ui.heatmapBox.click()
        assert coloured(host.view_pixels("Red")) == pytest.approx(much, rel=0.05)

    def test_opacity_reaches_the_views(self, module: Any, case: Any) -> None:
        from mtctl import scene

        module.ui.opacitySlider.value = 0.35
        assert scene.opacity_of(case.nodes) == pytest.approx(0.35)


class TestTheThreshold:
    def test_the_list_follows_when_the_slider_rests(self, host: Any, module: Any, case: Any) -> None:
        module.ui.thresholdSlider.value = 0.6
        host.wait_until(lambda: case.session.state.threshold == pytest.approx(0.6), 2)
        many = case.session.regions
        module.ui.thresholdSlider.value = 0.97
        host.wait_until(lambda: case.session.state.threshold == pytest.approx(0.97), 2)
        few = case.session.regions
        assert sum(region.volume_mm3 for region in few) < sum(region.volume_mm3 for region in many)
        assert module.ui.regionTable.rowCount == len(few)

    def test_another_kind_has_its_own_threshold_and_leaves_the_list(self, host: Any, module: Any, case: Any) -> None:
        before, threshold = case.session.regions, module.ui.thresholdSlider.value
        module.ui.kindSelector.currentIndex = 1
        host.process_events()
        assert module.currentReview.review.nodes.kind == "mutual_information"
        module.ui.thresholdSlider.value = 0.11
        host.wait(0.2)
        assert case.session.regions == before
        module.ui.kindSelector.currentIndex = 0
        host.process_events()
        assert module.ui.thresholdSlider.value == pytest.approx(threshold, abs=0.005)


class TestTheList:
    def test_next_and_previous_work_by_button_and_accept_by_key(self, host: Any, module: Any, case: Any) -> None:
        ids = [region.id for region in case.session.regions]
        module.ui.nextButton.click()
        assert case.session.current.id == ids[0]
        module.ui.nextButton.click()
        assert case.session.current.id == ids[1]
        module.ui.previousButton.click()
        assert case.session.current.id == ids[0]
        host.press("A")
        assert case.session.current.id == ids[1]
        assert case.session.regions[0].accepted and module.ui.regionTable.item(0, 1).text() == "✓ accepted"
        assert module.ui.regionTable.currentRow() == 1

    def test_keys_are_dead_out_of_the_module(self, host: Any, module: Any, case: Any) -> None:
        module.ui.nextButton.click()
        host.leave()
        host.press("A")
        assert not case.session.current.accepted

    def test_a_click_jumps_and_so_does_another_click_on_the_same_row(self, host: Any, module: Any, case: Any) -> None:
        import slicer

        module.ui.allRegionsBox.collapsed = False
        table = module.ui.regionTable

        def click(row: int) -> None:
            rectangle = table.visualItemRect(table.item(row, 1))
            host.click(table.viewport(), rectangle.center().x(), rectangle.center().y())

        red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
        click(1)
        region = case.session.current
        assert region.id == case.session.regions[1].id
        there = red.GetSliceOffset()
        assert there == pytest.approx(region.centroid_lps[2], abs=1.0)
        red.SetSliceOffset(there + 9)
        host.wait(0.1)
        click(1)
        assert red.GetSliceOffset() == pytest.approx(there)

    def test_the_region_is_in_the_middle_of_the_view(self, host: Any, module: Any, case: Any) -> None:
        module.ui.nextButton.click()
        place = to_ras(case.session.current.centroid_lps)
        for name in ("Red", "Green", "Yellow"):
            height, width = host.view_pixels(name).shape[:2]
            column, row = host.pixel_of(name, place)
            assert abs(column - width / 2) < 6 and abs(row - height / 2) < 6, name

    def test_states_are_told_in_the_table_and_below_it(self, module: Any, case: Any) -> None:
        assert module.ui.regionTable.item(0, 1).text() == "open"
        module.ui.nextButton.click()
        assert module.ui.regionTable.item(0, 1).text() == "visited"
        module.ui.acceptRegionButton.click()
        assert module.ui.leftLabel.text.startswith(f"1 of {len(case.session.regions)} regions accepted")
        module.ui.previousButton.click()
        assert module.ui.acceptRegionButton.text == "Open again (A)"
        module.ui.acceptRegionButton.click()
        assert not case.session.current.accepted


class TestSuggestions:
    @pytest.mark.parametrize("name", ["Add", "Remove", "Distance", "Consensus", "Fill"])
    def test_are_shown_first_and_change_only_the_region(self, host: Any, module: Any, case: Any, name: str) -> None:
        module.ui.nextButton.click()
        before = mask(case)
        button = getattr(module.ui, f"proposal{name}Button")
        if name == "Consensus":
            module.ui.consensusSlider.value = 0.8
        button.click()
        host.process_events()
        assert np.array_equal(mask(case), before) and button.checked
        assert module.ui.proposalFrame.isVisible() and case.preview is not None
        part = case.session.part(case.session.current.id)
        changes = case.preview.added_ml + case.preview.removed_ml
        if changes:
            module.ui.applyProposalButton.click()
            after = mask(case)
            different = np.argwhere(before != after)
            assert len(different) * case.session.maps.geometry.voxel_ml == pytest.approx(changes)
            inside = np.zeros(before.shape, bool)
            inside[part.box] = part.inside
            assert inside[tuple(different.T)].all()
            assert case.session.state.edits[-1].kind == case.session.state.edits[0].kind
            assert case.session.current.edited
        assert not module.ui.proposalFrame.isVisible() or not changes

    def test_a_second_click_or_discard_takes_the_suggestion_away(self, host: Any, module: Any, case: Any) -> None:
        module.ui.nextButton.click()
        for away in (module.ui.proposalAddButton, module.ui.discardProposalButton):
            module.ui.proposalAddButton.click()
            assert case.preview is not None
            away.click()
            assert case.preview is None and not module.ui.proposalFrame.isVisible()
            assert not module.ui.proposalAddButton.checked

    def test_the_preview_is_seen_and_gone_at_the_next_region(self, host: Any, module: Any, case: Any) -> None:
        module.ui.heatmapBox.click()
        module.ui.nextButton.click()
        before = coloured(host.view_pixels("Red"))
        module.ui.proposalAddButton.click()
        assert coloured(host.view_pixels("Red")) > before + 20
        module.ui.nextButton.click()
        assert case.preview is None
        module.ui.previousButton.click()
        assert coloured(host.view_pixels("Red")) == pytest.approx(before, abs=20)

    def test_undo_goes_back_to_the_start_bit_by_bit(self, host: Any, module: Any, case: Any) -> None:
        start = mask(case)
        states = [start]
        for name in ("Add", "Remove"):
            module.ui.nextButton.click()
            getattr(module.ui, f"proposal{name}Button").click()
            module.ui.applyProposalButton.click()
            states.append(mask(case))
        for state in reversed(states[:-1]):
            module.ui.undoButton.click()
            settle(host, module)
            assert np.array_equal(mask(case), state)
        assert [edit.kind for edit in case.session.state.edits] == ["add", "remove", "undo", "undo"]
        assert not any(region.edited for region in case.session.regions)
        for state in states[1:]:
            module.ui.redoButton.click()
            settle(host, module)
            assert np.array_equal(mask(case), state)

    def test_without_a_region_none_can_be_asked_for(self, module: Any, case: Any) -> None:
        assert not module.ui.proposalAddButton.enabled
        module.ui.nextButton.click()
        assert module.ui.proposalAddButton.enabled


class TestTheBrush:
    def paint(self, host: Any, module: Any, case: Any, effect: str, reach: float = 12.0) -> np.ndarray:
        """A long stroke through the current region with a large brush; the voxels that changed."""
        before = mask(case)
        editor = module.ui.segmentEditor
        editor.setActiveEffectByName(effect)
        editor.activeEffect().setCommonParameter("BrushAbsoluteDiameter", "12")
        r, a, s = to_ras(case.session.current.centroid_lps)
        host.stroke("Red", [(r + step, a, s) for step in np.linspace(-reach, reach, 9)])
        settle(host, module)
        return np.argwhere(before != mask(case))

    @pytest.mark.parametrize("effect", ["Paint", "Erase"])
    def test_changes_only_uncertain_voxels(self, host: Any, module: Any, case: Any, effect: str) -> None:
        module.ui.thresholdSlider.value = 0.7
        settle(host, module)
        module.ui.nextButton.click()
        changed = self.paint(host, module, case, effect)
        assert len(changed) > 20
        assert (case.session.maps.uncertainty[tuple(changed.T)] >= np.float32(0.7)).all()
        assert case.session.state.edits[-1].kind == effect.lower()

    def test_changes_only_the_region_where_that_was_chosen(self, host: Any, module: Any, case: Any) -> None:
        module.ui.restrictSelector.currentIndex = 1
        module.ui.nextButton.click()
        changed = self.paint(host, module, case, "Paint")
        allowed = case.session.paintable(case.session.current.id)
        assert len(changed) and allowed[tuple(changed.T)].all()

    def test_changes_anything_where_that_was_chosen(self, host: Any, module: Any, case: Any) -> None:
        module.ui.restrictSelector.currentIndex = 2
        module.ui.nextButton.click()
        changed = self.paint(host, module, case, "Paint")
        assert (case.session.maps.uncertainty[tuple(changed.T)] < 0.3).any()

    def test_every_stroke_is_one_step_and_undo_is_exact(self, host: Any, module: Any, case: Any) -> None:
        start = mask(case)
        module.ui.nextButton.click()
        assert len(self.paint(host, module, case, "Paint"))
        module.ui.nextButton.click()
        assert len(self.paint(host, module, case, "Erase"))
        for _ in range(2):
            module.ui.undoButton.click()
            settle(host, module)
        assert np.array_equal(mask(case), start)
        assert [edit.kind for edit in case.session.state.edits] == ["paint", "erase", "undo", "undo"]

    def test_strokes_in_the_region_guide_the_fill(self, host: Any, module: Any, case: Any) -> None:
        module.ui.nextButton.click()
        module.ui.proposalFillButton.click()
        unguided = case.preview.mask.copy()
        module.ui.discardProposalButton.click()
        changed = self.paint(host, module, case, "Paint", 2.0)
        assert len(changed)
        module.ui.proposalFillButton.click()
        assert case.preview.mask.sum() > unguided.sum()

    def test_without_scikit_image_the_fill_asks_for_it_and_the_others_do_without(
        self, host: Any, module: Any, case: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from MTCTLSegmentLib import python_packages as dependencies

        monkeypatch.setattr(dependencies, "_is_installed", lambda name: False)
        module.ui.nextButton.click()
        module.ui.proposalFillButton.click()
        question, notice = host.messages
        assert "Filling a region needs" in question.text and "scikit-image" in question.text
        assert "torch" not in question.text.lower().replace("with pytorch", "")
        assert "Nothing was installed" in notice.text and case.preview is None
        assert not module.ui.proposalFillButton.checked
        module.ui.proposalAddButton.click()
        assert case.preview is not None and len(host.messages) == 2

    def test_nothing_is_painted_after_leaving_the_module(self, host: Any, module: Any, case: Any) -> None:
        module.ui.nextButton.click()
        module.ui.segmentEditor.setActiveEffectByName("Paint")
        before = mask(case)
        host.leave()
        r, a, s = to_ras(case.session.current.centroid_lps)
        host.stroke("Red", [(r, a, s), (r + 3, a, s)])
        assert np.array_equal(mask(case), before)
