"""The case store when something is wrong: damage, foreign files, full and read-only disks, deleted cases."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.scans import scan
from support.stored_cases import contents, predicted, reviewed, troubles

from mtctl.cases.case import StoredCase
from mtctl.cases.history import CaseState
from mtctl.cases.records import CaseError
from mtctl.cases.store import CaseStore
from mtctl.cases.verify import Problem
from mtctl.system.files import TEMPORARY_PREFIX, WriteError
from mtctl.system.staging import DamagedError


def damage(path: Path) -> None:
    """One bit of a file turns, as on a failing disk."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["scan.nrrd", "0001-prediction/entropy.nrrd", "0002-corrected/segmentation.seg.nrrd"])
def test_a_bit_that_turned_is_noticed_by_the_reader_and_by_verify(store: CaseStore, name: str) -> None:
    case = predicted(store)
    case = store.accept(case, *reviewed(case))
    damage(case.folder / name)
    readers = {"scan.nrrd": case.scan, "0001-prediction/entropy.nrrd": lambda: case.map("entropy")}
    with pytest.raises(DamagedError, match=r"is damaged or was changed by hand .* restore it from a backup"):
        readers.get(name, case.corrected_mask)()
    assert troubles(store) == [(Problem.DAMAGED, Path(name).name)]


def test_a_torn_record_is_named_and_the_rest_of_the_store_goes_on(store: CaseStore) -> None:
    case = predicted(store)
    case = store.accept(case, *reviewed(case))
    other = predicted(store, scan((20, 24, 28), seed=1))
    record = case.folder / "0002-corrected" / "record.json"
    record.write_bytes(record.read_bytes()[:100])
    torn = store.case(case.id)
    assert torn.state is CaseState.CORRECTED and torn.version == 1
    with pytest.raises(DamagedError, match=r"record\.json: is cut off or damaged"):
        torn.corrected_mask()
    assert (torn.prediction() == case.prediction()).all()
    assert [one.id for one in store.cases()] == sorted([case.id, other.id])
    assert troubles(store) == [(Problem.DAMAGED, "0002-corrected")]
    assert store.accept(torn, *reviewed(torn)).version == 2


def test_a_damaged_case_json_leaves_out_that_case_alone(store: CaseStore) -> None:
    case, other = predicted(store), predicted(store, scan((20, 24, 28), seed=1))
    damage(case.folder / "case.json")
    assert [one.id for one in store.cases()] == [other.id]
    with pytest.raises(DamagedError):
        store.case(case.id)
    assert [found.problem for found in store.verify()] == [Problem.DAMAGED]
    (case.folder / "case.json").unlink()
    assert [found.problem for found in store.verify()] == [Problem.DAMAGED]


def test_foreign_files_and_leftovers_are_named_and_left_alone(store: CaseStore) -> None:
    case = predicted(store)
    (case.folder / "notes.txt").write_text("mine")
    (case.folder.parent / "holiday").mkdir()
    (case.folder / f"{TEMPORARY_PREFIX}1-ab").mkdir()
    (case.folder / "0001-prediction" / "Thumbs.db").write_text("")
    found = store.verify()
    assert not any(one.serious for one in found)
    assert {(one.problem, one.path.name) for one in found} == {
        (Problem.FOREIGN, "notes.txt"),
        (Problem.FOREIGN, "holiday"),
        (Problem.FOREIGN, "Thumbs.db"),
        (Problem.UNFINISHED, f"{TEMPORARY_PREFIX}1-ab"),
    }
    assert store.case(case.id) == case
    store.reject(case, "blurred")
    assert (case.folder / "notes.txt").read_text() == "mine"
    assert (case.folder / f"{TEMPORARY_PREFIX}1-ab").exists()  # Its writer may still be at work.


