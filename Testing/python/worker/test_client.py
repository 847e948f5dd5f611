"""The warm child process: right answers, clear failures, and never a process or a patient's voxels left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.children import environment, wait_for
from support.scans import scan
from support.worker_client import Heard, ask, child_pid, drive, exchange_of

from mtctl.geometry import Geometry, Volume
from mtctl.inference.prediction import OUTSIDE, Options
from mtctl.inference.segmenter import Segmenter
from mtctl.models.model import Model
from mtctl.system.process_tree import family_of, is_running
from mtctl.worker.client import WorkerClient
from mtctl.worker.requests import Handlers, Settings

pytestmark = pytest.mark.slow

#: So many samples that whatever happens meanwhile happens in the middle of the case.
LONG = 4000


def wait_until_gone(pids: set[int], within: float) -> None:
    wait_for(lambda: not any(map(is_running, pids)), within)


def oblique() -> Volume:
    angle = np.deg2rad(20)
    turn = (np.cos(angle), -np.sin(angle), 0.0, np.sin(angle), np.cos(angle), 0.0, 0.0, 0.0, 1.0)
    geometry = Geometry((50, 44, 20), (0.7, 0.8, 2.0), (-11.0, 7.0, 33.3), tuple(float(v) for v in turn))
    return Volume(np.random.default_rng(0).normal(50, 9, geometry.shape).astype(np.int16), geometry)


@pytest.fixture(scope="module")
def client() -> Iterator[WorkerClient]:
    """One real child for all tests; it is started anew after one that ends it."""
    client = WorkerClient()
    yield client
    client.close()


@pytest.fixture(scope="module")
def settings(tiny_model: Model) -> Settings:
    return Settings(model=str(tiny_model.folder), device="cpu")


def test_a_case_is_answered_as_in_process_bit_for_bit_on_the_scan_s_own_grid(
    client: WorkerClient, settings: Settings, tiny_model: Model
) -> None:
    volume = oblique()
    answer = ask(client, volume, replace(settings, samples=3, seed=5))
    assert answer.result, answer.failure
    same = Volume(volume.array.astype(np.float32), volume.geometry)
    expected = Segmenter(tiny_model, torch.device("cpu")).predict(same, Options(samples=3, seed=5))
    assert answer.result.geometry == volume.geometry
    assert np.array_equal(answer.result.segmentation, expected.segmentation)
    assert answer.result.segmentation.dtype == np.uint8
    assert set(answer.result.maps) == set(OUTSIDE)
    for name, array in answer.result.maps.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, expected.on_source(name).array), name
    assert answer.result.report["samples"] == 3
    inside, probability = expected.segmentation, answer.result.maps["probability"].astype(float)
    wrong = np.where(inside, 1 - probability, probability).sum() * volume.geometry.voxel_ml
    assert answer.result.report["likely_wrong_ml"] == pytest.approx(wrong, abs=2e-3)
    assert answer.result.report["warnings"] == [*expected.warnings, *expected.remarks]


@pytest.mark.parametrize(("region", "chooser"), [("none", "whole scan"), ("0,30,0,30,20,60", "user")])
def test_the_report_says_as_the_command_line_s_does_how_the_region_was_chosen(
    client: WorkerClient, settings: Settings, region: str, chooser: str
) -> None:
    answer = ask(client, oblique(), replace(settings, region=region))
    assert answer.result, answer.failure
    found = answer.result.report["region_of_interest"]
    assert found["chosen_by"] == chooser and found["box_mm_lps"].keys() == {"x0", "x1", "y0", "y1", "z0", "z1"}


def test_a_second_case_needs_no_start_and_its_time_left_is_known_from_the_first(
    client: WorkerClient, settings: Settings
) -> None:
    ask(client, scan(), settings)
    pid = child_pid(client)
    answer = ask(client, scan(seed=1), settings)
    assert answer.result and child_pid(client) == pid
    assert "start" not in answer.stages()
    assert all(progress.seconds_left is not None for progress in answer.progress)
    overall = [progress.overall for progress in answer.progress]
    assert overall == sorted(overall) and overall[-1] <= 1


def test_what_is_wrong_with_a_request_is_said_and_the_child_lives_on(
    client: WorkerClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(client, scan(), settings).result
    pid = child_pid(client)
    holes, flat, thin = scan(), scan(), scan((8, 48, 56))
    holes.array[3, 4, 5] = np.nan
    flat.array[:] = 7
    sheared = replace(scan().geometry)
    object.__setattr__(sheared, "spacing", (0.0, 1.0, 1.0))
    phases = Volume(scan().array.astype(np.complex64), scan().geometry)
    wrong = [
        (scan(), replace(settings, model="no-such-model"), "unknown model 'no-such-model'"),
        (scan(), replace(settings, device="abacus"), "device 'abacus' is unknown"),
        (scan(), replace(settings, samples=1), "take at least 2"),
        (scan(), replace(settings, region="1,2,3"), "expected six numbers"),
        (scan(), replace(settings, region="500,600,0,10,0,10"), "lies outside the scan"),
        (holes, settings, "1 voxel is NaN or infinite"),
        (flat, settings, "all voxels have the same value"),
        (thin, settings, "only 8 voxels along z"),
        (phases, settings, "one grey value a voxel"),
        (Volume(scan().array, sheared), settings, "spacing of 0 x 1 x 1 mm is impossible"),
    ]
    for volume, request, message in wrong:
        assert message in ask(client, volume, request).failure
    monkeypatch.setattr("mtctl.worker.tasks.write_steps", lambda array, path: iter([path.write_bytes(b"no array")]))
    assert "scan.npy is missing or damaged" in ask(client, scan(), settings).failure
    monkeypatch.undo()
    assert ask(client, scan(), settings).result
    assert child_pid(client) == pid


def test_two_requests_are_answered_in_turn_and_a_waiting_one_can_be_dropped(
    client: WorkerClient, settings: Settings
) -> None:
    order: list[str] = []
    for name in ("first", "second"):
        client.segment(scan(), settings, Handlers(done=lambda _, name=name: order.append(name)))
    dropped = client.segment(scan(), settings, Handlers(done=lambda _: order.append("dropped")))
    client.poll()
    client.cancel(dropped)
    assert ask(client, scan(), settings).result
    assert order == ["first", "second"]


def test_cancel_in_the_middle_leaves_no_process_and_the_next_case_gets_a_new_child(
    client: WorkerClient, settings: Settings
) -> None:
    answer = Heard()
    number = client.segment(scan(), replace(settings, samples=LONG), answer.handlers())
    drive(client, lambda: "network" in answer.stages())
    family, told, exchange = family_of(child_pid(client)), len(answer.progress), exchange_of(client)
    client.cancel(number)
    assert not any(is_running(pid) for pid in family)
    assert not exchange.exists()
    for _ in range(5):
        client.poll()
    assert not answer.ended() and len(answer.progress) == told

    answer = Heard()
    client.segment(scan(), replace(settings, samples=LONG), answer.handlers())
    drive(client, lambda: "network" in answer.stages())
    exchange = exchange_of(client)
    os.kill(child_pid(client), signal.SIGKILL)
    drive(client, answer.ended)
    assert "ended unexpectedly (SIGKILL, perhaps for want of memory)" in answer.failure
    assert not exchange.exists()


PARENT = """
import sys, time
from support.scans import scan
from mtctl.system.process_tree import family_of
from mtctl.worker.client import WorkerClient
from mtctl.worker.requests import Handlers, Settings
client = WorkerClient({launcher})
def told(progress):
    family = family_of(client._child.transport._process.pid)
    if progress.stage == {stage!r} and len(family) == {members}:
        print(client._child.exchange, *family, flush=True)
