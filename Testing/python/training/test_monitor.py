"""Progress on the console, in the log and in TensorBoard: what a run says is what the watchers hold."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.children import wait_for
from support.documents import pipe
from support.paths import ROOT

from mtctl.system.files import WriteError
from mtctl_train.training import monitor
from mtctl_train.training.monitor import (
    Board,
    Console,
    JsonLines,
    Monitor,
    Sample,
    draw,
    middle_plane,
    watched,
)


def start(iteration: int) -> dict[str, Any]:
    return {"event": "start", "iteration": iteration, "of": 3000, "device": "cpu"}


def progress(iteration: int, loss: float) -> dict[str, Any]:
    return {
        "event": "progress", "iteration": iteration, "of": 3000, "losses": {"dice": loss, "distance": loss / 2},
        "learning_rate": 1e-3, "gradient_norm": 2.5, "seconds_left": 3725,
    }  # fmt: skip


def validation(iteration: int, dice: float) -> dict[str, Any]:
    return {"event": "validation", "iteration": iteration, "dice": dice, "cases": {"a": dice + 0.01, "b": dice - 0.01}}


def sample(**changed: Any) -> Sample:
    """An atrium of a ball; the prediction is the same ball shifted by five voxels."""
    z, y, x = np.mgrid[:30, :60, :80].astype(np.float32)
    radius, shifted = (np.sqrt((z - 12) ** 2 + (y - 30) ** 2 + (x - c) ** 2) for c in (40, 45))
    probability = 1 / (1 + np.exp(shifted - 10))
    fields: dict[str, Any] = {
        "name": "case $x_1$",
        "image": np.where(radius < 10, 2, 0) + np.random.default_rng(0).normal(0, 0.3, z.shape),
        "truth": radius < 10,
        "probability": probability,
        "distance": np.clip((10 - shifted) / 30, -1, 1),
        "uncertainty": 4 * probability * (1 - probability),
    }
    return Sample(**(fields | changed))


def accumulated(folder: Path) -> Any:
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard")
    accumulator = module.EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    return accumulator.Reload()


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, pytest.approx(event.value)) for event in accumulated(folder).Scalars(name)]


# --- console and log ------------------------------------------------------------------------------------------------


def test_the_person_sees_start_validation_and_stop_at_once_but_progress_only_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(monitor.time, "monotonic", lambda: now)
    console = Console()
    console(start(0))
    for now in (1.0, 5.0, 12.0):
        console(progress(int(now) * 10, 0.5))
    console(validation(120, 0.9))
    console({"event": "stopped", "iteration": 121, "reason": "the loss is not a number"})
    console({"event": "end", "iteration": 121})
    assert capsys.readouterr().out.splitlines() == [
        "iteration 0 of 3000 on cpu",
        "10/3000  1 h 02 min left  dice 0.500  distance 0.250",
        "120/3000  1 h 02 min left  dice 0.500  distance 0.250",
        "  iteration 120: validation Dice 0.9000, worst 0.8900 (b)",
        "stopped at iteration 121: the loss is not a number",
    ]


def test_the_log_holds_every_event_at_once_and_is_continued_by_a_resumed_run(tmp_path: Path) -> None:
    log = tmp_path / "progress.jsonl"
    events = [start(0), progress(10, 0.5), validation(10, 0.9)]
    for event in events:
        with watched(log, tmp_path / "board") as watch:
            watch.report(start(0))
            watch.report(event)
            assert json.loads(log.read_text("utf-8").splitlines()[-1]) == event  # before it is closed
    assert [json.loads(line) for line in log.read_text("utf-8").splitlines()][1::2] == events


def test_a_pipe_of_the_log_s_name_is_not_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "progress.jsonl"
    pipe(log)
    with pytest.raises(WriteError, match=r"progress\.jsonl: cannot be written: it is a folder, a pipe or a device"):
        JsonLines(log)


def test_every_watcher_gets_every_event_and_nobody_watching_is_fine(tmp_path: Path) -> None:
    logs = tmp_path / "one", tmp_path / "other"
    seen: list[tuple[int, Sample]] = []
    picture = sample()
    watch = Monitor(tuple(map(JsonLines, logs)), (lambda iteration, shown: seen.append((iteration, shown)),))
    for watching in (watch, Monitor()):
        watching.report(start(7))
        watching.picture(8, picture)
    assert [json.loads(log.read_text("utf-8")) for log in logs] == [start(7), start(7)]
    assert seen == [(8, picture)]


class _Full:
    """A file on a disk that takes six more bytes and then is full."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.room = stream, 6

    def write(self, line: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, self.room = self._stream.write(line[: self.room]), 0
        return int(taken)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def test_an_event_for_which_there_is_no_room_is_not_there_by_halves_and_the_run_hears_why(tmp_path: Path) -> None:
    log = tmp_path / "progress.jsonl"
    with watched(log, tmp_path / "board") as watch:
        watch.report(start(0))
        lines: Any = watch.reports[0]
        lines._stream = _Full(lines._stream)
        with pytest.raises(WriteError, match=r"progress.jsonl: cannot be written: the disk is full"):
            watch.report(progress(10, 0.5))
        lines._stream.room = 10**6
        watch.report(validation(10, 0.9))
    assert [json.loads(line) for line in log.read_text("utf-8").splitlines()] == [start(0), validation(10, 0.9)]


def test_a_log_that_cannot_be_opened_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "progress.jsonl").mkdir()
    with pytest.raises(WriteError, match=r"progress.jsonl: cannot be written: "):
        JsonLines(tmp_path / "progress.jsonl")


