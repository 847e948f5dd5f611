"""What a person sees of a preview, of the surface and of the legend of a case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host.requirements import missing_requirement

if missing_requirement() is not None:
    pytest.skip(f"the test host cannot run: {missing_requirement()}", allow_module_level=True)

import slicer
import vtk
from support.scene_example import BULGE, SHAPE
from support.shown_case import VIEWS, grey_scan, is_outline, lps_of, shown_case

from mtctl import scene
from mtctl.review.answers import with_changed
from mtctl.scene.segments import segment_mask

pytestmark = pytest.mark.host


@pytest.fixture
def scan(host: Any, tmp_path: Path) -> Any:
    return grey_scan(tmp_path)


@pytest.fixture
def case(host: Any, scan: Any) -> Iterator[scene.CaseNodes]:
    yield from shown_case(host, scan)


class TestThePreview:
    def voxels(self, case: scene.CaseNodes) -> np.ndarray:
        """What would change: added along one side of a box, taken away along the other."""
        before = scene.mask_of(case)
        after = before.copy()
        after[10:16, 28:33, 12:21] = True
        after[10:16, 24:26, 12:21] = False
        return np.flatnonzero(before != after)

    def test_shows_what_would_change_and_touches_nothing(self, host: Any, case: scene.CaseNodes) -> None:
        before, voxels = scene.mask_of(case), self.voxels(case)
        scene.set_heatmap_visible(case, False)
        clean = host.view_pixels("Red")
        nodes = scene.show_preview(case, voxels)
        after = with_changed(before, voxels)
        assert np.array_equal(scene.mask_of(nodes), before)
        assert np.array_equal(segment_mask(nodes.preview, "added", case.scan), after & ~before)
        assert np.array_equal(segment_mask(nodes.preview, "removed", case.scan), before & ~after)
        assert (before & ~after).any()
        x = np.abs(host.view_pixels("Red").astype(int) - clean).max(axis=-1)
        assert (x > 30).sum() > 100
        scene.remove_preview(nodes)
        assert np.array_equal(host.view_pixels("Red"), clean)
        scene.remove_preview(scene.find_case(slicer.mrmlScene, case.scan))

    def test_is_one_node_however_often_it_changes_and_no_part_of_a_saved_scene(
        self, host: Any, case: scene.CaseNodes, tmp_path: Path
    ) -> None:
        count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
        for _ in range(3):
            case = scene.show_preview(case, self.voxels(case))
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == count + 1
        assert case.preview.GetHideFromEditors()
        slicer.util.saveScene(str(tmp_path / "case.mrb"))
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(tmp_path / "case.mrb"))
        (again,) = scene.cases(slicer.mrmlScene)
        assert again.preview is None


class TestTheSurface:
    def test_is_smooth_and_in_three_d(self, host: Any, case: scene.CaseNodes) -> None:
        empty = host.view_pixels("1")
        scene.set_surface_visible(case, True)
        host.view("1").resetCamera()
        assert is_outline(host.view_pixels("1")).sum() > 1000
        scene.set_surface_visible(case, False)
        assert is_outline(host.view_pixels("1")).sum() < 20 and empty is not None

    def test_is_coloured_where_the_doubt_is_thick_and_follows_the_mask(self, host: Any, case: scene.CaseNodes) -> None:
        model = scene.color_surface(case)
        values = vtk.util.numpy_support.vtk_to_numpy(model.GetPolyData().GetPointData().GetScalars())
        points = vtk.util.numpy_support.vtk_to_numpy(model.GetPolyData().GetPoints().GetData()) * [-1, -1, 1]
        to_bulge = np.linalg.norm(points - lps_of(case, BULGE), axis=1)
        assert values[to_bulge < 3].mean() > 1.2 * values[to_bulge > 8].mean()
        bounds = model.GetPolyData().GetBounds()
        mask = scene.mask_of(case)
        mask[:12] = False
        scene.set_mask(case, mask)
        again = scene.color_surface(scene.find_case(slicer.mrmlScene, case.scan))
        assert again is model
        assert again.GetPolyData().GetBounds() != bounds
        scene.set_surface_visible(scene.find_case(slicer.mrmlScene, case.scan), True)
        assert not model.GetDisplayNode().GetVisibility()
        assert case.segmentation.GetDisplayNode().GetVisibility3D()

    def test_slows_no_stroke_down_while_it_is_not_shown(self, host: Any, case: scene.CaseNodes) -> None:
        segments = case.segmentation.GetSegmentation()
        scene.set_surface_visible(case, True)
        assert segments.ContainsRepresentation("Closed surface")
        scene.color_surface(case)
        assert not segments.ContainsRepresentation("Closed surface")
        scene.set_surface_visible(case, True)
        scene.set_surface_visible(case, False)
        assert not segments.ContainsRepresentation("Closed surface")

    def test_of_an_empty_segment_is_refused(self, host: Any, case: scene.CaseNodes) -> None:
        scene.set_mask(case, np.zeros(SHAPE, dtype=bool))
        with pytest.raises(scene.SceneError, match="empty"):
            scene.color_surface(case)


class TestTheLegend:
    def test_is_in_the_views_that_were_named_and_no_others(self, host: Any, case: scene.CaseNodes) -> None:
        before = {name: host.view_pixels(name) for name in VIEWS}
        scene.show_legend(case, [host.view("Red").node])
        host.process_events()
        right = before["Red"].shape[1] * 3 // 4
        assert (host.view_pixels("Red")[:, right:] != before["Red"][:, right:]).any(axis=-1).sum() > 500
        for name in VIEWS[1:]:
            assert np.array_equal(host.view_pixels(name), before[name])

    def test_goes_with_the_kind_and_is_hidden_with_the_heatmap(self, host: Any, case: scene.CaseNodes) -> None:
        scene.show_legend(case, [host.view("Red").node])
        nodes = scene.show_kind(scene.find_case(slicer.mrmlScene, case.scan), "mutual_information")
        assert nodes.legend.GetTitleText() == "Uncertainty (mutual information)"
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 1
        scene.set_heatmap_visible(nodes, False)
        assert not nodes.legend.GetVisibility()
