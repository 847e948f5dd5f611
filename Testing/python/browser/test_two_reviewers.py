"""Two people on one folder or store: who has a case is shown, and nothing that either did is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.browser_case import result_in, write_case

from mtctl.browser.sources.base import HeldError
from mtctl.browser.sources.case_store import CaseStoreSource
from mtctl.browser.sources.folder import FolderSource
from mtctl.browser.sources.result_folder import find_cases
from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.cases.records import RecordKind
from mtctl.cases.store import CaseStore
from mtctl.errors import MtctlError
from mtctl.geometry import Mask
from mtctl.io.volumes import read_mask, read_volume

KEY = "ball.image.nrrd"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_case(tmp_path)
    return tmp_path


@pytest.fixture
def store(folder: Path) -> CaseStore:
    """A store with the case of the folder, segmented."""
    store = CaseStore(folder / "store")
    store.add_prediction(store.add(read_volume(folder / KEY)), result_in(folder, {"case_score": 0.9}))
    return store


def folder_source(folder: Path, reviewer: str) -> FolderSource:
    return FolderSource(folder, CaseStore(folder / "case-store"), reviewer=reviewer)


def opened(source: FolderSource | CaseStoreSource, key: str) -> CaseUnderReview:
    source.entries()
    return CaseUnderReview(key, key, source.open(key))


def with_edit(case: CaseUnderReview, kind: str) -> CaseUnderReview:
    """Erase or paint all that is uncertain."""
    paintable = case.session.maps.uncertainty >= case.session.state.threshold
    case.edited(kind, case.mask & ~paintable if kind == "erase" else case.mask | paintable)
    return case


def stored_mask(folder: Path, stem: str = "ball") -> Mask:
    return read_mask(folder / f"{stem}.review.seg.nrrd").array != 0


def test_the_second_sees_who_has_the_case_and_what_that_person_did(folder: Path):
    first, second = folder_source(folder, "MK"), folder_source(folder, "JS")
    case = with_edit(opened(first, KEY), "erase")
    first.save(KEY, *case.snapshot())
    (entry,) = second.entries()
    assert entry.held.startswith("MK, since")
    there = second.open(KEY)
    assert there.holder and there.holder.name == "MK"
    assert there.mask is not None and (there.mask == case.mask).all()
    assert first.entries()[0].held == "", "one's own case is not open elsewhere"


def test_accepting_files_of_a_folder_leaves_the_same_persons_draft_of_that_scan_in_the_store(
    folder: Path, store: CaseStore
):
    elsewhere, here = CaseStoreSource(store, "MK"), FolderSource(folder, store, reviewer="MK")
    (id,) = store.ids()
    erased = with_edit(opened(elsewhere, id), "erase")
    elsewhere.save(id, *erased.snapshot())
    painted = with_edit(opened(here, KEY), "paint")
    painted.session.accept_case()
    here.accept(KEY, *painted.snapshot())
    kinds = [record.kind for record in store.case(id).records]
    assert kinds == [RecordKind.PREDICTION, RecordKind.DRAFT, RecordKind.CORRECTED]
    draft = store.case(id).draft("MK")
    assert draft is not None and (draft.mask == erased.mask).all()


def test_a_case_that_is_closed_is_the_next_persons(folder: Path):
    first, second = folder_source(folder, "MK"), folder_source(folder, "JS")
    opened(first, KEY)
    opened(second, KEY)
    assert second.keep(KEY)
    first.close(KEY)
    assert second.keep(KEY) is None
    lost = first.open(KEY).holder
    assert lost and lost.name == "JS"


def test_both_reviews_are_kept_where_both_save(folder: Path):
    first, second = folder_source(folder, "MK"), folder_source(folder, "JS")
    erased = with_edit(opened(first, KEY), "erase")
    opened(second, KEY)
    second.take_over(KEY)
    painted = with_edit(opened(second, KEY), "paint")
    assert second.save(KEY, *painted.snapshot()) == ""
    sentence = first.save(KEY, *erased.snapshot())
    assert "ball.review.json" in sentence and "ball.beside-1.review.json" in sentence
    assert (stored_mask(folder) == painted.mask).all()
    assert (stored_mask(folder, "ball.beside-1") == erased.mask).all()
    assert json.loads((folder / "ball.beside-1.review.json").read_text(encoding="utf-8"))["edits"][0]["kind"] == "erase"
    assert list(find_cases(folder)) == [KEY]


def test_a_file_that_any_program_wrote_meanwhile_is_not_replaced(folder: Path):
    source = folder_source(folder, "MK")
    case = with_edit(opened(source, KEY), "erase")
    source.save(KEY, *case.snapshot())
    (folder / "ball.review.json").write_text('{"of": "another program"}', encoding="utf-8")
    assert "kept beside it" in source.save(KEY, *case.snapshot())
    assert json.loads((folder / "ball.review.json").read_text(encoding="utf-8")) == {"of": "another program"}
    assert (stored_mask(folder, "ball.beside-1") == case.mask).all()


def test_a_review_that_is_deleted_meanwhile_is_kept_too(folder: Path):
    source = folder_source(folder, "MK")
    case = with_edit(opened(source, KEY), "erase")
    source.save(KEY, *case.snapshot())
    (folder / "ball.review.json").unlink()
    source.save(KEY, *case.snapshot())
    assert (stored_mask(folder, "ball.beside-1") == case.mask).all()


@pytest.mark.parametrize("choice", ["theirs", "mine"])
def test_one_of_two_reviews_is_gone_on_with_and_the_other_stays(folder: Path, choice: str):
    first, second = folder_source(folder, "MK"), folder_source(folder, "JS")
    erased = with_edit(opened(first, KEY), "erase")
    opened(second, KEY)
    second.take_over(KEY)
    painted = with_edit(opened(second, KEY), "paint")
    second.save(KEY, *painted.snapshot())
    first.save(KEY, *erased.snapshot())
    second.close(KEY)
    if choice == "theirs":
        assert (opened(first, KEY).mask == painted.mask).all()
        assert (stored_mask(folder, "ball.beside-1") == erased.mask).all()
        return
    assert "ball.before-1.review.json" in first.prefer_ours(KEY, *erased.snapshot())
    assert (stored_mask(folder) == erased.mask).all()
    assert (stored_mask(folder, "ball.before-1") == painted.mask).all()
    assert not list(folder.glob("*.beside-*"))
    assert first.save(KEY, *erased.snapshot()) == ""


def test_nobody_decides_on_a_case_with_two_reviews(folder: Path):
    first, second = folder_source(folder, "MK"), folder_source(folder, "JS")
    case = with_edit(opened(first, KEY), "erase")
    opened(second, KEY)
    second.take_over(KEY)
    case.session.accept_case()
    with pytest.raises(MtctlError, match="Choose first"):
        first.accept(KEY, *case.snapshot())
    assert CaseStore(folder / "case-store").ids() == []


def test_new_results_do_not_push_anothers_review_aside(folder: Path):
    first, second = folder_source(folder, "MK"), folder_source(folder, "JS")
    case = with_edit(opened(first, KEY), "erase")
    first.save(KEY, *case.snapshot())
    second.entries()
    result = result_in(folder, {})
    with pytest.raises(HeldError, match="open elsewhere"):
        second.add_result(KEY, result)
    assert (stored_mask(folder) == case.mask).all()


def test_a_review_that_does_not_fit_is_renamed_by_its_owner_only(folder: Path):
    opened(folder_source(folder, "MK"), KEY)
    (folder / "ball.review.json").write_text("{", encoding="utf-8")
    second = folder_source(folder, "JS")
    second.entries()
    assert "cannot be shown" in second.open(KEY).notes[0]
    assert (folder / "ball.review.json").read_text(encoding="utf-8") == "{"


def test_a_folder_without_room_for_the_note_is_opened_with_a_word(folder: Path):
    (folder / ".mtctl-holds").write_text("in the way", encoding="utf-8")
    source = folder_source(folder, "MK")
    source.entries()
    there = source.open(KEY)
    assert "Nothing can be saved here at present" in there.notes[0]
    case = CaseUnderReview(KEY, KEY, there)
    with pytest.raises(MtctlError, match="cannot be written"):
        source.save(KEY, *case.snapshot())
    (folder / ".mtctl-holds").unlink()
    assert source.save(KEY, *case.snapshot()) == ""


def drafts(store: CaseStore, key: str) -> list[Mask]:
    masks = []
    for record in store.case(key).records:
        if record.kind is RecordKind.DRAFT:
            masks.append(read_mask(record.path("segmentation.seg.nrrd")).array != 0)
    return masks


@pytest.mark.parametrize("names", [("MK", "JS"), ("MK", "MK"), ("", "")], ids=["two people", "one", "no pseudonyms"])
def test_in_a_store_both_drafts_are_kept_whoever_wrote_them(store: CaseStore, names: tuple[str, str]):
    (key,) = store.ids()
    first, second = (CaseStoreSource(CaseStore(store.folder), name) for name in names)
    erased = with_edit(opened(first, key), "erase")
    first.save(key, *erased.snapshot())
    first.save(key, *erased.snapshot())
    assert len(drafts(store, key)) == 1
    assert second.entries()[0].held
    painted = with_edit(opened(second, key), "paint")
    second.take_over(key)
    second.save(key, *painted.snapshot())
    assert "beside each other" in first.save(key, *erased.snapshot())
    kept = drafts(store, key)
    assert any((mask == painted.mask).all() for mask in kept)
    assert any((mask == erased.mask).all() for mask in kept)
    with pytest.raises(MtctlError, match="Choose first"):
        first.accept(key, *erased.snapshot())
    second.close(key)
    assert (opened(first, key).mask == painted.mask).all(), "opened anew, it shows the other's"
    assert any((mask == erased.mask).all() for mask in drafts(store, key))


def test_in_a_store_ones_own_review_is_gone_on_with_and_decided(store: CaseStore):
    (key,) = store.ids()
    first, second = (CaseStoreSource(CaseStore(store.folder), name) for name in ("MK", "JS"))
    erased = with_edit(opened(first, key), "erase")
    store.save_draft(key, erased.session.maps.segmentation, {"left": {}}, "Slicer")  # as a Slicer on the same store
    assert "beside each other" in first.save(key, *erased.snapshot())
    first.prefer_ours(key, *erased.snapshot())
    assert first.save(key, *erased.snapshot()) == ""
    erased.session.accept_case()
    assert first.accept(key, *erased.snapshot()) == "stored as corrected"
    assert (store.case(key).corrected_mask() == erased.mask).all()
    assert any(record.reviewer == "Slicer" for record in store.case(key).records)
    assert opened(second, key).session.state.status.value == "accepted"
