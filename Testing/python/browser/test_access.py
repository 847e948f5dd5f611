"""Hostile requests to a real reviewer: refused in a sentence, and the review goes on unharmed."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import msgpack
import numpy as np
import pytest
from support.browser_case import write_case
from support.children import wait_for
from support.scans import scan

from mtctl.geometry import Geometry, Volume
from mtctl.io.volumes import read_volume, write_volume

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("trame_slicer") is None, reason="trame-slicer is not installed (slicer-mtctl[review])"
    ),
]

LARGEST_MB = 2


class Server:
    """`mtctl review` of a folder, with a client that is in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder.parent / "log.txt"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [
                    *[sys.executable, "-m", "mtctl", "review", str(folder), "--no-browser"],
                    *["--largest-upload", str(LARGEST_MB)],
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
            )
        wait_for(self._answers, 90)
        self.address = self.links()[0].split("/?")[0]
        self.cookies = asyncio.run(self._enter())

    def links(self) -> list[str]:
        return re.findall(r"http://\S+/\?token=\S+", self.log.read_text(encoding="utf-8"))

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return bool(self.links())

    async def _enter(self) -> dict[str, str]:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session, session.get(self.links()[-1]) as page:
            assert page.status == 200
        return {cookie.key: cookie.value for cookie in jar}

    def get(self, path: str, cookies: dict[str, str] | None = None, **headers: str) -> tuple[int, str]:
        """GET, exactly as written: aiohttp's client would tidy the path up. Status and body."""
        host, port = self.address.removeprefix("http://").split(":")
        sent = {"Host": f"{host}:{port}", "Connection": "close", **headers}
        if cookies:
            sent["Cookie"] = "; ".join(f"{key}={value}" for key, value in cookies.items())
        head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in sent.items()) + "\r\n"
        with socket.create_connection((host, int(port)), 20) as stream:
            stream.sendall(head.encode())
            answer = b""
            while piece := stream.recv(1 << 16):
                answer += piece
        return int(answer.split()[1]), answer.decode("utf-8", "replace")

    def put(self, name: str, content: bytes) -> tuple[int, str]:
        async def send() -> tuple[int, str]:
            async with (
                aiohttp.ClientSession(cookies=self.cookies, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
                session.put(f"{self.address}/scans/{name}", data=content) as answer,
            ):
                return answer.status, await answer.text()

        return asyncio.run(send())

    def talk(self, work: Callable[[aiohttp.ClientWebSocketResponse], Awaitable[object]], **headers: str) -> object:
        async def run() -> object:
            jar = aiohttp.CookieJar(unsafe=True)
            async with (
                aiohttp.ClientSession(cookies=self.cookies, cookie_jar=jar) as session,
                session.ws_connect(f"{self.address}/ws", headers=headers) as ws,
            ):
                return await work(ws)

        return asyncio.run(run())

    def unharmed(self) -> None:
        """The process lives, the review is what it was, and the page can be used."""

        async def look(ws: aiohttp.ClientWebSocketResponse) -> dict:
            await call(ws, "wslink.hello", [{"secret": "wslink-secret"}], "system:c0:0")
            return (await call(ws, "trame.state.get", []))["state"]

        assert self.process.poll() is None, self.log.read_text()
        state: dict = {}

        def a_case_is_open() -> bool:
            state.update(self.talk(look))
            return state["shown"] is not None

        wait_for(a_case_is_open, pause=0.5)
        assert state["shown"]["name"] == "ball"
        assert len(state["regions"]) > 0
        assert 0 <= state["threshold"] <= 1


def packed(message: object, total: int | None = None) -> bytes:
    content = msgpack.packb(message)
    return struct.pack("<III", abs(hash(str(message))) % 2**32, 0, len(content) if total is None else total) + content


async def call(ws: aiohttp.ClientWebSocketResponse, method: str, args: list, id: str = "rpc:test:0") -> object:
    await ws.send_bytes(packed({"wslink": "1.0", "id": id, "method": method, "args": args, "kwargs": {}}))
    while True:
        message = await ws.receive(20)
        assert message.type is aiohttp.WSMsgType.BINARY, message
        answer = msgpack.unpackb(message.data[12:])
        if answer.get("id") == id:
            return answer.get("result", answer.get("error"))


async def hello(ws: aiohttp.ClientWebSocketResponse) -> None:
    await call(ws, "wslink.hello", [{"secret": "wslink-secret"}], "system:c0:0")


async def closing(ws: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
    """How the server closes the connection: code and reason."""
    async with asyncio.timeout(30):
        while True:
            message = await ws.receive()
            if message.type is aiohttp.WSMsgType.CLOSE:
                return message.data, message.extra or ""
            if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return ws.close_code, ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    outer = tmp_path_factory.mktemp("hostile")
    folder = outer / "cases"
    folder.mkdir()
    write_case(folder)
    (outer / "secret.txt").write_text("nobody may read this", encoding="utf-8")
    write_volume(scan((24, 28, 32)), outer / "elsewhere.image.nrrd")
    (folder / "link.image.nrrd").symlink_to(outer / "elsewhere.image.nrrd")
    (folder / "links").symlink_to(outer)
    running = Server(folder)
    running.unharmed()
    yield running
    running.process.send_signal(signal.SIGINT)
    running.process.wait(30)


@pytest.mark.skipif(sys.platform != "linux", reason="what listens is read from /proc")
def test_it_listens_on_this_machine_only(server: Server):
    port = int(server.address.rsplit(":", 1)[1])
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if " 0A " in line]
    assert [address for address in listening if address.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/mtctl_reviewer/../../../../../../../etc/passwd",
        "/mtctl_reviewer/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/mtctl_reviewer/..%2f..%2f..%2fetc%2fpasswd",
        "/mtctl_reviewer//etc/passwd",
        "/scans/..%2f..%2fsecret.txt",
        "/cases/ball.image.nrrd",
    ],
)
def test_no_path_leads_to_a_file_that_is_not_the_pages(server: Server, path: str):
    status, body = server.get(path, server.cookies)
    assert status in (400, 403, 404, 405), body[:200]
    assert "root:" not in body and "nobody may read" not in body
    server.unharmed()


