"""Masks of a case in a MRML scene: written, moved, restricted, and those of somebody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-mtctl[slicer]")

import SimpleITK as sitk  # noqa: E402
import vtk  # noqa: E402
from support.empty_scene import moving, other_segmentation, segments_in_patient, transform  # noqa: E402
from support.scene_example import SHAPE, SPACING, grid, load, positions, result_for, rotation  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

from mtctl import scene  # noqa: E402
from mtctl.io.volumes import read_mask, write_segmentation  # noqa: E402
from mtctl.scene.segments import segment_mask, set_segment  # noqa: E402
from mtctl.scene.volume_nodes import index_to_ras, labelmap  # noqa: E402


class TestMasks:
    def test_any_mask_comes_back_as_it_was_written(self, case: scene.CaseNodes) -> None:
        rng = np.random.default_rng(3)
        for mask in (rng.random(SHAPE) > 0.5, np.zeros(SHAPE, bool), np.ones(SHAPE, bool), rng.random(SHAPE) > 0.99):
            scene.set_mask(case, mask)
            assert np.array_equal(scene.mask_of(case), mask)

    def test_writing_is_told_to_who_watches_the_segment(self, case: scene.CaseNodes) -> None:
        events: list[str] = []
        segmentation = case.segmentation.GetSegmentation()
        segmentation.AddObserver(slicer.vtkSegmentation.SegmentModified, lambda *_: events.append("modified"))
        for mask in (np.ones(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)):
            events.clear()
            scene.set_mask(case, mask)
            assert events

    def test_after_a_person_gave_the_segmentation_a_finer_grid_it_lies_where_it_should(
        self, case: scene.CaseNodes
    ) -> None:
        finer, mask = regridded(case, np.diag([0.5, 0.5, 0.5, 1.0])), scene.mask_of(case).copy()
        other = segment_mask(case.segmentation, "other", case.scan)
        voxels = np.count_nonzero(finer == case.segmentation.GetSegmentation().GetSegment("other").GetLabelValue())
        assert other.any() and voxels > 6 * other.sum()
        mask[13, 20:30, 12:18] ^= True
        scene.set_mask(case, mask)
        assert np.array_equal(scene.mask_of(case), mask)
        label = case.segmentation.GetSegmentation().GetSegment("other").GetLabelValue()
        image = case.segmentation.GetBinaryLabelmapInternalRepresentation("other")
        assert np.count_nonzero(vtk_to_numpy(image.GetPointData().GetScalars()) == label) == voxels

    def test_in_a_segmentation_that_a_person_has_turned_by_itself_it_lies_where_it_should(
        self, case: scene.CaseNodes
    ) -> None:
        turn = np.eye(4)
        turn[:3, :3], turn[:3, 3] = rotation(0, 0, 20), (3.0, -2.0, 1.0)
        case.segmentation.SetAndObserveTransformNodeID(transform(case.scene, turn).GetID())
        mask = result_for(case.scan).segmentation != 0
        assert not np.array_equal(scene.mask_of(case), mask)
        scene.set_mask(case, mask)
        assert np.array_equal(scene.mask_of(case), mask)

    def test_a_mask_of_another_shape_is_refused(self, case: scene.CaseNodes) -> None:
        with pytest.raises(scene.SceneError, match="do not belong together"):
            scene.set_mask(case, np.zeros((3, 4, 5), dtype=bool))

    def test_writing_one_segment_leaves_the_others_of_the_node_alone(self, case: scene.CaseNodes) -> None:
        segments = case.segmentation.GetSegmentation()
        segments.AddEmptySegment("scar", "scar")
        scar = np.zeros(SHAPE, dtype=bool)
        scar[10:14, 14:22, 10:20] = True
        set_segment(case.segmentation, "scar", scar, case.scan)
        scene.set_mask(case, np.ones(SHAPE, dtype=bool))
        assert np.array_equal(segment_mask(case.segmentation, "scar", case.scan), scar)
        scene.set_mask(case, np.zeros(SHAPE, dtype=bool))
        assert np.array_equal(segment_mask(case.segmentation, "scar", case.scan), scar)

    def test_a_file_of_the_command_line_lies_on_the_scan(self, world: Any, scan: Any, tmp_path: Path) -> None:
        mask = np.random.default_rng(4).random(SHAPE) > 0.8
        geometry = scene.volume_of(scan).geometry
        write_segmentation(replace(scene.volume_of(scan), array=mask.astype(np.uint8)), tmp_path / "x.seg.nrrd")
        node = world.AddNewNodeByClass("vtkMRMLSegmentationNode", "x")
        node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(str(tmp_path / "x.seg.nrrd"))
        assert node.GetStorageNode().ReadData(node)
        assert np.array_equal(segment_mask(node, "LeftAtrium", scan), mask)
        assert read_mask(tmp_path / "x.seg.nrrd").geometry.size == geometry.size


def regridded(case: scene.CaseNodes, to_finer: np.ndarray) -> np.ndarray:
    """Give the segmentation another grid, as the geometry dialog does, and another segment on the same voxels."""
    logic, ours = slicer.vtkSlicerSegmentationsModuleLogic, case.segmentation.GetSegmentation()
    fine, mask = index_to_ras(case.scan) @ to_finer, scene.mask_of(case)
    corner = np.zeros(SHAPE, dtype=bool)
    corner[:4, :5, :6] = True
    ours.AddEmptySegment("other", "other")
    ours.SeparateSegmentLabelmap(scene.SEGMENT_ID)
    for segment_id, each in ((scene.SEGMENT_ID, mask), ("other", corner)):
        voxels = np.kron(each, np.ones((2, 2, 2), dtype=bool)).astype(np.uint8)
        logic.SetBinaryLabelmapToSegment(labelmap(voxels, (0, 0, 0), fine), case.segmentation, segment_id)
    ours.CollapseBinaryLabelmaps(False)
    assert ours.GetNumberOfLayers() == 1
    image = case.segmentation.GetBinaryLabelmapInternalRepresentation(scene.SEGMENT_ID)
    return vtk_to_numpy(image.GetPointData().GetScalars())


class TestAScanThatIsMovedAfterwards:
    @pytest.fixture
    def edited(self, case: scene.CaseNodes) -> np.ndarray:
        mask = np.random.default_rng(6).random(SHAPE) > 0.9
        scene.set_mask(case, mask)
        return mask

    def on_the_scan(self, case: scene.CaseNodes, mask: np.ndarray) -> None:
        geometry = scene.volume_of(case.scan).geometry
        assert np.array_equal(scene.mask_of(case), mask)
        np.testing.assert_allclose(segments_in_patient(case), positions(mask, geometry), atol=2e-3)
        assert scene.case_maps(case).geometry == geometry
        for node in (*case.uncertainty.values(), case.distance, case.probability):
            assert scene.volume_of(node).geometry == geometry

    def test_takes_everything_with_it_under_a_transform_and_out_again(
        self, case: scene.CaseNodes, edited: np.ndarray
    ) -> None:
        before = scene.volume_of(case.scan).geometry
        case.scan.SetAndObserveTransformNodeID(transform(case.scene, moving()).GetID())
        self.on_the_scan(case, edited)
        assert scene.volume_of(case.scan).geometry != before
        case.scan.SetAndObserveTransformNodeID(None)
        self.on_the_scan(case, edited)
        assert scene.volume_of(case.scan).geometry == before

    def test_takes_everything_with_it_when_its_transform_is_hardened(
        self, case: scene.CaseNodes, edited: np.ndarray
    ) -> None:
        case.scan.SetAndObserveTransformNodeID(transform(case.scene, moving()).GetID())
        scene.show_layers(case)
        case.scan.HardenTransform()
        assert case.scan.GetTransformNodeID() is None
        self.on_the_scan(case, edited)
        scene.set_mask(case, ~edited)
        self.on_the_scan(case, ~edited)

    def test_leaves_alone_what_a_person_has_moved_by_itself(self, case: scene.CaseNodes, edited: np.ndarray) -> None:
        mover = transform(case.scene, moving())
        case.segmentation.SetAndObserveTransformNodeID(mover.GetID())
        scene.mask_of(case)
        assert case.segmentation.GetTransformNodeID() == mover.GetID()


class TestSomebodyElsesSegmentation:
    @pytest.fixture
    def drawn(self, case: scene.CaseNodes) -> np.ndarray:
        mask = scene.mask_of(case)
        mask[12:15, 24:34, 10:20] = True
        mask[:9] = False
        return mask

    def test_is_reviewed_and_edited_in_place(self, case: scene.CaseNodes, drawn: np.ndarray) -> None:
        other = other_segmentation(case.scene, case.scan, drawn)
        nodes = scene.review_segmentation(case, other, "drawn")
        assert nodes.reviewed is other and nodes.segmentation is case.segmentation
        assert np.array_equal(scene.mask_of(nodes), drawn)
        maps = scene.case_maps(nodes)
        assert np.array_equal(maps.segmentation, drawn)
        differs = drawn != (result_for(case.scan).segmentation != 0)
        assert differs.any() and (maps.uncertainty[differs] == 1).all()
        edited = drawn.copy()
        edited[13, 20:30, 12:18] ^= True
        scene.set_mask(nodes, edited)
        assert np.array_equal(scene.mask_of(nodes), edited)
        assert np.array_equal(scene.case_maps(nodes).segmentation, drawn)
        assert np.array_equal(scene.mask_of(case), result_for(case.scan).segmentation != 0)

    def test_the_heatmap_that_painting_is_tied_to_shows_the_differences(
        self, case: scene.CaseNodes, drawn: np.ndarray
    ) -> None:
        nodes = scene.review_segmentation(case, other_segmentation(case.scene, case.scan, drawn), "drawn")
        assert nodes.heatmap not in nodes.uncertainty.values()
        assert np.array_equal(scene.volume_of(nodes.heatmap).array, scene.case_maps(nodes).uncertainty)
        assert scene.threshold_of(nodes) == 0.9
        nodes = scene.show_kind(nodes, "disagreement")
        assert np.array_equal(scene.volume_of(nodes.heatmap).array, scene.case_maps(nodes, "disagreement").uncertainty)

    def test_the_prediction_can_be_reviewed_again(self, case: scene.CaseNodes, drawn: np.ndarray) -> None:
        nodes = scene.review_segmentation(case, other_segmentation(case.scene, case.scan, drawn), "drawn")
        assert scene.review_segmentation(nodes, nodes.segmentation, scene.SEGMENT_ID) == case
        assert np.array_equal(scene.case_maps(case).segmentation, result_for(case.scan).segmentation != 0)

    def test_on_another_grid_it_is_copied_and_stays_as_it_is(
        self, case: scene.CaseNodes, world: Any, tmp_path: Path
    ) -> None:
        fine = sitk.Resample(
            sitk.Cast(sitk.Image(1, 1, 1, sitk.sitkUInt8), sitk.sitkUInt8), (70, 70, 60), sitk.Transform(),
            sitk.sitkNearestNeighbor, (-45.0, -5.0, 95.0), (0.9, 0.9, 0.9),
        )  # fmt: skip
        reference = load(world, fine, tmp_path, "fine")
        geometry = scene.volume_of(reference).geometry
        centre = scene.volume_of(case.scan).geometry.index_to_physical((15, 20, 12))
        places = geometry.index_to_physical(np.moveaxis(np.indices(geometry.shape), 0, -1)[..., ::-1])
        ball = np.linalg.norm(places - centre, axis=-1) < 7
        other = other_segmentation(world, reference, ball)
        nodes = scene.review_segmentation(case, other, "drawn")
        assert nodes.reviewed is nodes.segmentation and nodes.segment_id != scene.SEGMENT_ID
        here = scene.volume_of(case.scan).geometry
        expected = (
            np.linalg.norm(here.index_to_physical(np.moveaxis(np.indices(SHAPE), 0, -1)[..., ::-1]) - centre, axis=-1)
            < 7
        )
        got = scene.mask_of(nodes)
        assert 2 * (got & expected).sum() / (got.sum() + expected.sum()) > 0.93
        edited = np.roll(got, 3, axis=1)
        scene.set_mask(nodes, edited)
        again = scene.review_segmentation(nodes, other, "drawn")
        assert again.segment_id == nodes.segment_id and np.array_equal(scene.mask_of(again), edited)
        again = scene.review_segmentation(nodes, nodes.segmentation, scene.SEGMENT_ID)
        again = scene.review_segmentation(again, other, "drawn")
        assert again.segment_id == nodes.segment_id and np.array_equal(scene.mask_of(again), edited)
        scene.set_mask(nodes, np.zeros(SHAPE, dtype=bool))
        assert np.array_equal(segment_mask(other, "drawn", reference), ball)

    def test_under_another_transform_it_is_reviewed_where_it_is_seen(self, case: scene.CaseNodes, world: Any) -> None:
        mask = np.zeros(SHAPE, dtype=bool)
        mask[8:16, 14:26, 10:20] = True
        other = other_segmentation(world, case.scan, mask)
        matrix = np.eye(4)
        # By two voxels along x of the scan, in RAS.
        matrix[:3, 3] = np.diag([-1, -1, 1]) @ grid().matrix[:, 0] * 2 * SPACING[0]
        other.SetAndObserveTransformNodeID(transform(world, matrix).GetID())
        nodes = scene.review_segmentation(case, other, "drawn")
        assert np.array_equal(scene.mask_of(nodes), np.roll(mask, 2, axis=2))
        scene.set_mask(nodes, mask)
        assert np.array_equal(scene.mask_of(nodes), mask)

    def test_a_surface_without_voxels_is_copied(self, case: scene.CaseNodes, world: Any) -> None:
        sphere = vtk.vtkSphereSource()
        lps = scene.volume_of(case.scan).geometry.index_to_physical((15, 20, 12))
        sphere.SetCenter(-lps[0], -lps[1], lps[2])
        sphere.SetRadius(6)
        sphere.SetThetaResolution(40)
        sphere.SetPhiResolution(40)
        sphere.Update()
        other = world.AddNewNodeByClass("vtkMRMLSegmentationNode", "surface")
        other.SetReferenceImageGeometryParameterFromVolumeNode(case.scan)
        other.GetSegmentation().SetSourceRepresentationName("Closed surface")
        other.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "ball", [1, 0, 0], "ball")
        assert other.GetSegmentation().GetSourceRepresentationName() == "Closed surface"
        nodes = scene.review_segmentation(case, other, "ball")
        millilitres = scene.mask_of(nodes).sum() * grid().voxel_ml
        assert millilitres == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.08)
        assert other.GetSegmentation().GetSourceRepresentationName() == "Closed surface"

    def test_elsewhere_or_gone_it_is_refused(self, case: scene.CaseNodes, world: Any) -> None:
        other = other_segmentation(world, case.scan, np.zeros(SHAPE, dtype=bool))
        with pytest.raises(scene.SceneError, match="Segment 'drawn' of 'by hand' holds no voxel of 'scan'"):
            scene.review_segmentation(case, other, "drawn")
        with pytest.raises(scene.SceneError, match="not there any more"):
            scene.review_segmentation(case, other, "never")
        assert scene.find_case(world, case.scan) == case

    def test_deleted_in_mid_review_it_is_said(self, case: scene.CaseNodes, drawn: np.ndarray) -> None:
        other = other_segmentation(case.scene, case.scan, drawn)
        nodes = scene.review_segmentation(case, other, "drawn")
        case.scene.RemoveNode(other)
        assert scene.missing(nodes) == (
            "The segmentation under review of 'scan' was deleted: choose the segmentation to review."
        )
        again = scene.find_case(case.scene, case.scan)
        assert again.reviewed is None
        assert scene.review_segmentation(again, again.segmentation, scene.SEGMENT_ID) == case

    def test_running_again_leaves_it_alone(self, case: scene.CaseNodes, drawn: np.ndarray) -> None:
        nodes = scene.review_segmentation(case, other_segmentation(case.scene, case.scan, drawn), "drawn")
        again = scene.show_result(case.scene, case.scan, result_for(case.scan, seed=2))
        assert again == nodes
        assert np.array_equal(scene.mask_of(again), drawn)
        assert np.array_equal(scene.volume_of(again.heatmap).array, scene.case_maps(again).uncertainty)


def test_what_is_made_on_demand_is_made_once_for_who_holds_the_nodes_of_before(case: scene.CaseNodes) -> None:
    for _ in range(2):
        scene.color_surface(case)
        scene.show_legend(case, [])
    for name in ("vtkMRMLModelNode", "vtkMRMLColorLegendDisplayNode"):
        assert case.scene.GetNumberOfNodesByClass(name) == 1
    scene.set_surface_visible(case, True)
    assert not scene.find_case(case.scene, case.scan).surface.GetDisplayNode().GetVisibility()
