"""Which voxels of a mask's file are taken for the left atrium."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.segmentations import (
    ATRIUM,
    LEFT,
    LEFT_ATRIUM,
    LEFT_VENTRICLE,
    DrawnSegment,
    write_segments,
)

from mtctl.geometry import Geometry, Volume, VolumeError
from mtctl.io.volumes import read_mask, write_segmentation, write_volume

MATRIX = Rotation.from_euler("xyz", [25, -15, 40], degrees=True).as_matrix()
GRID = Geometry((12, 10, 8), (0.7, 0.9, 1.3), (-31.5, 42.25, -107.0), tuple(MATRIX.ravel().tolist()))


def block(*corner: int, label: int = 1) -> np.ndarray:
    array = np.zeros(GRID.shape, np.uint8)
    array[tuple(slice(start, start + 3) for start in corner)] = label
    return array


ONE, OTHER = block(1, 2, 3), block(4, 5, 6)
LA, LV = DrawnSegment("LA", LEFT_ATRIUM, label=2), DrawnSegment("LV", LEFT_VENTRICLE)


@pytest.mark.parametrize(
    ("layers", "segments"),
    [
        ([2 * ONE + OTHER], [LV, LA]),
        ([2 * ONE + OTHER], [LA, LV]),
        ([OTHER, ONE], [LV, DrawnSegment("Segment_2", LEFT_ATRIUM, layer=1)]),
        ([OTHER, 7 * ONE], [LV, DrawnSegment("LV", LEFT_ATRIUM, label=7, layer=1)]),
        ([ONE], [DrawnSegment("x", ATRIUM, LEFT)]),
        ([ONE], [DrawnSegment("x", "SRT^T-32300^Left atrium")]),
        ([2 * ONE + OTHER], [DrawnSegment("ventricle"), DrawnSegment("Left Atrium", label=2)]),
        ([2 * ONE + OTHER], [DrawnSegment("Segment_1"), DrawnSegment("heart_atrium_left", label=2)]),
        ([ONE], [DrawnSegment("Segment_1")]),
        ([ONE], [DrawnSegment("Dr. Ruiz, 2nd reading")]),
        ([5 * ONE], [DrawnSegment("LeftAtrium", "SCT^80891009^Heart", label=5)]),
        ([2 * ONE + OTHER], [DrawnSegment("a"), DrawnSegment("b", label=2, region=LEFT_ATRIUM)]),
        ([ONE], [DrawnSegment("Segment_1", region="SCT^51185008^Thorax")]),
        ([ONE], [DrawnSegment("LA incl. LAA")]),
        ([ONE], [DrawnSegment("Left atrium without appendage and wall")]),
    ],
    ids=[
        "second value", "first segment", "second layer", "code before name", "atrium with modifier", "older code",
        "by name", "by another name", "a new segment", "no structure's name", "part of the heart",
        "by its region", "somewhere in the chest",
        "with its appendage", "without its appendage",
    ],
)  # fmt: skip
def test_the_left_atrium_is_found_by_its_code_then_by_its_name_whatever_its_value_or_layer(
    tmp_path: Path, layers: Sequence[np.ndarray], segments: Sequence[DrawnSegment]
) -> None:
    write_segments(tmp_path / "a.label.nrrd", layers, GRID, segments)
    mask = read_mask(tmp_path / "a.label.nrrd")
    assert np.array_equal(mask.array, ONE) and np.allclose(mask.geometry.origin, GRID.origin)


@pytest.mark.parametrize(
    ("layers", "segments", "said"),
    [
        ([ONE], [LV], r"is of 'LV' \(Left ventricle\), not of the left atrium"),
        ([ONE], [DrawnSegment("Segment_1", LEFT_VENTRICLE)], r"'Segment_1' \(Left ventricle\)"),
        ([ONE], [DrawnSegment("Segment_1", region=LEFT_VENTRICLE)], r"'Segment_1' \(Left ventricle\)"),
        ([ONE], [DrawnSegment("LV")], r"is of 'LV' \(Tissue\), not of the left atrium"),
        ([ONE], [DrawnSegment("Right atrium")], "Right atrium"),
        ([ONE], [DrawnSegment("LA wall")], "LA wall"),
        ([ONE], [DrawnSegment("x", ATRIUM, "SCT^24028007^Right")], "Atrium"),
        ([ONE], [DrawnSegment("x", "99LOCAL^7^Aorta")], "Aorta"),
        ([ONE + 2 * OTHER], [DrawnSegment("one"), DrawnSegment("two", label=2)], r"several segments.*'one'.*'two'"),
        ([ONE + 2 * OTHER], [LA, DrawnSegment("LA 2", LEFT_ATRIUM)], "more than one segment is the left atrium"),
        ([ONE], [], "has no segment; draw the left atrium"),
        ([ONE, OTHER], [DrawnSegment("LA", layer=5)], "a layer that the file does not have"),
        ([3 * ONE], [DrawnSegment("LA")], "have the value 3, which no segment has"),
        ([ONE], [DrawnSegment("Left atrial appendage")], "Left atrial appendage"),
        ([ONE], [DrawnSegment("LA and LV")], "LA and LV"),
        ([ONE], [DrawnSegment("LA", label=0)], "the value 0, which is the background's"),
        ([ONE], [LV, DrawnSegment("LA", LEFT_ATRIUM)], r"several segments .*the value 1 in one layer \('LV'.*'LA'"),
    ],
)
def test_what_is_not_clearly_the_left_atrium_is_refused_and_the_segments_are_named(
    tmp_path: Path, layers: Sequence[np.ndarray], segments: Sequence[DrawnSegment], said: str
) -> None:
    write_segments(tmp_path / "a.seg.nrrd", layers, GRID, segments)
    with pytest.raises(VolumeError, match=rf"a\.seg\.nrrd: .*{said}"):
        read_mask(tmp_path / "a.seg.nrrd")


def test_an_empty_left_atrium_beside_a_left_ventricle_is_empty(tmp_path: Path) -> None:
    write_segments(tmp_path / "a.seg.nrrd", [ONE], GRID, [LV, LA])
    assert not read_mask(tmp_path / "a.seg.nrrd").array.any()


def test_the_layers_of_an_older_slicer_have_no_numbers(tmp_path: Path) -> None:
    write_segments(tmp_path / "a.seg.nrrd", [OTHER, ONE], GRID, [LV, LA], without=["LabelValue", "Layer"])
    assert np.array_equal(read_mask(tmp_path / "a.seg.nrrd").array, ONE)


def test_what_slicer_kept_of_a_grid_is_filled_in_again(tmp_path: Path) -> None:
    part = ONE[1:5, 1:6, 2:9]
    write_segments(tmp_path / "a.seg.nrrd", [part], GRID.window((2, 1, 1), (7, 5, 4)), [DrawnSegment("LA")])
    mask = read_mask(tmp_path / "a.seg.nrrd", GRID)
    assert np.array_equal(mask.array, ONE) and mask.geometry == GRID
    assert read_mask(tmp_path / "a.seg.nrrd").array.shape == part.shape


def test_what_slicer_drew_over_the_border_of_a_scan_is_cut_where_it_is_empty_and_else_refused(tmp_path: Path) -> None:
    wider = GRID.window((-2, -1, -1), (16, 12, 10))
    write_segments(tmp_path / "a.seg.nrrd", [np.pad(ONE, ((1, 1), (1, 1), (2, 2)))], wider, [DrawnSegment("LA")])
    assert np.array_equal(read_mask(tmp_path / "a.seg.nrrd", GRID).array, ONE)
    write_segments(tmp_path / "b.seg.nrrd", [np.ones(wider.shape, np.uint8)], wider, [DrawnSegment("LA")])
    with pytest.raises(VolumeError, match="reaches beyond its scan; is it the one of this scan"):
        read_mask(tmp_path / "b.seg.nrrd", GRID)


def test_a_segmentation_on_another_lattice_and_a_cropped_label_map_stay_on_their_own_grid(tmp_path: Path) -> None:
    half = Geometry(GRID.size, GRID.spacing, tuple(GRID.index_to_physical((0.5, 0, 0)).tolist()), GRID.direction)
    write_segments(tmp_path / "a.seg.nrrd", [ONE], half, [DrawnSegment("LA")])
    write_volume(Volume(ONE[1:5], GRID.window((0, 0, 1), (12, 10, 4))), tmp_path / "b.nrrd")
    assert np.allclose(read_mask(tmp_path / "a.seg.nrrd", GRID).geometry.origin, half.origin)
    assert read_mask(tmp_path / "b.nrrd", GRID).array.shape == (4, 10, 12)


def test_our_own_segmentation_is_read_back(tmp_path: Path) -> None:
    write_segmentation(Volume(ONE, GRID), tmp_path / "a.seg.nrrd")
    assert np.array_equal(read_mask(tmp_path / "a.seg.nrrd").array, ONE)


@pytest.mark.parametrize("value", [1, 2, 255, 420])
def test_a_label_map_of_one_label_is_a_mask_whatever_its_value(tmp_path: Path, value: int) -> None:
    write_volume(Volume(ONE.astype(np.int16) * value, GRID), tmp_path / "a.nii.gz")
    assert np.array_equal(read_mask(tmp_path / "a.nii.gz").array, ONE)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (ONE + 2 * OTHER, r"several labels: 1 \(27 voxels\), 2 \(27 voxels\); save the left atrium alone, as 1"),
        (ONE * np.float32(0.5), "a label that is no whole number above 0: 0.5"),
        (ONE * np.int16(-1), "a label that is no whole number above 0: -1"),
        (np.where(ONE, np.float32(np.nan), np.float32(1)), "27 voxels are NaN or infinite"),
        (np.arange(960).reshape(GRID.shape).astype(np.int16), "and 954 more values"),
    ],
    ids=["two labels", "a fraction", "negative", "no number", "a scan"],
)
def test_a_label_map_of_several_labels_or_of_no_label_is_refused(tmp_path: Path, array: np.ndarray, said: str) -> None:
    write_volume(Volume(array, GRID), tmp_path / "a.nrrd")
    with pytest.raises(VolumeError, match=said):
        read_mask(tmp_path / "a.nrrd")
