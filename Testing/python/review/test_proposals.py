"""One-click proposals on a made-up border: what each draws, and that none ever leaves its region."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtctl.geometry import Geometry
from mtctl.review.case_maps import CaseMaps, RegionPart
from mtctl.review.proposals import BETA, SUREST, Proposal, add, consensus, distance_map, random_walk, remove

SHAPE = (14, 16, 20)
pytestmark = pytest.mark.filterwarnings("error")  # they would end in the person's console

GEOMETRY = Geometry((20, 16, 14), (0.5, 1.0, 2.0), (5.0, 6.0, 7.0), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
X = np.broadcast_to(np.arange(20, dtype=np.float32), SHAPE)


def border(at: float) -> CaseMaps:
    """The atrium fills x < 10; the samples' consensus falls from 1 to 0 about `at`, the distance map is 0 at 12."""
    probability = (1 / (1 + np.exp((X - at) / 2))).astype(np.float32)
    p = np.clip(probability.astype(float), 1e-7, 1 - 1e-7)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).astype(np.float32)
    return CaseMaps(X < 10, entropy, probability, (12 - X) / 20, GEOMETRY)


MAPS = border(10)
BOX = (slice(4, 10), slice(5, 11), slice(6, 15))
PART = RegionPart(BOX, np.ones((6, 6, 9), dtype=bool))

KINDS: dict[str, Callable[[CaseMaps, RegionPart, np.ndarray], Proposal]] = {
    "add": add,
    "remove": remove,
    "distance map": distance_map,
    "consensus": lambda maps, part, current: consensus(maps, part, current, 0.3),
    "random walker": lambda maps, part, current: random_walk(maps, part, current, 0.5),
}


def applied(proposal: Proposal, current: np.ndarray) -> np.ndarray:
    result = np.array(current, dtype=bool)
    result[proposal.box] = proposal.mask
    return result


def test_add_and_remove_decide_the_whole_region() -> None:
    for kind, side in ((add, True), (remove, False)):
        proposal = kind(MAPS, PART, MAPS.segmentation)
        assert (proposal.mask == side).all()
    voxel_ml = GEOMETRY.voxel_ml
    added, removed = add(MAPS, PART, MAPS.segmentation), remove(MAPS, PART, MAPS.segmentation)
    assert (added.added_ml, added.removed_ml) == (pytest.approx(36 * 5 * voxel_ml), 0.0)
    assert (removed.added_ml, removed.removed_ml) == (0.0, pytest.approx(36 * 4 * voxel_ml))


def test_only_the_random_walker_needs_scikit_image() -> None:
    program = "import sys; sys.modules['skimage'] = None; import mtctl.review.proposals"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_distance_map_draws_its_zero() -> None:
    proposal = distance_map(MAPS, PART, MAPS.segmentation)
    assert np.array_equal(proposal.mask, (X <= 12)[BOX])


@pytest.mark.parametrize("level", [0.2, 0.5, 0.8])
def test_the_consensus_draws_its_level_and_shrinks_as_it_rises(level: float) -> None:
    proposal = consensus(MAPS, PART, MAPS.segmentation, level)
    assert np.array_equal(proposal.mask, (MAPS.probability >= level)[BOX])
    stricter = consensus(MAPS, PART, MAPS.segmentation, level + 0.1)
    assert not (stricter.mask & ~proposal.mask).any()


def uncertain_slab(at: float) -> CaseMaps:
    """`border`, uncertain for 6 <= x < 15 as far as the eye reaches: only what lies before and behind is certain."""
    maps = border(at)
    maps.uncertainty[...] = (X >= 6) & (X < 15)
    return maps


def test_the_random_walker_finds_the_step_between_the_certain_voxels() -> None:
    step = uncertain_slab(10)
    step.probability[...] = np.where(X < 12.5, 0.9, 0.1)
    proposal = random_walk(step, PART, step.segmentation, 0.5)
    assert np.array_equal(proposal.mask, (X < 12.5)[BOX])


