"""Many connections, tabs and messages at one reviewer: it answers its person, and nothing of the review is lost."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.browser_case import write_case
from support.children import wait_for
from support.reviewer_client import Server, call, hello, state_of, trigger
from support.scans import scan

from mtctl.io.volumes import write_volume

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("trame_slicer") is None, reason="trame-slicer is not installed (slicer-mtctl[review])"
    ),
]

BALL, OTHER = "ball.image.nrrd", "other/ball.image.nrrd"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The reviewer of two cases."""
    folder = tmp_path_factory.mktemp("load") / "cases"
    folder.mkdir()
    write_case(folder)
    shutil.copytree(folder, folder / "other")
    running = Server(folder)
    running.unharmed()
    yield running
    running.stop()


@pytest.fixture
def ball(server: Server) -> Server:
    """The same, with the first case open."""

    async def show(ws: aiohttp.ClientWebSocketResponse) -> None:
        await hello(ws)
        await trigger(ws, "open", BALL)

    server.talk(show)
    return server


def address(server: Server) -> tuple[str, int]:
    host, port = server.address.removeprefix("http://").split(":")
    return host, int(port)


def raw(server: Server, content: bytes) -> bytes:
    """Send bytes as they are; the head of what comes back."""
    answer = b""
    with socket.create_connection(address(server), 20) as stream, contextlib.suppress(ConnectionError):
        stream.sendall(content)
        while b"\r\n\r\n" not in answer and (piece := stream.recv(1 << 16)):
            answer += piece
    return answer


def saved_threshold(server: Server) -> float | None:
    try:
        return float(json.loads((server.folder / "ball.review.json").read_text(encoding="utf-8"))["threshold"])
    except (FileNotFoundError, ValueError):
        return None


def test_a_review_is_saved_while_a_thousand_connections_say_half_a_word(ball: Server):
    with contextlib.ExitStack() as all_of_them:
        for _ in range(1020):
            stream = all_of_them.enter_context(socket.create_connection(address(ball), 20))
            with contextlib.suppress(ConnectionError):
                stream.sendall(b"GET / HTTP/1.1\r\nHost: ")

        async def move(ws: aiohttp.ClientWebSocketResponse) -> str:
            await hello(ws)
            return await trigger(ws, "threshold", 0.37)

        assert ball.talk(move) == ""
        wait_for(lambda: saved_threshold(ball) == 0.37)
        assert ball.get("/index.html", ball.cookies)[0] == 200
    assert "Too many open files" not in ball.log.read_text(encoding="utf-8")


def test_fifty_tabs_show_the_same_case_and_each_may_work_on_it(ball: Server):
    async def work() -> set[str]:
        jar = aiohttp.CookieJar(unsafe=True)
        async with (
            aiohttp.ClientSession(cookies=ball.cookies, cookie_jar=jar) as session,
            contextlib.AsyncExitStack() as s,
        ):
            tabs = [await s.enter_async_context(session.ws_connect(f"{ball.address}/ws")) for _ in range(50)]
            for tab in tabs:
                await hello(tab)
            assert [await trigger(tab, "next_question") for tab in tabs[::10]] == [""] * 5
            return {str((await state_of(tab))["at"]) for tab in tabs}

    assert len(asyncio.run(work())) == 1


@pytest.mark.parametrize(
    "name",
    ["accept_case", "reject_case", "undo", "redo", "threshold", "segment", "keep", "change", "next_question"],
)
def test_a_tab_that_shows_another_case_changes_nothing(ball: Server, name: str):
    async def in_two_tabs(first: aiohttp.ClientWebSocketResponse) -> tuple[str, dict]:
        await hello(first)
        at = (await state_of(first))["at"]
        jar = aiohttp.CookieJar(unsafe=True)
        async with (
            aiohttp.ClientSession(cookies=ball.cookies, cookie_jar=jar) as session,
            session.ws_connect(f"{ball.address}/ws") as second,
        ):
            await hello(second)
            assert await trigger(second, "open", OTHER) == ""
        said = await trigger(
            first, name, *([0.2] if name == "threshold" else ["poor"] if "reject" in name else []), at=at
        )
        return said, await state_of(first)

    answer = ball.talk(in_two_tabs)
    assert isinstance(answer, tuple)
    said, state = answer
    assert "another tab" in said
    assert (state["shown"]["key"], state["shown"]["status"], state["progress"]) == (OTHER, "draft", None)
    assert state["threshold"] != 0.2
    assert not (ball.folder / "case-store").exists()


MALFORMED = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
    b"GET / HTTP/1.1\r\nHost 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: \x00\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: mtctl=\xff\xfe\r\n\r\n",
    b"GET /?token=\xff%ff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    b"GET http://[/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
]


