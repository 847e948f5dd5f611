"""What a page may say over its WebSocket, and how much of it: anything else ends that connection, and no other.

trame lets a client set any part of the state and allocates what a message claims to be long; VTK trusts what it is told
of the mouse. So only the calls below are taken, with checked arguments.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from aiohttp import WSCloseCode
from wslink.chunking import UnChunker

from mtctl.browser.ui.tabs import CLIENT

log = logging.getLogger(__name__)

#: Bytes of a message; the page's are some hundred. Scans come by HTTP.
MESSAGE_LIMIT = 1 << 18

#: Messages that a connection may send at once, and per second in the long run. A mouse over a view sends 100 a second;
#: the server may lag by some seconds while a case opens.
BURST, RATE = 800, 200

#: Pixels of a view along a side, as a page may ask: an 8K screen. And pixels that are drawn: a 4K screen; a larger view
#: is drawn coarser, as each pixel takes some ten bytes in each of several buffers.
LARGEST_VIEW, MOST_PIXELS = 8192, 3840 * 2160

#: Smallest pixel ratio: the page is zoomed out.
_LEAST_RATIO = 0.25

#: Events of mouse and wheel that the views know; the page sends more (keys, fingers), which are left out.
_EVENTS = frozenset(
    [f"{side}Button{what}" for side in ("Left", "Middle", "Right") for what in ("Press", "Release")]
    + [f"{side}ButtonDoubleClick" for side in ("Left", "Middle", "Right")]
    + ["MouseMove", "MouseWheel", "StartMouseWheel", "EndMouseWheel", "Enter", "Leave"]
)

#: What VTK reads of an event. Where one of them is no number, it ends the process.
_POSITIONS, _FLAGS = ("x", "y", "w", "h", "spinY"), ("ctrlKey", "altKey", "shiftKey", "metaKey")

#: Triggers of trame_slicer's views, which make the view under the mouse quicker; the page itself has only named ones.
_OF_THE_VIEWS = re.compile(r"trigger__\d{1,4}")


class RefusedMessage(Exception):
    """The message is not one of the page's."""