def test_links_out_of_the_folder_are_no_cases(server: Server):
    async def cases(ws: aiohttp.ClientWebSocketResponse) -> list[str]:
        await hello(ws)
        return [case["key"] for case in (await call(ws, "trame.state.get", []))["state"]["cases"]]

    assert server.talk(cases) == ["ball.image.nrrd"]


@pytest.mark.parametrize(
    "key", ["../elsewhere.image.nrrd", "/etc/passwd", "link.image.nrrd", "links/secret.txt", 7, None, {}]
)
def test_only_cases_of_the_work_list_can_be_opened(server: Server, key: object):
    async def open_it(ws: aiohttp.ClientWebSocketResponse) -> object:
        await hello(ws)
        return await call(ws, "trame.trigger", ["open", [key], {}])

    assert "no such case" in str(server.talk(open_it))
    server.unharmed()


@pytest.mark.parametrize("path", ["/", "/index.html", "/?token=", "/?token=wrong", "/mtctl_reviewer/page.js"])
def test_without_the_token_nothing_is_served(server: Server, path: str):
    status, body = server.get(path)
    assert status == 401
    assert "link" in body.rsplit("\r\n\r\n", 1)[-1]


def test_a_link_works_once(server: Server):
    spent, fresh = server.links()[0], server.links()[-1]
    assert spent != fresh
    assert server.get(spent.removeprefix(server.address))[0] == 401
    assert server.get(fresh.removeprefix(server.address))[0] == 303
    assert server.links()[-1] != fresh


