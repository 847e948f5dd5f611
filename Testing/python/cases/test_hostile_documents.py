"""One case of the store that somebody or something has made nonsense of costs that case alone, which is named."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.documents import pipe
from support.scans import scan
from support.stored_cases import contents, predicted, result_for, reviewed, troubles

from mtctl.cases import appending
from mtctl.cases.case import StoredCase
from mtctl.cases.exporting import export_monai
from mtctl.cases.history import CaseState
from mtctl.cases.records import CaseError, RecordKind
from mtctl.cases.store import CaseStore
from mtctl.cases.verify import Problem
from mtctl.commands.main import main
from mtctl.errors import MtctlError
from mtctl.system import locks
from mtctl.system.files import file_sha256
from mtctl.system.locks import LOCK_PREFIX, LockError
from mtctl.system.staging import DamagedError, read_sealed, write_sealed
from mtctl_train.finetuning.plan import make_plan

SHAPE = (10, 12, 14)


def resealed(path: Path, **changes: object) -> None:
    """Change fields of a document that holds its own checksum; None takes one away."""
    document = read_sealed(path, 1) | changes
    write_sealed(path, {name: value for name, value in document.items() if value is not None})


CASE_FAULTS: dict[str, Callable[[Path], object]] = {
    "no geometry": lambda case: resealed(case / "case.json", geometry=None),
    "a geometry of text": lambda case: resealed(case / "case.json", geometry="large"),
    "endless voxels": lambda case: resealed(
        case / "case.json", geometry={"size": [10**9] * 3, "spacing": [1] * 3, "origin": [0] * 3, "direction": [1] * 9}
    ),
    "no number": lambda case: resealed(case / "case.json", added=5),
    "files elsewhere": lambda case: resealed(case / "case.json", files={"../../secret": "0" * 64}),
    "nested": lambda case: (case / "case.json").write_bytes(b"[" * 200_000),
    "nested within": lambda case: (case / "case.json").write_bytes(b'{"a":' * 40_000),
    "a list": lambda case: (case / "case.json").write_text("[]"),
    "a pipe": lambda case: pipe(case / "case.json"),
    "a folder": lambda case: ((case / "case.json").unlink(), (case / "case.json").mkdir()),
    "a later version": lambda case: resealed(case / "case.json", format=2),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two corrected cases and a predicted one."""
    store = CaseStore(tmp_path_factory.mktemp("template") / "store")
    for seed, id in enumerate(("a", "b", "c")):
        case = predicted(store, scan(SHAPE, seed), id)
        if id != "c":
            store.accept(case, *reviewed(case, 5), "MK")
    return store.folder


@pytest.fixture
def store(template: Path, tmp_path: Path) -> CaseStore:
    return CaseStore(Path(shutil.copytree(template, tmp_path / "store")))


