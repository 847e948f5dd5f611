"""Scene and views of the stand-in behave as the application's do."""

from __future__ import annotations

import pathlib
import types
from typing import Any

import numpy as np
import pytest
from host.fixtures import TEST_SIZE
from support.host_example import CORNER, voxels

pytestmark = pytest.mark.host_self


class TestScene:
    def test_a_loaded_volume_replaces_the_background_unless_asked_not_to(
        self, slicer: Any, scan: Any, tmp_path: pathlib.Path
    ) -> None:
        slicer.util.saveNode(scan, str(tmp_path / "other.nrrd"))
        layers = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
        hidden = slicer.util.loadVolume(str(tmp_path / "other.nrrd"), {"show": False})
        assert hidden.GetDisplayNode() is not None
        assert layers.GetBackgroundVolumeID() == scan.GetID()
        shown = slicer.util.loadVolume(str(tmp_path / "other.nrrd"))
        assert layers.GetBackgroundVolumeID() == shown.GetID()

    def test_a_missing_file_raises_and_names_it(self, slicer: Any) -> None:
        with pytest.raises(RuntimeError, match=r"nowhere\.nrrd"):
            slicer.util.loadVolume("/nowhere.nrrd")

    def test_segmentations_are_written_and_read(self, slicer: Any, editor: Any, tmp_path: pathlib.Path) -> None:
        editor.activeEffect().paint_at(CORNER, 8)
        slicer.util.saveNode(editor.segmentationNode(), str(tmp_path / "atrium.seg.nrrd"))
        again = slicer.util.loadSegmentation(str(tmp_path / "atrium.seg.nrrd"))
        assert slicer.util.arrayFromSegmentInternalBinaryLabelmap(again, "LA").sum() == voxels(slicer, editor).sum()

    def test_the_applications_colour_tables_are_there(self, slicer: Any, scan: Any) -> None:
        table = slicer.mrmlScene.GetNodeByID("vtkMRMLColorTableNodeFileInferno.txt")
        assert (table.GetName(), table.GetNumberOfColors()) == ("Inferno", 256)
        assert slicer.util.getNode("Viridis") is not None
        legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(scan)
        assert legend is not None

    def test_a_case_gets_a_folder_in_the_subject_hierarchy(self, slicer: Any, scan: Any) -> None:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "case 1")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(scan), folder)
        children = slicer.util.getSubjectHierarchyItemChildren(folder)
        assert [hierarchy.GetItemName(child) for child in children] == ["scan"]

    def test_a_segmentation_that_is_hidden_before_it_is_added_is_complained_of(self, host: Any, slicer: Any) -> None:
        late = slicer.mrmlScene.AddNode(slicer.vtkMRMLSegmentationNode())
        late.SetHideFromEditors(True)
        assert host.warnings == []
        early = slicer.vtkMRMLSegmentationNode()
        early.SetHideFromEditors(True)
        slicer.mrmlScene.AddNode(early)
        assert len(host.warnings) == 7 and "subject hierarchy item" in host.warnings[0]

    def test_node_selectors_filter_by_attribute(self, slicer: Any, scan: Any) -> None:
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.noneEnabled = True
        selector.addAttribute("vtkMRMLScalarVolumeNode", "MTCTL.Role", "uncertainty")
        selector.setMRMLScene(slicer.mrmlScene)
        assert selector.nodeCount() == 0
        scan.SetAttribute("MTCTL.Role", "uncertainty")
        selector.setMRMLScene(slicer.mrmlScene)
        assert selector.nodeCount() == 1

    def test_a_selector_follows_the_deletion_of_its_node(self, slicer: Any, example: Any, scan: Any) -> None:
        example.ui.scanSelector.setCurrentNode(scan)
        slicer.mrmlScene.RemoveNode(scan)
        assert example.ui.scanSelector.currentNode() is None

    def test_questions_are_refused_in_testing_mode_unless_the_test_answers(self, host: Any, slicer: Any) -> None:
        assert slicer.util.confirmOkCancelDisplay("Install?") is False
        assert slicer.util.confirmYesNoDisplay("Delete?") is False
        host.answer(True, True, False)
        assert slicer.util.confirmOkCancelDisplay("Install?")
        assert slicer.util.confirmYesNoDisplay("Delete?")
        assert not slicer.util.confirmYesNoDisplay("Delete?")
        slicer.util.errorDisplay("no disk space")
        assert [(each.kind, each.text) for each in host.messages][-1] == ("error", "no disk space")

    def test_errors_are_raised_again_in_testing_mode(self, slicer: Any) -> None:
        with pytest.raises(ZeroDivisionError), slicer.util.tryWithErrorDisplay("Failed."):
            _ = 1 / 0

    def test_a_modal_dialog_does_not_block(self, host: Any, qt: Any) -> None:
        dialog = qt.QDialog()
        dialog.windowTitle = "Really?"
        assert dialog.exec_() == 0
        host.answer(1)
        assert dialog.exec_() == 1
        assert qt.QMessageBox.question(None, "Title", "Text") == qt.QMessageBox.No

    def test_packages_are_asked_for_and_never_installed(self, host: Any, slicer: Any) -> None:
        from slicer import packaging

        with pytest.raises(RuntimeError, match="declined"):
            packaging.pip_ensure("no-such-package>=1", requester="Test", skip_in_testing=False)
        host.answer(True)
        packaging.pip_ensure("no-such-package>=1", requester="Test", skip_in_testing=False)
        packaging.pip_ensure("numpy")
        slicer.util.pip_install("another-one")
        assert host.installed == ["no-such-package>=1", "another-one"]
        host.fail_installing(OSError("offline"))
        with pytest.raises(OSError, match="offline"):
            slicer.util.pip_install("a-third-one")

    def test_errors_of_vtk_are_collected(self, host: Any, slicer: Any) -> None:
        slicer.mrmlScene.AddNode(None)
        assert len(host.vtk_errors) == 1
        assert "null node" in host.vtk_errors[0]

    def test_the_utilities_of_the_application_run(self, slicer: Any) -> None:
        assert slicer.util.showStatusMessage("Working")
        assert pathlib.Path(slicer.util.tempDirectory()).is_dir()
        assert slicer.util.settingsValue("MTCTL/device", "auto") == "auto"
        slicer.app.settings().setValue("MTCTL/device", "cpu")
        assert slicer.util.settingsValue("MTCTL/device", "auto") == "cpu"
        slicer.app.settings().remove("MTCTL/device")
        assert slicer.util.getModuleLogic("Markups") is slicer.modules.markups.logic()
        with slicer.util.WaitCursor():
            pass
        assert slicer.util.createProgressDialog(maximum=5).maximum == 5
        slicer.util.setModuleHelpSectionVisible(False)
        slicer.util.setDataProbeVisible(False)
        slicer.util.setDataProbeVisible(True)