def test_a_websocket_without_the_cookie_is_refused(server: Server):
    async def knock() -> int:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.ws_connect(f"{server.address}/ws"):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    assert asyncio.run(knock()) == 401


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
)
def test_foreign_hosts_and_pages_are_refused_even_with_the_cookie(server: Server, headers: dict[str, str]):
    status, body = server.get("/index.html", server.cookies, **headers)
    assert status == 403, body[:300]


def test_a_page_on_another_port_cannot_open_the_websocket(server: Server):
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        server.talk(lambda ws: ws.ping(), Origin="http://127.0.0.1:1")


def test_an_oversize_scan_is_refused(server: Server):
    status, sentence = server.put("big.nrrd", os.urandom(LARGEST_MB * 1_000_000 + 1))
    assert (status, "larger than 2 MB" in sentence) == (413, True)
    server.unharmed()


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("noise.nrrd", os.urandom(5000), "not a NRRD file"),
        ("noise.nii.gz", os.urandom(5000), "noise: "),
        ("bomb.nii.gz", gzip.compress(bytes(400_000_000)), "bomb: "),
        ("empty.mha", b"", "empty"),
        ("..%2F..%2Fevil.sh", b"#!/bin/sh", "drop one file"),
        ("scan.exe", b"MZ", "drop one file"),
    ],
)
def test_garbage_is_refused_in_a_sentence(server: Server, name: str, content: bytes, word: str):
    before = sorted(path.name for path in server.folder.iterdir())
    status, sentence = server.put(name, content)
    assert status == 422, sentence
    assert word in sentence
    assert "/tmp" not in sentence and len(sentence.splitlines()) == 1
    assert sorted(path.name for path in server.folder.iterdir()) == before
    server.unharmed()


NRRD_OF_ANOTHER_FILE = """NRRD0004
type: uint8
dimension: 3
sizes: 32 32 32
spacings: 1 1 1
encoding: raw
data file: {}

"""

METAIMAGE_OF_ANOTHER_FILE = """ObjectType = Image
NDims = 3
DimSize = 32 32 32
ElementSpacing = 1 1 1
ElementType = MET_UCHAR
ElementDataFile = {}
"""


@pytest.mark.parametrize(
    ("name", "head"), [("theft.nrrd", NRRD_OF_ANOTHER_FILE), ("theft.mha", METAIMAGE_OF_ANOTHER_FILE)]
)
def test_a_header_cannot_fetch_another_file_of_this_machine(server: Server, name: str, head: str):
    wanted = server.folder / "ball.image.nrrd"
    status, sentence = server.put(name, head.format(wanted).encode())
    assert status == 422
    assert "second file" in sentence


def test_malformed_messages_close_their_connection_with_a_reason(server: Server):
    async def say(ws: aiohttp.ClientWebSocketResponse, content: bytes | str) -> tuple[int | None, str]:
        await hello(ws)
        await (ws.send_str(content) if isinstance(content, str) else ws.send_bytes(content))
        return await closing(ws)

    for content in (
        b"",
        b"short",
        os.urandom(600),
        "text",
        packed([1, 2, 3]),
        packed({"id": 5, "method": []}),
        packed({"id": "rpc:x:1"}),
        packed({"claims": "4 GB"}, total=2**32 - 1),
        packed({"id": "system", "method": "wslink.hello", "args": "x" * 300_000}),
    ):
        code, reason = server.talk(lambda ws, content=content: say(ws, content))
        assert code in (1008, 1009), (content[:20], code)
        assert reason or code == 1009
    server.unharmed()


