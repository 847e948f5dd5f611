"""The requests of the module MTCTLTrain to the stores of cases and models, and which case is the next to correct."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.scans import scan
from support.stored_cases import predicted, reviewed

from mtctl.cases import store_process as store_child
from mtctl.cases.history import CaseState
from mtctl.cases.ranking import by_expected_gain
from mtctl.cases.store import CaseStore
from mtctl.models.model import Model
from mtctl.models.store import ModelStore
from mtctl.models.verdict import Compared, ModelName, Verdict, write_verdict
from mtctl.review.document import resume_review, review_document
from mtctl.review.session import ReviewSession
from mtctl_train.requests import stores


def answers(work: Callable[..., None], **request: Any) -> list[dict[str, Any]]:
    """What is answered to a request."""
    said: list[dict[str, Any]] = []
    work(lambda event, **content: said.append({"event": event, **content}), **request)
    assert json.dumps(said)
    return said


def last_word(capsys: pytest.CaptureFixture[str]) -> str:
    """Why a request failed, as the window hears it."""
    *_, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert last["event"] == "failed"
    return str(last["reason"])


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("MTCTL_MODELS", str(tmp_path / "models"))
    return ModelStore()


def candidate(model: Model, folder: Path, base: ModelName, new: float) -> Path:
    shutil.copytree(model.folder, folder)
    write_verdict(folder, Verdict(base, (Compared("a", 0.9, new),), (0.03, 0.03)))
    return folder


class TestRequests:
    def test_list_names_every_case_its_rank_and_what_is_damaged(self, tmp_path: Path, models: ModelStore) -> None:
        store = CaseStore(tmp_path / "store")
        mask, review = reviewed(predicted(store, scan((20, 24, 28), 0), "done"))
        store.accept("done", mask, review, "MK")
        predicted(store, scan((20, 24, 28), 1), "open")
        store.add(scan((20, 24, 28), 2), "fresh")
        predicted(store, scan((20, 24, 28), 3), "torn")
        (store.folder / "cases" / "torn" / "case.json").write_text("{")
        said = answers(stores.list_all, store=str(store.folder))
        cases = {event["id"]: event for event in said if event["event"] == "case"}
        assert {id: case["state"] for id, case in cases.items()} == {
            "done": "corrected", "open": "predicted", "fresh": "unlabelled",
        }  # fmt: skip
        assert {id: case["rank"] for id, case in cases.items()} == {"done": None, "open": 1, "fresh": 2}
        assert cases["done"]["reviewer"] == "MK" and cases["open"]["score"] == 0.91
        (trouble,) = [event["reason"] for event in said if event["event"] == "trouble"]
        assert "torn" in trouble
        assert said[0]["event"] == "models" and said[0]["published"] is None and said[0]["models"]

    def test_a_store_that_is_not_there_is_named_and_the_models_are_listed_even_so(
        self, tmp_path: Path, models: ModelStore
    ) -> None:
        listed, said = answers(stores.list_all, store=str(tmp_path / "share"))
        assert listed["event"] == "models" and said["event"] == "unlisted"
        assert said["reason"].startswith(f"{tmp_path / 'share'}: the folder of the case store is not there; connect")

    def test_open_gives_everything_on_the_scans_grid_as_it_was_left(self, tmp_path: Path) -> None:
        store = CaseStore(tmp_path / "store")
        case = predicted(store, scan((20, 24, 28)), "a")
        mask, review = reviewed(case)
        store.save_draft(case, mask, review, "MK")
        (tmp_path / "to").mkdir()
        (opened,) = answers(stores.open_case, store=str(store.folder), case="a", to=str(tmp_path / "to"))
        assert opened["review"] == json.loads(json.dumps(review))
        assert set(opened["maps"]) == {"probability", "distance", "entropy", "mutual_information", "disagreement"}
        assert np.array_equal(np.load(tmp_path / "to" / "scan.npy"), case.scan().array)
        assert np.array_equal(np.load(tmp_path / "to" / "corrected.npy") != 0, mask)
        assert np.array_equal(np.load(tmp_path / "to" / "segmentation.npy") != 0, case.prediction())

    def test_a_worse_candidate_is_refused_and_published_with_a_reason(
        self, tmp_path: Path, models: ModelStore, tiny_model: Model
    ) -> None:
        worse = candidate(tiny_model, tmp_path / "worse", ModelName("x", "1", ""), 0.8)
        (said,) = answers(stores.publish, candidate=str(worse))
        assert said["event"] == "refused" and any("its mean Dice is lower" in reason for reason in said["reasons"])
        assert models.current() is None
        (said,) = answers(stores.publish, candidate=str(worse), override="only one that knows our scanner")
        assert said == {"event": "published", "model": "site-0001"}
        current = models.current()
        assert current is not None and current.override == "only one that knows our scanner"
        (said,) = answers(stores.roll_back)
        assert said == {"event": "rolled back", "model": None} and models.current() is None

    def test_tidy_takes_away_the_scans_and_leaves_candidate_and_log(self, tmp_path: Path) -> None:
        for name in ("prepared", "fold-1", "candidate", "pictures"):
            (tmp_path / name).mkdir()
        (tmp_path / "progress.jsonl").touch()
        assert answers(stores.tidy, run=str(tmp_path)) == []
        assert {path.name for path in tmp_path.iterdir()} == {"candidate", "pictures", "progress.jsonl"}

    def test_a_model_in_use_that_is_damaged_is_called_so_and_stays_the_one_in_use(
        self, tmp_path: Path, models: ModelStore, tiny_model: Model
    ) -> None:
        models.publish(candidate(tiny_model, tmp_path / "new", ModelName("x", "1", ""), 0.95), "the only one")
        card = models.version(1).folder / "card.json"
        card.write_text(card.read_text("utf-8") + " ", "utf-8")
        trouble, listed = answers(stores.list_all, store="")
        assert listed["published"]["model"] == "site-0001" and "card.json: is damaged" in listed["published"]["damage"]
        assert trouble == {"event": "trouble", "reason": listed["published"]["damage"]}
        assert listed["models"][0]["title"] == "site-0001 (damaged)" and len(listed["models"]) > 1
        (models.folder / "current.json").write_text("{", "utf-8")
        trouble, listed = answers(stores.list_all, store="")
        assert listed["published"]["model"] == "" and "current.json" in listed["published"]["damage"]
        assert listed["models"][0] == {"name": "", "title": "unknown", "details": trouble["reason"]}

    def test_a_review_that_began_with_somebody_elses_segmentation_is_opened_with_that(self, tmp_path: Path) -> None:
        store = CaseStore(tmp_path / "store")
        case, to = predicted(store, scan((20, 24, 28)), "a"), tmp_path / "to"
        start = case.prediction().copy()
        start[5:8, 5:8, 5:8] ^= True
        session = ReviewSession(case.maps().reviewing(start))
        mask = start.copy()
        mask[0, 0, 0] = True
        session.look_at((1.0, 2.0, 3.0))
        session.record("paint", mask)
        review = review_document(session)
        to.mkdir()
        for keep in (store.save_draft, store.accept):
            keep(case, mask, review, "MK", start)
            (opened,) = answers(stores.open_case, store=str(store.folder), case="a", to=str(to))
            assert opened["start"] == str(to / "start.npy")
            began = np.load(opened["start"]) != 0
            assert np.array_equal(began, start) and np.array_equal(np.load(to / "corrected.npy") != 0, mask)
            assert resume_review(opened["review"], case.maps().reviewing(began), mask).state == session.state

    def test_a_review_of_the_prediction_has_no_start_of_its_own(self, tmp_path: Path) -> None:
        store = CaseStore(tmp_path / "store")
        case = predicted(store, scan((20, 24, 28)), "a")
        (opened,) = answers(stores.open_case, store=str(store.folder), case="a", to=str(tmp_path))
        assert (opened["review"], opened["start"]) == (None, None)
        store.accept(case, *reviewed(case), "MK")
        (opened,) = answers(stores.open_case, store=str(store.folder), case="a", to=str(tmp_path))
        assert opened["review"] and opened["start"] is None

    def test_a_temporary_disk_that_is_full_is_told_in_words(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store = CaseStore(tmp_path / "store")
        predicted(store, scan((20, 24, 28)), "a")

        def full(array: Any, path: Path) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(stores, "write_steps", full)
        request = {"do": "open", "store": str(store.folder), "case": "a", "to": str(tmp_path)}
        assert stores.main(json.dumps(request)) == 1
        words = "cannot be written: the disk is full; free some space and run again"
        assert last_word(capsys) == f"{tmp_path / 'scan.npy'}: {words}"

    @pytest.mark.parametrize(
        ("number", "words"),
        [(errno.ENOSPC, "the disk is full; free some space and run again"), (errno.EIO, "Input/output error")],
    )
    def test_whatever_the_system_refuses_is_told_without_its_numbers(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, number: int, words: str
    ) -> None:
        def refused(*_: object) -> None:
            raise OSError(number, "Input/output error", "/share/x.npy")

        monkeypatch.setattr(store_child, "carry_out", refused)
        monkeypatch.setitem(stores.HANDLERS, "tidy", lambda emit: refused())  # type: ignore[arg-type]
        (tmp_path / "request.json").write_text("{}", "utf-8")
        assert store_child.main(tmp_path / "request.json") == stores.main('{"do": "tidy"}') == 1
        assert last_word(capsys) == f"/share/x.npy: {words}"

    def test_a_fault_is_said_in_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert stores.main(json.dumps({"do": "publish", "candidate": "/no/such/place"})) == 1
        assert "/no/such/place" in last_word(capsys)


def test_the_next_case_is_the_one_that_promises_least_and_nobody_has_begun(tmp_path: Path) -> None:
    from mtctl.cases.records import Record, RecordKind

    store = CaseStore(tmp_path)
    plain = store.add(scan((20, 24, 28)), "fresh")

    def case(id: str, score: float, *kinds: RecordKind) -> Any:
        content = {"model": {}, "case_score": score}
        records = [Record(tmp_path, 1, RecordKind.PREDICTION, content=content)]
        records += [Record(tmp_path, 2 + number, kind) for number, kind in enumerate(kinds)]
        return replace(plain, id=id, records=tuple(records))

    cases = [
        plain,
        case("good", 0.95),
        case("poor", 0.61),
        case("begun", 0.5, RecordKind.DRAFT),
        case("done", 0.4, RecordKind.CORRECTED),
        case("bad", 0.3, RecordKind.REJECTED),
        case("fair", 0.8),
    ]
    assert [one.id for one in by_expected_gain(cases)] == ["poor", "fair", "good", "fresh"]
    assert CaseState.IN_REVIEW in {one.state for one in cases}