def test_strokes_pull_the_random_walker_to_their_side() -> None:
    maps, strokes = uncertain_slab(10.2), np.zeros(SHAPE, dtype=bool)
    strokes[6:8, 7:9, 13] = True
    plain = random_walk(maps, PART, maps.segmentation, 0.5)
    inwards = random_walk(maps, PART, maps.segmentation, 0.5, strokes_in=strokes)
    assert inwards.mask.sum() > plain.mask.sum() + strokes.sum()
    assert inwards.mask[strokes[BOX]].all()
    outwards = random_walk(maps, PART, maps.segmentation, 0.5, strokes_out=np.roll(strokes, -6, axis=2))
    assert outwards.mask.sum() < plain.mask.sum() - strokes.sum()
    undecided = random_walk(maps, PART, maps.segmentation, 0.5, strokes, strokes)
    assert np.array_equal(undecided.mask, plain.mask)


def walked(maps: CaseMaps, part: RegionPart, threshold: float) -> np.ndarray:
    """An independent random walker: the whole volume as one dense system."""
    region = np.zeros(SHAPE, dtype=bool)
    region[part.box] = part.inside
    on_it = region | (maps.uncertainty < threshold)
    p = np.clip(maps.probability.astype(float), SUREST, 1 - SUREST)
    terrain = np.log(p / (1 - p))
    box = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in part.box)
    number = np.arange(terrain.size).reshape(SHAPE)
    laplacian = np.zeros((terrain.size,) * 2)
    for axis, step in enumerate(maps.geometry.spacing[::-1]):
        a, b = (np.moveaxis(number, axis, 0)[part].ravel() for part in (slice(None, -1), slice(1, None)))
        both = on_it.ravel()[a] & on_it.ravel()[b]
        a, b = a[both], b[both]
        weight = np.exp(-BETA / (10 * terrain[box].std()) * ((terrain.ravel()[a] - terrain.ravel()[b]) / step) ** 2)
        laplacian[a, b] = laplacian[b, a] = -weight - 1e-10
    laplacian[np.diag_indices_from(laplacian)] = -laplacian.sum(axis=1)
    free, seeds = np.flatnonzero(region), np.flatnonzero(on_it & ~region)
    towards = -laplacian[np.ix_(free, seeds)] @ maps.segmentation.ravel()[seeds].astype(float)
    chance = np.zeros(SHAPE)
    chance.flat[free] = np.linalg.solve(laplacian[np.ix_(free, free)], towards)
    return chance


def test_the_random_walker_is_that_of_the_textbook_among_scattered_seeds() -> None:
    rng = np.random.default_rng(5)
    maps = border(10.2)
    maps.probability[...] = np.clip(maps.probability + rng.normal(0, 0.02, SHAPE), 0, 1)
    maps.uncertainty[...] = rng.random(SHAPE)  # many certain voxels stand alone among those that are not walked on
    chance = walked(maps, PART, 0.5)[BOX]
    mask = random_walk(maps, PART, maps.segmentation, 0.5).mask
    clear = np.abs(chance - 0.5) > 0.01
    assert clear.mean() > 0.9
    assert np.array_equal(mask[clear], (chance > 0.5)[clear])


def test_the_random_walker_starts_from_the_segmentation_as_it_is_now() -> None:
    all_in, all_out = np.ones(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)
    assert random_walk(MAPS, PART, all_in, 0.5).mask.all()
    assert not random_walk(MAPS, PART, all_out, 0.5).mask.any()


def test_a_region_without_certain_voxels_around_stays_as_it_is() -> None:
    proposal = random_walk(MAPS, PART, MAPS.segmentation, 0.0)
    assert np.array_equal(proposal.mask, MAPS.segmentation[BOX])
    assert (proposal.added_ml, proposal.removed_ml) == (0.0, 0.0)


