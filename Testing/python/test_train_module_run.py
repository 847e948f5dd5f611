"""What lies under the module MTCTLTrain without Qt: a run as a process of its own, its story, and errands."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, scan
from stored import predicted, reviewed

from mtctl.cases import CaseStore, State
from mtctl.errors import MtctlError
from mtctl.model import Model
from mtctl.model_store import ModelStore
from mtctl.next_case import by_expected_gain
from mtctl.process_tree import is_running
from mtctl.verdict import Compared, ModelName, Verdict, write_verdict
from mtctl_train import clerk
from mtctl_train.run_folder import RunError

sys.path.insert(0, str(ROOT / "MTCTLTrain"))

from MTCTLTrainLib.run_story import RunStory
from MTCTLTrainLib.training_run import Decision, Order, Phase, TrainingRun

#: A trainer that says at once that it is there, and then does what the test wants.
BUSY = (
    "import sys, time, pathlib; from mtctl_train.run_folder import working_in;"
    "out = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])\n"
)


def order(store: Path, *further: str) -> Order:
    return Order(str(store), "", ("--minutes", "1"), "cpu", further)


def program(source: str) -> tuple[str, ...]:
    return ("-c", BUSY + source)


SLEEPING = program("with working_in(out): time.sleep(60)")


def becomes(run: TrainingRun, phase: Phase, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while run.standing().phase is not phase:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class TestARun:
    def test_is_told_what_was_asked_for(self, tmp_path: Path) -> None:
        source = program("(out / 'told.txt').write_text(' '.join(sys.argv[1:]))")
        run = TrainingRun.begin(tmp_path, order(tmp_path / "store", "--seed", "3"), source)
        assert becomes(run, Phase.FAILED)
        told = (run.folder / "told.txt").read_text()
        assert told == (
            f"finetune --cases {tmp_path / 'store'} --out {run.folder} --device cpu --minutes 1 --seed 3"
        )

    def test_is_found_by_another_slicer_and_stopped_there(self, tmp_path: Path) -> None:
        run = TrainingRun.begin(tmp_path, order(tmp_path), SLEEPING)
        assert run.standing().phase is Phase.STARTING
        assert becomes(run, Phase.RUNNING)
        with pytest.raises(RunError, match="at work already"):
            run.go_on()
        found = TrainingRun.last(tmp_path)
        assert found is not None and found.folder == run.folder and found.order == run.order
        assert found.standing().phase is Phase.RUNNING
        found.stop()
        assert becomes(found, Phase.STOPPED) and found.standing().reason == ""

    def test_on_another_computer_is_shown_and_not_stopped_from_here(self, tmp_path: Path) -> None:
        run = TrainingRun.begin(tmp_path, order(tmp_path), SLEEPING)
        assert becomes(run, Phase.RUNNING)
        status = json.loads((run.folder / "status.json").read_text())
        run.stop()
        assert becomes(run, Phase.STOPPED)
        elsewhere = status | {"machine": "another", "pid": os.getpid(), "heard": time.time()}
        (run.folder / "status.json").write_text(json.dumps(elsewhere))
        assert run.standing().phase is Phase.RUNNING
        with pytest.raises(RunError, match="runs on another computer; stop it there"):
            run.stop()

    def test_can_be_stopped_before_it_has_said_a_word(self, tmp_path: Path) -> None:
        run = TrainingRun.begin(tmp_path, order(tmp_path), ("-c", "import time; time.sleep(60)"))
        run.stop()
        assert becomes(run, Phase.STOPPED) and run.standing().reason == ""

    def test_goes_on_after_a_stop_and_a_kill_is_told_apart_from_it(self, tmp_path: Path) -> None:
        run = TrainingRun.begin(tmp_path, order(tmp_path), SLEEPING)
        assert becomes(run, Phase.RUNNING)
        run.stop()
        assert becomes(run, Phase.STOPPED)
        run.go_on()
        assert becomes(run, Phase.RUNNING)
        os.kill(json.loads((run.folder / "status.json").read_text())["pid"], 9)
        assert becomes(run, Phase.STOPPED)
        assert run.standing().reason.startswith("the training process was ended from outside")

    def test_that_cannot_begin_says_why_in_the_words_of_its_process(self, tmp_path: Path) -> None:
        source = ("-c", "import sys; sys.exit('mtctl: error: /store: is a file, not a folder')")
        run = TrainingRun.begin(tmp_path, order(tmp_path), source)
        assert becomes(run, Phase.FAILED)
        assert run.standing().reason == "/store: is a file, not a folder"

    def test_on_a_full_disk_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run = TrainingRun.begin(tmp_path, order(tmp_path), ("-c", ""))
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
        assert becomes(run, Phase.FAILED)
        assert "is full; free some space and resume" in run.standing().reason

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="who may do everything is refused nothing")
    def test_in_a_folder_that_is_read_only_is_refused_in_a_sentence(self, tmp_path: Path) -> None:
        tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
        with pytest.raises(MtctlError, match="no permission to write there"):
            TrainingRun.begin(tmp_path / "runs", order(tmp_path))

    def test_in_a_place_where_no_folder_can_be_is_refused_in_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "runs").write_text("a file")
        with pytest.raises(MtctlError, match="cannot be written"):
            TrainingRun.begin(tmp_path / "runs", order(tmp_path))

    def test_lives_on_when_the_process_that_started_it_is_killed(self, tmp_path: Path) -> None:
        starter = (
            "import os, pathlib, sys; sys.path.insert(0, sys.argv[1]);"
            "from MTCTLTrainLib.training_run import Order, TrainingRun;"
            "run = TrainingRun.begin(pathlib.Path(sys.argv[2]), Order('', '', (), 'cpu'), ('-c', sys.argv[3]));"
            "os.kill(os.getpid(), 9)"
        )
        arguments = [str(ROOT / "MTCTLTrain"), str(tmp_path), SLEEPING[1]]
        done = subprocess.run([sys.executable, "-c", starter, *arguments], timeout=60)
        assert done.returncode == -9
        run = TrainingRun.last(tmp_path)
        assert run is not None and becomes(run, Phase.RUNNING)
        pid = json.loads((run.folder / "status.json").read_text())["pid"]
        run.stop()
        assert becomes(run, Phase.STOPPED) and not is_running(pid)

    def test_keeps_what_was_decided(self, tmp_path: Path) -> None:
        run = TrainingRun(tmp_path, order(tmp_path))
        assert run.decision is None
        decision = Decision("published", "site-0002", "the ward needs it")
        run.decide(decision)
        assert TrainingRun(tmp_path, order(tmp_path)).decision == decision


def progress(fold: int, iteration: int, left: float = 60, of: int = 100) -> dict[str, Any]:
    told = {"losses": {"dice": 1 / iteration}, "share": (fold - 1 + iteration / of) / 2, "seconds_left": left}
    return {"event": "progress", "fold": fold, "folds": 2, "iteration": iteration, "of": of, **told}


def start(fold: int, iteration: int) -> dict[str, Any]:
    return {"event": "start", "fold": fold, "folds": 2, "iteration": iteration, "of": 100, "device": "cpu"}


class TestTheStory:
    def test_runs_on_over_both_trainings(self) -> None:
        story = RunStory()
        story.add([start(1, 0), progress(1, 1), progress(1, 100), start(2, 0), progress(2, 1), progress(2, 10)])
        assert [place for place, _ in story.curve(story.losses["dice"])] == [1, 100, 101, 110]
        assert [point.iteration for point in story.present_losses["dice"]] == [1, 10]
        assert story.share == pytest.approx(0.55) and story.pace == pytest.approx(60 / 90)

    def test_forgets_what_comes_again_after_a_checkpoint_and_no_more(self) -> None:
        story = RunStory()
        story.add([start(1, 0), progress(1, 50), progress(1, 100), start(2, 0), progress(2, 10), progress(2, 20)])
        # Resumed: the first training is at its end already, the second goes on from iteration 10.
        story.add([start(1, 100), start(2, 10), progress(2, 20)])
        assert [place for place, _ in story.curve(story.losses["dice"])] == [50, 100, 110, 120]

    def test_takes_no_notice_of_events_that_it_does_not_know(self) -> None:
        story = RunStory()
        story.add([{"event": "again"}, {"event": "place"}, {}])
        assert story == RunStory()


def errand(work: Callable[..., None], **request: Any) -> list[dict[str, Any]]:
    """What an errand says."""
    said: list[dict[str, Any]] = []
    work(lambda event, **content: said.append({"event": event, **content}), **request)
    assert json.dumps(said)
    return said


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("MTCTL_MODELS", str(tmp_path / "models"))
    return ModelStore()


def candidate(model: Model, folder: Path, base: ModelName, new: float) -> Path:
    shutil.copytree(model.folder, folder)
    write_verdict(folder, Verdict(base, (Compared("a", 0.9, new),), (0.03, 0.03)))
    return folder


class TestErrands:
    def test_list_names_every_case_its_rank_and_what_is_damaged(self, tmp_path: Path, models: ModelStore) -> None:
        store = CaseStore(tmp_path / "store")
        mask, review = reviewed(predicted(store, scan((20, 24, 28), 0), "done"))
        store.accept("done", mask, review, "MK")
        predicted(store, scan((20, 24, 28), 1), "open")
        store.add(scan((20, 24, 28), 2), "fresh")
        predicted(store, scan((20, 24, 28), 3), "torn")
        (store.folder / "cases" / "torn" / "case.json").write_text("{")
        said = errand(clerk.list_all, store=str(store.folder))
        cases = {event["id"]: event for event in said if event["event"] == "case"}
        assert {id: case["state"] for id, case in cases.items()} == {
            "done": "corrected", "open": "predicted", "fresh": "unlabelled",
        }  # fmt: skip
        assert {id: case["rank"] for id, case in cases.items()} == {"done": None, "open": 1, "fresh": 2}
        assert cases["done"]["reviewer"] == "MK" and cases["open"]["score"] == 0.91
        assert [event["case"] for event in said if event["event"] == "trouble"] == ["torn"]
        assert said[0]["event"] == "models" and said[0]["published"] is None and said[0]["models"]

    def test_a_store_that_is_not_there_is_named(self, tmp_path: Path, models: ModelStore) -> None:
        with pytest.raises(MtctlError, match="is not there; connect the drive, or choose another folder"):
            errand(clerk.list_all, store=str(tmp_path / "share"))

    def test_open_gives_everything_on_the_scans_grid_as_it_was_left(self, tmp_path: Path) -> None:
        store = CaseStore(tmp_path / "store")
        case = predicted(store, scan((20, 24, 28)), "a")
        mask, review = reviewed(case)
        store.save_draft(case, mask, review, "MK")
        (tmp_path / "to").mkdir()
        (opened,) = errand(clerk.open_case, store=str(store.folder), case="a", to=str(tmp_path / "to"))
        assert opened["state"] == "in review" and opened["review"] == json.loads(json.dumps(review))
        assert set(opened["maps"]) == {"probability", "distance", "entropy", "mutual_information", "disagreement"}
        assert np.array_equal(np.load(tmp_path / "to" / "scan.npy"), case.scan().array)
        assert np.array_equal(np.load(tmp_path / "to" / "corrected.npy") != 0, mask)
        assert np.array_equal(np.load(tmp_path / "to" / "segmentation.npy") != 0, case.prediction())

    def test_a_worse_candidate_is_refused_and_published_with_a_reason(
        self, tmp_path: Path, models: ModelStore, tiny_model: Model
    ) -> None:
        worse = candidate(tiny_model, tmp_path / "worse", ModelName("x", "1", ""), 0.8)
        (said,) = errand(clerk.publish, candidate=str(worse))
        assert said["event"] == "refused" and any("its mean Dice is lower" in reason for reason in said["reasons"])
        assert models.current() is None
        (said,) = errand(clerk.publish, candidate=str(worse), override="only one that knows our scanner")
        assert said == {"event": "published", "model": "site-0001", "number": 1}
        current = models.current()
        assert current is not None and current.override == "only one that knows our scanner"
        (said,) = errand(clerk.roll_back)
        assert said == {"event": "rolled back", "model": None} and models.current() is None

    def test_tidy_takes_away_the_scans_and_leaves_candidate_and_log(self, tmp_path: Path) -> None:
        for name in ("prepared", "fold-1", "candidate", "pictures"):
            (tmp_path / name).mkdir()
        (tmp_path / "progress.jsonl").touch()
        assert errand(clerk.tidy, run=str(tmp_path)) == []
        assert {path.name for path in tmp_path.iterdir()} == {"candidate", "pictures", "progress.jsonl"}

    def test_a_fault_is_said_in_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert clerk.main(json.dumps({"do": "list", "store": "/no/such/place"})) == 1
        last = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert last["event"] == "failed" and "/no/such/place" in last["reason"]


def test_the_next_case_is_the_one_that_promises_least_and_nobody_has_begun(tmp_path: Path) -> None:
    from dataclasses import replace

    from mtctl.case_record import Kind, Record

    store = CaseStore(tmp_path)
    plain = store.add(scan((20, 24, 28)), "fresh")

    def case(id: str, score: float, *kinds: Kind) -> Any:
        content = {"model": {}, "case_score": score}
        records = [Record(tmp_path, 1, Kind.PREDICTION, content=content)]
        records += [Record(tmp_path, 2 + number, kind) for number, kind in enumerate(kinds)]
        return replace(plain, id=id, records=tuple(records))

    cases = [
        plain,
        case("good", 0.95),
        case("poor", 0.61),
        case("begun", 0.5, Kind.DRAFT),
        case("done", 0.4, Kind.CORRECTED),
        case("bad", 0.3, Kind.REJECTED),
        case("fair", 0.8),
    ]
    assert [one.id for one in by_expected_gain(cases)] == ["poor", "fair", "good", "fresh"]
    assert State.IN_REVIEW in {one.state for one in cases}
