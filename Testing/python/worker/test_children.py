"""Children that go wrong or are not started as ours are, and what the client of the worker makes of them. No torch."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.scans import scan
from support.worker_client import PATIENCE, Heard, ask, child_pid, drive, exchange_of, printed

from mtctl.inference.result import Result
from mtctl.system.process_tree import family_of, is_running
from mtctl.worker.client import WorkerClient
from mtctl.worker.requests import Handlers, Settings

pytestmark = pytest.mark.slow


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