@pytest.mark.parametrize("fault", CASE_FAULTS)
def test_a_case_that_cannot_be_read_is_named_and_the_others_go_on(
    store: CaseStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    CASE_FAULTS[fault](store.folder / "cases" / "a")
    with pytest.raises(DamagedError, match=r"a/case\.json: |a.case\.json: "):
        store.case("a")
    assert [case.id for case in store.cases()] == ["b", "c"]
    assert (Problem.DAMAGED, "a") in troubles(store)
    place = ["--store", str(store.folder)]
    for command in (["list", *place], ["verify", *place], ["export", "monai", "-o", str(tmp_path / "out"), *place]):
        assert main(["cases", *command]) == 1
        out, err = capsys.readouterr()
        assert "a: is damaged" in err or f"damaged: {store.folder / 'cases' / 'a'}" in out
    assert store.add(scan(SHAPE, 9), "d").id == "d"
    assert list(make_plan(store, 0).labelled) == ["b"]


RECORD_FAULTS: dict[str, Callable[[Path], object]] = {
    "content of a list": lambda record: resealed(record / "record.json", content=[1]),
    "a score of text": lambda record: resealed(record / "record.json", content={"case_score": "high"}),
    "a model of numbers": lambda record: resealed(record / "record.json", content={"model": 5}),
    "no time": lambda record: resealed(record / "record.json", made=None),
    "files elsewhere": lambda record: resealed(record / "record.json", files={"/etc/passwd": "0" * 64}),
    "follows text": lambda record: resealed(record / "record.json", follows=["1", None]),
    "nested": lambda record: (record / "record.json").write_bytes(b"[" * 200_000),
    "a pipe": lambda record: pipe(record / "record.json"),
}


@pytest.mark.parametrize("fault", RECORD_FAULTS)
def test_a_record_that_cannot_be_read_costs_that_record_alone(store: CaseStore, fault: str) -> None:
    RECORD_FAULTS[fault](store.folder / "cases" / "a" / "0001-prediction")
    case = store.case("a")
    assert case.records[0].damage and case.state is CaseState.CORRECTED
    with pytest.raises(DamagedError, match="0001-prediction"):
        case.prediction()
    assert case.corrected_mask().any()
    assert troubles(store) == [(Problem.DAMAGED, "0001-prediction")]
    assert store.reject(case, "blurred").state is CaseState.REJECTED


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("scan.nrrd", lambda case: case.scan()),
        ("0001-prediction/segmentation.seg.nrrd", lambda case: case.prediction()),
        ("0001-prediction/report.json", lambda case: case.report()),
        ("0002-corrected/review.json", lambda case: case.review()),
    ],
)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(
    store: CaseStore, name: str, read: Callable[[StoredCase], object]
) -> None:
    pipe(store.folder / "cases" / "a" / name)
    with pytest.raises(DamagedError, match="a folder, a pipe or a device"):
        read(store.case("a"))
    assert troubles(store) == [(Problem.DAMAGED, Path(name).name)]


REPORT_FAULTS = {
    "threshold": "high",
    "case_score": -1e9,
    "region_of_interest": {"box_mm_lps": {"x0": 1}},
    "warnings": "none",
    "model": ["m"],
}


@pytest.mark.parametrize("field", REPORT_FAULTS)
def test_a_report_whose_fields_are_none_of_a_report_s_is_named(store: CaseStore, field: str) -> None:
    record = store.folder / "cases" / "a" / "0001-prediction"
    report = json.loads((record / "report.json").read_text()) | {field: REPORT_FAULTS[field]}
    (record / "report.json").write_text(json.dumps(report))
    files = read_sealed(record / "record.json", 1)["files"]
    resealed(record / "record.json", files=files | {"report.json": file_sha256(record / "report.json")})
    with pytest.raises(DamagedError, match=rf"report\.json: '{field}"):
        store.case("a").report()
    assert store.case("a").prediction().any()


def test_a_report_that_could_not_be_read_back_is_not_stored(store: CaseStore) -> None:
    result = result_for(store.case("c").scan())
    before = contents(store.folder)
    with pytest.raises(MtctlError, match="'case_score' is NaN"):
        store.add_prediction("c", dataclasses.replace(result, report={"case_score": float("nan")}))
    assert contents(store.folder) == before


# Numbers


def test_a_lock_of_a_number_that_no_lock_reaches_is_taken_over_like_any_other(
    store: CaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "EXPIRY", 0.05)
    folder = store.folder / "cases" / "a"
    for name in ("99999999", "00000007.free"):
        (folder / f"{LOCK_PREFIX}{name}").touch()
    assert store.reject("a", "blurred").state is CaseState.REJECTED
    assert store.reject("a", "blurred again").state is CaseState.REJECTED
    pipe(folder / f"{LOCK_PREFIX}200000000")
    assert store.reject("a", "once more").state is CaseState.REJECTED
    (folder / f"{LOCK_PREFIX}{'9' * 18}").touch()
    with pytest.raises(LockError, match=r"9{18}: is not of this program; delete it"):
        store.reject("a", "and more")
    assert store.reject("b", "blurred").state is CaseState.REJECTED