def test_what_a_killed_writer_left_goes_after_a_day(store: CaseStore) -> None:
    case = predicted(store)
    left = case.folder / f"{TEMPORARY_PREFIX}1-ab"
    left.mkdir()
    (left / "segmentation.seg.nrrd").write_bytes(b"half")
    yesterday = left.stat().st_mtime - 25 * 3600
    os.utime(left, (yesterday, yesterday))
    store.reject(case, "blurred")
    assert not left.exists()


def test_what_a_killed_add_left_goes_after_a_day(store: CaseStore) -> None:
    predicted(store)
    yesterday = store.folder.stat().st_mtime - 25 * 3600
    old, fresh = (store.folder / "cases" / f"{TEMPORARY_PREFIX}1-{end}" for end in ("ab", "cd"))
    for left in (old, fresh):
        left.mkdir()
        (left / "scan.nrrd").write_bytes(b"half")
    os.utime(old, (yesterday, yesterday))
    store.add(scan((20, 24, 28), seed=1))
    assert not old.exists() and fresh.exists()  # The writer of the fresh one may still be at work.


def full_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Writing a volume or a JSON file fails from the given call on."""
    calls, flush = [0], os.fsync

    def fsync(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_full_disk_at_any_file_leaves_the_store_as_it_was(
    store: CaseStore, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    before = contents(store.folder)
    with monkeypatch.context() as patch:
        full_disk(patch, after)
        with pytest.raises(WriteError, match="the disk is full") as caught:
            store.accept(case, mask, review)
    assert TEMPORARY_PREFIX not in str(caught.value)
    assert contents(store.folder) == before
    assert store.case(case.id) == case
    assert store.accept(case, mask, review).version == 1  # with space again


def test_a_full_disk_while_a_scan_is_added_leaves_no_case(store: CaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(scan((20, 24, 28)))
    before = contents(store.folder)
    with monkeypatch.context() as patch:
        full_disk(patch, 0)
        with pytest.raises(WriteError, match="the disk is full"):
            store.add(scan((20, 24, 28), seed=1))
    assert contents(store.folder) == before


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Who may read a folder and those below it, but not write."""
    for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        place.chmod(0o555)
    with somebody_else(folder):
        yield


@contextmanager
def somebody_else(folder: Path) -> Iterator[None]:
    """A user whom the permissions below a folder bind, though not root; at last all can be removed."""
    folder.chmod(folder.stat().st_mode | 0o055)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        for place, _, _ in os.walk(folder):  # from the top: a closed folder is opened before it is listed
            for path in [Path(place), *(path for path in Path(place).iterdir() if path.is_dir())]:
                path.chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="folders of Windows have no such permissions")
def test_a_read_only_store_can_be_read_and_says_why_it_cannot_be_written() -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own folder cannot be entered by another user
        store = CaseStore(Path(place))
        case = predicted(store)
        mask, review = reviewed(case)
        before = contents(store.folder)
        with unprivileged(store.folder):
            assert store.case(case.id).prediction().any()
            assert store.verify() == []
            with pytest.raises(WriteError, match="no permission"):
                store.accept(case, mask, review)
            with pytest.raises(WriteError, match="no permission"):
                store.add(scan((20, 24, 28), seed=1))
        assert contents(store.folder) == before


@pytest.mark.skipif(os.name == "nt", reason="folders of Windows have no such permissions")
@pytest.mark.parametrize("closed", ["", "cases"])
def test_a_store_that_may_not_be_read_is_an_error_and_not_an_empty_one(closed: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        store = CaseStore(Path(place) / "store")
        case = predicted(store)
        (store.folder / closed).chmod(0)
        with somebody_else(Path(place)):
            for read in (store.ids, store.cases, store.verify, lambda: store.case(case.id)):
                with pytest.raises(CaseError, match=r"cases.*: cannot be read: Permission denied; check the path"):
                    read()


@pytest.mark.skipif(os.name == "nt", reason="folders of Windows have no such permissions")
def test_a_store_in_a_folder_that_may_not_be_entered_is_refused() -> None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "closed").mkdir(0)
        with somebody_else(Path(place)), pytest.raises(CaseError, match="cannot be read: Permission denied"):
            CaseStore(Path(place) / "closed" / "store")


