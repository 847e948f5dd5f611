"""What lies under the module MTCTLTrain without Qt: a run as a process of its own, and its progress."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.children import environment
from support.documents import pipe

from mtctl.errors import MtctlError
from mtctl.system.files import WriteError
from mtctl.system.machine import this_machine
from mtctl.system.process_tree import is_running
from mtctl_train.commands import background
from mtctl_train.finetuning.run_folder import RunError, read_events
from MTCTLTrainLib.runs.run_progress import MOST_POINTS, Point, RunProgress, thinned
from MTCTLTrainLib.runs.training_run import LOG, Decision, Phase, RunSettings, TrainingRun

pytestmark = pytest.mark.slow

#: A trainer that says at once that it is there, and then does what the test wants.
BUSY = (
    "import sys, time, pathlib; from mtctl_train.finetuning.run_folder import working_in;"
    "out = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])\n"
)


def settings(store: Path, *further: str) -> RunSettings:
    return RunSettings(str(store), "", ("--minutes", "1"), "cpu", further)


def program(source: str) -> tuple[str, ...]:
    return ("-c", BUSY + source)


SLEEPING = program("with working_in(out): time.sleep(60)")


def becomes(run: TrainingRun, phase: Phase, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while run.status().phase is not phase:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class TestARun:
    def test_is_told_what_was_asked_for(self, tmp_path: Path) -> None:
        source = program("(out / 'told.txt').write_text(' '.join(sys.argv[1:]))")
        run = TrainingRun.begin(tmp_path, settings(tmp_path / "store", "--seed", "3"), source)
        assert becomes(run, Phase.FAILED)
        told = (run.folder / "told.txt").read_text()
        assert told == (f"finetune --cases {tmp_path / 'store'} --out {run.folder} --device cpu --minutes 1 --seed 3")

    def test_gets_paths_that_a_launcher_would_garble_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = tmp_path / "Vorh\u00f6fe 100%"
        tell = "import json, pathlib, sys; pathlib.Path('told.txt').write_text(json.dumps(sys.argv[1:]))"
        run = TrainingRun(tmp_path / "run", settings(store), ("-c", tell))
        monkeypatch.chdir(tmp_path)
        run.go_on()
        assert becomes(run, Phase.FAILED)
        sent = json.loads((tmp_path / "told.txt").read_text())
        assert " ".join(sent).isascii()
        heard: list[list[str]] = []
        monkeypatch.setattr(background, "mtctl", lambda arguments, commands: heard.append(arguments) or 0)
        monkeypatch.setattr(background, "lower_priority", lambda: None)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        assert background.main(sent) == 0
        assert heard == [run.settings.arguments(run.folder)] and str(store) in heard[0]

    def test_is_found_by_another_slicer_and_stopped_there(self, tmp_path: Path) -> None:
        run = TrainingRun.begin(tmp_path, settings(tmp_path), SLEEPING)
        assert run.status().phase is Phase.STARTING
        assert becomes(run, Phase.RUNNING)
        with pytest.raises(RunError, match="at work already"):
            run.go_on()
        found = TrainingRun.last(tmp_path)
        assert found is not None and found.folder == run.folder and found.settings == run.settings
        assert found.status().phase is Phase.RUNNING
        found.stop()
        assert becomes(found, Phase.STOPPED) and found.status().reason == ""

    def test_on_another_computer_is_shown_and_not_stopped_from_here(self, tmp_path: Path) -> None:
        run = TrainingRun.begin(tmp_path, settings(tmp_path), SLEEPING)
        assert becomes(run, Phase.RUNNING)
        status = json.loads((run.folder / "status.json").read_text())
        run.stop()
        assert becomes(run, Phase.STOPPED)
        elsewhere = status | {"machine": "another", "pid": os.getpid(), "heard": time.time()}
        (run.folder / "status.json").write_text(json.dumps(elsewhere))
        assert run.status().phase is Phase.RUNNING
        with pytest.raises(RunError, match="runs on another computer; stop it there"):
            run.stop()

    def test_can_be_stopped_before_it_has_said_a_word(self, tmp_path: Path) -> None:
        run = TrainingRun.begin(tmp_path, settings(tmp_path), ("-c", "import time; time.sleep(60)"))
        run.stop()
        assert becomes(run, Phase.STOPPED) and run.status().reason == ""

    def test_on_a_full_disk_is_stopped_even_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run = TrainingRun.begin(tmp_path, settings(tmp_path), SLEEPING)
        assert becomes(run, Phase.RUNNING)

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(WriteError, match=r"the training is stopped, but .*the disk is full; free some space"):
                run.stop()
        assert becomes(run, Phase.STOPPED)
        run.go_on()
        assert becomes(run, Phase.RUNNING)
        run.stop()

    def test_is_stopped_though_this_computer_has_another_name_now(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = TrainingRun.begin(tmp_path, settings(tmp_path), SLEEPING)
        assert becomes(run, Phase.RUNNING)
        monkeypatch.setattr(socket, "gethostname", lambda: "laptop.hospital.org")
        this_machine.cache_clear()
        found = TrainingRun.last(tmp_path)
        assert found is not None
        found.stop()
        assert becomes(found, Phase.STOPPED)

    def test_goes_on_after_a_stop_and_a_kill_is_told_apart_from_it(self, tmp_path: Path) -> None:
        run = TrainingRun.begin(tmp_path, settings(tmp_path), SLEEPING)
        assert becomes(run, Phase.RUNNING)
        run.stop()
        assert becomes(run, Phase.STOPPED)
        run.go_on()
        assert becomes(run, Phase.RUNNING)
        os.kill(json.loads((run.folder / "status.json").read_text())["pid"], 9)
        assert becomes(run, Phase.STOPPED)
        assert run.status().reason.startswith("the training process was ended from outside")

    def test_that_cannot_begin_says_why_in_the_words_of_its_process(self, tmp_path: Path) -> None:
        source = ("-c", "import sys; sys.exit('mtctl: error: /store: is a file, not a folder')")
        run = TrainingRun.begin(tmp_path, settings(tmp_path), source)
        assert becomes(run, Phase.FAILED)
        assert run.status().reason == "/store: is a file, not a folder"

    def test_on_a_full_disk_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run = TrainingRun.begin(tmp_path, settings(tmp_path), ("-c", ""))
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
        assert becomes(run, Phase.FAILED)
        assert "is full; free some space and resume" in run.status().reason

    def test_does_not_wait_for_a_pipe_of_its_log_s_name(self, tmp_path: Path) -> None:
        run = TrainingRun(tmp_path, settings(tmp_path), SLEEPING)
        pipe(tmp_path / LOG)
        with pytest.raises(RunError, match="could not be started: it is a folder, a pipe or a device, not a file"):
            run.go_on()

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="who may do everything is refused nothing")
    def test_in_a_folder_that_is_read_only_is_refused_in_a_sentence(self, tmp_path: Path) -> None:
        tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
        with pytest.raises(MtctlError, match="no permission to write there"):
            TrainingRun.begin(tmp_path / "runs", settings(tmp_path))

    def test_in_a_place_where_no_folder_can_be_is_refused_in_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "runs").write_text("a file")
        with pytest.raises(MtctlError, match="cannot be written"):
            TrainingRun.begin(tmp_path / "runs", settings(tmp_path))

    def test_lives_on_when_the_process_that_started_it_is_killed(self, tmp_path: Path) -> None:
        starter = (
            "import os, pathlib, sys;"
            "from MTCTLTrainLib.runs.training_run import RunSettings, TrainingRun;"
            "run = TrainingRun.begin(pathlib.Path(sys.argv[1]), RunSettings('', '', (), 'cpu'), ('-c', sys.argv[2]));"
            "os.kill(os.getpid(), 9)"
        )
        command = [sys.executable, "-c", starter, str(tmp_path), SLEEPING[1]]
        done = subprocess.run(command, env=environment(), timeout=60)
        assert done.returncode == -9
        run = TrainingRun.last(tmp_path)
        assert run is not None and becomes(run, Phase.RUNNING)
        pid = json.loads((run.folder / "status.json").read_text())["pid"]
        run.stop()
        assert becomes(run, Phase.STOPPED) and not is_running(pid)

    def test_keeps_what_was_decided(self, tmp_path: Path) -> None:
        run = TrainingRun(tmp_path, settings(tmp_path))
        assert run.decision is None
        decision = Decision("published", "site-0002", "the ward needs it")
        run.decide(decision)
        assert TrainingRun(tmp_path, settings(tmp_path)).decision == decision


def progress(fold: int, iteration: int, left: float = 60, of: int = 100) -> dict[str, Any]:
    told = {"losses": {"dice": 1 / iteration}, "share": (fold - 1 + iteration / of) / 2, "seconds_left": left}
    return {"event": "progress", "fold": fold, "folds": 2, "iteration": iteration, "of": of, **told}


def start(fold: int, iteration: int) -> dict[str, Any]:
    return {"event": "start", "fold": fold, "folds": 2, "iteration": iteration, "of": 100, "device": "cpu"}


class TestTheStory:
    def test_runs_on_over_both_trainings(self) -> None:
        told = RunProgress()
        told.add([start(1, 0), progress(1, 1), progress(1, 100), start(2, 0), progress(2, 1), progress(2, 10)])
        assert [place for fold in (1, 2) for place, _ in told.curve(told.losses[fold]["dice"])] == [1, 100, 101, 110]
        assert [point.iteration for point in told.present_losses["dice"]] == [1, 10]
        assert told.fraction == pytest.approx(0.55) and told.seconds_per_iteration == pytest.approx(60 / 90)

    def test_forgets_what_comes_again_after_a_checkpoint_and_no_more(self) -> None:
        told = RunProgress()
        told.add([start(1, 0), progress(1, 50), progress(1, 100), start(2, 0), progress(2, 10), progress(2, 20)])
        # Resumed: the first training is at its end already, the second goes on from iteration 10.
        told.add([start(1, 100), start(2, 10), progress(2, 20)])
        assert [place for place, _ in told.curve(told.losses[1]["dice"])] == [50, 100]
        assert [place for place, _ in told.curve(told.losses[2]["dice"])] == [110, 120]

    def test_of_a_long_run_has_curves_of_some_hundred_points_that_stay_where_they_are(self) -> None:
        points = [Point(1, iteration, 0.5) for iteration in range(10, 120_000, 10)]
        shown = thinned(points)
        assert MOST_POINTS / 2 <= len(shown) <= MOST_POINTS and shown[0] is points[0]
        assert thinned([*points, Point(1, 120_000, 0.4)])[: len(shown)] == shown
        assert thinned(points[:300]) == points[:300]

    def test_of_a_long_run_that_is_found_again_is_read_a_part_at_a_time(self, tmp_path: Path) -> None:
        log = tmp_path / "progress.jsonl"
        log.write_text("".join(json.dumps(progress(1, number + 1)) + "\n" for number in range(5)) + "torn\n{", "utf-8")
        first = read_events(tmp_path, 0, 3)
        second = read_events(tmp_path, first.offset, 3)
        assert [event["iteration"] for event in first.events] == [1, 2, 3]
        assert [event["iteration"] for event in second.events] == [4, 5]
        assert (second.offset, read_events(tmp_path).events) == (log.stat().st_size - 1, first.events + second.events)

    def test_takes_no_notice_of_events_that_it_does_not_know(self) -> None:
        told = RunProgress()
        told.add([{"event": "again"}, {"event": "place"}, {}])
        assert told == RunProgress()
