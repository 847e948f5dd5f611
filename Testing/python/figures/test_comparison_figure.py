"""The pictures of a comparison of methods, looked at: what is missed is blue, what is too much red, and where."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from matplotlib.image import imread
from vtkmodules.util.numpy_support import vtk_to_numpy

import mtctl.figures
from mtctl.errors import MtctlError
from mtctl.evaluation.results import CaseResult, MethodResult
from mtctl.evaluation.segmentation_metrics import segmentation_metrics
from mtctl.figures import surfaces as comparison_surface
from mtctl.figures.box_plots import PANELS, write_box_plots
from mtctl.figures.comparison_figure import (
    CaseComparison,
    ComparedMask,
    FigureError,
    load_case,
    telling_case,
    write_case_comparison,
    write_figures,
)
from mtctl.figures.surfaces import RenderingError, ViewRectangle, distance_surface, surface_pictures
from mtctl.geometry import Geometry, Volume, VolumeError
from mtctl.io.volumes import write_segmentation, write_volume

SHAPE = (36, 40, 48)
GRID = Geometry((48, 40, 36), (0.625, 0.625, 0.625), (10.0, -20.0, 5.0))
CENTRE = (18, 20, 22)
Masks = dict[str, dict[str, np.ndarray]]


def ball(radius: float, centre: tuple[float, float, float] = CENTRE, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    offsets = np.indices(shape) - np.reshape(centre, (3, 1, 1, 1))
    return np.sqrt((offsets**2).sum(axis=0)) <= radius


def result(prediction: np.ndarray, truth: np.ndarray) -> CaseResult:
    return CaseResult(segmentation_metrics(prediction, truth, (0.625, 0.625, 0.625)))


def write_cases(folder: Path, masks: Masks, geometry: Geometry = GRID) -> list[MethodResult]:
    """Scans and truth (a ball of 10 voxels) in folder/truth, each method's masks in folder/<method>."""
    truth = ball(10)
    (folder / "truth").mkdir()
    for case in next(iter(masks.values())):
        noise = np.random.default_rng(0).normal(0, 5, SHAPE)
        image = (100 * truth + noise + np.arange(SHAPE[0])[:, None, None]).astype(np.float32)
        write_volume(Volume(image, geometry), folder / "truth" / f"{case}.image.nrrd")
        write_volume(Volume(truth.astype(np.uint8), geometry), folder / "truth" / f"{case}.label.nrrd")
    for method, cases in masks.items():
        (folder / method).mkdir()
        for case, mask in cases.items():
            write_segmentation(Volume(mask.astype(np.uint8), geometry), folder / method / f"{case}.seg.nrrd")
    return [
        MethodResult(name, folder / name, {case: result(mask, truth) for case, mask in cases.items()})
        for name, cases in masks.items()
    ]


@pytest.fixture
def opengl() -> None:
    """Skips the calling test on a machine that cannot draw."""
    try:
        surface_pictures(ball(3), ball(3), GRID, ViewRectangle.around([ball(3)], GRID), 16)
    except RenderingError as error:
        pytest.skip(str(error))


def share(picture: np.ndarray, colour: str) -> float:
    """Share of the pixels that are clearly red, or clearly blue."""
    red, _, blue = (picture[..., channel].astype(float) for channel in range(3))
    return float(np.mean((red - blue if colour == "red" else blue - red) > 40))


def test_distances_on_a_surface_are_those_of_concentric_spheres() -> None:
    surface = distance_surface(ball(14), ball(10), GRID)
    distances = vtk_to_numpy(surface.GetPointData().GetScalars())
    assert distances.mean() == pytest.approx(4 * 0.625, abs=0.2)  # a third of a voxel
    assert np.abs(distances - 4 * 0.625).max() < 0.6  # a voxel
    radii = np.linalg.norm(vtk_to_numpy(surface.GetPoints().GetData()) - GRID.index_to_physical(CENTRE[::-1]), axis=1)
    assert radii.mean() == pytest.approx(14.25 * 0.625, abs=0.25)


def test_normals_point_outwards() -> None:
    surface = distance_surface(ball(12), ball(12), GRID)
    outward = vtk_to_numpy(surface.GetPoints().GetData()) - GRID.index_to_physical(CENTRE[::-1])
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    cosine = (vtk_to_numpy(surface.GetPointData().GetNormals()) * outward).sum(axis=1)
    assert cosine.min() > 0.95


def test_what_is_too_much_is_red_what_is_missed_blue_and_what_is_right_grey(opengl: None) -> None:
    frame = ViewRectangle.around([ball(14)], GRID)
    for radius, red, blue in ((14, True, False), (6, False, True), (10, False, False)):
        for picture in surface_pictures(ball(radius), ball(10), GRID, frame, 120):
            assert (share(picture, "red") > 0.1, share(picture, "blue") > 0.1) == (red, blue)
            assert min(share(picture, "red"), share(picture, "blue")) < 0.01


