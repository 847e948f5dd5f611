"""Hostile requests to a real reviewer: refused in a sentence, and the review goes on unharmed."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from support.browser_case import write_case
from support.reviewer_client import Server, call, closing, hello, packed, state_of
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

#: Stands for what a tab shows.
AT = "AT"


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
    running = Server(folder, "--largest-upload", str(LARGEST_MB))
    running.unharmed()
    yield running
    running.stop()


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


def test_a_link_to_a_scan_is_a_case_and_one_to_a_folder_above_is_none(server: Server):
    async def cases(ws: aiohttp.ClientWebSocketResponse) -> list[str]:
        await hello(ws)
        return [case["key"] for case in (await call(ws, "trame.state.get", []))["state"]["cases"]]

    assert server.talk(cases) == ["ball.image.nrrd", "link.image.nrrd"]


@pytest.mark.parametrize(
    "key", ["../elsewhere.image.nrrd", "/etc/passwd", "links/elsewhere.image.nrrd", "links/secret.txt", 7, None, {}]
)
def test_only_cases_of_the_work_list_can_be_opened(server: Server, key: object):
    async def open_it(ws: aiohttp.ClientWebSocketResponse) -> object:
        await hello(ws)
        return await call(ws, "trame.trigger", ["open", [None, key], {}])

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
        ("bomb.nii.gz", gzip.compress(bytes(100_000_000)), "bomb: "),
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
        ("trame.state.update", [[{"key": "questions", "value": {}}, {"key": "shown", "value": None}]]),
        ("trame.state.update", [{"nonsense": 1}]),
        ("trame.force.push", ["trame__scripts"]),
        ("trame.trigger", ["threshold", [AT, "NaN"], {}]),
        ("trame.trigger", ["threshold", [AT, float("nan")], {}]),
        ("trame.trigger", ["threshold", [AT, {"a": 1}], {}]),
        ("trame.trigger", ["slice", [AT, "Axial", float("inf")], {}]),
        ("trame.trigger", ["brush", [AT, float("nan")], {}]),
        ("trame.trigger", ["next_question", [AT, "one"], {}]),
        ("trame.trigger", ["__class__", [AT, 99999], {}]),
        ("trame.trigger", ["reject_case", [AT, ""], {}]),
        ("trame.trigger", ["reject_case", [AT], {}]),
    ]

    async def all_of_them(ws: aiohttp.ClientWebSocketResponse) -> list[object]:
        await hello(ws)
        place = (await state_of(ws))["at"]
        for _, args in calls:
            if len(args) == 3 and isinstance(args[1], list) and args[1][:1] == [AT]:
                args[1][0] = place
        return [await call(ws, method, args) for method, args in calls]

    answers = server.talk(all_of_them)
    assert isinstance(answers, list)
    for (method, args), answer in zip(calls, answers, strict=True):
        assert "Traceback" not in str(answer), (method, args, answer)
    server.unharmed()


@pytest.mark.parametrize(
    "method, args", [("trame.trigger", ["refresh", [None], {}]), ("trame.state.get", []), ("nothing", [])]
)
def test_a_flood_of_messages_ends_its_connection_only(server: Server, method: str, args: list):
    async def flood(ws: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
        await hello(ws)
        ended = asyncio.ensure_future(closing(ws))
        message = packed({"wslink": "1.0", "id": "rpc:flood:0", "method": method, "args": args})
        while not ended.done():  # faster than they are answered, however busy this machine is
            with contextlib.suppress(ConnectionError):
                await ws.send_bytes(message)
            await asyncio.sleep(0)
        return await ended

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
