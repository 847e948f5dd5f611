"""A case becomes nodes of a MRML scene, and comes back from them."""

from __future__ import annotations

import gc
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-mtctl[slicer]")

import SimpleITK as sitk  # noqa: E402
import vtk  # noqa: E402
from support.empty_scene import moving, other_segmentation, segments_in_patient, transform  # noqa: E402
from support.scene_example import (  # noqa: E402
    DIRECTIONS,
    SHAPE,
    grid,
    load,
    positions,
    result_for,
    scan_image,
)

from mtctl import scene  # noqa: E402
from mtctl.io.volumes import write_segmentation  # noqa: E402
from mtctl.scene.segments import segment_mask  # noqa: E402
from mtctl.uncertainty.kinds import NAMES  # noqa: E402

PARTS = ["segmentation", "distance", "probability", "record", *NAMES]


def part(nodes: scene.CaseNodes, name: str) -> Any:
    return nodes.uncertainty[name] if name in nodes.uncertainty else getattr(nodes, name)


def segment_names(nodes: scene.CaseNodes) -> list[str]:
    segments = nodes.segmentation.GetSegmentation()
    return [segments.GetNthSegment(index).GetName() for index in range(segments.GetNumberOfSegments())]


class TestAResult:
    @pytest.mark.parametrize("directions", DIRECTIONS)
    def test_the_segment_lies_where_the_mask_does(self, world: Any, tmp_path: Path, directions: str) -> None:
        scan = load(world, scan_image(directions), tmp_path)
        result = result_for(scan)
        nodes = scene.show_result(world, scan, result)
        np.testing.assert_allclose(
            segments_in_patient(nodes), positions(result.segmentation != 0, result.geometry), atol=1e-3
        )
        assert np.array_equal(scene.mask_of(nodes), result.segmentation != 0)
        for name, node in nodes.uncertainty.items():
            volume = scene.volume_of(node)
            assert np.array_equal(volume.array, result.maps[name])
            assert volume.geometry == result.geometry

    def test_under_a_transform_everything_lies_on_the_scan_and_goes_with_it(self, world: Any, scan: Any) -> None:
        mover = transform(world, moving())
        scan.SetAndObserveTransformNodeID(mover.GetID())
        result = result_for(scan)
        nodes = scene.show_result(world, scan, result)
        mask = result.segmentation != 0
        np.testing.assert_allclose(segments_in_patient(nodes), positions(mask, result.geometry), atol=2e-3)
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy(moving(55).ravel().tolist())
        mover.SetMatrixTransformToParent(matrix)
        moved = scene.volume_of(scan).geometry
        np.testing.assert_allclose(segments_in_patient(nodes), positions(mask, moved), atol=2e-3)
        assert np.array_equal(scene.mask_of(nodes), mask)
        assert scene.case_maps(nodes).geometry == moved

    def test_the_segment_carries_the_codes_that_a_written_file_has(self, case: scene.CaseNodes, tmp_path: Path) -> None:
        mask = scene.volume_of(case.probability)
        write_segmentation(replace(mask, array=(mask.array > 0.5).astype(np.uint8)), tmp_path / "x.seg.nrrd")
        tags = sitk.ReadImage(str(tmp_path / "x.seg.nrrd")).GetMetaData("Segment0_Tags")
        here = vtk.mutable("")
        segment = case.segmentation.GetSegmentation().GetSegment(scene.SEGMENT_ID)
        assert segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), here)
        assert "82471001^Left atrium" in str(here)
        assert f"TerminologyEntry:{here}|" in tags

    def test_the_scan_is_the_reference_geometry_so_that_dicom_export_works(self, case: scene.CaseNodes) -> None:
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        assert case.segmentation.GetNodeReference(role) is case.scan

    def test_it_is_in_a_folder_beside_the_scan(self, case: scene.CaseNodes) -> None:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(case.scene)
        for node in (case.segmentation, case.heatmap, case.distance):
            assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == case.folder
        scan = hierarchy.GetItemByDataNode(case.scan)
        assert hierarchy.GetItemParent(scan) == hierarchy.GetItemParent(case.folder)

    def test_a_scene_without_subject_hierarchy_will_do(self, world: Any, scan: Any) -> None:
        world.RemoveNode(world.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode"))
        nodes = scene.show_result(world, scan, result_for(scan))
        if world.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode") is None:  # logics may make one again
            assert nodes.folder is None
        assert scene.missing(nodes) is None
        scene.close_case(nodes)

    def test_the_report_is_kept(self, case: scene.CaseNodes) -> None:
        assert scene.load_document(case, "report") == result_for(case.scan).report
        assert scene.load_document(case, "review") is None
        scene.store_document(case, "review", {"threshold": 0.25})
        assert scene.load_document(case, "review") == {"threshold": 0.25}

    def test_maps_carry_a_role_and_the_scan_none(self, case: scene.CaseNodes) -> None:
        assert case.scan.GetAttribute(scene.ROLE) is None
        assert {node.GetAttribute(scene.ROLE) for node in case.uncertainty.values()} == {"uncertainty"}

    def test_the_review_gets_the_arrays_back_bit_by_bit(self, case: scene.CaseNodes) -> None:
        result, maps = result_for(case.scan), scene.case_maps(case)
        assert np.array_equal(maps.segmentation, result.segmentation != 0)
        assert np.array_equal(maps.uncertainty, result.maps["entropy"])
        assert np.array_equal(maps.probability, result.maps["probability"])
        assert case.distance is not None
        assert np.array_equal(scene.volume_of(case.distance).array, result.maps["distance"])
        assert maps.geometry == result.geometry
        assert np.array_equal(scene.case_maps(case, "disagreement").uncertainty, result.maps["disagreement"])

    def test_the_maps_outlive_the_result_whose_memory_they_took(self, world: Any, scan: Any) -> None:
        result = result_for(scan)
        expected = {name: array.copy() for name, array in result.maps.items()}
        nodes = scene.show_result(world, scan, result)
        del result
        gc.collect()
        rubbish = [np.full(SHAPE, 7, dtype=np.float32) for _ in range(200)]  # goes where memory was given back
        for name, node in nodes.uncertainty.items():
            assert np.array_equal(scene.volume_of(node).array, expected[name])
        assert rubbish

    def test_the_review_keeps_its_arrays_when_the_scan_is_segmented_again(self, case: scene.CaseNodes) -> None:
        maps, expected = scene.case_maps(case), result_for(case.scan)
        scene.show_result(case.scene, case.scan, result_for(case.scan, seed=2))
        gc.collect()
        rubbish = [np.full(SHAPE, 7, dtype=np.float32) for _ in range(200)]  # goes where memory was given back
        assert np.array_equal(maps.uncertainty, expected.maps["entropy"])
        assert np.array_equal(maps.probability, expected.maps["probability"])
        assert rubbish

    def test_the_review_starts_from_the_prediction_whatever_was_edited_since(self, case: scene.CaseNodes) -> None:
        scene.set_mask(case, np.zeros(SHAPE, dtype=bool))
        assert np.array_equal(scene.case_maps(case).segmentation, result_for(case.scan).segmentation != 0)

    def test_a_scan_that_was_moved_meanwhile_does_not_take_the_result(self, world: Any, scan: Any) -> None:
        result = result_for(scan)
        scan.SetOrigin(0, 0, 5)
        with pytest.raises(scene.SceneError, match="'scan' was moved or replaced while it was segmented"):
            scene.show_result(world, scan, result)
        assert scene.find_case(world, scan) is None

    def test_a_scan_that_was_turned_by_a_fiftieth_of_a_degree_meanwhile_does_not_take_the_result(
        self, world: Any, scan: Any
    ) -> None:
        result = result_for(scan)
        matrix, turn = vtk.vtkMatrix4x4(), vtk.vtkTransform()
        scan.GetIJKToRASMatrix(matrix)
        turn.RotateZ(0.02)
        turn.Concatenate(matrix)
        scan.SetIJKToRASMatrix(turn.GetMatrix())
        with pytest.raises(scene.SceneError, match="was moved or replaced"):
            scene.show_result(world, scan, result)

    def test_a_scan_that_was_deleted_meanwhile_does_not_take_the_result(self, world: Any, scan: Any) -> None:
        result = result_for(scan)
        world.RemoveNode(scan)
        with pytest.raises(scene.SceneError, match="deleted"):
            scene.show_result(world, scan, result)

    def test_importing_needs_neither_torch_nor_scikit_image_nor_qt(self) -> None:
        program = (
            "import sys; import mtctl.scene;"
            "print([name for name in ('torch', 'skimage', 'PySide6', 'qt') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout.strip() == "[]"


class TestTheBrowsersScene:
    def test_takes_a_case_as_the_applications_does(self, tmp_path: Path) -> None:
        core = pytest.importorskip("trame_slicer.core", reason="pip install slicer-mtctl[review]")
        application = core.SlicerApp()
        sitk.WriteImage(scan_image(), str(tmp_path / "scan.nrrd"))
        (scan,) = application.io_manager.load_volumes(str(tmp_path / "scan.nrrd"))
        nodes = scene.show_result(application.scene, scan, result_for(scan))
        assert scene.missing(nodes) is None
        scene.show_layers(nodes)
        scene.jump(application.scene, (0.0, 0.0, 0.0))
        scene.set_surface_visible(nodes, True)
        scene.color_surface(nodes)
        assert scene.show_legend(nodes, []).GetTitleText() == "Uncertainty"
        edited = np.random.default_rng(0).random(SHAPE) > 0.5
        scene.set_mask(nodes, edited)
        assert np.array_equal(scene.mask_of(nodes), edited)
        np.testing.assert_allclose(scene.volume_of(scan).geometry.origin, grid().origin)
        scene.close_case(scene.find_case(application.scene, scan))
        assert scene.cases(application.scene) == ()


class TestRunningAgain:
    def test_updates_the_same_nodes(self, case: scene.CaseNodes) -> None:
        before = case.scene.GetNumberOfNodes()
        result = result_for(case.scan, seed=2)
        again = scene.show_result(case.scene, case.scan, result)
        assert again == case
        assert case.scene.GetNumberOfNodes() == before
        assert np.array_equal(scene.mask_of(again), result.segmentation != 0)
        assert np.array_equal(scene.case_maps(again).uncertainty, result.maps["entropy"])

    def test_keeps_no_backup_of_what_nobody_edited(self, case: scene.CaseNodes) -> None:
        saved: list[int] = []
        scene.show_result(case.scene, case.scan, result_for(case.scan), lambda: saved.append(1))
        assert not saved
        scene.show_result(case.scene, case.scan, result_for(case.scan, seed=2), lambda: saved.append(1))
        assert saved == [1]
        assert segment_names(case) == ["Left atrium"]

    def test_keeps_every_edited_segment_as_a_hidden_backup(self, case: scene.CaseNodes) -> None:
        rng = np.random.default_rng(0)
        edits = [rng.random(SHAPE) > 0.7 for _ in range(2)]
        for edit in edits:
            scene.set_mask(case, edit)
            scene.show_result(case.scene, case.scan, result_for(case.scan))
        names = segment_names(case)
        assert [name.partition(" before ")[0] for name in names] == ["Left atrium"] * 3
        assert [name[-3:] for name in names[1:]] == ["(1)", "(2)"]
        segments, display = case.segmentation.GetSegmentation(), case.segmentation.GetDisplayNode()
        for index, edit in enumerate(edits, 1):
            backup = segments.GetNthSegmentID(index)
            assert np.array_equal(segment_mask(case.segmentation, backup, case.scan), edit)
            assert not display.GetSegmentVisibility(backup)
        assert np.array_equal(scene.mask_of(case), result_for(case.scan).segmentation != 0)

    def test_is_one_step_that_undo_takes_back(self, case: scene.CaseNodes) -> None:
        editor = slicer.vtkSlicerSegmentEditorLogic()
        editor.SetMRMLScene(case.scene)
        editor.SetMRMLApplicationLogic(case.scene._kept.application)
        node = case.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        editor.SetSegmentEditorNode(node)
        editor.SetSegmentationNode(case.segmentation)
        edit = np.random.default_rng(1).random(SHAPE) > 0.5
        scene.set_mask(case, edit)
        scene.show_result(case.scene, case.scan, result_for(case.scan), editor.SaveStateForUndo)
        assert len(segment_names(case)) == 2
        editor.Undo()
        assert segment_names(case) == ["Left atrium"]
        assert np.array_equal(scene.mask_of(case), edit)

    def test_brings_back_whatever_was_deleted(self, case: scene.CaseNodes) -> None:
        for name in PARTS:
            current = scene.find_case(case.scene, case.scan)
            case.scene.RemoveNode(part(current, name))
        again = scene.show_result(case.scene, case.scan, result_for(case.scan))
        assert scene.missing(again) is None
        assert all(part(again, name) is not None for name in PARTS)

    def test_keeps_the_colours_and_the_threshold_that_a_person_chose(self, case: scene.CaseNodes) -> None:
        scene.set_threshold(case, 0.35)
        again = scene.show_result(case.scene, case.scan, result_for(case.scan, seed=1))
        assert scene.threshold_of(again) == 0.35


class TestCasesInAScene:
    def test_two_in_one_scene_do_not_mix(self, world: Any, tmp_path: Path) -> None:
        scans = [load(world, scan_image(directions), tmp_path, directions) for directions in ("axial", "oblique")]
        first, second = (scene.show_result(world, scan, result_for(scan, seed)) for seed, scan in enumerate(scans))
        assert scene.cases(world) == (first, second)
        assert first.folder != second.folder
        scene.set_mask(first, np.zeros(SHAPE, dtype=bool))
        assert scene.mask_of(second).any()
        scene.close_case(first)
        assert scene.cases(world) == (second,)
        assert scene.missing(second) is None
        assert second.heatmap.GetDisplayNode().GetColorNode() is not None

    def test_a_scan_without_a_case_has_none(self, world: Any, scan: Any) -> None:
        assert scene.find_case(world, scan) is None
        assert scene.cases(world) == ()

    def test_closing_leaves_the_scene_as_it_was(self, world: Any, scan: Any) -> None:
        before = [world.GetNthNode(index) for index in range(world.GetNumberOfNodes())]
        nodes = scene.show_result(world, scan, result_for(scan))
        scene.color_surface(nodes)
        nodes = scene.review_segmentation(
            nodes, other := other_segmentation(world, scan, scene.mask_of(nodes)), "drawn"
        )
        scene.close_case(nodes)
        after = [world.GetNthNode(index) for index in range(world.GetNumberOfNodes())]
        assert set(after) - set(before) == {other, other.GetDisplayNode()}
        assert set(before) <= set(after)
        hierarchy = world.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
        assert not hierarchy.GetItemByName("scan: left atrium")

    def test_closing_works_when_the_scan_is_gone(self, case: scene.CaseNodes) -> None:
        case.scene.RemoveNode(case.scan)
        assert scene.missing(case) == "The scan was deleted: close this case."
        scene.close_case(case)
        assert not [
            node.GetName()
            for node in (case.scene.GetNthNode(index) for index in range(case.scene.GetNumberOfNodes()))
            if node.GetAttribute(scene.ROLE)
        ]


class TestDeletions:
    @pytest.mark.parametrize("name", PARTS)
    def test_any_node_may_be_deleted_and_what_is_missing_is_said(self, case: scene.CaseNodes, name: str) -> None:
        case.scene.RemoveNode(part(case, name))
        nodes = scene.find_case(case.scene, case.scan)
        needed = {"segmentation", "distance", "probability", "record", "entropy"} - set(nodes.uncertainty)
        if name in needed and name != "entropy":
            assert scene.missing(nodes).startswith("The ")
            assert "'scan' was deleted: segment the scan again." in scene.missing(nodes)
            with pytest.raises(scene.SceneError, match="deleted"):
                scene.case_maps(nodes)
        else:
            assert scene.missing(nodes) is None
            scene.case_maps(nodes)
        # Whatever is missing, a slider that still moves and a view that is still shown do no harm.
        for current in (case, nodes):
            scene.set_threshold(current, 0.5)
            scene.set_opacity(current, 0.5)
            scene.show_layers(current)
            scene.set_heatmap_visible(current, False)
            scene.set_surface_visible(current, True)
            scene.hide_layers(current)
            scene.remove_preview(current)
        scene.close_case(nodes)

    def test_the_deleted_shown_map_gives_way_to_another_kind(self, case: scene.CaseNodes) -> None:
        case.scene.RemoveNode(case.heatmap)
        nodes = scene.find_case(case.scene, case.scan)
        assert nodes.kind == "mutual_information"
        assert np.array_equal(scene.case_maps(nodes).uncertainty, result_for(case.scan).maps["mutual_information"])

    def test_nodes_that_are_held_when_the_scene_closes_do_no_harm(self, case: scene.CaseNodes) -> None:
        case.scene.Clear(0)
        assert scene.missing(case) == "The scan was deleted: close this case."
        assert scene.find_case(case.scene, case.scan) is None
        assert scene.cases(case.scene) == ()
        scene.set_threshold(case, 0.3)
        scene.set_opacity(case, 0.3)
        scene.show_layers(case)
        scene.hide_layers(case)
        scene.set_heatmap_visible(case, False)
        scene.set_surface_visible(case, True)
        scene.remove_preview(case)
        scene.close_case(case)
        for refused in (scene.mask_of, scene.case_maps, scene.color_surface, scene.threshold_of):
            with pytest.raises(scene.SceneError, match="deleted"):
                refused(case)
        with pytest.raises(scene.SceneError, match="deleted"):
            scene.show_legend(case, [])
        with pytest.raises(scene.SceneError, match="deleted"):
            scene.show_kind(case, "disagreement")

    def test_a_deleted_segment_is_said(self, case: scene.CaseNodes) -> None:
        case.segmentation.GetSegmentation().RemoveSegment(scene.SEGMENT_ID)
        assert "reviewed segment" in scene.missing(case)
        with pytest.raises(scene.SceneError, match="deleted"):
            scene.mask_of(case)

    def test_deleted_display_and_colours_come_back(self, case: scene.CaseNodes) -> None:
        case.scene.RemoveNode(case.heatmap.GetDisplayNode().GetColorNode())
        scene.set_threshold(case, 0.4)
        assert case.heatmap.GetDisplayNode().GetColorNode().GetName().startswith("Uncertainty")
        case.scene.RemoveNode(case.heatmap.GetDisplayNode())
        scene.set_threshold(case, 0.45)
        assert scene.threshold_of(case) == 0.45
