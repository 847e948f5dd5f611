"""A person reviews a case in the module: slider, brush, undo; and what is seen of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.segment_module import border_place, keep_place, mask, settle

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
        from mtctl import scene

        assert module.ui.summaryLabel.text == "Likely Dice 0.88-0.94"
        scene.store_document(case.nodes, "report", {**case.report, "likely_wrong_ml": 8.13})
        module.currentReview.notify()
        assert module.ui.summaryLabel.text == "8.1 mL likely wrong; likely Dice 0.88-0.94"
        keep_place(module)
        assert module.ui.summaryLabel.text == "1 place answered; likely Dice 0.88-0.94 at first"

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

        place = border_place(case)
        scene.jump(case.nodes.scene, place)
        module.ui.thresholdSlider.value = 0.8
        pixels = host.view_pixels("Red").astype(int)
        geometry, uncertainty = case.session.maps.geometry, case.session.maps.uncertainty
        sure = doubtful = 0
        z = round(float(geometry.physical_to_index(place)[2]))
        outside_outline = np.abs(scene.volume_of(case.nodes.distance).array[z]) > 0.1
        for y in range(4, 44, 2):
            for x in range(4, 52, 2):
                column, row = host.pixel_of("Red", to_ras(tuple(geometry.index_to_physical((x, y, z)))))
                if not (0 <= row < pixels.shape[0] and 0 <= column < pixels.shape[1] * 0.8):
                    continue
                here = pixels[row, column]
                if here[0] - here[1] > 100:  # The outline is red.
                    continue
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
    def test_is_kept_with_the_review_when_the_slider_rests(self, host: Any, module: Any, case: Any) -> None:
        module.ui.thresholdSlider.value = 0.6
        host.wait_until(lambda: case.session.state.threshold == pytest.approx(0.6), 2)
        assert case.draft()["threshold"] == pytest.approx(0.6)

    def test_another_kind_has_its_own_threshold_and_leaves_that_of_the_review(
        self, host: Any, module: Any, case: Any
    ) -> None:
        before, threshold = case.session.state.threshold, module.ui.thresholdSlider.value
        module.ui.kindSelector.currentIndex = 1
        host.process_events()
        assert module.currentReview.review.nodes.kind == "mutual_information"
        module.ui.thresholdSlider.value = 0.11
        host.wait(0.2)
        assert case.session.state.threshold == before
        module.ui.kindSelector.currentIndex = 0
        host.process_events()
        assert module.ui.thresholdSlider.value == pytest.approx(threshold, abs=0.005)


class TestTheBrush:
    def paint(self, host: Any, module: Any, case: Any, effect: str, reach: float = 12.0) -> np.ndarray:
        """A long stroke across the border with a large brush; the voxels that changed."""
        from mtctl import scene

        before, place = mask(case), border_place(case)
        scene.jump(case.nodes.scene, place)
        editor = module.ui.segmentEditor
        editor.setActiveEffectByName(effect)
        editor.activeEffect().setCommonParameter("BrushAbsoluteDiameter", "12")
        r, a, s = to_ras(place)
        host.stroke("Red", [(r + step, a, s) for step in np.linspace(-reach, reach, 9)])
        settle(host, module)
        return np.argwhere(before != mask(case))

    @pytest.mark.parametrize("effect", ["Paint", "Erase"])
    def test_changes_only_uncertain_voxels_where_that_was_chosen(
        self, host: Any, module: Any, case: Any, effect: str
    ) -> None:
        module.ui.paintingSelector.currentIndex = 1
        module.ui.thresholdSlider.value = 0.5
        settle(host, module)
        changed = self.paint(host, module, case, effect)
        assert len(changed) > 5
        assert (case.session.maps.uncertainty[tuple(changed.T)] >= np.float32(0.5)).all()
        assert case.session.state.edits[-1].kind == effect.lower()

    def test_changes_anything_at_first_and_the_choice_is_folded_away(self, host: Any, module: Any, case: Any) -> None:
        assert module.ui.paintingBox.collapsed and module.ui.paintingSelector.currentText == "Anywhere"
        changed = self.paint(host, module, case, "Paint")
        assert (case.session.maps.uncertainty[tuple(changed.T)] < 0.3).any()

    def test_every_stroke_is_one_step_and_undo_is_exact(self, host: Any, module: Any, case: Any) -> None:
        start = mask(case)
        assert len(self.paint(host, module, case, "Paint"))
        assert len(self.paint(host, module, case, "Erase"))
        for _ in range(2):
            module.ui.undoButton.click()
            settle(host, module)
        assert np.array_equal(mask(case), start)
        assert [edit.kind for edit in case.session.state.edits] == ["paint", "erase", "undo", "undo"]

    def test_nothing_is_painted_after_leaving_the_module(self, host: Any, module: Any, case: Any) -> None:
        module.ui.segmentEditor.setActiveEffectByName("Paint")
        before, (r, a, s) = mask(case), to_ras(border_place(case))
        host.leave()
        host.stroke("Red", [(r, a, s), (r + 3, a, s)])
        assert np.array_equal(mask(case), before)
