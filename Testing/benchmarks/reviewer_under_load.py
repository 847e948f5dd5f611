"""What the browser reviewer loses, and whether it goes on saving, where much is asked of it at once.

    PYTHONPATH=Testing python Testing/benchmarks/reviewer_under_load.py

Prints a line for each: two reviewers on one folder, two tabs, 50 tabs, 1,020 half-open connections, slow uploads, a
disk that is full and freed (a tmpfs: needs root on Linux, else it is left out with the reason). The status is
1 where anything was lost or was not saved.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import numpy as np
from support.browser_case import write_case
from support.reviewer_client import Server, hello, state_of, stroke, trigger
from support.scans import scan

from mtctl.io.volumes import read_mask, write_volume

BALL, OTHER = "ball.image.nrrd", "other/ball.image.nrrd"

HALF_OPEN, TABS = 1020, 50


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    good = True
    for measure in (two_reviewers, two_tabs, many_tabs, half_open, slow_uploads, full_disk):
        with tempfile.TemporaryDirectory() as scratch:
            words, kept = measure(Path(scratch))
            print(f"{measure.__name__.replace('_', ' ') + ':':<16} {words}", flush=True)
            good = good and kept
    return 0 if good else 1


def two_reviewers(scratch: Path) -> tuple[str, bool]:
    with reviewer(scratch, "--reviewer", "MK") as first, reviewer(scratch, "--reviewer", "JS", log="b") as second:
        edit(first)
        ours = changed(first.folder, "ball")
        held = second.state()["held"]
        give(second, "take_over")
        found = changed(first.folder, "ball")
        edit(first, "paint")  # mostly before it notices
        edit(second, "paint")
        wait(lambda: bool(first.state()["held"]), 60)
        told, beside = first.state()["held"], changed(first.folder, "ball.beside-1")
        lost = [voxels_lost(first, "ball.beside-1") if beside else ours - found, voxels_lost(second, "ball")]
        theirs = changed(first.folder, "ball")
    words = (
        f"the second was told '{held}', the first '{told}'; changed voxels stored: {beside or found} of the first, "
        f"{theirs} of the second; lost: {lost[0]} and {lost[1]}"
    )
    return words, lost == [0, 0] and theirs > 0 and "MK" in held and "JS" in told


def two_tabs(scratch: Path) -> tuple[str, bool]:
    with reviewer(scratch) as server:

        async def work(first: aiohttp.ClientWebSocketResponse) -> int:
            refused = 0
            for name in ("accept_case", "undo", "redo", "reject_case"):
                await trigger(first, "open", BALL)
                at = (await state_of(first))["at"]
                async with tab(server) as second:
                    await trigger(second, "open", OTHER)
                refused += "another tab" in await trigger(first, name, at=at)
            return refused

        refused = in_a_tab(server, work)
        decided = (server.folder / "case-store").exists()
    words = f"{refused} of 4 commands of the tab that showed another case refused, wrong decisions: {int(decided)}"
    return words, refused == 4 and not decided


def many_tabs(scratch: Path) -> tuple[str, bool]:
    with reviewer(scratch) as server:

        async def work() -> tuple[int, float]:
            async with contextlib.AsyncExitStack() as stack:
                tabs = [await stack.enter_async_context(tab(server)) for _ in range(TABS)]
                begin = time.monotonic()
                for one in tabs:
                    await trigger(one, "next_question")
                seconds = (time.monotonic() - begin) / TABS
                await trigger(tabs[-1], "threshold", 0.41)
                places = [(await state_of(one))["at"] for one in tabs]
            return len({str(place) for place in places}), seconds

        shown, seconds = asyncio.run(work())
        saved = wait(lambda: threshold(server) == 0.41)
    words = f"{TABS} tabs show {shown} case, {1000 * seconds:.0f} ms a command; saving went on: {said(saved)}"
    return words, shown == 1 and saved


def half_open(scratch: Path) -> tuple[str, bool]:
    with reviewer(scratch) as server, contextlib.ExitStack() as streams:
        for _ in range(HALF_OPEN):
            stream = streams.enter_context(socket.create_connection(address(server), 20))
            with contextlib.suppress(ConnectionError):
                stream.sendall(b"GET / HTTP/1.1\r\nHost: ")
        edit(server)
        saved, lost = changed(server.folder, "ball") > 0, server.state()["unsaved"]
        page = server.get("/index.html", server.cookies)[0]
    return (
        f"saving went on: {said(saved)}; the page answers {page}; not saved: {lost or 'nothing'}",
        saved and page == 200,
    )


def slow_uploads(scratch: Path) -> tuple[str, bool]:
    write_volume(scan((20, 24, 28)), scratch / "quick.nrrd")
    with reviewer(scratch) as server, contextlib.ExitStack() as streams:
        cookie = "; ".join(f"{name}={value}" for name, value in server.cookies.items())
        head = (
            f"PUT /scans/slow.nrrd HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nContent-Length: 1000000\r\n\r\n"
        )
        slow = [streams.enter_context(socket.create_connection(address(server), 60)) for _ in range(3)]
        for stream in slow:
            stream.sendall(head.encode() + b"NRRD")
        status, _ = server.put("quick.nrrd", (scratch / "quick.nrrd").read_bytes())
        ended = [stream.recv(100)[9:12].decode() for stream in slow]
        there = len(list(server.folder.glob("quick*.image.nrrd")))
    words = f"one beside three that stand still: {status}, {there} scan taken in; those were ended with {ended[0]}"
    return words, status == 200 and ended == ["408"] * 3


def full_disk(scratch: Path) -> tuple[str, bool]:
    disk = scratch / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        return f"left out, as no small disk can be mounted here: {mounted.stderr.strip()}", True
    try:
        with reviewer(disk, log=str(scratch / "log.txt")) as server:
            edit(server)
            before = changed(server.folder, "ball")
            with contextlib.suppress(OSError), open(disk / "filler", "wb") as filler:
                while True:
                    filler.write(bytes(4096))
            scribble(server, "paint")
            wait(lambda: bool(server.state()["unsaved"]))
            told = server.state()["unsaved"].removeprefix(f"{server.folder}: ")
            whole = changed(server.folder, "ball")
            (disk / "filler").unlink()
            saved = wait(lambda: server.state()["saved"] == "saved" and changed(server.folder, "ball") != before)
            after = changed(server.folder, "ball")
            kept = agrees(server.folder)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    words = (
        f"told: '{told}'; the file held the {whole} changed voxels of before meanwhile; freed, it saved by itself: "
        f"{said(saved)}, {after} changed voxels, as the review says: {said(kept)}"
    )
    return words, saved and kept and whole == before


@contextlib.contextmanager
def reviewer(scratch: Path, *options: str, log: str = "a") -> Iterator[Server]:
    """A reviewer of two small cases, with the first open."""
    folder = scratch / "cases"
    if not folder.exists():
        folder.mkdir()
        write_case(folder)
        shutil.copytree(folder, folder / "other")
    server = Server(folder, *options, log=log)
    try:
        server.unharmed()
        give(server, f"open {BALL}")
        yield server
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def tab(server: Server):  # type: ignore[no-untyped-def]
    """A tab that is in."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        aiohttp.ClientSession(cookies=server.cookies, cookie_jar=jar) as session,
        session.ws_connect(f"{server.address}/ws") as ws,
    ):
        await hello(ws)
        yield ws


