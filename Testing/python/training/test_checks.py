"""Faults in the cases of a run: each is found in real files, named with its file, and all of them at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from support.paths import shared_names, shared_scans
from support.scans import scan

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Volume, to_image
from mtctl.io.volumes import write_volume
from mtctl_train.data.checks import (
    DataProblem,
    DataProblemsError,
    check_cases,
    check_unlabelled,
    grid_differences,
    refuse,
)

SHAPE = (40, 48, 56)
MIRRORED = (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0)


def ball() -> np.ndarray:
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    return (np.sqrt(z**2 + y**2 + x**2) < 0.6).astype(np.uint8)


def write_mask(folder: Path, name: str, array: np.ndarray, **geometry: Any) -> None:
    write_volume(Volume(array, replace(scan(SHAPE).geometry, **geometry)), folder / f"{name}.label.nrrd")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four good cases."""
    for seed, name in enumerate("abcd"):
        write_volume(scan(SHAPE, seed), tmp_path / f"{name}.image.nrrd")
        write_mask(tmp_path, name, ball())
    return tmp_path


def check(folder: Path) -> list[DataProblem]:
    return check_cases(folder, ["a", "b"], ["c"], ["d"])


def only(folder: Path, name: str) -> str:
    """The one problem of the cases, which has to be that of the file `name`."""
    (problem,) = check(folder)
    assert problem.where == str(folder / name)
    return problem.what


# --- good cases -----------------------------------------------------------------------------------------------------


def test_good_cases_have_no_problem_and_may_go_on(folder: Path) -> None:
    assert check(folder) == []
    refuse([])


def test_the_mask_of_an_unlabelled_case_is_not_looked_at(folder: Path) -> None:
    (folder / "c.label.nrrd").write_text("nonsense", encoding="utf-8")
    assert check(folder) == []


def test_what_is_odd_about_a_scan_s_file_is_said_and_no_problem(folder: Path) -> None:
    path = folder / "b.image.nrrd"
    path.write_bytes(path.read_bytes().replace(b"space: left-posterior-superior", b"space: 3D-right-handed"))
    with pytest.warns(UserWarning, match=r"b\.image\.nrrd: the space '3d-right-handed' of its header does not say"):
        assert check(folder) == []


def test_the_real_scans_are_clean() -> None:
    names = shared_names()
    assert check_cases(shared_scans(), names[:4], names[20:22], names[66:68]) == []


def test_rounded_headers_are_one_grid(folder: Path) -> None:
    write_mask(folder, "a", ball(), spacing=(0.62504, 0.625, 1.25), origin=(0.0004, 0.0, 0.0))
    assert check(folder) == []


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    (problem,) = check(tmp_path / "nosuch")
    assert "nosuch: no such folder" in str(problem)


@pytest.mark.parametrize("name", ["a.image.nrrd", "c.image.nrrd", "d.image.nrrd"])
def test_a_missing_scan_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert "no such file" in only(folder, name)


def test_a_missing_mask_is_named_with_what_its_role_allows(folder: Path) -> None:
    (folder / "a.label.nrrd").unlink()
    assert only(folder, "a.label.nrrd") == "the mask is missing; put it there, or list the case as unlabelled"
    write_mask(folder, "a", ball())
    (folder / "d.label.nrrd").unlink()
    assert only(folder, "d.label.nrrd") == "the mask is missing; put it there, or leave the case out"


