"""`mtctl review` in a process of its own, and a client of it that speaks as the page does, without a browser."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import msgpack
from support.children import wait_for


class Server:
    """`mtctl review` of a folder, with a client that is in."""

    def __init__(self, folder: Path, *options: str, log: str = "log.txt", asks: bool = False) -> None:
        """Start it; without `asks` no child process looks for questions, which takes seconds of each case."""
        options = options if asks else (*options, "--no-questions")
        self.folder, self.log = folder, folder.parent / log
        with open(self.log, "wb") as written:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mtctl", "review", str(folder), "--no-browser", *options],
                stdout=written,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
            )
        wait_for(self._answers, 240)
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

    def state(self) -> dict:
        """Return the page's state."""

        async def look(ws: aiohttp.ClientWebSocketResponse) -> object:
            await hello(ws)
            return await state_of(ws)

        state = self.talk(look)
        assert isinstance(state, dict)
        return state

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def unharmed(self) -> None:
        """The process lives, the review is what it was, and the page can be used."""

        assert self.process.poll() is None, self.log.read_text()
        state: dict = {}

        def a_case_is_open() -> bool:
            state.update(self.state())
            return state["shown"] is not None

        wait_for(a_case_is_open, pause=0.5)
        assert state["shown"]["name"] == "ball"
        assert state["shown"]["segmented"]
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


async def state_of(ws: aiohttp.ClientWebSocketResponse) -> dict:
    """The page's state."""
    answer = await call(ws, "trame.state.get", [])
    assert isinstance(answer, dict)
    return answer["state"]


async def trigger(ws: aiohttp.ClientWebSocketResponse, name: str, *args: object, at: object = None) -> str:
    """Give a command as a tab that is up to date does, or as one that shows `at`; what was said of it, or ""."""
    place = (await state_of(ws))["at"] if at is None else at
    return str(await call(ws, "trame.trigger", [name, [place, *args], {}]))


async def stroke(ws: aiohttp.ClientWebSocketResponse, tool: str) -> None:
    """Paint or erase across the middle of the axial view, as a person does with the mouse."""
    await trigger(ws, "tool", tool)
    await call(ws, "trame.rca.size", ["Axial", "page", {"w": 400, "h": 300, "p": 1}])
    path = [("LeftButtonPress", 40), *(("MouseMove", x) for x in range(50, 360, 10)), ("LeftButtonRelease", 360)]
    for event, x in path:
        await call(ws, "trame.rca.event", ["Axial", "page", {"type": event, "x": x, "y": 150, "w": 400, "h": 300}])


async def closing(ws: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
    """How the server closes the connection: code and reason."""
    async with asyncio.timeout(30):
        while True:
            message = await ws.receive()
            if message.type is aiohttp.WSMsgType.CLOSE:
                return message.data, message.extra or ""
            if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return ws.close_code, ""