def test_a_missed_vein_of_the_patients_left_is_on_the_right_from_the_front_and_on_the_left_from_the_back(
    opengl: None,
) -> None:
    vein = np.zeros(SHAPE, bool)
    vein[16:20, 18:22, 30:46] = True  # +x is the patient's left
    truth = ball(10) | vein
    anterior, posterior = surface_pictures(ball(10), truth, GRID, ViewRectangle.around([truth], GRID), 160)
    half = anterior.shape[1] // 2
    assert share(anterior[:, half:], "blue") > 0.03 and share(anterior[:, :half], "blue") == 0
    assert share(posterior[:, :half], "blue") > 0.03 and share(posterior[:, half:], "blue") == 0


def test_superior_is_up_and_pictures_have_the_frames_proportions(opengl: None) -> None:
    truth = ball(10)
    prediction = truth | ball(4, (30, 20, 22))  # +z
    frame = ViewRectangle.around([prediction], GRID)
    for picture in surface_pictures(prediction, truth, GRID, frame, 160):
        assert picture.shape == (round(160 * frame.half_height / frame.half_width), 160, 3)
        middle = len(picture) // 2
        assert share(picture[:middle], "red") > 0.03 > share(picture[middle:], "red")


def test_an_empty_prediction_shows_the_whole_truth_as_missed(opengl: None) -> None:
    truth = ball(10)
    for picture in surface_pictures(np.zeros(SHAPE, bool), truth, GRID, ViewRectangle.around([truth], GRID), 100):
        assert share(picture, "blue") > 0.25


def test_without_any_opengl_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
    monkeypatch.setattr(comparison_surface, "_has_osmesa", lambda: False)
    if comparison_surface.vtkRenderWindow().GetClassName() != "vtkOSOpenGLRenderWindow":
        pytest.skip("this VTK always has a window of its own")
    with pytest.raises(RenderingError, match="install a software renderer"):
        surface_pictures(ball(3), ball(3), GRID, ViewRectangle.around([ball(3)], GRID), 16)


def test_without_vtk_the_box_plots_are_there_and_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = write_cases(tmp_path, {"a": {"x": ball(9)}})
    monkeypatch.delitem(sys.modules, "mtctl.figures.surfaces")
    monkeypatch.delattr(mtctl.figures, "surfaces")
    monkeypatch.setitem(sys.modules, "vtkmodules.vtkRenderingOpenGL2", None)
    with pytest.raises(FigureError, match="pip install vtk"):
        list(write_figures(tmp_path / "figures", methods, tmp_path / "truth", None))
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["metrics.png"]


