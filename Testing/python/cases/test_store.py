"""The case store: states and versions, what is read back, pseudonyms, and what is said when something is wrong."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.scans import scan
from support.stored_cases import MODEL, OBLIQUE, contents, place_in, predicted, result_for, reviewed

from mtctl.cases.history import CaseState
from mtctl.cases.records import CaseError, RecordKind
from mtctl.cases.store import CaseStore
from mtctl.cases.store_process import carry_out
from mtctl.geometry import Volume
from mtctl.review.answers import KEPT_MM
from mtctl.review.document import review_document
from mtctl.review.places import near


def test_a_case_goes_from_unlabelled_through_review_to_corrected(store: CaseStore) -> None:
    case = store.add(scan((20, 24, 28)))
    assert case.state is CaseState.UNLABELLED and case.version == 0
    case = store.add_prediction(case, result_for(case.scan()))
    assert case.state is CaseState.PREDICTED and case.model == MODEL and case.case_score == 0.91
    mask, review = reviewed(case)
    case = store.save_draft(case, mask, review)
    assert case.state is CaseState.IN_REVIEW
    case = store.accept(case, mask, review, "reader-1")
    assert (case.state, case.version, case.reviewer) == (CaseState.CORRECTED, 1, "reader-1")
    assert case.state.labelled
    assert store.verify() == []


def test_a_prediction_that_is_found_right_is_accepted_not_corrected(store: CaseStore) -> None:
    case = predicted(store)
    mask, review = reviewed(case, voxels=0)
    case = store.accept(case, mask, review)
    assert case.state is CaseState.ACCEPTED
    assert not case.changed_voxels().any()


def test_accepting_again_makes_version_2_and_leaves_version_1_as_it_was(store: CaseStore) -> None:
    case = predicted(store)
    first, review = reviewed(case, 30)
    case = store.accept(case, first, review, "reader-1")
    before = contents(case.folder)
    second, review = reviewed(case, 60)
    case = store.accept(case, second, review, "reader-2")
    assert case.version == 2
    assert before.items() <= contents(case.folder).items()
    assert (case.corrected_mask(1) == first).all() and (case.corrected_mask() == second).all()
    with pytest.raises(CaseError, match="there is no version 3; the last is 2"):
        case.corrected_mask(3)


def test_everything_is_read_back_as_it_was_stored_on_an_oblique_grid(store: CaseStore) -> None:
    volume = Volume(scan((20, 24, 28)).array, OBLIQUE)
    result = result_for(volume)
    case = store.add_prediction(store.add(volume, "A-1"), result)
    mask, review = reviewed(case)
    case = CaseStore(store.folder).case(store.accept(case, mask, review).id)
    assert case.geometry == OBLIQUE
    assert case.scan().geometry == OBLIQUE and (case.scan().array == volume.array).all()
    assert (case.prediction() == (result.segmentation > 0)).all()
    for name, array in result.maps.items():
        np.testing.assert_array_equal(case.map(name), array)
    assert case.uncertainties == ("entropy", "mutual_information", "disagreement")
    assert case.report()["threshold"] == 0.75
    assert case.review() == json.loads(json.dumps(review))


def test_what_was_corrected_where_it_was_uncertain_and_what_was_looked_at_can_be_told(store: CaseStore) -> None:
    case = predicted(store)
    mask, review = reviewed(case, 40)
    case = store.accept(case, mask, review)
    assert case.changed_voxels().sum() == 40
    assert (case.uncertain_voxels() == (case.map("entropy") >= review["threshold"])).all()
    looked = case.looked_at()
    assert (looked == near(review["visited"], KEPT_MM, case.geometry) | case.changed_voxels()).all()
    assert looked[case.changed_voxels()].all()
    assert not looked.all()


def test_a_new_prediction_does_not_change_what_an_earlier_review_was_about(store: CaseStore) -> None:
    case = predicted(store)
    mask, review = reviewed(case, 40)
    case = store.accept(case, mask, review)
    other = result_for(case.scan(), seed=5)
    other.segmentation[:] = 0
    case = store.add_prediction(case, other)
    assert case.state is CaseState.CORRECTED
    assert not case.prediction().any()
    assert case.changed_voxels().sum() == 40
    assert (case.uncertain_voxels() == (result_for(case.scan()).maps["entropy"] >= review["threshold"])).all()


def test_what_was_looked_at_is_known_whatever_maps_a_later_prediction_lacks(store: CaseStore) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    other = result_for(case.scan(), seed=5)
    other.segmentation[:] = 0
    case = store.add_prediction(case, dataclasses.replace(other, maps={}))
    case = store.accept(case, mask, review)
    assert case.looked_at().any() and not case.looked_at().all()
    assert (case.reviewed_uncertainty() == result_for(case.scan()).maps["entropy"]).all()


def test_the_review_of_somebody_elses_segmentation_keeps_what_it_began_with(store: CaseStore) -> None:
    from mtctl.review.session import ReviewSession

    case = predicted(store)
    theirs = np.roll(case.prediction(), 2, axis=0)
    session = ReviewSession(case.maps().reviewing(theirs))
    session.look_at(place_in(case))
    mask = theirs.copy()
    mask[5, 5, 5:9] ^= True
    session.record("paint", mask)
    case = store.accept(case, mask, review_document(session), start=theirs)
    assert case.changed_voxels().sum() == 4
    assert case.looked_at()[case.changed_voxels()].all() and not case.looked_at().all()


def test_an_imported_label_counts_as_looked_at_everywhere(store: CaseStore) -> None:
    case = store.add(scan((20, 24, 28)))
    mask = result_for(case.scan()).segmentation > 0
    case = store.add_label(case, mask)
    assert case.state is CaseState.CORRECTED and case.review() is None
    assert case.looked_at().all() and (case.corrected_mask() == mask).all()


def test_a_rejected_case_keeps_its_reason_and_can_be_taken_up_again(store: CaseStore) -> None:
    case = predicted(store)
    with pytest.raises(CaseError, match="say in a few words why"):
        store.reject(case, "  ")
    case = store.reject(case, "moved during the scan")
    assert case.state is CaseState.REJECTED and case.reason() == "moved during the scan" and not case.state.labelled
    mask, review = reviewed(case)
    assert store.accept(case, mask, review).state is CaseState.CORRECTED


def test_a_draft_is_continued_where_it_was_and_goes_when_its_author_decides(store: CaseStore) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    case = store.save_draft(case, mask, review, "reader-1")
    case = store.save_draft(case, ~mask, review, "reader-1")
    draft = store.case(case.id).draft()
    assert draft is not None
    assert (draft.mask == ~mask).all() and draft.reviewer == "reader-1"
    assert draft.review == json.loads(json.dumps(review))
    case = store.accept(case, mask, review, "reader-1")
    assert case.draft() is None and case.draft("reader-1") is None


def test_the_drafts_of_two_people_do_not_replace_each_other(store: CaseStore) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    store.save_draft(case, mask, review, "reader-1")
    store.save_draft(case.id, ~mask, review, "reader-2")
    case = store.accept(case.id, ~mask, review, "reader-2")
    assert case.draft() is None
    kept = case.draft("reader-1")
    assert kept is not None and (kept.mask == mask).all()


def test_a_second_window_of_the_same_person_does_not_take_the_first_ones_draft(store: CaseStore) -> None:
    opened = predicted(store)
    mask, review = reviewed(opened)
    first = store.save_draft(opened, mask, review)
    second = store.save_draft(opened, ~mask, review)  # opened before the first window saved
    assert len(second.records) == 3
    assert (first.draft().mask == mask).all()  # type: ignore[union-attr]
    third = store.save_draft(first, mask, review)
    assert (third.draft().mask == mask).all() and len(third.records) == 3  # type: ignore[union-attr]


def test_a_window_that_saves_by_a_child_replaces_its_own_draft_only(store: CaseStore, tmp_path: Path) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    np.save(tmp_path / "mask.npy", mask)
    request = {"store": str(store.folder), "operation": "draft", "case": case.id, "review": review}
    request["arrays"] = {"segmentation": "mask.npy"}
    first = carry_out(request, tmp_path)
    store.save_draft(case, ~mask, review)  # another window of the same person
    last = carry_out(request | {"replaces": first.records[-1].number}, tmp_path)
    assert [record.number for record in last.records if record.kind is RecordKind.DRAFT] == [3, 4]
    assert (last.draft().mask == mask).all()  # type: ignore[union-attr]


@pytest.mark.parametrize("operation", ["draft", "accept"])
def test_a_window_leaves_the_drafts_of_the_same_person_with_which_it_does_not_go_on(
    store: CaseStore, tmp_path: Path, operation: str
) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    begun = store.save_draft(case, mask, {**review, "edits": review["edits"][:0]})
    _, elsewhere = reviewed(case)  # in another window: its strokes were made at other times
    store.save_draft(case, ~mask, elsewhere)
    np.save(tmp_path / "mask.npy", mask)
    request = {"store": str(store.folder), "operation": operation, "case": case.id, "review": review}
    last = carry_out(request | {"arrays": {"segmentation": "mask.npy"}}, tmp_path)
    drafts = [record for record in last.records[:-1] if record.kind is RecordKind.DRAFT]
    assert [record.json("review.json")["edits"] for record in drafts] == [elsewhere["edits"]]
    assert begun.records[-1].number not in [record.number for record in last.records]


def test_a_draft_that_is_replaced_while_it_is_read_gives_the_new_one(store: CaseStore) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    old = store.save_draft(case, mask, review)
    store.save_draft(old, ~mask, review)
    draft = old.draft()
    assert draft is not None and (draft.mask == ~mask).all()


def test_a_case_that_is_looked_at_again_stays_labelled_until_it_is_rejected(store: CaseStore) -> None:
    case = predicted(store)
    assert not case.labelled and not case.rejected
    mask, review = reviewed(case)
    case = store.save_draft(store.accept(case, mask, review, "reader-1"), ~mask, review, "reader-2")
    assert case.state is CaseState.IN_REVIEW and case.labelled
    assert case.version == 1 and (case.corrected_mask() == mask).all()
    case = store.save_draft(store.reject(case, "blurred"), mask, review, "reader-1")
    assert case.state is CaseState.IN_REVIEW and case.rejected and not case.labelled


def test_who_corrected_rejected_or_gave_a_label_is_told(store: CaseStore) -> None:
    case = store.add(scan((20, 24, 28)))
    mask = result_for(case.scan()).segmentation > 0
    assert store.add_label(case, mask, "reader-1").reviewer == "reader-1"
    assert store.reject(case, "blurred", reviewer="reader-2").reviewer == "reader-2"
    assert store.accept(case.id, mask, {}, "reader-3").reviewer == "reader-3"
    assert store.add_prediction(case.id, result_for(case.scan())).reviewer == "reader-3"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "-x", ".hidden", "CON", "nul.1", "x" * 65, "ä", "a ", "a."]
)
def test_names_that_some_system_cannot_have_or_that_lead_elsewhere_are_refused(store: CaseStore, name: str) -> None:
    with pytest.raises(CaseError, match="cannot be the name of a case"):
        store.add(scan((20, 24, 28)), name)
    with pytest.raises(CaseError, match="there is no such case"):
        store.case(name)


def test_no_file_name_of_the_input_is_stored(store: CaseStore) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    store.accept(case, mask, review)
    for name, content in contents(store.folder).items():
        assert b"MILLER" not in content and "MILLER" not in name


def test_what_lies_on_another_grid_is_refused(store: CaseStore) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    with pytest.raises(CaseError, match="resample it first"):
        store.accept(case, mask[1:], review)
    moved = dataclasses.replace(case.geometry, origin=(1.0, 0.0, 0.0))
    with pytest.raises(CaseError, match="on another grid than the scan"):
        store.add_prediction(case, dataclasses.replace(result_for(case.scan()), geometry=moved))
    assert store.case(case.id) == case


def test_what_is_not_there_is_said_in_words(store: CaseStore) -> None:
    case = store.add(scan((20, 24, 28)))
    with pytest.raises(CaseError, match="has no prediction yet; segment it first"):
        case.maps()
    with pytest.raises(CaseError, match="nobody has accepted or corrected it yet"):
        case.corrected_mask()
    partial = result_for(case.scan())
    case = store.add_prediction(case, dataclasses.replace(partial, maps={"entropy": partial.maps["entropy"]}))
    with pytest.raises(CaseError, match="has no map 'probability'; segment it again with all maps"):
        case.maps()
    with pytest.raises(CaseError, match="there is no such case"):
        store.case("nobody")


def test_the_work_of_a_person_is_stored_although_the_prediction_was_damaged(store: CaseStore) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    (case.folder / "0001-prediction" / "segmentation.seg.nrrd").write_bytes(b"torn")
    case = store.accept(case, mask, review)
    assert case.state is CaseState.CORRECTED and (case.corrected_mask() == mask).all()
    with pytest.raises(CaseError, match="what was looked at is unknown"):
        case.looked_at()


def test_the_fingerprint_changes_with_the_segmentation_and_only_with_it(store: CaseStore) -> None:
    case = predicted(store)
    before = case.fingerprint
    mask, review = reviewed(case)
    case = store.save_draft(case, mask, review)
    assert case.fingerprint == before
    case = store.accept(case, mask, review)
    assert case.fingerprint != before
    assert store.accept(case, mask, review).fingerprint == case.fingerprint
    assert store.accept(case, ~mask, review).fingerprint != case.fingerprint


def test_listing_cases_and_models_needs_neither_torch_nor_scipy(store: CaseStore) -> None:
    """A window that shows them must not wait for their import."""
    predicted(store)
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from mtctl.cases.store import CaseStore\nfrom mtctl.models.store import ModelStore\n"
        "print([case.state.value for case in CaseStore(Path(sys.argv[1])).cases()], ModelStore().current())\n"
        "print({'torch', 'scipy', 'skimage', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(store.folder)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["['predicted'] None", "set()"], done.stderr