def test_the_owner_of_a_lock_may_have_any_number_or_none(store: CaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "EXPIRY", 0.05)
    for number, owner in enumerate((10**30, -1, "1", None, [1]), start=50):
        text = json.dumps({"machine": locks.this_machine(), "pid": owner})
        (store.folder / "cases" / "a" / f"{LOCK_PREFIX}{number * 100:08d}").write_text(text)
        assert store.reject("a", f"blurred {number}").reason() == f"blurred {number}"


def test_after_a_record_of_the_largest_number_the_next_one_is_still_found(store: CaseStore) -> None:
    (store.folder / "cases" / "a" / "999999999-rejected").mkdir()
    found = store.save_draft("a", *reviewed(store.case("a"), 3), "MK")
    assert found.records[-1].number == 1_000_000_000 and found.state is CaseState.IN_REVIEW
    (store.folder / "cases" / "a" / f"{'9' * 18}-rejected").mkdir()
    with pytest.raises(CaseError, match=r"9{18}-rejected: is not of this program, and nothing can follow it; delete"):
        store.reject("a", "blurred")
    assert store.reject("b", "blurred").state is CaseState.REJECTED


# Renames that take longer than a lock holds


def late(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Let the next rename of a record take so long that others take the lock over, and go on, meanwhile."""
    commit = appending.commit

    def slow(hidden: Path, target: Path) -> None:
        monkeypatch.setattr(appending, "commit", commit)
        meanwhile()
        commit(hidden, target)

    monkeypatch.setattr(locks, "EXPIRY", 0.05)
    monkeypatch.setattr(appending, "commit", slow)


@pytest.mark.parametrize("kind", ["another kind", "the same kind"])
def test_two_records_of_one_number_are_both_kept_and_the_late_one_gets_the_next(
    store: CaseStore, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mask, review = reviewed(store.case("c"), 3)
    quick = (lambda: store.accept("c", mask, review, "A")) if kind == "another kind" else (
        lambda: store.reject("c", "quick")
    )  # fmt: skip
    late(monkeypatch, quick)
    found = store.reject("c", "slow", reviewer="B")
    assert [(record.number, record.kind) for record in found.records] == [
        (1, RecordKind.PREDICTION),
        (2, RecordKind.CORRECTED if kind == "another kind" else RecordKind.REJECTED),
        (3, RecordKind.REJECTED),
    ]
    assert found.reason() == "slow" and troubles(store) == []


def test_where_the_late_one_was_killed_before_it_could_both_are_read_in_their_order_and_verify_says_so(
    store: CaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.accept("c", *reviewed(store.case("c"), 3), "A")
    with monkeypatch.context() as patch:
        patch.setattr(appending, "_alone_of_its_number", lambda folder, kind: folder)
        late(patch, lambda: store.reject("a", "quick"))
        store.accept("a", *reviewed(store.case("a"), 3), "B")
    folder = store.folder / "cases" / "a"
    assert sorted(path.name for path in folder.glob("0003-*")) == ["0003-corrected", "0003-rejected"]
    times = {"0003-corrected": "2026-11-29T10:00:02+00:00", "0003-rejected": "2026-11-29T10:00:01+00:00"}
    for name, made in times.items():
        resealed(folder / name / "record.json", made=made)
    case = store.case("a")
    assert [record.folder.name for record in case.records[-2:]] == ["0003-rejected", "0003-corrected"]
    assert case.labelled and not case.rejected
    assert troubles(store) == [(Problem.NUMBERED_TWICE, "0003-corrected")]
    assert not any(found.serious for found in store.verify())
    assert store.reject(case, "blurred").records[-1].number == 4
    shutil.rmtree(folder / "0003-corrected")
    assert (Problem.LOST, "a") in troubles(store)


def test_a_damaged_prediction_leaves_the_export_of_the_others_alone(store: CaseStore, tmp_path: Path) -> None:
    pipe(store.folder / "cases" / "a" / "0002-corrected" / "segmentation.seg.nrrd")
    done = export_monai(store.cases(), tmp_path / "out")
    assert (done.labelled, done.unlabelled, len(done.failures)) == (("b",), ("c",), 1)