@pytest.mark.slow
def test_both_figures_are_written_for_the_case_where_methods_differ_most(opengl: None, tmp_path: Path) -> None:
    moved = ball(10, (18, 20, 28))  # to the patient's left
    masks = {"first $x": {"x": ball(9), "y": moved}, "second": {"x": ball(9.5), "y": ball(9.5)}}
    methods = write_cases(tmp_path, masks)
    written = list(write_figures(tmp_path / "figures", methods, tmp_path / "truth", None))
    assert [path.name for path in written] == ["metrics.png", "comparison-y.png"]
    picture = 255 * imread(written[1])[..., :3]
    height, width = picture.shape[:2]
    first, second, truth = (picture[:, width * i // 10 : width * (i + 3) // 10] for i in (0, 3, 6))
    orange, sky = (np.array(colour) for colour in ((230, 159, 0), (86, 180, 233)))

    def outline(part: np.ndarray, colour: np.ndarray) -> int:
        return int((np.abs(part[: height // 2] - colour).max(axis=-1) < 30).sum())

    assert outline(first, orange) > 200 and outline(second, orange) > 200 and outline(truth, orange) == 0
    assert min(outline(part, sky) for part in (first, second, truth)) > 200
    surfaces = slice(height // 2, int(0.92 * height))
    assert share(first[surfaces], "blue") > 0.01 and share(first[surfaces], "red") > 0.01
    for right in (second, truth):
        assert share(right[surfaces], "blue") == share(right[surfaces], "red") == 0


def test_of_one_method_the_worst_case_is_told(tmp_path: Path) -> None:
    cases = {case: result(ball(radius), ball(10)) for case, radius in (("a", 9), ("b", 6), ("c", 9.5))}
    assert telling_case([MethodResult("only", tmp_path, cases)]) == "b"


def test_methods_without_a_common_case_have_none_to_draw(tmp_path: Path) -> None:
    case = result(ball(9), ball(10))
    with pytest.raises(FigureError, match="no case in common"):
        telling_case([MethodResult("a", tmp_path, {"x": case}), MethodResult("b", tmp_path, {"y": case})])


def test_the_slice_is_that_of_most_errors() -> None:
    truth, wrong = ball(10), ball(10)
    wrong[25] = False
    predictions = (ComparedMask("right", truth, ""), ComparedMask("wrong", wrong, ""))
    image = np.zeros(SHAPE, np.float32)
    assert CaseComparison("x", image, truth, predictions, GRID).slice_of_most_errors() == 25
    assert CaseComparison("x", image, truth, predictions[:1], GRID).slice_of_most_errors() == CENTRE[0]


def test_a_scan_whose_file_is_flipped_is_drawn_the_same(tmp_path: Path) -> None:
    masks = {"a": {"x": ball(8, (16, 18, 25))}}
    methods = write_cases(tmp_path, masks)
    upright = load_case(methods, tmp_path / "truth", "x")
    for path in (*(tmp_path / "truth").glob("x.*"), *(tmp_path / "a").glob("x.*")):
        sitk.WriteImage(sitk.Flip(sitk.ReadImage(str(path)), (True, False, True)), str(path))
    flipped = load_case(methods, tmp_path / "truth", "x")
    np.testing.assert_array_equal(flipped.image, upright.image)
    np.testing.assert_array_equal(flipped.truth, upright.truth)
    np.testing.assert_array_equal(flipped.predictions[0].mask, masks["a"]["x"])
    np.testing.assert_allclose(flipped.geometry.origin, upright.geometry.origin, atol=1e-9)


def test_a_scan_that_is_not_there_is_named(tmp_path: Path) -> None:
    methods = write_cases(tmp_path, {"a": {"x": ball(9)}})
    (tmp_path / "truth" / "x.image.nrrd").unlink()
    with pytest.raises(FigureError, match=r"x\.image\.nrrd: the picture of a case needs its scan"):
        load_case(methods, tmp_path / "truth", "x")


def test_a_method_without_the_case_is_named(tmp_path: Path) -> None:
    methods = write_cases(tmp_path, {"a": {"x": ball(9)}, "b": {}})
    with pytest.raises(FigureError, match="x: cannot be drawn, b has no usable result"):
        load_case(methods, tmp_path / "truth", "x")


def test_an_empty_truth_is_named(tmp_path: Path) -> None:
    methods = write_cases(tmp_path, {"a": {"x": ball(9)}})
    write_volume(Volume(np.zeros(SHAPE, np.uint8), GRID), tmp_path / "truth" / "x.label.nrrd")
    with pytest.raises(FigureError, match=r"x\.label\.nrrd: the mask is empty"):
        load_case(methods, tmp_path / "truth", "x")


def test_a_scan_on_another_grid_is_refused(tmp_path: Path) -> None:
    methods = write_cases(tmp_path, {"a": {"x": ball(9)}})
    moved = Geometry(GRID.size, GRID.spacing, (0.0, 0.0, 0.0))
    write_volume(Volume(np.random.default_rng(0).random(SHAPE, np.float32), moved), tmp_path / "truth" / "x.image.nrrd")
    with pytest.raises(VolumeError, match=r"x\.seg\.nrrd: the segmentation reaches beyond its scan"):
        load_case(methods, tmp_path / "truth", "x")


@pytest.mark.slow
def test_box_plots_of_one_case_and_of_infinite_and_missing_values_are_drawn(tmp_path: Path) -> None:
    whole, empty = ball(10), np.zeros(SHAPE, bool)
    methods = [
        MethodResult("a", tmp_path, {"x": result(ball(9), whole), "y": result(whole, empty)}),
        MethodResult("none", tmp_path, {}),
        MethodResult("b", tmp_path, {"x": result(ball(8), whole), "z": result(empty, whole)}),
    ]
    write_box_plots(methods, tmp_path / "metrics.png")
    picture = 255 * imread(tmp_path / "metrics.png")[..., :3]
    for colour in ((0, 114, 178), (0, 158, 115)):  # boxes and dots of the first and third method
        assert (np.abs(picture - colour).max(axis=-1) < 3).sum() > 50 * len(PANELS)


def test_names_with_bytes_that_are_no_text_or_look_like_mathematics_are_drawn(tmp_path: Path) -> None:
    cases = {"x": result(ball(9), ball(10))}
    write_box_plots(
        [MethodResult("a\udcff", tmp_path, cases), MethodResult(r"$\frac$", tmp_path, cases)], tmp_path / "metrics.png"
    )
    assert (tmp_path / "metrics.png").stat().st_size > 1000


def test_a_case_comparison_that_cannot_be_written_leaves_nothing(opengl: None, tmp_path: Path) -> None:
    truth = ball(10)
    image = np.random.default_rng(0).random(SHAPE, np.float32)
    comparison = CaseComparison("x", image, truth, (ComparedMask("a", truth, ""),), GRID)
    with pytest.raises(MtctlError, match="cannot be written"):
        write_case_comparison(comparison, tmp_path / "absent" / "figure.png")
    assert not list(tmp_path.iterdir())
