"""A case of the store is opened in MTCTLTrain: as it was left, whatever it holds, and without holding up the window."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.scans import scan
from support.segment_module import dab, keep_place, settle
from support.stored_cases import place_in, predicted, result_for, reviewed

from mtctl.cases.store import CaseStore
from mtctl.geometry import Geometry, Mask, Volume
from mtctl.inference.result import Result
from mtctl.review.answers import ShownQuestion
from mtctl.review.case_maps import CaseMaps, probability_of
from mtctl.review.document import review_document
from mtctl.review.session import ReviewSession
from mtctl.system.process_tree import kill_tree

pytestmark = pytest.mark.host

#: Seconds that a case may take to be opened on a machine that has other work; nothing here waits for it to pass.
PATIENCE = 300

SHAPE = (24, 28, 32)

#: A scan of the benchmark, cropped: 199 x 142 x 88 voxels of 0.625 mm.
REAL_SHAPE = (88, 142, 199)


def ball(radius: int, shape: tuple[int, int, int] = SHAPE) -> Mask:
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    squared = sum((index - count // 2) ** 2 for index, count in zip((z, y, x), shape, strict=True))
    return np.asarray(squared < radius**2)


def oblique(seed: int) -> Volume:
    """A scan whose grid is not the same to the last digit once it went over a matrix."""
    angle = np.deg2rad(20)
    turn = ((1, 0, 0), (0, np.cos(angle), -np.sin(angle)), (0, np.sin(angle), np.cos(angle)))
    direction = tuple(float(value) for row in turn for value in row)
    volume = scan(SHAPE, seed)
    return Volume(volume.array, Geometry(volume.geometry.size, (0.7, 0.7, 1.6), (-80.5, -120.25, 33.0), direction))


def without(result: Result, *names: str) -> Result:
    return dataclasses.replace(result, maps={name: array for name, array in result.maps.items() if name not in names})


def real_case(store: CaseStore) -> None:
    """A case as large, and as uncertain along its border, as a real one."""
    volume = scan(REAL_SHAPE)
    result = result_for(volume)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, count) for count in REAL_SHAPE], indexing="ij")
    depth = (0.6 - np.sqrt(z**2 + y**2 + x**2)).astype(np.float32)
    maps = {
        **result.maps,
        "entropy": np.exp(-((depth / 0.06) ** 2)) * (0.6 + 0.4 * result.maps["entropy"]),
        "probability": 1 / (1 + np.exp(-30 * depth)),
        "distance": np.clip(2 * depth, -1, 1),
    }
    found = Result(volume.geometry, (depth > 0).astype(np.uint8), maps, {**result.report, "threshold": 0.5})
    case = store.add_prediction(store.add(volume, "real"), found)
    mask, review = reviewed(case)
    store.accept(case, mask, review, "MK")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One case of every kind that there is."""
    store = CaseStore(tmp_path_factory.mktemp("stored") / "store")
    predicted(store, oblique(0), "oblique")
    case = predicted(store, scan(SHAPE, 1), "corrected")
    mask, review = reviewed(case)
    store.accept(case, mask, review, "MK")
    store.add_label(store.add(scan(SHAPE, 2), "expert"), ball(6), "MK")
    store.add_label(predicted(store, scan(SHAPE, 3), "expert-predicted"), ball(8), "MK")
    volume = scan(SHAPE, 4)
    case = store.add_prediction(store.add(volume, "no-probability"), with_entropy_of_its_mask(volume))
    mask, review = reviewed_without_probability(case)
    store.accept(case, mask, review, "MK")
    volume = scan(SHAPE, 5)
    other = without(result_for(volume), "entropy", "probability", "distance")
    case = store.add_prediction(store.add(volume, "no-entropy"), other)
    store.add_label(case, ball(7))
    case = predicted(store, scan(SHAPE, 6), "begun")
    start = ball(8)
    session = ReviewSession(case.maps().reviewing(start))
    session.look_at((1.0, 2.0, 3.0))
    store.save_draft(case, start ^ ball(2), review_document(session), "MK", start)
    case = predicted(store, scan(SHAPE, 7), "answered")
    session, place = ReviewSession(case.maps()), place_in(case)
    session.keep(ShownQuestion("roof", place, place, "inside", 0.2, 0.7, np.zeros(0, np.int64)))
    store.save_draft(case, case.prediction(), review_document(session), "MK")
    real_case(store)
    return store.folder


