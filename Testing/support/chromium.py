"""A headless Chromium, driven over the DevTools protocol: as much of it as the tests of the reviewer need."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import itertools
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import numpy as np
from numpy.typing import NDArray
from PIL import Image

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)

Answer = TypeVar("Answer")


def program() -> str | None:
    """The Chromium of this machine; None where there is none."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class Tab:
    """One page; everything that it and its scripts said is kept.

    Attributes:
        console: Messages of its console, errors of its scripts, and requests that failed.
        requests: Addresses that it asked for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.console: list[str] = []
        self.requests: list[str] = []
        self._loop, self._socket = loop, socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        asyncio.run_coroutine_threadsafe(self._listen(), loop)
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and return its result."""
        return _run(self._loop, self._call(method, parameters))

    def open(self, address: str) -> None:
        """Go to a page; returns when it begins to load."""
        self.call("Page.navigate", url=address)

    def reload(self) -> None:
        """Load the page anew."""
        self.call("Page.reload")

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 20.0) -> Any:
        """Wait until an expression is true, and return it."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(AssertionError):  # while the page loads
                if answer := self.value(f"(found => found instanceof Node || found)({expression})"):
                    return answer
            if time.monotonic() > end:
                raise AssertionError(f"still false after {seconds:g} s: {expression}; console: {self.console[-5:]}")
            time.sleep(0.05)

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of an element, in pixels of the page."""
        found = f"document.querySelector({json.dumps(selector)})"
        left, top, width, height = self.wait(
            f"(() => {{ const e = {found}; if (!e) return null; const r = e.getBoundingClientRect();"
            "return [r.left, r.top, r.width, r.height] })()"
        )
        return left, top, width, height

    def click(self, selector: str) -> None:
        """Click the middle of an element with the mouse."""
        left, top, width, height = self.box(selector)
        x, y = left + width / 2, top + height / 2
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def mouse(self, kind: str, x: float, y: float) -> None:
        """One event of the mouse with its left button."""
        held = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def drag(self, points: list[tuple[float, float]], pause: float = 0.03) -> None:
        """Press at the first point, move over the others, release at the last."""
        self.mouse("mouseMoved", *points[0])
        self.mouse("mousePressed", *points[0])
        for x, y in points[1:]:
            time.sleep(pause)
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        time.sleep(pause)
        self.mouse("mouseReleased", *points[-1])

    def key(self, key: str) -> None:
        """Press and release a key, named as in JavaScript: "n", "ArrowUp"."""
        letters = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **letters)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def pixels(self, selector: str | None = None) -> NDArray[np.uint8]:
        """What an element, or the whole page, looks like: (rows, columns, 3)."""
        clip = {}
        if selector:
            left, top, width, height = self.box(selector)
            clip = {"clip": {"x": left, "y": top, "width": width, "height": height, "scale": 1}}
        answer = self.call("Page.captureScreenshot", format="png", **clip)
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["data"]))).convert("RGB"))

    async def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._waiting[number] = self._loop.create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return await asyncio.wait_for(answer, 60)

    async def _listen(self) -> None:
        async for message in self._socket:
            content = json.loads(message.data)
            if waiting := self._waiting.pop(content.get("id"), None):
                if "error" in content:
                    waiting.set_exception(AssertionError(str(content["error"])))
                else:
                    waiting.set_result(content["result"])
            else:
                self._hear(content.get("method", ""), content.get("params", {}))

    def _hear(self, method: str, content: dict[str, Any]) -> None:
        if method == "Runtime.consoleAPICalled":
            said = (str(part.get("value", part.get("description"))) for part in content["args"])
            self.console.append(f"{content['type']}: {' '.join(said)}")
        elif method == "Runtime.exceptionThrown":
            self.console.append(f"exception: {content['exceptionDetails']}")
        elif method == "Log.entryAdded" and content["entry"]["level"] == "error":
            self.console.append(f"error: {content['entry']['text']} {content['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(content["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(content["url"])


class Chromium:
    """A browser with a profile of its own, which is removed with it."""

    def __init__(self, width: int = 1440, height: int = 900) -> None:
        path = program()
        if path is None:
            raise RuntimeError(f"none of {', '.join(PROGRAMS)} is installed")
        self._profile = Path(tempfile.mkdtemp(prefix="mtctl-chromium-"))
        size = f"--window-size={width},{height}"
        self._process = subprocess.Popen(
            [path, *FLAGS, size, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._width, self._height = width, height
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._http: aiohttp.ClientSession = _run(self._loop, _session())
        self._port = self._wait_for_port()

    def tab(self) -> Tab:
        """A new page."""
        about = _run(self._loop, self._new())
        # Frames of a view are blobs: a megabyte each in the worst case.
        address = about["webSocketDebuggerUrl"]
        socket = _run(self._loop, _returned(lambda: self._http.ws_connect(address, max_msg_size=0)))
        tab = Tab(self._loop, socket)
        tab.call(
            "Emulation.setDeviceMetricsOverride",
            width=self._width,
            height=self._height,
            deviceScaleFactor=1,
            mobile=False,
        )
        return tab

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(Exception):
            _run(self._loop, self._http.close())
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._loop.call_soon_threadsafe(self._loop.stop)
        shutil.rmtree(self._profile, ignore_errors=True)

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _new(self) -> dict[str, Any]:
        async with self._http.put(f"http://127.0.0.1:{self._port}/json/new?about:blank") as answer:
            return await answer.json()

    def _wait_for_port(self) -> int:
        written = self._profile / "DevToolsActivePort"
        for _ in range(600):
            if self._process.poll() is not None:
                raise RuntimeError("Chromium ended at once")
            with contextlib.suppress(OSError, ValueError, IndexError):
                return int(written.read_text().splitlines()[0])
            time.sleep(0.05)
        raise RuntimeError("Chromium opened no port for 30 s")


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


async def _returned(make: Callable[[], Any]) -> Any:
    return await make()


def _run(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Answer]) -> Answer:
    return asyncio.run_coroutine_threadsafe(work, loop).result(90)
