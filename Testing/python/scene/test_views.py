"""What a person sees of a case: pixels of the host's slice and 3-D views, and a scene that was saved and loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host.requirements import missing_requirement

if missing_requirement() is not None:
    pytest.skip(f"the test host cannot run: {missing_requirement()}", allow_module_level=True)

import SimpleITK as sitk
import slicer
import vtk
from support.scene_example import BALL, BULGE, SHAPE, result_for, scan_image
from support.shown_case import VIEWS, grey_scan, is_coloured, is_outline, lps_of, pixel, shown_case

from mtctl import scene
from mtctl.scene.displays import heatmap_colors
from mtctl.scene.segments import set_segment

pytestmark = pytest.mark.host


@pytest.fixture
def scan(host: Any, tmp_path: Path) -> Any:
    return grey_scan(tmp_path)


@pytest.fixture
def case(host: Any, scan: Any) -> Iterator[scene.CaseNodes]:
    yield from shown_case(host, scan)


class TestTheHeatmap:
    @pytest.mark.parametrize("view", VIEWS)
    def test_appears_where_uncertainty_is_and_disappears_when_the_threshold_passes_it(
        self, host: Any, case: scene.CaseNodes, view: str
    ) -> None:
        assert scene.volume_of(case.heatmap).array[tuple(BULGE.astype(int))] > 0.98
        case.segmentation.GetDisplayNode().SetVisibility(False)
        assert is_coloured(pixel(host, view, case, BULGE))
        scene.set_threshold(case, 1.0)
        assert not is_coloured(pixel(host, view, case, BULGE))
        scene.set_threshold(case, 0.5)
        assert is_coloured(pixel(host, view, case, BULGE))

    def test_has_the_colour_of_its_value(self, host: Any, case: scene.CaseNodes) -> None:
        case.segmentation.GetDisplayNode().SetVisibility(False)
        scene.set_threshold(case, 0.5)
        value = scene.volume_of(case.heatmap).array[tuple(BULGE.astype(int))]
        expected = heatmap_colors()[round(float(value) * 255)] * 255
        assert np.abs(pixel(host, "Red", case, BULGE) - expected).max() <= 6

    def test_lights_up_exactly_the_voxels_that_may_be_painted(self, host: Any, case: scene.CaseNodes) -> None:
        case.segmentation.GetDisplayNode().SetVisibility(False)
        scene.set_threshold(case, 0.6)
        array = scene.volume_of(case.heatmap).array
        wrong = []
        for index in np.argwhere((array > 0.02) & (array < 0.98))[::60]:
            scene.jump(slicer.mrmlScene, lps_of(case, index))
            host.process_events()
            if is_coloured(pixel(host, "Red", case, index)) != (array[tuple(index)] >= 0.6):
                wrong.append(index)
        assert not wrong

    def test_is_hidden_and_shown_again_with_its_opacity_and_threshold(self, host: Any, case: scene.CaseNodes) -> None:
        case.segmentation.GetDisplayNode().SetVisibility(False)
        scene.set_opacity(case, 0.8)
        before = pixel(host, "Red", case, BULGE)
        scene.set_heatmap_visible(case, False)
        assert not is_coloured(pixel(host, "Red", case, BULGE))
        scene.show_layers(case)
        assert not is_coloured(pixel(host, "Red", case, BULGE))
        scene.set_heatmap_visible(case, True)
        assert np.array_equal(pixel(host, "Red", case, BULGE), before)

    def test_opacity_lets_the_scan_through(self, host: Any, case: scene.CaseNodes) -> None:
        case.segmentation.GetDisplayNode().SetVisibility(False)
        full = pixel(host, "Red", case, BULGE)
        scene.set_opacity(case, 0.5)
        grey = 100 * 255 / 250
        np.testing.assert_allclose(pixel(host, "Red", case, BULGE), (full + grey) / 2, atol=4)
        assert scene.opacity_of(scene.find_case(slicer.mrmlScene, case.scan)) == 0.5

    def test_another_kind_takes_its_place(self, host: Any, case: scene.CaseNodes) -> None:
        nodes = scene.show_kind(case, "disagreement")
        composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
        assert composite.GetForegroundVolumeID() == nodes.uncertainty["disagreement"].GetID()
        # Half of the entropy everywhere in the example: the same voxels, at half the threshold.
        assert scene.threshold_of(nodes) == pytest.approx(0.45, abs=0.02)

    def test_a_threshold_is_one_change_of_the_display(self, case: scene.CaseNodes) -> None:
        events: list[str] = []
        display = case.heatmap.GetDisplayNode()
        tags = [display.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: events.append("display"))]
        nodes_of = slicer.util.getNodesByClass
        others = [node for name in ("vtkMRMLVolumeNode", "vtkMRMLSliceCompositeNode") for node in nodes_of(name)]
        seen = [(node, node.AddObserver("ModifiedEvent", lambda *_: events.append("node"))) for node in others]
        scene.set_threshold(case, 0.77)
        display.RemoveObserver(tags[0])
        for node, tag in seen:
            node.RemoveObserver(tag)
        assert events == ["display"]


class TestColours:
    def test_are_told_apart_by_their_brightness_alone(self) -> None:
        linear = np.where(
            heatmap_colors() <= 0.04045, heatmap_colors() / 12.92, ((heatmap_colors() + 0.055) / 1.055) ** 2.4
        )
        luminance = linear @ [0.2126, 0.7152, 0.0722]
        lightness = 116 * np.cbrt(luminance) - 16
        assert (np.diff(lightness[10:]) > 0).all()
        assert lightness[-1] - lightness[0] > 70

    def test_go_from_purple_to_yellow(self) -> None:
        low, high = heatmap_colors()[0], heatmap_colors()[-1]
        assert low[2] > low[0] > low[1] and high[0] > 0.9 and high[1] > 0.8 and high[2] < 0.3

    def test_are_one_table_for_all_cases(self, host: Any, case: scene.CaseNodes) -> None:
        tables = {node.GetDisplayNode().GetColorNodeID() for node in case.uncertainty.values()}
        assert len(tables) == 1
        scene.show_result(slicer.mrmlScene, case.scan, result_for(case.scan))
        assert len([n for n in slicer.util.getNodesByClass("vtkMRMLColorTableNode") if n.GetAttribute(scene.ROLE)]) == 1


class TestTheOutline:
    @pytest.mark.parametrize("view", VIEWS)
    def test_sits_on_the_mask(self, host: Any, case: scene.CaseNodes, view: str) -> None:
        scene.set_heatmap_visible(case, False)
        scene.jump(slicer.mrmlScene, lps_of(case, BALL))
        pixels = host.view_pixels(view)
        outline = np.argwhere(is_outline(pixels))
        assert len(outline) > 50
        mask, geometry = scene.mask_of(case), scene.volume_of(case.scan).geometry
        to_ras = slicer.util.arrayFromVTKMatrix(host.view(view).node.GetXYToRAS())
        ras = np.array([to_ras @ [column, len(pixels) - 1 - row, 0, 1] for row, column in outline])[:, :3]
        index = geometry.physical_to_index(ras * [-1, -1, 1])
        # Between two voxels of which one is inside: within a voxel of both.
        near = np.stack([index + step for step in np.ndindex(3, 3, 3)]) - 1
        near = np.rint(near).astype(int).clip(0, np.array(SHAPE[::-1]) - 1)
        values = mask[near[..., 2], near[..., 1], near[..., 0]]
        assert (values.any(axis=0) & ~values.all(axis=0)).mean() > 0.995

    def test_follows_the_mask(self, host: Any, case: scene.CaseNodes) -> None:
        scene.set_heatmap_visible(case, False)
        before = is_outline(host.view_pixels("Red")).sum()
        scene.set_mask(case, np.zeros(SHAPE, dtype=bool))
        assert before > 50
        assert not is_outline(host.view_pixels("Red")).any()


class TestJumping:
    @pytest.mark.parametrize("place", [BALL, BULGE, (2.0, 4.0, 5.0)])
    def test_centres_the_views_the_crosshair_and_the_camera(self, host: Any, case: scene.CaseNodes, place: Any) -> None:
        lps = lps_of(case, place)
        ras = np.array(lps) * [-1, -1, 1]
        camera = host.view("1").cameraNode()
        way = np.subtract(camera.GetPosition(), camera.GetFocalPoint())
        up = camera.GetViewUp()
        scene.jump(slicer.mrmlScene, lps)
        host.process_events()
        for name in VIEWS:
            view = host.view(name)
            column, row = host.pixel_of(name, tuple(ras))
            assert abs(column - view.width() / 2) <= 2 and abs(row - view.height() / 2) <= 2
            assert abs((np.linalg.inv(slicer.util.arrayFromVTKMatrix(view.node.GetSliceToRAS())) @ [*ras, 1])[2]) < 1e-6
        crosshair = slicer.util.getNode("vtkMRMLCrosshairNodedefault")
        np.testing.assert_allclose(crosshair.GetCrosshairRAS(), ras)
        np.testing.assert_allclose(camera.GetFocalPoint(), ras)
        np.testing.assert_allclose(np.subtract(camera.GetPosition(), camera.GetFocalPoint()), way, atol=1e-9)
        assert camera.GetViewUp() == up


class TestLayers:
    def composites(self) -> list[Any]:
        return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")

    def test_what_the_person_had_comes_back_when_the_case_is_closed(self, host: Any, scan: Any, tmp_path: Path) -> None:
        sitk.WriteImage(scan_image(), str(tmp_path / "other.nrrd"))
        other = slicer.util.loadVolume(str(tmp_path / "other.nrrd"), {"show": False})
        slicer.util.setSliceViewerLayers(background=other, foreground=scan, foregroundOpacity=0.25)
        nodes = scene.show_result(slicer.mrmlScene, scan, result_for(scan))
        for _ in range(2):
            scene.show_layers(nodes)
        assert {each.GetBackgroundVolumeID() for each in self.composites()} == {scan.GetID()}
        scene.close_case(nodes)
        for composite in self.composites():
            assert composite.GetBackgroundVolumeID() == other.GetID()
            assert composite.GetForegroundVolumeID() == scan.GetID()
            assert composite.GetForegroundOpacity() == 0.25

    def test_it_comes_back_also_while_the_heatmap_is_hidden(self, host: Any, scan: Any, tmp_path: Path) -> None:
        sitk.WriteImage(scan_image(), str(tmp_path / "other.nrrd"))
        other = slicer.util.loadVolume(str(tmp_path / "other.nrrd"), {"show": False})
        slicer.util.setSliceViewerLayers(background=scan, foreground=other, foregroundOpacity=0.25)
        nodes = scene.show_result(slicer.mrmlScene, scan, result_for(scan))
        scene.show_layers(nodes)
        scene.set_heatmap_visible(nodes, False)
        scene.hide_layers(nodes)
        assert {each.GetForegroundVolumeID() for each in self.composites()} == {other.GetID()}
        assert {each.GetForegroundOpacity() for each in self.composites()} == {0.25}

    def test_what_the_person_changed_meanwhile_stays(self, host: Any, case: scene.CaseNodes, tmp_path: Path) -> None:
        sitk.WriteImage(scan_image(), str(tmp_path / "other.nrrd"))
        other = slicer.util.loadVolume(str(tmp_path / "other.nrrd"), {"show": False})
        slicer.util.setSliceViewerLayers(background=other, foreground=None)
        scene.close_case(case)
        assert {each.GetBackgroundVolumeID() for each in self.composites()} == {other.GetID()}

    def test_a_case_over_another_gives_the_other_back(self, host: Any, case: scene.CaseNodes, tmp_path: Path) -> None:
        sitk.WriteImage(scan_image("axial"), str(tmp_path / "second.nrrd"))
        second_scan = slicer.util.loadVolume(str(tmp_path / "second.nrrd"), {"show": False})
        second = scene.show_result(slicer.mrmlScene, second_scan, result_for(second_scan))
        scene.show_layers(second)
        scene.close_case(second)
        assert {each.GetBackgroundVolumeID() for each in self.composites()} == {case.scan.GetID()}
        assert {each.GetForegroundVolumeID() for each in self.composites()} == {case.heatmap.GetID()}


class TestASavedScene:
    def test_brings_the_case_back_as_it_was(self, host: Any, case: scene.CaseNodes, tmp_path: Path) -> None:
        edited = scene.mask_of(case)
        edited[10:13, 18:22, 5:9] ^= True
        scene.set_mask(case, edited)
        scene.set_threshold(case, 0.42)
        scene.set_opacity(case, 0.6)
        case = scene.show_kind(case, "disagreement")
        scene.set_threshold(case, 0.21)
        scene.store_document(case, "review", {"threshold": 0.21, "regions": [{"id": 1}]})
        scene.show_legend(case, [host.view("Red").node])
        before, report = scene.case_maps(case), scene.load_document(case, "report")
        distance = scene.volume_of(case.distance).array.copy()
        slicer.util.saveScene(str(tmp_path / "case.mrb"))
        slicer.mrmlScene.Clear(0)
        assert scene.cases(slicer.mrmlScene) == ()
        slicer.util.loadScene(str(tmp_path / "case.mrb"))
        (again,) = scene.cases(slicer.mrmlScene)
        assert scene.missing(again) is None
        assert np.array_equal(scene.mask_of(again), edited)
        after = scene.case_maps(again)
        for name in ("segmentation", "uncertainty", "probability"):
            assert np.array_equal(getattr(after, name), getattr(before, name)), name
        assert np.array_equal(scene.volume_of(again.distance).array, distance)
        np.testing.assert_allclose(after.geometry.direction, before.geometry.direction, atol=1e-12)
        assert (again.kind, scene.threshold_of(again), scene.opacity_of(again)) == ("disagreement", 0.21, 0.6)
        assert scene.load_document(again, "report") == report
        assert scene.load_document(again, "review") == {"threshold": 0.21, "regions": [{"id": 1}]}
        assert again.folder is not None
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        assert hierarchy.GetItemName(again.folder) == "scan: left atrium"
        composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
        assert composite.GetForegroundVolumeID() == again.heatmap.GetID()
        scene.close_case(again)
        assert composite.GetForegroundVolumeID() is None
        assert composite.GetBackgroundVolumeID() == again.scan.GetID()

    def test_that_is_added_to_another_brings_a_second_case(
        self, host: Any, case: scene.CaseNodes, tmp_path: Path
    ) -> None:
        slicer.util.saveScene(str(tmp_path / "case.mrb"))
        slicer.util.loadScene(str(tmp_path / "case.mrb"), {"clear": False})
        first, second = scene.cases(slicer.mrmlScene)
        assert first.scan is not second.scan
        scene.set_mask(first, np.zeros(SHAPE, dtype=bool))
        assert scene.mask_of(second).any()
        scene.close_case(first)
        assert scene.missing(second) is None

    def test_remembers_whose_segmentation_is_reviewed(self, host: Any, case: scene.CaseNodes, tmp_path: Path) -> None:
        other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "by hand")
        other.SetReferenceImageGeometryParameterFromVolumeNode(case.scan)
        other.CreateDefaultDisplayNodes()
        other.GetSegmentation().AddEmptySegment("drawn", "drawn")
        drawn = scene.mask_of(case)
        drawn[:10] = False
        set_segment(other, "drawn", drawn, case.scan)
        scene.review_segmentation(case, other, "drawn")
        slicer.util.saveScene(str(tmp_path / "case.mrb"))
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(tmp_path / "case.mrb"))
        (again,) = scene.cases(slicer.mrmlScene)
        assert (again.reviewed.GetName(), again.segment_id) == ("by hand", "drawn")
        assert np.array_equal(scene.case_maps(again).segmentation, drawn)
        assert np.array_equal(scene.volume_of(again.heatmap).array, scene.case_maps(again).uncertainty)