def with_entropy_of_its_mask(volume: Volume) -> Result:
    """As `mtctl segment` writes it without --maps all: no probability, which the entropy tells."""
    return without(result_for(volume), "probability", "mutual_information", "disagreement")


def reviewed_without_probability(case: Any) -> tuple[Mask, dict[str, Any]]:
    mask, entropy = case.prediction(), case.map("entropy")
    session = ReviewSession(CaseMaps(mask, entropy, mask.astype(np.float32), case.geometry))
    session.look_at((1.0, 2.0, 3.0))
    changed = mask.copy()
    changed[8:11, 8:12, 8:12] ^= True
    session.record("paint", changed)
    return changed, review_document(session)


@pytest.fixture
def opened(host: Any, module: Any) -> Callable[[str], Any]:
    """Opens a case as a click on it does; returns the page of MTCTLSegment."""
    import slicer

    def open_case(case: str) -> Any:
        host.enter("MTCTLTrain")
        host.wait_until(lambda: not module.page.listing, 60)
        module.caseOpener.open(case)
        assert host.wait_until(lambda: slicer.util.selectedModule() == "MTCTLSegment", PATIENCE), host.messages
        return slicer.util.getModuleWidget("MTCTLSegment")

    return open_case


def segmentation_of(name: str) -> Mask:
    """A segmentation of the scene, on the grid of the scan of that case."""
    import slicer

    from mtctl import scene
    from mtctl.scene.segments import segment_mask

    scan_node = slicer.mrmlScene.GetFirstNodeByName(name.partition(":")[0])
    return segment_mask(slicer.mrmlScene.GetFirstNodeByName(name), scene.SEGMENT_ID, scan_node)


def leftovers() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"mtctl-case-{os.getpid()}-*"))  # Of this process: others test, too.


def test_the_grid_of_an_oblique_scan_stays_what_the_file_says_and_accepting_adds_to_its_case(
    host: Any, opened: Any, store: CaseStore
) -> None:
    from mtctl import scene

    page = opened("oblique")
    assert scene.volume_of(page.currentReview.review.nodes.scan).geometry == store.case("oblique").geometry
    page.ui.acceptCaseButton.click()
    assert host.wait_until(lambda: store.case("oblique").version == 1, 60), host.messages
    host.wait_until(lambda: not page.finishPanel._job.running, 30)
    assert not host.messages


def test_a_label_without_a_prediction_is_shown_and_checked_as_soon_as_the_scan_is_segmented_which_is_stored_at_once(
    host: Any, opened: Any, store: CaseStore
) -> None:
    page = opened("expert")
    assert page.currentReview.review is None and page._parameterNode.scan.GetName() == "expert"
    assert np.array_equal(segmentation_of("expert: corrected"), ball(6))
    case = store.case("expert")
    page.onResult(page._parameterNode.scan, result_for(case.scan()))
    assert host.wait_until(lambda: bool(store.case("expert").uncertainties), 60), host.messages
    assert store.case("expert").version == 1 and store.case("expert").draft() is None
    assert host.wait_until(lambda: page.currentReview.review is not None, 60), host.messages
    review = page.currentReview.review
    assert not review.own and review.nodes.reviewed.GetName() == "expert: corrected"
    assert np.array_equal(review.session.maps.segmentation, ball(6))
    page.ui.acceptCaseButton.click()
    assert host.wait_until(lambda: store.case("expert").version == 2, 60), host.messages
    host.wait_until(lambda: not page.finishPanel._job.running, 30)
    assert np.array_equal(store.case("expert").corrected_mask(), ball(6))


@pytest.mark.usefixtures("answered_here")
def test_a_label_beside_a_prediction_is_reviewed_where_they_differ(opened: Any, store: CaseStore) -> None:
    from mtctl import scene

    page = opened("expert-predicted")
    review, case = page.currentReview.review, store.case("expert-predicted")
    assert not review.own and page._parameterNode.reviewed is review.nodes.reviewed
    assert np.array_equal(scene.mask_of(review.nodes), ball(8))
    wanted = case.maps().reviewing(ball(8)).uncertainty
    assert np.array_equal(review.session.maps.uncertainty, wanted)
    assert (wanted[ball(8) != case.prediction()] == 1).all()


