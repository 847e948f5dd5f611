"""The connections of the server: how many there may be, and how long one may stay without a request that is let in.

Every program of this machine can connect. One that connects and says nothing takes a file descriptor, of which a
process has some hundred, and a review is saved through one. So those who have not shown the cookie yet are few and for
a short time; where there are too many, the oldest goes. Those who have shown it are more, and go when they please.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from aiohttp import web

#: Connections that have not sent a request which was let in, and seconds until each of them is closed.
MOST_UNKNOWN, PATIENCE = 64, 10.0

#: Connections that were let in: a tab has one, and a browser six more. Of them WebSockets, one a tab.
MOST_KNOWN, MOST_TABS = 192, 128

#: Connections that wait to be accepted, which the event loop then does at once.
_BACKLOG = 64

#: File descriptors that the server asks for, where the system gives it fewer: files, views and children take some too.
_DESCRIPTORS = 1024

#: Seconds between two requests on one connection.
_IDLE = 75.0


class Connections:
    """Counts connections, and closes those of strangers that stay.

    Attributes:
        tabs: WebSockets that are open now.
    """

    def __init__(self, most_unknown: int = MOST_UNKNOWN, most_known: int = MOST_KNOWN, patience: float = PATIENCE):
        self._most_unknown, self._most_known, self._patience = most_unknown, most_known, patience
        self._unknown: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}  # oldest first
        self._known: set[asyncio.BaseTransport] = set()
        self.tabs = 0

    def enter(self, transport: asyncio.Transport) -> None:
        """Count a connection that was just made; close the oldest stranger where there are too many."""
        while len(self._unknown) >= self._most_unknown:
            oldest = next(iter(self._unknown))
            self.leave(oldest)
            _abort(oldest)
        expire = asyncio.get_running_loop().call_later(self._patience, _abort, transport)
        self._unknown[transport] = expire

    def leave(self, transport: asyncio.BaseTransport) -> None:
        """Count a connection no more."""
        self._known.discard(transport)
        if expire := self._unknown.pop(transport, None):
            expire.cancel()

    def let_in(self, transport: asyncio.BaseTransport | None) -> bool:
        """Note that a connection sent a request with the cookie; return False where there are too many of these."""
        if transport is None or transport in self._known:
            return True
        if transport in self._unknown and len(self._known) >= self._most_known:
            return False
        if expire := self._unknown.pop(transport, None):
            expire.cancel()
            self._known.add(transport)
        return True


class _WatchedConnection(asyncio.Protocol):
    """Hands everything on to aiohttp's protocol, and tells `Connections` when a connection comes and goes."""

    def __init__(self, inner: Any, connections: Connections) -> None:
        self._inner, self._connections = inner, connections
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._inner.connection_made(transport)
        self._connections.enter(transport)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.leave(self._transport)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        answer: bool | None = self._inner.eof_received()
        return answer

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


class _WatchedSite(web.SockSite):
    """A site whose connections are watched."""

    def __init__(self, runner: web.AppRunner, bound: socket.socket, connections: Connections) -> None:
        super().__init__(runner, bound, backlog=_BACKLOG)
        self._bound, self._connections = bound, connections

    async def start(self) -> None:
        await web.BaseSite.start(self)
        make, connections = self._runner.server, self._connections
        assert make is not None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _WatchedConnection(make(), connections), sock=self._bound, backlog=self._backlog
        )


def watch(server: Any, connections: Connections) -> None:
    """Have wslink's web server, before it is started, listen with watched connections."""

    async def start(port_callback: Callable[[int], None] | None = None) -> None:
        raise_descriptors()
        server.app.add_routes(server._default_routes)
        server._default_routes = []
        server._runner = runner = web.AppRunner(server.app, handle_signals=False, keepalive_timeout=_IDLE)
        await runner.setup()
        server._site = _WatchedSite(runner, _listening(server.host, server.port), connections)
        await server._site.start()
        if port_callback is not None:
            port_callback(server.get_port())
        await server.completion

    server.start = start


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, and nothing else can reach it."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def raise_descriptors() -> None:
    """Let this process have enough file descriptors: macOS gives 256 by default. Windows knows no such limit."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listening(host: str, port: int) -> socket.socket:
    """Return a bound socket. On Windows another program could listen on the port as well unless it is ours alone."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _abort(transport: asyncio.BaseTransport) -> None:
    transport.abort() if isinstance(transport, asyncio.Transport) else transport.close()


def ignore_lost_connections(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what failed in a task that nothing awaits, except that a tab has gone: wslink sends on to it for a moment."""
    if not isinstance(context.get("exception"), ConnectionError):
        loop.default_exception_handler(context)
