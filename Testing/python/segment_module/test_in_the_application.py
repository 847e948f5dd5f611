"""What was seen in the application: the views, the panel and the log over a whole session."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.paths import ROOT
from support.segment_module import add_scan, arrive, ball, border_place, check, dab, keep_place, load_scan, mask, settle

pytestmark = pytest.mark.host


def ras_of(review: Any) -> tuple[float, float, float]:
    x, y, z = border_place(review)
    return -x, -y, z


def composites() -> list[Any]:
    import slicer

    return list(slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"))


def assert_out_of_sight(nodes: Any) -> None:
    """Neither heatmap nor legend nor outline nor surface of a case is in any view."""
    maps = {node.GetID() for node in nodes.uncertainty.values() if node.GetScene()}
    assert not maps & {view.GetForegroundVolumeID() for view in composites()}
    assert not nodes.legend or not nodes.legend.GetVisibility()
    assert not nodes.segmentation.GetScene() or not nodes.segmentation.GetDisplayVisibility()
    assert not nodes.surface or not nodes.surface.GetDisplayVisibility()


def case_of(review: Any) -> Any:
    from mtctl import scene

    return scene.find_case(review.nodes.scene, review.nodes.scan)


class TestASceneThatIsLoadedInTheModule:
    def test_can_be_painted_in_with_the_mouse(self, host: Any, module: Any, case: Any, tmp_path: Path) -> None:
        import slicer

        from mtctl import scene

        module.ui.paintingSelector.currentIndex = 1
        path = tmp_path / "review.mrb"
        assert slicer.util.saveScene(str(path))
        host.clear()
        slicer.util.loadScene(str(path))
        host.process_events()
        review, editor = module.currentReview.review, module.ui.segmentEditor
        assert editor.segmentationNode() is review.nodes.reviewed
        assert editor.sourceVolumeNode() is review.nodes.heatmap
        scene.jump(slicer.mrmlScene, border_place(review))
        before = mask(review)
        editor.setActiveEffectByName("Paint")
        r, a, s = ras_of(review)
        host.stroke("Red", [(r, a, s), (r + 4, a, s), (r, a + 4, s)])
        settle(host, module)
        changed = mask(review) != before
        assert changed.any() and (np.asarray(review.session.maps.uncertainty)[changed] >= 0.5).all()

    def test_stays_attached_when_somebody_else_changes_many_nodes_at_once(
        self, host: Any, module: Any, case: Any
    ) -> None:
        import slicer

        slicer.mrmlScene.StartState(slicer.mrmlScene.BatchProcessState)
        arrive(host, module, case.nodes.scan, seed=1)
        slicer.mrmlScene.EndState(slicer.mrmlScene.BatchProcessState)
        host.process_events()
        assert module.ui.segmentEditor.segmentationNode() is module.currentReview.review.nodes.reviewed


class TestNothingOfAFormerPatientLiesOverAnotherScan:
    def test_that_is_chosen(self, host: Any, module: Any, case: Any) -> None:
        load_scan(host, module, "another")
        assert_out_of_sight(case_of(case))
        module.ui.scanSelector.choose("scan")
        host.process_events()
        nodes = case_of(module.currentReview.review)
        assert nodes.heatmap.GetID() in {view.GetForegroundVolumeID() for view in composites()}
        assert nodes.legend.GetVisibility() and nodes.segmentation.GetDisplayVisibility()

    def test_that_is_loaded_and_not_chosen_yet_until_the_first_is_looked_at_again(
        self, host: Any, module: Any, case: Any
    ) -> None:
        import slicer

        from MTCTLSegmentLib import sample_data

        sample_data.phantom(sample_data.SEEDS[0])
        host.process_events()
        assert_out_of_sight(case_of(case))
        slicer.util.setSliceViewerLayers(background=case.nodes.scan)
        host.process_events()
        nodes = case_of(module.currentReview.review)
        assert nodes.legend.GetVisibility() and nodes.segmentation.GetDisplayVisibility()
        assert {view.GetForegroundVolumeID() for view in composites()} == {nodes.heatmap.GetID()}

    def test_that_was_chosen_while_the_result_was_on_its_way(self, host: Any, module: Any, scan_node: Any) -> None:
        other = load_scan(host, module, "another")
        assert arrive(host, module, scan_node) is None
        from mtctl import scene

        nodes = scene.find_case(scan_node.GetScene(), scan_node)
        assert nodes is not None and other.GetScene()
        assert_out_of_sight(nodes)

    def test_after_its_own_scan_was_deleted(self, host: Any, module: Any, case: Any) -> None:
        import slicer

        nodes = case_of(case)
        slicer.mrmlScene.RemoveNode(case.nodes.scan)
        host.process_events()
        load_scan(host, module, "another")
        assert_out_of_sight(nodes)

    def test_nor_a_label_layer(self, host: Any, module: Any, case: Any) -> None:
        import slicer

        label = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "label")
        slicer.util.setSliceViewerLayers(label=label)
        load_scan(host, module, "another")
        assert {view.GetLabelVolumeID() for view in composites()} == {None}

    def test_nor_the_remark_that_was_typed_about_the_other(self, host: Any, module: Any, case: Any) -> None:
        module.ui.reasonEdit.text = "motion"
        arrive(host, module, load_scan(host, module, "another"))
        assert module.ui.reasonEdit.text == ""

    def test_nor_a_text_about_the_other_segmentation(self, host: Any, module: Any, case: Any) -> None:
        module.scanPanel._scan = case.nodes.scan
        module.scanPanel._show_end("Cancelled.")
        assert module.ui.progressLabel.isVisible() or not module.ui.progressLabel.isHidden()
        load_scan(host, module, "another")
        assert module.ui.progressLabel.isHidden()


class TestTheWholeSession:
    @pytest.fixture
    def unfolded(self, module: Any) -> Iterator[None]:
        """Open what is folded away; afterwards it is folded again, as the module is that of the other tests, too."""
        boxes = module.ui.advancedBox, module.ui.paintingBox
        for box in boxes:
            box.collapsed = False
        yield
        for box in boxes:
            box.collapsed = True

    def test_leaves_the_panel_as_wide_as_it_was_and_nothing_in_the_log(
        self, host: Any, module: Any, scan_node: Any, unfolded: None
    ) -> None:
        host.clear()
        node = load_scan(host, module, "a scan with a name as long as hospitals give them, LGE 3D nav MV whole heart")
        review = arrive(host, module, node)
        for effect in ("Paint", "Erase", ""):
            module.ui.segmentEditor.setActiveEffectByName(effect)
            host.process_events()
        keep_place(module)
        dab(host, module)
        module.ui.warningLabel.text = "a warning that takes several lines to say what was found, " * 5
        module.ui.progressLabel.text = "a text of a length that nobody has foreseen " * 4
        module.ui.progressLabel.show()
        review.nodes.scene.RemoveNode(review.nodes.segmentation)
        host.wait(0.1)
        assert len(set(host.panel_widths)) == 1
        assert host.warnings == []

    def test_has_no_wrapped_label_that_asks_for_the_width_of_its_message(self) -> None:
        page = ElementTree.parse(ROOT / "MTCTLSegment" / "Resources" / "UI" / "MTCTLSegment.ui")
        labels = [each for each in page.iter("widget") if each.get("class") == "QLabel"]
        wrapped = [each for each in labels if each.findtext("property[@name='wordWrap']/bool") == "true"]
        policies = {each.get("name"): each.find("property[@name='sizePolicy']/sizepolicy") for each in wrapped}
        assert policies and all(
            policy is not None and policy.get("hsizetype") == "Ignored" for policy in policies.values()
        )

    def test_of_the_modules_own_test_prints_no_warning(self, host: Any, module: Any) -> None:
        import slicer

        test = __import__("MTCTLSegment").MTCTLSegmentTest()
        test.runTest()
        slicer.mrmlScene.Clear(0)
        host.process_events()
        assert host.warnings == [] and host.vtk_errors == []


class TestACaseThatIsGone:
    @pytest.mark.parametrize("way", ["scene", "segmentation"])
    def test_opens_section_one_with_apply_in_sight(self, host: Any, module: Any, case: Any, way: str) -> None:
        host.window.panel.scroll_to(module.ui.finishSection._qt)
        assert module.ui.scanSection.collapsed
        if way == "scene":
            case.nodes.scene.Clear(0)
        else:
            case.nodes.scene.RemoveNode(case.nodes.segmentation)
        host.wait(0.05)
        assert not module.ui.scanSection.collapsed
        assert not module.ui.applyButton._qt.visibleRegion().isEmpty()

    def test_takes_heatmap_and_legend_along_with_the_segmentation(self, host: Any, module: Any, case: Any) -> None:
        nodes = case_of(case)
        case.nodes.scene.RemoveNode(case.nodes.segmentation)
        host.process_events()
        assert_out_of_sight(nodes)


class TestTheBox:
    def test_is_a_frame_without_fill_and_label_and_is_hidden_once_apply_was_pressed(
        self, host: Any, module: Any, scan_node: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from MTCTLSegmentLib import python_packages

        monkeypatch.setattr(python_packages, "ensure", lambda *_: True)
        module.ui.advancedBox.collapsed = False
        module.ui.centerRoiButton.click()
        display = module._parameterNode.roi.GetDisplayNode()
        assert display.GetVisibility() and not display.GetFillVisibility()
        assert not display.GetPropertiesLabelVisibility() and not display.GetPointLabelsVisibility()
        module.ui.applyButton.click()
        assert not display.GetVisibility()
        module.ui.applyButton.click()
        assert not module.logic.job.running and display.GetVisibility()


class TestTheViews:
    def test_mark_a_place_with_thick_lines_and_keep_another_choice(self, host: Any, module: Any, case: Any) -> None:
        import slicer

        from mtctl import scene

        crosshair = slicer.util.getNode("vtkMRMLCrosshairNodedefault")
        scene.jump(slicer.mrmlScene, border_place(case))
        assert crosshair.GetCrosshairMode() == crosshair.ShowSmallBasic
        assert crosshair.GetCrosshairThickness() == crosshair.Thick
        crosshair.SetCrosshairMode(crosshair.ShowHashmarks)
        scene.jump(slicer.mrmlScene, border_place(case, 1))
        assert crosshair.GetCrosshairMode() == crosshair.ShowHashmarks

    @pytest.mark.usefixtures("stored_here")
    def test_call_a_map_of_differences_so(self, host: Any, module: Any, case: Any) -> None:
        from mtctl import scene

        other = scene.add_label(case.nodes.scene, case.nodes.scan, np.roll(mask(case), 4, 2), "by hand")
        host.process_events()
        module.ui.reviewSelector.setCurrentNode(other)
        host.process_events()
        legend = case_of(module.currentReview.review).legend
        assert legend.GetTitleText() == "Differences and uncertainty"
        check(host, module, None)
        assert case_of(module.currentReview.review).legend.GetTitleText() == "Uncertainty"


class TestUndoAndRedo:
    def test_are_one_pair_of_buttons_and_enabled_where_there_is_something(
        self, host: Any, module: Any, case: Any
    ) -> None:
        import qt

        ui = module.ui
        assert ui.segmentEditor.findChild(qt.QWidget, "UndoRedoGroupBox").isHidden()
        assert not ui.undoButton.enabled and not ui.redoButton.enabled
        dab(host, module)
        assert ui.undoButton.enabled and not ui.redoButton.enabled
        ui.undoButton.click()
        settle(host, module)
        assert ui.redoButton.enabled


class TestLoading:
    def test_a_scan_can_be_chosen_in_the_same_turn(self, module: Any) -> None:
        node = add_scan(ball())
        module.ui.scanSelector.setCurrentNode(node)
        assert module._parameterNode.scan is node

    def test_the_phantom_by_its_number_makes_one_of_that_number_by_button_and_by_script(self, module: Any) -> None:
        import SampleData

        logic = SampleData.SampleDataLogic()
        for number in (1, 2):
            source = logic.sourceForSampleName(f"LGE phantom {number} (no download)")
            node = SampleData.press(source)
            assert node.GetName() == source.nodeNames[0] == f"LGE phantom {number}"
            assert node.GetSpacing() == (0.625, 0.625, 1.25)
        (again,) = logic.downloadFromSource(source)
        import slicer

        assert np.array_equal(slicer.util.arrayFromVolume(again), slicer.util.arrayFromVolume(node))
        one, other = (each.GetImageData().GetDimensions() for each in (again, node))
        assert one == other and np.allclose(again.GetSpacing(), node.GetSpacing())
        assert again.GetName().startswith("LGE phantom 2")