@pytest.mark.usefixtures("answered_here")
def test_a_correction_whose_prediction_has_no_probability_opens_with_its_review(opened: Any, store: CaseStore) -> None:
    from mtctl import scene

    review, case = opened("no-probability").currentReview.review, store.case("no-probability")
    assert np.array_equal(scene.mask_of(review.nodes), case.corrected_mask())
    assert not review.note and review.own and len(review.session.state.visited) == 1
    assert np.array_equal(review.session.maps.probability, probability_of(case.map("entropy"), case.prediction()))


@pytest.mark.usefixtures("answered_here")
def test_a_label_beside_a_prediction_that_cannot_be_reviewed_is_shown(opened: Any) -> None:
    page = opened("no-entropy")
    assert page.currentReview.review is None
    assert np.array_equal(segmentation_of("no-entropy: corrected"), ball(7))


@pytest.mark.usefixtures("answered_here")
def test_a_review_of_somebody_else_s_segmentation_goes_on_where_it_was_left(opened: Any, store: CaseStore) -> None:
    from mtctl import scene

    review = opened("begun").currentReview.review
    draft = store.case("begun").draft()
    assert draft is not None and not review.note and not review.own
    assert np.array_equal(scene.mask_of(review.nodes), draft.mask)
    assert np.array_equal(review.session.maps.segmentation, ball(8))
    assert len(review.session.state.visited) == 1


@pytest.mark.usefixtures("answered_here")
def test_undo_takes_back_what_was_done_since_the_case_was_opened_and_no_reply_of_before(
    host: Any, opened: Any, store: CaseStore
) -> None:
    from mtctl import scene

    page = opened("answered")
    review = page.currentReview.review
    (before,) = review.session.state.replies
    dab(host, page, millimetres=2.0)
    keep_place(page)
    assert len(review.session.said.kept) == 2
    page.editorPanel.undo()
    page.editorPanel.undo()
    settle(host, page)
    assert np.array_equal(scene.mask_of(review.nodes), store.case("answered").prediction())
    first, second = review.session.state.replies
    assert first == before and not first.undone and second.undone


