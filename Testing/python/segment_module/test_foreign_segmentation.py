"""A segmentation that came with the scan is reviewed in place of the model's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.segment_module import arrive, check, dab, keep_place, load_scan, mask, settle

pytestmark = pytest.mark.host


@pytest.mark.usefixtures("stored_here")
class TestReviewingSomebodyElsesSegmentation:
    def test_with_the_models_segment_id_leaves_the_models_review_as_it_was(
        self, host: Any, module: Any, case: Any
    ) -> None:
        keep_place(module)
        replies = case.session.state.replies
        somebody_elses(host, case, "a written file", {"LeftAtrium": np.roll(mask(case), 4, axis=1)})
        check(host, module, "a written file")
        keep_place(module, 2)
        others = module.currentReview.review.session.state.replies
        assert len(others) == 1 and others != replies
        check(host, module, None)
        assert module.currentReview.review.own and not module.currentReview.review.note
        assert module.currentReview.review.session.state.replies == replies
        check(host, module, "a written file")
        assert not module.currentReview.review.note and module.currentReview.review.session.state.replies == others

    def test_is_reviewed_in_place_of_the_models(self, host: Any, module: Any, case: Any) -> None:
        import slicer

        drawn = mask(case)
        drawn[:20] = False
        theirs = somebody_elses(host, case, "from a colleague", {"LA": drawn})
        check(host, module, "from a colleague")
        review = module.currentReview.review
        assert review is not case and not review.own
        assert "Dice" not in module.ui.summaryLabel.text
        assert review.session.maps.uncertainty[drawn != case.session.maps.segmentation].min() == 1
        dab(host, module, "Erase")
        after = slicer.util.arrayFromSegmentBinaryLabelmap(theirs, "LA", case.nodes.scan)
        assert not np.array_equal(after != 0, drawn)
        module.ui.undoButton.click()
        settle(host, module)
        check(host, module, None)
        assert module.currentReview.review.own

    def test_one_of_several_segments_can_be_chosen(self, host: Any, module: Any, case: Any) -> None:
        drawn = np.roll(mask(case), 3, axis=2)
        somebody_elses(host, case, "heart", {"left ventricle": mask(case), "left atrium": drawn})
        assert not module.ui.segmentSelector.isVisible()
        check(host, module, "heart")
        assert module.currentReview.review.nodes.segment_id == "left ventricle"
        module.ui.segmentSelector.currentIndex = 1
        module.ui.segmentSelector.activated.emit(1)
        host.process_events()
        assert module.currentReview.review.nodes.segment_id == "left atrium"
        assert np.array_equal(module.currentReview.review.session.maps.segmentation, drawn != 0)

    def test_the_choice_belongs_to_the_scan(self, host: Any, module: Any, case: Any) -> None:
        theirs = somebody_elses(host, case, "theirs", {"LA": np.roll(mask(case), 4, axis=1)})
        check(host, module, "theirs")
        keep_place(module)
        replies = module.currentReview.review.session.state.replies
        other = arrive(host, module, load_scan(host, module, "other", shape=(36, 52, 50)), seed=5)
        assert other.own and module.ui.reviewSelector.currentNode() is None
        module.ui.scanSelector.choose("scan")
        host.process_events()
        assert module.ui.reviewSelector.currentNode() is theirs
        assert not module.currentReview.review.own
        assert module.currentReview.review.session.state.replies == replies

    def test_chosen_one_after_the_other_the_last_one_is_reviewed(self, host: Any, module: Any, case: Any) -> None:
        for name, shift in (("first", 4), ("second", 6)):
            somebody_elses(host, case, name, {"LA": np.roll(mask(case), shift, axis=1)})
        module.ui.reviewSelector.choose("first")
        review = check(host, module, "second")
        assert review.nodes.reviewed.GetName() == "second"

    def test_an_empty_segment_is_refused_and_the_review_goes_on(self, host: Any, module: Any, case: Any) -> None:
        import slicer

        theirs = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty")
        theirs.GetSegmentation().AddEmptySegment("LA", "left atrium")
        host.process_events()
        check(host, module, "empty")
        assert host.messages[-1].kind == "error"
        assert module.currentReview.review is case and module.ui.insideButton.enabled


def somebody_elses(host: Any, review: Any, name: str, segments: dict[str, np.ndarray]) -> Any:
    """A segmentation that came with the scan, on its grid: masks (z, y, x) by segment id."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(review.nodes.scan)
    for segment_id, drawn in segments.items():
        node.GetSegmentation().AddEmptySegment(segment_id, segment_id)
        voxels = drawn.astype(np.uint8)
        slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, node, segment_id, review.nodes.scan)
    host.process_events()
    return node
