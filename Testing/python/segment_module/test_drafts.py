"""A draft in the case store: saved soon after every change, read back, and never in the way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.paths import ROOT
from support.segment_module import arrive, choose_store, current, keep_place, load_scan, mask, settle
from support.segment_store import PATIENCE, accept, add, kinds, saved, the_case

from mtctl.cases.history import CaseState
from mtctl.cases.store import CaseStore
from mtctl.system.holds import Holds
from mtctl.worker.requests import Result

pytestmark = pytest.mark.host

#: Voxels (z, y, x) of the scan that must not hold up the window; MTCTL_LARGE=88,576,576 for a whole chest.
LARGE = tuple(map(int, os.environ.get("MTCTL_LARGE", "44,288,288").split(",")))


def settings_store() -> str:
    """The store as it is remembered."""
    from MTCTLSegmentLib import settings

    return settings.setting("caseStore")


def soon(module: Any) -> None:
    """Drafts are saved a twentieth of a second after a change."""
    module.draftSaver._timer.setInterval(50)


def draft_saved(host: Any, module: Any) -> bool:
    return bool(host.wait_until(lambda: module.ui.draftLabel.text.startswith("Draft saved"), PATIENCE))


class TestADraft:
    def test_is_in_the_store_a_while_after_a_change(self, host: Any, module: Any, case: Any, store: CaseStore) -> None:
        soon(module)
        module.ui.reviewerEdit.text = "MK"
        add(host, module)
        assert draft_saved(host, module) and not host.messages
        assert kinds(store) == ["prediction", "draft"]
        draft = the_case(store).draft()
        assert draft is not None and np.array_equal(draft.mask, mask(case)) and draft.reviewer == "MK"
        assert len(draft.review["edits"]) == 1
        add(host, module)
        assert host.wait_until(lambda: the_case(store).draft().review["edits"][1:], PATIENCE)
        assert saved(host, module) and kinds(store) == ["prediction", "draft"], "in place of the one before"
        assert np.array_equal(the_case(store).draft().mask, mask(case))

    def test_is_saved_with_a_word_where_another_person_has_the_case_open(
        self, host: Any, module: Any, case: Any, store: CaseStore
    ) -> None:
        soon(module)
        add(host, module)
        assert draft_saved(host, module) and "open" not in module.ui.draftLabel.text
        Holds("JS").take(store.folder, the_case(store).id)
        add(host, module)
        assert host.wait_until(lambda: "another person has" in module.ui.draftLabel.text.lower(), PATIENCE)
        assert "JS, since" in module.ui.draftLabel.text
        assert draft_saved(host, module) and len(the_case(store).draft().review["edits"]) == 2

    def test_is_not_made_of_a_case_that_was_only_looked_up(
        self, host: Any, module: Any, case: Any, store: CaseStore
    ) -> None:
        soon(module)
        module.ui.thresholdSlider.value = 0.8
        module.ui.heatmapBox.click()
        settle(host, module)
        host.wait(0.3)
        assert not module.storeJob.running and not store.folder.exists()

    def test_is_not_made_where_no_store_is_chosen(self, host: Any, module: Any, case: Any) -> None:
        soon(module)
        add(host, module)
        host.wait(0.3)
        assert not module.storeJob.running and not module.ui.draftLabel.isVisible() and not host.messages

    @pytest.mark.usefixtures("stored_here")
    def test_begins_when_a_store_is_chosen_later(self, host: Any, module: Any, case: Any, tmp_path: Path) -> None:
        soon(module)
        add(host, module)
        choose_store(host, module.finishPanel.storeEdit, tmp_path / "later")
        assert draft_saved(host, module)
        assert kinds(CaseStore(tmp_path / "later")) == ["prediction", "draft"]

    def test_is_never_saved_in_a_folder_whose_name_is_half_typed(
        self, host: Any, module: Any, case: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        rest = module.finishPanel.storeEdit._rest
        rest.setInterval(60_000)  # whatever the machine is busy with
        soon(module)
        add(host, module)
        path = str(tmp_path / "typed")
        for end in range(len(str(tmp_path)), len(path) + 1):
            module.ui.storeEdit.currentPath = path[:end]
        host.wait(0.3)
        assert rest.isActive() and settings_store() == "" and not list(tmp_path.iterdir())
        rest.setInterval(0)
        assert draft_saved(host, module)
        assert [each.name for each in tmp_path.iterdir()] == ["typed"]
        rest.setInterval(60_000)
        for end in range(len(path) - 1, 0, -1):
            module.ui.storeEdit.currentPath = path[1 : end + 1]  # from behind, and without its first letter
        host.leave()
        assert module.ui.storeEdit.currentPath and settings_store() == "", "what is left is no absolute path"

    def test_has_the_store_at_once_that_was_chosen_before_leaving_the_module(
        self, host: Any, module: Any, case: Any, tmp_path: Path
    ) -> None:
        module.finishPanel.storeEdit._rest.setInterval(60_000)
        module.ui.storeEdit.currentPath = str(tmp_path)
        host.leave()
        assert settings_store() == str(tmp_path)
        host.enter("MTCTLSegment")
        module.ui.storeEdit.currentPath = ""
        host.leave()
        assert settings_store() == ""
        host.enter("MTCTLSegment")

    @pytest.mark.usefixtures("stored_here")
    def test_is_gone_on_with_after_the_scene_was_lost(
        self, host: Any, module: Any, case: Any, store: CaseStore
    ) -> None:
        soon(module)
        add(host, module)
        keep_place(module, 1)
        replies = case.session.state.replies
        assert draft_saved(host, module) and saved(host, module)
        assert host.wait_until(lambda: not module.draftSaver._timer.isActive(), PATIENCE) and saved(host, module)
        left = mask(case)
        host.clear()
        again = open_from_store(host, the_case(store).id)
        assert not again.note and np.array_equal(mask(again), left)
        assert again.session.state.replies == replies
        add(host, current(host))
        assert host.wait_until(lambda: the_case(store).draft().review["edits"][1:], PATIENCE)
        assert saved(host, current(host)) and kinds(store) == ["prediction", "draft"]

    @pytest.mark.usefixtures("stored_here")
    def test_is_replaced_by_the_decision_and_comes_back_with_the_next_change(
        self, host: Any, module: Any, case: Any, store: CaseStore
    ) -> None:
        soon(module)
        add(host, module)
        assert draft_saved(host, module)
        accept(host, module)
        host.wait(0.3)
        assert saved(host, module)
        assert kinds(store) == ["prediction", "corrected"] and the_case(store).state is CaseState.CORRECTED
        add(host, module)
        assert host.wait_until(lambda: the_case(store).state is CaseState.IN_REVIEW, PATIENCE)

    def test_under_way_makes_a_decision_wait_for_its_turn(
        self, host: Any, module: Any, case: Any, store: CaseStore
    ) -> None:
        soon(module)
        add(host, module)
        assert host.wait_until(lambda: module.storeJob.running, PATIENCE)
        assert module.ui.acceptCaseButton.enabled
        accept(host, module)
        assert not [message for message in host.messages if message.kind == "error"]
        assert module.ui.finishLabel.text.startswith("Accepted and saved")
        assert kinds(store) == ["prediction", "corrected"]

    @pytest.mark.usefixtures("stored_here")
    def test_of_a_case_that_was_put_aside_is_saved_all_the_same(
        self, host: Any, module: Any, case: Any, store: CaseStore
    ) -> None:
        add(host, module)
        arrive(host, module, load_scan(host, module, "other", shape=(36, 52, 50)), seed=5)
        soon(module)
        module.draftSaver._timer.start()
        assert host.wait_until(store.ids, PATIENCE) and saved(host, module)
        assert np.array_equal(the_case(store).draft().mask, mask(case))
        assert not module.ui.draftLabel.isVisible(), "the other case has none"

    def test_is_handed_over_when_the_scene_is_closed(self, host: Any, module: Any, case: Any, store: CaseStore) -> None:
        add(host, module)
        left = mask(case)
        host.clear()
        assert module.storeJob.running and saved(host, module)
        assert kinds(store) == ["prediction", "draft"] and np.array_equal(the_case(store).draft().mask, left)

    @pytest.mark.usefixtures("stored_here")
    def test_is_complete_again_after_the_case_was_deleted_from_the_store(
        self, host: Any, module: Any, case: Any, store: CaseStore
    ) -> None:
        soon(module)
        add(host, module)
        assert draft_saved(host, module) and saved(host, module)
        shutil.rmtree(store.folder)
        add(host, module)
        assert host.wait_until(store.ids, PATIENCE) and saved(host, module)
        assert kinds(store) == ["prediction", "draft"] and not host.messages
        assert module.ui.draftLabel.text.startswith("Draft saved")

    @pytest.mark.usefixtures("stored_here")
    def test_that_cannot_be_saved_is_told_without_a_dialog_and_tried_again(
        self, host: Any, module: Any, case: Any, store: CaseStore
    ) -> None:
        store.folder.write_text("not a folder")
        soon(module)
        add(host, module)
        assert host.wait_until(lambda: "could not be saved" in module.ui.draftLabel.text, PATIENCE)
        assert str(store.folder) in module.ui.draftLabel.text and not host.messages
        store.folder.unlink()
        assert draft_saved(host, module) and kinds(store) == ["prediction", "draft"]

    def test_of_a_process_that_dies_leaves_the_one_before(
        self, host: Any, module: Any, case: Any, store: CaseStore
    ) -> None:
        from mtctl.system.process_tree import kill_tree

        soon(module)
        add(host, module)
        assert draft_saved(host, module) and saved(host, module)
        before = the_case(store).draft()
        add(host, module)
        assert host.wait_until(lambda: child_of(module), PATIENCE)
        kill_tree(child_of(module))
        assert the_case(store).draft().review["edits"][:1] == before.review["edits"]
        assert host.wait_until(lambda: the_case(store).draft().review["edits"][1:], PATIENCE)

    def test_of_a_large_scan_is_handed_over_in_as_many_turns_of_the_window_as_it_has_pieces(
        self, host: Any, module: Any, scan_node: Any, store: CaseStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from MTCTLSegmentLib.jobs import array_request

        large = load_scan(host, module, "large", shape=LARGE)
        module.onResult(large, sure_result(large))
        host.process_events()
        change(host, module, module.currentReview.review)
        turns, pieces, write_steps = [0], [], array_request.write_steps

        def noted(array: Any, path: Path) -> Iterator[None]:
            for _ in write_steps(array, path):
                pieces.append(turns[0])
                yield

        step = array_request.ArrayRequest._step

        def count(request: array_request.ArrayRequest) -> None:
            turns[0] += 1
            step(request)

        monkeypatch.setattr(array_request, "write_steps", noted)
        monkeypatch.setattr(array_request.ArrayRequest, "_step", count)
        soon(module)
        module.draftSaver._timer.start()
        assert draft_saved(host, module)
        assert len(pieces) > 3 and len(set(pieces)) == len(pieces), pieces
        assert kinds(store) == ["prediction", "draft"]


def sure_result(node: Any) -> Result:
    """A result with one uncertain place; on a large scan it is made in no time."""
    from mtctl import scene

    volume = scene.volume_of(node)
    inside = np.asarray(volume.array) > 60
    z, y, x = (slice(count // 2, count // 2 + 6) for count in inside.shape)
    entropy = np.zeros(inside.shape, np.float32)
    entropy[z, y, x] = 0.9
    maps = {"probability": inside.astype(np.float32), "distance": inside * np.float32(2) - np.float32(1)}
    maps |= {"entropy": entropy, "mutual_information": entropy / 2, "disagreement": entropy / 4}
    report = {"threshold": 0.5, "case_score": 0.9, "case_score_interval": [0.88, 0.94], "warnings": [], "samples": 8}
    return Result(volume.geometry, inside.astype(np.uint8), maps, report)


def change(host: Any, module: Any, review: Any) -> None:
    """Takes a slab away, as an effect of the editor does."""
    from mtctl import scene

    edited = mask(review)
    edited[: edited.shape[0] // 2] = False
    scene.set_mask(review.nodes, edited)
    settle(host, module)


def child_of(module: Any) -> int:
    request = module.storeJob._request
    process = request._process if request is not None else None
    return int(process._transport._process.processId()) if process is not None else 0


def open_from_store(host: Any, case: str) -> Any:
    """The review of a case that is opened in MTCTLTrain, as a person does."""
    host.module(ROOT / "MTCTLTrain" / "MTCTLTrain.py")
    train = host.enter("MTCTLTrain")
    assert host.wait_until(lambda: train.page.cases and not train.page.listing, PATIENCE), train.page.listed
    train.caseOpener.open(case)
    assert host.wait_until(lambda: current(host).currentReview.review is not None, PATIENCE)
    return current(host).currentReview.review
