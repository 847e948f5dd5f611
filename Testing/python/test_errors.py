"""A count and its noun agree wherever one is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtctl.batch.cohort_page import write_page
from mtctl.batch.cohort_rows import DONE, Row
from mtctl.browser.sources.base import WorkListEntry, WorkStage
from mtctl.browser.ui.page_state import work_list_state
from mtctl.errors import MtctlError, counted
from mtctl.io.scan_checks import check_finite
from mtctl.io.segments import left_atrium_of
from mtctl.review.replies import Reply
from mtctl.review.state import summary


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 regions"), (1, "1 region"), (2, "2 regions"), (1000, "1000 regions")]
)
def test_one_is_singular_and_none_and_many_are_plural(count: int, words: str) -> None:
    assert counted(count, "region") == words


def test_a_noun_may_bring_its_own_plural_and_its_verb() -> None:
    assert counted(1, "voxel is", "voxels are") == "1 voxel is"
    assert counted(2, "voxel is", "voxels are") == "2 voxels are"


def raised(work: Callable[[], object]) -> str:
    with pytest.raises(MtctlError) as error:
        work()
    return str(error.value)


def work_list(count: int) -> str:
    entries = [WorkListEntry(str(n), str(n), next(iter(WorkStage)), "") for n in range(count)]
    return str(work_list_state(entries)["remaining"])


def not_finite(count: int) -> str:
    array = np.zeros((4, 4, 4), np.float32)
    array.flat[:count] = np.nan
    return raised(lambda: check_finite(array))


def labelled(count: int) -> str:
    array = np.ones((4, 4, 4), np.uint8)
    array.flat[:count] = 2
    return raised(lambda: left_atrium_of(array, {}))


@pytest.mark.parametrize(
    ("say", "of_one", "of_two"),
    [
        (lambda n: summary([Reply("roof", (0, 0, 0), "kept")] * n), "1 place answered", "2 places answered"),
        (work_list, "1 of 1 case left", "2 of 2 cases left"),
        (not_finite, "1 voxel is NaN or infinite; replace it", "2 voxels are NaN or infinite; replace them"),
        (labelled, "2 (1 voxel)", "2 (2 voxels)"),
    ],
    ids=["what was answered in a review", "the work list of the page", "a damaged scan", "a mask of several labels"],
)
def test_what_is_said_of_one_is_not_what_is_said_of_two(say: Callable[[int], str], of_one: str, of_two: str) -> None:
    assert of_one in say(1) and of_two in say(2)


@pytest.mark.parametrize(("count", "noun"), [(1, "case"), (2, "cases")])
def test_the_page_of_a_cohort_counts_its_cases(tmp_path: Path, count: int, noun: str) -> None:
    rows = [Row(f"a{n}", DONE, False, 0.9, 0.88, 0.92, 100.0, model="m 1") for n in range(count)]
    write_page(tmp_path / "cohort.html", rows)
    page = (tmp_path / "cohort.html").read_text("utf-8")
    assert f"<b>{count}</b> {noun} done" in page
    assert f"{count} {noun}, 0 flagged" in page and f"{count} {noun}</text>" in page