def test_curves_that_cannot_be_written_end_with_a_sentence_and_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with watched(tmp_path / "log", tmp_path / "board") as watch:
        watch.report(start(0))
        monkeypatch.setattr(tensorboard.SummaryWriter, "add_scalar", full)
        for event in (progress(10, 0.5), progress(20, 0.25)):
            watch.report(event)
        watch.picture(20, sample())
    said = [line for line in capsys.readouterr().out.splitlines() if "TensorBoard" in line]
    assert said == [
        f"{tmp_path / 'board'}: TensorBoard's curves end here: the disk is full; free some space and run again"
    ]
    assert len((tmp_path / "log").read_text("utf-8").splitlines()) == 3


# --- TensorBoard ----------------------------------------------------------------------------------------------------


def test_tensorboard_holds_the_losses_rate_gradient_and_dice_of_the_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with watched(tmp_path / "log", tmp_path / "board") as watch:
        for event in (start(0), progress(10, 0.5), progress(20, 0.25), validation(20, 0.9)):
            watch.report(event)
        watch.report({"event": "stopped", "iteration": 21, "reason": "the loss is not a number"})
    board = tmp_path / "board"
    assert curve(board, "loss/dice") == [(10, 0.5), (20, 0.25)]
    assert curve(board, "loss/distance") == [(10, 0.25), (20, 0.125)]
    assert curve(board, "learning_rate") == [(10, 1e-3), (20, 1e-3)]
    assert curve(board, "gradient_norm") == [(10, 2.5), (20, 2.5)]
    assert curve(board, "validation/dice") == [(20, 0.9)]
    assert (curve(board, "validation_cases/a"), curve(board, "validation_cases/b")) == ([(20, 0.91)], [(20, 0.89)])
    assert b"not a number" in accumulated(board).Tensors("stopped/text_summary")[0].tensor_proto.string_val[0]


@pytest.mark.slow
@pytest.mark.parametrize("resumed_at", [0, 20])
def test_what_a_killed_run_wrote_after_its_last_checkpoint_is_not_there_twice(tmp_path: Path, resumed_at: int) -> None:
    pytest.importorskip("tensorboard")
    for first, value in ((0, 0.5), (resumed_at, 0.25)):
        board = Board(tmp_path)
        board.report(start(first))
        for iteration in range(first + 10, 41, 10):
            board.report(progress(iteration, value))
            board.report(validation(iteration, value))
        board.picture(40, sample())
        board.close()
        # Event files are in order by the second of their names.
        begun = int(time.time())
        wait_for(lambda begun=begun: int(time.time()) > begun)
    expected = [(iteration, 0.5 if iteration <= resumed_at else 0.25) for iteration in (10, 20, 30, 40)]
    assert curve(tmp_path, "loss/dice") == expected
    assert curve(tmp_path, "validation/dice") == expected
    accumulator = accumulated(tmp_path)
    assert [picture.step for picture in accumulator.Images(accumulator.Tags()["images"][0])] == [40]


@pytest.mark.parametrize("package", ["tensorboard", "torch.utils.tensorboard"])
def test_without_tensorboard_the_run_goes_on_and_is_told_how_to_get_it(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith(("tensorboard", "torch.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with watched(tmp_path / "log", tmp_path / "board") as watch:
        watch.report(start(0))
        watch.picture(1, sample())
    printed = capsys.readouterr().out
    assert printed.count("pip install tensorboard") == 1 and "iteration 0 of 3000" in printed
    assert json.loads((tmp_path / "log").read_text("utf-8")) == start(0)
    assert not (tmp_path / "board").exists()


# --- pictures -------------------------------------------------------------------------------------------------------


def test_the_picture_in_the_event_file_is_the_drawn_one(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with watched(tmp_path / "log", tmp_path / "board") as watch:
        watch.report(start(0))
        watch.picture(10, sample())
    accumulator = accumulated(tmp_path / "board")
    (tag,) = accumulator.Tags()["images"]
    (image,) = accumulator.Images(tag)
    decoded = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)).convert("RGB"))
    assert image.step == 10
    assert np.array_equal(decoded, draw(sample()))


def test_the_picture_shows_both_outlines_and_a_panel_for_each_map_that_there_is() -> None:
    whole = draw(sample())
    blue, red = (np.abs(whole.astype(int) - colour).max(axis=2) < 12 for colour in ((77, 210, 255), (255, 77, 77)))
    panels = np.array_split(np.stack([blue, red]), 3, axis=2)
    assert all(panel[0].sum() > 50 and panel[1].sum() > 50 for panel in panels)
    # The prediction lies to the right of the truth, as its columns do in the array.
    assert np.nonzero(panels[0][1])[1].mean() > np.nonzero(panels[0][0])[1].mean() + 5
    fewer = [draw(sample(distance=None)), draw(sample(distance=None, uncertainty=None))]
    assert [round(image.shape[1] / whole.shape[1] * 3) for image in fewer] == [2, 1]


@pytest.mark.parametrize("mask", [np.zeros((30, 60, 80), bool), np.ones((30, 60, 80), bool)])
def test_an_atrium_that_is_nowhere_or_everywhere_is_still_drawn(mask: np.ndarray) -> None:
    image = draw(sample(truth=mask, probability=mask.astype(np.float32), image=np.zeros(mask.shape, np.float32)))
    assert image.std() > 10


def test_the_middle_plane_halves_the_atrium() -> None:
    mask = np.zeros((10, 4, 4), bool)
    assert middle_plane(mask) == 5
    mask[2, 0, 0] = mask[6:9, :2, :2] = True
    assert middle_plane(mask) == 7
    assert middle_plane(sample().truth) == 12


def test_matplotlib_and_tensorboard_are_loaded_only_when_they_are_used() -> None:
    program = (
        "import sys, mtctl_train.training.monitor;print([n for n in ('matplotlib', 'tensorboard') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