def test_calls_that_are_not_the_pages_are_refused_and_change_nothing(server: Server):
    event = {"type": "MouseMove", "x": 1, "y": 1, "w": 10, "h": 10, "ctrlKey": 0, "altKey": 0, "shiftKey": 0}
    calls = [
        ("trame.trigger", ["os.system", ["true"], {}]),
        ("trame.trigger", ["__init__", [], {}]),
        ("trame.trigger", ["open", "../../etc", {}]),
        ("trame.trigger", [{}, [], {}]),
        ("trame.rca.size", ["Axial", "page", {"w": 10**9, "h": 10**9, "p": 1}]),
        ("trame.rca.size", ["Axial", "page", {"w": float("nan"), "h": 5, "p": 1}]),
        ("trame.rca.size", ["nowhere", "page", {"w": 10, "h": 10, "p": 1}]),
        ("trame.rca.event", ["Axial", "page", {**event, "x": "a"}]),  # VTK ends the process where this gets through
        ("trame.rca.event", ["Axial", "page", {**event, "x": True}]),
        ("trame.rca.event", ["Axial", "page", {**event, "type": 5}]),
        ("trame.rca.event", ["Axial", "page", {"type": "KeyDown", "keyCode": {}}]),
        ("trame.rca.event", ["Axial", "page", []]),
        ("trame.rca.event", []),
        ("trame.rca.drop", ["Axial", 0]),
        ("file.server.directory.list", ["/etc"]),
        ("application.exit", []),
        ("application.exit.later", [1]),
        ("trame.state.update", [[{"key": "regions", "value": []}, {"key": "shown", "value": None}]]),
        ("trame.state.update", [{"nonsense": 1}]),
        ("trame.force.push", ["trame__scripts"]),
        ("trame.trigger", ["threshold", ["NaN"], {}]),
        ("trame.trigger", ["threshold", [float("nan")], {}]),
        ("trame.trigger", ["threshold", [{"a": 1}], {}]),
        ("trame.trigger", ["slice", ["Axial", float("inf")], {}]),
        ("trame.trigger", ["brush", [float("nan")], {}]),
        ("trame.trigger", ["jump", ["one"], {}]),
        ("trame.trigger", ["jump", [99999], {}]),
        ("trame.trigger", ["propose", ["__class__"], {}]),
        ("trame.trigger", ["reject_case", [""], {}]),
        ("trame.trigger", ["reject_case", [], {}]),
    ]

    async def all_of_them(ws: aiohttp.ClientWebSocketResponse) -> list[object]:
        await hello(ws)
        return [await call(ws, method, args) for method, args in calls]

    answers = server.talk(all_of_them)
    assert isinstance(answers, list)
    for (method, args), answer in zip(calls, answers, strict=True):
        assert "Traceback" not in str(answer), (method, args, answer)
    server.unharmed()


@pytest.mark.parametrize(
    "method, args", [("trame.trigger", ["refresh", [], {}]), ("trame.state.get", []), ("nothing", [])]
)
def test_a_flood_of_a_thousand_messages_ends_its_connection_only(server: Server, method: str, args: list):
    async def flood(ws: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
        await hello(ws)
        message = packed({"wslink": "1.0", "id": "rpc:flood:0", "method": method, "args": args})
        for _ in range(1000):
            await ws.send_bytes(message)
        return await closing(ws)

    assert server.talk(flood) == (1008, "too many messages")
    server.unharmed()


def test_a_good_scan_is_taken_in_under_a_plain_name(server: Server, tmp_path: Path):
    volume = scan((20, 24, 28), seed=2)
    tilted = Geometry(
        volume.geometry.size, (0.7, 0.8, 0.9), (3.0, -4.0, 5.0), (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    )
    write_volume(Volume(volume.array, tilted), tmp_path / "scan.nrrd")
    status, body = server.put("Jane%20Doe%20..%2F%3Cb%3E.nrrd", (tmp_path / "scan.nrrd").read_bytes())
    assert status == 200, body
    key = json.loads(body)["key"]
    assert re.fullmatch(r"[A-Za-z0-9._-]+\.image\.nrrd", key)
    back = read_volume(server.folder / key)
    assert np.array_equal(back.array, volume.array)
    assert back.geometry == tilted
    (server.folder / key).unlink()