def test_a_part_that_no_seed_reaches_stays_as_it_is() -> None:
    maps = border(10)
    maps.uncertainty[...] = 0
    island = (7, 8, 15)
    maps.uncertainty[6:9, 7:10, 14:17] = 1
    inside = np.zeros((6, 6, 11), dtype=bool)
    inside[:, :, :6] = True
    inside[3, 3, 9] = True  # (7, 8, 15) of the volume, walled in by uncertain voxels that are not walked on
    part = RegionPart((slice(4, 10), slice(5, 11), slice(6, 17)), inside)
    for side in (True, False):
        current = MAPS.segmentation.copy()
        current[island] = side
        assert applied(random_walk(maps, part, current, 0.5), current)[island] == side


def test_without_a_contour_the_random_walker_meets_half_way() -> None:
    flat = dataclasses.replace(uncertain_slab(10), probability=np.full(SHAPE, 0.5, dtype=np.float32))
    mask = random_walk(flat, PART, MAPS.segmentation, 0.5).mask
    x = X[BOX]
    assert mask[x < 10].all() and not mask[x > 10].any()  # certain are x = 5 and x = 15


@pytest.mark.parametrize("name", KINDS)
def test_a_region_that_fills_the_scan_or_lies_in_its_corner_gets_its_proposal(name: str) -> None:
    whole = RegionPart((slice(0, 14), slice(0, 16), slice(0, 20)), np.ones(SHAPE, dtype=bool))
    corner = RegionPart((slice(12, 14), slice(0, 1), slice(19, 20)), np.ones((2, 1, 1), dtype=bool))
    for part in (whole, corner):
        proposal = KINDS[name](MAPS, part, MAPS.segmentation)
        assert proposal.name == name and proposal.box == part.box
        assert proposal.mask.shape == part.inside.shape


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), density=st.floats(0.02, 1), spacing=st.sampled_from([(1, 1, 1), (0.4, 0.4, 5)]))
def test_no_proposal_ever_changes_a_voxel_outside_its_region(
    name: str, seed: int, density: float, spacing: tuple[float, float, float]
) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.random(SHAPE, dtype=np.float32)
    uncertainty, distance = rng.random(SHAPE, dtype=np.float32), rng.uniform(-1, 1, SHAPE).astype(np.float32)
    current = rng.random(SHAPE) < rng.random()
    region = rng.random(SHAPE) < density
    region[tuple(rng.integers(SHAPE))] = True
    part = RegionPart.of(np.flatnonzero(region), SHAPE)
    maps = CaseMaps(current, uncertainty, probability, distance, dataclasses.replace(GEOMETRY, spacing=spacing))
    before = current.copy()
    proposal = KINDS[name](maps, part, current)
    assert np.array_equal(current, before)
    after = applied(proposal, current)
    assert not ((after != before) & ~region).any()
    voxel_ml = maps.geometry.voxel_ml
    assert proposal.added_ml == pytest.approx((after & ~before).sum() * voxel_ml)
    assert proposal.removed_ml == pytest.approx((before & ~after).sum() * voxel_ml)


@pytest.mark.parametrize("name", KINDS)
def test_a_proposal_on_a_large_scan_looks_at_the_box_of_its_region_alone(name: str) -> None:
    shape = (88, 576, 576)
    x = np.broadcast_to(np.arange(576, dtype=np.float32), shape)
    probability = (1 / (1 + np.exp(np.clip((x - 300) / 2, -50, 50)))).astype(np.float32)
    uncertainty = np.where(np.abs(x - 300) < 5, np.float32(1), np.float32(0))
    maps = CaseMaps(
        x < 300, uncertainty, probability, (300 - x) / 300, Geometry((576, 576, 88), (0.625,) * 3, (0.0,) * 3)
    )
    # As large as a region gets: 20 mm across and 6 mm thick, though no real one fills its box.
    part = RegionPart((slice(30, 62), slice(200, 232), slice(295, 305)), np.ones((32, 32, 10), dtype=bool))
    tracemalloc.start()
    try:
        proposal = KINDS[name](maps, part, maps.segmentation)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert proposal.mask.shape == (32, 32, 10)
    assert most < maps.segmentation.nbytes, "something as large as the scan was computed"
