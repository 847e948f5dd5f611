"""A review of a made-up atrium: going through its doubtful places, editing, deciding, leaving and coming back."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mtctl.geometry import Geometry
from mtctl.review.active_time import IDLE_SECONDS
from mtctl.review.case_maps import CaseMaps, ReviewError
from mtctl.review.document import read_review, review_document, write_review
from mtctl.review.proposals import add, consensus, distance_map, random_walk, remove
from mtctl.review.session import GROWN, REVIEW_ML, ReviewSession
from mtctl.review.state import RegionMark, RemainingWork, ReviewState, Status, summary
from mtctl.system.files import WriteError

# Axes that are neither those of the patient nor equally spaced.
GEOMETRY = Geometry((44, 40, 26), (1.25, 1.25, 2.0), (10.0, -20.0, 30.0), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
PLANTED = ((5, 20, 13), (38, 20, 13), (21, 4, 16))  # x, y, z of doubtful places on the border


def doubtful_atrium() -> CaseMaps:
    """An ellipsoid with a thin uncertain shell, thick at the planted places."""
    offset = [np.arange(n) - (n - 1) / 2 for n in GEOMETRY.size]
    x, y, z = np.meshgrid(*(o * s for o, s in zip(offset, GEOMETRY.spacing, strict=True)), indexing="ij")
    depth = (20 * (1 - np.sqrt((x / 21) ** 2 + (y / 20) ** 2 + (z / 18) ** 2))).T
    thickness = np.full(depth.shape, 0.8)
    for middle in PLANTED:
        steps = (np.arange(n) - m for n, m in zip(GEOMETRY.size, middle, strict=True))
        near = np.meshgrid(*(s * mm for s, mm in zip(steps, GEOMETRY.spacing, strict=True)), indexing="ij")
        thickness += 2.5 * np.exp(-sum(axis**2 for axis in near) / (2 * 4.0**2)).T
    probability = (1 / (1 + np.exp(-2 * depth / thickness))).astype(np.float32)
    p = np.clip(probability.astype(float), 1e-7, 1 - 1e-7)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).astype(np.float32)
    return CaseMaps(depth > 0, entropy, probability, (depth / 20).clip(-1, 1).astype(np.float32), GEOMETRY)


MAPS = doubtful_atrium()


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def session(clock: Clock) -> ReviewSession:
    return ReviewSession(MAPS, ReviewState(0.5), clock=clock)


def filled(session: ReviewSession, region: int) -> np.ndarray:
    """The segmentation with the whole region in it."""
    return MAPS.segmentation | session.paintable(region)


# Going through the list


def test_the_planted_places_are_listed_and_nothing_is_done_yet(session: ReviewSession) -> None:
    found = [region.centroid_lps for region in session.regions[:3]]
    for middle in PLANTED:
        place = GEOMETRY.index_to_physical(middle)
        assert min(np.linalg.norm(np.subtract(centroid, place)) for centroid in found) < 6
    assert not any(region.visited or region.edited or region.accepted for region in session.regions)
    assert session.current is None and session.looked_at_ml == 0
    total = sum(region.volume_mm3 for region in session.regions) / 1000
    assert session.remaining == RemainingWork(len(session.regions), pytest.approx(total))


def test_next_and_previous_walk_the_list_and_go_round(session: ReviewSession) -> None:
    ids = [region.id for region in session.regions]
    assert [session.next().id for _ in range(len(ids) + 1)] == [*ids, ids[0]]  # type: ignore[union-attr]
    assert session.previous().id == ids[-1]  # type: ignore[union-attr]
    assert all(region.visited for region in session.regions)
    assert session.looked_at_ml == pytest.approx(session.remaining.ml)  # looked at, but not accepted


def test_a_jump_visits_that_region_only(session: ReviewSession) -> None:
    target = session.regions[2]
    assert session.jump(target.id).visited
    assert session.current == dataclasses.replace(target, visited=True)
    assert [region.id for region in session.regions if region.visited] == [target.id]
    assert session.looked_at_ml == pytest.approx(target.volume_mm3 / 1000)


def test_a_region_that_is_not_listed_cannot_be_gone_to(session: ReviewSession) -> None:
    with pytest.raises(ReviewError, match=r"region 99 is not listed at threshold 0\.5: lower the threshold"):
        session.jump(99)
    assert session.current is None


def test_accepted_regions_are_passed_over_until_none_is_left(session: ReviewSession) -> None:
    while (region := session.next_open()) and not region.accepted:
        session.accept_region(region.id)
    assert session.remaining == RemainingWork(0, 0.0)
    assert all(region.accepted for region in session.regions)
    last = session.current
    assert session.next_open() == last


def test_an_acceptance_can_be_taken_back(session: ReviewSession) -> None:
    first = session.regions[0]
    before = session.remaining
    session.accept_region(first.id)
    assert session.remaining.regions == before.regions - 1
    assert session.remaining.ml == pytest.approx(before.ml - first.volume_mm3 / 1000)
    session.reopen_region(first.id)
    assert session.remaining == before


# The threshold


def test_a_new_review_lists_about_as_much_as_a_person_will_look_at() -> None:
    large = dataclasses.replace(MAPS, geometry=dataclasses.replace(GEOMETRY, spacing=(2.5, 2.5, 4.0)))
    session = ReviewSession(large)
    assert 0.5 * REVIEW_ML < session.remaining.ml <= REVIEW_ML
    session.set_threshold(session.state.threshold - 0.01)
    assert session.remaining.ml > REVIEW_ML


def test_what_was_done_stays_when_the_threshold_moves(session: ReviewSession) -> None:
    first = session.regions[0]
    session.accept_region(first.id)
    for threshold in (0.52, 0.9, 0.47):
        listed = {region.id: region for region in session.set_threshold(threshold)}
        assert listed[first.id].accepted and listed[first.id].visited
    assert 1 < listed[first.id].volume_mm3 / first.volume_mm3 < GROWN  # a little more at 0.47: not worth another look


def test_a_region_that_grew_much_since_it_was_accepted_is_open_again_by_what_is_new(session: ReviewSession) -> None:
    session.set_threshold(0.9)
    before = session.regions[0]
    session.accept_region(before.id)
    others = session.remaining.ml
    session.set_threshold(0.1)
    grown = next(region for region in session.regions if region.id == before.id)
    assert grown.volume_mm3 > GROWN * before.volume_mm3
    assert grown.visited and not grown.accepted
    volumes = [region.volume_mm3 for region in session.regions]
    assert session.remaining.ml == pytest.approx((sum(volumes) - before.volume_mm3) / 1000)
    assert session.looked_at_ml == pytest.approx(before.volume_mm3 / 1000)
    session.set_threshold(0.9)
    assert session.remaining.ml == pytest.approx(others)


def test_the_current_region_is_none_while_the_threshold_hides_it(session: ReviewSession) -> None:
    last = session.jump(session.regions[-1].id)
    session.set_threshold(1.0)
    assert session.current is None
    session.set_threshold(0.5)
    assert session.current == last


@pytest.mark.parametrize("threshold", [-0.01, 1.5, float("nan")])
def test_an_impossible_threshold_is_refused(session: ReviewSession, threshold: float) -> None:
    with pytest.raises(ReviewError, match="between 0 and 1"):
        session.set_threshold(threshold)
    assert session.state.threshold == 0.5


def test_painting_is_allowed_where_it_is_uncertain_or_in_one_region_only(session: ReviewSession) -> None:
    assert np.array_equal(session.paintable(), MAPS.uncertainty >= 0.5)
    labels = session.all_regions.labels_at(0.5)
    for region in session.regions:
        allowed = session.paintable(region.id)
        assert np.array_equal(allowed, labels == region.id)
        assert allowed.sum() * GEOMETRY.voxel_ml * 1000 == pytest.approx(region.volume_mm3)
        assert not (allowed & ~session.paintable()).any()


# Edits and decisions


def test_an_edit_marks_the_regions_it_reached_and_its_volume(session: ReviewSession) -> None:
    first = session.next()
    mask = filled(session, first.id)
    edit = session.record("add", mask)
    assert edit and (edit.kind, edit.region, edit.removed_ml) == ("add", first.id, 0.0)
    assert edit.added_ml == pytest.approx((mask.sum() - MAPS.segmentation.sum()) * GEOMETRY.voxel_ml)
    assert [region.id for region in session.regions if region.edited] == [first.id]
    undo = session.record("undo", MAPS.segmentation)
    assert undo and (undo.added_ml, undo.removed_ml) == (0.0, edit.added_ml)
    assert not any(region.edited for region in session.regions)
    assert session.state.edits == (edit, undo)


def test_an_edit_that_changes_nothing_is_not_recorded(session: ReviewSession) -> None:
    assert session.record("paint", MAPS.segmentation.copy()) is None
    assert session.state.edits == ()


def test_an_accepted_region_that_changes_afterwards_is_open_again_and_so_is_the_case(session: ReviewSession) -> None:
    first, second = (region.id for region in session.regions[:2])
    session.jump(first)
    session.record("add", filled(session, first))
    session.accept_region(first)
    session.accept_region(second)
    session.accept_case()
    session.record("undo", MAPS.segmentation)
    assert {region.id for region in session.regions if region.accepted} == {second}
    assert session.state.status is Status.DRAFT


def test_the_segmentation_handed_in_is_never_kept_or_changed(session: ReviewSession) -> None:
    first = session.next()
    mask = filled(session, first.id)
    copy = mask.copy()
    session.record("add", mask)
    assert np.array_equal(mask, copy)
    mask[:] = False
    assert session.record("redo", copy) is None  # nothing changed since the copy was recorded


def test_a_mask_of_another_shape_is_refused(session: ReviewSession) -> None:
    with pytest.raises(ReviewError, match="voxels, the scan"):
        session.record("paint", MAPS.segmentation[1:])


def test_a_case_is_accepted_or_rejected_with_a_reason(session: ReviewSession) -> None:
    session.accept_case()
    assert session.state.status is Status.ACCEPTED
    with pytest.raises(ReviewError, match="why"):
        session.reject_case("  ")
    session.reject_case(" motion ")
    assert (session.state.status, session.state.reason) == (Status.REJECTED, "motion")
    session.reopen_case()
    assert (session.state.status, session.state.reason) == (Status.DRAFT, "")


# Time


def test_time_counts_between_actions_and_for_the_region_that_is_current(session: ReviewSession, clock: Clock) -> None:
    clock.now += 50  # before the first action
    first = session.next()
    clock.now += 7
    second = session.next()
    clock.now += 5
    session.accept_region(second.id)
    assert session.state.seconds == 12
    assert (session.state.marks[first.id].seconds, session.state.marks[second.id].seconds) == (7, 5)


def test_a_pause_does_not_count_and_a_long_silence_only_in_part(session: ReviewSession, clock: Clock) -> None:
    session.next()
    clock.now += 3
    session.pause()
    clock.now += 1000
    session.next()
    assert session.state.seconds == 3
    clock.now += 5000
    session.next()
    assert session.state.seconds == 3 + IDLE_SECONDS


# Leaving and coming back


def test_a_draft_resumes_where_it_was(session: ReviewSession, clock: Clock, tmp_path: Path) -> None:
    first = session.next()
    mask = filled(session, first.id)
    session.record("add", mask)
    clock.now += 4
    session.accept_region(first.id)
    session.next_open()
    write_review(tmp_path / "case.review.json", session)
    resumed = read_review(tmp_path / "case.review.json", MAPS, mask, clock)
    assert resumed.state == session.state
    assert (resumed.regions, resumed.current, resumed.remaining) == (
        session.regions,
        session.current,
        session.remaining,
    )
    assert resumed.record("paint", mask) is None  # what was edited before is no edit now


def test_a_grid_that_differs_in_the_last_digits_is_the_same_one(session: ReviewSession, tmp_path: Path) -> None:
    session.next()
    write_review(tmp_path / "review.json", session)
    x, y, z = GEOMETRY.spacing
    near = dataclasses.replace(GEOMETRY, spacing=(x * (1 + 1e-9), y * (1 - 1e-9), z))
    assert read_review(tmp_path / "review.json", dataclasses.replace(MAPS, geometry=near)).state == session.state


def test_the_file_says_what_was_done_and_names_nobody(session: ReviewSession, tmp_path: Path) -> None:
    session.accept_region(session.next().id)
    session.accept_case()
    write_review(tmp_path / "Jane Doe 1950.review.json", session)
    text = (tmp_path / "Jane Doe 1950.review.json").read_text(encoding="utf-8")
    assert "Doe" not in text and str(tmp_path) not in text
    document = json.loads(text)
    assert document["status"] == "accepted"
    assert document["left"] == {"regions": session.remaining.regions, "ml": session.remaining.ml}
    assert document["looked_at_ml"] == session.looked_at_ml
    assert [entry["id"] for entry in document["regions"]] == [session.regions[0].id]


def test_the_review_of_something_else_is_refused_in_plain_words(session: ReviewSession, tmp_path: Path) -> None:
    path = tmp_path / "review.json"
    write_review(path, session)
    moved = dataclasses.replace(MAPS, geometry=dataclasses.replace(GEOMETRY, origin=(11.0, -20.0, 30.0)))
    with pytest.raises(ReviewError, match=r"review\.json: the review of another scan"):
        read_review(path, moved)
    smaller = MAPS.segmentation.copy()
    smaller[13, 20, 20] = False
    with pytest.raises(ReviewError, match="another segmentation"):
        read_review(path, dataclasses.replace(MAPS, segmentation=smaller))
    with pytest.raises(ReviewError, match="computed anew"):
        read_review(path, dataclasses.replace(MAPS, uncertainty=MAPS.uncertainty * np.float32(0.99)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "cannot read: update"),
        ({"threshold": 7}, "not a readable review"),
        ({"status": "perhaps"}, "not a readable review"),
        ({"edits": [{"kind": "paint"}]}, "not a readable review"),
        ({"regions": [{"id": "first"}]}, "not a readable review"),
        ({"geometry": {}}, "not a readable review"),
        ({"geometry": {"size": "large"}}, "not a readable review"),
        ({"current": 12345}, "region 12345 of the draft is unknown"),
        ({"current": 0}, "region 0 of the draft is unknown"),
    ],
)
def test_a_damaged_file_is_refused(
    session: ReviewSession, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "review.json"
    path.write_text(json.dumps(review_document(session) | change), encoding="utf-8")
    with pytest.raises(ReviewError, match=message):
        read_review(path, MAPS)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"draft"', "null"])
def test_a_file_that_is_no_review_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "review.json").write_text(text, encoding="utf-8")
    with pytest.raises(ReviewError, match=r"review\.json: not a readable review"):
        read_review(tmp_path / "review.json", MAPS)
    with pytest.raises(ReviewError, match="cannot be read"):
        read_review(tmp_path / "missing.json", MAPS)


def test_a_folder_that_is_not_there_is_reported_and_nothing_is_left(session: ReviewSession, tmp_path: Path) -> None:
    with pytest.raises(WriteError):
        write_review(tmp_path / "missing" / "review.json", session)
    assert list(tmp_path.iterdir()) == []


# Somebody else's segmentation


def test_where_somebody_elses_segmentation_differs_is_the_first_place_to_look() -> None:
    other = MAPS.segmentation.copy()
    x, y, z = 21, 35, 13  # on the far side from the planted places, deep inside the atrium and sure of it
    other[z - 2 : z + 3, y - 6 : y + 3, x - 4 : x + 5] = False
    cut = MAPS.segmentation & ~other
    assert MAPS.uncertainty[cut].min() < 0.05
    session = ReviewSession(MAPS.reviewing(other), ReviewState(0.5))
    first = session.regions[0]
    held = session.paintable(first.id)
    assert (held & cut).sum() > 0.5 * cut.sum()
    assert first.voxels_outside > first.voxels_inside  # counted against the mask under review
    assert session.remaining.ml >= 0.9 * cut.sum() * GEOMETRY.voxel_ml


def test_a_piece_that_only_somebody_else_drew_is_a_region_however_far_away() -> None:
    small = dataclasses.replace(MAPS, segmentation=MAPS.segmentation.copy())
    small.segmentation[:, :, 24:] = False  # a prediction of half the atrium
    session = ReviewSession(small.reviewing(MAPS.segmentation), ReviewState(0.9))
    far = np.zeros(GEOMETRY.shape, dtype=bool)
    far[13, 20, 34] = True  # 12 mm beyond the prediction's surface
    assert any((session.paintable(region.id) & far).any() for region in session.regions)


def test_somebody_elses_segmentation_that_agrees_gives_the_same_regions() -> None:
    assert ReviewSession(MAPS.reviewing(MAPS.segmentation)).regions == ReviewSession(MAPS).regions


def test_somebody_elses_segmentation_on_another_grid_is_refused() -> None:
    with pytest.raises(ReviewError, match="resample it"):
        MAPS.reviewing(MAPS.segmentation[:, 1:])


# Odd cases


def flat(uncertainty: float, mask: bool) -> CaseMaps:
    """The same everywhere."""
    empty = np.zeros(GEOMETRY.shape, dtype=np.float32)
    return CaseMaps(np.full(GEOMETRY.shape, mask), empty + np.float32(uncertainty), empty, empty, GEOMETRY)


@pytest.mark.parametrize("mask", [False, True])
def test_a_case_without_uncertainty_has_nothing_to_check(mask: bool, tmp_path: Path) -> None:
    session = ReviewSession(flat(0.0, mask))
    assert session.regions == () and session.remaining == RemainingWork(0, 0.0)
    assert session.next() is session.previous() is session.next_open() is None
    assert not session.paintable().any() or session.state.threshold == 0
    session.accept_case()
    write_review(tmp_path / "review.json", session)
    assert read_review(tmp_path / "review.json", flat(0.0, mask)).state == session.state


@pytest.mark.parametrize("mask", [False, True])
def test_a_case_that_is_uncertain_everywhere_can_be_reviewed_up_to_the_border_of_the_scan(mask: bool) -> None:
    session = ReviewSession(flat(0.8, mask), ReviewState(0.5))
    assert len(session.regions) >= 3
    for region in session.regions:
        assert session.jump(region.id).visited
        part = session.part(region.id)
        assert part.inside.any(axis=(1, 2)).all()  # the box is tight
    assert session.remaining.ml == pytest.approx(session.looked_at_ml)


def test_arrays_of_different_shapes_are_refused() -> None:
    with pytest.raises(ReviewError, match="uncertainty"):
        dataclasses.replace(MAPS, uncertainty=MAPS.uncertainty[1:])


@pytest.mark.parametrize(
    ("left", "interval", "words"),
    [
        (RemainingWork(3, 1.23), (0.9, 0.93), "3 regions, 1.2 mL to check; likely Dice 0.90-0.93"),
        (RemainingWork(1, 0.06), None, "1 region, 0.1 mL to check"),
        (RemainingWork(0, 0.0), (0.8, 0.9), "nothing left to check; likely Dice 0.80-0.90"),
    ],
)
def test_what_is_left_is_said_in_plain_words(
    left: RemainingWork, interval: tuple[float, float] | None, words: str
) -> None:
    assert summary(left, interval) == words


@pytest.mark.parametrize("size", [(150, 200, 88), (640, 640, 88)])
def test_a_threshold_change_gives_the_new_list_and_its_parts(size: tuple[int, int, int]) -> None:
    geometry = Geometry(size, (0.625,) * 3, (0.0,) * 3)  # type: ignore[arg-type]
    z, y, x = (np.arange(n, dtype=np.float32) - 44 for n in geometry.shape)
    radius = np.sqrt(z[:, None, None] ** 2 + (y[None, :, None] - 20) ** 2 + (x[None, None, :] - 20) ** 2)
    uncertainty = np.exp(-(((radius - 40) / 3) ** 2)).astype(np.float32)
    nothing = np.broadcast_to(np.float32(0), geometry.shape)
    session = ReviewSession(CaseMaps(radius < 40, uncertainty, nothing, nothing, geometry), ReviewState(0.9))
    for threshold in (0.1, 0.5, 0.7):
        session.set_threshold(threshold)
        regions = session.regions
        session.jump(regions[0].id)
        session.part(regions[0].id)
        assert regions


# Any sequence of actions


class AnyReview(RuleBasedStateMachine):
    """A person who does anything in any order, and whose Slicer is closed and opened at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.session = ReviewSession(MAPS, ReviewState(0.6), clock=self.clock)
        self.masks = [MAPS.segmentation]

    @property
    def mask(self) -> np.ndarray:
        return self.masks[-1]

    @rule(threshold=st.sampled_from([0.0, 0.2, 0.5, 0.55, 0.6, 0.9, 0.99, 1.0]))
    def slide(self, threshold: float) -> None:
        assert all(region.peak_uncertainty >= threshold for region in self.session.set_threshold(threshold))

    @rule(way=st.sampled_from(["next", "previous", "next_open"]))
    def step(self, way: str) -> None:
        found = getattr(self.session, way)()
        assert found == self.session.current and (found is None or found.visited)

    @precondition(lambda self: self.session.regions)
    @rule(data=st.data())
    def jump(self, data: st.DataObject) -> None:
        region = data.draw(st.sampled_from(self.session.regions)).id
        assert self.session.jump(region) == self.session.current

    @precondition(lambda self: self.session.current)
    @rule(again=st.booleans())
    def decide_on_region(self, again: bool) -> None:
        region = self.session.current.id  # type: ignore[union-attr]
        self.session.accept_region(region)
        if again:
            self.session.reopen_region(region)
        assert self.session.current.accepted is not again  # type: ignore[union-attr]

    @precondition(lambda self: self.session.current)
    @rule(kind=st.sampled_from([add, remove, distance_map, consensus, random_walk]), level=st.sampled_from([0.3, 0.7]))
    def propose(self, kind: object, level: float) -> None:
        part = self.session.part(self.session.current.id)  # type: ignore[union-attr]
        extra = (level,) if kind in (consensus, random_walk) else ()
        proposal = kind(MAPS, part, self.mask, *extra)  # type: ignore[operator]
        mask = self.mask.copy()
        mask[proposal.box] = proposal.mask
        self.change(proposal.name, mask)

    @rule(at=st.integers(0, 35), size=st.integers(1, 8), value=st.booleans())
    def paint(self, at: int, size: int, value: bool) -> None:
        mask = self.mask.copy()
        stroke = (slice(at % 20, at % 20 + size), slice(at, at + size), slice(at, at + size))
        mask[stroke] = np.where(self.session.paintable()[stroke], value, mask[stroke])
        self.change("paint", mask)

    def change(self, kind: str, mask: np.ndarray) -> None:
        changed = not np.array_equal(mask, self.mask)
        assert (self.session.record(kind, mask) is not None) == changed
        self.masks.append(mask)

    @precondition(lambda self: len(self.masks) > 1)
    @rule()
    def undo(self) -> None:
        self.masks.pop()
        self.session.record("undo", self.mask)

    @rule(decision=st.sampled_from(["accept", "reject", "reopen"]))
    def decide(self, decision: str) -> None:
        if decision == "accept":
            self.session.accept_case()
        elif decision == "reject":
            self.session.reject_case("blurred")
        else:
            self.session.reopen_case()

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def leave(self) -> None:
        self.session.pause()

    @rule()
    def close_and_come_back(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "review.json"
            write_review(path, self.session)
            resumed = read_review(path, MAPS, self.mask, self.clock)
        assert resumed.state == self.session.state
        assert resumed.regions == self.session.regions
        assert review_document(resumed) == review_document(self.session)
        self.session = resumed

    @invariant()
    def the_list_is_in_order(self) -> None:
        ids = [region.id for region in self.session.regions]
        errors = [region.expected_error_mm3 for region in self.session.regions]
        assert len(set(ids)) == len(ids) <= 40
        assert errors == sorted(errors, reverse=True)

    @invariant()
    def the_states_agree(self) -> None:
        regions, left = self.session.regions, self.session.remaining
        assert left.regions == sum(not region.accepted for region in regions)
        assert 0 <= left.ml <= sum(region.volume_mm3 for region in regions) / 1000 + 1e-9
        assert all(region.visited for region in regions if region.accepted)
        changed = self.mask != MAPS.segmentation
        whole = self.session.all_regions
        for region in regions:
            assert region.edited == changed.ravel()[whole.voxels_at(region.id, 0.0)].any()

    @invariant()
    def the_record_adds_up(self) -> None:
        state = self.session.state
        balance = sum(edit.added_ml - edit.removed_ml for edit in state.edits)
        expected = (int(self.mask.sum()) - int(MAPS.segmentation.sum())) * GEOMETRY.voxel_ml
        assert balance == pytest.approx(expected, abs=1e-6)
        assert sum(mark.seconds for mark in state.marks.values()) <= state.seconds + 1e-6
        assert state.seconds <= self.clock.now - 100 + 1e-6
        seen = [mark for mark in state.marks.values() if mark.seen_at is not None]
        assert (self.session.looked_at_ml > 0) == bool(seen)


TestAnyReview = AnyReview.TestCase
TestAnyReview.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


def test_marks_begin_empty() -> None:
    assert ReviewState(0.5).marks == {} and RegionMark() == RegionMark(None, None, False, 0.0)
