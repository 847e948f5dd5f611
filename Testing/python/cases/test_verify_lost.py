"""What `mtctl cases verify` misses of a case store, and what it may not miss: loss, killed writers, writers at work."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.children import environment
from support.scans import scan
from support.stored_cases import predicted, reviewed, troubles

from mtctl.cases.notes import note_of
from mtctl.cases.store import CaseStore
from mtctl.cases.verify import Problem


def test_a_version_that_somebody_deleted_is_missed(store: CaseStore) -> None:
    case = predicted(store)
    case = store.accept(case, *reviewed(case))
    case = store.accept(case, *reviewed(case))
    shutil.rmtree(case.folder / "0002-corrected")
    (lost,) = store.verify()
    assert lost.problem is Problem.LOST and lost.serious
    assert "what was stored as 0002 is gone" in lost.text


def test_the_last_decision_and_a_whole_case_are_missed_too(store: CaseStore) -> None:
    case, other = predicted(store, id="A-1"), predicted(store, scan((20, 24, 28), seed=1), "B-2")
    case = store.accept(case, *reviewed(case))
    shutil.rmtree(case.records[-1].folder)
    shutil.rmtree(other.folder)
    found = store.verify()
    assert [(one.problem, one.path.name) for one in found] == [(Problem.LOST, "A-1"), (Problem.LOST, "B-2")]
    assert "what was stored as 0002 is gone; restore it from a backup" in found[0].text
    assert "the case is gone; restore it from a backup; if it was deleted on purpose, delete " in found[1].text


def test_what_is_stored_after_a_loss_does_not_hide_it(store: CaseStore) -> None:
    case = predicted(store)
    mask, review = reviewed(case)
    case = store.accept(case, mask, review)
    shutil.rmtree(case.records[-1].folder)
    case = store.accept(store.case(case.id), mask, review)
    assert [record.folder.name for record in case.records] == ["0001-prediction", "0003-corrected"]
    assert troubles(store) == [(Problem.LOST, case.id)]


def test_a_case_that_a_person_took_out_is_not_missed_and_can_come_back(store: CaseStore) -> None:
    case, other = predicted(store), predicted(store, scan((20, 24, 28), seed=1))
    shutil.rmtree(case.folder)
    note_of(case.folder).unlink()
    assert store.verify() == [] and store.ids() == [other.id]
    assert store.add(scan((20, 24, 28))).id == case.id
    shutil.rmtree(case.folder)
    assert troubles(store) == [(Problem.LOST, case.id)]


def test_a_draft_may_go_and_so_may_the_notes(store: CaseStore) -> None:
    """Notes are missing where their writer was killed before it made them, and in stores of before there were any."""
    case = predicted(store)
    case = store.save_draft(case, *reviewed(case), "reader-1")
    shutil.rmtree(case.records[-1].folder)
    assert store.verify() == []
    for note in [*case.folder.glob(".mtctl-stored-*"), note_of(case.folder)]:
        note.unlink()
    assert store.verify() == []
    assert store.accept(case.id, *reviewed(case)).version == 1 and store.verify() == []


@pytest.mark.slow
def test_what_others_store_while_it_is_checked_is_never_missed(store: CaseStore) -> None:
    predicted(store, id="A-1")
    program = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\nfrom support.scans import scan\n"
        "from mtctl.cases.store import CaseStore\n"
        "store, seat = CaseStore(Path(sys.argv[1])), int(sys.argv[2])\n"
        "for number in range(12):\n"
        "    store.add(scan((20, 24, 28), 100 * seat + number))\n"
        "    store.reject('A-1', f'reason {number}')\n"
    )
    command = [sys.executable, "-c", program, str(store.folder)]
    writers = [subprocess.Popen([*command, str(seat)], env=environment()) for seat in (1, 2)]
    checks = 0
    while any(writer.poll() is None for writer in writers):
        assert [found.text for found in store.verify() if found.serious] == []
        checks += 1
    assert [writer.wait() for writer in writers] == [0, 0] and checks > 2
    assert store.verify() == [] and len(store.ids()) == 25 and len(store.case("A-1").records) == 25


def test_a_note_that_cannot_be_made_keeps_nothing_out(store: CaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    touch = Path.touch

    def full(path: Path) -> None:
        if path.name.startswith(".mtctl-stored-"):
            raise OSError(errno.ENOSPC, "No space left on device")
        touch(path)

    monkeypatch.setattr(Path, "touch", full)
    case = predicted(store)
    assert store.accept(case, *reviewed(case)).version == 1
    assert store.verify() == []
