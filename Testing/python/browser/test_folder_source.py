"""Cases as files: what is found, what is read, what is written, and that nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.browser_case import result_in, write_case

from mtctl.browser.sources.base import WorkStage
from mtctl.browser.sources.case_store import CaseStoreSource
from mtctl.browser.sources.folder import FolderSource, plain_name
from mtctl.browser.sources.reading import read_case
from mtctl.browser.sources.result_folder import FolderError, find_case, find_cases, is_store
from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.cases.history import CaseState
from mtctl.cases.store import CaseStore
from mtctl.commands.main import main
from mtctl.geometry import Geometry, Volume
from mtctl.io.volumes import read_mask, read_scan, read_volume, write_segmentation, write_volume
from mtctl.review.case_maps import probability_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_case(tmp_path)
    return tmp_path


def source_of(folder: Path) -> FolderSource:
    return FolderSource(folder, CaseStore(folder / "case-store"))


def opened(source: FolderSource | CaseStoreSource, key: str) -> CaseUnderReview:
    return CaseUnderReview(key, key, source.open(key))


def erased(case: CaseUnderReview) -> np.ndarray:
    """The mask without the uncertain voxels."""
    return case.mask & (case.session.maps.uncertainty < case.session.state.threshold)


def test_results_beside_the_scan_or_in_another_folder_are_found(folder: Path):
    (case,) = find_cases(folder).values()
    assert (case.stem, case.segmented) == ("ball", True)
    (folder / "result").mkdir()
    for path in folder.glob("ball.*"):
        if ".image." not in path.name:
            path.rename(folder / "result" / path.name)
    (case,) = find_cases(folder).values()
    assert case.folder == folder / "result"
    assert case.segmented


def test_results_under_another_name_are_found_by_their_report(folder: Path):
    (folder / "ball.image.nrrd").rename(folder / "scan-7.nrrd")
    (folder / "ball.json").write_text(json.dumps({"input": "scan-7.nrrd"}), encoding="utf-8")
    assert list(find_cases(folder)) == ["scan-7.nrrd"]
    assert find_cases(folder)["scan-7.nrrd"].stem == "ball"


def test_masks_results_hidden_files_and_stores_are_no_scans(folder: Path):
    (folder / ".hidden.nrrd").write_bytes(b"")
    (folder / "ball.label.nrrd").write_bytes(b"")
    stored = folder / "case-store" / "cases" / "one"
    stored.mkdir(parents=True)
    (stored / "case.json").write_text("{}", encoding="utf-8")
    (stored / "scan.nrrd").write_bytes(b"")
    assert is_store(folder / "case-store")
    assert list(find_cases(folder)) == ["ball.image.nrrd"]


def test_linked_scans_and_folders_are_listed_and_links_that_lead_back_are_not(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_case(elsewhere)
    (folder / "far.nrrd").symlink_to(elsewhere / "ball.image.nrrd")
    (folder / "gone.nrrd").symlink_to(elsewhere / "no such file.nrrd")
    (folder / "round.nrrd").symlink_to(folder / "round.nrrd")
    (folder / "ward").symlink_to(elsewhere)
    (folder / "here").symlink_to(folder)
    (folder / "above").symlink_to(folder.parent)
    (elsewhere / "back").symlink_to(folder)
    assert sorted(find_cases(folder)) == ["ball.image.nrrd", "far.nrrd", "ward/ball.image.nrrd"]


def test_a_linked_scan_is_segmented_and_reviewed_beside_its_link(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_case(elsewhere)
    before = sorted(path.name for path in elsewhere.iterdir())
    (folder / "far.nrrd").symlink_to(elsewhere / "ball.image.nrrd")
    source = source_of(folder)
    source.entries()
    source.add_result("far.nrrd", result_in(elsewhere, {}))
    source.entries()
    case = opened(source, "far.nrrd")
    source.save(case.key, *case.snapshot())
    assert (folder / "far.review.json").is_file()
    assert sorted(path.name for path in elsewhere.iterdir()) == before


def test_a_case_is_found_from_any_of_its_files_and_other_files_are_refused(folder: Path):
    for name in ("ball.image.nrrd", "ball.seg.nrrd", "ball.json"):
        assert find_case(folder / name) == (folder.resolve(), "ball.image.nrrd")
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(FolderError, match="neither a scan nor a result"):
        find_case(folder / "notes.txt")


def test_without_the_probability_it_follows_from_the_entropy():
    p = np.linspace(0.001, 0.999, 999).astype(np.float32)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    assert np.abs(probability_of(entropy.astype(np.float32), p >= 0.5) - p).max() < 2e-3


def test_a_case_without_distance_and_probability_can_be_reviewed_all_the_same(folder: Path):
    (folder / "ball.distance.nrrd").unlink()
    (folder / "ball.probability.nrrd").unlink()
    source = source_of(folder)
    source.entries()
    maps = opened(source, "ball.image.nrrd").session.maps
    assert np.array_equal(maps.probability, probability_of(maps.uncertainty, maps.segmentation))
    (folder / "ball.json").write_text(json.dumps({"uncertainty": {"kind": "disagreement"}}), encoding="utf-8")
    maps = opened(source, "ball.image.nrrd").session.maps
    assert np.array_equal(maps.probability, maps.segmentation), "disagreement tells no probability"


@pytest.mark.parametrize("damage", [b"", b"NRRD0004\n"], ids=["missing", "damaged"])
def test_a_distance_map_that_cannot_be_used_stops_neither_the_review_nor_its_decision(folder: Path, damage: bytes):
    file = folder / "ball.distance.nrrd"
    file.write_bytes(damage) if damage else file.unlink()
    source = source_of(folder)
    source.entries()
    case = opened(source, "ball.image.nrrd")
    case.session.accept_case()
    source.accept(case.key, *case.snapshot())
    (stored,) = source.store.cases()
    assert stored.state is CaseState.ACCEPTED
    assert np.array_equal(stored.map("distance"), np.where(case.session.maps.segmentation, 1, -1))


def test_the_store_gets_the_maps_of_the_prediction_as_they_are(folder: Path):
    source = source_of(folder)
    case = opened(source, "ball.image.nrrd")
    case.session.accept_case()
    source.accept(case.key, *case.snapshot())
    (stored,) = source.store.cases()
    for kind, array in result_in(folder, {}).maps.items():
        np.testing.assert_allclose(stored.map(kind), array, atol=1e-6, err_msg=kind)


def test_results_on_another_grid_are_refused(folder: Path):
    scan = read_volume(folder / "ball.image.nrrd")
    moved = Geometry(scan.geometry.size, scan.geometry.spacing, (5.0, 0.0, 0.0))
    write_volume(Volume(scan.array * 0, moved), folder / "ball.uncertainty.nrrd")
    (case,) = find_cases(folder).values()
    with pytest.raises(FolderError, match="another grid"):
        read_case(case)


def test_a_review_is_kept_with_its_mask_and_gone_on_with(folder: Path):
    source = source_of(folder)
    case = opened(source, "ball.image.nrrd")
    case.session.look_at((1.0, 2.0, 3.0))
    assert case.edited("erase", erased(case))
    source.save(case.key, *case.snapshot())
    again = opened(source_of(folder), "ball.image.nrrd")
    assert (again.mask == case.mask).all()
    assert again.session.state.edits == case.session.state.edits
    assert again.session.state.visited == case.session.state.visited == ((1.0, 2.0, 3.0),)
    (entry,) = source.entries()
    assert entry.stage is WorkStage.IN_REVIEW


def test_a_review_of_another_segmentation_is_set_aside_not_lost(folder: Path):
    source = source_of(folder)
    case = opened(source, "ball.image.nrrd")
    case.edited("erase", erased(case))
    source.save(case.key, *case.snapshot())
    kept = (folder / "ball.review.json").read_bytes(), (folder / "ball.review.seg.nrrd").read_bytes()
    volume = read_mask(folder / "ball.seg.nrrd")
    write_segmentation(Volume(np.roll(volume.array, 2, axis=0), volume.geometry), folder / "ball.seg.nrrd")
    opened_case = source.open("ball.image.nrrd")
    assert "kept as ball.before-1.review.json" in opened_case.notes[0]
    assert opened_case.session and not opened_case.session.state.edits
    aside = (folder / "ball.before-1.review.json").read_bytes(), (folder / "ball.before-1.review.seg.nrrd").read_bytes()
    assert aside == kept
    assert list(find_cases(folder)) == ["ball.image.nrrd"]


def test_a_damaged_review_is_set_aside_too(folder: Path):
    (folder / "ball.review.json").write_text("{", encoding="utf-8")
    source = source_of(folder)
    (entry,) = source.entries()
    assert "damaged" in entry.text
    assert source.open("ball.image.nrrd").notes
    assert (folder / "ball.before-1.review.json").read_text(encoding="utf-8") == "{"


@pytest.mark.parametrize("segmented", [True, False])
def test_what_is_odd_about_a_scan_s_file_is_said_when_it_is_opened(folder: Path, segmented: bool):
    scan = folder / "ball.image.nrrd"
    scan.write_bytes(scan.read_bytes().replace(b"space: left-posterior-superior", b"space: 3D-right-handed"))
    if not segmented:
        (folder / "ball.seg.nrrd").unlink()
    (note,) = source_of(folder).open("ball.image.nrrd").notes
    assert (
        note.startswith("ball.image.nrrd: the space '3d-right-handed' of its header does not say where left")
        and note[-1] == "."
    )


def test_what_the_report_says_of_a_scan_s_file_is_not_said_twice(folder: Path):
    scan, report = folder / "ball.image.nrrd", folder / "ball.json"
    scan.write_bytes(scan.read_bytes().replace(b"space: left-posterior-superior", b"space: 3D-right-handed"))
    report.write_text(json.dumps({"warnings": list(read_scan(scan, None).remarks)}))
    assert source_of(folder).open("ball.image.nrrd").notes == ()


def test_nothing_is_written_through_a_link(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    outside = tmp_path_factory.mktemp("outside") / "victim.json"
    outside.write_text("untouched", encoding="utf-8")
    (folder / "ball.review.json").symlink_to(outside)
    source = source_of(folder)
    case = opened(source, "ball.image.nrrd")
    with pytest.raises(FolderError, match="link"):
        source.save(case.key, *case.snapshot())
    assert outside.read_text(encoding="utf-8") == "untouched"


def test_accepting_stores_scan_prediction_and_correction(folder: Path):
    source = source_of(folder)
    case = opened(source, "ball.image.nrrd")
    case.edited("erase", erased(case))
    case.session.accept_case()
    assert "corrected" in source.accept(case.key, *case.snapshot())
    (stored,) = CaseStore(folder / "case-store").cases()
    assert stored.state is CaseState.CORRECTED
    assert (stored.corrected_mask() == case.mask).all()
    assert (stored.prediction() == case.session.maps.segmentation).all()
    (entry,) = source.entries()
    assert entry.stage is WorkStage.ACCEPTED
    case.session.accept_case()
    source.accept(case.key, *case.snapshot())
    assert CaseStore(folder / "case-store").cases()[0].version == 2


def test_rejecting_stores_the_reason(folder: Path):
    source = source_of(folder)
    case = opened(source, "ball.image.nrrd")
    case.session.reject_case("motion")
    source.reject(case.key, *case.snapshot())
    (stored,) = CaseStore(folder / "case-store").cases()
    assert (stored.state, stored.reason()) == (CaseState.REJECTED, "motion")
    (entry,) = source.entries()
    assert (entry.stage, entry.text) == (WorkStage.REJECTED, "motion")


def test_a_store_is_reviewed_in_the_store(folder: Path):
    scan = read_volume(folder / "ball.image.nrrd")
    source = CaseStoreSource(CaseStore(folder / "store"))
    key = source.add_scan(scan, "Jane Doe")
    assert "Jane" not in key
    assert source.entries()[0].stage is WorkStage.TO_SEGMENT
    assert source.open(key).data is None
    source.add_result(key, result_in(folder, {"case_score": 0.9}))
    assert source.entries()[0].stage is WorkStage.TO_REVIEW
    case = opened(source, key)
    case.edited("erase", erased(case))
    source.save(key, *case.snapshot())
    assert source.entries()[0].stage is WorkStage.IN_REVIEW
    again = opened(CaseStoreSource(CaseStore(folder / "store")), key)
    assert (again.mask == case.mask).all()
    assert again.session.state.edits == case.session.state.edits
    again.session.accept_case()
    source.accept(key, *again.snapshot())
    assert source.entries()[0].stage is WorkStage.ACCEPTED
    decided = opened(source, key)
    assert (decided.mask == case.mask).all()
    assert decided.session.state.status.value == "accepted"


@pytest.mark.parametrize("target", ["store", "."], ids=["a store", "a folder"])
def test_the_reviewer_s_pseudonym_is_recorded_with_every_draft_and_decision(
    folder: Path, target: str, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("trame_slicer")
    from mtctl.browser.server import server

    store = CaseStore(folder / "store")
    scan = read_volume(folder / "ball.image.nrrd")
    id = store.add_prediction(store.add(scan), result_in(folder, {"case_score": 0.9})).id
    seen: list[FolderSource | CaseStoreSource] = []
    monkeypatch.setattr(server, "serve", lambda source, _: seen.append(source) or 0)
    command = ["review", str(folder / target), "--store", str(folder / "store"), "--reviewer", " MK "]
    assert main([*command, "--no-browser"]) == 0
    (source,) = seen
    case = opened(source, source.entries()[0].key)
    source.save(case.key, *case.snapshot())
    if target == "store":  # A folder keeps its drafts beside the results, where nobody is named.
        assert (store.case(id).state, store.case(id).reviewer) == (CaseState.IN_REVIEW, "MK")
    case.session.reject_case("motion")
    source.reject(case.key, *case.snapshot())
    assert (store.case(id).state, store.case(id).reviewer) == (CaseState.REJECTED, "MK")
    case.session.accept_case()
    source.accept(case.key, *case.snapshot())
    assert (store.case(id).state, store.case(id).reviewer) == (CaseState.ACCEPTED, "MK")


def test_new_results_replace_no_review_and_the_report_comes_last(folder: Path):
    source = source_of(folder)
    case = opened(source, "ball.image.nrrd")
    case.edited("erase", erased(case))
    source.save(case.key, *case.snapshot())
    source.add_result(case.key, result_in(folder, {"flagged": True}))
    assert (folder / "ball.before-1.review.json").is_file()
    assert json.loads((folder / "ball.json").read_text(encoding="utf-8"))["flagged"] is True
    assert opened(source, case.key).session.state.edits == ()


def test_a_dropped_scan_never_replaces_a_file(folder: Path):
    source, scan = source_of(folder), read_volume(folder / "ball.image.nrrd")
    before = (folder / "ball.image.nrrd").read_bytes()
    assert source.add_scan(scan, "ball.nii.gz") == "ball-2.image.nrrd"
    assert (folder / "ball.image.nrrd").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("scan.nrrd", "scan"),
        ("a.image.nii.gz", "a"),
        ("../../etc/passwd", "passwd"),
        ("C:\\scans\\Doe, Jane.mha", "Doe-Jane"),
        ("...", "scan"),
        ("über<b>.nii", "ber-b"),
        ("x" * 300 + ".nrrd", "x" * 80),
    ],
)
def test_names_from_a_browser_become_plain(given: str, plain: str):
    assert plain_name(given) == plain
