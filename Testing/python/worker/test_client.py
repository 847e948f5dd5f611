"""The warm child process: right answers, clear failures, and never a process or a patient's voxels left behind."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.children import environment, wait_for
from support.scans import scan

from mtctl.geometry import Geometry, Volume
from mtctl.inference.prediction import OUTSIDE, Options
from mtctl.inference.result import Result
from mtctl.inference.segmenter import Segmenter
from mtctl.models.model import Model
from mtctl.processes.transport import SubprocessTransport
from mtctl.system.process_tree import family_of, is_running
from mtctl.worker.client import WorkerClient
from mtctl.worker.requests import Handlers, SegmentationProgress, Settings

pytestmark = pytest.mark.slow

#: Long, for machines that are busy with other things; nothing here waits for it to pass.
PATIENCE = 300.0

#: So many samples that whatever happens meanwhile happens in the middle of the case.
LONG = 4000


@dataclass
class Heard:
    """What the handlers of one request were told."""

    progress: list[SegmentationProgress] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    result: Result | None = None
    failure: str = ""

    def handlers(self) -> Handlers:
        return Handlers(self.progress.append, self.notes.append, self._done, self._failed)

    def ended(self) -> bool:
        return self.result is not None or bool(self.failure)

    def stages(self) -> list[str]:
        return list(dict.fromkeys(progress.stage for progress in self.progress))

    def _done(self, result: Result) -> None:
        assert not self.ended()
        self.result = result

    def _failed(self, message: str) -> None:
        assert not self.ended()
        self.failure = message


def printed(client: WorkerClient) -> str:
    """What the child printed last that was no message."""
    return "\n".join(client._child.output.lines) if client._child else ""


def drive(client: WorkerClient, until: Callable[[], bool]) -> None:
    """Poll as a window does."""
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline, f"waited for ever; the child said: {printed(client)}"
        client.poll()
        time.sleep(0.01)


def ask(client: WorkerClient, volume: Volume, settings: Settings | None = None) -> Heard:
    answer = Heard()
    client.segment(volume, settings or Settings(), answer.handlers())
    drive(client, answer.ended)
    return answer


def child_pid(client: WorkerClient) -> int:
    assert client._child and isinstance(client._child.transport, SubprocessTransport)
    assert client._child.transport._process
    return client._child.transport._process.pid


def exchange_of(client: WorkerClient) -> Path:
    assert client._child
    return client._child.exchange


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


# ---- A real child with torch


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


# ---- Children that do without torch


def acting(engine: str) -> tuple[str, ...]:
    """Arguments for the real child process with another engine."""
    code = f"""
import os, subprocess, sys, types
from mtctl.errors import MtctlError
class Engine:
    def __init__(self, emit):
        self.emit = emit
    def answer(self, request):
{engine}
sys.modules["mtctl.worker.engine"] = types.SimpleNamespace(Engine=Engine)
from mtctl.worker.process import main
main(sys.argv[1:])
"""
    return "-c", code


RESULT = """
        import numpy as np
        np.save(request["output"] + "/segmentation.npy", np.ones((2, 3, 4), np.uint8))
        self.emit("done", id=request["id"], report={}, arrays={"segmentation": {"start": [1, 0, 0], "outside": 0}})
"""


@pytest.fixture
def play() -> Iterator[Callable[[str], WorkerClient]]:
    """Makes clients whose child has a pretended engine."""
    clients: list[WorkerClient] = []

    def make(engine: str) -> WorkerClient:
        clients.append(WorkerClient(arguments=acting(engine)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_a_launcher_that_passes_no_input_on_is_no_obstacle() -> None:
    launcher = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, *{acting(RESULT)!r}, *sys.argv[1:]], stdin=subprocess.PIPE)
sys.exit(child.wait())
"""
    client = WorkerClient(arguments=("-c", launcher))
    assert ask(client, scan()).result
    assert len(family_of(child_pid(client))) == 2
    client.close()


