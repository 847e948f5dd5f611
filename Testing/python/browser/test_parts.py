"""The parts of the reviewer that need neither views nor a browser."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import gzip
import ipaddress
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scans import scan

from mtctl.browser import graphics
from mtctl.browser.server.connections import ignore_lost_connections
from mtctl.browser.sources import reading
from mtctl.browser.ui.history import EditHistory
from mtctl.commands.main import main
from mtctl.errors import MtctlError
from mtctl.io.volumes import read_volume, write_volume

pytestmark = pytest.mark.slow


@given(st.lists(st.tuples(st.sampled_from(["edit", "reply", "undo", "redo"]), st.integers(0, 2**12 - 1)), max_size=30))
def test_undo_and_redo_are_exact_whatever_the_order(actions: list[tuple[str, int]]):
    history, mask, replies = EditHistory(), np.zeros((3, 4, 1), dtype=bool), 0
    done, undone, most = [(mask, replies)], [], 0
    for action, bits in actions:
        if action in ("edit", "reply"):
            after = np.array([bits >> i & 1 for i in range(12)], dtype=bool).reshape(3, 4, 1)
            most += action == "reply"
            given = most if action == "reply" else replies
            if history.add(action, mask, after, (replies, given)):
                mask, replies = after, given
                done.append((mask, replies))
                undone.clear()
        elif action == "undo":
            mask, replies = history.undo(mask) or (mask, replies)
            if len(done) > 1:
                undone.append(done.pop())
        else:
            mask, replies = history.redo(mask) or (mask, replies)
            if undone:
                done.append(undone.pop())
        assert (mask == done[-1][0]).all() and replies == done[-1][1]
        assert bool(history.can_undo) == (len(done) > 1)
        assert bool(history.can_redo) == bool(undone)


def test_a_large_map_waits_on_the_disk_unchanged(monkeypatch: pytest.MonkeyPatch):
    array = np.random.default_rng(1).random((5, 6, 7), dtype=np.float32)[:, ::-1]
    assert reading.memory_mapped(array) is array
    monkeypatch.setattr(reading, "_LARGE", 1)
    kept = reading.memory_mapped(array)
    assert isinstance(kept, np.memmap) and not kept.flags.writeable
    assert np.array_equal(kept, array)


def test_the_child_writes_a_clean_copy(tmp_path: Path):
    volume = scan((20, 24, 28))
    write_volume(volume, tmp_path / "in.nii.gz")
    assert intake_in_child(tmp_path / "in.nii.gz", tmp_path / "out.nrrd") == (0, "")
    back = read_volume(tmp_path / "out.nrrd")
    assert np.array_equal(back.array, volume.array)
    assert b"descrip" not in (tmp_path / "out.nrrd").read_bytes()[:2000]


@pytest.mark.parametrize("name", ["cut.nii.gz", "noise.nrrd", "small.nrrd"])
def test_the_child_says_in_a_sentence_what_is_wrong(tmp_path: Path, name: str):
    path = tmp_path / name
    if name == "cut.nii.gz":
        write_volume(scan((20, 24, 28)), path)
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-900]))
    elif name == "small.nrrd":
        write_volume(scan((4, 4, 4)), path)
    else:
        path.write_bytes(b"NRRD0004\n\n")
    status, words = intake_in_child(path, tmp_path / "out.nrrd")
    assert status == 1
    assert words and len(words.splitlines()) == 1 and str(tmp_path) not in words
    assert not (tmp_path / "out.nrrd").exists()


def intake_in_child(scan: Path, copy: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mtctl.browser.server.upload_process", str(scan), str(copy)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize(
    ("part", "stand_in", "words"),
    [("find_spec", lambda name: None, "pip install"), ("_loads", lambda name: False, "OpenGL library")],
)
def test_what_is_not_installed_is_said_before_vtk_ends_the_process(
    part: str, stand_in: object, words: str, monkeypatch: pytest.MonkeyPatch
):
    if part == "_loads" and sys.platform != "linux":
        pytest.skip("asked on Linux only")
    monkeypatch.setattr(graphics, part, stand_in)
    with pytest.raises(MtctlError, match=words):
        graphics.require()


def test_messages_are_allowed_in_bursts_and_at_a_rate():
    pytest.importorskip("trame_slicer")
    from mtctl.browser.server import rpc_guard

    now = [0.0]
    limit = rpc_guard.RateLimit(lambda: now[0])
    assert all(limit.allow() for _ in range(rpc_guard.BURST))
    assert not limit.allow()
    now[0] += 1.0
    assert sum(limit.allow() for _ in range(rpc_guard.BURST)) == pytest.approx(rpc_guard.RATE, abs=2)
    now[0] += 3600.0
    assert sum(limit.allow() for _ in range(2 * rpc_guard.BURST)) == rpc_guard.BURST


def test_a_mouse_event_is_reduced_to_numbers_before_vtk_sees_it():
    pytest.importorskip("trame_slicer")
    from mtctl.browser.server import rpc_guard

    check = rpc_guard._mouse_event(frozenset({"Axial"}), lambda: True)
    event = {"type": "MouseMove", "x": 3, "y": 4.5, "ctrlKey": True, "deviceType": {"a": []}, "keyCode": "x"}
    check("Axial", "page", event)
    assert event == {
        **{"type": "MouseMove", "x": 3, "y": 4.5, "w": 0, "h": 0, "spinY": 0},
        **{"ctrlKey": 1, "altKey": 0, "shiftKey": 0, "metaKey": 0},
    }
    pressed = {"type": "LeftButtonPress", "x": 3, "y": 4}
    rpc_guard._mouse_event(frozenset({"Axial"}), lambda: False)("Axial", "page", pressed)
    assert pressed["type"] == "EndInteractionEvent", "the tab shows another case"
    key = {"type": "KeyDown", "keyCode": "x"}
    check("Axial", "page", key)
    assert key["type"] == "EndInteractionEvent"
    for wrong in ({"type": "MouseMove", "x": "3", "y": 0}, {"type": "MouseMove", "x": True, "y": 0}, {"x": 1}):
        with pytest.raises(rpc_guard.RefusedMessage):
            check("Axial", "page", wrong)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no such file or folder"),
        (["--port", "99999", "."], "no port"),
        (["--device", "tpu", "."], "invalid"),
        (["--reviewer", " ", "."], "no name: 1 to 64 characters in one line"),
        *((["--host", host, "."], "ssh -t -L") for host in ("0.0.0.0", "::", "192.168.1.7", "example.org", "")),
    ],
)
def test_wrong_usage_is_said_in_a_sentence(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    status = 0
    with contextlib.suppress(SystemExit):
        status = main(["review", *arguments])
    assert words in capsys.readouterr().err
    assert status in (0, 1)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.9", "::1", "[::1]"])
def test_addresses_of_this_computer_alone_are_taken(host: str):
    from mtctl.commands import review

    parser = argparse.ArgumentParser()
    review.add_parser(parser.add_subparsers())
    assert ipaddress.ip_address(parser.parse_args(["review", "--host", host]).host).is_loopback


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as on POSIX")
def test_the_browser_is_started_with_a_file_that_only_its_owner_reads_not_with_the_link(
    monkeypatch: pytest.MonkeyPatch,
):
    pytest.importorskip("trame_slicer")
    from mtctl.browser.server.opening import RedirectPage

    started: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: started.append(url) or True)
    page = RedirectPage("http://127.0.0.1:1/?token=secret&a=<b>")
    assert page.open()
    assert started == [page.path.as_uri()] and "secret" not in started[0]
    assert "token=secret&amp;a=&lt;b&gt;" in page.path.read_text(encoding="utf-8")
    assert page.path.stat().st_mode & 0o777 == 0o600
    assert page.path.parent.stat().st_mode & 0o777 == 0o700
    page.remove()
    page.remove()
    assert not page.path.parent.exists()


SERVE = """
import importlib, pkgutil, sys
import mtctl.browser as browser
from mtctl.commands.main import main
for found in pkgutil.walk_packages(browser.__path__, "mtctl.browser."):
    importlib.import_module(found.name)
