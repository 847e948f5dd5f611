"""What an answer may change, and what it must leave, whatever the network says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from support.guidance import GRID_MM, arbitrary_refiner, ball_case, turned

from mtctl.geometry import Geometry, Triple, Volume
from mtctl.guidance.guided_case import KEPT_MM, GuidedCase
from mtctl.guidance.guided_mask import OBEYED_MM, guided_scan
from mtctl.review.answers import Answer, Side
from mtctl.review.places import near

PLAIN = Geometry((22, 20, 11), (1.25, 1.25, 2.5), (0.0, 0.0, 0.0))

#: Fine, thick and turned: what the network's grid is not.
GRIDS = [PLAIN, turned((28, 24, 13), (0.9, 1.1, 2.0), 20.0), turned((18, 20, 7), (1.5, 1.2, 4.0), -35.0)]


def somewhere(geometry: Geometry, rng: np.random.Generator) -> Triple:
    x, y, z = geometry.index_to_physical(rng.uniform(2, np.array(geometry.size) - 3)).tolist()
    return x, y, z


def drawn_answer(geometry: Geometry, rng: np.random.Generator) -> Answer:
    side: Side = "inside" if rng.random() < 0.5 else "outside"
    return Answer(tuple(somewhere(geometry, rng) for _ in range(int(rng.integers(1, 4)))), side)


CASES = [ball_case(geometry) for geometry in GRIDS]


@pytest.fixture(scope="module", autouse=True)
def small_window() -> Iterator[None]:
    """Let the network see no more than these small grids: a fraction of the work."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("channels", "refinement"):
            patch.setattr(f"mtctl.guidance.{module}.WINDOW", (16, 32, 32))
        yield


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_an_answered_place_is_never_changed_back_by_an_answer_elsewhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case, refiner = CASES[seed % len(CASES)], arbitrary_refiner(seed)
    answered = np.zeros(case.mask.shape, bool)
    for _ in range(2):
        before, answer = case.mask.copy(), drawn_answer(case.geometry, rng)
        here = near(answer.clicks, OBEYED_MM, case.geometry)
        case = case.answered(refiner, answer)
        assert not (answered & ~here & (case.mask != before)).any()
        assert (case.mask[here] == (answer.side == "inside")).all()
        answered |= here | (case.mask != before)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_clicked_voxel_and_its_neighbourhood_end_on_the_side_that_the_reader_said(number: int) -> None:
    rng, case = np.random.default_rng(number), CASES[number]
    for _ in range(10):
        answer = drawn_answer(case.geometry, rng)
        after = case.answered(arbitrary_refiner(7), answer)
        assert (after.mask[near(answer.clicks, OBEYED_MM, case.geometry)] == (answer.side == "inside")).all()
        assert near(answer.clicks, OBEYED_MM, case.geometry).sum() >= len(set(answer.clicks))


@pytest.mark.parametrize("number", range(len(CASES)))
def test_an_answer_only_adds_or_only_takes_away_as_it_says(number: int) -> None:
    case, rng = CASES[number], np.random.default_rng(3)
    for side in ("inside", "outside"):
        after = case.answered(arbitrary_refiner(5), Answer((somewhere(case.geometry, rng),), side))
        changed = after.mask != case.mask
        assert (after.mask[changed] == (side == "inside")).all()


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_on_a_finer_scan_an_answer_leaves_neither_holes_nor_crumbs_at_the_former_border(side: Side) -> None:
    fine = Geometry((44, 40, 11), (0.625, 0.625, 2.5), (0.0, 0.0, 0.0))
    case = ball_case(fine)
    flip = side == "inside"  # Holes are the pieces of what is outside.
    for n, reach in enumerate((6.5, 8.0, 9.5, 11.0)):
        place = fine.index_to_physical((np.array(fine.size) - 1) / 2) + np.array((np.cos(n), np.sin(n), 0.0)) * reach
        after = case.answered(arbitrary_refiner(n), Answer((tuple(place.tolist()),), side))
        assert (after.mask != case.mask).any()
        assert ndimage.label(after.mask != flip)[1] <= ndimage.label(after.guided.mask != flip)[1]


def test_undoing_is_taking_the_case_before_which_no_answer_has_touched() -> None:
    case = CASES[1]
    kept = case.mask.copy(), case.guided.probability.copy(), case.guided.settled.copy(), case.settled.copy()
    case.answered(arbitrary_refiner(1), drawn_answer(case.geometry, np.random.default_rng(1)))
    now = case.mask, case.guided.probability, case.guided.settled, case.settled
    assert all(np.array_equal(one, other) for one, other in zip(kept, now, strict=True))


def test_what_was_painted_stays_to_the_last_voxel() -> None:
    case = CASES[1]
    scan = guided_scan(
        Volume(np.random.default_rng(0).normal(size=case.mask.shape).astype(np.float32), case.geometry),
        case.mask.astype(np.float32),
        GRID_MM,
    )
    painted = case.mask.copy()
    painted[5:8, 4:12, 16:24] ^= True
    touched = painted != case.mask
    begun = GuidedCase.begin(scan, painted, case.mask)
    rng = np.random.default_rng(2)
    for seed in range(20):
        answer = drawn_answer(case.geometry, rng)
        after = begun.answered(arbitrary_refiner(seed), answer)
        elsewhere = touched & ~near(answer.clicks, OBEYED_MM, case.geometry)
        assert np.array_equal(after.mask[elsewhere], painted[elsewhere])


def test_a_place_that_was_kept_stays_as_it_is() -> None:
    case, rng = CASES[0], np.random.default_rng(4)
    place = somewhere(case.geometry, rng)
    kept = case.kept(place)
    around = near((place,), KEPT_MM, case.geometry)
    for seed in range(20):
        answer = drawn_answer(case.geometry, rng)
        after = kept.answered(arbitrary_refiner(seed), answer)
        there = around & ~near(answer.clicks, OBEYED_MM, case.geometry)
        assert np.array_equal(after.mask[there], case.mask[there])


def test_a_case_begun_anew_from_mask_and_record_keeps_what_was_said() -> None:
    case, rng = CASES[0], np.random.default_rng(5)
    answer = drawn_answer(case.geometry, rng)
    after = case.answered(arbitrary_refiner(0), answer)
    scan = guided_scan(
        Volume(np.zeros(case.mask.shape, np.float32) + np.arange(case.mask.shape[2], dtype=np.float32), case.geometry),
        case.mask.astype(np.float32),
        GRID_MM,
    )
    again = GuidedCase.begin(scan, after.mask, case.mask, (answer,))
    assert np.array_equal(again.mask, after.mask)
    assert again.settled[after.mask != case.mask].all()
    assert again.settled[near(answer.clicks, OBEYED_MM, case.geometry)].all()


def test_a_click_outside_the_scan_changes_nothing_there_is_not() -> None:
    case = CASES[0]
    after = case.answered(arbitrary_refiner(0), Answer(((-500.0, 0.0, 0.0),), "inside"))
    assert np.array_equal(after.mask, case.mask)