@pytest.mark.parametrize("name", ["a.image.nrrd", "a.label.nrrd", "c.image.nrrd"])
@pytest.mark.parametrize("damage", ["cut", "scrambled", "emptied", "other"])
def test_an_unreadable_file_is_named(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    content = path.read_bytes()
    start = content.index(b"\n\n") + 2
    damaged = {
        "cut": content[: (start + len(content)) // 2],
        "scrambled": content[:start] + bytes(len(content) - start),
        "emptied": b"",
        "other": b"something else altogether\n\n",
    }
    path.write_bytes(damaged[damage])
    what = only(folder, name)
    assert "copy or export it again" in what and str(path) not in what


# --- scans ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_no_numbers_are_counted(folder: Path, value: float) -> None:
    volume = scan(SHAPE)
    volume.array[5, 6, 7:10] = value
    write_volume(volume, folder / "c.image.nrrd")
    assert "3 voxels are NaN or infinite" in only(folder, "c.image.nrrd")


def test_a_scan_smaller_than_useful_is_named_with_its_size(folder: Path) -> None:
    small = scan((40, 20, 56))
    write_volume(small, folder / "c.image.nrrd")
    what = only(folder, "c.image.nrrd")
    assert "35 x 12.5 x 50 mm large" in what and "20 mm along every axis" in what


def test_a_scan_of_one_value_is_named(folder: Path) -> None:
    write_volume(Volume(np.full(SHAPE, 7, np.float32), scan(SHAPE).geometry), folder / "c.image.nrrd")
    assert "all voxels have the same value (7)" in only(folder, "c.image.nrrd")


# --- masks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("geometry", "says"),
    [
        ({"spacing": (0.625, 0.7, 1.25)}, "a spacing of 0.625 x 0.7 x 1.25 mm instead of 0.625 x 0.625 x 1.25"),
        ({"origin": (3.0, 0.0, -4.0)}, "its origin 5 mm away (3, 0, -4 mm in LPS)"),
        ({"direction": MIRRORED}, "its axes turned by up to 180 degrees"),
    ],
)
def test_a_mask_on_another_grid_is_named_with_the_difference(folder: Path, geometry: dict[str, Any], says: str) -> None:
    write_mask(folder, "b", ball(), **geometry)
    what = only(folder, "b.label.nrrd")
    assert what.startswith("the mask has another grid than its scan") and says in what


def test_a_mask_of_another_size_and_place_is_told_both(folder: Path) -> None:
    write_mask(folder, "b", ball()[:-1], size=(56, 48, 39), origin=(0.0, 0.0, 0.625))
    what = only(folder, "b.label.nrrd")
    assert "56 x 48 x 39 voxels instead of 56 x 48 x 40" in what and "its origin 0.625 mm away" in what


def test_the_angle_between_two_grids_is_the_turn_that_was_made() -> None:
    cosine, sine = np.cos(np.radians(5)), np.sin(np.radians(5))
    grid = Geometry((20, 20, 20), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    turned = replace(grid, direction=(cosine, -sine, 0.0, sine, cosine, 0.0, 0.0, 0.0, 1.0))
    assert grid_differences(grid, turned) == ["its axes turned by up to 5 degrees"]
    assert grid_differences(turned, turned) == []


def test_other_labels_are_named_and_counted(folder: Path) -> None:
    mask = ball()
    mask[0, 0, :3], mask[1, 0, 0] = 2, 255
    write_mask(folder, "a", mask)
    what = only(folder, "a.label.nrrd")
    assert "2 (3 voxels), 255 (1 voxel); save the left atrium alone, as 1" in what


def test_a_scan_that_was_saved_as_mask_lists_five_values_and_says_how_many_more(folder: Path) -> None:
    write_mask(folder, "d", (np.arange(np.prod(SHAPE)) % 60).reshape(SHAPE).astype(np.uint8))
    what = only(folder, "d.label.nrrd")
    assert "5 (1792 voxels) and 54 more values" in what and "6 (" not in what


def test_fractions_and_nan_are_no_labels(folder: Path) -> None:
    mask = ball().astype(np.float32)
    mask[3, 3, 3] = 0.5
    write_mask(folder, "a", mask)
    assert "0.5 (1 voxel)" in only(folder, "a.label.nrrd")
    mask[3, 3, 3] = np.nan
    write_mask(folder, "a", mask)
    assert "1 voxel is NaN" in only(folder, "a.label.nrrd")


def test_an_empty_mask_and_one_that_covers_everything_are_named(folder: Path) -> None:
    write_mask(folder, "a", np.zeros(SHAPE, np.uint8))
    assert only(folder, "a.label.nrrd") == "the mask is empty; draw the atrium, or list the case as unlabelled"
    write_mask(folder, "a", np.ones(SHAPE, np.uint8))
    assert "covers the whole scan" in only(folder, "a.label.nrrd")


# --- lists ----------------------------------------------------------------------------------------------------------


def test_a_case_in_two_roles_is_named_once_and_is_no_double_scan(folder: Path) -> None:
    problems = check_cases(folder, ["a", "b"], ["c", "a"], ["a"])
    assert [str(problem) for problem in problems] == [
        "case a: is listed 3 times, as labelled, unlabelled, validation; list it once"
    ]


def test_the_same_scan_under_two_names_is_found_even_when_its_header_differs(folder: Path) -> None:
    image = to_image(scan(SHAPE, 0))
    image.SetOrigin((1.0, 2.0, 3.0))
    sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat64), str(folder / "c.image.nrrd"), useCompression=False)
    what = only(folder, "c.image.nrrd")
    assert what == "holds the same voxels as a.image.nrrd; keep one of c (unlabelled) and a (labelled)"


def test_no_labelled_case_is_a_problem_and_no_unlabelled_one_where_the_method_needs_it(folder: Path) -> None:
    assert "labelled cases: none is listed" in str(check_cases(folder, [], ["c"], [])[0])
    assert check_cases(folder, ["a"], [], []) == check_unlabelled("UA-MT", ["c"]) == []
    (problem,) = check_unlabelled("UA-MT", [])
    assert "none is listed, but UA-MT learns from them" in str(problem)


# --- all at once ----------------------------------------------------------------------------------------------------


def test_every_problem_is_in_the_one_error(folder: Path) -> None:
    write_mask(folder, "a", np.zeros(SHAPE, np.uint8), origin=(0.0, 0.0, 9.0))
    (folder / "b.image.nrrd").unlink()
    write_mask(folder, "b", np.where(ball(), 2, 3).astype(np.uint8))
    (folder / "c.image.nrrd").write_bytes((folder / "d.image.nrrd").read_bytes())
    (folder / "d.label.nrrd").write_bytes(b"")
    problems = check(folder) + check_unlabelled("MT-CTL", [])
    with pytest.raises(DataProblemsError) as caught:
        refuse(problems)
    assert isinstance(caught.value, MtctlError) and caught.value.problems == tuple(problems)
    first, *lines = str(caught.value).splitlines()
    assert first == "7 problems with the cases; nothing was trained:"
    expected = [
        ("a.label.nrrd", "another grid"), ("a.label.nrrd", "empty"), ("b.image.nrrd", "no such file"),
        ("b.label.nrrd", "2 ("), ("d.label.nrrd", "the file is empty"), ("d.image.nrrd", "same voxels as c.image.nrrd"),
        ("unlabelled cases", "MT-CTL"),
    ]  # fmt: skip
    assert len(lines) == 7
    assert all(file in line and what in line for line, (file, what) in zip(lines, expected, strict=True))
    with pytest.raises(DataProblemsError, match=r"^unlabelled cases: none"):
        refuse(problems[-1:])