@pytest.mark.parametrize("content", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_request_is_refused_without_a_traceback(server: Server, content: bytes):
    status = raw(server, content)[9:12]
    assert status in (b"400", b"401", b"403", b"405"), status
    assert "Traceback" not in server.log.read_text(encoding="utf-8")


def test_a_cookie_that_is_no_utf_8_is_a_bad_request(server: Server):
    (name,) = server.cookies
    request = f"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: {name}=".encode()
    assert raw(server, request + b"\xff\xfe\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_one_slow_upload_does_not_shut_out_another(server: Server, tmp_path: Path):
    write_volume(scan((20, 24, 28)), tmp_path / "quick.nrrd")
    cookie = "; ".join(f"{name}={value}" for name, value in server.cookies.items())
    with socket.create_connection(address(server), 20) as slow:
        head = (
            f"PUT /scans/slow.nrrd HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nContent-Length: 1000000\r\n\r\n"
        )
        slow.sendall(head.encode() + b"NRRD")
        status, body = server.put("quick.nrrd", (tmp_path / "quick.nrrd").read_bytes())
        assert status == 200, body
    (server.folder / json.loads(body)["key"]).unlink()
    assert not (server.folder / "slow.image.nrrd").exists()


def test_an_upload_that_hardly_moves_is_ended_with_a_reason():
    from mtctl.browser.server.upload import UploadHandler

    async def no_scan(*_: object) -> str:
        raise AssertionError

    async def dribble() -> tuple[int, str]:
        async def bytewise() -> object:
            while True:
                yield b"x"
                await asyncio.sleep(0.01)

        app = web.Application()
        app.add_routes([web.put("/scans/{name}", UploadHandler(no_scan, period=0.2).handle)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/scans/a.nrrd"
            async with aiohttp.ClientSession() as session, session.put(url, data=bytewise()) as answer:
                return answer.status, await answer.text()
        finally:
            await runner.cleanup()

    status, sentence = asyncio.run(dribble())
    assert (status, "too slowly" in sentence) == (408, True)


class RecordedTransport(asyncio.Transport):
    """Knows whether it was closed."""

    closed = False

    def abort(self) -> None:
        self.closed = True


def test_strangers_are_few_and_stay_a_short_time_and_the_person_is_never_pushed_out():
    from mtctl.browser.server.connections import Connections

    async def run() -> None:
        connections = Connections(most_unknown=3, most_known=2, patience=0.02)
        person, *strangers = (RecordedTransport() for _ in range(6))
        connections.enter(person)
        assert connections.let_in(person)
        for stranger in strangers:
            connections.enter(stranger)
        assert [stranger.closed for stranger in strangers] == [True, True, False, False, False]
        assert connections.let_in(strangers[-1])
        assert not connections.let_in(strangers[-2]), "two are as many as may be let in"
        async with asyncio.timeout(20):
            while not (strangers[2].closed and strangers[3].closed):
                await asyncio.sleep(0.01)
        assert not person.closed and not strangers[-1].closed
        connections.leave(person)

    asyncio.run(run())


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
NAMES = [
    "threshold",
    "opacity",
    "heatmap",
    "keep",
    "change",
    "tool",
    "brush",
    "slice",
    "step",
]


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list]:
    """A call as the page makes it, with arguments of any kind."""
    method = draw(
        st.sampled_from(["trame.trigger", "trame.rca.size", "trame.rca.event", "trame.lifecycle.update", "x"])
    )
    if method == "trame.trigger":
        return method, [draw(st.sampled_from(NAMES) | ANYTHING), draw(st.lists(ANYTHING, max_size=4) | ANYTHING), {}]
    if method == "trame.rca.size":
        size = draw(st.fixed_dictionaries({key: st.integers(0, 8192) | ANYTHING for key in "wh"}) | ANYTHING)
        return method, [draw(st.sampled_from(["Axial", "ThreeD"]) | ANYTHING), "page", size]
    return method, draw(st.lists(st.sampled_from(["Axial"]) | ANYTHING, max_size=4))


def test_calls_with_any_arguments_are_answered_without_a_traceback_and_do_no_harm(ball: Server):
    made: list[tuple[str, list]] = []

    @settings(max_examples=250, database=None, suppress_health_check=list(HealthCheck))
    @given(calls())
    def make(one: tuple[str, list]) -> None:
        made.append(one)

    make()

    async def all_of_them(ws: aiohttp.ClientWebSocketResponse) -> list[str]:
        await hello(ws)
        at = (await state_of(ws))["at"]
        for _, args in made:
            if len(args) == 3 and isinstance(args[1], list):
                args[1].insert(0, at)
        return [str(await call(ws, method, args)) for method, args in made]

    answers = ball.talk(all_of_them)
    assert isinstance(answers, list) and len(answers) == len(made)
    assert not [answer for answer in answers if "Traceback" in answer or "Error" in answer]
    assert "Traceback" not in ball.log.read_text(encoding="utf-8")
    ball.unharmed()


@given(st.integers(0, 8192), st.integers(0, 8192), st.floats(0.25, 8))
def test_no_view_is_drawn_larger_than_a_screen(width: int, height: int, ratio: float):
    from mtctl.browser.server.rpc_guard import MOST_PIXELS, sized_view

    size = {"w": width, "h": height, "p": ratio}
    sized_view(frozenset({"Axial"}))("Axial", "page", size)
    assert size["w"] * size["p"] * size["h"] * size["p"] <= MOST_PIXELS * 1.001
    assert size["p"] <= ratio


@pytest.mark.parametrize("depth", [400, 600, 200_000])
def test_a_deeply_nested_message_ends_its_connection_only(ball: Server, depth: int):
    import struct

    async def say(ws: aiohttp.ClientWebSocketResponse) -> object:
        await hello(ws)
        nested = b"\x91" * depth + b"\xc0"
        content = b"\x84\xa6method\xa1x\xa2id\xa5rpc:1\xa4args" + nested + b"\xa6kwargs\x80"
        await ws.send_bytes(struct.pack("<III", 7, 0, len(content)) + content)
        async with asyncio.timeout(30):
            return (await ws.receive()).type

    assert ball.talk(say) is not None
    assert "Traceback" not in ball.log.read_text(encoding="utf-8")
    ball.unharmed()