class TestViews:
    def test_the_picture_shows_the_scan_where_it_is(self, host: Any, scan: Any) -> None:
        pixels = host.view_pixels("Red")
        column, row = host.pixel_of("Red", (30.0, 25.0, 20.0))
        assert pixels[row, column].min() > 200
        column, row = host.pixel_of("Red", (3.0, 3.0, 20.0))
        assert pixels[row, column].max() < 50

    def test_jumping_moves_all_slices_and_not_the_crosshair(self, slicer: Any, scan: Any) -> None:
        crosshair = slicer.util.getNode("vtkMRMLCrosshairNodedefault")
        before = list(crosshair.GetCrosshairRAS())
        slicer.modules.markups.logic().JumpSlicesToLocation(12.0, 13.0, 14.0, True)
        for axis, name in enumerate(("Yellow", "Green", "Red")):
            place = slicer.util.getNode(f"vtkMRMLSliceNode{name}").GetSliceToRAS().GetElement(axis, 3)
            assert place == pytest.approx(12 + axis)
        assert list(crosshair.GetCrosshairRAS()) == before

    def test_a_heatmap_shows_and_hides_with_its_threshold(self, host: Any, slicer: Any, scan: Any) -> None:
        heat = slicer.util.addVolumeFromArray(0.6 * slicer.util.arrayFromVolume(scan), name="heat")
        heat.CreateDefaultDisplayNodes()
        display = heat.GetDisplayNode()
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeFileInferno.txt")
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(0, 1)
        display.AutoThresholdOff()
        display.SetThreshold(0.5, 1)
        display.SetApplyThreshold(1)
        slicer.util.setSliceViewerLayers(foreground=heat, foregroundOpacity=1.0)
        column, row = host.pixel_of("Red", (30.0, 25.0, 20.0))
        red, _, blue = (int(value) for value in host.view_pixels("Red")[row, column])
        assert red > blue + 50
        display.SetLowerThreshold(0.7)
        red, _, blue = (int(value) for value in host.view_pixels("Red")[row, column])
        assert red == blue

    def test_many_changes_make_one_render(self, host: Any, scan: Any) -> None:
        host.process_events()
        before = host.renders("Red")
        for level in range(10):
            scan.GetDisplayNode().SetLevel(0.1 * level)
        host.process_events()
        assert host.renders("Red") == before + 1

    def test_paused_views_wait(self, host: Any, slicer: Any, scan: Any) -> None:
        host.process_events()
        before = host.renders("Red")
        with slicer.util.RenderBlocker():
            scan.GetDisplayNode().SetLevel(0.2)
            host.wait(0.1)
            assert host.renders("Red") == before
        host.process_events()
        assert host.renders("Red") == before + 1

    def test_layouts_arrange_the_views(self, host: Any, slicer: Any) -> None:
        manager = slicer.app.layoutManager()
        assert manager.sliceViewNames() == ("Red", "Green", "Yellow")
        before = manager.layout
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        host.process_events()
        assert manager.sliceWidget("Red").isVisible()
        assert not manager.sliceWidget("Green").isVisible()
        manager.setLayout(before)
        host.process_events()
        assert manager.sliceWidget("Green").isVisible()

    def test_a_chart_switches_the_layout_until_it_is_restored(self, host: Any, slicer: Any) -> None:
        manager = slicer.app.layoutManager()
        before = manager.layout
        chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode")
        slicer.modules.plots.logic().ShowChartInLayout(chart)
        assert manager.layout != before
        manager.setLayout(before)

    def test_a_plot_view_keeps_its_axes_whatever_is_drawn_later_until_they_are_fitted(
        self, host: Any, slicer: Any
    ) -> None:
        manager, scene = slicer.app.layoutManager(), slicer.mrmlScene
        before, table = manager.layout, scene.AddNewNodeByClass("vtkMRMLTableNode")
        slicer.util.updateTableFromArray(table, np.array([[0.0, 1.0], [1.0, 2.0]]), ["x", "y"])
        series, chart = (scene.AddNewNodeByClass(f"vtkMRMLPlot{kind}Node") for kind in ("Series", "Chart"))
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName("x")
        series.SetYColumnName("y")
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
        slicer.modules.plots.logic().ShowChartInLayout(chart)
        host.process_events()
        view = manager.plotWidget(manager.plotViewCount - 1).plotView()
        axes = view.axes()
        table.GetTable().GetColumn(1).SetValue(1, 100.0)
        table.Modified()
        host.process_events()
        assert view.axes() == axes
        view.fitToContent()
        assert view.axes()[1][1] > 100
        chart.SetYAxisRangeAuto(False)
        chart.SetYAxisRange(0.0, 9.0)
        assert view.axes()[1] == (0.0, 9.0)
        manager.setLayout(before)

    def test_the_wheel_moves_the_slice(self, host: Any, scan: Any) -> None:
        view = host.view("Red")
        before = view.logic.GetSliceOffset()
        host.wheel("Red", 1)
        assert view.logic.GetSliceOffset() != before

    def test_a_screenshot_shows_panel_and_views(
        self, host: Any, example: Any, scan: Any, tmp_path: pathlib.Path
    ) -> None:
        from matplotlib.image import imread

        picture = imread(host.screenshot(tmp_path / "window.png"))
        assert picture.shape[1::-1] == TEST_SIZE
        assert picture[:, 500:].std() > 0.2

    def test_the_heartbeat_notices_a_blocked_interface(
        self, host: Any, qt: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from host import heartbeat

        clock = [0.0]
        monkeypatch.setattr(
            heartbeat, "time", types.SimpleNamespace(perf_counter=lambda: clock[0], thread_time=lambda: clock[0])
        )
        with host.heartbeat() as beat:
            host.wait(0.1)
        assert beat.worst_ms == 0
        with host.heartbeat() as beat:
            qt.QTimer.singleShot(0, lambda: clock.append(clock.pop() + 0.5))
            host.wait(0.1)
        assert beat.worst_ms == pytest.approx(500 - heartbeat.INTERVAL_MS) and beat.busiest_ms == pytest.approx(500)