class RateLimit:
    """Counts messages: BURST at once, RATE a second in the long run."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._left, self._last = clock, float(BURST), clock()

    def allow(self) -> bool:
        """Count one message; return False where it is one too many."""
        now = self._clock()
        self._left = min(BURST, self._left + (now - self._last) * RATE) - 1
        self._last = now
        return self._left >= 0


class LimitedUnChunker(UnChunker):  # type: ignore[misc]
    """Puts messages together, none longer than MESSAGE_LIMIT, whatever their head claims."""

    def __init__(self) -> None:
        super().__init__()
        self.max_message_size = MESSAGE_LIMIT

    def set_max_message_size(self, size: int) -> None:
        """Set the limit, MESSAGE_LIMIT at most: wslink lifts it for known clients."""
        self.max_message_size = min(size, MESSAGE_LIMIT)

    def process_chunk(self, chunk: bytes) -> Any:
        """Add a piece of a message; return the message when it is complete.

        Raises:
            Refused: It is none.
        """
        if len(self.pending_messages) > 8:
            raise RefusedMessage("too many unfinished messages")
        try:
            message = super().process_chunk(chunk)
        except Exception as error:  # of many kinds: msgpack's, struct's, MemoryError
            raise RefusedMessage("not a message") from error
        if message is not None and not _is_call(message):
            raise RefusedMessage("not a call")
        return message


def guard(handler: Any, views: frozenset[str], triggers: frozenset[str], may_press: Callable[[], bool]) -> None:
    """Let a wslink handler take the calls of the page only, with checked arguments.

    Args:
        handler: wslink's handler of one WebSocket route.
        views: Names of the views.
        triggers: Names of what the page may trigger.
        may_press: Whether the tab that speaks may use the mouse's buttons in the views.
    """
    checks: dict[str, Callable[..., None]] = {
        "trame.state.get": _nothing,
        "trame.trigger": _known_trigger(triggers),
        "trame.rca.size": sized_view(views),
        "trame.rca.event": _mouse_event(views, may_press),
        "trame.rca.reset": _view(views),
        "trame.lifecycle.update": _life_cycle,
        "trame.error.client": _text,
    }
    rate_limits: dict[str, RateLimit] = {}
    on_connect, on_close, on_message = handler.onConnect, handler.onClose, handler.onMessage

    for uri, (owner, function) in list(handler.functionMap.items()):
        if uri in checks:
            handler.functionMap[uri] = owner, _checked(function, checks[uri])
        elif uri == "trame.state.update":  # The page tells what it wants by triggers; what it sends here is ignored.
            handler.functionMap[uri] = owner, lambda *_, **__: None
        else:
            del handler.functionMap[uri]

    async def connect(request: Any, client: str) -> None:
        await on_connect(request, client)
        handler.unchunkers[client] = LimitedUnChunker()
        rate_limits[client] = RateLimit()

    async def close(client: str) -> None:
        rate_limits.pop(client, None)
        await on_close(client)

    async def message(is_binary: bool, content: Any, client: str) -> None:
        socket = handler.connections[client]
        if socket.closed:
            return
        try:
            if not rate_limits[client].allow():
                raise RefusedMessage("too many messages")
            if not is_binary:
                raise RefusedMessage("text instead of a message")
            CLIENT.set(client)
            await on_message(is_binary, content, client)
        except (RefusedMessage, RecursionError) as refusal:
            why = str(refusal) if isinstance(refusal, RefusedMessage) else "nested too deeply"
            log.warning("a connection was closed: %s", why)
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=why.encode())

    handler.onConnect, handler.onClose, handler.onMessage = connect, close, message


def _checked(function: Callable[..., Any], check: Callable[..., None]) -> Callable[..., Any]:
    async def call(owner: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            check(*args, **kwargs)
        except (RefusedMessage, TypeError) as refusal:
            log.warning("a call was refused: %s", refusal)
            return {"refused": str(refusal)}
        try:
            answer = function(owner, *args, **kwargs)
            return await answer if isawaitable(answer) else answer
        except Exception as error:  # wslink would send the traceback to the page
            log.error("a call failed: %s: %s", type(error).__name__, error)
            return {"refused": "that could not be done"}

    return call


def _is_call(message: Any) -> bool:
    return (
        isinstance(message, dict)
        and isinstance(message.get("id"), str)
        and isinstance(message.get("method"), str)
        and isinstance(message.get("args", []), list)
        and message.get("kwargs", {}) in ({}, None)
    )


def _nothing() -> None:
    pass


def _text(message: Any = "", *_: Any) -> None:
    if len(str(message)) > 4096:
        raise RefusedMessage("too long")


def _life_cycle(name: Any) -> None:
    if name not in ("client_connected", "client_exited", "client_unmounted"):
        raise RefusedMessage("no such stage of a page's life")


def _known_trigger(names: frozenset[str]) -> Callable[..., None]:
    def check(name: Any, args: Any = (), kwargs: Any = None) -> None:
        known = name in names or (isinstance(name, str) and _OF_THE_VIEWS.fullmatch(name))
        if not known or not isinstance(args, list) or kwargs:
            raise RefusedMessage("no such command")

    return check


def _view(views: frozenset[str]) -> Callable[..., None]:
    def check(name: Any) -> None:
        if name not in views:
            raise RefusedMessage("no such view")

    return check


def sized_view(views: frozenset[str]) -> Callable[..., None]:
    """Return the check of a message that asks for a view's size: its ratio is lowered to `MOST_PIXELS`."""

    def check(name: Any, origin: Any, size: Any) -> None:
        if name not in views or not isinstance(size, dict) or not size.keys() <= {"w", "h", "p"}:
            raise RefusedMessage("no such view or size")
        width, height, ratio = (_finite(size.get(key, 1)) for key in "whp")
        if not (0 <= width <= LARGEST_VIEW and 0 <= height <= LARGEST_VIEW and _LEAST_RATIO <= ratio <= 8):
            raise RefusedMessage("impossible size of a view")
        size["p"] = min(ratio, math.sqrt(MOST_PIXELS / max(width * height, 1.0)))

    return check


def _mouse_event(views: frozenset[str], may_press: Callable[[], bool]) -> Callable[..., None]:
    def check(name: Any, origin: Any, event: Any) -> None:
        if name not in views or not isinstance(event, dict) or not isinstance(event.get("type"), str):
            raise RefusedMessage("no such view or event")
        for key in event.keys() - {"type", *_POSITIONS, *_FLAGS}:
            del event[key]
        for key in _POSITIONS:
            if abs(_finite(event.setdefault(key, 0))) > 1e6:
                raise RefusedMessage("an impossible position")
        for key in _FLAGS:
            event[key] = int(bool(event.get(key)))
        pressed = event["type"].endswith(("ButtonPress", "DoubleClick"))
        if event["type"] not in _EVENTS or (pressed and not may_press()):
            event["type"] = "EndInteractionEvent"  # which does nothing

    return check


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RefusedMessage("not a number")
    return float(value)