def test_what_libraries_print_or_read_does_not_disturb_the_talk(play: Callable[[str], WorkerClient]) -> None:
    client = play(
        """
        os.write(1, b"half a line \\xff\\xfe")
        print('{"event": "failed", "id": 1, "message": "not meant"}')
        subprocess.run([sys.executable, "-c", "print('a grandchild')"])
        assert sys.stdin.read() == ""
        self.emit("note", id=request["id"], text="Vorhof: linksatrial, \\u5fc3\\u623f")
"""
        + RESULT
    )
    answer = ask(client, scan())
    assert answer.result, answer.failure
    assert answer.result.segmentation.sum() == 24 and answer.result.segmentation[1:3, :3, :4].all()
    assert answer.notes == ["Vorhof: linksatrial, \u5fc3\u623f"]
    assert "a grandchild" in printed(client)


def test_a_launcher_s_chatter_and_lines_in_pieces_are_understood() -> None:
    code = """
import json, sys, time
from pathlib import Path
import numpy as np
from mtctl.worker.protocol import next_request
out = sys.stdout.buffer
out.write(b"Launcher 1.0 \\xff\\n[1, 2]\\n{\\"event\\": \\"unheard of\\"}\\n\\n")
while not (found := next_request(Path(sys.argv[2]), 0)):
    time.sleep(0.01)
request = found[1]
np.save(request["output"] + "/segmentation.npy", np.ones((2, 2, 2), np.uint8))
note = {"event": "note", "id": request["id"], "text": "K\\u00fcrette \\u5fc3"}
place = {"start": [0] * 3, "outside": 1}
done = {"event": "done", "id": request["id"], "report": {}, "arrays": {"segmentation": place}}
text = json.dumps(note, ensure_ascii=False) + "\\r\\n" + json.dumps(done) + "\\n"
for byte in text.encode():
    out.write(bytes([byte]))
    out.flush()
sys.stdin.read()
"""
    client = WorkerClient(arguments=("-c", code))
    answer = ask(client, scan())
    assert answer.result and (answer.result.segmentation == 1).all()
    assert answer.notes == ["K\u00fcrette \u5fc3"]
    assert "Launcher 1.0" in printed(client)
    client.close()


def test_a_crash_is_reported_with_the_last_words_and_the_next_request_finds_a_new_child(
    play: Callable[[str], WorkerClient],
) -> None:
    client = play(
        """
        if request["options"]["seed"] == 13:
            print("the GPU caught fire", file=sys.stderr)
            os._exit(3)
"""
        + RESULT
    )
    crashed, waiting = Heard(), Heard()
    client.segment(scan(), Settings(seed=13), crashed.handlers())
    client.segment(scan(), Settings(), waiting.handlers())
    drive(client, waiting.ended)
    assert "the segmentation process ended unexpectedly (exit status 3)" in crashed.failure
    assert "the GPU caught fire" in crashed.failure
    assert waiting.result


def test_a_segmentation_fault_says_where_it_was(play: Callable[[str], WorkerClient]) -> None:
    failure = ask(play("        import ctypes; ctypes.string_at(0)"), scan()).failure
    assert "SIGSEGV" in failure or "exit status" in failure
    assert "Segmentation fault" in failure or "access violation" in failure
    assert "in answer" in failure


def test_errors_come_as_the_sentence_meant_for_the_reader(play: Callable[[str], WorkerClient]) -> None:
    client = play(
        """
        errors = [MtctlError("draw the region"), MemoryError(), KeyError("surprise")]
        raise errors[request["options"]["seed"]]
"""
    )
    said = [ask(client, scan(), Settings(seed=seed)).failure for seed in range(3)]
    assert said == [
        "draw the region",
        "not enough memory; choose a smaller region",
        "unexpected KeyError: 'surprise'",
    ]
    assert "Traceback" in printed(client)


def test_a_child_that_cannot_start_says_why() -> None:
    client = WorkerClient(program="/no/such/python")
    assert "could not start (/no/such/python could not be started: No such file" in ask(client, scan()).failure
    client.close()
    client = WorkerClient(arguments=("-c", "import no_such_torch"))
    failure = ask(client, scan()).failure
    assert "could not start (exit status 1)" in failure and "No module named 'no_such_torch'" in failure
    client.close()