@pytest.mark.skipif(os.name == "nt", reason="folders of Windows have no such permissions")
def test_a_case_that_may_not_be_entered_is_named_and_the_others_are_read() -> None:
    with tempfile.TemporaryDirectory() as place:
        store = CaseStore(Path(place) / "store")
        case, other = predicted(store), predicted(store, scan((20, 24, 28), seed=1))
        case.folder.chmod(0)
        with somebody_else(Path(place)):
            assert store.ids() == sorted([case.id, other.id])
            assert [one.id for one in store.cases()] == [other.id]
            with pytest.raises(DamagedError, match=r"case\.json: cannot be read: Permission denied"):
                store.case(case.id)
            with pytest.raises(CaseError, match=f"{case.id}.*: cannot be read: Permission denied"):
                store.verify()


def test_a_store_whose_cases_are_a_file_is_an_error_and_not_an_empty_one(store: CaseStore) -> None:
    store.folder.mkdir()
    (store.folder / "cases").touch()
    with pytest.raises(CaseError, match="cannot be read"):
        store.ids()


@pytest.mark.skipif(os.name != "nt", reason="elsewhere no path begins with a drive")
def test_a_store_on_a_drive_that_is_not_there_is_an_error_and_not_an_empty_one() -> None:
    free = next(letter for letter in "ZYXWVU" if not Path(f"{letter}:\\").exists())
    with pytest.raises(CaseError, match="cannot be read"):
        CaseStore(Path(f"{free}:\\store")).ids()


def test_a_case_that_was_deleted_in_the_meantime_is_said_to_be(store: CaseStore) -> None:
    case, other = predicted(store), predicted(store, scan((20, 24, 28), seed=1))
    mask, review = reviewed(case)
    shutil.rmtree(case.folder)
    with pytest.raises(CaseError, match="was deleted from the store in the meantime; nothing was stored"):
        store.accept(case, mask, review)
    with pytest.raises(CaseError, match="there is no such case"):
        store.accept(case.id, mask, review)
    with pytest.raises(DamagedError, match="is missing"):
        case.scan()
    assert store.ids() == [other.id] and troubles(store) == [(Problem.LOST, case.id)]


def test_a_case_deleted_while_it_is_written_is_said_to_be(store: CaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    from mtctl.cases import appending

    def delete_first(folder: Path) -> dict[str, str]:
        shutil.rmtree(case.folder)
        return {}

    monkeypatch.setattr(appending, "checksums", delete_first)
    with pytest.raises(CaseError, match="was deleted from the store in the meantime"):
        store.accept(case, mask, review)
    assert not case.folder.exists()


def test_something_in_the_way_of_a_new_case_is_named(store: CaseStore) -> None:
    (store.folder / "cases" / "A-1").mkdir(parents=True)
    (store.folder / "cases" / "A-1" / "x").touch()
    with pytest.raises(CaseError, match="something that is no case is in the way"):
        store.add(scan((20, 24, 28)), "A-1")


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CaseError, match="is a file, not a folder"):
        CaseStore(tmp_path / "file")


def test_a_record_of_a_newer_version_asks_for_an_update(store: CaseStore) -> None:
    from mtctl.system.staging import read_sealed, write_sealed

    case = predicted(store)
    path = case.folder / "case.json"
    write_sealed(path, read_sealed(path, 1) | {"format": 2})
    with pytest.raises(DamagedError, match="written by a newer version of this program; update this one"):
        store.case(case.id)


def test_an_empty_store_has_no_cases_and_no_findings(store: CaseStore) -> None:
    assert store.cases() == [] and store.ids() == [] and store.verify() == []
    assert not store.folder.exists()


def test_a_case_knows_when_it_changed(store: CaseStore) -> None:
    case: StoredCase = predicted(store)
    assert case.added <= case.changed == case.records[-1].made
    assert case.changed.endswith("+00:00")