assert "mtctl.browser.server.server" in sys.modules
status = main(["review", sys.argv[1], "--check"])
assert "torch" not in sys.modules
sys.exit(status)
"""


def test_check_serves_the_page_once_and_ends_without_torch(tmp_path: Path):
    pytest.importorskip("trame_slicer")
    write_volume(scan((20, 24, 28)), tmp_path / "scan.nrrd")
    done = subprocess.run([sys.executable, "-c", SERVE, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "http://127.0.0.1:" in done.stdout
    assert "The page answers." in done.stdout


def test_a_port_that_is_taken_is_said(tmp_path: Path):
    pytest.importorskip("trame_slicer")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "mtctl", "review", str(tmp_path), "--port", str(taken.getsockname()[1])]
        done = subprocess.run([*command, "--check"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "another --port" in done.stderr


def test_a_tab_that_has_just_gone_is_no_fault_to_log_and_any_other_is(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def two() -> None:
        asyncio.get_running_loop().set_exception_handler(ignore_lost_connections)
        for error in (ConnectionResetError("closed"), ValueError("wrong")):
            task = asyncio.create_task(fail(error))
            await asyncio.sleep(0)
            del task
        gc.collect()

    asyncio.run(two())
    assert "wrong" in caplog.text and "closed" not in caplog.text
