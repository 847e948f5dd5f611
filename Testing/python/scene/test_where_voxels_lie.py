"""Where the voxels of a case lie in a MRML scene, on any grid and under any transform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-mtctl[slicer]")

import SimpleITK as sitk
import vtk
from hypothesis import given, settings
from hypothesis import strategies as st
from support.empty_scene import moving, segments_in_patient, transform
from support.scene_example import (
    DIRECTIONS,
    SHAPE,
    empty_scene,
    grid,
    load,
    positions,
    rotation,
    scan_image,
)

from mtctl import scene
from mtctl.geometry import Geometry, VolumeError, from_image
from mtctl.inference.result import Result
from mtctl.uncertainty.kinds import NAMES


class TestWhereVoxelsLie:
    @pytest.mark.parametrize("ending", [".nrrd", ".nii.gz"])
    @pytest.mark.parametrize("directions", DIRECTIONS)
    def test_every_voxel_lies_where_simpleitk_says(
        self, world: Any, tmp_path: Path, directions: str, ending: str
    ) -> None:
        node = load(world, scan_image(directions), tmp_path, ending=ending)
        read = from_image(sitk.ReadImage(str(tmp_path / f"scan{ending}")))
        volume = scene.volume_of(node)
        # MRML may turn the axes of the array on reading; a value is at one place, whatever its index.
        for value in (0, 31, 1279, 17000, int(np.prod(SHAPE)) - 1):
            here, there = (np.argwhere(each.array == value)[0][::-1] for each in (volume, read))
            expected = read.geometry.index_to_physical(there)
            np.testing.assert_allclose(volume.geometry.index_to_physical(here), expected, atol=2e-4)

    def test_the_grid_of_a_nrrd_file_is_kept_as_it_is_written(self, scan: Any) -> None:
        here, there = scene.volume_of(scan).geometry, grid()
        assert here.size == there.size
        np.testing.assert_allclose(here.spacing, there.spacing, rtol=1e-12)
        np.testing.assert_allclose(here.origin, there.origin, rtol=1e-12)
        np.testing.assert_allclose(here.direction, there.direction, atol=1e-12)

    def test_a_linear_transform_moves_the_grid_as_the_views_show_it(self, world: Any, scan: Any) -> None:
        before = scene.volume_of(scan).geometry.index_to_physical((3, 5, 7))
        scan.SetAndObserveTransformNodeID(transform(world, moving()).GetID())
        after = scene.volume_of(scan).geometry.index_to_physical((3, 5, 7))
        ras = moving() @ [-before[0], -before[1], before[2], 1]
        np.testing.assert_allclose(after, [-ras[0], -ras[1], ras[2]], atol=1e-9)

    def test_a_warping_transform_is_refused_with_what_to_do(self, world: Any, scan: Any) -> None:
        warp = world.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
        spline = vtk.vtkThinPlateSplineTransform()
        points = vtk.vtkPoints()
        for point in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (9, 8, 7)):
            points.InsertNextPoint(point)
        moved = vtk.vtkPoints()
        moved.DeepCopy(points)
        moved.SetPoint(4, 20, 8, 7)
        spline.SetSourceLandmarks(points)
        spline.SetTargetLandmarks(moved)
        spline.SetBasisToR()
        warp.SetAndObserveTransformToParent(spline)
        scan.SetAndObserveTransformNodeID(warp.GetID())
        with pytest.raises(scene.SceneError, match="warping transform 'warp': harden"):
            scene.volume_of(scan)

    def test_a_shearing_transform_is_refused(self, world: Any, scan: Any) -> None:
        matrix = np.eye(4)
        matrix[0, 1] = 0.3
        scan.SetAndObserveTransformNodeID(transform(world, matrix).GetID())
        with pytest.raises(VolumeError, match="right angles"):
            scene.volume_of(scan)

    def test_colour_volumes_and_volumes_without_voxels_are_refused(self, world: Any) -> None:
        node = world.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
        with pytest.raises(scene.SceneError, match="'nothing' has no voxels"):
            scene.volume_of(node)
        image = vtk.vtkImageData()
        image.SetDimensions(20, 20, 20)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
        node.SetAndObserveImageData(image)
        with pytest.raises(scene.SceneError, match="3 values a voxel"):
            scene.volume_of(node)


@settings(max_examples=20, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    flips=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    spacing=st.tuples(*[st.floats(0.2, 4.0)] * 3),
    origin=st.tuples(*[st.floats(-300, 300)] * 3),
    turned=st.floats(-90, 90),
    seed=st.integers(0, 999),
)
def test_on_any_grid_under_any_rigid_transform_a_mask_lies_where_its_voxels_do(
    angles: Any, flips: Any, spacing: Any, origin: Any, turned: float, seed: int
) -> None:
    world = empty_scene()
    directions = rotation(*angles) @ np.diag(flips)
    geometry = Geometry((11, 9, 7), spacing, origin, tuple(directions.ravel().tolist()))
    image = vtk.vtkImageData()
    image.SetDimensions(geometry.size)
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    scan = world.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    scan.SetAndObserveImageData(image)
    scan.SetSpacing(spacing)
    scan.SetOrigin(-origin[0], -origin[1], origin[2])
    matrix, vtk_matrix = np.eye(4), vtk.vtkMatrix4x4()
    matrix[:3, :3] = np.diag([-1, -1, 1]) @ directions
    vtk_matrix.DeepCopy(matrix.ravel().tolist())
    scan.SetIJKToRASDirectionMatrix(vtk_matrix)
    np.testing.assert_allclose(scene.volume_of(scan).geometry.direction, geometry.direction, atol=1e-12)
    mover = transform(world, moving(turned))
    scan.SetAndObserveTransformNodeID(mover.GetID())
    mask = np.random.default_rng(seed).random(geometry.shape) > 0.7
    maps = dict.fromkeys(["probability", "distance", *NAMES], mask.astype(np.float32))
    moved = scene.volume_of(scan).geometry
    nodes = scene.show_result(world, scan, Result(moved, mask.astype(np.uint8), maps, {}))
    assert np.array_equal(scene.mask_of(nodes), mask)
    np.testing.assert_allclose(segments_in_patient(nodes), positions(mask, moved), atol=2e-3)
    lps = geometry.index_to_physical((10, 8, 6)) * [-1, -1, 1]
    ras = moving(turned) @ [*lps, 1]
    np.testing.assert_allclose(moved.index_to_physical((10, 8, 6)), ras[:3] * [-1, -1, 1], atol=1e-6)
