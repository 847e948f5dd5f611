"""What a fine-tuning run holds out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.scans import scan

from mtctl.cases.history import CaseState
from mtctl.cases.store import CaseStore
from mtctl.geometry import Geometry, Volume
from mtctl_train.finetuning.plan import FEW, make_plan, plan_of

SHAPE = (12, 12, 12)


def corrected(folder: Path, count: int) -> CaseStore:
    """A store with that many corrected cases, and one that is not."""
    store, mask = CaseStore(folder), np.zeros(SHAPE, bool)
    mask[4:8, 4:8, 4:8] = True
    for seed in range(count):
        store.add_label(store.add(scan(SHAPE, seed), f"case{seed}"), mask)
    store.add(scan(SHAPE, 99), "other")
    return store


def sums(store: CaseStore, *ids: str) -> list[str]:
    return [store.case(id).scan_sha256 for id in ids]


def test_with_many_corrected_cases_a_quarter_is_held_out_and_never_learnt_from(tmp_path: Path) -> None:
    store = corrected(tmp_path / "store", FEW)
    plan = plan_of(tmp_path, store, seed=1)
    assert len(plan.folds) == 1 and len(plan.folds[0]) == 3
    assert not set(plan.learnt(0)) & set(plan.folds[0]) and len(plan.learnt(0)) == FEW - 3
    assert plan.held_out(3) == f"3 of {FEW} corrected cases, which the candidate never saw"
    store.add_label(store.add(scan(SHAPE, FEW + 1), "late"), store.case("case0").corrected_mask())
    assert plan_of(tmp_path, store, seed=2) == plan


def test_with_fewer_each_is_held_out_of_one_of_two_folds(tmp_path: Path) -> None:
    plan = make_plan(corrected(tmp_path, 5), seed=0)
    assert sorted(id for fold in plan.folds for id in fold) == [f"case{number}" for number in range(5)]
    assert [len(plan.learnt(fold)) for fold in (0, 1)] == [2, 3]
    assert plan.unlabelled == ("other",)


def test_what_the_old_model_has_learnt_from_is_learnt_again_and_not_held_out(tmp_path: Path) -> None:
    store = corrected(tmp_path, 6)
    plan = make_plan(store, 0, sums(store, "case0", "case1", "case2", "case3"))
    assert sorted(id for fold in plan.folds for id in fold) == ["case4", "case5"] and not plan.known
    assert all({"case0", "case1", "case2", "case3"} <= set(plan.learnt(fold)) for fold in (0, 1))
    one = make_plan(store, 0, sums(store, *(f"case{number}" for number in range(5))))
    assert sorted(one.folds, key=len) == [(), ("case5",)]


def test_where_the_old_model_has_learnt_from_all_of_them_the_verdict_says_so(tmp_path: Path) -> None:
    store = corrected(tmp_path, 3)
    plan = make_plan(store, 0, sums(store, "case0", "case1", "case2"))
    assert sorted(id for fold in plan.folds for id in fold) == ["case0", "case1", "case2"]
    assert plan.held_out(3).endswith("the old model has learnt from all of them, which flatters it")


@pytest.mark.parametrize("seed", range(5))
def test_a_scan_that_is_in_the_store_twice_is_never_learnt_from_and_held_out_at_once(tmp_path: Path, seed: int) -> None:
    store = corrected(tmp_path, 4)
    store.add_label(store.add(scan(SHAPE, 0), "copy"), store.case("case0").corrected_mask())
    store.add(scan(SHAPE, 1), "copy-without-label")
    plan = make_plan(store, seed)
    assert any({"case0", "copy"} <= set(fold) for fold in plan.folds)
    assert plan.unlabelled == ("other",)


def test_a_copy_whose_grid_another_program_wrote_is_held_out_with_its_scan(tmp_path: Path) -> None:
    """SimpleITK reads 1.6 where Slicer's loader reads 1.5999999999999999."""
    store, mask = CaseStore(tmp_path), corrected(tmp_path / "other", 1).case("case0").corrected_mask()
    array = scan(SHAPE, 0).array
    for id, depth in (("simpleitk", 1.6), ("slicer", 1.5999999999999999), ("another", 1.6)):
        volume = Volume(array + (id == "another"), Geometry(SHAPE, (0.7, 0.7, depth), (0.0, 0.0, 0.0)))
        store.add_label(store.add(volume, id), mask)
    plan = make_plan(store, seed=0)
    assert sorted(plan.folds) == [("another",), ("simpleitk", "slicer")]
    learnt = make_plan(store, 0, sums(store, "slicer"))
    assert sorted(learnt.folds) == [(), ("another",)]


def test_copies_of_a_single_scan_are_learnt_from_and_nothing_is_held_out(tmp_path: Path) -> None:
    store = corrected(tmp_path, 1)
    store.add_label(store.add(scan(SHAPE, 0), "copy"), store.case("case0").corrected_mask())
    plan = make_plan(store, seed=0)
    assert plan.folds == ((),) and plan.learnt(0) == ["case0", "copy"]
    assert plan.held_out(0) == "nothing held out: 2 corrected cases of one scan"


def test_a_corrected_case_that_is_looked_at_again_is_learnt_from_until_it_is_rejected(tmp_path: Path) -> None:
    store = corrected(tmp_path, 2)
    mask = store.case("case0").corrected_mask()
    store.save_draft("case0", ~mask, {}, "somebody-else")
    assert store.case("case0").state is CaseState.IN_REVIEW
    plan = make_plan(store, seed=0)
    assert plan.labelled == {"case0": 1, "case1": 1} and plan.unlabelled == ("other",)
    store.reject("case0", "blurred")
    store.save_draft("case0", ~mask, {}, "somebody-else")
    plan = make_plan(store, seed=0)
    assert plan.labelled == {"case1": 1} and plan.unlabelled == ("other",)
    store.accept("case0", mask, {})
    assert make_plan(store, seed=0).labelled == {"case0": 2, "case1": 1}
