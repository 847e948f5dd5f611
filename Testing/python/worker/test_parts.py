"""What the warm child process is made of: messages, requests, volumes on the way, stages and the time left."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.scans import scan

from mtctl.geometry import Geometry, VolumeError
from mtctl.inference import segmenter as inference
from mtctl.models.model import Model
from mtctl.processes.arrays import read_steps, write_steps, write_trimmed
from mtctl.processes.messages import Lines, decode, encode
from mtctl.system.process_tree import family_of, is_running, kill_tree
from mtctl.worker import engine as worker_engine
from mtctl.worker.protocol import next_request, put_request
from mtctl.worker.time_left import STAGES, TimeEstimator


def test_requests_are_taken_in_order_and_only_when_they_are_whole(tmp_path: Path) -> None:
    assert next_request(tmp_path, 0) is None
    assert next_request(tmp_path / "gone", 0) is None
    for number in (11, 9, 2):
        (tmp_path / str(number)).mkdir()
        put_request(tmp_path / str(number), {"id": number, "note": "\u5fc3"})
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "request.json.part").write_text('{"id": 1')
    taken, last = [], 0
    while found := next_request(tmp_path, last):
        last, request = found
        taken.append(request)
    assert taken == [{"id": number, "note": "\u5fc3"} for number in (2, 9, 11)]


def test_a_gpu_without_memory_for_the_network_is_left_for_the_cpu_which_is_said_at_once_and_in_the_report(
    tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return network

    monkeypatch.setattr(inference, "to_device", full)
    monkeypatch.setattr(worker_engine, "choose_device", lambda name: torch.device("cuda"))
    events: list[dict[str, object]] = []
    engine = worker_engine.Engine(lambda event, **content: events.append({"event": event, **content}))
    volume = scan()
    np.save(tmp_path / "scan.npy", volume.array)
    request = {
        "id": 1,
        "input": str(tmp_path / "scan.npy"),
        "geometry": volume.geometry.to_json(),
        "options": {"model": str(tiny_model.folder)},
        "output": str(tmp_path),
    }
    engine.segment(request)
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert len(notes) == 1 and "computed on the CPU" in str(notes[0])
    report = events[-1]["report"]
    assert isinstance(report, dict) and notes[0] in report["warnings"] and report["device"].startswith("cpu")


@given(st.lists(st.text(), min_size=1), st.lists(st.integers(0, 400)))
def test_lines_survive_being_cut_anywhere(texts: list[str], cuts: list[int]) -> None:
    sent = [{"event": "note", "text": text} for text in texts]
    data = b"".join(encode(message) for message in sent)
    lines, heard = Lines(), list[object]()
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for start, stop in pairwise(edges):
        heard += [decode(line) for line in lines.add(data[start:stop])]
    assert heard == sent and lines.rest() == ""


@given(st.binary(max_size=60))
def test_any_bytes_can_be_a_line(noise: bytes) -> None:
    for line in Lines().add(noise + b"\n"):
        assert decode(line) is None or isinstance(decode(line), dict)


def test_geometry_survives_the_message_to_the_last_digit_and_nonsense_is_refused() -> None:
    cos, sin = float(np.cos(0.35)), float(np.sin(0.35))  # All digits of a double.
    turned = (cos, -sin, 0.0, sin, cos, 0.0, 0.0, 0.0, 1.0)
    geometry = Geometry((50, 44, 20), (0.7, 0.8, 2.0), (-11.0, 7.0, 33.3), turned)
    message = decode(encode(geometry.to_json()).decode())
    assert message and Geometry.from_json(message) == geometry
    for nonsense in (
        None,
        {},
        {**message, "size": [1, 2]},
        {**message, "origin": ["a", 0, 0]},
        {**message, "spacing": [1]},
    ):
        with pytest.raises(VolumeError, match="geometry is not usable"):
            Geometry.from_json(nonsense)


@pytest.mark.parametrize("kind", ["float32", "int16", ">u2", "bool"])
def test_scans_survive_the_way_there_whatever_their_layout(tmp_path: Path, kind: str) -> None:
    array = np.random.default_rng(0).integers(0, 2000, (7, 5, 3)).astype(kind)
    for layout in (array, np.asfortranarray(array), array[::-1, ::2]):
        for _ in write_steps(layout, tmp_path / "scan.npy"):
            pass
        read = np.load(tmp_path / "scan.npy")
        assert np.array_equal(read, layout) and read.dtype == layout.dtype


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, -1.0]), st.integers(0, 4))
def test_results_survive_the_way_back_wherever_they_differ_from_the_outside(seed: int, outside: float, n: int) -> None:
    rng = np.random.default_rng(seed)
    array = np.full((4, 6, 5), outside, np.float32)
    array[tuple(rng.integers(0, size, n) for size in array.shape)] = rng.random(n)
    with TemporaryDirectory() as name:
        place = write_trimmed(array, outside, Path(name) / "map.npy")
        read: dict[str, np.ndarray] = {}
        for _ in read_steps(Path(name), {"map": place}, (4, 6, 5), read):
            pass
        assert np.array_equal(read["map"], array) and read["map"].dtype == np.float32
        assert not list(Path(name).iterdir())


def test_a_large_volume_is_copied_in_steps_of_a_megabyte_and_nothing_is_written_of_its_outside(tmp_path: Path) -> None:
    array = np.full((64, 512, 512), -1, np.float32)  # 64 MB
    assert len(list(write_steps(array, tmp_path / "scan.npy"))) == 64
    array[20:30, 100:200, 100:200] = 0.5
    place = write_trimmed(array, -1.0, tmp_path / "map.npy")
    assert (tmp_path / "map.npy").stat().st_size < 500_000
    assert 64 < len(list(read_steps(tmp_path, {"map": place}, array.shape, {}))) < 70


def test_the_stages_are_those_of_the_engine_in_its_order() -> None:
    assert [stage for stage in STAGES if stage in inference.STAGES] == list(inference.STAGES)


def run_case(times: TimeEstimator, cold: bool, speed: float, start: float = 4.0) -> list[tuple[float, float | None]]:
    """Seconds really left and those estimated, after every event of a case that takes 10 s / `speed`."""
    events = [("start", 0.0, start)] if cold else []
    events += [("load", 0.0, 0.5), ("locate", 0.0, 0.5), ("prepare", 0.0, 1.0), ("network", 0.0, 4.0)]
    events += [
        ("network", 0.5, 2.0),
        ("network", 1.0, 0.0),
        ("maps", 0.0, 2.0),
        ("save", 0.0, 0.4),
        ("receive", 0.0, 0.1),
    ]
    # Starting takes as long as ever whatever the case.
    events = [(stage, share, s if stage in ("start", "load") else s / speed) for stage, share, s in events]
    now, end, pairs = 100.0, 100.0 + sum(seconds for *_, seconds in events), []
    run = times.begin("kind", cold, now)
    for stage, share, seconds in events:
        run.advance(stage, share, now)
        pairs.append((end - now, run.seconds_left(now)))
        now += seconds
    times.learn("kind", run, now)
    return pairs


def test_time_left_is_unknown_at_first_then_rough_then_exact_for_a_case_like_the_last() -> None:
    times = TimeEstimator()
    first = run_case(times, cold=True, speed=1)
    assert [left for _, left in first[:5]] == [None] * 5
    assert all(left is not None for _, left in first[5:])
    for cold in (True, False):
        again = run_case(times, cold, speed=1)
        assert [left for _, left in again] == pytest.approx([true for true, _ in again])


def test_time_left_of_a_case_that_is_slower_than_the_last_is_corrected_on_the_way() -> None:
    times = TimeEstimator()
    run_case(times, cold=True, speed=1)
    pairs = run_case(times, cold=False, speed=0.5)
    errors = [abs(true - left) / 20 for true, left in pairs if left is not None]
    assert errors[0] > 0.4 and errors == sorted(errors, reverse=True)
    assert errors[-2] < 0.1


def test_time_left_falls_while_nothing_is_heard_and_a_step_back_is_no_harm() -> None:
    times = TimeEstimator()
    run_case(times, cold=False, speed=1)
    run = times.begin("kind", False, 0.0)
    run.advance("network", 0.0, 2.0)
    early, later, stuck = (run.seconds_left(now) for now in (2.0, 4.0, 60.0))
    assert early and later and stuck and early == pytest.approx(later + 2) and stuck > 0
    run.advance("network", 1.0, 6.0)
    shown = run.overall(6.0)
    run.advance("network", 0.0, 7.0)
    assert run.overall(7.0) == shown
    left = run.seconds_left(7.0)
    assert left and left > 4


def test_a_family_of_processes_ends_as_one_and_strangers_live() -> None:
    grandchild = "import time; time.sleep(600)"
    code = f"import subprocess, sys; subprocess.call([sys.executable, '-c', {grandchild!r}])"
    stranger = subprocess.Popen([sys.executable, "-c", grandchild])
    top = subprocess.Popen([sys.executable, "-c", code])
    while len(family_of(top.pid)) < 2:
        time.sleep(0.01)
    family = family_of(top.pid)
    assert kill_tree(top.pid, patience=5) and not any(is_running(pid) for pid in family)
    assert kill_tree(top.pid)  # Nothing left to do.
    assert is_running(stranger.pid)
    stranger.kill()
    stranger.wait()
    top.wait()
    assert not is_running(stranger.pid)