def test_every_step_of_opening_a_case_has_a_turn_of_the_window_of_its_own(
    host: Any, module: Any, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window reacts between the scan, the result, the corrections and the surface of a case as large as a real one.

    The page of MTCTLSegment is there already: it is made once a session.
    """
    import slicer

    from mtctl import scene

    host.enter("MTCTLSegment")
    turns: list[int] = [0]
    steps: dict[str, int] = {}

    def noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            steps.setdefault(name, turns[0])
            return function(*arguments, **options)

        return step

    for name in ("add_scan", "show_result", "set_mask", "set_surface_visible"):
        monkeypatch.setattr(scene, name, noting(name, getattr(scene, name)))

    def count() -> None:
        turns[0] += 1

    module.caseOpener._timer.connect("timeout()", count)
    opened("real")
    module.caseOpener._timer.disconnect("timeout()", count)
    assert list(steps) == ["add_scan", "show_result", "set_mask", "set_surface_visible"]
    assert len(set(steps.values())) == len(steps), steps
    review = slicer.util.getModuleWidget("MTCTLSegment").currentReview.review
    assert len(review.session.state.visited) == 1
    assert slicer.util.getNode("real") is review.nodes.scan


@pytest.mark.usefixtures("answered_here")
class TestACaseThatIsInTheSceneAlready:
    def test_is_compared_with_the_store_and_the_newer_one_opened_beside_it(
        self, host: Any, opened: Any, store: CaseStore
    ) -> None:
        from mtctl import scene

        old = opened("corrected").currentReview.review.nodes
        before = scene.mask_of(old)
        mask, review = reviewed(store.case("corrected"), 20)
        store.accept("corrected", mask, review, "LB")
        host.answer(False)
        assert opened("corrected").currentReview.review.nodes.scan is old.scan
        question = host.messages[-1].text
        assert "another state of corrected than the scene: corrected by LB, 20" in question
        assert "accepting it adds a version after that one" in question
        assert opened("corrected").currentReview.review.nodes.scan is old.scan
        assert len(host.messages) == 1, "who knows of it is not asked again"
        store.accept("corrected", before, review, "LB")
        store.accept("corrected", mask, review, "LB")
        host.answer(True)
        new = opened("corrected").currentReview.review.nodes
        assert new.scan is not old.scan and new.scan.GetAttribute(scene.CASE) == "corrected"
        assert np.array_equal(scene.mask_of(new), mask) and np.array_equal(scene.mask_of(old), before)
        assert opened("corrected").currentReview.review.nodes.scan is new.scan and len(host.messages) == 2

    def test_and_was_accepted_there_is_shown_without_a_question(self, host: Any, opened: Any, store: CaseStore) -> None:
        page = opened("oblique")
        host.answer(True)
        page.ui.acceptCaseButton.click()
        assert host.wait_until(lambda: store.case("oblique").version == 1, 60)
        host.wait_until(lambda: not page.finishPanel._job.running, 30)
        asked = len(host.messages)
        assert opened("oblique").currentReview.review is page.currentReview.review and len(host.messages) == asked

    def test_is_shown_when_the_store_cannot_be_asked_which_is_said(
        self, host: Any, opened: Any, store: CaseStore
    ) -> None:
        shown = opened("corrected").currentReview.review
        (store.folder / "cases" / "corrected").rename(store.folder / "elsewhere")
        assert opened("corrected").currentReview.review is shown
        assert "Whether the store holds a newer one is not known: Corrected: there is no such case" in (
            host.messages[-1].text
        )

    def test_as_somebody_else_s_segmentation_is_chosen_again_with_it(self, opened: Any) -> None:
        page = opened("begun")
        reviewed_node = page._parameterNode.reviewed
        assert opened("corrected")._parameterNode.reviewed is None
        page = opened("begun")
        assert page._parameterNode.reviewed is reviewed_node is page.currentReview.review.nodes.reviewed


def test_a_scene_that_is_closed_on_the_way_is_left_empty_and_the_person_told(
    host: Any, module: Any, store: CaseStore
) -> None:
    import slicer

    before = leftovers()
    module.caseOpener.open("real")
    assert host.wait_until(lambda: slicer.mrmlScene.GetFirstNodeByName("real"), 60)
    slicer.mrmlScene.Clear(0)
    assert host.wait_until(lambda: host.messages, 30)
    assert host.messages[-1].text == ("The case was not opened: the scene was closed, or its scan deleted, meanwhile.")
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode") and leftovers() <= before
    assert slicer.util.selectedModule() == "MTCTLTrain" and "cases" in module.ui.casesLabel.text


@pytest.mark.usefixtures("answered_here")
def test_a_file_that_is_lost_on_the_way_leaves_nothing_in_the_scene(
    host: Any, module: Any, store: CaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    def lost(*_: object) -> None:
        raise ValueError("entropy.npy is damaged")

    monkeypatch.setattr("MTCTLTrainLib.opening.case_loader.read_steps", lost)
    module.caseOpener.open("corrected")
    assert host.wait_until(lambda: host.messages, 60)
    assert host.messages[-1].text == "The case could not be handed over: entropy.npy is damaged"
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") and module.caseOpener._folder is None


def test_copies_that_a_killed_slicer_left_go_when_the_next_case_is_opened(opened: Any) -> None:
    program = "from mtctl.system.temporary import make_own_folder; import time;"
    program += "print(make_own_folder('case'), flush=True); time.sleep(600)"
    folders = []
    children = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for child in children:
        assert child.stdout is not None
        folders.append(Path(child.stdout.readline().strip()))
        (folders[-1] / "scan.npy").write_bytes(b"voxels")
    killed, alive = children
    unknown = Path(tempfile.mkdtemp(prefix="mtctl-case-"))
    kill_tree(killed.pid)  # A launcher stands before the program that made the folder.
    killed.wait()
    try:
        opened("expert")
        assert not folders[0].exists() and (folders[1] / "scan.npy").exists()
        assert unknown.exists(), "nobody knows whose it is"
    finally:
        unknown.rmdir()
        kill_tree(alive.pid)
        alive.wait()
        (folders[1] / "scan.npy").unlink()
        folders[1].rmdir()