def in_a_tab(server: Server, work: Callable) -> int:
    async def run() -> int:
        async with tab(server) as ws:
            return await work(ws)

    return asyncio.run(run())


def give(server: Server, *commands: str) -> None:
    """Give commands, one after the other, each a name and what belongs to it."""

    async def work(ws: aiohttp.ClientWebSocketResponse) -> int:
        for command in commands:
            await trigger(ws, *command.split())
        return 0

    in_a_tab(server, work)


def edit(server: Server, tool: str = "erase") -> None:
    """Erase across the segmentation, or paint, and wait until that was tried to be saved."""
    scribble(server, tool)
    wait(lambda: server.state()["saved"] in ("saved", "NOT SAVED"))


def scribble(server: Server, tool: str) -> None:
    async def work(ws: aiohttp.ClientWebSocketResponse) -> int:
        await stroke(ws, tool)
        return 0

    in_a_tab(server, work)


def changed(folder: Path, stem: str) -> int:
    """How many voxels of the stored segmentation differ from the predicted one."""
    path = folder / f"{stem}.review.seg.nrrd"
    if not path.exists():
        return 0
    return int(np.count_nonzero((read_mask(path).array != 0) != (read_mask(folder / "ball.seg.nrrd").array != 0)))


def voxels_lost(server: Server, stem: str) -> int:
    """How many voxels the stored segmentation has more or fewer than the page shows; its volume is to 0.1 mL."""
    stored = read_mask(server.folder / f"{stem}.review.seg.nrrd")
    shown = float(server.state()["shown"]["volume"].removesuffix(" mL"))
    missing = abs(shown - np.count_nonzero(stored.array) * stored.geometry.voxel_ml)
    return 0 if missing < 0.051 else round(missing / stored.geometry.voxel_ml)


def agrees(folder: Path) -> bool:
    """Whether the stored segmentation holds the edits that the stored review lists."""
    review = json.loads((folder / "ball.review.json").read_text(encoding="utf-8"))
    difference = sum(edit["added_ml"] - edit["removed_ml"] for edit in review["edits"])
    before, after = read_mask(folder / "ball.seg.nrrd"), read_mask(folder / "ball.review.seg.nrrd")
    voxels = np.count_nonzero(after.array) - np.count_nonzero(before.array)
    return bool(abs(voxels * before.geometry.voxel_ml - difference) < before.geometry.voxel_ml / 2)


def threshold(server: Server) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        return float(json.loads((server.folder / "ball.review.json").read_text(encoding="utf-8"))["threshold"])
    return None


def address(server: Server) -> tuple[str, int]:
    host, port = server.address.removeprefix("http://").split(":")
    return host, int(port)


def wait(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def said(true: bool) -> str:
    return "yes" if true else "NO"


if __name__ == "__main__":
    sys.exit(main())