client.segment(scan(), Settings({model!r}, "cpu", {samples}), Handlers(progress=told))
while True:
    client.poll()
    time.sleep(0.01)
"""


def orphans(stage: str, model: Model, members: int = 1, launcher: str = "") -> tuple[Path, set[int]]:
    """Exchange folder and processes of a client that was killed when its request was at that stage."""
    code = PARENT.format(launcher=launcher, stage=stage, members=members, model=str(model.folder), samples=LONG)
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    exchange, *pids = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    return Path(exchange), {int(pid) for pid in pids}


def test_when_the_parent_is_killed_the_child_ends_in_the_middle_of_its_work_and_removes_the_scan(
    tiny_model: Model,
) -> None:
    exchange, pids = orphans("network", tiny_model)
    assert pids
    wait_until_gone(pids, within=5)
    assert not exchange.exists()


# As Slicer's: what it launches reads from a pipe into which nobody writes.
LAUNCHER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "mtctl.worker.process", *sys.argv[1:]], stdin=subprocess.PIPE)
sys.exit(child.wait())
"""


def test_a_child_that_is_killed_behind_a_launcher_is_told_as_killed() -> None:
    dies = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    code = f"""
import subprocess, sys
subprocess.call([sys.executable, "-c", {dies!r}])
sys.exit("error: [/opt/python-real] exit abnormally - Report the problem.")
"""
    client = WorkerClient(arguments=("-c", code))
    failure = ask(client, scan()).failure
    assert failure.endswith("could not start (it crashed or was ended from outside, perhaps for want of memory)")
    client.close()


def test_when_only_the_launcher_is_killed_the_child_behind_it_ends_and_removes_the_scan(tiny_model: Model) -> None:
    client = WorkerClient(arguments=("-c", LAUNCHER))
    client.segment(scan(), Settings(model=str(tiny_model.folder), samples=LONG), Handlers())
    drive(client, lambda: len(family_of(child_pid(client))) == 2 if client._child else False)
    launcher, exchange = child_pid(client), exchange_of(client)
    family = family_of(launcher)
    os.kill(launcher, signal.SIGTERM)
    wait_until_gone(family, within=20)
    assert not exchange.exists()
    client.close()


def test_when_the_parent_of_a_launcher_that_holds_the_input_is_killed_nothing_is_left_either(tiny_model: Model) -> None:
    exchange, pids = orphans("start", tiny_model, 2, f"arguments=('-c', {LAUNCHER!r})")
    assert len(pids) == 2
    wait_until_gone(pids, within=10)
    assert not exchange.exists()