def test_cancel_reaches_the_process_behind_a_launcher() -> None:
    sleeper = "import time; time.sleep(600)"
    code = f"import subprocess, sys; subprocess.call([sys.executable, '-c', {sleeper!r}])"
    client = WorkerClient(arguments=("-c", code))
    number = client.segment(scan(), Settings(), Handlers())
    drive(client, lambda: len(family_of(child_pid(client))) == 2 if client._child else False)
    family = family_of(child_pid(client))
    client.cancel(number)
    assert not any(is_running(pid) for pid in family)
    client.close()


def test_closing_in_the_middle_of_a_handler_and_using_the_client_again_is_safe(
    play: Callable[[str], WorkerClient],
) -> None:
    client = play(RESULT)
    seen: list[str] = []

    def close(_: object) -> None:
        seen.append("closed")
        client.close()

    client.segment(scan(), Settings(), Handlers(progress=close, done=lambda _: seen.append("done")))
    drive(client, lambda: bool(seen))
    for _ in range(5):
        client.poll()
    assert seen == ["closed"]
    assert ask(client, scan()).result


def test_an_error_in_a_handler_is_the_owner_s_and_loses_no_later_event(play: Callable[[str], WorkerClient]) -> None:
    client = play('        self.emit("note", id=request["id"], text="x")' + RESULT)
    results: list[Result] = []

    def fail(_: str) -> None:
        raise RuntimeError("the owner's own")

    client.segment(scan(), Settings(), Handlers(note=fail, done=results.append))
    with pytest.raises(RuntimeError, match="the owner's own"):
        drive(client, lambda: False)
    drive(client, lambda: bool(results))


def test_a_result_that_is_cut_off_is_a_failure(play: Callable[[str], WorkerClient]) -> None:
    client = play(
        """
        open(request["output"] + "/segmentation.npy", "wb").write(b"\\x93NUMPY")
        self.emit("done", id=request["id"], report={}, arrays={"segmentation": {"start": [0] * 3, "outside": 0}})
"""
    )
    assert "the result could not be fetched" in ask(client, scan()).failure
    assert not list(exchange_of(client).iterdir())


def test_a_folder_that_is_not_the_exchange_s_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    arguments = [sys.executable, *acting(RESULT), str(os.getpid()), str(tmp_path)]
    subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=PATIENCE)
    assert (tmp_path / "thesis.txt").exists()


def test_a_request_that_cannot_be_handed_over_is_a_failure_and_the_next_one_is_answered(
    play: Callable[[str], WorkerClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, request: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    client = play(RESULT)
    with monkeypatch.context() as patch:
        patch.setattr("mtctl.worker.client.put_request", full)
        assert "the scan could not be handed over: " in ask(client, scan()).failure
    assert ask(client, scan()).result


def test_the_client_does_without_torch_and_the_child_ignores_modules_in_the_current_folder(tmp_path: Path) -> None:
    code = "import sys, mtctl.worker.client; assert not {'torch', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    (tmp_path / "json.py").write_text("raise SystemExit('not the json you want')")
    code = "import time\nfrom mtctl.worker.client import WorkerClient\n"
    code += "client = WorkerClient(arguments=('-m', 'json.tool'))\n"
    code += "client.start()\nsaid = client._child.output\ntime.sleep(1)\nclient.poll()\n"
    code += "assert 'not the json' not in str(said.lines)"
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd=tmp_path)


def test_a_temporary_folder_that_was_tidied_away_is_made_again_and_none_is_left_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client = WorkerClient(arguments=acting(RESULT))
    client.start()
    assert len(list(tmp_path.iterdir())) == 1
    shutil.rmtree(next(tmp_path.iterdir()))  # Somebody tidied up.
    assert ask(client, scan()).result
    client.close()
    assert not list(tmp_path.iterdir())
